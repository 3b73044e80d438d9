//! What foreign authorities left in `trusted-ca/`: `server.ca` and `ca.crl`, by LXD's names, and the lists
//! that came with `pki trust ca add`.
//!
//! Lists are loaded when the PKI is opened: until then the clients of an authority that ever had one are
//! refused. The two files are looked at again and again, and what changed acts without a restart. A file
//! that somebody else could have written is not followed. What is wrong with one is said once, until the file
//! or what is wrong changes, and by `pki doctor` for as long as it is so.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use ca::cert::Certificate;
use crl::ParsedList;
use rustix::fs::OFlags;
use store::file::FileError;
use time::{Duration, OffsetDateTime};
use trust::authority::{Import, ListError, LoadedList, Source, follow_file, forget, import, read_lists};
use trust::entry::KeyDigest;
use trust::local::clients_file::{FileFacts, FileKind, check};

use super::Pki;
use crate::http::problem::in_words;
use crate::ops::Error;

/// Who causes what the files cause.
const WHO: &str = "file:trusted-ca";
/// The most octets of a file of certificates or lists.
const LONGEST: usize = 128 * 1024 * 1024;

/// How long a file that did not count is left alone, unless it changes: a list may come into force.
const LEFT_ALONE: Duration = Duration::minutes(5);

/// How a file was when it was last read: when it was written and when its owner or mode was changed, its size,
/// and which file it was.
type Stamp = (i64, i64, i64, i64, u64, u64);

/// What was read of the files so far.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<PathBuf, Look>);

/// What was read of one file.
#[derive(Debug, Default)]
struct Look {
    stamp: Option<Stamp>,
    /// When it was read, and why it does not count; `None` if it does.
    wrong: Option<(OffsetDateTime, String)>,
}

