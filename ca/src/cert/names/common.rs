//! The common name of a subject.

use std::str::FromStr;

use super::error::{NameError, is_invisible, quoted};

/// A common name: what a person calls the client or the server.
///
/// 1 to 64 characters (RFC 5280 appendix A, ub-common-name), without control characters, invisible
/// ones and marks that change the direction of text, without white space in front or behind. Slashes
/// and quotation marks are allowed: file names come from a [`super::Slug`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommonName(String);

impl CommonName {
    /// The most characters, RFC 5280's ub-common-name.
    pub const MAX_CHARACTERS: usize = 64;
}

super::text_newtype!(CommonName);

impl FromStr for CommonName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<CommonName, NameError> {
        const KIND: &str = "common name";
        if text.is_empty() {
            return Err(NameError::Empty { kind: KIND });
        }
        let length = text.chars().count();
        if length > CommonName::MAX_CHARACTERS {
            let limit = CommonName::MAX_CHARACTERS;
            return Err(NameError::TooLong { kind: KIND, value: quoted(text), length, limit });
        }
        if let Some(character) = text.chars().find(|&c| c.is_control() || is_invisible(c)) {
            let character = character.escape_unicode().to_string();
            return Err(NameError::Character { value: quoted(text), character, place: "a common name" });
        }
        if text.trim() != text {
            return Err(NameError::Space { value: quoted(text) });
        }
        Ok(CommonName(text.to_owned()))
    }
}
