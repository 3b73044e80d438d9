//! The account at an authority (RFC 8555 §7.3): one for each directory and external key, kept and
//! used again.
//!
//! The key is sealed and durable before the authority hears of it. An account that the authority has
//! forgotten is replaced by a new one, and the caller is told; one that was ended is not. Nobody agrees to
//! terms but the user.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::header::LOCATION;
use instant_acme::{Account, Key};
use minicbor::bytes::ByteVec;
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use store::{Batch, Class, Table, Versioned};

use super::authority::{Authority, ExternalAccount};
use super::model::{AccountRecord, End};
use super::session::{Fault, Session};
use super::{Application, Client, Note, Terms};
use crate::Error;
use crate::wire::jws::{AccountKey, KeyFault};

const CREATING: &str = "a new account";

/// How often another run may win before this one gives up.
const RACES: u32 = 3;

/// Whether a forgotten account may be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    /// The authority does not know the one with this URL.
    Lost(String),
    /// Use the one that is stored.
    No,
}

/// Lets one run at a time look for an account and make one; every clone is the same gate. Without it
/// two that come at once for the first time would both make one.
#[derive(Clone, Default)]
pub struct Gate(pub(super) Arc<tokio::sync::Mutex<()>>);

impl Client {
    /// The account for an application, created if there is none yet.
    ///
    /// Should another node make one at the same time, one key is stored, both register it, and the
    /// authority answers both with the same account (RFC 8555 §7.3.1).
    pub(crate) async fn account(
        &self,
        session: &Session,
        application: &Application,
        mut replace: Replace,
        note: &mut dyn FnMut(Note),
    ) -> Result<Account, Error> {
        let _alone = self.gate.0.lock().await;
        for _ in 0..RACES {
            match self.account_once(session, application, &replace, note).await {
                Err(Error::Busy { .. }) => replace = Replace::No,
                outcome => return outcome,
            }
        }
        Err(Error::Busy { names: application.names.to_string() })
    }

    async fn account_once(
        &self,
        session: &Session,
        application: &Application,
        replace: &Replace,
        note: &mut dyn FnMut(Note),
    ) -> Result<Account, Error> {
        let authority = &application.authority;
        let name = account_name(authority);
        let stored = Table::<AccountRecord>::get(&self.store, &name)?;
        let record = match (stored, replace) {
            (Some(stored), _) if stored.record.end.is_some() => return Err(ended(&stored.record)),
            (Some(stored), Replace::Lost(url)) if stored.record.url.as_ref() == Some(url) => {
                note(Note::AccountLost { directory: session.url.to_string() });
                self.new_key(&name, authority, application, Some(stored))?
            }
            // It is there, or another run has replaced the one that was lost.
            (Some(stored), _) if stored.record.url.is_some() => {
                let stored = self.keep_external(&name, authority, stored)?;
                let stored = self.with_one_key(session, &name, stored).await?;
                let stored = self.update_contact(session, application, stored, &name).await?;
                return self.stored_account(session, &name, &stored.record).await;
            }
            // The key is there, the answer to newAccount never came: the same key again (§7.3.1).
            (Some(stored), _) => self.keep_external(&name, authority, stored)?,
            (None, _) => {
                agree(session, application.terms)?;
                require_external(session, authority)?;
                self.new_key(&name, authority, application, None)?
            }
        };
        self.register(session, &name, authority, record).await
    }

    /// The account that is stored, for what needs no new one.
    pub(crate) async fn known_account(
        &self,
        session: &Session,
        authority: &Authority,
    ) -> Result<Account, Error> {
        let name = account_name(authority);
        let stored = self.in_use(session, &name).await?;
        self.stored_account(session, &name, &stored.record).await
    }

    /// The external account that was given when the account was made.
    pub fn stored_external(
        &self,
        authority: &Authority,
        kid: &str,
    ) -> Result<Option<ExternalAccount>, Error> {
        let name = account_digest(authority.directory.as_str(), Some(kid));
        let Some(stored) = Table::<AccountRecord>::get(&self.store, &name)? else { return Ok(None) };
        let Some(sealed) = &stored.record.sealed_external else { return Ok(None) };
        let key = self.sealing.open(sealed, &aad(&name, "external"))?;
        Ok(Some(ExternalAccount::from_stored(kid.to_owned(), key)))
    }

