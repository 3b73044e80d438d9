//! An imported authority's list: verified once, kept as a set, remembered by its number.
//!
//! Refused are lists of another key (the same name proves nothing), without a number or an end, with a
//! scope (RFC 5280 §5.2.5) or as a delta (§5.2.4), and those below the highest number ever seen. The
//! number is committed before the list counts: a restart can't be used to bring an older one back.

use std::collections::HashSet;

use ca::cert::{Certificate, Serial, date};
use crl::{CrlNumber, ListFinding, ParsedList, VerifyError};
use store::{Batch, Class, Table, Versioned};
use time::{Duration, OffsetDateTime};

use super::{Authority, ListMemory};
use crate::entry::KeyDigest;
use crate::settings::CrlExpired;

/// Why a list does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It is no list at all.
    #[error(transparent)]
    Form(#[from] VerifyError),
    /// No imported authority's key signed it, whatever name it bears.
    #[error("no imported authority signed the list of {issuer}")]
    Stranger {
        /// The name it bears.
        issuer: String,
    },
    /// The authority may not sign lists (RFC 5280 §4.2.1.3).
    #[error("{authority} signed the list and may not: its keyUsage lacks cRLSign")]
    KeyUsage {
        /// The authority.
        authority: String,
    },
    /// Something in it is not as it must be.
    #[error("the list of {authority} is refused: {finding}")]
    Unfit {
        /// The authority.
        authority: String,
        /// What is wrong.
        finding: ListFinding,
    },
    /// A newer one was loaded before.
    #[error("the list of {authority} has number {number}, and {seen} was seen already")]
    Rollback {
        /// The authority.
        authority: String,
        /// The number of this list.
        number: CrlNumber,
        /// The highest number that was ever seen.
        seen: CrlNumber,
    },
    /// The number of the newest list, and an earlier date.
    #[error("the list of {authority} has the number of the newest one and is older ({})", date(*this_update))]
    Older {
        /// The authority.
        authority: String,
        /// When this list was made.
        this_update: OffsetDateTime,
    },
}

/// How an authority's list stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListHealth {
    /// In the first half of its life.
    Fresh,
    /// Past half of its life: the next one should have come. An alarm.
    Ageing,
    /// Its time is over.
    Expired,
}

/// A list that counts, as a set of the certificates that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedList {
    authority: KeyDigest,
    number: CrlNumber,
    digest: [u8; 32],
    this_update: OffsetDateTime,
    next_update: OffsetDateTime,
    revoked: HashSet<Serial>,
}

