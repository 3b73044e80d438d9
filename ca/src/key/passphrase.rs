//! Passphrases that encrypt private keys.

use zeroize::Zeroizing;

/// A passphrase: wiped when dropped, never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// The most octets of a passphrase: what fits into OpenSSL's buffer.
const MAX_OCTETS: usize = 1024;

/// Why something can't be a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Nothing at all, or only a line end.
    #[error("the passphrase is empty")]
    Empty,
    /// More than one line, or a NUL: most likely the wrong file.
    #[error("the passphrase has more than one line or a NUL")]
    Lines,
    /// More octets than other programs can read.
    #[error("the passphrase has more than {limit} octets")]
    TooLong {
        /// How many are allowed.
        limit: usize,
    },
}

impl Passphrase {
    /// Takes the one line of a file, a credential or a prompt: one line end behind it is not part of it.
    pub fn from_line(line: &[u8]) -> Result<Passphrase, PassphraseError> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            return Err(PassphraseError::Empty);
        }
        if text.len() > MAX_OCTETS {
            return Err(PassphraseError::TooLong { limit: MAX_OCTETS });
        }
        if text.iter().any(|octet| matches!(octet, b'\n' | b'\r' | 0)) {
            return Err(PassphraseError::Lines);
        }
        Ok(Passphrase(Zeroizing::new(text.to_vec())))
    }

    /// Its octets, to derive a key from or to hand to another format.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(…)")
    }
}
