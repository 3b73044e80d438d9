//! Keys written and read, by us and by openssl (C17).

use std::error::Error;

use proptest::prelude::*;

use super::*;
use crate::cert::testing::*;
use crate::cert::{KeyError, PemError, WeakKey, pem};

fn passphrase(text: &str) -> Passphrase {
    Passphrase::from_line(text.as_bytes()).unwrap()
}

fn read(pem: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
    PrivateKey::from_pem(pem, None)
}

#[test]
fn every_type_is_made_written_and_read() {
    for key_type in KEY_TYPES {
        let key = key(key_type);
        assert_eq!(key.key_type(), key_type);
        let pem = key.to_pem().unwrap();
        assert_eq!(read(pem.as_bytes()).unwrap().public_key(), key.public_key());
        // openssl reads it, and finds the same public key.
        let spki =
            openssl(&["pkey", "-in", "k", "-pubout", "-outform", "DER"], &[("k", pem.as_bytes())]).unwrap();
        assert_eq!(spki, key.public_key().spki_der(), "{key_type}");
        let windows = format!("\u{feff}{}", pem.replace('\n', "\r\n"));
        assert!(read(windows.as_bytes()).is_ok());
    }
    let other = PrivateKey::generate(KeyType::RsaOther { bits: 2056 });
    assert!(matches!(other, Err(PrivateKeyError::NotGenerated { .. })));
}

