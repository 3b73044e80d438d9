//! Signs, and does nothing else: the one place where an authority's private key is used.
//!
//! It takes only bytes that passed [`crate::lint`] for this very key, and lets nothing out whose
//! signature does not verify with the public key: a fault in memory or in the library is an error here,
//! not a broken certificate out there (and for RSA with CRT, not a leaked key either).

use crate::cert::{Certificate, CertificateError, SignatureError, SignedData};
use crate::issuer::Issuer;
use crate::key::{PrivateKey, PrivateKeyError};
use crate::lint::{ForCertificate, ForList, Linted};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// What was signed can't be read back.
    #[error("the certificate that was signed can't be read back")]
    Certificate(#[source] CertificateError),
    /// The key did not sign.
    #[error("the authority's key failed to sign")]
    Key(#[source] PrivateKeyError),
    /// The signature that the key made is not one of this key.
    #[error("the signature that was made does not verify; nothing was issued")]
    Verify(#[source] SignatureError),
    /// The bytes were linted for another signer.
    #[error("the bytes were checked for another authority than the one that is to sign them")]
    WrongSigner,
}

/// Signs a certificate with an authority's key.
pub(crate) fn certificate(
    linted: &Linted<ForCertificate>,
    key: &PrivateKey,
) -> Result<Certificate, SignError> {
    let der = sign(linted, key)?;
    Certificate::from_der(&der).map_err(SignError::Certificate)
}

/// Signs a list with an authority's key; returns the CertificateList in DER.
pub fn list(linted: &Linted<ForList>, issuer: &Issuer) -> Result<Vec<u8>, SignError> {
    sign(linted, issuer.key())
}

/// As [`list`], for large ones: the list is built around its to-be-signed bytes where they lie.
pub fn list_in_place(linted: Linted<ForList>, issuer: &Issuer) -> Result<Vec<u8>, SignError> {
    let signature = signature(&linted, issuer.key())?;
    let algorithm = linted.algorithm();
    Ok(assemble(linted.into_tbs(), algorithm, &signature))
}

/// Signs a list with a key that no record here belongs to: the root's, where it lives.
pub fn list_with_key(linted: &Linted<ForList>, key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    sign(linted, key)
}

/// `SIGNED{…}` of RFC 5280 §4.1 and §5.1: the bytes, the algorithm, the signature.
fn sign<K>(linted: &Linted<K>, key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    let signature = signature(linted, key)?;
    Ok(assemble(linted.tbs().to_vec(), linted.algorithm(), &signature))
}

/// The signature alone, verified.
fn signature<K>(linted: &Linted<K>, key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    if key.public_key().digest() != *linted.signer() {
        return Err(SignError::WrongSigner);
    }
    let signature = key.sign(linted.tbs()).map_err(SignError::Key)?;
    let data = SignedData { tbs: linted.tbs(), algorithm: linted.algorithm(), signature: &signature };
    data.verify(key.public_key()).map_err(SignError::Verify)?;
    Ok(signature)
}

fn assemble(tbs: Vec<u8>, algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let mut bits = header(BIT_STRING, signature.len() + 1);
    bits.push(0); // no unused bits
    let around = algorithm.len() + bits.len() + signature.len();
    let outer = header(SEQUENCE, tbs.len() + around);
    // A list may be large: it grows in place instead of being copied.
    let mut der = tbs;
    der.reserve_exact(outer.len() + around);
    der.splice(0..0, outer);
    for part in [algorithm, &bits, signature] {
        der.extend_from_slice(part);
    }
    der
}

/// A tag and a definite length of the shortest form (X.690 §10.1).
fn header(tag: u8, length: usize) -> Vec<u8> {
    if length < 0x80 {
        return vec![tag, length as u8];
    }
    let octets = length.to_be_bytes();
    let significant = &octets[octets.iter().position(|&octet| octet != 0).unwrap_or(octets.len() - 1)..];
    let mut header = vec![tag, 0x80 | significant.len() as u8];
    header.extend_from_slice(significant);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_shortest_form() {
        let table: [(usize, &[u8]); 5] = [
            (0, &[0x30, 0x00]),
            (0x7f, &[0x30, 0x7f]),
            (0x80, &[0x30, 0x81, 0x80]),
            (0x1234, &[0x30, 0x82, 0x12, 0x34]),
            (0x02eb_e320, &[0x30, 0x84, 0x02, 0xeb, 0xe3, 0x20]),
        ];
        for (length, expected) in table {
            assert_eq!(header(0x30, length), expected, "{length}");
        }
    }
}
