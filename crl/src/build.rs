//! Makes one authority's next list: plan, write, check, lint, claim the number, sign.
//!
//! The number is claimed by a commit before anything is signed: if the rest fails, or the machine
//! does, the next list has a higher one all the same.

use ca::cert::KeyId;
use ca::issuer::{Issuer, IssuerCertificate};
use ca::keyring::issuer_certificate;
use ca::lint::{self, ForList, Linted};
use ca::records::AuthorityRecord;
use ca::signer;
use store::spread::both;
use store::{Batch, Class, Store, Table, Version, Versioned, again};
use time::{Duration, OffsetDateTime};

use crate::files::sha256;
use crate::{
    CrlNumber, Error, ListHead, ListRecord, Placed, Plan, RevokedSet, RevokedSnapshot, Scope, check,
    to_be_signed,
};

/// Who publishes, in the audit trail.
const WHO: &str = "system";

/// A larger list is checked and digested at the same time.
const LARGE: usize = 1 << 20;

/// A signed list that is not placed yet.
pub(crate) struct SignedList {
    pub(crate) record: ListRecord,
    pub(crate) der: Vec<u8>,
}

/// A list that passed every check, and what it was made from.
pub(crate) struct Draft {
    pub(crate) linted: Linted<ForList>,
    pub(crate) record: ListRecord,
    pub(crate) previous: Option<Version>,
}

/// The record of an authority's last list.
pub(crate) fn last(store: &Store, issuer: &KeyId) -> Result<Option<Versioned<ListRecord>>, Error> {
    Ok(Table::<ListRecord>::get(store, issuer.to_string())?)
}

/// An authority's certificate, checked for signing lists.
pub(crate) fn certificate_of(authority: &AuthorityRecord) -> Result<IssuerCertificate, Error> {
    issuer_certificate(authority).map_err(|source| Error::Keyring { issuer: authority.key_id, source })
}

/// Makes and signs an authority's next list.
pub(crate) fn signed_list(
    store: &Store,
    issuer: &Issuer,
    revoked: &RevokedSet,
    terms: &ListTerms<'_>,
) -> Result<SignedList, Error> {
    let issuer_id = issuer.certificate().key_id();
    let draft = again(|| {
        let draft = draft(store, issuer.certificate(), revoked, terms)?;
        claim(store, &issuer_id, &draft.record, draft.previous, terms.now)?;
        Ok::<_, Error>(draft)
    })?;
    let der = signer::list_in_place(draft.linted, issuer)
        .map_err(|source| Error::Sign { issuer: issuer_id, source })?;
    Ok(SignedList { record: draft.record, der })
}

/// What a list is made under.
pub(crate) struct ListTerms<'a> {
    /// How long it is valid.
    pub(crate) validity: Duration,
    /// The clock.
    pub(crate) now: OffsetDateTime,
    /// Whether a list on record is the one in place.
    pub(crate) is_placed: &'a dyn Fn(&ListRecord) -> Placed,
    /// The number of the list in place, asked for if that is not the one on record: the records may
    /// come from an old backup.
    pub(crate) number_in_place: &'a dyn Fn() -> Option<CrlNumber>,
}

/// Writes an authority's next list and checks it in every way; nothing is claimed or signed.
pub(crate) fn draft(
    store: &Store,
    issuer: &IssuerCertificate,
    revoked: &RevokedSet,
    terms: &ListTerms<'_>,
) -> Result<Draft, Error> {
    let issuer_id = issuer.key_id();
    let previous = last(store, &issuer_id)?;
    let record = previous.as_ref().map(|previous| &previous.record);
    let placed = record.map_or(Placed::No, terms.is_placed);
    let number_in_place = match placed {
        Placed::Yes => None,
        Placed::No => (terms.number_in_place)(),
    };
    let plan = Plan::after(record, placed, terms.now, terms.validity)
        .and_then(|plan| plan.above(number_in_place))
        .map_err(|source| Error::Number { issuer: issuer_id, source })?;
    let snapshot = revoked.snapshot(&issuer_id)?;
    let (linted, entries, digest) = lint_list(issuer, &plan, record, &snapshot)?;
    let record = plan.record(snapshot.through(), entries, digest);
    Ok(Draft { linted, record, previous: previous.map(|previous| previous.version) })
}

fn lint_list(
    issuer: &IssuerCertificate,
    plan: &Plan,
    previous: Option<&ListRecord>,
    snapshot: &RevokedSnapshot,
) -> Result<(Linted<ForList>, u64, [u8; 32]), Error> {
    let issuer_id = issuer.key_id();
    let head = ListHead {
        algorithm: lint::signature_algorithm(issuer.public_key().key_type()),
        issuer: issuer.certificate().subject_raw(),
        key_id: issuer.key_identifier(),
        number: plan.number,
        this_update: seconds(plan.this_update),
        next_update: seconds(plan.next_update),
        scope: Scope::Whole,
    };
    let entries = snapshot.list().iter().filter(|entry| plan.names(entry));
    let count = entries.clone().count() as u64;
    let tbs = to_be_signed(&head, entries.clone());
    let last = previous.map(|previous| previous.number);
    let checked = || check(&tbs, &head, last, entries);
    let (digest, checked) = match tbs.len() > LARGE {
        // Each of the two reads all of it once.
        true => both(|| sha256(&tbs), checked),
        false => (sha256(&tbs), checked()),
    };
    checked.map_err(|source| Error::Check { issuer: issuer_id, source })?;
    let last = last.as_ref().map(|last| last.der_content());
    // thisUpdate may lie ahead of a clock that went back: it is the latest time that was known.
    let linted = lint::list(tbs, issuer, last, head.this_update)
        .map_err(|source| Error::Lint { issuer: issuer_id, source })?;
    Ok((linted, count, digest))
}

/// Commits the record of a list that is about to become visible.
pub(crate) fn claim(
    store: &Store,
    issuer: &KeyId,
    record: &ListRecord,
    previous: Option<Version>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let what = format!("publish crl issuer={issuer} number={} entries={}", record.number, record.entries);
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), WHO, what);
    // A list that can't be published locks everybody out in the end: it may use the last room.
    batch.urgent();
    batch.expect(Table::<ListRecord>::key(issuer.to_string()), previous);
    Table::put(&mut batch, issuer.to_string(), record);
    store.commit(batch)?;
    Ok(())
}

/// Seconds since 1970 as a time; what no calendar holds becomes 1970, which lint refuses.
pub(crate) fn seconds(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
