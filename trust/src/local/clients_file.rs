//! `authenticated-certs/clients.pem`: Multipass's own way out, and what may come in by it.
//!
//! An administrator appends a client's certificate, and it becomes an entry at once. The file counts
//! only if nobody else could have written it. It can add, never remove: taking a certificate out of it
//! changes nothing, and one that was removed stays removed, whatever the file says.

use ca::cert::Certificate;
use ca::records::RestsOn;

use crate::change::{Cause, Wish};
use crate::decide::ROOT;
use crate::entry::{Id, KeyDigest, Origin};
use crate::presented::Holder;
use crate::rights::Rights;
use crate::role::Held;
use crate::set::State;

/// What is known about a file before it is read, of the open descriptor itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is, no link followed.
    pub kind: FileKind,
    /// Its owner.
    pub owner: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Its length in bytes.
    pub length: u64,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A file with one name.
    Regular,
    /// A symbolic link, or a file with several names.
    Link,
    /// Anything else.
    Other,
}

/// Why the file does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileRefusal {
    /// Not a file of its own.
    #[error("it is not a regular file with one name")]
    NotAFile,
    /// Its owner is neither root nor the service's user.
    #[error("it belongs to uid {owner}, neither root nor the service's user")]
    Owner {
        /// Whose it is.
        owner: u32,
    },
    /// Others can write it.
    #[error("others can write it (mode {mode:04o})")]
    Writable {
        /// Its permission bits.
        mode: u32,
    },
    /// Longer than any such file.
    #[error("it has {length} bytes, at most {LONGEST} are read")]
    TooLong {
        /// Its length.
        length: u64,
    },
}

/// The most bytes that are read.
pub const LONGEST: u64 = 1024 * 1024;

/// Whether a file may speak for an administrator; `service` is the service's own user.
///
/// # Errors
/// [`FileRefusal`].
pub fn check(facts: &FileFacts, service: u32) -> Result<(), FileRefusal> {
    match facts.kind {
        FileKind::Regular => {}
        FileKind::Link | FileKind::Other => return Err(FileRefusal::NotAFile),
    }
    if facts.owner != ROOT && facts.owner != service {
        return Err(FileRefusal::Owner { owner: facts.owner });
    }
    if facts.mode & 0o022 != 0 {
        return Err(FileRefusal::Writable { mode: facts.mode & 0o7777 });
    }
    if facts.length > LONGEST {
        return Err(FileRefusal::TooLong { length: facts.length });
    }
    Ok(())
}

/// What stands in the file.
#[derive(Debug, Default)]
pub struct Contents {
    /// Certificates that are not trusted yet: each is to be vetted ([`crate::Gate::vet`]) and added
    /// ([`crate::change::add_certificate`]) with [`wish`] and [`cause`].
    pub new: Vec<Holder>,
    /// Certificates that were removed, and stay so.
    pub denied: usize,
    /// Certificates that are trusted already.
    pub known: usize,
    /// Blocks that can't be read, by what is wrong; one that is only half written yet is among them.
    pub unreadable: Vec<String>,
}

/// Reads the file against what is trusted. One block that can't be read keeps no other out.
pub fn read(content: &[u8], state: &State) -> Contents {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let find = |text: &[u8], wanted: &[u8]| text.windows(wanted.len()).position(|window| window == wanted);
    let mut contents = Contents::default();
    let mut seen = std::collections::HashSet::new();
    let mut rest = content;
    while let Some(begin) = find(rest, BEGIN) {
        let Some(end) = find(&rest[begin..], END) else {
            contents.unreadable.push("a block has no end yet".to_owned());
            break;
        };
        let (block, behind) = rest[begin..].split_at(end + END.len());
        rest = behind;
        let certificate = match Certificate::from_pem(block) {
            Ok(certificate) => certificate,
            Err(error) => {
                contents.unreadable.push(error.to_string());
                continue;
            }
        };
        let fingerprint = certificate.fingerprint();
        if !seen.insert(fingerprint) {
            continue;
        }
        let key = Id::Key(KeyDigest::of(&certificate));
        if state.entry_of(&fingerprint).is_some() {
            contents.known += 1;
        } else if state.denial(&Id::Certificate(fingerprint)).is_some() || state.denial(&key).is_some() {
            contents.denied += 1;
        } else {
            contents.new.push(Holder::new(certificate, Vec::new()));
        }
    }
    contents
}

