//! What becomes of an account once it is there: another contact, another key, its end (RFC 8555 §7.3.2,
//! §7.3.5, §7.3.6).
//!
//! What is begun is durable before the authority hears of it. A key that takes over is kept beside the one
//! before until the authority has said which of the two it knows: whoever finds both asks first, so that no
//! interruption leaves an account that nobody can use. An account that was ended is not replaced by itself.

use ca::cert::EmailAddress;
use serde_json::{Value, json};
use store::{Batch, Class, Store, Table, Versioned};

use super::account::{account_name, ask_for_account, ended, unsigned};
use super::model::{AccountRecord, End};
use super::session::{Fault, Session};
use super::{Authority, Client};
use crate::Error;
use crate::wire::jws::AccountKey;

/// The most accounts that are listed.
const ACCOUNTS: usize = 256;
/// Seconds before a contact is told again that the authority did not take.
const CONTACT_PAUSE: i64 = 3_600;

/// Every account that is stored.
pub fn accounts(store: &Store) -> Result<Vec<AccountRecord>, Error> {
    let all = Table::<AccountRecord>::list(store, None, ACCOUNTS)?;
    Ok(all.into_iter().map(|stored| stored.record).collect())
}

impl Client {
    /// What the public key of an account is known by (RFC 7638).
    pub fn thumbprint(&self, authority: &Authority, record: &AccountRecord) -> Result<String, Error> {
        let key = self.open_key(&account_name(authority), &record.directory, &record.sealed_key)?;
        Ok(key.thumbprint())
    }

    /// Tells the authority another contact (RFC 8555 §7.3.2).
    pub async fn change_contact(&self, authority: &Authority, contact: &EmailAddress) -> Result<(), Error> {
        let _alone = self.gate.0.lock().await;
        let session = Session::open(authority, self.limits).await?;
        let name = account_name(authority);
        let stored = self.in_use(&session, &name).await?;
        self.tell_contact(&session, &name, stored, contact.to_string()).await.map(|_stored| ())
    }

    /// Tells the authority another contact if the account there has another one; after a failure not before
    /// an hour has passed.
    pub async fn follow_contact(&self, authority: &Authority, contact: &EmailAddress) -> Result<(), Error> {
        let name = account_name(authority);
        let now = (self.clock)().unix_timestamp();
        let due = |record: &AccountRecord| {
            record.url.is_some()
                && record.end.is_none()
                && record.contact.as_ref() != Some(&contact.to_string())
                && record.contact_due.is_none_or(|due| due <= now)
        };
        if !Table::<AccountRecord>::get(&self.store, &name)?.is_some_and(|stored| due(&stored.record)) {
            return Ok(());
        }
        let Err(refused) = self.change_contact(authority, contact).await else { return Ok(()) };
        if let Some(stored) = Table::<AccountRecord>::get(&self.store, &name)? {
            let record = AccountRecord { contact_due: Some(now + CONTACT_PAUSE), ..stored.record };
            self.put_account(&name, record, Some(stored.version), "put off the contact of an ACME account")?;
        }
        Err(refused)
    }

    /// Gives the account another key (RFC 8555 §7.3.5). If this fails, the account has one of the two, both
    /// are stored, and the next that needs it asks the authority which.
    pub async fn roll_key(&self, authority: &Authority) -> Result<(), Error> {
        let _alone = self.gate.0.lock().await;
        let session = Session::open(authority, self.limits).await?;
        let url = session.directory.key_change.clone().ok_or_else(|| Error::Unsupported {
            directory: session.url.to_string(),
            what: "changing an account's key",
        })?;
        let name = account_name(authority);
        let stored = self.in_use(&session, &name).await?;
        let next = self.seal_new_key(&name)?;
        let record = AccountRecord { sealed_next: Some(next.clone()), ..stored.record };
        let begin = "begin to change the key of an ACME account";
        let stored = self.put_account(&name, record, Some(stored.version), begin)?;
        let new = self.open_key(&name, session.url.as_str(), &next)?;
        let (old, account) = self.signer(&session, &name, &stored.record)?;
        let inner = new.take_over(&account, &old, &url);
        let inner =
            inner.map_err(|source| Error::AccountKey { directory: session.url.to_string(), source })?;
        let asked = session
            .insist("another account key", async || post(&session, &old, &account, &url, &inner).await)
            .await;
        let Err(refused) = asked else {
            return self.take_over(&name, stored).map(|_stored| ());
        };
        // Of a refusal nothing can be told: a try before it may have been heard, and its answer lost.
        match self.with_one_key(&session, &name, stored).await?.record.sealed_key == next {
            true => Ok(()),
            false => Err(refused),
        }
    }

