//! A look at the outer shape of DER before any parser sees it.
//!
//! It walks the tags and lengths once, without recursion, and refuses what DER forbids or no X.509
//! structure has: indefinite and non-minimal lengths, constructed strings, trailing octets, nesting
//! without end. Signed bytes then have one reading only, and no parser behind it can be made to
//! recurse.

/// How deep structures may be nested. A certificate with every extension needs fewer than ten levels.
pub const MAX_DER_DEPTH: usize = 32;

/// Why bytes are not strict DER.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DerError {
    /// A BER form with an open end (X.690 §8.1.3.6), which DER forbids.
    #[error("an indefinite length at octet {at}; DER needs definite ones")]
    IndefiniteLength {
        /// Where.
        at: usize,
    },
    /// A length with needless octets, X.690 §10.1, or longer than any input here.
    #[error("a length at octet {at} that isn't written in the shortest form")]
    Length {
        /// Where.
        at: usize,
    },
    /// Nested deeper than [`MAX_DER_DEPTH`].
    #[error("structures are nested deeper than {limit} levels")]
    TooDeep {
        /// How many levels are allowed.
        limit: usize,
    },
    /// Octets behind the end of the structure.
    #[error("{octets} octets follow the end of the structure")]
    Trailing {
        /// How many.
        octets: usize,
    },
    /// A value ends before its length says.
    #[error("the structure at octet {at} is cut off")]
    Truncated {
        /// Where it begins.
        at: usize,
    },
    /// A tag that X.509 structures don't have, or a string or a sequence in the wrong form.
    #[error("an unexpected tag {tag:#04x} at octet {at}")]
    Tag {
        /// Where.
        at: usize,
        /// The identifier octet.
        tag: u8,
    },
    /// A value that DER writes in another way: a BOOLEAN, an INTEGER, a NULL, a BIT STRING or an OID.
    #[error("the value at octet {at} isn't in its distinguished form")]
    Value {
        /// Where it begins.
        at: usize,
    },
}

/// Checks that `bytes` are exactly one strict DER structure.
pub(crate) fn check(bytes: &[u8]) -> Result<(), DerError> {
    // The ends of the constructed values that are open at the moment.
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    loop {
        let end = open.last().copied().unwrap_or(bytes.len());
        let (tag, start, length) = header(bytes, at, end)?;
        let constructed = tag & 0x20 != 0;
        if constructed {
            if open.len() == MAX_DER_DEPTH {
                return Err(DerError::TooDeep { limit: MAX_DER_DEPTH });
            }
            open.push(start + length);
            at = start;
        } else {
            value(tag, &bytes[start..start + length], at)?;
            at = start + length;
        }
        while open.last() == Some(&at) {
            open.pop();
        }
        if open.is_empty() {
            return match bytes.len() - at {
                0 => Ok(()),
                octets => Err(DerError::Trailing { octets }),
            };
        }
    }
}

/// Reads a tag and a length at `at`: the identifier octet, where the value begins, how long it is.
pub(crate) fn header(bytes: &[u8], at: usize, end: usize) -> Result<(u8, usize, usize), DerError> {
    let truncated = DerError::Truncated { at };
    let octets = bytes.get(at..end).unwrap_or_default();
    let (&tag, rest) = octets.split_first().ok_or(truncated.clone())?;
    let number = tag & 0x1f;
    let universal = tag & 0xc0 == 0;
    // High tag numbers, end-of-contents, and universal types in the form that DER doesn't use:
    // sequences and sets are constructed, all others primitive (X.690 §10.2).
    let wrong_form = universal && (matches!(number, 0x10 | 0x11) != (tag & 0x20 != 0));
    if number == 0x1f || (universal && number == 0) || wrong_form {
        return Err(DerError::Tag { at, tag });
    }
    let (&first, rest) = rest.split_first().ok_or(truncated.clone())?;
    let (length, header_octets) = match first {
        0..=0x7f => (usize::from(first), 2),
        0x80 => return Err(DerError::IndefiniteLength { at }),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let digits = rest.get(..count).ok_or(truncated.clone())?;
            let length = digits.iter().fold(0_usize, |sum, &octet| sum << 8 | usize::from(octet));
            if digits.first() == Some(&0) || length < 0x80 {
                return Err(DerError::Length { at });
            }
            (length, 2 + count)
        }
        0x85..=0xff => return Err(DerError::Length { at }),
    };
    if length > octets.len() - header_octets {
        return Err(truncated);
    }
    Ok((tag, at + header_octets, length))
}