impl LoadedList {
    /// Verifies a list against the authorities that were imported, and against what is remembered of
    /// the lists of the one that signed it.
    ///
    /// # Errors
    /// [`ListError`]: the list is not to be enforced; whatever counted before still does.
    pub fn verify<'a>(
        list: &ParsedList,
        authorities: impl IntoIterator<Item = (&'a KeyDigest, &'a Certificate)>,
        memory: impl Fn(&KeyDigest) -> Option<ListMemory>,
        now: OffsetDateTime,
    ) -> Result<LoadedList, ListError> {
        let named =
            authorities.into_iter().filter(|(_, certificate)| certificate.subject_raw() == list.issuer());
        // Of several with that name the one whose key verifies the signature.
        let mut stranger = ListError::Stranger { issuer: list.report(None, now)?.issuer };
        for (key, certificate) in named {
            let report = list.report(Some(certificate), now)?;
            if report.findings.iter().any(|finding| matches!(finding, ListFinding::Signature(_))) {
                continue;
            }
            let authority = certificate.subject_display();
            if !certificate.key_usage().is_none_or(|usage| usage.crl_sign()) {
                stranger = ListError::KeyUsage { authority };
                continue;
            }
            return LoadedList::of(list, *key, authority, report.findings, memory(key), now);
        }
        Err(stranger)
    }

    fn of(
        list: &ParsedList,
        key: KeyDigest,
        authority: String,
        findings: Vec<ListFinding>,
        memory: Option<ListMemory>,
        now: OffsetDateTime,
    ) -> Result<LoadedList, ListError> {
        let digest = digest(list.der());
        let known = memory.as_ref().is_some_and(|memory| memory.digest == digest);
        for finding in findings {
            let harmless = match &finding {
                // What was in force once stays in force when the clock falls.
                ListFinding::NotYet { .. } => known,
                // Whether it counts is asked anew at every decision.
                ListFinding::Expired { .. } => true,
                // Its signature was verified by the key itself.
                ListFinding::NoKeyId => true,
                _ => false,
            };
            if !harmless {
                return Err(ListError::Unfit { authority, finding });
            }
        }
        let unfit = |finding| ListError::Unfit { authority: authority.clone(), finding };
        let number = list.number().ok_or_else(|| unfit(ListFinding::NoNumber))?;
        let next_update = list.next_update().ok_or_else(|| unfit(ListFinding::NoNextUpdate))?;
        let this_update = list.this_update();
        if let Some(seen) = memory.filter(|_| !known) {
            if number < seen.number {
                return Err(ListError::Rollback { authority, number, seen: seen.number });
            }
            if number == seen.number && this_update.unix_timestamp() < seen.this_update {
                return Err(ListError::Older { authority, this_update });
            }
        }
        debug_assert!(now >= this_update || known);
        let revoked = list.serials().iter().copied().collect();
        Ok(LoadedList { authority: key, number, digest, this_update, next_update, revoked })
    }

    /// The batch that remembers it, to be committed before it counts; `None` if it is remembered.
    pub fn remember(
        &self,
        authority: &Versioned<Authority>,
        memory: Option<&Versioned<ListMemory>>,
        who: &str,
        now: OffsetDateTime,
    ) -> Option<Batch> {
        if memory.is_some_and(|memory| memory.record.digest == self.digest) {
            return None;
        }
        let what = format!(
            "trust ca list key={} number={} entries={}",
            self.authority,
            self.number,
            self.revoked.len()
        );
        let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
        // A full disk must not keep anyone from being locked out.
        batch.urgent();
        batch.expect_unchanged(authority.key.clone(), authority.version);
        let key = ListMemory::key(&self.authority);
        batch.expect(key.clone(), memory.map(|memory| memory.version));
        let record = ListMemory {
            number: self.number,
            digest: self.digest,
            this_update: self.this_update.unix_timestamp(),
            next_update: self.next_update.unix_timestamp(),
            entries: self.revoked.len() as u64,
            seen_at: now.unix_timestamp(),
        };
        batch.put(key, Table::encode(&record));
        Some(batch)
    }

    /// Whose list it is.
    pub fn authority(&self) -> &KeyDigest {
        &self.authority
    }

    /// Its number.
    pub fn number(&self) -> CrlNumber {
        self.number
    }

    /// SHA-256 over its DER.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// When it was made.
    pub fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    /// When the next one is due at the latest.
    pub fn next_update(&self) -> OffsetDateTime {
        self.next_update
    }

    /// How many certificates it names.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    /// Whether it names a certificate, on hold or for good.
    pub fn names(&self, serial: &Serial) -> bool {
        self.revoked.contains(serial)
    }

    /// How it stands at `now`.
    pub fn health(&self, now: OffsetDateTime) -> ListHealth {
        let life: Duration = self.next_update - self.this_update;
        if now > self.next_update {
            ListHealth::Expired
        } else if now > self.this_update + life / 2 {
            ListHealth::Ageing
        } else {
            ListHealth::Fresh
        }
    }

    /// Whether its silence about a certificate means anything at `now`.
    pub(crate) fn counts(&self, policy: CrlExpired, now: OffsetDateTime) -> bool {
        match (self.health(now), policy) {
            (ListHealth::Fresh | ListHealth::Ageing, _) | (ListHealth::Expired, CrlExpired::Warn) => true,
            (ListHealth::Expired, CrlExpired::Refuse) => false,
        }
    }
}

fn digest(der: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref());
    digest
}

/// The most bytes that are read as lists: a million entries and some.
pub const MAX_LIST_BYTES: usize = 128 * 1024 * 1024;

/// Takes apart the lists of a file: one in DER, or any number in PEM.
///
/// # Errors
/// [`VerifyError`] for anything in it that is not a list.
pub fn read_lists(bytes: &[u8]) -> Result<Vec<ParsedList>, VerifyError> {
    if bytes.len() > MAX_LIST_BYTES {
        let reason = format!("it has {} bytes, at most {MAX_LIST_BYTES} are read", bytes.len());
        return Err(VerifyError::Form { reason });
    }
    const END: &[u8] = b"-----END X509 CRL-----";
    if bytes.first() == Some(&0x30) {
        return Ok(vec![ParsedList::read(bytes)?]);
    }
    let mut lists = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(END.len()).position(|window| window == END) {
        let (block, behind) = rest.split_at(at + END.len());
        lists.push(ParsedList::read(block)?);
        rest = behind;
    }
    if lists.is_empty() || rest.windows(11).any(|window| window == b"-----BEGIN ") {
        // Says what is wrong with what is left.
        lists.push(ParsedList::read(rest)?);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests;
