//! The map of ACME challenges: HTTP-01 answered by HAProxy itself, without any other program.
//!
//! Like the revoked certificates it is kept whole: what is wanted is compared with what is there, so that an
//! answer of an order that was killed does not stay. Whatever else somebody put into the map is left alone.

use std::collections::BTreeSet;
use std::fmt;

use super::channel::Command;
use super::{MapChange, Runtime};
use crate::{Error, FilePath};

/// Where challenges are asked for, RFC 8555 §8.3.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The most octets of a token, and of a thumbprint.
const LIMIT: usize = 256;

/// An HTTP-01 challenge and its answer, RFC 8555 §8.3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Challenge {
    path: String,
    answer: String,
}

impl Challenge {
    /// A token, and the key authorization that begins with it (RFC 8555 §8.1).
    pub fn new(token: &str, key_authorization: &str) -> Result<Challenge, Error> {
        if !base64url(token) {
            return Err(Error::word("a challenge's token", token, "base64url, at most 256 octets"));
        }
        let rule = "the token, a dot and a thumbprint in base64url";
        match key_authorization.split_once('.') {
            Some((first, thumbprint)) if first == token && base64url(thumbprint) => {
                Ok(Challenge { path: format!("{CHALLENGES}{token}"), answer: key_authorization.to_owned() })
            }
            Some(_) | None => Err(Error::word("a key authorization", key_authorization, rule)),
        }
    }
}

/// As a line of the map.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.answer)
    }
}

fn base64url(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LIMIT
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
}

/// Whether a key of the map is one that we would have put there.
fn is_ours(path: &str) -> bool {
    path.strip_prefix(CHALLENGES).is_some_and(base64url)
}

/// The text of the file that a HAProxy reads its map of challenges from when it starts.
pub fn challenges_file(challenges: &BTreeSet<Challenge>) -> String {
    challenges.iter().map(|challenge| format!("{challenge}\n")).collect()
}

impl Runtime {
    /// Makes the map that was read from `map` hold exactly these challenges.
    ///
    /// They are answered as soon as this returns. The map is read again at the end: an answer without an error
    /// proves it.
    pub fn keep_challenges(&self, map: &FilePath, wanted: &BTreeSet<Challenge>) -> Result<MapChange, Error> {
        let before = self.challenges(map)?;
        let present: BTreeSet<_> = before.iter().cloned().collect();
        // What stands twice can't be told apart by its key: all of it goes, and comes once.
        let twice = before.len() - present.len();
        let stays = |one: &Challenge| {
            wanted.contains(one) && before.iter().filter(|other| other.path == one.path).count() == 1
        };
        let gone: BTreeSet<_> = present.iter().filter(|one| !stays(one)).map(|one| &one.path).collect();
        let new: Vec<_> =
            wanted.iter().filter(|one| !present.contains(*one) || gone.contains(&one.path)).collect();
        let change = MapChange { added: new.len(), removed: gone.len() + twice };
        if change == (MapChange { added: 0, removed: 0 }) {
            return Ok(change);
        }
        for path in gone {
            let line = format!("del map {map} {path}");
            match self.ask(&line)?.as_str() {
                "" | "Key not found." => {}
                answer => return Err(self.unexpected(&line, answer)),
            }
        }
        self.add_challenges(map, &new)?;
        let found = self.challenges(map)?;
        match found.len() == wanted.len() && found.iter().all(|one| wanted.contains(one)) {
            true => Ok(change),
            false => Err(Error::MapDiffers {
                instance: self.name(),
                map: map.to_string(),
                found: found.len(),
                wanted: wanted.len(),
            }),
        }
    }

    fn add_challenges(&self, map: &FilePath, new: &[&Challenge]) -> Result<(), Error> {
        let line = format!("add map {map}");
        let room = self.bounds.command.saturating_sub(line.len() + 8);
        let mut rest = new.iter().map(|one| format!("{one}\n")).peekable();
        while rest.peek().is_some() {
            let mut payload = rest.next().unwrap_or_default();
            while let Some(one) = rest.next_if(|one| payload.len() + one.len() <= room) {
                payload.push_str(&one);
            }
            let answer = self.exchange(&Command { line: &line, payload: Some(&payload) })?;
            self.silently(&line, &answer)?;
        }
        Ok(())
    }

    /// The challenges that the map holds.
    fn challenges(&self, map: &FilePath) -> Result<Vec<Challenge>, Error> {
        let entries = self.entries(map)?.into_iter().filter(|(path, _)| is_ours(path));
        Ok(entries.map(|(path, answer)| Challenge { path, answer }).collect())
    }
}