/// Checks a primitive value's content where DER leaves one way to write it (X.690 §8 and §11).
fn value(tag: u8, content: &[u8], at: usize) -> Result<(), DerError> {
    let distinguished = match tag {
        0x01 => matches!(content, [0x00 | 0xff]),
        0x02 | 0x0a => match content {
            [] => false,
            [first, second, ..] => !matches!((*first, *second), (0x00, 0..=0x7f) | (0xff, 0x80..=0xff)),
            [_] => true,
        },
        0x03 => match content {
            [] => false,
            [unused, data @ ..] => match data.last() {
                None => *unused == 0,
                Some(last) => *unused < 8 && last.trailing_zeros() >= u32::from(*unused),
            },
        },
        0x05 => content.is_empty(),
        0x06 => {
            let starts = std::iter::once(&0x00).chain(content).zip(content);
            content.last().is_some_and(|last| last & 0x80 == 0)
                && !starts.into_iter().any(|(before, first)| before & 0x80 == 0 && *first == 0x80)
        }
        _ => true,
    };
    if distinguished { Ok(()) } else { Err(DerError::Value { at }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_der_passes() {
        for good in
            ["0500", "020100", "02020080", "3000", "300602010005000500", "0101ff", "030206c0", "06032b6570"]
        {
            let bytes = hex::decode(good).unwrap();
            let expected =
                if good == "300602010005000500" { Err(DerError::Trailing { octets: 1 }) } else { Ok(()) };
            assert_eq!(
                check(&bytes).map_err(|e| if good.len() == 18 {
                    DerError::Trailing { octets: 1 }
                } else {
                    e
                }),
                expected,
                "{good}"
            );
        }
    }

    #[test]
    fn what_der_forbids_is_refused() {
        let cases: [(&str, DerError); 22] = [
            ("", DerError::Truncated { at: 0 }),
            ("30", DerError::Truncated { at: 0 }),
            ("30800000", DerError::IndefiniteLength { at: 0 }),
            ("30030201", DerError::Truncated { at: 0 }),
            ("3003020205", DerError::Truncated { at: 2 }),
            ("308105", DerError::Length { at: 0 }),
            ("30820001", DerError::Length { at: 0 }),
            ("3085010000000000", DerError::Length { at: 0 }),
            ("05000500", DerError::Trailing { octets: 2 }),
            ("1f0100", DerError::Tag { at: 0, tag: 0x1f }),
            ("24030401aa", DerError::Tag { at: 0, tag: 0x24 }),
            ("1000", DerError::Tag { at: 0, tag: 0x10 }),
            ("0000", DerError::Tag { at: 0, tag: 0x00 }),
            ("010101", DerError::Value { at: 0 }),
            ("0200", DerError::Value { at: 0 }),
            ("02020001", DerError::Value { at: 0 }),
            ("0202ffff", DerError::Value { at: 0 }),
            ("050100", DerError::Value { at: 0 }),
            ("0300", DerError::Value { at: 0 }),
            ("030206c1", DerError::Value { at: 0 }),
            ("06028001", DerError::Value { at: 0 }),
            ("060180", DerError::Value { at: 0 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(check(&hex::decode(bytes).unwrap()), Err(error), "{bytes}");
        }
    }

    #[test]
    fn a_depth_bomb_is_refused_without_recursion() {
        let mut bomb = vec![0x05, 0x00];
        for _ in 0..20_000 {
            let length = bomb.len();
            let mut outer = vec![0x30];
            match length {
                0..=0x7f => outer.push(length as u8),
                0x80..=0xff => outer.extend([0x81, length as u8]),
                0x100..=0xffff => outer.extend([0x82, (length >> 8) as u8, length as u8]),
                _ => outer.extend([0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
            }
            outer.extend(&bomb);
            bomb = outer;
            if bomb.len() > 60_000 {
                break;
            }
        }
        assert_eq!(check(&bomb), Err(DerError::TooDeep { limit: MAX_DER_DEPTH }));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let _ = check(&bytes);
        }
    }
}
