//! Words of a configuration that come from outside.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// What a refused word is shown of.
const SHOWN: usize = 80;

impl Error {
    pub(crate) fn word(what: &'static str, value: &str, rule: &'static str) -> Error {
        Error::Word { what, value: value.chars().take(SHOWN).collect(), rule }
    }
}

/// A name for a thing of the configuration: 1 to 32 of `a`–`z`, `0`–`9` and `-`, a letter first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    const MAX: usize = 32;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = Error;

    fn from_str(text: &str) -> Result<Label, Error> {
        let rule = "1 to 32 of a-z, 0-9 and -, a letter first";
        let allowed = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
        let first = text.bytes().next().is_some_and(|octet| octet.is_ascii_lowercase());
        match first && text.len() <= Label::MAX && text.bytes().all(allowed) {
            true => Ok(Label(text.to_owned())),
            false => Err(Error::word("a name", text, rule)),
        }
    }
}

/// An absolute path that HAProxy reads as one word: at most 200 of letters, digits, `.`, `_`, `-` and `/`,
/// without `.` and `..` as parts.
///
/// HAProxy finds a loaded file by the very spelling of the configuration, so there is only one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

impl FilePath {
    const MAX: usize = 200;
    /// The octets that a socket's path may have: the kernel takes 107, and HAProxy appends to it while it
    /// starts.
    pub const MAX_SOCKET: usize = 90;

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FilePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<FilePath, Error> {
        let rule =
            "an absolute path of at most 200 of A-Z, a-z, 0-9, '.', '_', '-' and '/', every part a name";
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"._-/".contains(&octet);
        let parts = text.strip_prefix('/').map(|rest| rest.split('/'));
        let named = parts.is_some_and(|mut parts| parts.all(|part| !matches!(part, "" | "." | "..")));
        match named && text.len() <= FilePath::MAX && text.bytes().all(allowed) {
            true => Ok(FilePath(text.to_owned())),
            false => Err(Error::word("a file for HAProxy", text, rule)),
        }
    }
}

macro_rules! shown_as_text {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
    )*};
}

shown_as_text!(Label, FilePath);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_be_more_than_a_word_is_refused() {
        for text in
            ["", "-a", "0a", "A", "a b", "a\nuser root", "a#b", "a$B", "a\"", "é", "a_b", &"a".repeat(33)]
        {
            assert!(text.parse::<Label>().is_err(), "{text:?}");
        }
        assert!("a0-z".parse::<Label>().is_ok());
        for text in [
            "",
            "/",
            "a",
            "/a/",
            "//a",
            "/a/../b",
            "/./a",
            "/a b",
            "/a\nb",
            "/a\\ b",
            "/${HOME}/a",
            "/a'",
            "/a@b",
        ] {
            assert!(text.parse::<FilePath>().is_err(), "{text:?}");
        }
        assert!(format!("/{}", "a".repeat(200)).parse::<FilePath>().is_err());
        assert!("/etc/haproxy/www_1.example-a.pem".parse::<FilePath>().is_ok());
    }

    proptest! {
        #[test]
        fn an_accepted_word_is_one_word(text in "\\PC{0,40}|[ -~\\t\\r\\n\\x00]{0,40}|/[a-z./]{0,12}") {
            let words = [text.parse::<Label>().map(|one| one.0), text.parse::<FilePath>().map(|one| one.0)];
            for word in words.into_iter().flatten() {
                prop_assert_eq!(&word, &text);
                let special = |c: char| c.is_whitespace() || c.is_control() || "#\"'\\$%{}[](),".contains(c);
                prop_assert!(!word.contains(special));
            }
        }
    }
}
