//! Serial numbers, RFC 5280 §4.1.2.2: not negative, at most 20 octets.

use std::fmt;

use aws_lc_rs::rand::SecureRandom;

use super::digest::lower_hex;

/// The most octets that a serial number's DER content may have, RFC 5280 §4.1.2.2.
const MAX_OCTETS: usize = 20;

/// A certificate's serial number.
///
/// Ours are [`Serial::random`]; what is read may be any number that fits, zero included, because old
/// authorities handed such numbers out and their certificates must remain revocable. Serials are
/// ordered as numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; MAX_OCTETS]);

impl Serial {
    /// A new number of exactly 20 octets whose first hex digit is 4 to 7 (so that neither its sign
    /// nor its length ever varies) and whose other 158 bits come from `random`.
    pub fn random(random: &dyn SecureRandom) -> Result<Serial, SerialError> {
        let mut octets = [0; MAX_OCTETS];
        random.fill(&mut octets).map_err(|_| SerialError::Random)?;
        octets[0] = octets[0] & 0x3f | 0x40;
        Ok(Serial(octets))
    }

    /// Reads an unsigned big-endian number; leading zeros don't matter.
    pub fn from_bytes(bytes: &[u8]) -> Result<Serial, SerialError> {
        if bytes.is_empty() {
            return Err(SerialError::Empty);
        }
        let magnitude = match bytes.iter().position(|&octet| octet != 0) {
            Some(first) => &bytes[first..],
            None => &[],
        };
        let sign_octet = usize::from(magnitude.first().is_some_and(|&octet| octet >= 0x80));
        let octets = magnitude.len() + sign_octet;
        if octets > MAX_OCTETS {
            return Err(SerialError::TooLong { octets, limit: MAX_OCTETS });
        }
        let mut serial = [0; MAX_OCTETS];
        serial[MAX_OCTETS - magnitude.len()..].copy_from_slice(magnitude);
        Ok(Serial(serial))
    }

    /// Reads the content of a DER INTEGER, which may not be negative.
    pub fn from_der_content(content: &[u8]) -> Result<Serial, SerialError> {
        match content.first() {
            Some(&first) if first >= 0x80 => Err(SerialError::Negative),
            _ => Serial::from_bytes(content),
        }
    }

    /// Reads hex digits of either case, with or without colons, as `openssl x509` prints them.
    pub fn from_hex(text: &str) -> Result<Serial, SerialError> {
        let digits: String = text.chars().filter(|&c| c != ':').collect();
        if digits.len() > 4 * MAX_OCTETS {
            return Err(SerialError::TooLong { octets: digits.len() / 2, limit: MAX_OCTETS });
        }
        let even = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
        let bytes = hex::decode(&even).map_err(|_| SerialError::NotHex)?;
        Serial::from_bytes(&bytes)
    }

    /// The number's octets, big-endian, without leading zeros (zero is one octet). There is no sign
    /// octet: a number that begins with 0x80 or more needs one in front to become a DER INTEGER. A
    /// number of ours never does.
    pub fn as_bytes(&self) -> &[u8] {
        let first = self.0.iter().position(|&octet| octet != 0).unwrap_or(MAX_OCTETS - 1);
        &self.0[first..]
    }

    /// The content of the DER INTEGER, sign octet included.
    pub fn der_content(&self) -> Vec<u8> {
        let magnitude = self.as_bytes();
        let mut content = Vec::with_capacity(magnitude.len() + 1);
        if magnitude.first().is_some_and(|&octet| octet >= 0x80) {
            content.push(0);
        }
        content.extend_from_slice(magnitude);
        content
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lower_hex(self.as_bytes()))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl std::str::FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Serial, SerialError> {
        Serial::from_hex(text)
    }
}

impl<C> minicbor::Encode<C> for Serial {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(self.as_bytes())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Serial {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Serial, minicbor::decode::Error> {
        Serial::from_bytes(decoder.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}

/// Why a serial number was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// No octets or digits at all.
    #[error("a serial number can't be empty")]
    Empty,
    /// RFC 5280 §4.1.2.2: conforming authorities use positive numbers.
    #[error("the serial number is negative")]
    Negative,
    /// Not hexadecimal.
    #[error("a serial number is written in hexadecimal digits")]
    NotHex,
    /// The system gave no random numbers.
    #[error("the system's random number generator failed")]
    Random,
    /// Longer than a serial may be.
    #[error("the serial number has {octets} octets; RFC 5280 allows {limit}")]
    TooLong {
        /// How many octets it has.
        octets: usize,
        /// How many are allowed.
        limit: usize,
    },
}

/// Why a fingerprint or a key identifier was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {digits} hexadecimal digits ({found} characters were given)")]
pub struct HexError {
    /// How many digits there must be.
    pub digits: usize,
    /// How many characters there were.
    pub found: usize,
}

#[cfg(test)]
mod tests;
