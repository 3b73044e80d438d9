//! Imported authorities: `pki trust ca add|list|remove`.
//!
//! Whether a list will count is looked at before its authority comes in: without it those that it names
//! would be let in. A list is kept in `trusted-ca/lists/`, from where it is loaded again after a restart;
//! what it was is remembered in the store, so that no older file takes its place.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ca::cert::Certificate;
use crl::ParsedList;
use serde::{Deserialize, Serialize};
use store::Versioned;
use store::file::{OnExisting, Visibility, make_dir, place};
use time::OffsetDateTime;
use trust::authority::{Authority, Import, ListHealth, Source, forget, import, read_lists};
use trust::entry::KeyDigest;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{TrustError, settle};
use crate::Pki;
use crate::ops::{Error, Operation, shape};

/// An authority whose clients may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrustedAuthority {
    /// SHA-256 over its SubjectPublicKeyInfo, lower-case hex: an authority is its key.
    pub key: String,
    /// Its distinguished name, RFC 4514.
    pub subject: String,
    /// SHA-256 over the certificate's DER, lower-case hex.
    pub fingerprint: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its last second.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// `added`, or `file` if it stands in `trusted-ca/server.ca`.
    pub source: String,
    /// Who imported it.
    pub added_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub added_at: OffsetDateTime,
    /// Its list; `None` if it never had one.
    pub list: Option<TrustedList>,
}

/// The list of an imported authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrustedList {
    /// The highest number that was ever seen, decimal.
    pub number: String,
    /// When that list was made.
    #[serde(with = "time::serde::rfc3339")]
    pub this_update: OffsetDateTime,
    /// When the next one is due at the latest.
    #[serde(with = "time::serde::rfc3339")]
    pub next_update: OffsetDateTime,
    /// How many certificates it names.
    pub entries: u64,
    /// `fresh`, `ageing` past half of its life, `expired`, or `missing`: until it is loaded again its
    /// authority's clients are refused.
    pub state: String,
}

/// Imports authorities, and lists of theirs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthorityImport {
    /// The certificates of the authorities, PEM.
    pub certificates: String,
    /// Lists that they have signed, PEM; empty for none.
    pub lists: String,
}

/// What an import came to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthorityImported {
    /// The authorities of the request, as they are now.
    pub authorities: Vec<TrustedAuthority>,
    /// Keys of those among them that were not imported before, or now have a later certificate.
    pub new: Vec<String>,
}

impl Operation for AuthorityImport {
    const NAME: &'static str = "trust-ca-add";
    const ACTION: Action = Action::Trust;
    // It lets in whom nobody names: `trust` alone, which gives no more than it has, is not enough.
    const ALSO: &'static [Action] = &[Action::Configure];
    type Reply = AuthorityImported;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<AuthorityImported, Error> {
        let certificates = Certificate::pem_bundle(self.certificates.as_bytes()).map_err(ca::Error::from)?;
        let mut lists = match self.lists.trim() {
            "" => Vec::new(),
            lists => read_lists(lists.as_bytes()).map_err(|error| trust::Error::List(error.into()))?,
        };
        let who = permit.peer().to_string();
        // Each is looked at before the first is imported.
        for certificate in &certificates {
            import(certificate, None, Source::Added, &who, now).map_err(trust::Error::from)?;
        }
        lists.sort_by_key(|list| Reverse(list.number()));
        let mut newest: BTreeMap<KeyDigest, &ParsedList> = BTreeMap::new();
        for list in &lists {
            newest.entry(check(pki, list, &certificates, now)?).or_insert(list);
        }
        // Before an authority is one: wherever this is interrupted, none stands there without its list, which
        // would let in whomever the list names.
        for (authority, list) in newest {
            keep_list(pki, &authority, list)?;
        }
        let mut new = Vec::new();
        for certificate in &certificates {
            let key = KeyDigest::of(certificate);
            let imported = settle(pki, || {
                let state = pki.gate().set().now()?;
                let read = state.authority(&key).map(AsRef::as_ref);
                match import(certificate, read, Source::Added, &who, now).map_err(trust::Error::from)? {
                    Import::New(batch) => Ok((Some(batch), true)),
                    Import::Already => Ok((None, false)),
                }
            })?;
            if imported {
                new.push(key.to_string());
            }
        }
        pki.take_lists(lists, &who, now, |_, _| Ok(()))?;
        let state = pki.gate().set().now()?;
        let mut authorities = Vec::new();
        for certificate in &certificates {
            let key = KeyDigest::of(certificate);
            if let Some(authority) = state.authority(&key) {
                authorities.push(view(pki, &state, &key, authority, now)?);
            }
        }
        Ok(AuthorityImported { authorities, new })
    }
}

