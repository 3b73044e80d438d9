//! Serials keep to RFC 5280 §4.1.2.2 whatever comes in.

use aws_lc_rs::rand::SystemRandom;

use super::*;

#[test]
fn a_random_serial_has_twenty_octets_and_a_fixed_sign() {
    let random = SystemRandom::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        let serial = Serial::random(&random).unwrap();
        assert_eq!(serial.as_bytes().len(), 20);
        assert!((0x40..0x80).contains(&serial.as_bytes()[0]), "{serial}");
        assert_eq!(serial.der_content(), serial.as_bytes());
        assert!(seen.insert(serial));
    }
}

#[test]
fn hex_is_read_as_openssl_prints_it() {
    for text in ["0a1b", "A1B", "a1b", "0A:1B", "000a1b"] {
        assert_eq!(Serial::from_hex(text).unwrap().to_string(), "0a1b", "{text}");
    }
    assert_eq!(Serial::from_hex("0").unwrap().to_string(), "00");
    assert_eq!(Serial::from_hex(""), Err(SerialError::Empty));
    assert_eq!(Serial::from_hex("12 34"), Err(SerialError::NotHex));
    assert_eq!(Serial::from_hex("-1"), Err(SerialError::NotHex));
    assert_eq!(Serial::from_hex("ü1"), Err(SerialError::NotHex));
}

#[test]
fn twenty_octets_are_the_limit_sign_octet_included() {
    assert!(Serial::from_bytes(&[0x7f; 20]).is_ok());
    assert_eq!(Serial::from_bytes(&[0x80; 20]), Err(SerialError::TooLong { octets: 21, limit: 20 }));
    assert_eq!(Serial::from_bytes(&[1; 21]), Err(SerialError::TooLong { octets: 21, limit: 20 }));
    assert!(Serial::from_hex(&"0".repeat(100)).is_err());
}

#[test]
fn der_content_keeps_its_sign() {
    assert_eq!(Serial::from_der_content(&[0x80]), Err(SerialError::Negative));
    let serial = Serial::from_der_content(&[0, 0x80]).unwrap();
    assert_eq!(serial.as_bytes(), [0x80]);
    assert_eq!(serial.der_content(), [0, 0x80]);
}

#[test]
fn serials_are_ordered_as_numbers() {
    let number = |hex| Serial::from_hex(hex).unwrap();
    assert!(number("ff") < number("0100"));
    assert!(number("02") < number("10"));
}

proptest::proptest! {
    #[test]
    fn display_and_parse_are_inverse(bytes in proptest::collection::vec(0u8.., 1..24)) {
        if let Ok(serial) = Serial::from_bytes(&bytes) {
            proptest::prop_assert_eq!(Serial::from_hex(&serial.to_string()).unwrap(), serial);
            proptest::prop_assert_eq!(Serial::from_der_content(&serial.der_content()).unwrap(), serial);
            let cbor = minicbor::to_vec(serial).unwrap();
            proptest::prop_assert_eq!(minicbor::decode::<Serial>(&cbor).unwrap(), serial);
        }
    }
}
