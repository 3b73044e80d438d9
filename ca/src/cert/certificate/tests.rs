//! Certificates of every kind read and verified, bad ones refused.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};

use super::*;
use crate::cert::testing::*;
use crate::key::KeyType;

const P256: KeyType = KeyType::P256;

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Ex, Inc.");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn self_signed(params: &CertificateParams, key_type: KeyType) -> Certificate {
    Certificate::from_der(params.self_signed(key(key_type)).unwrap().der()).unwrap()
}

#[test]
fn what_a_certificate_says_is_read() {
    let mut root = params("Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.not_before = time::macros::datetime!(2020-01-01 0:00 UTC);
    root.not_after = time::macros::datetime!(2060-01-02 3:04:05 UTC);
    let root_certificate = self_signed(&root, KeyType::P384);
    assert!(root_certificate.is_ca() && root_certificate.is_self_issued());
    assert_eq!(root_certificate.path_length(), Some(1));
    let usage = root_certificate.key_usage().unwrap();
    assert!(usage.key_cert_sign() && usage.crl_sign());
    assert!(!usage.digital_signature() && !usage.key_encipherment());
    assert_eq!(root_certificate.not_after(), time::macros::datetime!(2060-01-02 3:04:05 UTC));
    assert_eq!(root_certificate.not_before(), time::macros::datetime!(2020-01-01 0:00 UTC));
    assert_eq!(root_certificate.subject_display(), "CN=Root,O=Ex\\, Inc.");
    assert_eq!(root_certificate.extended_key_usage(), None);

    let mut leaf = params("leaf");
    leaf.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x81, 2]));
    leaf.subject_alt_names = vec![
        SanType::DnsName("A.example".try_into().unwrap()),
        SanType::DnsName("a_b.example".try_into().unwrap()),
        SanType::IpAddress([10, 0, 0, 1].into()),
    ];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::EmailProtection,
        ExtendedKeyUsagePurpose::Other(vec![1, 2, 3]),
    ];
    leaf.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_params(&root, key(KeyType::P384));
    let der = leaf.signed_by(key(P256), &issuer).unwrap();
    let certificate = Certificate::from_pem(&pem("CERTIFICATE", der.der())).unwrap();
    assert_eq!(certificate.serial().to_string(), "8102");
    assert_eq!(certificate.common_name(), Some("leaf"));
    assert_eq!(certificate.issuer_raw(), root_certificate.subject_raw());
    assert_eq!(certificate.authority_key_id(), root_certificate.subject_key_id());
    assert_eq!(certificate.public_key(), key(P256).public_key());
    assert_eq!(certificate.key_id(), key(P256).public_key().key_id());
    assert!(!certificate.is_ca() && !certificate.is_self_issued());
    let names: Vec<String> = certificate.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["dns:a.example", "ip:10.0.0.1"]);
    assert_eq!(certificate.stated_names().len(), 3);
    let usage = certificate.extended_key_usage().unwrap();
    assert!(usage.client_auth() && !usage.server_auth() && !usage.any());
    assert_eq!(usage.others(), ["emailProtection", "1.2.3"]);
    assert_eq!(certificate.verify_signed_by(&root_certificate), Ok(()));
    assert_eq!(Certificate::from_pem(certificate.to_pem().as_bytes()), Ok(certificate.clone()));
    assert_eq!(certificate.fingerprint(), Fingerprint::of(certificate.der()));
    let arguments = ["x509", "-in", "c", "-noout", "-fingerprint", "-sha256"];
    let printed = openssl(&arguments, &[("c", certificate.to_pem().as_bytes())]).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let printed = printed.trim().rsplit_once('=').unwrap().1;
    assert_eq!(printed.parse::<Fingerprint>().unwrap(), certificate.fingerprint());
}

#[test]
fn every_key_type_verifies_what_it_signed_and_nothing_else() {
    for key_type in KEY_TYPES {
        let certificate = self_signed(&params("self"), key_type);
        assert_eq!(certificate.verify_signed_by(&certificate), Ok(()));
        for other_type in KEY_TYPES.into_iter().filter(|other| *other != key_type) {
            let other = self_signed(&params("self"), other_type);
            let refused = certificate.verify_signed_by(&other);
            assert!(matches!(refused, Err(CertificateError::Signature { .. })), "{key_type} {other_type}");
        }
        let namesake = self_signed(&params("other"), key_type);
        let refused = certificate.verify_signed_by(&namesake);
        assert!(matches!(refused, Err(CertificateError::OtherIssuer { .. })));
        let mut der = certificate.der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        let forged = Certificate::from_der(&der).unwrap();
        assert!(matches!(forged.verify_signed_by(&certificate), Err(CertificateError::Signature { .. })));
    }
}