/// Makes sure that a list will count once these authorities are imported, and says whose it is.
fn check(pki: &Pki, list: &ParsedList, new: &[Certificate], now: OffsetDateTime) -> Result<KeyDigest, Error> {
    let state = pki.gate().set().now()?;
    let known = state.authorities().map(|(_, authority)| authority.record.certificate());
    let known = known.collect::<Result<Vec<_>, _>>().map_err(ca::Error::from)?;
    let all: Vec<(KeyDigest, &Certificate)> =
        known.iter().chain(new).map(|certificate| (KeyDigest::of(certificate), certificate)).collect();
    let memory = |key: &KeyDigest| state.memory(key).map(|memory| memory.record.clone());
    let named = all.iter().map(|(key, certificate)| (key, *certificate));
    let loaded =
        trust::authority::LoadedList::verify(list, named, memory, now).map_err(trust::Error::from)?;
    Ok(*loaded.authority())
}

/// Keeps a list for the next start.
fn keep_list(pki: &Pki, authority: &KeyDigest, list: &ParsedList) -> Result<(), Error> {
    make_dir(&pki.layout().trusted_lists(), Visibility::Public)?;
    let path = pki.layout().trusted_list(&authority.to_string());
    Ok(place(&path, list.der(), Visibility::Public, OnExisting::Replace)?)
}

/// Every imported authority, by its key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthorityList {}

impl Operation for AuthorityList {
    const NAME: &'static str = "trust-ca-list";
    const ACTION: Action = Action::Read;
    type Reply = Vec<TrustedAuthority>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<TrustedAuthority>, Error> {
        let state = pki.gate().set().now()?;
        state.authorities().map(|(key, authority)| view(pki, &state, key, authority, now)).collect()
    }
}

/// Lets go of an imported authority: its clients are strangers from then on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthorityForget {
    /// The beginning of its key's or certificate's digest, or its common name.
    pub word: String,
}

impl Operation for AuthorityForget {
    const NAME: &'static str = "trust-ca-remove";
    const ACTION: Action = Action::Trust;
    // It lets in whom nobody names: `trust` alone, which gives no more than it has, is not enough.
    const ALSO: &'static [Action] = &[Action::Configure];
    type Reply = TrustedAuthority;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TrustedAuthority, Error> {
        let who = permit.peer().to_string();
        let before = settle(pki, || {
            let state = pki.gate().set().now()?;
            let (key, authority) = select(&state, &self.word)?;
            let shown = view(pki, &state, &key, &authority, now)?;
            Ok((Some(forget(&authority, &who, now)), shown))
        })?;
        // Left behind it would do no harm: nobody's key fits it any more.
        let path = pki.layout().trusted_list(&before.key);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = %path.display(), %error, "the list of a removed authority stays");
        }
        Ok(before)
    }
}

/// The one authority that a word means.
fn select(state: &trust::State, word: &str) -> Result<(KeyDigest, Versioned<Authority>), Error> {
    let digits: String = word.chars().filter(|&c| c != ':').collect::<String>().to_ascii_lowercase();
    let begins = |text: &str| !digits.is_empty() && text.starts_with(&digits);
    let mut fitting = Vec::new();
    for (key, authority) in state.authorities() {
        let certificate = authority.record.certificate().map_err(ca::Error::from)?;
        let named = certificate.common_name() == Some(word);
        if named || begins(&key.to_string()) || begins(&certificate.fingerprint().to_string()) {
            fitting.push((*key, Versioned::clone(authority), certificate.subject_display()));
        }
    }
    let word = ca::cert::printable(word);
    match (fitting.pop(), fitting.as_slice()) {
        (None, _) => Err(TrustError::NoAuthority { word }.into()),
        (Some((key, authority, _)), []) => Ok((key, authority)),
        (Some(last), others) => {
            let shown = |(key, _, subject): &(KeyDigest, _, String)| {
                format!("{subject} ({})", &key.to_string()[..12])
            };
            let candidates = others.iter().chain([&last]).map(shown).collect();
            Err(TrustError::Ambiguous { word, candidates }.into())
        }
    }
}

fn view(
    pki: &Pki,
    state: &trust::State,
    key: &KeyDigest,
    authority: &Versioned<Authority>,
    now: OffsetDateTime,
) -> Result<TrustedAuthority, Error> {
    let record = &authority.record;
    let certificate = record.certificate().map_err(ca::Error::from)?;
    let list = state.memory(key).map(|memory| TrustedList {
        number: memory.record.number.to_string(),
        this_update: shape::moment(memory.record.this_update),
        next_update: shape::moment(memory.record.next_update),
        entries: memory.record.entries,
        state: match pki.gate().list(key).map(|list| list.health(now)) {
            Some(ListHealth::Fresh) => "fresh",
            Some(ListHealth::Ageing) => "ageing",
            Some(ListHealth::Expired) => "expired",
            None => "missing",
        }
        .to_owned(),
    });
    Ok(TrustedAuthority {
        key: key.to_string(),
        subject: certificate.subject_display(),
        fingerprint: certificate.fingerprint().to_string(),
        certificate: certificate.to_pem(),
        not_after: certificate.not_after(),
        source: match record.source {
            Source::Added => "added",
            Source::File => "file",
        }
        .to_owned(),
        added_by: record.added_by.clone(),
        added_at: shape::moment(record.added_at),
        list,
    })
}
