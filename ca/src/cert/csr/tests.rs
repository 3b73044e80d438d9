//! Requests that prove nothing, ask too much or aren't requests (C1 to C5).

use proptest::prelude::*;

use super::*;
use crate::cert::testing::*;
use crate::key::{KeyType, PrivateKey, make_csr};

const P256: KeyType = KeyType::P256;

fn dns(name: &[u8]) -> Vec<u8> {
    tlv(0x82, &[name])
}

#[test]
fn our_own_requests_are_read() {
    for key_type in KEY_TYPES {
        let names = ["dns:a.example", "ip:10.0.0.1", "ip:::1", "email:a@b", "uri:spiffe://a/b"];
        let names: Vec<SubjectAltName> = names.iter().map(|name| name.parse().unwrap()).collect();
        let pem = make_csr(key(key_type), &"ü / x".parse().unwrap(), &names).unwrap();
        let csr = Csr::from_pem_or_der(pem.as_bytes()).unwrap();
        assert_eq!(csr.public_key(), key(key_type).public_key());
        assert_eq!(csr.requested_common_name().as_deref(), Some("ü / x"));
        let read: Vec<SubjectAltName> =
            csr.requested_names().iter().map(|name| name.accept().unwrap()).collect();
        assert_eq!(read, names);
        assert_eq!(Csr::from_pem_or_der(csr.der()).unwrap(), csr);
        let windows = format!("\u{feff}{}", pem.replace('\n', "\r\n"));
        assert_eq!(Csr::from_pem_or_der(windows.as_bytes()).unwrap(), csr);
        // openssl agrees that the signature is right.
        let arguments = ["req", "-in", "csr", "-verify", "-noout"];
        openssl(&arguments, &[("csr", pem.as_bytes())]).unwrap();
    }
    let bare = make_csr(key(P256), &"x".parse().unwrap(), &[]).unwrap();
    assert_eq!(Csr::from_pem_or_der(bare.as_bytes()).unwrap().requested_names(), []);
    openssl(&["req", "-in", "csr", "-verify", "-noout"], &[("csr", bare.as_bytes())]).unwrap();
}

/// rcgen's own parser makes a corrupt key of these (rcgen#448).
#[test]
fn the_digest_need_not_be_that_of_the_curve() {
    for (curve, key_type) in [("P-256", P256), ("P-384", KeyType::P384), ("P-521", KeyType::P521)] {
        let option = format!("ec_paramgen_curve:{curve}");
        let private = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", &option], &[]).unwrap();
        for digest in ["-sha256", "-sha384", "-sha512"] {
            let arguments = ["req", "-new", "-key", "k", digest, "-subj", "/CN=x"];
            let pem = openssl(&arguments, &[("k", &private)]).unwrap();
            let csr = Csr::from_pem_or_der(&pem).unwrap();
            assert_eq!(csr.public_key().key_type(), key_type, "{curve} {digest}");
        }
        for digest in ["-sha1", "-sha224"] {
            let arguments = ["req", "-new", "-key", "k", digest, "-subj", "/CN=x"];
            let pem = openssl(&arguments, &[("k", &private)]).unwrap();
            let refused = Csr::from_pem_or_der(&pem);
            let unsupported = matches!(
                refused,
                Err(CsrError::Signature { source: SignatureError::UnsupportedAlgorithm { .. } })
            );
            assert!(unsupported, "{curve} {digest}: {refused:?}");
        }
    }
}

#[test]
fn rsa_pss_is_verified_in_its_usual_form() {
    let private = key(KeyType::Rsa2048).to_pem().unwrap();
    let make = |salt: &str| {
        let salt = format!("rsa_pss_saltlen:{salt}");
        let arguments = [
            "req",
            "-new",
            "-key",
            "k",
            "-sha256",
            "-subj",
            "/CN=x",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            &salt,
        ];
        openssl(&arguments, &[("k", private.as_bytes())]).unwrap()
    };
    assert_eq!(Csr::from_pem_or_der(&make("32")).unwrap().public_key().key_type(), KeyType::Rsa2048);
    assert!(Csr::from_pem_or_der(&make("20")).unwrap_err().to_string().contains("possession"));
    for digest in ["-md5", "-sha1"] {
        let arguments = ["req", "-new", "-key", "k", digest, "-subj", "/CN=x"];
        let pem = openssl(&arguments, &[("k", private.as_bytes())]).unwrap();
        assert!(matches!(Csr::from_pem_or_der(&pem), Err(CsrError::Signature { .. })), "{digest}");
    }
}