    /// Ends the account (RFC 8555 §7.3.6): nothing can be obtained or revoked by it any more.
    pub async fn deactivate(&self, authority: &Authority) -> Result<(), Error> {
        let _alone = self.gate.0.lock().await;
        let session = Session::open(authority, self.limits).await?;
        let name = account_name(authority);
        let stored = self.opened(&session, &name)?;
        let mut heard = match stored.record.end {
            Some(End::Done) => return Ok(()),
            Some(End::Asked) => true,
            None => false,
        };
        let stored = self.with_one_key(&session, &name, stored).await?;
        let (key, account) = self.signer(&session, &name, &stored.record)?;
        let end = |stored: Versioned<AccountRecord>, end, what: &str| {
            let record = AccountRecord { end, ..stored.record };
            self.put_account(&name, record, Some(stored.version), what)
        };
        let stored = end(stored, Some(End::Asked), "begin to deactivate an ACME account")?;
        let wish = json!({ "status": "deactivated" });
        let asked = session
            .insist("the end of the account", async || {
                let answer = post(&session, &key, &account, &account, &wish).await;
                heard |= answer.as_ref().is_err_and(Fault::may_have_been_heard);
                answer
            })
            .await;
        match asked {
            Ok(()) => {}
            // It has ended it before, and we did not hear of it.
            Err(Error::Authority { problem, .. })
                if heard && (problem.is("unauthorized") || problem.is("accountDoesNotExist")) => {}
            Err(refused @ Error::Authority { .. }) if !heard => {
                end(stored, None, "an ACME account is not deactivated")?;
                return Err(refused);
            }
            Err(other) => return Err(other),
        }
        end(stored, Some(End::Done), "deactivate an ACME account").map(|_stored| ())
    }

    /// Forgets an account that was ended: the next order opens another.
    pub fn forget_account(&self, authority: &Authority) -> Result<(), Error> {
        let name = account_name(authority);
        let directory = authority.directory.to_string();
        let stored = Table::<AccountRecord>::get(&self.store, &name)?;
        let stored = stored.ok_or_else(|| Error::NoAccount { directory: Some(directory.clone()) })?;
        match stored.record.end {
            Some(End::Done) => {}
            Some(End::Asked) => return Err(ended(&stored.record)),
            None => return Err(Error::InUse { directory }),
        }
        let now = (self.clock)().unix_timestamp();
        let what = format!("forget a deactivated ACME account at {directory}");
        let mut batch = Batch::new(Class::Ledger, now, &*self.who, what);
        batch.expect_unchanged(stored.key.clone(), stored.version);
        batch.delete(stored.key);
        self.commit(batch, &directory)
    }

    /// The account that is stored, with one key.
    pub(super) async fn in_use(
        &self,
        session: &Session,
        name: &str,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let stored = self.opened(session, name)?;
        match stored.record.end {
            None => self.with_one_key(session, name, stored).await,
            Some(_) => Err(ended(&stored.record)),
        }
    }

    fn opened(&self, session: &Session, name: &str) -> Result<Versioned<AccountRecord>, Error> {
        let stored = Table::<AccountRecord>::get(&self.store, name)?;
        let lost = || Error::AccountLost { directory: session.url.to_string() };
        stored.filter(|stored| stored.record.url.is_some()).ok_or_else(lost)
    }

    /// Where two keys are stored, asks the authority which it knows, and drops the other.
    pub(super) async fn with_one_key(
        &self,
        session: &Session,
        name: &str,
        stored: Versioned<AccountRecord>,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let Some(next) = &stored.record.sealed_next else { return Ok(stored) };
        let key = self.open_key(name, session.url.as_str(), next)?;
        let only = json!({ "onlyReturnExisting": true });
        match ask_for_account(session, "asking whose key it is", &key, &only).await {
            Ok(found) if Some(&found) == stored.record.url.as_ref() => self.take_over(name, stored),
            Ok(other) => {
                tracing::warn!(account = other, "a key that was made here belongs to another account");
                self.keep_before(name, stored)
            }
            // RFC 8555 §7.3.1: it knows no account of this key.
            Err(Error::Authority { problem, .. }) if problem.is("accountDoesNotExist") => {
                self.keep_before(name, stored)
            }
            Err(other) => Err(other),
        }
    }

    fn take_over(
        &self,
        name: &str,
        stored: Versioned<AccountRecord>,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let Some(next) = stored.record.sealed_next.clone() else { return Ok(stored) };
        let record = AccountRecord { sealed_key: next, sealed_next: None, ..stored.record };
        self.put_account(name, record, Some(stored.version), "change the key of an ACME account")
    }

    fn keep_before(
        &self,
        name: &str,
        stored: Versioned<AccountRecord>,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let record = AccountRecord { sealed_next: None, ..stored.record };
        self.put_account(name, record, Some(stored.version), "keep the key of an ACME account")
    }

    /// Tells the authority another contact, and notes it.
    pub(super) async fn tell_contact(
        &self,
        session: &Session,
        name: &str,
        stored: Versioned<AccountRecord>,
        contact: String,
    ) -> Result<Versioned<AccountRecord>, Error> {
        let (key, account) = self.signer(session, name, &stored.record)?;
        let wish = json!({ "contact": [format!("mailto:{contact}")] });
        session
            .insist("a new contact", async || post(session, &key, &account, &account, &wish).await)
            .await?;
        let record = AccountRecord { contact: Some(contact), contact_due: None, ..stored.record };
        self.put_account(name, record, Some(stored.version), "change the contact of an ACME account")
    }

    /// The account's key and URL.
    fn signer(
        &self,
        session: &Session,
        name: &str,
        record: &AccountRecord,
    ) -> Result<(AccountKey, String), Error> {
        let key = self.open_key(name, session.url.as_str(), &record.sealed_key)?;
        Ok((key, record.url.clone().unwrap_or_default()))
    }
}

/// Posts a request that the account signs.
async fn post(
    session: &Session,
    key: &AccountKey,
    account: &str,
    url: &str,
    payload: &Value,
) -> Result<(), Fault> {
    let nonce = session.nonce().await?;
    let jws = key.sign_as(account, url, &nonce, Some(payload)).map_err(unsigned)?;
    session.post(url, &jws).await.map(|_answer| ())
}