    /// The key of the account that is stored.
    pub(crate) fn account_key(&self, session: &Session, authority: &Authority) -> Result<AccountKey, Error> {
        let directory = session.url.to_string();
        let name = account_name(authority);
        let Some(stored) = Table::<AccountRecord>::get(&self.store, &name)? else {
            return Err(Error::AccountLost { directory });
        };
        self.open_key(&name, &directory, &stored.record.sealed_key)
    }

    async fn stored_account(
        &self,
        session: &Session,
        name: &str,
        record: &AccountRecord,
    ) -> Result<Account, Error> {
        let key = self.sealing.open(&record.sealed_key, &aad(name, "key"))?;
        let id = record.url.clone().unwrap_or_default();
        session
            .insist("opening the account", async || {
                let key = PrivatePkcs8KeyDer::from(key.to_vec());
                Account::builder_with_http(Box::new(session.http.clone()))
                    .from_parts(id.clone(), key, session.url.to_string())
                    .await
            })
            .await
    }

    /// Makes a key and stores it, before the authority hears of it.
    fn new_key(
        &self,
        name: &str,
        authority: &Authority,
        application: &Application,
        old: Option<Versioned<AccountRecord>>,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let now = (self.clock)().unix_timestamp();
        let external = match &authority.external {
            Some(external) => Some(self.sealing.seal(external.key(), &aad(name, "external"))?),
            None => old.as_ref().and_then(|old| old.record.sealed_external.clone()).map(Vec::from),
        };
        let record = AccountRecord {
            directory: authority.directory.to_string(),
            kid: authority.external.as_ref().map(|external| external.kid().to_owned()),
            url: None,
            sealed_key: self.seal_new_key(name)?,
            sealed_external: external.map(ByteVec::from),
            contact: application.contact.as_ref().map(ToString::to_string),
            agreed: old.as_ref().map_or(now, |old| old.record.agreed),
            sealed_next: None,
            end: None,
            contact_due: None,
        };
        self.put_account(name, record, old.map(|old| old.version), "make an ACME account key")
    }

    /// Makes a key, and seals it.
    pub(super) fn seal_new_key(&self, name: &str) -> Result<ByteVec, Error> {
        let (_key, pkcs8) = Key::generate_pkcs8()
            .map_err(|source| Error::Library { doing: "making the account key", source })?;
        Ok(self.sealing.seal(pkcs8.secret_pkcs8_der(), &aad(name, "key"))?.into())
    }

    /// A key that was sealed.
    pub(super) fn open_key(&self, name: &str, directory: &str, sealed: &[u8]) -> Result<AccountKey, Error> {
        let key = self.sealing.open(sealed, &aad(name, "key"))?;
        let directory = directory.to_owned();
        AccountKey::from_pkcs8(&key).map_err(|source| Error::AccountKey { directory, source })
    }

    /// Stores the external account's key as it was given last: a renewal may need it again.
    fn keep_external(
        &self,
        name: &str,
        authority: &Authority,
        stored: Versioned<AccountRecord>,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let Some(external) = &authority.external else { return Ok(stored) };
        let aad = aad(name, "external");
        let held = match &stored.record.sealed_external {
            Some(sealed) => Some(self.sealing.open(sealed, &aad)?),
            None => None,
        };
        if held.is_some_and(|held| held.as_slice() == external.key()) {
            return Ok(stored);
        }
        let sealed = self.sealing.seal(external.key(), &aad)?;
        let record = AccountRecord { sealed_external: Some(sealed.into()), ..stored.record };
        self.put_account(name, record, Some(stored.version), "keep another external key for an ACME account")
    }

    /// Asks for the account (RFC 8555 §7.3) and stores its URL.
    async fn register(
        &self,
        session: &Session,
        name: &str,
        authority: &Authority,
        stored: Versioned<AccountRecord>,
    ) -> Result<Account, Error> {
        let key = self.open_key(name, session.url.as_str(), &stored.record.sealed_key)?;
        let url = session.directory.new_account.as_str();
        let mut payload = json!({ "termsOfServiceAgreed": true });
        if let Some(contact) = &stored.record.contact {
            payload["contact"] = json!([format!("mailto:{contact}")]);
        }
        match &authority.external {
            Some(external) => {
                payload["externalAccountBinding"] = key.bind(url, external.kid(), external.key());
            }
            None => require_external(session, authority)?,
        }
        let id = ask_for_account(session, CREATING, &key, &payload).await?;
        let record = AccountRecord { url: Some(id), ..stored.record };
        let stored = self.put_account(name, record, Some(stored.version), "open an ACME account")?;
        self.stored_account(session, name, &stored.record).await
    }

