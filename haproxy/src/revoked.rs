//! The keys of `revoked.map`: which certificate a request's client shows.
//!
//! HAProxy builds the same key from the connection: the serial number, and the digest of the issuer's name
//! in HAProxy's own spelling of names. That spelling knows attributes by OpenSSL's short names; a name with
//! an attribute that is not in the table here is refused. Nothing rests on the table being right:
//! the configuration lets in only the certificates whose issuer's digest is one that it was given.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use ca::cert::{Certificate, Serial};
use x509_cert::der::Decode;
use x509_cert::name::RdnSequence;

use crate::Error;

/// OpenSSL's short names of attributes (`OBJ_nid2sn`).
const SHORT_NAMES: [(&str, &str); 16] = [
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.97", "organizationIdentifier"),
];

/// An issuer, as HAProxy tells it: SHA-256 of `ssl_c_i_dn`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerKey([u8; 32]);

impl IssuerKey {
    /// The key of this CA as the issuer of others.
    pub fn of(ca: &Certificate) -> Result<IssuerKey, Error> {
        IssuerKey::of_name(ca.subject_raw())
    }

    /// The key of an issuer by its name, DER.
    pub fn of_name(name: &[u8]) -> Result<IssuerKey, Error> {
        let unreadable = |_| Error::IssuerName { why: "it is not a name" };
        let name = RdnSequence::from_der(name).map_err(unreadable)?;
        let mut text = Vec::new();
        for attribute in name.iter().flat_map(|set| set.iter()) {
            let oid = attribute.oid.to_string();
            let (_, short) = SHORT_NAMES
                .into_iter()
                .find(|(known, _)| *known == oid)
                .ok_or(Error::IssuerName { why: "it has an attribute of an unusual kind" })?;
            text.extend_from_slice(format!("/{short}=").as_bytes());
            text.extend_from_slice(attribute.value.value());
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &text).as_ref());
        Ok(IssuerKey(key))
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As HAProxy's converter `hex` writes it.
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKey({self})")
    }
}

/// A revoked certificate: a key of `revoked.map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevokedKey {
    /// Who issued it.
    pub issuer: IssuerKey,
    /// Its serial number.
    pub serial: Serial,
}

impl fmt::Display for RevokedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", hex::encode_upper(self.serial.as_bytes()), self.issuer)
    }
}

impl FromStr for RevokedKey {
    type Err = Error;

    /// Reads the one spelling that is written.
    fn from_str(text: &str) -> Result<RevokedKey, Error> {
        let refused = || Error::word("a revoked certificate", text, "serial and issuer in upper-case hex");
        let (serial, issuer) = text.split_once('-').ok_or_else(refused)?;
        let serial = Serial::from_hex(serial).map_err(|_| refused())?;
        let mut key = [0; 32];
        hex::decode_to_slice(issuer, &mut key).map_err(|_| refused())?;
        let read = RevokedKey { issuer: IssuerKey(key), serial };
        if read.to_string() == text { Ok(read) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_of_an_unusual_kind_is_refused_not_guessed() {
        // A Name of one attribute 2.5.4.99.
        let name = [0x30, 0x0d, 0x31, 0x0b, 0x30, 9, 6, 3, 0x55, 4, 99, 0x0c, 2, b'a', b'b'];
        let refused = IssuerKey::of_name(&name).unwrap_err().to_string();
        assert!(refused.contains("unusual kind"), "{refused}");
        assert!(IssuerKey::of_name(b"\x30\x01").is_err());
    }

    proptest! {
        #[test]
        fn there_is_one_spelling(serial in prop::collection::vec(any::<u8>(), 1..19), issuer in any::<[u8; 32]>()) {
            let key = RevokedKey { issuer: IssuerKey(issuer), serial: Serial::from_bytes(&serial).unwrap() };
            prop_assert_eq!(key.to_string().parse::<RevokedKey>().unwrap(), key);
            let lower = key.to_string().to_lowercase();
            prop_assert_eq!(lower.parse::<RevokedKey>().is_ok(), lower == key.to_string());
            let padded = format!("00{key}");
            prop_assert!(padded.parse::<RevokedKey>().is_err());
        }

        #[test]
        fn nothing_else_is_read(text in "\\PC{0,90}") {
            if let Ok(key) = text.parse::<RevokedKey>() {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
