//! How numbers and keys are written in a block: short numbers in few bytes, and two hex digits in
//! one byte, for most of a PKI's keys are serials and digests in hex.

/// Hex digits in a row that are worth a token of their own.
const MIN_HEX: usize = 6;

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Small differences of either sign become small numbers.
pub(crate) fn fold(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)) as u64
}

pub(crate) fn unfold(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// How many hex digits stand at the beginning.
fn hex_run(text: &[u8]) -> usize {
    text.iter().position(|&byte| nibble(byte).is_none()).unwrap_or(text.len())
}

/// Writes text in turns of plain bytes and hex digits, each with its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_number(out, text.len() as u64);
    let mut rest = text;
    while !rest.is_empty() {
        // The plain part ends where enough hex digits begin.
        let (mut plain, mut digits) = (0, 0);
        while plain < rest.len() {
            let run = hex_run(&rest[plain..]);
            if run >= MIN_HEX {
                digits = run;
                break;
            }
            plain = (plain + run + 1).min(rest.len());
        }
        put_number(out, plain as u64);
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.is_empty() {
            break;
        }
        put_number(out, digits as u64);
        for pair in rest[..digits].chunks(2) {
            let high = nibble(pair[0]).unwrap_or(0);
            let low = pair.get(1).and_then(|&byte| nibble(byte)).unwrap_or(0);
            out.push(high << 4 | low);
        }
        rest = &rest[digits..];
    }
}

/// Reads what the functions above wrote; every answer is `None` once the bytes don't fit.
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.bytes
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// Appends a text to `out`.
    pub(crate) fn text(&mut self, out: &mut Vec<u8>) -> Option<()> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut left = self.length()?;
        while left > 0 {
            let plain = self.length()?;
            left = left.checked_sub(plain)?;
            out.extend_from_slice(self.take(plain)?);
            if left == 0 {
                break;
            }
            let digits = self.length()?;
            left = left.checked_sub(digits)?;
            let packed = self.take(digits.div_ceil(2))?;
            for (at, byte) in packed.iter().enumerate() {
                out.push(DIGITS[usize::from(byte >> 4)]);
                if at * 2 + 1 < digits {
                    out.push(DIGITS[usize::from(byte & 15)]);
                }
            }
            if digits == 0 && plain == 0 {
                return None;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in proptest::collection::vec(any::<u64>(), 0..5),
            difference in any::<i64>(),
            texts in proptest::collection::vec("([a-z/-]{0,9}|[0-9a-f]{0,41}|[\\x00-\\x7f]{0,9}){0,4}", 0..5),
        ) {
            prop_assert_eq!(unfold(fold(difference)), difference);
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| put_number(&mut bytes, *number));
            texts.iter().for_each(|text| put_text(&mut bytes, text.as_bytes()));
            let mut reader = Reader::new(&bytes);
            for number in numbers {
                prop_assert_eq!(reader.number(), Some(number));
            }
            for text in texts {
                let mut found = Vec::new();
                reader.text(&mut found).unwrap();
                prop_assert_eq!(found, text.into_bytes());
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() && reader.text(&mut Vec::new()).is_some() {}
        }
    }

    #[test]
    fn hex_takes_half() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, format!("issued-by-key/{:064x}", 7).as_bytes());
        assert!(bytes.len() <= 14 + 32 + 4, "{}", bytes.len());
    }
}
