//! The authorities' private keys that should be here: there, readable, and the right ones.
//!
//! A key under a passphrase is looked at from outside: trying the passphrase is made to be slow, and
//! `doctor` is never given it.

use ca::cert::KeyId;
use ca::key::{PrivateKey, PrivateKeyError};
use ca::keyring::issuer_certificate;
use ca::records::{AuthorityRecord, AuthorityState, KeyPlace};

use super::{Finding, Severity, finding, ok};
use crate::Pki;
use crate::http::problem;
use crate::ops::{Error, shape};

const RESTORE: &str = "restore it from a backup that has the keys; one made with --no-keys has none";

/// Every key that the records say is here.
pub(super) fn all(pki: &Pki) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for record in shape::records(pki)? {
        let here = match (&record.key, record.state) {
            (KeyPlace::Elsewhere { .. }, _) => false,
            // It signs nothing more, and may have been destroyed for that.
            (_, AuthorityState::Revoked) => false,
            (_, AuthorityState::Current | AuthorityState::Retired | AuthorityState::AwaitingCertificate) => {
                true
            }
        };
        if here && let Some(message) = look(pki, &record) {
            findings.push(finding(Severity::Error, "keys", message, RESTORE));
        }
    }
    if findings.is_empty() {
        findings.push(ok("keys", "every key that should be here is"));
    }
    Ok(findings)
}

/// What is wrong with an authority's key.
fn look(pki: &Pki, record: &AuthorityRecord) -> Option<String> {
    let path = pki.keyring().path(record);
    let whose = format!("the {} CA's key", record.role.as_str());
    let pem = match store::file::read_secret(&path) {
        Ok(pem) => pem,
        Err(error) => {
            let causes: Vec<String> =
                std::iter::once(error.to_string()).chain(problem::causes(&error)).collect();
            return Some(format!("{whose} can't be read: {}", causes.join(": ")));
        }
    };
    match PrivateKey::from_pem(&pem, None) {
        Ok(key) if is_of(&key, record) => None,
        Ok(_another) => Some(format!("{} is not the key of authority {}", path.display(), record.key_id)),
        Err(PrivateKeyError::PassphraseNeeded) => None,
        Err(error) => Some(format!("{whose} in {} can't be used: {error}", path.display())),
    }
}

fn is_of(key: &PrivateKey, record: &AuthorityRecord) -> bool {
    match issuer_certificate(record) {
        // An adopted CA may name its key in its own way.
        Ok(issuer) => issuer.public_key() == key.public_key(),
        Err(_none_yet) => KeyId::of_spki(key.public_key().spki_der()).is_ok_and(|id| id == record.key_id),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use store::file::{OnExisting, Visibility, place};

    use super::*;
    use crate::ops::doctor::authorities::root_key;
    use crate::testing::made;

    #[test]
    fn a_key_that_is_lost_broken_or_anothers_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let worst = || {
            let found = all(&pki).unwrap();
            (found[0].severity, found[0].message.clone())
        };
        assert_eq!(worst().0, Severity::Ok);
        let root = pki.layout().keys().join("root.key");
        let right = fs::read(&root).unwrap();
        let put = |bytes: &[u8]| place(&root, bytes, Visibility::Secret, OnExisting::Replace).unwrap();
        put(b"junk");
        assert_eq!(worst().0, Severity::Error);
        let other = PrivateKey::generate(ca::key::KeyType::P256).unwrap();
        put(other.to_pem().unwrap().as_bytes());
        assert!(worst().1.contains("is not the key of authority"), "{:?}", worst());
        put(&right);
        assert_eq!(worst().0, Severity::Ok);
        fs::remove_file(&root).unwrap();
        assert!(worst().1.contains("root.key"), "{:?}", worst());
        assert_eq!(root_key(&pki).unwrap(), None, "what is lost lies beside nothing");
    }
}
