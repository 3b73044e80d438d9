//! The users of this machine: what they are called, and which of them is trusted first.
//!
//! As with Multipass the first user to connect besides root and the service's own is trusted, once in
//! the life of a PKI: whoever is removed later leaves no door open behind them.

pub mod clients_file;
pub mod passphrase;
pub mod throttle;

use ca::records::RestsOn;
use minicbor::{Decode, Encode};
use store::{Batch, Class, Format, Key, Record, Table, Versioned};
use time::OffsetDateTime;

use crate::decide::ROOT;
use crate::entry::{Denial, Entry, EntryName, Id, Origin, Subject};
use crate::presented::LocalUser;
use crate::rights::Rights;
use crate::set::State;
use crate::settings::TrustFirst;

/// The name of the user `uid` as `/etc/passwd` (given as its text) has it.
///
/// Users that only a directory service knows have no name here, which costs a word in the audit
/// trail and nothing else. Control characters can't get in: such a line is passed over.
pub fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let (name, found) = user(line)?;
        (found == uid && !name.is_empty() && !name.chars().any(char::is_control)).then(|| name.to_owned())
    })
}

/// The id of the user `name`, by the same file.
pub fn user_id_of(passwd: &str, name: &str) -> Option<u32> {
    passwd.lines().filter_map(user).find(|(found, _)| *found == name).map(|(_, uid)| uid)
}

fn user(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    Some((name, fields.nth(1)?.parse().ok()?))
}

/// What the entry and the denial of a user lie under.
pub fn user_id(user: &LocalUser) -> Id {
    Id::User(user.uid)
}

/// The record `local-first/user`: the first other user has been there, and there is no second first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FirstUser {
    /// Who it was; any user who was trusted by another way counts.
    #[n(0)]
    pub uid: u32,
    /// When, in seconds since 1970.
    #[n(1)]
    pub at: i64,
}

impl Record for FirstUser {
    const TREE: &'static str = "local-first";
    const FORMAT: Format = 1;
}

impl FirstUser {
    /// The only record of its tree.
    pub const PART: &'static str = "user";

    /// Where it lies.
    pub fn key() -> Key {
        Table::<FirstUser>::key(Self::PART)
    }
}

/// Who may open the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketAccess {
    /// The administrators' group, mode 0660: one of them may become trusted by connecting.
    Group,
    /// Everyone, mode 0666: the decision keeps out whoever is not trusted.
    Everyone,
}

/// Who may open the socket now. Only the rule of the first user needs a closed door; without it there
/// is nothing to be had by being early.
pub fn socket_access(state: &State, rule: TrustFirst) -> SocketAccess {
    match (rule, state.first_user()) {
        (TrustFirst::On, None) => SocketAccess::Group,
        (TrustFirst::On, Some(_)) | (TrustFirst::Off, _) => SocketAccess::Everyone,
    }
}

/// The batch that trusts `user` for being the first; `None` if they are not, or the rule is off. Of two
/// who come at once the commit lets one be first, and the other decides again.
pub fn trust_first(
    user: &LocalUser,
    owner: u32,
    rule: TrustFirst,
    state: &State,
    now: OffsetDateTime,
) -> Option<Batch> {
    let is_owner = user.uid == ROOT || user.uid == owner;
    let denied = state.denial(&user_id(user)).is_some();
    if rule == TrustFirst::Off || is_owner || denied || state.first_user().is_some() {
        return None;
    }
    let rests_on = RestsOn::nothing().and(Denial::key(&user_id(user)), None);
    Some(trust_user(user, None, Origin::TrustFirst, rests_on, state, "service", now))
}

/// The batch that makes a user of this machine trusted, with all rights unless `rights` says less; it
/// lifts nothing: `rests_on` says what must still hold, such as that the user is not denied.
pub(crate) fn trust_user(
    user: &LocalUser,
    rights: Option<Rights>,
    origin: Origin,
    rests_on: RestsOn,
    state: &State,
    who: &str,
    now: OffsetDateTime,
) -> Batch {
    let id = user_id(user);
    let shown = user.name.clone().unwrap_or_else(|| format!("uid {}", user.uid));
    let rights = rights.unwrap_or(Rights::FULL);
    let what =
        format!("trust add local-user={}({shown}) rights={rights} origin={}", user.uid, origin.as_str());
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
    rests_on.demand(&mut batch);
    let name = EntryName::nearest(&shown);
    let entry = Entry {
        subject: Subject::User { uid: user.uid, name: user.name.clone() },
        name: name.unwrap_or_else(|| EntryName::of_uid(user.uid)),
        rights,
        origin,
        added_by: who.to_owned(),
        added_at: now.unix_timestamp(),
    };
    let before: Option<&Versioned<Entry>> = state.entry(&id).map(AsRef::as_ref);
    batch.expect(Entry::key(&id), before.map(|before| before.version));
    batch.put(Entry::key(&id), Table::encode(&entry));
    first(&mut batch, user.uid, state, now);
    batch
}

/// Remembers that there was a first user; from whoever comes next on, being early is worth nothing.
fn first(batch: &mut Batch, uid: u32, state: &State, now: OffsetDateTime) {
    batch.expect(FirstUser::key(), state.first_user().map(|first| first.version));
    if state.first_user().is_none() {
        batch.put(FirstUser::key(), Table::encode(&FirstUser { uid, at: now.unix_timestamp() }));
    }
}

#[cfg(test)]
mod tests;
