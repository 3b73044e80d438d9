//! Adding and editing entries.

use ca::cert::Certificate;
use ca::records::RestsOn;
use store::{Batch, Class, Table, Versioned};
use time::OffsetDateTime;

use super::{Cause, ChangeError, Wish};
use crate::decide::ROOT;
use crate::entry::{Denial, Entry, EntryName, Id, KeyDigest, Subject};
use crate::local::{trust_user, user_id};
use crate::presented::{Holder, LocalUser};
use crate::rights::Rights;
use crate::set::State;

/// Proof that a certificate may be added. Only [`crate::Gate::vet`] and [`crate::Gate::vet_again`] make
/// one.
#[derive(Clone, Debug)]
pub struct Vetted {
    pub(crate) rests_on: RestsOn,
    pub(crate) lifting: Lifting,
}

impl Vetted {
    /// The same for a way in that lifts nothing.
    pub(crate) fn without_lifting(&self) -> Vetted {
        Vetted { rests_on: self.rests_on.clone(), lifting: Lifting::NoDenial }
    }
}

/// Whether adding lifts a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifting {
    /// There is none: it would have been refused.
    NoDenial,
    /// Whoever adds it lifts what there is.
    Denials,
}

/// Adds the entry of a certificate. A denial of it or of its key goes if it was vetted to be added
/// again.
///
/// # Errors
/// [`ChangeError::Already`], [`ChangeError::Widens`], [`ChangeError::Weak`].
pub fn add_certificate(
    state: &State,
    holder: &Holder,
    vetted: &Vetted,
    wish: &Wish,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Batch, ChangeError> {
    cause.covers(&wish.rights)?;
    if let Some(entry) = state.entry_of(holder.fingerprint()) {
        return Err(ChangeError::Already { name: entry.record.name.clone() });
    }
    holder.certificate().public_key().check_strength().map_err(|source| ChangeError::Weak { source })?;
    let name = name_of(holder, wish.name.as_ref());
    let what = format!(
        "trust add {name} fingerprint={} rights={} origin={}",
        holder.fingerprint(),
        wish.rights,
        wish.origin.as_str()
    );
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &cause.who, what);
    cause.rests_on.demand(&mut batch);
    vetted.rests_on.demand(&mut batch);
    match vetted.lifting {
        Lifting::NoDenial => {}
        Lifting::Denials => {
            for id in [Id::Certificate(*holder.fingerprint()), Id::Key(*holder.key())] {
                if state.denial(&id).is_some() {
                    batch.delete(Denial::key(&id));
                }
            }
        }
    }
    put_entry(&mut batch, holder, name, wish, &cause.who, now);
    Ok(batch)
}

