//! Removing: `pki trust remove`, with `--revoke` also revoking what is ours.
//!
//! What is left behind is a denial, which beats every other way in until somebody adds the certificate
//! again. It is durable, and holds, when the operation answers.

use std::collections::BTreeSet;

use ca::cert::Certificate;
use ca::inventory;
use crl::{Request, Target};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::change::{Cause, Removal, deny, remove, select};
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::settle;
use super::view::{self, TrustView};
use crate::Pki;
use crate::ops::revoke::run::reason;
use crate::ops::view::{Publication, Selector};
use crate::ops::{Error, Operation};

/// Removes an entry, or denies a certificate that has none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrustRemove {
    /// An entry, by its name or the beginning of a fingerprint; or a certificate, which is denied even if
    /// it has no entry: an authority's signature may let it in.
    pub which: Selector,
    /// Revoke those of its certificates that are ours, too.
    pub revoke: bool,
    /// The reason of the revocation in RFC 5280's spelling; `unspecified` if `None`.
    pub reason: Option<String>,
}

/// Who is let in no more.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrustRemoved {
    /// What the entry was called, or the certificate's common name.
    pub name: String,
    /// The entry as it was, if there was one.
    pub entry: Option<TrustView>,
    /// Fingerprints of the certificates that are denied.
    pub certificates: Vec<String>,
    /// Serials of those that are revoked.
    pub revoked: Vec<String>,
    /// Whether the lists are in place; `None` if nothing was revoked.
    pub publication: Option<Publication>,
}

impl Operation for TrustRemove {
    const NAME: &'static str = "trust-remove";
    const ACTION: Action = Action::Trust;
    type Reply = TrustRemoved;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TrustRemoved, Error> {
        let request = match self.revoke {
            true => Some(Request { reason: reason(self.reason.as_deref())?, invalidity: None, now }),
            false => None,
        };
        let certificate = match &self.which {
            Selector::Pem(pem) => Some(Certificate::from_pem(pem.as_bytes()).map_err(ca::Error::from)?),
            Selector::Word(_) => None,
        };
        let before = self.entry(pki, certificate.as_ref(), now)?;
        let cause = Cause::from(permit);
        let (name, removal) = settle(pki, || {
            let state = pki.gate().set().now()?;
            let entry = match (&self.which, &certificate) {
                (Selector::Word(word), _) => Some(select(&state, word)?),
                (Selector::Pem(_), Some(certificate)) => state.entry_of(&certificate.fingerprint()).cloned(),
                (Selector::Pem(_), None) => None,
            };
            let (name, removal) = match (entry, &certificate) {
                (Some(entry), _) => {
                    let removal = remove(pki.store(), &state, &entry, request.as_ref(), &cause, now)?;
                    (entry.record.name.to_string(), removal)
                }
                (None, Some(certificate)) => {
                    let mut removal = deny(&state, certificate, &cause, now)?;
                    if let Some(request) = &request {
                        revoke_too(pki, certificate, request, &mut removal)?;
                    }
                    let name = certificate.common_name().map(ca::cert::printable);
                    (name.unwrap_or_else(|| certificate.fingerprint().to_string()), removal)
                }
                (None, None) => return Err(Error::Nameless),
            };
            Ok((Some(removal.batch), (name, (removal.certificates, removal.revoked))))
        })?;
        let (certificates, revoked) = removal;
        let issuers: BTreeSet<_> = revoked.iter().map(|target| target.issuer).collect();
        Ok(TrustRemoved {
            name,
            entry: before,
            certificates: certificates.iter().map(ToString::to_string).collect(),
            revoked: revoked.iter().map(|target| target.serial.to_string()).collect(),
            publication: (!issuers.is_empty()).then(|| pki.publish_after(issuers, now)),
        })
    }
}

impl TrustRemove {
    /// The entry as it is before.
    fn entry(
        &self,
        pki: &Pki,
        certificate: Option<&Certificate>,
        now: OffsetDateTime,
    ) -> Result<Option<TrustView>, Error> {
        let found = match (&self.which, certificate) {
            (Selector::Word(word), _) => Some(select(&*pki.gate().set().now()?, word)?),
            (Selector::Pem(_), Some(certificate)) => {
                pki.gate().set().now()?.entry_of(&certificate.fingerprint()).cloned()
            }
            (Selector::Pem(_), None) => None,
        };
        found.map(|entry| view::entry(pki, &entry, now)).transpose()
    }
}

/// Revokes a certificate of ours in the batch that denies it.
fn revoke_too(
    pki: &Pki,
    certificate: &Certificate,
    request: &Request,
    removal: &mut Removal,
) -> Result<(), Error> {
    if let Some(issued) = inventory::by_fingerprint(pki.store(), &certificate.fingerprint())? {
        let target = Target::from(&issued.record);
        crl::revoke_into(pki.store(), &mut removal.batch, &target, request)?;
        removal.revoked.push(target);
    }
    Ok(())
}