#[test]
fn keys_of_other_kinds_are_refused() {
    for arguments in [&["genpkey", "-algorithm", "ed448"][..], &["ecparam", "-name", "secp256k1", "-genkey"]]
    {
        let private = openssl(arguments, &[]).unwrap();
        let pem = openssl(&["req", "-new", "-key", "k", "-subj", "/CN=x"], &[("k", &private)]).unwrap();
        assert!(matches!(Csr::from_pem_or_der(&pem), Err(CsrError::Key { .. })));
    }
    let private = openssl(&["genrsa", "1024"], &[]).unwrap();
    let pem = openssl(&["req", "-new", "-key", "k", "-subj", "/CN=x"], &[("k", &private)]).unwrap();
    let weak = CsrError::Weak { source: WeakKey::TooShort { bits: 1024, limit: 2048 } };
    assert_eq!(Csr::from_pem_or_der(&pem), Err(weak));
}

#[test]
fn the_signature_must_be_by_the_key_in_the_request() {
    let wrong = CsrError::Signature { source: SignatureError::Wrong };
    for key_type in KEY_TYPES {
        let parts = RequestParts::of(key(key_type));
        assert!(Csr::from_pem_or_der(&parts.signed_by(key(key_type))).is_ok());
        let other = PrivateKey::generate(key_type).unwrap();
        assert_eq!(Csr::from_pem_or_der(&parts.signed_by(&other)), Err(wrong.clone()));
        let empty = parts.signed(|_| Vec::new());
        assert_eq!(Csr::from_pem_or_der(&empty), Err(wrong.clone()));
        let of_another_text = parts.signed(|_| key(key_type).sign(b"x").unwrap());
        assert_eq!(Csr::from_pem_or_der(&of_another_text), Err(wrong.clone()));
    }
    // ECDSA's forgotten check: r = s = 0.
    let zeros = RequestParts::of(key(P256)).signed(|_| sequence(&[&integer(&[0]), &integer(&[0])]));
    assert_eq!(Csr::from_pem_or_der(&zeros), Err(wrong));
    // An algorithm that belongs to another key type.
    let mut parts = RequestParts::of(key(P256));
    parts.algorithm = key(KeyType::Ed25519).signature_algorithm_der();
    let refused = Csr::from_pem_or_der(&parts.signed_by(key(P256)));
    assert!(matches!(refused, Err(CsrError::Signature { source: SignatureError::Mismatch { .. } })));
}

#[test]
fn a_point_beside_its_curve_is_refused_as_a_key() {
    for key_type in [KeyType::P256, KeyType::P384, KeyType::P521] {
        let mut parts = RequestParts::of(key(key_type));
        *parts.spki.last_mut().unwrap() ^= 1;
        let refused = Csr::from_pem_or_der(&parts.signed_by(key(key_type)));
        assert_eq!(refused, Err(CsrError::Key { source: KeyError::NotOnCurve { key_type } }));
    }
}

#[test]
fn every_flipped_octet_is_noticed() {
    let der = RequestParts::of(key(P256)).signed_by(key(P256));
    for at in 0..der.len() {
        for bit in [0x01, 0x80] {
            let mut flipped = der.clone();
            flipped[at] ^= bit;
            assert!(Csr::from_pem_or_der(&flipped).is_err(), "octet {at}");
        }
    }
}

#[test]
fn limits_come_before_parsing() {
    let large = vec![0x30; 10 << 20];
    assert_eq!(
        Csr::from_pem_or_der(&large),
        Err(CsrError::TooLarge { size: 10 << 20, limit: CsrLimits::DEFAULT.octets })
    );
    let with_names = |count: usize| {
        let name = dns(b"a.example");
        let names: Vec<&[u8]> = (0..count).map(|_| name.as_slice()).collect();
        let mut parts = RequestParts::of(key(P256));
        parts.attributes = vec![extension_request(&[&san(&names)])];
        Csr::from_pem_or_der(&parts.signed_by(key(P256)))
    };
    let csr = with_names(100).unwrap();
    assert_eq!(csr.requested_names().len(), 100);
    assert_eq!(csr.accepted_names().unwrap().len(), 1);
    assert_eq!(with_names(101), Err(CsrError::TooMany { what: "names", count: 101, limit: 100 }));
    assert!(matches!(with_names(4000), Err(CsrError::TooMany { .. })));
    let mut parts = RequestParts::of(key(P256));
    parts.subject = name(&[b'a'; 60_000]);
    let csr = Csr::from_pem_or_der(&parts.signed_by(key(P256))).unwrap();
    let common_name = csr.requested_common_name().unwrap();
    assert!(common_name.parse::<crate::cert::CommonName>().is_err());
    parts.subject = name(b"x");
    parts.attributes =
        (0..33).map(|n| sequence(&[&oid(&format!("1.2.{n}")), &tlv(0x31, &[&[5, 0]])])).collect();
    assert!(matches!(
        Csr::from_pem_or_der(&parts.signed_by(key(P256))),
        Err(CsrError::TooMany { what: "attributes", count: 33, .. })
    ));
}

