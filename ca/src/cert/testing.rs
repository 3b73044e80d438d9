//! Structures made by hand for tests: whatever no encoder would write.

use crate::cert::pem;
use crate::key::{KeyType, PrivateKey};

/// A tag, the length and the parts.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut der = vec![tag];
    match content.len() {
        length @ 0..=0x7f => der.push(length as u8),
        length @ 0x80..=0xff => der.extend([0x81, length as u8]),
        length => der.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    der.extend(content);
    der
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub fn oid(text: &str) -> Vec<u8> {
    tlv(0x06, &[der::asn1::ObjectIdentifier::new_unwrap(text).as_bytes()])
}

pub fn bit_string(value: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], value])
}

pub fn integer(magnitude: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if magnitude.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
    tlv(0x02, &[sign, magnitude])
}

/// A Name with one common name.
pub fn name(common_name: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x31, &[&sequence(&[&oid("2.5.4.3"), &tlv(0x0c, &[common_name])])])])
}

/// A SubjectPublicKeyInfo of an elliptic curve.
pub fn ec_spki(curve: &[u8], point: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&oid("1.2.840.10045.2.1"), curve]), &bit_string(point)])
}

pub fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = sequence(&[&integer(modulus), &integer(exponent)]);
    sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]), &bit_string(&key)])
}

/// An attribute extensionRequest with these extensions.
pub fn extension_request(extensions: &[&[u8]]) -> Vec<u8> {
    sequence(&[&oid("1.2.840.113549.1.9.14"), &tlv(0x31, &[&sequence(extensions)])])
}

/// An extension subjectAltName with these GeneralNames.
pub fn san(names: &[&[u8]]) -> Vec<u8> {
    sequence(&[&oid("2.5.29.17"), &tlv(0x04, &[&sequence(names)])])
}

/// A request that is put together and signed by hand.
pub struct RequestParts {
    pub version: u8,
    pub subject: Vec<u8>,
    pub spki: Vec<u8>,
    pub attributes: Vec<Vec<u8>>,
    pub algorithm: Vec<u8>,
}

impl RequestParts {
    pub fn of(key: &PrivateKey) -> RequestParts {
        RequestParts {
            version: 0,
            subject: name(b"test"),
            spki: key.public_key().spki_der().to_vec(),
            attributes: Vec::new(),
            algorithm: key.signature_algorithm_der(),
        }
    }

    pub fn info(&self) -> Vec<u8> {
        let attributes: Vec<&[u8]> = self.attributes.iter().map(Vec::as_slice).collect();
        sequence(&[&integer(&[self.version]), &self.subject, &self.spki, &tlv(0xa0, &attributes)])
    }

    pub fn signed(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let info = self.info();
        let signature = sign(&info);
        sequence(&[&info, &self.algorithm, &bit_string(&signature)])
    }

    pub fn signed_by(&self, key: &PrivateKey) -> Vec<u8> {
        self.signed(|info| key.sign(info).unwrap())
    }
}

/// One key of each kind that is generated quickly, made once.
pub fn key(key_type: KeyType) -> &'static PrivateKey {
    use std::sync::OnceLock;
    static KEYS: [OnceLock<PrivateKey>; 5] = [const { OnceLock::new() }; 5];
    let at = match key_type {
        KeyType::P256 => 0,
        KeyType::P384 => 1,
        KeyType::P521 => 2,
        KeyType::Ed25519 => 3,
        KeyType::Rsa2048 => 4,
        KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => panic!("too slow for a test"),
    };
    KEYS[at].get_or_init(|| PrivateKey::generate(key_type).unwrap())
}

pub const KEY_TYPES: [KeyType; 5] =
    [KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Ed25519, KeyType::Rsa2048];

/// Runs the openssl program with files in a directory of their own; its standard output if it succeeds.
pub fn openssl(arguments: &[&str], files: &[(&str, &[u8])]) -> Result<Vec<u8>, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let output = std::process::Command::new("openssl")
        .args(arguments)
        .current_dir(dir.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program openssl is needed");
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

pub fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    pem::write(label, der).as_bytes().to_vec()
}
