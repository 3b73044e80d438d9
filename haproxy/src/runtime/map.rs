//! Maps of a running HAProxy, and the one of the revoked certificates.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Runtime;
use super::channel::Command;
use crate::{Error, FilePath, RevokedKey};

/// How the answer begins where no rule uses a map.
const UNKNOWN: &str = "Unknown map identifier";

/// Above so many changes a map is replaced as a whole.
const MANY: usize = 200;

/// What the synchronisation of a map has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapChange {
    /// Entries that were missing.
    pub added: usize,
    /// Entries that had to go.
    pub removed: usize,
}

/// The text of the file that a HAProxy reads its map of revoked certificates from when it starts.
pub fn revoked_file(revoked: &BTreeSet<RevokedKey>) -> String {
    revoked.iter().fold(String::new(), |mut text, key| {
        let _ = writeln!(text, "{key} 1");
        text
    })
}

impl Runtime {
    /// Makes the map that was read from `map` hold exactly these certificates.
    ///
    /// What is missing is added before anything is removed, and is in force for the next request of every
    /// connection. The map is read again at the end: an answer without an error proves it.
    pub fn keep_revoked(&self, map: &FilePath, wanted: &BTreeSet<RevokedKey>) -> Result<MapChange, Error> {
        let entries = self.entries(map)?;
        let read: Vec<_> = entries.iter().map(|(key, _)| key.parse::<RevokedKey>().ok()).collect();
        let present: BTreeSet<_> = read.iter().copied().flatten().collect();
        let missing: Vec<_> = wanted.difference(&present).copied().collect();
        let surplus: Vec<_> = present.difference(wanted).copied().collect();
        let change =
            MapChange { added: missing.len(), removed: entries.len() - (present.len() - surplus.len()) };
        // An entry that stands twice or is none of ours can't be told apart by its key.
        let foreign = present.len() != entries.len();
        if foreign || missing.len() + surplus.len() > MANY {
            self.replace(map, wanted)?;
        } else {
            self.add(map, None, &missing)?;
            for key in &surplus {
                let line = format!("del map {map} {key}");
                self.silently(&line, &self.ask(&line)?)?;
            }
        }
        if change == (MapChange { added: 0, removed: 0 }) {
            return Ok(change);
        }
        let found = self.entries(map)?;
        let same = found.len() == wanted.len()
            && found.iter().all(|(key, _)| key.parse().is_ok_and(|key| wanted.contains(&key)));
        match same {
            true => Ok(change),
            false => Err(Error::MapDiffers {
                instance: self.address.to_string(),
                map: map.to_string(),
                found: found.len(),
                wanted: wanted.len(),
            }),
        }
    }

    /// Adds these certificates to the map and takes those away, and looks for each of them afterwards.
    ///
    /// For few: what the map holds besides is not looked at.
    pub fn change_revoked(
        &self,
        map: &FilePath,
        new: &[RevokedKey],
        gone: &[RevokedKey],
    ) -> Result<(), Error> {
        // One that is there already (a HAProxy that has just read the file) then stands twice, which refuses it
        // as much; `keep_revoked` mends it.
        self.add(map, None, new)?;
        for key in gone {
            let line = format!("del map {map} {key}");
            match self.ask(&line)?.as_str() {
                "" | "Key not found." => {}
                answer => return Err(self.unexpected(&line, answer)),
            }
        }
        let expected =
            new.iter().map(|key| (key, "found=yes")).chain(gone.iter().map(|key| (key, "found=no")));
        for (key, word) in expected {
            let line = format!("get map {map} {key}");
            let answer = self.ask(&line)?;
            if !answer.split(", ").any(|part| part == word) {
                return Err(self.unexpected(&line, &answer));
            }
        }
        Ok(())
    }

    /// How many entries the map has.
    pub fn map_size(&self, map: &FilePath) -> Result<usize, Error> {
        let line = "show map";
        let answer = self.ask(line)?;
        let named = format!(" ({map}) ");
        let count = answer
            .lines()
            .find(|row| row.contains(&named))
            .and_then(|row| row.rsplit_once("entry_cnt=").and_then(|(_, count)| count.trim().parse().ok()));
        count.ok_or_else(|| self.unexpected(line, &answer))
    }

    /// Builds a new version of a map beside the one in force, and puts it in force at once.
    fn replace(&self, map: &FilePath, wanted: &BTreeSet<RevokedKey>) -> Result<(), Error> {
        let line = format!("prepare map {map}");
        let answer = self.ask(&line)?;
        let version = answer.strip_prefix("New version created: ").and_then(|text| text.parse::<u32>().ok());
        let version = version.ok_or_else(|| self.unexpected(&line, &answer))?;
        let all: Vec<_> = wanted.iter().copied().collect();
        self.add(map, Some(version), &all)?;
        let line = format!("commit map @{version} {map}");
        self.silently(&line, &self.ask(&line)?)
    }

    fn add(&self, map: &FilePath, version: Option<u32>, keys: &[RevokedKey]) -> Result<(), Error> {
        let line = match version {
            Some(version) => format!("add map @{version} {map}"),
            None => format!("add map {map}"),
        };
        // A serial number is 20 octets at most, so a line has 40 + 1 + 64 + 3 at most.
        let fit = (self.bounds.command.saturating_sub(line.len() + 8) / 108).max(1);
        for keys in keys.chunks(fit) {
            let payload = keys.iter().fold(String::new(), |mut text, key| {
                let _ = writeln!(text, "{key} 1");
                text
            });
            let answer = self.exchange(&Command { line: &line, payload: Some(&payload) })?;
            self.silently(&line, &answer)?;
        }
        Ok(())
    }

    /// Keys and values of a map.
    pub(super) fn entries(&self, map: &FilePath) -> Result<Vec<(String, String)>, Error> {
        let line = format!("show map {map}");
        let answer = self.ask(&line)?;
        if answer.starts_with(UNKNOWN) {
            return Err(Error::NoMap { instance: self.address.to_string(), map: map.to_string() });
        }
        let entry = |text: &str| {
            let mut words = text.splitn(3, ' ');
            let address = words.next()?.strip_prefix("0x")?;
            let (key, value) = (words.next()?, words.next()?);
            address.bytes().all(|octet| octet.is_ascii_hexdigit()).then(|| (key.to_owned(), value.to_owned()))
        };
        answer.lines().map(|text| entry(text).ok_or_else(|| self.unexpected(&line, text))).collect()
    }

    pub(super) fn silently(&self, line: &str, answer: &str) -> Result<(), Error> {
        match answer {
            "" => Ok(()),
            _ => Err(self.unexpected(line, answer)),
        }
    }
}
