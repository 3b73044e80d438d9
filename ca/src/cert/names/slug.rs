//! File names made from names that others chose.

use std::fmt;

use crate::cert::digest::sha256;

/// A file name's stem made from any text, safe on every file system.
///
/// Only `a-z A-Z 0-9 . _ -`, never empty, never beginning with a dot or a hyphen, at most
/// [`Slug::MAX_OCTETS`]. A text that is one already stays as it is; any other gets a suffix of twelve
/// hex digits of its SHA-256, and so does one that ends like such a suffix, so that two different
/// texts never share a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

const SUFFIX_DIGITS: usize = 12;

impl Slug {
    /// The most octets of a slug: room is left for `-chain.crt` and a temporary file's name.
    pub const MAX_OCTETS: usize = 96;

    /// The slug of a text.
    pub fn of(text: &str) -> Slug {
        let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let whole = !text.is_empty()
            && text.len() <= Slug::MAX_OCTETS
            && !text.starts_with(['.', '-'])
            && text.chars().all(is_safe);
        if whole && !has_suffix(text) {
            return Slug(text.to_owned());
        }
        let digest = hex::encode(sha256(text.as_bytes()));
        let safe: String = text
            .chars()
            .take(Slug::MAX_OCTETS - SUFFIX_DIGITS - 1)
            .map(|c| if is_safe(c) { c } else { '_' })
            .collect();
        let stem = safe.trim_start_matches(['.', '-']);
        let stem = if stem.is_empty() { "_" } else { stem };
        Slug(format!("{stem}-{}", &digest[..SUFFIX_DIGITS]))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn has_suffix(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(_, end)| {
        end.len() == SUFFIX_DIGITS && end.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Slug {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for Slug {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&self.0)
    }
}
