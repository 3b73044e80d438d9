//! Taking over a CA that others made, with its inventory and its revocations.

use std::path::Path;

use ca::adopt::{self, Adopt, ImportedRevocation};
use ca::index_txt::RowReason;
use ca::keyring::Keyring;
use crl::{Reason, Revocation, Which};
use store::Table;
use time::OffsetDateTime;
use trust::{Action, Peer};

use super::{Keys, Pki};
use crate::http::problem;
use crate::layout::Layout;
use crate::ops::Error;

/// What came of an adoption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// How many certificates the inventory has now.
    pub imported: usize,
    /// How many of them are revoked.
    pub revoked: usize,
    /// What the user should know: rows that were left out, lists that can't be made here.
    pub notes: Vec<String>,
}

impl Pki {
    /// Makes a PKI in `directory` of a CA that others made, and returns it open.
    ///
    /// The inventory and all revocations are committed with the authority itself, so that no list ever
    /// lacks one of them.
    ///
    /// # Errors
    /// As [`Pki::init`], and [`adopt::AdoptError`] inside for a CA that can't be taken over.
    pub fn adopt(
        directory: &Path,
        keys: Keys,
        adopt: Adopt,
        peer: &Peer,
        now: OffsetDateTime,
    ) -> Result<(Pki, Adopted), Error> {
        // Decided before anything is made: a CA that is refused leaves no trace.
        let keyring = Keyring::new(Layout::new(directory).keys(), keys.passphrase.clone(), keys.cost);
        let decided = adopt::decide(adopt, &keyring, &peer.to_string(), now);
        let mut adoption = decided.map_err(ca::Error::from)?;
        let pki = Pki::begin(directory, keys)?;
        trust::owner_only(peer, Action::Authority, pki.owner())?;
        let issuer = adoption.issuing.key_id;
        let revocations = std::mem::take(&mut adoption.revocations);
        for imported in &revocations {
            let key = Revocation::key(&issuer, &imported.serial);
            adoption.batch_mut().expect_absent(key.clone());
            adoption.batch_mut().put(key, Table::encode(&revocation(imported)));
        }
        let mut notes: Vec<String> = adoption.notes.iter().map(ToString::to_string).collect();
        let imported = adoption.imported;
        adoption.commit(pki.store(), pki.keyring())?;
        pki.place_certificates(now)?;
        // A root whose key is elsewhere can't sign its list here: that is told, and doctor repeats it.
        for (_, error) in &pki.publish(&Which::All, now)?.failures {
            let mut causes = vec![error.to_string()];
            causes.extend(problem::causes(error));
            notes.push(causes.join(": "));
        }
        pki.checkpoint(now)?;
        Ok((pki, Adopted { imported, revoked: revocations.len(), notes }))
    }
}

fn revocation(imported: &ImportedRevocation) -> Revocation {
    Revocation {
        at: imported.at.unix_timestamp(),
        reason: reason(imported.reason),
        not_after: imported.not_after.unix_timestamp(),
        invalidity: imported.invalid_since.map(OffsetDateTime::unix_timestamp),
    }
}

fn reason(reason: RowReason) -> Reason {
    match reason {
        RowReason::Unspecified => Reason::Unspecified,
        RowReason::KeyCompromise => Reason::KeyCompromise,
        RowReason::CaCompromise => Reason::CaCompromise,
        RowReason::AffiliationChanged => Reason::AffiliationChanged,
        RowReason::Superseded => Reason::Superseded,
        RowReason::CessationOfOperation => Reason::CessationOfOperation,
        RowReason::CertificateHold => Reason::CertificateHold,
    }
}

#[cfg(test)]
mod tests;
