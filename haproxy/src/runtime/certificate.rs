//! Certificates of a running HAProxy.

use ca::cert::Serial;

use super::Runtime;
use super::channel::Command;
use crate::{Error, FilePath};

impl Runtime {
    /// Replaces the certificate that was read from `file` by a bundle ([`crate::bundle::render`]), and
    /// returns how many of HAProxy's uses of it were replaced.
    ///
    /// Connections that are open go on. On an error the old certificate is still served. The answer
    /// proves what HAProxy has loaded; what it *serves* proves [`super::served()`] alone.
    pub fn install(&self, file: &FilePath, bundle: &str) -> Result<usize, Error> {
        let leaf = crate::bundle::leaf(bundle)?;
        let line = format!("set ssl cert {file}");
        let answer = self.exchange(&Command { line: &line, payload: Some(bundle) })?;
        let begun = ["created", "updated"].map(|word| format!("Transaction {word} for certificate {file}!"));
        if !begun.contains(&answer) {
            return Err(self.unexpected(&line, &answer));
        }
        let replaced = match self.commit(file) {
            Ok(replaced) => replaced,
            Err(error) => {
                // Left behind, it would be merged into the next. The first error is the one to tell.
                let _ = self.ask(&format!("abort ssl cert {file}"));
                return Err(error);
            }
        };
        let loaded = self.loaded(file)?;
        if replaced == 0 || loaded != Some(leaf.serial()) {
            let instance = self.address.to_string();
            return Err(Error::NotReplaced {
                instance,
                file: file.to_string(),
                wanted: leaf.serial(),
                loaded,
            });
        }
        Ok(replaced)
    }

    fn commit(&self, file: &FilePath) -> Result<usize, Error> {
        let line = format!("commit ssl cert {file}");
        let answer = self.ask(&line)?;
        // One dot for each use that was replaced; "Success!" alone says nothing (2.6).
        let said =
            answer.strip_prefix(&format!("Committing {file}")).and_then(|rest| rest.strip_suffix("Success!"));
        match said.map(|dots| dots.trim_end_matches('\n')) {
            Some(dots) if dots.bytes().all(|octet| octet == b'.') => Ok(dots.len()),
            Some(_) | None => Err(self.unexpected(&line, &answer)),
        }
    }

    /// The serial number of the certificate that was read from `file`; `None` if HAProxy uses it nowhere,
    /// which is what 2.6 says of a certificate that it no longer updates.
    pub fn loaded(&self, file: &FilePath) -> Result<Option<Serial>, Error> {
        let line = format!("show ssl cert {file}");
        let answer = self.ask(&line)?;
        let field = |name: &str| {
            let mut values = answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values.next().filter(|_| values.next().is_none())
        };
        let refused = || self.unexpected(&line, &answer);
        if field("Filename") != Some(file.as_str()) {
            return Err(refused());
        }
        match field("Status") {
            Some("Used") => {}
            Some("Unused") => return Ok(None),
            Some(_) | None => return Err(refused()),
        }
        let serial = field("Serial").ok_or_else(refused)?;
        serial.parse().map(Some).map_err(|_| refused())
    }
}