#[test]
fn openssl_opens_what_we_encrypt_and_we_what_it_encrypts() {
    let secret = passphrase("correct hørse");
    for cost in [ScryptCost::CHEAP, ScryptCost::DEFAULT] {
        let ours = key(KeyType::P384).to_encrypted_pem(&secret, cost).unwrap();
        assert!(ours.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let arguments = ["pkey", "-in", "k", "-passin", "pass:correct hørse", "-pubout", "-outform", "DER"];
        let spki = openssl(&arguments, &[("k", ours.as_bytes())]).unwrap();
        assert_eq!(spki, key(KeyType::P384).public_key().spki_der());
        assert!(PrivateKey::from_pem(ours.as_bytes(), Some(&secret)).is_ok());
    }
    let plain = key(KeyType::P256).to_pem().unwrap();
    for options in [&["-v2", "aes-256-cbc"][..], &["-v2", "aes128"], &["-scrypt"]] {
        let arguments = [&["pkcs8", "-topk8", "-in", "k", "-passout", "pass:x"], options].concat();
        let theirs = openssl(&arguments, &[("k", plain.as_bytes())]).unwrap();
        let key = PrivateKey::from_pem(&theirs, Some(&passphrase("x"))).unwrap();
        assert_eq!(key.public_key(), crate::cert::testing::key(KeyType::P256).public_key());
    }
    for options in [&["-v1", "PBE-SHA1-3DES"][..], &["-v2", "des3"]] {
        let arguments = [&["pkcs8", "-topk8", "-in", "k", "-passout", "pass:x"], options].concat();
        let theirs = openssl(&arguments, &[("k", plain.as_bytes())]).unwrap();
        let refused = PrivateKey::from_pem(&theirs, Some(&passphrase("x"))).unwrap_err();
        let unsupported = matches!(
            refused,
            PrivateKeyError::UnsupportedEncryption { .. } | PrivateKeyError::Malformed { .. }
        );
        assert!(unsupported, "{options:?}: {refused:?}");
    }
}

#[test]
fn passphrases_are_asked_for_and_checked() {
    let secret = passphrase("x");
    let key = key(KeyType::Ed25519);
    assert!(matches!(
        read(key.to_encrypted_pem(&secret, ScryptCost::CHEAP).unwrap().as_bytes()),
        Err(PrivateKeyError::PassphraseNeeded)
    ));
    // Often enough that padding is right by chance now and then.
    for _ in 0..600 {
        let pem = key.to_encrypted_pem(&secret, ScryptCost::CHEAP).unwrap();
        let refused = PrivateKey::from_pem(pem.as_bytes(), Some(&passphrase("y")));
        assert!(matches!(refused, Err(PrivateKeyError::WrongPassphrase)), "{refused:?}");
    }
    // A needless passphrase does no harm.
    assert!(PrivateKey::from_pem(key.to_pem().unwrap().as_bytes(), Some(&secret)).is_ok());
    assert_eq!(Passphrase::from_line(b"").err(), Some(PassphraseError::Empty));
    assert_eq!(Passphrase::from_line(b"\r\n").err(), Some(PassphraseError::Empty));
    assert_eq!(Passphrase::from_line(b"a\nb\n").err(), Some(PassphraseError::Lines));
    assert_eq!(Passphrase::from_line(b"a\0").err(), Some(PassphraseError::Lines));
    assert_eq!(Passphrase::from_line(&[b'a'; 1025]).err(), Some(PassphraseError::TooLong { limit: 1024 }));
    assert_eq!(Passphrase::from_line(b" a \r\n").unwrap().as_bytes(), b" a ");
}

#[test]
fn the_old_formats_are_read() {
    for key_type in [KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Rsa2048] {
        let key = key(key_type);
        let plain = key.to_pem().unwrap();
        let old = openssl(&["pkey", "-in", "k", "-traditional"], &[("k", plain.as_bytes())]).unwrap();
        let label = if key_type.is_rsa() { "RSA PRIVATE KEY" } else { "EC PRIVATE KEY" };
        assert!(String::from_utf8_lossy(&old).contains(label));
        assert_eq!(read(&old).unwrap().public_key(), key.public_key());
        let arguments = ["pkey", "-in", "k", "-traditional", "-aes256", "-passout", "pass:x"];
        let encrypted = openssl(&arguments, &[("k", plain.as_bytes())]).unwrap();
        let headers = matches!(
            PrivateKey::from_pem(&encrypted, Some(&passphrase("x"))),
            Err(PrivateKeyError::Pem { source: PemError::Headers { .. } })
        );
        assert!(headers);
    }
    // `openssl ecparam -genkey` writes the curve as a block of its own in front: two blocks.
    let two = openssl(&["ecparam", "-name", "prime256v1", "-genkey"], &[]).unwrap();
    assert!(matches!(read(&two), Err(PrivateKeyError::Pem { source: PemError::Several { count: 2, .. } })));
}

#[test]
fn unaccepted_keys_say_what_they_are() {
    let made = |arguments: &[&str]| openssl(arguments, &[]).unwrap();
    let curve =
        |name: &str| made(&["genpkey", "-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{name}")]);
    for name in ["secp256k1", "P-224"] {
        let refused = read(&curve(name)).unwrap_err();
        let named = matches!(refused, PrivateKeyError::Public { source: KeyError::UnsupportedCurve { .. } });
        assert!(named, "{name}: {refused:?}");
    }
    let ed448 = read(&made(&["genpkey", "-algorithm", "ed448"])).unwrap_err();
    assert!(matches!(ed448, PrivateKeyError::Public { source: KeyError::UnsupportedAlgorithm { .. } }));
    let explicit = made(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-pkeyopt",
        "ec_param_enc:explicit",
    ]);
    let refused = read(&explicit).unwrap_err();
    assert!(matches!(refused, PrivateKeyError::Public { source: KeyError::ExplicitCurve }), "{refused:?}");
    assert!(read(&made(&["genrsa", "1024"])).is_err());
    let exponent = [
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-pkeyopt",
        "rsa_keygen_pubexp:3",
    ];
    let refused = read(&made(&exponent)).unwrap_err();
    assert!(
        matches!(refused, PrivateKeyError::Weak { source: WeakKey::SmallExponent { .. } }),
        "{refused:?}"
    );
    assert!(refused.source().is_some());
}

#[test]
fn damaged_keys_and_other_files_are_refused() {
    let der = key(KeyType::P256).to_pkcs8().unwrap();
    let labelled = |label: &str, der: &[u8]| read(&crate::cert::testing::pem(label, der));
    assert!(matches!(labelled("PRIVATE KEY", &der[1..]), Err(PrivateKeyError::Malformed { .. })));
    let trailing = [der.as_slice(), &[0]].concat();
    assert!(matches!(labelled("PRIVATE KEY", &trailing), Err(PrivateKeyError::Malformed { .. })));
    assert!(labelled("EC PRIVATE KEY", &trailing).is_err());
    assert!(labelled("RSA PRIVATE KEY", &der).is_err());
    assert!(matches!(
        labelled("CERTIFICATE", &der),
        Err(PrivateKeyError::Pem { source: PemError::WrongLabel { .. } })
    ));
    assert!(matches!(read(&vec![b'a'; 70_000]), Err(PrivateKeyError::TooLarge { .. })));
    assert!(matches!(read(b""), Err(PrivateKeyError::Pem { source: PemError::Empty { .. } })));
    // The public half of another key: inconsistent.
    let other = PrivateKey::generate(KeyType::P256).unwrap();
    let mut mixed = der.to_vec();
    let length = mixed.len();
    mixed[length - 65..].copy_from_slice(other.public_key().bit_string());
    assert!(matches!(labelled("PRIVATE KEY", &mixed), Err(PrivateKeyError::Damaged { .. })));
    let ed = key(KeyType::Ed25519).to_pkcs8().unwrap();
    assert!(labelled("PRIVATE KEY", &ed[..ed.len() - 1]).is_err());
}

