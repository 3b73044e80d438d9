//! The root's list while the root's key is elsewhere: drafted here, signed there, installed here.
//!
//! What comes back is not believed: it must be a list of this root by its key, with a number above
//! every earlier one, in force now, and naming every certificate that we hold to be revoked.

use std::collections::{BTreeMap, BTreeSet};

use ca::cert::{Certificate, Serial, SignedData};
use ca::issuer::IssuerCertificate;
use ca::lint::{ForList, Linted};
use ca::records::AuthorityRecord;
use store::again;
use store::file::Pace;
use time::{Duration, OffsetDateTime};

use crate::build::{ListTerms, SignedList, certificate_of, claim, draft};
use crate::files::sha256;
use crate::publication::Publication;
use crate::verify::ParsedList;
use crate::{Error, ListRecord, Placed, Plan, Publisher, Validity};

/// A list may be dated this far ahead of our clock: the machine that signs has its own.
const CLOCK_TOLERANCE: Duration = Duration::hours(1);

/// The root's next list, ready to be signed where its key is.
pub struct RootCrlDraft {
    /// The root.
    pub root: Certificate,
    /// The to-be-signed list, which passed every check here.
    pub linted: Linted<ForList>,
}

/// A root list that was signed elsewhere and is now in place.
#[derive(Debug)]
pub struct Installed {
    /// What came of placing it.
    pub publication: Publication,
    /// Certificates that it names and we don't know to be revoked.
    pub unknown: Vec<Serial>,
}

/// Why a list from elsewhere was not installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// It is not a list.
    #[error(transparent)]
    Form(#[from] crate::VerifyError),
    /// Another authority's list.
    #[error("the list is not of this root, {root}: its issuer differs")]
    Issuer {
        /// The root's subject.
        root: String,
    },
    /// Not signed by the root's key.
    #[error("the list was not signed by the root's key")]
    Signature(#[source] ca::cert::SignatureError),
    /// It has no number, or one that was used before.
    #[error("the list's number is not above the last one, {last}")]
    Number {
        /// The last number that was published.
        last: String,
    },
    /// It is not in force.
    #[error("the list is not in force: from {this_update} to {next_update}")]
    Dates {
        /// Its thisUpdate.
        this_update: OffsetDateTime,
        /// Its nextUpdate, or what it says instead.
        next_update: String,
    },
    /// Only the whole, direct list of an authority is published.
    #[error("the list speaks for a part of the certificates only, or has a critical extension")]
    Scope,
    /// Certificates that are revoked are not on it.
    #[error("the list lacks {} that are revoked: {}", missing.len(), missing.iter().map(Serial::to_string).collect::<Vec<_>>().join(", "))]
    Missing {
        /// Their serials.
        missing: Vec<Serial>,
    },
}

impl Publisher {
    /// Writes the root's next list, for signing where its key is. Nothing is claimed: a draft that is
    /// never signed leaves no trace.
    ///
    /// # Errors
    /// [`Error::UnknownAuthority`], and as for publishing.
    pub fn root_draft(&self, validity: Validity, now: OffsetDateTime) -> Result<RootCrlDraft, Error> {
        let (authority, issuer) = self.root()?;
        let is_placed = |last: &ListRecord| self.is_placed(&authority.key_id, last);
        let number_in_place = || self.number_in_place(&authority);
        let validity = validity.of(&authority);
        let terms = ListTerms { validity, now, is_placed: &is_placed, number_in_place: &number_in_place };
        let draft = draft(self.store(), &issuer, self.revoked(), &terms)?;
        Ok(RootCrlDraft { root: issuer.certificate().clone(), linted: draft.linted })
    }

    /// Checks a root list that was signed elsewhere (DER or PEM), and places it.
    ///
    /// # Errors
    /// [`Error::Install`] if it can't be relied on; [`Error::Store`].
    pub fn install_root(&self, list: &[u8], now: OffsetDateTime) -> Result<Installed, Error> {
        let (authority, issuer) = self.root()?;
        let id = authority.key_id;
        let parsed = ParsedList::read(list).map_err(InstallError::from)?;
        let der = parsed.der().to_vec();
        let draft_and_unknown: Result<_, Error> = again(|| {
            let previous = crate::build::last(self.store(), &id)?;
            let record = previous.as_ref().map(|previous| &previous.record);
            let placed = record.map_or(Placed::No, |record| self.is_placed(&id, record));
            let accepted = accept(&parsed, &issuer, record, now)?;
            let plan = Plan::of_signed(record, placed, accepted.number, accepted.dates);
            let snapshot = self.revoked().snapshot(&id)?;
            let listed: BTreeSet<Serial> = accepted.serials.iter().copied().collect();
            let due = snapshot.list().iter().filter(|entry| plan.names(entry)).map(|entry| *entry.serial());
            let missing: Vec<Serial> = due.filter(|serial| !listed.contains(serial)).collect();
            if !missing.is_empty() {
                return Err(InstallError::Missing { missing }.into());
            }
            let unknown: Vec<Serial> =
                listed.into_iter().filter(|serial| snapshot.list().find(serial).is_none()).collect();
            let digest = sha256(accepted.tbs);
            let record = plan.record(snapshot.through(), accepted.serials.len() as u64, digest);
            claim(self.store(), &id, &record, previous.as_ref().map(|previous| previous.version), now)?;
            Ok((record, unknown))
        });
        let (record, unknown) = draft_and_unknown?;
        let mut publication = Publication::default();
        let signed = BTreeMap::from([(id, SignedList { record, der })]);
        self.place(&self.kept(now)?, signed, Pace::Whole, &mut publication);
        Ok(Installed { publication, unknown })
    }

    fn root(&self) -> Result<(AuthorityRecord, IssuerCertificate), Error> {
        let current = ca::authority::Current::load(self.store()).map_err(Error::Authorities)?;
        let root = current.root.record;
        let issuer = certificate_of(&root)?;
        Ok((root, issuer))
    }
}

/// What a signed list says, once it may be relied on.
struct Accepted<'a> {
    number: crate::CrlNumber,
    dates: (OffsetDateTime, OffsetDateTime),
    serials: Vec<Serial>,
    tbs: &'a [u8],
}

fn accept<'a>(
    parsed: &'a ParsedList,
    root: &IssuerCertificate,
    last: Option<&ListRecord>,
    now: OffsetDateTime,
) -> Result<Accepted<'a>, InstallError> {
    let signed: SignedData<'_> = parsed.signed()?;
    if parsed.issuer() != root.certificate().subject_raw() {
        return Err(InstallError::Issuer { root: root.certificate().subject_display() });
    }
    signed.verify(root.public_key()).map_err(InstallError::Signature)?;
    if !parsed.is_whole() {
        return Err(InstallError::Scope);
    }
    let number = parsed.number().filter(|number| last.is_none_or(|last| *number > last.number));
    let number = number.ok_or_else(|| InstallError::Number {
        last: last.map_or_else(|| "none".to_owned(), |last| last.number.to_string()),
    })?;
    let this_update = parsed.this_update();
    match parsed.next_update() {
        Some(next_update) if this_update <= now + CLOCK_TOLERANCE && now < next_update => {
            let serials = parsed.serials().to_vec();
            Ok(Accepted { number, dates: (this_update, next_update), serials, tbs: signed.tbs })
        }
        next_update => Err(InstallError::Dates {
            this_update,
            next_update: next_update.map_or_else(|| "unknown".to_owned(), |time| time.to_string()),
        }),
    }
}
