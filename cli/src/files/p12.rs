//! PKCS#12: key and chain in one file, for browsers and other programs that want it so.
//!
//! PBES2 with AES-256 and HMAC-SHA-256 only (RFC 7292 with RFC 9579-era algorithms OpenSSL 3 and
//! current systems read); the old RC2 and 3DES forms are not offered.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use ca::cert::{Certificate, Fingerprint};
use p12_keystore::{EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain};
use zeroize::Zeroizing;

use crate::error::CommandError;

/// A PKCS#12 file that was asked for.
pub struct Pkcs12 {
    /// Where it goes, absolute.
    pub path: PathBuf,
    /// What protects it.
    pub passphrase: Zeroizing<String>,
}

/// Rounds of PBKDF2 and of the MAC's key derivation: some tenths of a second for whoever opens it.
const ITERATIONS: u32 = 200_000;

/// The file's content.
pub fn encode(
    key: &str,
    chain: &str,
    name: &str,
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let failed =
        |error: &dyn std::error::Error| CommandError::internal("cannot make the PKCS#12 file").because(error);
    let key = PrivateKey::from_der(&pem_body(key)?).map_err(|error| failed(&error))?;
    let chain = Certificate::pem_bundle(chain.as_bytes()).map_err(|error| failed(&error))?;
    // The local key id ties the key to its certificate; any unique octets do (RFC 7292 §4.2).
    let local_key_id = match chain.first() {
        Some(leaf) => Fingerprint::of(leaf.der()).as_bytes()[..20].to_vec(),
        None => return Err(CommandError::internal("cannot make the PKCS#12 file: the chain is empty")),
    };
    let chain = chain
        .iter()
        .map(|certificate| p12_keystore::Certificate::from_der(certificate.der()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(&error))?;
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(local_key_id, key, chain)));
    let bytes = store
        .writer(passphrase)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha256)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(|error| failed(&error))?;
    Ok(Zeroizing::new(bytes))
}

/// Whether a file is one of ours for this key: an interruption came after it was written.
pub fn holds(bytes: &[u8], key: &str, passphrase: &str) -> bool {
    let policy = p12_keystore::Pkcs12ImportPolicy::Strict;
    let Ok(store) = KeyStore::from_pkcs12(bytes, passphrase, policy) else { return false };
    let (Some((_, chain)), Ok(key)) = (store.private_key_chain(), pem_body(key)) else { return false };
    chain.key().as_der() == &**key
}

/// The DER inside one PEM block.
fn pem_body(pem: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let mut body = Zeroizing::new(String::with_capacity(pem.len()));
    pem.lines().filter(|line| !line.starts_with("-----")).for_each(|line| body.push_str(line.trim()));
    let der = STANDARD
        .decode(body.as_bytes())
        .map_err(|error| CommandError::internal("the private key is not PEM").because(&error))?;
    Ok(Zeroizing::new(der))
}

#[cfg(test)]
mod tests {
    use ca::key::{KeyType, PrivateKey as Key};

    use super::*;

    /// A certificate that another program made, for its form alone.
    const CERTIFICATE: &str = include_str!("p12-test.crt");

    #[test]
    fn what_is_encoded_opens_with_its_passphrase_alone() {
        let key = Key::generate(KeyType::P384).unwrap().to_pem().unwrap();
        let bytes = encode(&key, CERTIFICATE, "alice", "correct horse").unwrap();
        let policy = p12_keystore::Pkcs12ImportPolicy::Strict;
        assert!(KeyStore::from_pkcs12(&bytes, "wrong", policy).is_err());
        let store = KeyStore::from_pkcs12(&bytes, "correct horse", policy).unwrap();
        let (alias, chain) = store.private_key_chain().unwrap();
        assert_eq!(alias, "alice");
        assert_eq!(chain.key().as_der(), &**pem_body(&key).unwrap());
        assert_eq!(chain.certs().len(), 1);
        assert!(encode(&key, "", "alice", "x").is_err());
        let other = Key::generate(KeyType::P384).unwrap().to_pem().unwrap();
        assert!(holds(&bytes, &key, "correct horse"));
        assert!(!holds(&bytes, &other, "correct horse") && !holds(&bytes, &key, "wrong"));
        assert!(!holds(b"mine", &key, "correct horse"));
    }
}