#[test]
fn sha1_is_no_signature() {
    let private = key(P256).to_pem().unwrap();
    let arguments = ["req", "-x509", "-new", "-key", "k", "-sha1", "-subj", "/CN=x", "-days", "1"];
    let certificate =
        Certificate::from_pem(&openssl(&arguments, &[("k", private.as_bytes())]).unwrap()).unwrap();
    let refused = certificate.verify_signed_by(&certificate).unwrap_err();
    let CertificateError::Signature { source, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(source, SignatureError::UnsupportedAlgorithm { algorithm: "ECDSA with SHA-1".to_owned() });
}

#[test]
fn subjects_are_safe_to_print() {
    let certificate = self_signed(&params("a\u{202e}b\u{1b}[2J\n\u{9b}"), P256);
    let shown = certificate.subject_display();
    assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
    assert!(shown.contains("\\e2\\80\\ae"), "{shown:?}");
    assert_eq!(certificate.common_name(), Some("a\u{202e}b\u{1b}[2J\n\u{9b}"));
}

#[test]
fn an_extension_stands_once() {
    let mut twice = params("x");
    let extension = || CustomExtension::from_oid_content(&[2, 5, 29, 17], sequence(&[&tlv(0x82, &[b"a"])]));
    twice.custom_extensions = vec![extension(), extension()];
    let der = twice.self_signed(key(P256)).unwrap();
    let refused = Certificate::from_der(der.der());
    assert_eq!(refused, Err(CertificateError::Extension { oid: "2.5.29.17".to_owned() }));
    let mut broken = params("x");
    broken.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![5, 0])];
    let der = broken.self_signed(key(P256)).unwrap();
    assert!(Certificate::from_der(der.der()).is_err());
}

#[test]
fn bad_structures_are_refused() {
    let der = self_signed(&params("x"), P256).der().to_vec();
    let trailing = [der.clone(), vec![0]].concat();
    assert!(matches!(
        Certificate::from_der(&trailing),
        Err(CertificateError::Der { source: DerError::Trailing { octets: 1 } })
    ));
    assert!(matches!(Certificate::from_der(&vec![0; 70_000]), Err(CertificateError::TooLarge { .. })));
    assert!(Certificate::from_der(&[]).is_err());
    assert!(Certificate::from_der(&RequestParts::of(key(P256)).signed_by(key(P256))).is_err());
    // Two algorithms: the outer one changed.
    let ecdsa = sequence(&[&oid("1.2.840.10045.4.3.2")]);
    let at = der.windows(ecdsa.len()).rposition(|window| window == ecdsa).unwrap();
    let mut mixed = der;
    mixed[at + ecdsa.len() - 1] = 3;
    assert_eq!(Certificate::from_der(&mixed), Err(CertificateError::AlgorithmMismatch));
}

#[test]
fn bundles_keep_their_order() {
    let (a, b) = (self_signed(&params("a"), P256), self_signed(&params("b"), KeyType::Ed25519));
    let bundle = format!("# ours\n{}\n{}", a.to_pem(), b.to_pem().replace('\n', "\r\n"));
    assert_eq!(Certificate::pem_bundle(bundle.as_bytes()).unwrap(), [a.clone(), b]);
    assert!(matches!(
        Certificate::from_pem(bundle.as_bytes()),
        Err(CertificateError::Pem { source: PemError::Several { count: 2, .. } })
    ));
    let with_key = format!("{}{}", a.to_pem(), *key(P256).to_pem().unwrap());
    assert!(Certificate::pem_bundle(with_key.as_bytes()).is_err());
    assert!(Certificate::pem_bundle(b"").is_err());
}

proptest! {
    #[test]
    fn random_bytes_are_judged(bytes in proptest::collection::vec(0u8.., 0..300)) {
        prop_assert!(Certificate::from_der(&bytes).is_err());
        prop_assert!(Certificate::from_pem(&bytes).is_err());
    }

    #[test]
    fn damaged_certificates_are_judged(at in 0usize..1000, octet: u8, insert: bool) {
        let mut der = self_signed(&{
            let mut params = params("x");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params
        }, P256).der().to_vec();
        let whole = Certificate::from_der(&der).unwrap();
        let at = at % der.len();
        if insert { der.insert(at, octet) } else { der[at] = octet }
        if let Ok(certificate) = Certificate::from_der(&der) {
            let _ = (certificate.subject_display(), certificate.names(), certificate.key_id());
            prop_assert!(certificate == whole || certificate.verify_signed_by(&whole).is_err());
        }
    }
}