#[test]
fn der_is_strict() {
    let der = RequestParts::of(key(P256)).signed_by(key(P256));
    let trailing = [der.clone(), vec![0]].concat();
    assert!(matches!(
        Csr::from_pem_or_der(&trailing),
        Err(CsrError::Der { source: DerError::Trailing { octets: 1 } })
    ));
    assert!(Csr::from_pem_or_der(&der[..der.len() - 1]).is_err());
    // The outer sequence with an indefinite length.
    let header = if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
    let indefinite = [&[0x30, 0x80], &der[header..], &[0, 0]].concat();
    assert!(matches!(
        Csr::from_pem_or_der(&indefinite),
        Err(CsrError::Der { source: DerError::IndefiniteLength { at: 0 } })
    ));
    let mut parts = RequestParts::of(key(P256));
    parts.version = 1;
    assert_eq!(Csr::from_pem_or_der(&parts.signed_by(key(P256))), Err(CsrError::Version { version: 1 }));
    for empty in [&b""[..], b"\x30\x00", b"hello", b"\x00\xff"] {
        assert!(Csr::from_pem_or_der(empty).is_err());
    }
}

#[test]
fn pem_holds_one_request_and_nothing_else() {
    let der = RequestParts::of(key(P256)).signed_by(key(P256));
    let good = pem("CERTIFICATE REQUEST", &der);
    assert!(Csr::from_pem_or_der(&pem("NEW CERTIFICATE REQUEST", &der)).is_ok());
    let refused = |pem: &[u8]| match Csr::from_pem_or_der(pem) {
        Err(CsrError::Pem { source }) => source,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&[good.clone(), good.clone()].concat()), PemError::Several { count: 2, .. }));
    assert!(matches!(refused(&[good.clone(), b"x".to_vec()].concat()), PemError::Trailing { .. }));
    assert!(matches!(refused(&pem("PRIVATE KEY", &der)), PemError::WrongLabel { .. }));
}

#[test]
fn what_a_request_asks_beyond_names_is_ignored() {
    let authority = sequence(&[&oid("2.5.29.19"), &[1, 1, 0xff], &tlv(4, &[&sequence(&[&[1, 1, 0xff]])])]);
    let unknown = sequence(&[&oid("1.2.3.4"), &[1, 1, 0xff], &tlv(4, &[&[5, 0]])]);
    let names =
        san(&[&dns(b"good\0.evil"), &dns(b"A.Example"), &tlv(0x87, &[&[1, 2, 3]]), &tlv(0x88, &[&[0x2a]])]);
    let mut parts = RequestParts::of(key(P256));
    parts.attributes = vec![extension_request(&[&authority, &unknown, &names])];
    let csr = Csr::from_pem_or_der(&parts.signed_by(key(P256))).unwrap();
    let wanted = csr.requested_names();
    assert_eq!(wanted.len(), 4);
    assert!(matches!(wanted[0].accept(), Err(NameError::Character { .. })));
    assert_eq!(wanted[1].accept().unwrap().to_string(), "dns:a.example");
    assert!(matches!(wanted[2].accept(), Err(NameError::NotIp { .. })));
    assert!(matches!(wanted[3].accept(), Err(NameError::UnknownKind { .. })));
    assert_eq!(wanted[0].to_string(), "dns:good\\0.evil");
    assert!(csr.accepted_names().is_err());
}

#[test]
fn two_answers_to_one_question_are_refused() {
    let one = extension_request(&[&san(&[&dns(b"a.example")])]);
    let mut parts = RequestParts::of(key(P256));
    parts.attributes = vec![one.clone(), extension_request(&[&san(&[&dns(b"b.example")])])];
    assert_eq!(Csr::from_pem_or_der(&parts.signed_by(key(P256))), Err(CsrError::DuplicateExtensionRequest));
    parts.attributes = vec![one];
    let cn = |text: &[u8]| tlv(0x31, &[&sequence(&[&oid("2.5.4.3"), &tlv(0x0c, &[text])])]);
    parts.subject = sequence(&[&cn(b"a"), &cn(b"b")]);
    assert_eq!(
        Csr::from_pem_or_der(&parts.signed_by(key(P256))),
        Err(CsrError::SeveralCommonNames { count: 2 })
    );
}

proptest! {
    #[test]
    fn random_bytes_are_judged(bytes in proptest::collection::vec(0u8.., 0..300)) {
        prop_assert!(Csr::from_pem_or_der(&bytes).is_err());
    }

    /// With the signature made anew over what was damaged, so that all of it is parsed.
    #[test]
    fn damaged_requests_are_judged(at in 0usize..400, octet: u8, insert: bool) {
        let mut parts = RequestParts::of(key(P256));
        parts.attributes = vec![extension_request(&[&san(&[&dns(b"a.example"), &tlv(0x86, &[b"a:b"])])])];
        let mut info = parts.info();
        let at = at % info.len();
        if insert { info.insert(at, octet) } else { info[at] = octet }
        let signature = key(P256).sign(&info).unwrap();
        let der = sequence(&[&info, &parts.algorithm, &bit_string(&signature)]);
        if let Ok(csr) = Csr::from_pem_or_der(&der) {
            let _ = csr.accepted_names();
            prop_assert_eq!(csr.der(), der);
        }
    }
}