#[test]
fn hostile_encryption_parameters_are_refused_at_once() {
    let started = std::time::Instant::now();
    let encrypted = |kdf: &[u8]| {
        let cipher = sequence(&[&oid("2.16.840.1.101.3.4.1.42"), &tlv(4, &[&[0; 16]])]);
        let pbes2 = sequence(&[&oid("1.2.840.113549.1.5.13"), &sequence(&[kdf, &cipher])]);
        let der = sequence(&[&pbes2, &tlv(4, &[&[0; 32]])]);
        PrivateKey::from_pem(pem::write("ENCRYPTED PRIVATE KEY", &der).as_bytes(), Some(&passphrase("x")))
    };
    let scrypt = |n: &[u8], r: &[u8], p: &[u8]| {
        let parameters = sequence(&[&tlv(4, &[&[1; 16]]), &integer(n), &integer(r), &integer(p)]);
        encrypted(&sequence(&[&oid("1.3.6.1.4.1.11591.4.11"), &parameters])).unwrap_err()
    };
    let costly = |error: &PrivateKeyError| {
        matches!(error, PrivateKeyError::TooCostly { .. } | PrivateKeyError::Malformed { .. })
    };
    for error in [
        scrypt(&[0x40, 0, 0, 0], &[8], &[1]),
        scrypt(&[0x40, 0], &[0x7f, 0xff], &[1]),
        scrypt(&[0x40, 0], &[8], &[0x7f, 0xff]),
    ] {
        assert!(costly(&error), "{error:?}");
    }
    let pbkdf2 = sequence(&[
        &tlv(4, &[&[1; 16]]),
        &integer(&[0x05, 0xf5, 0xe0, 0xff]),
        &sequence(&[&oid("1.2.840.113549.2.9"), &[5, 0]]),
    ]);
    let error = encrypted(&sequence(&[&oid("1.2.840.113549.1.5.12"), &pbkdf2])).unwrap_err();
    assert!(matches!(error, PrivateKeyError::TooCostly { .. }), "{error:?}");
    assert!(started.elapsed().as_secs() < 2);
}

#[test]
fn nothing_secret_is_shown() {
    let key = key(KeyType::P256);
    let shown = format!("{key:?} {:?}", passphrase("hunter2"));
    assert!(shown.contains('…') && !shown.contains("hunter2"));
    let der = key.to_pkcs8().unwrap();
    assert!(!shown.contains(&hex::encode(&der[40..56])));
}

#[test]
fn key_types_have_one_name() {
    for name in ["p256", "p384", "p521", "ed25519", "rsa2048", "rsa3072", "rsa4096", "rsa2056"] {
        assert_eq!(name.parse::<KeyType>().unwrap().to_string(), name);
    }
    for name in ["", "P256", "rsa", "rsa02048", "rsa+2048", "rsa99999999999999999999", "dsa", "\u{1b}"] {
        assert!(name.parse::<KeyType>().is_err(), "{name:?}");
    }
    assert!(KeyType::OFFERED.iter().all(|offered| offered.to_string().parse() == Ok(*offered)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_key_file_is_judged(which in 0usize..5, at in 0usize..2000, octet: u8, label in 0usize..4) {
        let mut der = key(KEY_TYPES[which]).to_pkcs8().unwrap().to_vec();
        let at = at % der.len();
        der[at] = octet;
        let labels = ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];
        let _ = PrivateKey::from_pem(&crate::cert::testing::pem(labels[label], &der), Some(&passphrase("x")));
    }

    #[test]
    fn random_bytes_are_judged(bytes in proptest::collection::vec(0u8.., 0..200), label in 0usize..4) {
        let labels = ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];
        let pem = crate::cert::testing::pem(labels[label], &bytes);
        prop_assert!(PrivateKey::from_pem(&pem, Some(&passphrase("x"))).is_err());
        prop_assert!(PrivateKey::from_pem(&bytes, None).is_err());
    }
}
