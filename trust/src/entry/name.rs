//! What an entry may be called, by LXD's rule: not like an option, not like a path.

use std::fmt;
use std::str::FromStr;

/// The name of an entry. Several may have the same; who picks one by its name is then asked which.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

/// The most characters of a name.
const LONGEST: usize = 80;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryNameError {
    /// Nothing.
    #[error("a client's name can't be empty")]
    Empty,
    /// More than 80 characters.
    #[error("a client's name has {length} characters, at most {LONGEST} are taken")]
    TooLong {
        /// How many.
        length: usize,
    },
    /// It begins with `-`.
    #[error("a client's name can't begin with '-': {name:?}")]
    LikeOption {
        /// The text, escaped.
        name: String,
    },
    /// It has a `/`, a control character or one that can't be seen.
    #[error("a client's name can't hold '/', control characters or invisible ones: {name:?}")]
    Character {
        /// The text, escaped.
        name: String,
    },
}

impl EntryName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a user who has none.
    pub(crate) fn of_uid(uid: u32) -> EntryName {
        EntryName(format!("uid {uid}"))
    }

    /// The name of a certificate that suggests none.
    pub(crate) fn of_fingerprint(fingerprint: &ca::cert::Fingerprint) -> EntryName {
        EntryName(fingerprint.to_string()[..12].to_owned())
    }

    /// The nearest name to a text that need not be one, such as a common name; `None` if nothing is left.
    pub fn nearest(text: &str) -> Option<EntryName> {
        let kept: String = ca::cert::printable(text).chars().filter(|&c| c != '/').take(LONGEST).collect();
        kept.trim_start_matches('-').trim().parse().ok()
    }
}

impl FromStr for EntryName {
    type Err = EntryNameError;

    fn from_str(text: &str) -> Result<EntryName, EntryNameError> {
        let shown = || ca::cert::printable(text);
        match text.chars().count() {
            0 => return Err(EntryNameError::Empty),
            length if length > LONGEST => return Err(EntryNameError::TooLong { length }),
            _ => {}
        }
        if text.starts_with('-') {
            return Err(EntryNameError::LikeOption { name: shown() });
        }
        // What must be escaped to be shown is not a name that anyone could type again.
        if text.contains('/') || shown() != text || text.trim() != text {
            return Err(EntryNameError::Character { name: shown() });
        }
        Ok(EntryName(text.to_owned()))
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryName({:?})", self.0)
    }
}

ca::text_cbor!(EntryName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_neither_options_nor_paths_nor_tricks() {
        for good in ["anna", "web 1", "root@vm", "J\u{fc}rgen", "a-b", &"x".repeat(80)] {
            assert_eq!(good.parse::<EntryName>().unwrap().as_str(), good);
        }
        let bad = ["", "-a", "a/b", "a\nb", "a\0", "\u{202e}abc", " a", "a ", "\u{1b}[1m", &"x".repeat(81)];
        for bad in bad {
            assert!(bad.parse::<EntryName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_common_name_becomes_the_nearest_name() {
        assert_eq!(EntryName::nearest("--a/b").unwrap().as_str(), "ab");
        assert_eq!(EntryName::nearest("///"), None);
        assert!(EntryName::nearest(&"y".repeat(999)).is_some());
    }
}