/// What a certificate of the file becomes.
pub fn wish() -> Wish {
    Wish { name: None, rights: Rights::FULL, origin: Origin::File }
}

/// Who adds it.
pub fn cause() -> Cause {
    Cause {
        who: "file:authenticated-certs/clients.pem".to_owned(),
        may_give: Held::FULL,
        rests_on: RestsOn::nothing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::add_certificate;
    use crate::settings::Settings;
    use crate::testing::*;

    #[test]
    fn only_a_file_that_nobody_else_could_write_counts() {
        let good = FileFacts { kind: FileKind::Regular, owner: 0, mode: 0o644, length: 10 };
        assert_eq!(check(&good, OWNER), Ok(()));
        assert_eq!(check(&FileFacts { owner: OWNER, mode: 0o600, ..good }, OWNER), Ok(()));
        assert_eq!(check(&FileFacts { owner: 1000, ..good }, OWNER), Err(FileRefusal::Owner { owner: 1000 }));
        for mode in [0o664, 0o646, 0o666, 0o100_622] {
            let refused = check(&FileFacts { mode, ..good }, OWNER);
            assert!(matches!(refused, Err(FileRefusal::Writable { .. })), "{mode:o}");
        }
        for kind in [FileKind::Link, FileKind::Other] {
            assert_eq!(check(&FileFacts { kind, ..good }, OWNER), Err(FileRefusal::NotAFile));
        }
        let long = FileFacts { length: LONGEST + 1, ..good };
        assert!(matches!(check(&long, OWNER), Err(FileRefusal::TooLong { .. })));
    }

    #[test]
    fn what_is_appended_becomes_an_entry_and_a_removal_wins() {
        let pki = Pki::new();
        let (anna, bert, carl) = (stranger("anna"), stranger("bert"), stranger("carl"));
        pki.trust(&bert, Rights::FULL);
        pki.deny(Id::Certificate(carl.fingerprint()));
        let half = "-----BEGIN CERTIFICATE-----\nMIIB";
        let junk = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let file = format!(
            "# ours\n{}{junk}{}{}{}{half}",
            anna.to_pem(),
            bert.to_pem(),
            carl.to_pem(),
            anna.to_pem()
        );
        let read_now = || read(file.as_bytes(), &pki.gate.set().now().unwrap());
        let contents = read_now();
        assert_eq!(contents.new.len(), 1);
        assert_eq!((contents.known, contents.denied, contents.unreadable.len()), (1, 1, 2));
        let holder = &contents.new[0];
        let vetted = pki.gate.vet(holder, &Settings::default(), NOW).unwrap();
        let batch = {
            let state = pki.gate.set().now().unwrap();
            add_certificate(&state, holder, &vetted, &wish(), &cause(), NOW).unwrap()
        };
        pki.store.commit(batch).unwrap();
        assert!(pki.admit(&anna, &Settings::default()).is_ok());
        assert!(read_now().new.is_empty());
        // Removed by its key, under whatever certificate it comes back.
        pki.deny(Id::Key(KeyDigest::of(&stranger("x"))));
        let dora = stranger("dora");
        pki.deny(Id::Key(KeyDigest::of(&dora)));
        let contents = read(dora.to_pem().as_bytes(), &pki.gate.set().now().unwrap());
        assert_eq!((contents.new.len(), contents.denied), (0, 1));
    }
}
