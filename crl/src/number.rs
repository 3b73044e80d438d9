//! The number of a list, RFC 5280 §5.2.3: it rises with every list and never falls.
//!
//! It is the greater of the last number plus one and the time in seconds, so that it rises with the
//! clock wrong and, from a later time on, with the records restored from an old backup.

use std::fmt;

use time::OffsetDateTime;

/// A CRL number: positive, at most 20 octets as a DER INTEGER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrlNumber([u8; 20]);

/// Why there is no such number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It needs more than 20 octets (RFC 5280 §5.2.3).
    #[error("a CRL number has at most 20 octets")]
    TooLong,
    /// It is below zero.
    #[error("a CRL number is not negative")]
    Negative,
    /// The one after the last can't be encoded any more.
    #[error("no CRL number is left after {last}")]
    Exhausted {
        /// The last one.
        last: CrlNumber,
    },
}

impl CrlNumber {
    /// The number of the list after `last`, made at `now`.
    ///
    /// # Errors
    /// [`NumberError::Exhausted`] after 2^159 - 1.
    pub fn next(last: Option<CrlNumber>, now: OffsetDateTime) -> Result<CrlNumber, NumberError> {
        let clock = CrlNumber::from(u64::try_from(now.unix_timestamp()).unwrap_or(0).max(1));
        match last {
            None => Ok(clock),
            Some(last) => last.successor().map(|successor| successor.max(clock)),
        }
    }

    pub(crate) fn successor(self) -> Result<CrlNumber, NumberError> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (sum, carried) = byte.overflowing_add(1);
            *byte = sum;
            if !carried {
                break;
            }
        }
        // The top bit would need a 21st octet.
        if bytes[0] & 0x80 != 0 { Err(NumberError::Exhausted { last: self }) } else { Ok(CrlNumber(bytes)) }
    }

    /// The number that is higher by this much.
    ///
    /// # Errors
    /// [`NumberError::Exhausted`] beyond 2^159 - 1.
    pub(crate) fn plus(self, by: u64) -> Result<CrlNumber, NumberError> {
        let mut bytes = self.0;
        let mut carry = u128::from(by);
        for byte in bytes.iter_mut().rev() {
            carry += u128::from(*byte);
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        let is_over = carry != 0 || bytes[0] & 0x80 != 0;
        if is_over { Err(NumberError::Exhausted { last: self }) } else { Ok(CrlNumber(bytes)) }
    }

    /// Reads the content octets of a DER INTEGER, or any big-endian bytes that begin with a clear bit.
    ///
    /// # Errors
    /// [`NumberError`] for a negative number or one over 20 octets.
    pub fn from_be_bytes(bytes: &[u8]) -> Result<CrlNumber, NumberError> {
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return Err(NumberError::Negative);
        }
        let significant = bytes.iter().position(|&b| b != 0).map_or(&[][..], |at| &bytes[at..]);
        if significant.len() > 20 || (significant.len() == 20 && significant[0] & 0x80 != 0) {
            return Err(NumberError::TooLong);
        }
        let mut number = [0; 20];
        number[20 - significant.len()..].copy_from_slice(significant);
        Ok(CrlNumber(number))
    }

    /// The content octets of its DER INTEGER: minimal, at least one.
    pub fn der_content(&self) -> &[u8] {
        let significant = self.0.iter().position(|&b| b != 0).unwrap_or(19);
        // A leading zero octet keeps a set top bit from being a sign.
        let from = if self.0[significant] & 0x80 != 0 { significant.saturating_sub(1) } else { significant };
        &self.0[from..]
    }
}

impl From<u64> for CrlNumber {
    fn from(number: u64) -> CrlNumber {
        let mut bytes = [0; 20];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        CrlNumber(bytes)
    }
}

impl fmt::Display for CrlNumber {
    /// Decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut digits = Vec::new();
        while rest.iter().any(|&b| b != 0) {
            let mut remainder = 0u16;
            for byte in &mut rest {
                let value = remainder << 8 | u16::from(*byte);
                *byte = (value / 10) as u8;
                remainder = value % 10;
            }
            digits.push(char::from(b'0' + remainder as u8));
        }
        if digits.is_empty() {
            digits.push('0');
        }
        f.pad_integral(true, "", &digits.into_iter().rev().collect::<String>())
    }
}

impl fmt::Debug for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrlNumber({self})")
    }
}

impl<C> minicbor::Encode<C> for CrlNumber {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.der_content())?;
        Ok(())
    }
}

impl<'b, C> minicbor::Decode<'b, C> for CrlNumber {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        CrlNumber::from_be_bytes(d.bytes()?).map_err(minicbor::decode::Error::message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    #[test]
    fn it_rises_with_the_clock_and_without_it() {
        let first = CrlNumber::next(None, at(1_000)).unwrap();
        assert_eq!(first, CrlNumber::from(1_000));
        assert_eq!(CrlNumber::next(Some(first), at(5_000)).unwrap(), CrlNumber::from(5_000));
        assert_eq!(CrlNumber::next(Some(first), at(1_000)).unwrap(), CrlNumber::from(1_001));
        assert_eq!(
            CrlNumber::next(Some(first), at(-7)).unwrap(),
            CrlNumber::from(1_001),
            "the clock is before 1970"
        );
        assert_eq!(CrlNumber::next(None, at(0)).unwrap(), CrlNumber::from(1));
    }

    #[test]
    fn twenty_octets_are_the_most() {
        let mut bytes = [0xff; 20];
        bytes[0] = 0x7f;
        let last = CrlNumber::from_be_bytes(&bytes).unwrap();
        assert_eq!(CrlNumber::next(Some(last), at(0)), Err(NumberError::Exhausted { last }));
        assert_eq!(CrlNumber::from_be_bytes(&[0xff]), Err(NumberError::Negative));
        assert_eq!(CrlNumber::from_be_bytes(&[1; 21]), Err(NumberError::TooLong));
        assert_eq!(last.to_string(), "730750818665451459101842416358141509827966271487");
    }

    #[test]
    fn its_octets_are_minimal_and_never_a_sign() {
        assert_eq!(CrlNumber::from(0).der_content(), [0]);
        assert_eq!(CrlNumber::from(0x7f).der_content(), [0x7f]);
        assert_eq!(CrlNumber::from(0x80).der_content(), [0, 0x80]);
        assert_eq!(CrlNumber::from(0x1234).der_content(), [0x12, 0x34]);
        assert_eq!(CrlNumber::from(1_234_567_890).to_string(), "1234567890");
    }
}