impl Pki {
    /// Loads every list that is kept. One that does not count is told in the log, and keeps nobody from
    /// opening the PKI: its authority's clients are refused.
    pub(crate) fn load_trusted_lists(&self, now: OffsetDateTime) {
        let kept = fs::read_dir(self.layout().trusted_lists()).into_iter().flatten().flatten();
        for path in
            kept.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "crl"))
        {
            if let Err(error) = self.load_lists(&path, now) {
                tracing::error!(file = %path.display(), error = in_words(&error), "a list does not count");
            }
        }
        if let Err(error) = self.follow_trusted_ca(now) {
            tracing::error!(error = in_words(&error), "the files of foreign authorities are not followed");
        }
    }

    /// Takes in what changed in `server.ca` and `ca.crl`.
    ///
    /// # Errors
    /// The first thing that is wrong with either, once until it changes.
    pub(crate) fn follow_trusted_ca(&self, now: OffsetDateTime) -> Result<(), Error> {
        let mut seen = self.shared.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        let (authorities, lists) = (self.layout().trusted_authorities(), self.layout().trusted_list_file());
        let mut outcome = Ok(());
        for (path, follow) in [
            (authorities, Pki::follow_authorities as fn(&Pki, &Path, OffsetDateTime) -> Result<(), Error>),
            (lists, Pki::follow_lists),
        ] {
            let stamp = stamp(&path);
            let read = seen.0.entry(path.clone()).or_default();
            let again = read.wrong.as_ref().is_some_and(|(at, _)| (now - *at).abs() >= LEFT_ALONE);
            // What was never there has nothing to say; what is gone has.
            if read.stamp == stamp && !again {
                continue;
            }
            let before = read.wrong.take().map(|(_, why)| why).filter(|_| read.stamp == stamp);
            match follow(self, &path, now) {
                Ok(()) => read.stamp = stamp,
                // It is not the file's fault: the next look is at all of it again.
                Err(error) if error.of_store().is_some() => outcome = outcome.and(Err(error)),
                Err(error) => {
                    let why = in_words(&error);
                    if before.as_ref() != Some(&why) {
                        outcome = outcome.and(Err(error));
                    }
                    *read = Look { stamp, wrong: Some((now, why)) };
                }
            }
        }
        outcome
    }

    /// What is wrong with the files now: which, and why it does not count.
    pub(crate) fn trusted_ca_problems(&self) -> Vec<(PathBuf, String)> {
        let seen = self.shared.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = seen.0.iter().filter_map(|(path, read)| Some((path.clone(), read.wrong.clone()?.1)));
        let mut wrong: Vec<(PathBuf, String)> = wrong.collect();
        wrong.sort();
        wrong
    }

    /// Makes the authorities that came from the file those that stand in it.
    fn follow_authorities(&self, path: &Path, now: OffsetDateTime) -> Result<(), Error> {
        let certificates = match self.read_trusted(path)? {
            Some(content) => Certificate::pem_bundle(&content).map_err(ca::Error::from)?,
            None => Vec::new(),
        };
        let known: Vec<_> = {
            let state = self.gate().set().now()?;
            state.authorities().map(|(_, authority)| (**authority).clone()).collect()
        };
        let (wanted, gone) = follow_file(&certificates, &known);
        for certificate in &wanted {
            let key = KeyDigest::of(certificate);
            let read = known.iter().find(|known| known.key == trust::authority::Authority::key(&key));
            match import(certificate, read, Source::File, WHO, now).map_err(trust::Error::from)? {
                Import::New(batch) => {
                    self.store().commit(batch)?;
                    tracing::info!(authority = certificate.subject_display(), "imported an authority");
                }
                Import::Already => {}
            }
        }
        for authority in &gone {
            self.store().commit(forget(authority, WHO, now))?;
            tracing::warn!(key = %authority.key, "an authority is not in server.ca any more: let go of");
        }
        Ok(())
    }

    fn follow_lists(&self, path: &Path, now: OffsetDateTime) -> Result<(), Error> {
        // A list that is taken away still counts, until it runs out.
        self.load_lists(path, now)
    }

    /// Loads the lists of a file.
    fn load_lists(&self, path: &Path, now: OffsetDateTime) -> Result<(), Error> {
        let Some(content) = self.read_trusted(path)? else { return Ok(()) };
        let lists = read_lists(&content).map_err(|error| trust::Error::List(error.into()))?;
        self.take_lists(lists, WHO, now, |loaded, _| {
            tracing::info!(authority = %loaded.authority(), number = %loaded.number(), "loaded a list");
            Ok(())
        })
    }

    /// Takes lists in, the newest first; `taken` is told of each that counts. An older one behind a newer
    /// of the same name is passed over. Any other that does not count is the answer, and keeps none of
    /// the others from counting.
    pub(crate) fn take_lists(
        &self,
        mut lists: Vec<ParsedList>,
        who: &str,
        now: OffsetDateTime,
        mut taken: impl FnMut(&LoadedList, &ParsedList) -> Result<(), Error>,
    ) -> Result<(), Error> {
        lists.sort_by_key(|list| std::cmp::Reverse(list.number()));
        let (mut newer, mut outcome) = (HashSet::new(), Ok(()));
        for list in &lists {
            match self.gate().load_list(list, who, now) {
                Ok(loaded) => {
                    newer.insert(list.issuer());
                    taken(&loaded, list)?;
                }
                Err(trust::Error::List(ListError::Rollback { .. } | ListError::Older { .. }))
                    if newer.contains(list.issuer()) => {}
                Err(error) => outcome = outcome.and(Err(error.into())),
            }
        }
        outcome
    }

    /// Reads a file that nobody else could have written; `None` if there is none.
    fn read_trusted(&self, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let failed = |source| Error::File(FileError::Io { operation: "read", path: path.to_owned(), source });
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
        let file = match File::options().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let found = file.metadata().map_err(failed)?;
        let kind = match found.is_file() {
            true => FileKind::Regular,
            false => FileKind::Other,
        };
        // Its length is bounded below.
        let facts = FileFacts { kind, owner: found.uid(), mode: found.mode(), length: 0 };
        check(&facts, self.owner()).map_err(|refusal| failed(std::io::Error::other(refusal)))?;
        let mut content = Vec::new();
        file.take(LONGEST as u64 + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() > LONGEST {
            return Err(FileError::TooLarge { path: path.to_owned(), limit: LONGEST }.into());
        }
        Ok(Some(content))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec(), found.len(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, issue, made, reopened, reopened_at};
    use trust::{Holder, Presented, Refusal};

    #[test]
    fn the_files_are_followed_and_what_was_loaded_counts_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (home, foreign) = (dir.path().join("pki"), made(&dir.path().join("foreign")));
        let theirs = Certificate::from_pem(issue(&foreign, "theirs").pem.as_bytes()).unwrap();
        let refusal = |pki: &Pki, seconds| {
            let holder = Presented::Certificate(Holder::new(theirs.clone(), Vec::new()));
            match pki.admit(&holder, at(seconds)) {
                Ok(_) => None,
                Err(Error::Refused(refusal)) => Some(refusal),
                Err(other) => panic!("{other}"),
            }
        };
        let pki = made(&home);
        let set = crate::settings::Setting::CoreTrustCaCertificates;
        crate::settings::set(pki.store(), set, Some("true"), "test", 1).unwrap();
        fs::create_dir(pki.layout().trusted_ca()).unwrap();
        let (authorities, list) = (pki.layout().trusted_authorities(), pki.layout().trusted_list_file());
        fs::copy(foreign.directory().join("ca.crt"), &authorities).unwrap();
        pki.follow_trusted_ca(at(20)).unwrap();
        assert_eq!(refusal(&pki, 20), None);
        let which = vec![crate::ops::view::Selector::Word("theirs".to_owned())];
        let revoke =
            crate::ops::revoke::Revoke { selectors: which, reason: None, all: false, dry_run: false };
        foreign.run(revoke, &Presented::InProcess, at(25)).unwrap();
        fs::copy(foreign.directory().join("ca.crl"), &list).unwrap();
        pki.follow_trusted_ca(at(30)).unwrap();
        assert!(matches!(refusal(&pki, 30), Some(Refusal::Revoked { .. })));
        drop(pki);
        let pki = reopened(&home);
        assert!(matches!(refusal(&pki, 31), Some(Refusal::Revoked { .. })), "after a restart too");
        drop(pki);
        fs::remove_file(&list).unwrap();
        let pki = reopened(&home);
        assert!(matches!(refusal(&pki, 32), Some(Refusal::ListMissing { .. })), "there was one");
        fs::remove_file(&authorities).unwrap();
        pki.follow_trusted_ca(at(40)).unwrap();
        assert_eq!(refusal(&pki, 40), Some(Refusal::Stranger));
    }

    #[test]
    fn of_several_lists_in_the_file_the_newest_of_each_authority_counts_whatever_else_is_there() {
        use crate::testing::foreign::Foreign;
        let dir = tempfile::tempdir().unwrap();
        let (home, one, two) = (dir.path().join("pki"), Foreign::root("One"), Foreign::root("Two"));
        let (of_one, of_two) = (one.client("one"), two.client("two"));
        let now = crate::clock::now();
        let (keys, init) = (crate::testing::keys(), crate::testing::plain_init());
        let pki = Pki::init(&home, keys, &init, &crate::peer::own(), now).unwrap();
        fs::create_dir(pki.layout().trusted_ca()).unwrap();
        let certificates = one.certificate.to_pem() + &two.certificate.to_pem();
        fs::write(pki.layout().trusted_authorities(), certificates).unwrap();
        // Of one the newer stands before the older, and between them a list of somebody unknown.
        let lists = [
            one.list(2, &[&of_one]),
            Foreign::root("Three").list(7, &[]),
            one.list(1, &[]),
            two.list(5, &[&of_two]),
        ];
        fs::write(pki.layout().trusted_list_file(), lists.concat()).unwrap();
        let enforced = |pki: &Pki| {
            [(&one, &of_one), (&two, &of_two)].map(|(authority, client)| {
                let list = pki.gate().list(&KeyDigest::of(&authority.certificate));
                list.is_some_and(|list| list.names(&client.certificate.serial()))
            })
        };
        let told = pki.follow_trusted_ca(now).unwrap_err();
        assert!(in_words(&told).contains("no imported authority signed the list"), "{told}");
        assert_eq!(enforced(&pki), [true, true]);
        drop(pki);
        assert_eq!(enforced(&reopened_at(&home, now)), [true, true], "after a restart too");
    }

    #[test]
    fn a_file_that_others_could_have_written_is_not_followed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (pki, foreign) = (made(&dir.path().join("pki")), made(&dir.path().join("foreign")));
        fs::create_dir(pki.layout().trusted_ca()).unwrap();
        let path = pki.layout().trusted_authorities();
        fs::copy(foreign.directory().join("ca.crt"), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        let refused = pki.follow_trusted_ca(at(20)).unwrap_err();
        assert!(in_words(&refused).contains("others can write it"), "{}", in_words(&refused));
        // It is said once, told by the doctor as long as it is so, and over as soon as it is mended.
        assert!(pki.follow_trusted_ca(at(21)).is_ok());
        assert!(pki.follow_trusted_ca(at(20) + LEFT_ALONE).is_ok(), "read again, and as wrong as before");
        let doctor = || pki.run(crate::ops::doctor::Doctor {}, &Presented::InProcess, at(21)).unwrap();
        let told = |findings: &[crate::ops::doctor::Finding]| {
            let of = findings.iter().filter(|finding| finding.check == "trusted-ca");
            of.map(|finding| finding.message.clone()).collect::<Vec<_>>().join("; ")
        };
        assert!(told(&doctor()).contains("server.ca does not count: "), "{:?}", told(&doctor()));
        assert!(told(&doctor()).contains("others can write it"), "{:?}", told(&doctor()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        pki.follow_trusted_ca(at(22)).unwrap();
        assert_eq!(pki.gate().set().now().unwrap().authorities().count(), 1);
        assert!(!told(&doctor()).contains("does not count"), "{:?}", told(&doctor()));
        fs::remove_file(&path).unwrap();
        pki.follow_trusted_ca(at(23)).unwrap();
        std::os::unix::fs::symlink(foreign.directory().join("ca.crt"), &path).unwrap();
        assert!(pki.follow_trusted_ca(at(24)).is_err());
        assert_eq!(pki.gate().set().now().unwrap().authorities().count(), 0);
    }
}
