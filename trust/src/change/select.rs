//! Picking an entry by what someone typed: its name, or the beginning of a fingerprint.

use std::sync::Arc;

use store::Versioned;

use super::ChangeError;
use crate::entry::{Entry, Id};
use crate::set::State;

/// The one entry that a word means: the one of that name, or the one of whose certificates a fingerprint
/// begins with it, colons or not. A word that fits several is refused, never guessed at.
///
/// # Errors
/// [`ChangeError::NotFound`], [`ChangeError::Ambiguous`].
pub fn select(state: &State, word: &str) -> Result<Arc<Versioned<Entry>>, ChangeError> {
    let digits: String = word.chars().filter(|&c| c != ':').collect::<String>().to_ascii_lowercase();
    let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let begins = |entry: &Entry| {
        hex && entry.fingerprints().iter().any(|fingerprint| fingerprint.to_string().starts_with(&digits))
    };
    let fitting: Vec<_> = state
        .entries()
        .into_iter()
        .filter(|entry| entry.record.name.as_str() == word || begins(&entry.record))
        .collect();
    match fitting.as_slice() {
        [] => Err(ChangeError::NotFound { word: ca::cert::printable(word) }),
        [one] => Ok(one.clone()),
        several => Err(ChangeError::Ambiguous {
            word: ca::cert::printable(word),
            candidates: several.iter().map(|entry| candidate(&entry.record)).collect(),
        }),
    }
}

fn candidate(entry: &Entry) -> String {
    match entry.id() {
        Id::Certificate(fingerprint) => format!("{} ({})", entry.name, &fingerprint.to_string()[..12]),
        Id::User(uid) => format!("{} (local user {uid})", entry.name),
        Id::Person(person) => format!("{} ({person})", entry.name),
        Id::Key(key) => format!("{} ({key})", entry.name),
    }
}
