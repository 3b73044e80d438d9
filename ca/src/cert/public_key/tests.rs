//! Keys that are none, and how they are told (C4).

use super::*;
use crate::cert::testing::*;

#[test]
fn every_accepted_kind_is_read_as_it_came() {
    for key_type in KEY_TYPES {
        let key = key(key_type).public_key();
        let again = PublicKey::from_spki(key.spki_der()).unwrap();
        assert_eq!(again.key_type(), key_type);
        assert_eq!(&again, key);
        assert_eq!(again.check_strength(), Ok(()));
        assert_eq!(again.digest(), crate::cert::digest::sha256(key.spki_der()));
        // What rcgen would write is the same, octet for octet.
        struct Plain<'a>(&'a PublicKey);
        impl rcgen::PublicKeyData for Plain<'_> {
            fn der_bytes(&self) -> &[u8] {
                self.0.bit_string()
            }
            fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
                rcgen::PublicKeyData::algorithm(self.0)
            }
        }
        assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&Plain(key)), key.spki_der());
    }
}

#[test]
fn the_key_identifier_is_that_of_rfc_7093() {
    let key = key(KeyType::P256).public_key();
    let digest = crate::cert::digest::sha256(&key.spki_der()[26..]);
    assert_eq!(key.key_id().as_bytes(), &digest[..20]);
    assert_eq!(KeyId::of_spki(key.spki_der()).unwrap(), key.key_id());
}

#[test]
fn other_algorithms_are_named() {
    let refused = |oid_text: &str| {
        let spki = sequence(&[&sequence(&[&oid(oid_text)]), &bit_string(&[1; 57])]);
        PublicKey::from_spki(&spki).unwrap_err().to_string()
    };
    for (oid, name) in [
        ("1.2.840.10040.4.1", "DSA"),
        ("1.3.101.113", "Ed448"),
        ("1.3.101.110", "X25519"),
        ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
        ("1.2.3.4", "1.2.3.4"),
    ] {
        assert!(refused(oid).contains(name), "{oid}");
    }
}

#[test]
fn other_curves_are_named() {
    for (curve, name) in [("1.3.132.0.33", "P-224"), ("1.3.132.0.10", "secp256k1"), ("1.2.3", "1.2.3")] {
        let error = PublicKey::from_spki(&ec_spki(&oid(curve), &[4; 65])).unwrap_err();
        assert_eq!(error, KeyError::UnsupportedCurve { curve: name.to_owned() });
    }
    let real = [("secp224r1", "P-224"), ("secp256k1", "secp256k1"), ("brainpoolP256r1", "brainpoolP256r1")];
    for (curve, name) in real {
        let private = openssl(&["ecparam", "-name", curve, "-genkey", "-noout"], &[]).unwrap();
        let spki = openssl(&["pkey", "-in", "k", "-pubout", "-outform", "DER"], &[("k", &private)]).unwrap();
        assert_eq!(PublicKey::from_spki(&spki), Err(KeyError::UnsupportedCurve { curve: name.to_owned() }));
    }
}

#[test]
fn explicit_parameters_are_refused() {
    let arguments = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit"];
    let private = openssl(&arguments, &[]).unwrap();
    let spki = openssl(&["pkey", "-in", "k", "-pubout", "-outform", "DER"], &[("k", &private)]).unwrap();
    assert_eq!(PublicKey::from_spki(&spki), Err(KeyError::ExplicitCurve));
    assert_eq!(PublicKey::from_spki(&ec_spki(&[5, 0], &[4; 65])), Err(KeyError::ExplicitCurve));
    assert_eq!(PublicKey::from_spki(&ec_spki(&[], &[4; 65])), Err(KeyError::ExplicitCurve));
}

