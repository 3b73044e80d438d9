//! PEM, RFC 7468, read strictly.
//!
//! The rule for every file: an UTF-8 byte order mark in front is skipped, lines end in LF, CRLF or CR,
//! text before a block is ignored (`openssl … -text` writes some), blocks have the label on both ends
//! and base64 without headers between. Where one object is wanted there must be exactly one block and
//! nothing but white space behind it. Old encrypted keys (`Proc-Type:`) and UTF-16 are refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Why text is not the PEM that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// The text between the lines is not base64.
    #[error("the {label} block isn't valid base64")]
    Base64 {
        /// The block's label.
        label: String,
    },
    /// No block at all.
    #[error("there is no PEM block (-----BEGIN {expected}-----)")]
    Empty {
        /// The label that was looked for.
        expected: &'static str,
    },
    /// `Proc-Type:` and `DEK-Info:` (RFC 1421), or other headers.
    #[error("the {label} block has headers: an old format; `openssl pkcs8 -topk8` converts such a key")]
    Headers {
        /// The block's label.
        label: String,
    },
    /// More blocks than the one.
    #[error("there are {count} PEM blocks, one {expected} is expected")]
    Several {
        /// The label that was looked for.
        expected: &'static str,
        /// How many there are.
        count: usize,
    },
    /// More blocks than anyone needs.
    #[error("there are more than {limit} PEM blocks")]
    TooMany {
        /// How many are allowed.
        limit: usize,
    },
    /// Something other than white space behind the block.
    #[error("something follows the end of the {label} block")]
    Trailing {
        /// The block's label.
        label: String,
    },
    /// A block without an end, or with another label on its end.
    #[error("the {label} block has no line -----END {label}-----")]
    Unfinished {
        /// The block's label.
        label: String,
    },
    /// A block of another kind.
    #[error("the block is a {found}, not a {expected}")]
    WrongLabel {
        /// The label that was looked for.
        expected: &'static str,
        /// The label that is there.
        found: String,
    },
}

/// The most blocks in one file.
pub(crate) const MAX_BLOCKS: usize = 10_000;

/// One block, decoded.
pub(crate) struct Block {
    /// What stands behind `BEGIN`, escaped.
    pub label: String,
    /// What the base64 means. It may be a private key, so it is wiped.
    pub der: Zeroizing<Vec<u8>>,
}

/// The blocks of a text, and whether nothing but white space follows the last one.
struct Blocks {
    blocks: Vec<Block>,
    trailing: bool,
}

/// The one block that is expected, with one of `labels` (the first is the usual one).
pub(crate) fn one(pem: &[u8], labels: &[&'static str]) -> Result<Block, PemError> {
    let expected = labels.first().copied().unwrap_or("block");
    let Blocks { mut blocks, trailing } = read(pem)?;
    let count = blocks.len();
    let block = blocks.pop().ok_or(PemError::Empty { expected })?;
    if !labels.contains(&block.label.as_str()) {
        return Err(PemError::WrongLabel { expected, found: block.label });
    }
    if count > 1 {
        return Err(PemError::Several { expected, count });
    }
    if trailing {
        return Err(PemError::Trailing { label: block.label });
    }
    Ok(block)
}

/// Every block, at least one, all with the label `expected`; text around them is ignored.
pub(crate) fn many(pem: &[u8], expected: &'static str) -> Result<Vec<Block>, PemError> {
    let blocks = read(pem)?.blocks;
    if blocks.is_empty() {
        return Err(PemError::Empty { expected });
    }
    match blocks.iter().find(|block| block.label != expected) {
        Some(other) => Err(PemError::WrongLabel { expected, found: other.label.clone() }),
        None => Ok(blocks),
    }
}

/// Writes one block with lines of 64 characters that end in LF.
pub(crate) fn write(label: &str, der: &[u8]) -> Zeroizing<String> {
    let mut pem = Zeroizing::new(String::with_capacity(size(label, der.len())));
    write_into(&mut pem, label, der);
    pem
}

/// The same for what is no secret.
pub(crate) fn write_public(label: &str, der: &[u8]) -> String {
    let mut pem = String::with_capacity(size(label, der.len()));
    write_into(&mut pem, label, der);
    pem
}

/// Octets of a line, and the characters that they come to.
const LINE: (usize, usize) = (48, 64);

/// Enough for a block, so that no copy of a secret is left behind by growing.
fn size(label: &str, octets: usize) -> usize {
    octets.div_ceil(LINE.0) * (LINE.1 + 1) + 2 * (label.len() + 17)
}

fn write_into(pem: &mut String, label: &str, der: &[u8]) {
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    let mut line = Zeroizing::new([0; LINE.1]);
    for octets in der.chunks(LINE.0) {
        // A line has room for what 48 octets come to, and base64 is ASCII.
        let written = STANDARD.encode_slice(octets, line.as_mut_slice()).unwrap_or(0);
        pem.push_str(std::str::from_utf8(&line[..written]).unwrap_or_default());
        pem.push('\n');
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
}

fn read(pem: &[u8]) -> Result<Blocks, PemError> {
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    let mut lines = pem.split(|&b| b == b'\n' || b == b'\r').map(<[u8]>::trim_ascii_end);
    let mut blocks: Vec<Block> = Vec::new();
    let mut trailing = false;
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, b"-----BEGIN ") else {
            trailing |= !line.is_empty();
            continue;
        };
        trailing = false;
        if blocks.len() == MAX_BLOCKS {
            return Err(PemError::TooMany { limit: MAX_BLOCKS });
        }
        blocks.push(body(label, &mut lines, pem.len())?);
    }
    Ok(Blocks { blocks, trailing })
}

/// Reads up to the end of the block whose first line was just seen.
fn body<'a>(
    label: &[u8],
    lines: &mut impl Iterator<Item = &'a [u8]>,
    size: usize,
) -> Result<Block, PemError> {
    let shown = super::printable(&String::from_utf8_lossy(label));
    // With room for all of it at once no copy of a secret is left behind by growing.
    let mut base64 = Zeroizing::new(Vec::with_capacity(size.min(MAX_RESERVED)));
    loop {
        let line = lines.next().ok_or_else(|| PemError::Unfinished { label: shown.clone() })?;
        if let Some(end) = boundary(line, b"-----END ") {
            if end != label {
                return Err(PemError::Unfinished { label: shown });
            }
            break;
        }
        if line.starts_with(b"-----") {
            return Err(PemError::Unfinished { label: shown });
        }
        if line.contains(&b':') {
            return Err(PemError::Headers { label: shown });
        }
        base64.extend_from_slice(line);
    }
    let mut der = Zeroizing::new(Vec::with_capacity(base64.len() / 4 * 3 + 3));
    STANDARD
        .decode_vec(base64.as_slice(), &mut der)
        .map_err(|_| PemError::Base64 { label: shown.clone() })?;
    Ok(Block { label: shown, der })
}

/// More than any key needs, less than a bundle may have.
const MAX_RESERVED: usize = 64 * 1024;

/// The label of a line `-----BEGIN label-----`.
fn boundary<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(prefix)?.strip_suffix(b"-----")
}

#[cfg(test)]
mod tests;
