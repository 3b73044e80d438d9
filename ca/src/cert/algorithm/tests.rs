//! Which signature goes with which key.

use super::*;
use crate::cert::testing::*;

#[test]
fn every_key_type_signs_and_verifies() {
    for key_type in KEY_TYPES {
        let key = key(key_type);
        let algorithm = SignatureAlgorithm::from_der(&key.signature_algorithm_der()).unwrap();
        assert_eq!(algorithm, SignatureAlgorithm::of_key(key_type));
        let mut signature = key.sign(b"message").unwrap();
        assert_eq!(algorithm.verify(key.public_key(), b"message", &signature), Ok(()));
        let wrong = Err(SignatureError::Wrong);
        assert_eq!(algorithm.verify(key.public_key(), b"massage", &signature), wrong);
        *signature.last_mut().unwrap() ^= 1;
        assert_eq!(algorithm.verify(key.public_key(), b"message", &signature), wrong);
        assert_eq!(algorithm.verify(key.public_key(), b"message", &[]), wrong);
    }
}

#[test]
fn algorithms_and_keys_must_fit() {
    for (_, algorithm) in KNOWN {
        assert_eq!(SignatureAlgorithm::from_der(&algorithm.der()), Ok(algorithm));
        for key_type in KEY_TYPES {
            let fits = match key_type {
                KeyType::Ed25519 => algorithm == SignatureAlgorithm::Ed25519,
                key_type if key_type.is_rsa() => algorithm.to_string().starts_with("RSA"),
                _ => algorithm.to_string().starts_with("ECDSA"),
            };
            let expected =
                if fits { SignatureError::Wrong } else { SignatureError::Mismatch { algorithm, key_type } };
            assert_eq!(algorithm.verify(key(key_type).public_key(), b"", b"x"), Err(expected));
        }
    }
}

#[test]
fn old_and_odd_algorithms_are_refused_by_name() {
    let refused = |der: &[u8]| match SignatureAlgorithm::from_der(der) {
        Err(SignatureError::UnsupportedAlgorithm { algorithm }) => algorithm,
        other => panic!("{other:?}"),
    };
    let null: &[u8] = &[5, 0];
    assert_eq!(refused(&sequence(&[&oid("1.2.840.113549.1.1.4"), null])), "RSA with MD5");
    assert_eq!(refused(&sequence(&[&oid("1.2.840.113549.1.1.5"), null])), "RSA with SHA-1");
    assert_eq!(refused(&sequence(&[&oid("1.2.840.10045.4.1")])), "ECDSA with SHA-1");
    assert_eq!(refused(&sequence(&[&oid("1.3.101.113")])), "Ed448");
    assert!(refused(&sequence(&[&oid("1.2.840.113549.1.1.10")])).contains("unusual parameters"));
    assert_eq!(refused(&sequence(&[&oid("1.2.3")])), "1.2.3");
    // The right OID with the wrong parameters is another algorithm.
    assert_eq!(refused(&sequence(&[&oid("1.2.840.10045.4.3.2"), null])), "1.2.840.10045.4.3.2");
    assert_eq!(refused(&[]), "(not DER)");
    assert_eq!(refused(&[0x30, 0]), "(malformed)");
}

#[test]
fn pkcs1_parameters_may_be_absent() {
    let absent = sequence(&[&oid("1.2.840.113549.1.1.11")]);
    assert_eq!(SignatureAlgorithm::from_der(&absent), Ok(SignatureAlgorithm::RsaSha256));
}