#[test]
fn points_are_uncompressed_and_on_their_curve() {
    let curves = [
        (KeyType::P256, "1.2.840.10045.3.1.7", 32),
        (KeyType::P384, "1.3.132.0.34", 48),
        (KeyType::P521, "1.3.132.0.35", 66),
    ];
    for (key_type, curve, octets) in curves {
        let read = |point: &[u8]| PublicKey::from_spki(&ec_spki(&oid(curve), point)).map(|_| ());
        let point = key(key_type).public_key().bit_string();
        let off = Err(KeyError::NotOnCurve { key_type });
        assert_eq!(read(point), Ok(()));
        // The true compressed form of a point on the curve.
        let compressed = [&[2 + (point[2 * octets] & 1)], &point[1..=octets]].concat();
        assert_eq!(read(&compressed), Err(KeyError::CompressedPoint));
        assert_eq!(read(&[0]), off);
        assert_eq!(read(&[]), off);
        assert_eq!(read(&vec![0; 1 + 2 * octets]), off);
        assert_eq!(read(&[&[4], &vec![0; 2 * octets][..]].concat()), off);
        let mut moved = point.to_vec();
        moved[2 * octets] ^= 1;
        assert_eq!(read(&moved), off);
        let hybrid = [&[6 + (point[2 * octets] & 1)], &point[1..]].concat();
        assert_eq!(read(&hybrid), off);
        assert_eq!(read(&point[..2 * octets]), off);
        assert_eq!(read(&[point, &[0]].concat()), off);
        // A point of one curve under the name of another.
        let other = if key_type == KeyType::P256 { KeyType::P384 } else { KeyType::P256 };
        assert_eq!(read(key(other).public_key().bit_string()), off);
        // The coordinate x + p is the same number modulo p, in another spelling.
        assert_eq!(read(&[&[4], &vec![0xff; 2 * octets][..]].concat()), off);
    }
    let ed25519 = |value: &[u8]| {
        let spki = sequence(&[&sequence(&[&oid("1.3.101.112")]), &bit_string(value)]);
        PublicKey::from_spki(&spki).map(|_| ())
    };
    assert_eq!(ed25519(key(KeyType::Ed25519).public_key().bit_string()), Ok(()));
    assert!(ed25519(&[1; 31]).is_err());
    assert!(ed25519(&[]).is_err());
}

#[test]
fn rsa_keys_are_read_exactly_and_weak_ones_told() {
    let good = key(KeyType::Rsa2048).public_key();
    let (modulus, exponent) = rsa_numbers(good.bit_string()).unwrap();
    assert_eq!(exponent, [1, 0, 1]);
    let read = |modulus: &[u8], exponent: &[u8]| PublicKey::from_spki(&rsa_spki(modulus, exponent)).unwrap();
    assert_eq!(&read(modulus, exponent), good);
    let weak = |modulus: &[u8], exponent: &[u8]| read(modulus, exponent).check_strength().unwrap_err();
    assert!(matches!(weak(&modulus[..128], exponent), WeakKey::TooShort { bits: 1024, .. }));
    assert!(matches!(weak(modulus, &[3]), WeakKey::SmallExponent { .. }));
    assert_eq!(read(&modulus[..128], exponent).key_type(), KeyType::RsaOther { bits: 1024 });
    // Parameters must be NULL; numbers can't be negative or padded.
    let numbers = sequence(&[&integer(modulus), &integer(exponent)]);
    let rsa = oid("1.2.840.113549.1.1.1");
    let without = sequence(&[&sequence(&[&rsa]), &bit_string(&numbers)]);
    assert_eq!(PublicKey::from_spki(&without), Err(KeyError::RsaParameters));
    for numbers in [
        sequence(&[&tlv(2, &[modulus]), &integer(exponent)]),
        sequence(&[&tlv(2, &[&[0, 0], modulus]), &integer(exponent)]),
        sequence(&[&integer(modulus)]),
        sequence(&[&integer(modulus), &integer(exponent), &integer(exponent)]),
        [sequence(&[&integer(modulus), &integer(exponent)]), vec![0]].concat(),
        vec![],
    ] {
        let spki = sequence(&[&sequence(&[&rsa, &[5, 0]]), &bit_string(&numbers)]);
        assert!(matches!(PublicKey::from_spki(&spki), Err(KeyError::Malformed { .. })), "{numbers:02x?}");
    }
}

#[test]
fn the_structure_is_exact() {
    let spki = key(KeyType::P256).public_key().spki_der();
    assert!(PublicKey::from_spki(&[spki, &[0]].concat()).is_err());
    assert!(PublicKey::from_spki(&spki[..spki.len() - 1]).is_err());
    assert!(PublicKey::from_spki(&[]).is_err());
    let mut set = spki.to_vec();
    set[2] = 0x31;
    assert!(PublicKey::from_spki(&set).is_err());
    let mut unused_bits = spki.to_vec();
    unused_bits[25] = 1;
    assert!(PublicKey::from_spki(&unused_bits).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_judged(at in 0usize..400, octet: u8, which in 0usize..5, end in 0usize..400) {
        let mut spki = key(KEY_TYPES[which]).public_key().spki_der().to_vec();
        let length = spki.len();
        spki[at % length] = octet;
        spki.truncate(if end < 300 { length } else { end % length });
        if let Ok(key) = PublicKey::from_spki(&spki) {
            let _ = key.check_strength();
        }
    }
}