/// Adds the entry of a certificate of ours to the batch that records it
/// ([`ca::issue::Desk::issue_joined`]): for `issue-client --trust`, and for an enrolment.
///
/// # Errors
/// [`ChangeError::Widens`]; [`ChangeError::Denied`] if a certificate of its key was removed and whoever
/// causes this may not lift that.
pub fn trust_issued(
    batch: &mut Batch,
    state: &State,
    certificate: &Certificate,
    wish: &Wish,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<(), ChangeError> {
    cause.covers(&wish.rights)?;
    let holder = Holder::new(certificate.clone(), Vec::new());
    let id = Id::Key(*holder.key());
    let denial = state.denial(&id);
    if let Some(denial) = denial {
        if !cause.may_give.cover(&Rights::FULL) {
            return Err(ChangeError::Denied { name: denial.record.name.clone() });
        }
        batch.delete(Denial::key(&id));
    }
    batch.expect(Denial::key(&id), denial.map(|denial| denial.version));
    let name = name_of(&holder, wish.name.as_ref());
    put_entry(batch, &holder, name, wish, &cause.who, now);
    Ok(())
}

/// Adds the put of a certificate's first entry to a batch.
pub(crate) fn put_entry(
    batch: &mut Batch,
    holder: &Holder,
    name: EntryName,
    wish: &Wish,
    who: &str,
    now: OffsetDateTime,
) {
    let entry = Entry {
        subject: Subject::Certificate {
            der: holder.certificate().der().to_vec(),
            former: Vec::new(),
            key: *holder.key(),
        },
        name,
        rights: wish.rights.clone(),
        origin: wish.origin,
        added_by: who.to_owned(),
        added_at: now.unix_timestamp(),
    };
    let key = Entry::key(&entry.id());
    batch.expect_absent(key.clone());
    batch.put(key, Table::encode(&entry));
}

/// What was asked for, else the common name, else the beginning of the fingerprint.
pub(crate) fn name_of(holder: &Holder, wished: Option<&EntryName>) -> EntryName {
    let common = || holder.certificate().common_name().and_then(EntryName::nearest);
    wished.cloned().or_else(common).unwrap_or_else(|| EntryName::of_fingerprint(holder.fingerprint()))
}

/// Trusts a user of this machine, and lifts their denial: `sudo pki trust add --local-user NAME`.
///
/// # Errors
/// [`ChangeError::AlwaysTrusted`], [`ChangeError::Already`], [`ChangeError::Widens`].
pub fn add_user(
    state: &State,
    user: &LocalUser,
    wish: &Wish,
    owner: u32,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Batch, ChangeError> {
    cause.covers(&wish.rights)?;
    if user.uid == ROOT || user.uid == owner {
        return Err(ChangeError::AlwaysTrusted);
    }
    let id = user_id(user);
    let denial = state.denial(&id);
    if let Some(entry) = state.entry(&id) {
        // The entry of somebody who had the id before gives way.
        let same = matches!(&entry.record.subject, Subject::User { name, .. } if *name == user.name);
        if same && denial.is_none() {
            return Err(ChangeError::Already { name: entry.record.name.clone() });
        }
    }
    let rests_on = cause.rests_on.clone().and(Denial::key(&id), denial.map(|denial| denial.version));
    let rights = Some(wish.rights.clone());
    let mut batch = trust_user(user, rights, wish.origin, rests_on, state, &cause.who, now);
    if denial.is_some() {
        batch.delete(Denial::key(&id));
    }
    Ok(batch)
}

/// What an edit changes; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The new name.
    pub name: Option<EntryName>,
    /// The new rights.
    pub rights: Option<Rights>,
}

/// Edits an entry; `None` if that changes nothing.
///
/// # Errors
/// [`ChangeError::Widens`], also if the entry's present rights are more than theirs.
pub fn edit(
    entry: &Versioned<Entry>,
    edit: &Edit,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Option<Batch>, ChangeError> {
    let mut record = entry.record.clone();
    cause.covers(&record.rights)?;
    if let Some(rights) = &edit.rights {
        cause.covers(rights)?;
        record.rights = rights.clone();
    }
    if let Some(name) = &edit.name {
        record.name = name.clone();
    }
    if record == entry.record {
        return Ok(None);
    }
    let what = format!("trust edit {} {} rights={}", shown(&entry.record), record.name, record.rights);
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &cause.who, what);
    cause.rests_on.demand(&mut batch);
    batch.expect_unchanged(entry.key.clone(), entry.version);
    batch.put(entry.key.clone(), Table::encode(&record));
    Ok(Some(batch))
}

/// Whom an entry is about, for the audit trail.
pub(crate) fn shown(entry: &Entry) -> String {
    match entry.id() {
        Id::Certificate(fingerprint) => format!("fingerprint={fingerprint}"),
        Id::Key(key) => format!("key={key}"),
        Id::Person(person) => format!("person={person}"),
        Id::User(uid) => format!("local-user={uid}"),
    }
}

/// The keys of every certificate that an entry admits.
pub(crate) fn keys(entry: &Entry) -> Vec<KeyDigest> {
    match &entry.subject {
        Subject::Certificate { key, former, .. } => {
            std::iter::once(*key).chain(former.iter().map(|former| former.key)).collect()
        }
        Subject::User { .. } => Vec::new(),
    }
}
