//! A certificate of ours that asks for its own successor, over a connection that proves its key.
//!
//! That is no admission: a server's certificate, or one of a client that nobody trusts, is let in nowhere
//! and may still be renewed by its holder, and the successor is let in nowhere either. So PKI mode and
//! `core.trust_ca_certificates` are not asked. What is asked is whether the certificate itself is good:
//! in our inventory to the octet, in date, neither revoked nor on hold, neither it nor its key denied.

use ca::inventory;
use ca::records::{IssuedRecord, RestsOn};
use time::OffsetDateTime;

use super::Gate;
use crate::decide::Refusal;
use crate::entry::{Denial, Id};
use crate::error::Error;
use crate::peer::Peer;
use crate::presented::Holder;

/// A certificate that may have its own successor issued, and nothing else.
#[derive(Clone, Debug)]
pub struct Renewer {
    peer: Peer,
    record: IssuedRecord,
    rests_on: RestsOn,
}

impl Renewer {
    /// Who asks.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The certificate on record: the only one that may be renewed by this.
    pub fn record(&self) -> &IssuedRecord {
        &self.record
    }

    /// That neither the certificate nor its key is denied. That it is not revoked is for whoever orders
    /// the successor to demand ([`ca::renew::order`] does).
    pub fn rests_on(&self) -> &RestsOn {
        &self.rests_on
    }
}

impl Gate {
    /// Decides whether the holder of a certificate may renew it.
    ///
    /// # Errors
    /// [`Error::Refused`] if not; anything else if that can't be known.
    pub fn renewer(&self, holder: &Holder, now: OffsetDateTime) -> Result<Renewer, Error> {
        let (fingerprint, certificate) = (holder.fingerprint(), holder.certificate());
        let name = {
            let state = self.set.now()?;
            if let Some(denial) = state.denial_of(fingerprint, holder.key()) {
                return Err(Refusal::Removed { name: denial.record.name.clone() }.into());
            }
            state.entry_of(fingerprint).map(|entry| entry.record.name.to_string())
        };
        // The same octets: nobody needs to look at the signature again.
        let found = inventory::by_fingerprint(&self.store, fingerprint)?.ok_or(Refusal::Stranger)?;
        if now < certificate.not_before() {
            return Err(Refusal::NotYetValid { not_before: certificate.not_before() }.into());
        }
        if now > certificate.not_after() {
            return Err(Refusal::Expired { not_after: certificate.not_after() }.into());
        }
        let (issuer, serial) = (found.record.issuer, found.record.serial);
        if self.revoked.find(&issuer, &serial)?.is_some() {
            return Err(Refusal::Revoked { serial }.into());
        }
        let name = name.or_else(|| certificate.common_name().map(ca::cert::printable));
        let rests_on = RestsOn::nothing()
            .and(Denial::key(&Id::Certificate(*fingerprint)), None)
            .and(Denial::key(&Id::Key(*holder.key())), None);
        let peer = Peer::Certificate { fingerprint: *fingerprint, name, from: holder.from() };
        Ok(Renewer { peer, record: found.record, rests_on })
    }
}