    /// Tells the authority another contact, if the user gave another one.
    async fn update_contact(
        &self,
        session: &Session,
        application: &Application,
        stored: Versioned<AccountRecord>,
        name: &str,
    ) -> Result<Versioned<AccountRecord>, Error> {
        match application.contact.as_ref().map(ToString::to_string) {
            Some(contact) if stored.record.contact.as_ref() != Some(&contact) => {
                let before = stored.clone();
                match self.tell_contact(session, name, stored, contact).await {
                    // The order that follows will find out, and replace it.
                    Err(error) if is_lost(&error) => Ok(before),
                    outcome => outcome,
                }
            }
            Some(_) | None => Ok(stored),
        }
    }

    pub(super) fn put_account(
        &self,
        name: &str,
        record: AccountRecord,
        version: Option<store::Version>,
        what: &str,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let what = format!("{what} at {}", record.directory);
        let mut batch = Batch::new(Class::Ledger, (self.clock)().unix_timestamp(), &*self.who, what);
        batch.expect(Table::<AccountRecord>::key(name), version);
        Table::put(&mut batch, name, &record);
        self.commit(batch, &record.directory)?;
        match Table::<AccountRecord>::get(&self.store, name)? {
            Some(stored) if stored.record == record => Ok(stored),
            Some(_) | None => Err(Error::Busy { names: record.directory }),
        }
    }
}

/// Asks for an account by `newAccount` (RFC 8555 §7.3), and returns its URL.
pub(super) async fn ask_for_account(
    session: &Session,
    doing: &'static str,
    key: &AccountKey,
    payload: &serde_json::Value,
) -> Result<String, Error> {
    let url = session.directory.new_account.as_str();
    session
        .insist(doing, async || {
            let nonce = session.nonce().await?;
            let jws = key.sign(url, &nonce, payload).map_err(unsigned)?;
            let (_body, headers) = session.post(url, &jws).await?;
            let location = headers.get(LOCATION).and_then(|to| to.to_str().ok());
            location
                .map(str::to_owned)
                .ok_or_else(|| Fault::Library("the answer to newAccount names no account".into()))
        })
        .await
}

/// A request that could not be signed.
pub(super) fn unsigned(fault: KeyFault) -> Fault {
    Fault::Library(instant_acme::Error::Other(fault.into()))
}

/// That an account was ended, or is to be.
pub(super) fn ended(record: &AccountRecord) -> Error {
    let directory = record.directory.clone();
    match record.end {
        Some(End::Asked) => Error::Deactivating { directory },
        Some(End::Done) | None => Error::Deactivated { directory },
    }
}

/// The record's name: a digest of what makes the account one of its own.
pub(crate) fn account_name(authority: &Authority) -> String {
    account_digest(authority.directory.as_str(), authority.external.as_ref().map(ExternalAccount::kid))
}

pub(super) fn account_digest(directory: &str, kid: Option<&str>) -> String {
    hex_digest(&[directory, kid.unwrap_or_default()])
}

/// SHA-256 over the parts with a separator that none of them can hold, as hex.
pub(crate) fn hex_digest(parts: &[&str]) -> String {
    let digest = digest(&SHA256, parts.join("\n").as_bytes());
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Binds a sealed value to its place.
pub(crate) fn aad(name: &str, what: &str) -> Vec<u8> {
    format!("acme/{name}/{what}").into_bytes()
}

/// Whether the authority does not know the account (RFC 8555 §6.7).
pub(crate) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Authority { problem, .. } if problem.is("accountDoesNotExist"))
}

fn require_external(session: &Session, authority: &Authority) -> Result<(), Error> {
    match &authority.external {
        None if session.directory.meta.external_account_required => {
            Err(Error::ExternalAccountRequired { directory: session.url.to_string() })
        }
        None | Some(_) => Ok(()),
    }
}

fn agree(session: &Session, terms: Terms) -> Result<(), Error> {
    match terms {
        Terms::Agreed => Ok(()),
        Terms::NotAgreed => Err(Error::Agreement {
            directory: session.url.to_string(),
            terms: session.directory.meta.terms_of_service.clone(),
        }),
    }
}
