//! Passphrases and tokens on their way from whoever typed them to where they are hashed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A passphrase or a token, wiped when dropped and never shown.
#[derive(Clone, Default, ToSchema)]
#[schema(value_type = String)]
pub struct Phrase(Zeroizing<String>);

impl Phrase {
    /// Takes a passphrase.
    pub fn new(text: String) -> Phrase {
        Phrase(Zeroizing::new(text))
    }

    /// Its text: for whoever hashes it, or derives a key from it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for Phrase {
    fn from(text: Zeroizing<String>) -> Phrase {
        Phrase(text)
    }
}

impl Serialize for Phrase {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Phrase {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Phrase, D::Error> {
        String::deserialize(deserializer).map(Phrase::new)
    }
}

impl std::fmt::Debug for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phrase(…)")
    }
}
