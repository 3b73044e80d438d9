//! `.NAME.pending`: the key and the CSR of an issuance that has not finished.
//!
//! It is durable before the CSR leaves. Its last line repeats the digest of the request, so that a
//! file whose write was interrupted is known by it: such a CSR never left, and the file is void.

use zeroize::Zeroizing;

const HEAD: &str =
    "pki: an unfinished issuance, with its private key; run the same command again to finish it\n";
const END: &str = "end ";

/// An issuance under way.
#[derive(Clone, PartialEq, Eq)]
pub struct Pending {
    /// Digest of what was asked for, hex.
    pub request: String,
    /// The private key, PKCS#8 PEM.
    pub key: Zeroizing<String>,
    /// The CSR, PEM.
    pub csr: String,
}

/// What a pending file turned out to be.
#[derive(Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Someone else's file.
    Foreign,
    /// Whole.
    Pending(Pending),
    /// Its write was interrupted.
    Torn,
}

impl Pending {
    /// The file's content.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let room = HEAD.len() + self.key.len() + self.csr.len() + 3 * self.request.len() + 64;
        // All the room at once: a buffer that grows leaves copies of the key behind.
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        for part in [HEAD, "request ", &self.request, "\n", &self.key, &self.csr, END, &self.request, "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        text
    }

    /// Reads the file's content.
    pub fn decode(bytes: &[u8]) -> Decoded {
        let head = bytes.len().min(HEAD.len());
        // A file system that lost power may leave the length without the content.
        let void = bytes.iter().all(|byte| *byte == 0);
        if !void && bytes[..head] != HEAD.as_bytes()[..head] {
            return Decoded::Foreign;
        }
        Pending::decode_whole(bytes).map_or(Decoded::Torn, Decoded::Pending)
    }

    fn decode_whole(bytes: &[u8]) -> Option<Pending> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(HEAD)?.strip_prefix("request ")?;
        let (request, text) = text.split_once('\n')?;
        let text = text.strip_suffix(&format!("{END}{request}\n"))?;
        let csr_begins = text.find("-----BEGIN CERTIFICATE REQUEST-----")?;
        let (key, csr) = text.split_at(csr_begins);
        let whole = !request.is_empty()
            && key.starts_with("-----BEGIN PRIVATE KEY-----\n")
            && key.ends_with("-----END PRIVATE KEY-----\n")
            && csr.trim_end().ends_with("-----END CERTIFICATE REQUEST-----");
        whole.then(|| Pending {
            request: request.to_string(),
            key: Zeroizing::new(key.to_string()),
            csr: csr.to_string(),
        })
    }
}

/// Never shows the key.
impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("request", &self.request).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn pending(request: &str) -> Pending {
        Pending {
            request: request.to_string(),
            key: Zeroizing::new("-----BEGIN PRIVATE KEY-----\nMIG2\n-----END PRIVATE KEY-----\n".to_string()),
            csr: "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n".to_string(),
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let pending = pending("abc");
        assert!(Pending::decode(&pending.encode()) == Decoded::Pending(pending.clone()));
        assert!(!format!("{pending:?}").contains("MIG2"));
    }

    #[test]
    fn every_shorter_file_is_torn_and_none_passes() {
        let whole = pending("abc").encode();
        for length in 0..whole.len() {
            assert!(Pending::decode(&whole[..length]) == Decoded::Torn, "{length}");
        }
        assert!(Pending::decode(&vec![0; whole.len()]) == Decoded::Torn);
        let mut holes = whole.to_vec();
        holes[HEAD.len() + 20..HEAD.len() + 60].fill(0);
        assert!(Pending::decode(&holes) == Decoded::Torn);
    }

    #[test]
    fn a_foreign_file_is_not_taken_for_ours() {
        assert!(Pending::decode(b"my notes about alice") == Decoded::Foreign);
    }
}
