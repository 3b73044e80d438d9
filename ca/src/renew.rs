//! Renews: a successor with the same names, profile and project, for the same key or a new one.
//!
//! A renewal widens nothing: the names come from the record, not from the new CSR, and a lifetime that
//! was once asked for is the longest that its successors get. Refuses what is revoked, on hold or
//! expired, and a key that is blocked.

use store::Store;
use time::OffsetDateTime;

use crate::cert::{Certificate, Csr, PublicKey};
use crate::error::Error;
use crate::plan::issued_key;
use crate::plan::{Order, Requester, request_digest};
use crate::profile::{Lifetime, Validity};
use crate::records::{IssuedProfile, IssuedRecord, Lineage, Predecessor, revocation, revocation_key};
use crate::subject::{LeafKind, Subject};

/// Which key the successor certifies.
#[derive(Clone, Copy, Debug)]
pub enum SuccessorKey<'a> {
    /// The predecessor's.
    Kept,
    /// That of a new CSR.
    Of(&'a Csr),
}

/// The order for a certificate's successor; hand it to [`crate::issue::Desk`] like any other.
///
/// The same renewal again (same predecessor, key and requester) gets the same successor.
pub fn order(
    store: &Store,
    predecessor: &IssuedRecord,
    key: SuccessorKey<'_>,
    mut by: Requester,
    now: OffsetDateTime,
) -> Result<Order, Error> {
    let serial = predecessor.serial;
    let refuse = |reason| Error::NotRenewable { serial, reason };
    let kind = match predecessor.profile {
        IssuedProfile::Client => LeafKind::Client,
        IssuedProfile::Server => LeafKind::Server,
        IssuedProfile::Imported | IssuedProfile::Unknown => {
            return Err(refuse("it was issued under no profile of ours"));
        }
    };
    if predecessor.is_expired(now) {
        return Err(refuse("it has expired; issue a new one"));
    }
    if revocation(store, &predecessor.issuer, &serial)?.is_some() {
        return Err(Error::Revoked { serial });
    }
    let subject = Subject::recorded(kind, &predecessor.name, &predecessor.names)?;
    let kept = kept_key(predecessor)?;
    let (public_key, lineage, request) = match key {
        SuccessorKey::Kept => (kept, Lineage::KeyKept, serial.as_bytes().to_vec()),
        SuccessorKey::Of(csr) if *csr.public_key() == kept => {
            (kept, Lineage::KeyKept, [serial.as_bytes(), csr.der()].concat())
        }
        SuccessorKey::Of(csr) => {
            (csr.public_key().clone(), Lineage::Rekeyed, [serial.as_bytes(), csr.der()].concat())
        }
    };
    // A revocation in between wins: the successor's batch expects that there is none.
    by.rests_on = by.rests_on.and(revocation_key(&predecessor.issuer, &serial), None);
    if let Some(read) = store.get(&issued_key(&serial))? {
        by.rests_on = by.rests_on.and(read.key, Some(read.version));
    }
    let digest = request_digest("renew", &request, kind, &subject, predecessor.days, &by.who);
    Ok(Order {
        kind,
        subject,
        public_key,
        lifetime: predecessor.days.map_or(Lifetime::Default, Lifetime::AtMost),
        days: predecessor.days,
        requester: by.who,
        project: predecessor.project.clone(),
        rests_on: by.rests_on,
        digest,
        predecessor: Some(Predecessor { serial, lineage }),
        // Whoever renews adds nothing, and can't lend the successor what they lack themselves.
        reach: predecessor.reach.map(|reach| reach.min(by.reach)),
    })
}

/// When a certificate is due for renewal: after two thirds of its lifetime.
pub fn due_at(validity: Validity) -> OffsetDateTime {
    validity.not_before + validity.length() * 2 / 3
}

/// When a recorded certificate is due; one whose beginning is unknown, at its end.
pub fn due(record: &IssuedRecord) -> OffsetDateTime {
    match record.not_before {
        Some(not_before) => {
            due_at(Validity { not_before: crate::records::moment(not_before), not_after: record.ends() })
        }
        None => record.ends(),
    }
}

fn kept_key(predecessor: &IssuedRecord) -> Result<PublicKey, Error> {
    let serial = predecessor.serial;
    let der = predecessor
        .der
        .as_deref()
        .ok_or(Error::NotRenewable { serial, reason: "only its index entry is known, not its key" })?;
    Ok(Certificate::from_der(der)?.public_key().clone())
}

#[cfg(test)]
mod tests;
