//! Signs, and does nothing else: the one place where an authority's private key is used.
//!
//! It takes only bytes that passed [`crate::lint`] for this very key. What others build on (an authority's
//! certificate, a list) leaves only if its signature verifies with the public key, and so does whatever RSA
//! signs: a fault in memory or in the library is an error here, not a broken certificate out there. A leaf
//! by ECDSA or Ed25519 is not verified one by one (`docs/decisions/0008-signatures-we-verify.md`): the key
//! has shown that it works when it was opened (`prove`), and whoever asked verifies what it was given.

use aws_lc_rs::digest::digest;
use store::spread::both;

use crate::cert::{Certificate, CertificateError, SignatureError, SignedData};
use crate::issuer::Issuer;
use crate::key::{KeyType, PrivateKey, PrivateKeyError};
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

/// Signs an authority's certificate.
pub(crate) fn certificate(
    linted: &Linted<ForCertificate>,
    key: &PrivateKey,
) -> Result<Certificate, SignError> {
    let der = sign(linted, key, Proof::Verified)?;
    Certificate::from_der(&der).map_err(SignError::Certificate)
}

/// Signs a leaf. What it says was read when it was linted; here it is only put together.
pub(crate) fn leaf(linted: Linted<ForCertificate>, key: &PrivateKey) -> Result<Certificate, SignError> {
    let signature = signature(&linted, key, Proof::of_leaf(key.key_type()))?;
    let algorithm = linted.algorithm();
    let (read, tbs) = linted.into_read();
    Ok(Certificate::signed(read, assemble(tbs, algorithm, &signature)))
}

/// Whether a signature is verified before it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// It is.
    Verified,
    /// The key was proved when it was opened.
    OfTheKey,
}

impl Proof {
    /// Verifying costs RSA a fiftieth of signing, and a faulty signature made with CRT gives the key away
    /// (Boneh, DeMillo and Lipton 1997). By ECDSA it costs four times the signature and protects no key.
    fn of_leaf(key_type: KeyType) -> Proof {
        match key_type {
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => {
                Proof::Verified
            }
            KeyType::P256 | KeyType::P384 | KeyType::P521 | KeyType::Ed25519 => Proof::OfTheKey,
        }
    }
}

/// Shows that a key signs what its public key verifies, before it signs anything that counts. What it
/// signs here is no DER, so that it can never stand for a certificate or a list.
pub(crate) fn prove(key: &PrivateKey) -> Result<(), SignError> {
    let message = b"pki: this key signs, and its public key verifies it";
    let signature = key.sign(message).map_err(SignError::Key)?;
    key.signature_algorithm().verify(key.public_key(), message, &signature).map_err(SignError::Verify)
}

/// Signs a list with an authority's key; returns the CertificateList in DER.
pub fn list(linted: &Linted<ForList>, issuer: &Issuer) -> Result<Vec<u8>, SignError> {
    sign(linted, issuer.key(), Proof::Verified)
}

/// As [`list`], for large ones: the list is built around its to-be-signed bytes where they lie.
pub fn list_in_place(linted: Linted<ForList>, issuer: &Issuer) -> Result<Vec<u8>, SignError> {
    let signature = large_signature(&linted, issuer.key())?;
    let algorithm = linted.algorithm();
    Ok(assemble(linted.into_tbs(), algorithm, &signature))
}

/// Signs a list with a key that no record here belongs to: the root's, where it lives.
pub fn list_with_key(linted: &Linted<ForList>, key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    sign(linted, key, Proof::Verified)
}

/// `SIGNED{…}` of RFC 5280 §4.1 and §5.1: the bytes, the algorithm, the signature.
fn sign<K>(linted: &Linted<K>, key: &PrivateKey, proof: Proof) -> Result<Vec<u8>, SignError> {
    let signature = signature(linted, key, proof)?;
    Ok(assemble(linted.tbs().to_vec(), linted.algorithm(), &signature))
}

/// The signature alone.
fn signature<K>(linted: &Linted<K>, key: &PrivateKey, proof: Proof) -> Result<Vec<u8>, SignError> {
    if key.public_key().digest() != *linted.signer() {
        return Err(SignError::WrongSigner);
    }
    let signature = key.sign(linted.tbs()).map_err(SignError::Key)?;
    match proof {
        Proof::OfTheKey => {}
        Proof::Verified => {
            let data = SignedData { tbs: linted.tbs(), algorithm: linted.algorithm(), signature: &signature };
            data.verify(key.public_key()).map_err(SignError::Verify)?;
        }
    }
    Ok(signature)
}

/// As [`signature`] with [`Proof::Verified`]; large bytes are hashed by two threads at once, one for the
/// signature and one for its verification, so that neither relies on the other's digest.
fn large_signature<K: Sync>(linted: &Linted<K>, key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    const LARGE: usize = 1 << 20;
    let Some(hash) = key.key_type().ecdsa_hash().filter(|_| linted.tbs().len() > LARGE) else {
        return signature(linted, key, Proof::Verified);
    };
    if key.public_key().digest() != *linted.signer() {
        return Err(SignError::WrongSigner);
    }
    let algorithm = key.signature_algorithm();
    let digest = || digest(hash, linted.tbs());
    let (again, signature) = both(digest, || key.sign_digest(&digest()).map_err(SignError::Key));
    let signature = signature?;
    algorithm.verify_digest(key.public_key(), &again, &signature).map_err(SignError::Verify)?;
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
