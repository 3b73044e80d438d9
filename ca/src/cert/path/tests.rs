//! Paths that hold, and every way in which one doesn't.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyUsagePurpose, NameConstraints, SanType,
};
use time::macros::datetime;

use super::*;
use crate::cert::testing::*;
use crate::key::{KeyType, PrivateKey};

const NOW: OffsetDateTime = datetime!(2030-01-01 0:00 UTC);
const START: OffsetDateTime = datetime!(2029-01-01 0:00 UTC);
const END: OffsetDateTime = datetime!(2031-01-01 0:00 UTC);

/// An authority or an end entity that signs others.
struct Entity {
    params: CertificateParams,
    key: &'static PrivateKey,
    certificate: Certificate,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = end_entity(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = Vec::new();
    params.subject_alt_names = Vec::new();
    params
}

fn end_entity(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::DnsName("leaf.example".try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = (START, END);
    params
}

fn root(params: CertificateParams, key_type: KeyType) -> Entity {
    let key = key(key_type);
    let certificate = Certificate::from_der(params.self_signed(key).unwrap().der()).unwrap();
    Entity { params, key, certificate }
}

impl Entity {
    fn signs(&self, params: CertificateParams, key_type: KeyType) -> Entity {
        let key = key(key_type);
        let issuer = Issuer::from_params(&self.params, self.key);
        let der = params.signed_by(key, &issuer).unwrap();
        Entity { params, key, certificate: Certificate::from_der(der.der()).unwrap() }
    }
}

fn verify(leaf: &Entity, between: &[&Entity], anchors: &[&Entity]) -> Result<Vec<Certificate>, PathError> {
    verify_for(leaf, between, anchors, Purpose::Client)
}

fn verify_for(
    leaf: &Entity,
    between: &[&Entity],
    anchors: &[&Entity],
    purpose: Purpose,
) -> Result<Vec<Certificate>, PathError> {
    let certificates =
        |entities: &[&Entity]| entities.iter().map(|entity| entity.certificate.clone()).collect::<Vec<_>>();
    verify_path(&leaf.certificate, &certificates(between), &certificates(anchors), purpose, NOW)
}

#[test]
fn a_path_of_every_key_type_holds() {
    for key_type in KEY_TYPES {
        let root = root(authority("Root"), key_type);
        let issuing = root.signs(authority("Issuing"), key_type);
        let leaf = issuing.signs(end_entity("leaf"), KeyType::P384);
        let path = verify(&leaf, &[&issuing], &[&root]).unwrap();
        assert_eq!(path, [leaf.certificate, issuing.certificate, root.certificate], "{key_type}");
    }
}

#[test]
fn the_right_intermediates_are_chosen_in_any_order() {
    let root = root(authority("Root"), KeyType::P256);
    let policy = root.signs(authority("Policy"), KeyType::P384);
    let issuing = policy.signs(authority("Issuing"), KeyType::Ed25519);
    let stray = root.signs(authority("Stray"), KeyType::P521);
    let leaf = issuing.signs(end_entity("leaf"), KeyType::P256);
    let path = verify(&leaf, &[&stray, &policy, &issuing], &[&stray, &root]).unwrap();
    assert_eq!(path.len(), 4);
    // An issuing authority can be an anchor of its own.
    assert_eq!(verify(&leaf, &[], &[&issuing]).unwrap().len(), 2);
}

#[test]
fn someone_elses_certificate_has_an_unknown_issuer() {
    let ours = root(authority("Root"), KeyType::P256);
    let theirs = root(authority("Other"), KeyType::P384);
    let leaf = theirs.signs(end_entity("leaf"), KeyType::P256);
    let error = verify(&leaf, &[], &[&ours]).unwrap_err();
    assert_eq!(error.to_string(), "no trusted authority signed CN=leaf (its issuer is CN=Other)");
    assert_eq!(verify(&leaf, &[], &[]), Err(PathError::NoAnchors));
    // The same name with another key (C18): the name alone proves nothing.
    let namesake = root(authority("Other"), KeyType::P521);
    let error = verify(&leaf, &[], &[&namesake]).unwrap_err();
    assert!(
        matches!(error, PathError::Signature { .. } | PathError::UnsupportedAlgorithm { .. }),
        "{error:?}"
    );
}

#[test]
fn dates_are_judged_for_each_certificate_by_name() {
    let with_dates = |mut params: CertificateParams, not_before, not_after| {
        (params.not_before, params.not_after) = (not_before, not_after);
        params
    };
    let over = datetime!(2029-12-31 23:59:59 UTC);
    let soon = datetime!(2030-01-01 0:00:01 UTC);
    let sound = root(authority("Root"), KeyType::P256);
    let leaf = sound.signs(with_dates(end_entity("leaf"), START, over), KeyType::P384);
    assert_eq!(
        verify(&leaf, &[], &[&sound]).unwrap_err().to_string(),
        "CN=leaf expired on 2029-12-31T23:59:59Z"
    );
    let leaf = sound.signs(with_dates(end_entity("leaf"), soon, END), KeyType::P384);
    assert_eq!(
        verify(&leaf, &[], &[&sound]).unwrap_err().to_string(),
        "CN=leaf is not valid before 2030-01-01T00:00:01Z"
    );
    // Both ends are included (RFC 5280 §4.1.2.5).
    let leaf = sound.signs(with_dates(end_entity("leaf"), NOW, NOW), KeyType::P384);
    assert!(verify(&leaf, &[], &[&sound]).is_ok());
    let issuing = sound.signs(with_dates(authority("Issuing"), START, over), KeyType::P384);
    let leaf = issuing.signs(end_entity("leaf"), KeyType::P256);
    let error = verify(&leaf, &[&issuing], &[&sound]).unwrap_err();
    assert_eq!(error.to_string(), "CN=Issuing expired on 2029-12-31T23:59:59Z");
    // webpki doesn't look at an anchor's dates; here they count.
    let old = root(with_dates(authority("Root"), START, over), KeyType::P256);
    let leaf = old.signs(end_entity("leaf"), KeyType::P384);
    let expired = PathError::Expired { subject: "CN=Root".to_owned(), not_after: over };
    assert_eq!(verify(&leaf, &[], &[&old]), Err(expired));
    let future = root(with_dates(authority("Root"), soon, END), KeyType::P256);
    let not_yet = PathError::NotYetValid { subject: "CN=Root".to_owned(), not_before: soon };
    assert_eq!(verify(&leaf, &[], &[&future]), Err(not_yet));
    // The same authority renewed, old and new both trusted: the one in date counts.
    let path = verify(&leaf, &[], &[&old, &sound]).unwrap();
    assert_eq!(path[1], sound.certificate);
    let before_1970 = verify_path(
        &leaf.certificate,
        &[],
        std::slice::from_ref(&sound.certificate),
        Purpose::Client,
        datetime!(1960-01-01 0:00 UTC),
    );
    assert!(matches!(before_1970, Err(PathError::NotYetValid { .. })));
}

#[test]
fn purposes_are_kept_apart() {
    let root = root(authority("Root"), KeyType::P256);
    let client = root.signs(end_entity("leaf"), KeyType::P384);
    assert!(verify_for(&client, &[], &[&root], Purpose::Client).is_ok());
    assert!(verify_for(&client, &[], &[&root], Purpose::Any).is_ok());
    assert_eq!(
        verify_for(&client, &[], &[&root], Purpose::Server).unwrap_err().to_string(),
        "CN=leaf or an authority above it is not for TLS servers"
    );
    let mut server = end_entity("leaf");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = root.signs(server, KeyType::P384);
    assert!(verify_for(&server, &[], &[&root], Purpose::Server).is_ok());
    assert!(matches!(
        verify_for(&server, &[], &[&root], Purpose::Client),
        Err(PathError::WrongPurpose { purpose: Purpose::Client, .. })
    ));
    // An authority that may issue for servers only.
    let mut only_servers = authority("Issuing");
    only_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let issuing = root.signs(only_servers, KeyType::Ed25519);
    let leaf = issuing.signs(end_entity("leaf"), KeyType::P384);
    assert!(matches!(verify(&leaf, &[&issuing], &[&root]), Err(PathError::WrongPurpose { .. })));
}

#[test]
fn key_usage_bits_are_needed_where_they_are_stated() {
    let sound = root(authority("Root"), KeyType::P256);
    let mut no_signing = authority("Issuing");
    no_signing.key_usages = vec![KeyUsagePurpose::CrlSign];
    let issuing = sound.signs(no_signing, KeyType::Ed25519);
    let leaf = issuing.signs(end_entity("leaf"), KeyType::P384);
    let error = verify(&leaf, &[&issuing], &[&sound]).unwrap_err();
    assert_eq!(error, PathError::KeyUsage { subject: "CN=Issuing".to_owned(), bit: "keyCertSign" });
    let mut root_without = authority("Root");
    root_without.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let root_without = root(root_without, KeyType::P256);
    let leaf = root_without.signs(end_entity("leaf"), KeyType::P384);
    assert!(matches!(verify(&leaf, &[], &[&root_without]), Err(PathError::KeyUsage { .. })));
    let mut cannot_sign = end_entity("leaf");
    cannot_sign.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    let leaf = sound.signs(cannot_sign, KeyType::P384);
    assert!(matches!(
        verify(&leaf, &[], &[&sound]),
        Err(PathError::KeyUsage { bit: "digitalSignature", .. })
    ));
    assert!(verify_for(&leaf, &[], &[&sound], Purpose::Any).is_ok());
    // Nothing stated, nothing missing.
    let mut silent = end_entity("leaf");
    silent.key_usages = Vec::new();
    let leaf = sound.signs(silent, KeyType::P384);
    assert!(verify(&leaf, &[], &[&sound]).is_ok());
}

#[test]
fn authorities_and_end_entities_dont_change_places() {
    let root = root(authority("Root"), KeyType::P256);
    let issuing = root.signs(authority("Issuing"), KeyType::P384);
    let is_authority = PathError::IsAuthority { subject: "CN=Issuing".to_owned() };
    assert_eq!(verify(&issuing, &[], &[&root]), Err(is_authority));
    let leaf = root.signs(end_entity("leaf"), KeyType::P384);
    let below = leaf.signs(end_entity("below"), KeyType::P521);
    let error = verify(&below, &[&leaf], &[&root]).unwrap_err();
    assert!(matches!(error, PathError::NotAuthority { .. }), "{error:?}");
}

#[test]
fn path_lengths_count_for_intermediates_and_anchors() {
    let with_length = |name: &str, length| {
        let mut params = authority(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        params
    };
    for (anchor, first, holds) in [(1, 0, true), (1, 1, true)] {
        let root = root(with_length("Root", anchor), KeyType::P256);
        let issuing = root.signs(with_length("Issuing", first), KeyType::P384);
        let leaf = issuing.signs(end_entity("leaf"), KeyType::P521);
        assert_eq!(verify(&leaf, &[&issuing], &[&root]).is_ok(), holds);
        let second = issuing.signs(authority("Second"), KeyType::Ed25519);
        let leaf = second.signs(end_entity("leaf"), KeyType::P521);
        let error = verify(&leaf, &[&second, &issuing], &[&root]).unwrap_err();
        assert!(matches!(error, PathError::PathLength { .. }), "{anchor} {first}: {error:?}");
    }
    let zero = root(with_length("Root", 0), KeyType::P256);
    let issuing = zero.signs(authority("Issuing"), KeyType::P384);
    let leaf = issuing.signs(end_entity("leaf"), KeyType::P521);
    assert!(matches!(verify(&leaf, &[&issuing], &[&zero]), Err(PathError::PathLength { .. })));
}

#[test]
fn name_constraints_hold() {
    let mut constrained = authority("Root");
    constrained.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("inside.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let root = root(constrained, KeyType::P256);
    let named = |name: &str| {
        let mut params = end_entity("leaf");
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        root.signs(params, KeyType::P384)
    };
    assert!(verify(&named("a.inside.example"), &[], &[&root]).is_ok());
    for outside in ["outside.example", "notinside.example", "inside.example.org"] {
        let error = verify(&named(outside), &[], &[&root]).unwrap_err();
        assert_eq!(error, PathError::NameConstraint { subject: "CN=leaf".to_owned() }, "{outside}");
    }
}

#[test]
fn depth_and_number_are_bounded() {
    let root = root(authority("Root"), KeyType::P256);
    let mut chain: Vec<Entity> = Vec::new();
    for n in 0..=MAX_INTERMEDIATES {
        let params = authority(&format!("Authority {n}"));
        let next = chain.last().unwrap_or(&root).signs(params, KeyType::Ed25519);
        chain.push(next);
    }
    let certificates: Vec<Certificate> = chain.iter().map(|entity| entity.certificate.clone()).collect();
    let anchors = [root.certificate.clone()];
    for (depth, holds) in [(MAX_INTERMEDIATES, true), (MAX_INTERMEDIATES + 1, false)] {
        let leaf = chain[depth - 1].signs(end_entity("leaf"), KeyType::P384).certificate;
        let found = verify_path(&leaf, &certificates[..depth], &anchors, Purpose::Client, NOW);
        match holds {
            true => assert_eq!(found.unwrap().len(), depth + 2),
            false => assert!(matches!(found, Err(PathError::TooLong { .. })), "{found:?}"),
        }
    }
    let many = vec![certificates[0].clone(); MAX_CANDIDATES + 1];
    let leaf = root.signs(end_entity("leaf"), KeyType::P384).certificate;
    assert!(matches!(
        verify_path(&leaf, &many, &anchors, Purpose::Client, NOW),
        Err(PathError::TooManyCandidates { count: 65, limit: MAX_CANDIDATES })
    ));
}

#[test]
fn unknown_critical_extensions_and_old_signatures_are_refused() {
    let root = root(authority("Root"), KeyType::P256);
    let mut odd = end_entity("leaf");
    let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    odd.custom_extensions = vec![extension];
    let odd = root.signs(odd, KeyType::P384);
    assert_eq!(verify(&odd, &[], &[&root]), Err(PathError::CriticalExtension));

    let private = root.key.to_pem().unwrap();
    let request = [
        "req",
        "-x509",
        "-new",
        "-key",
        "k",
        "-sha1",
        "-subj",
        "/CN=x",
        "-days",
        "9000",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-CA",
        "c",
        "-CAkey",
        "k",
    ];
    let files: [(&str, &[u8]); 2] =
        [("k", private.as_bytes()), ("c", &pem("CERTIFICATE", root.certificate.der()))];
    let sha1 = Certificate::from_pem(&openssl(&request, &files).unwrap()).unwrap();
    let found = verify_path(&sha1, &[], std::slice::from_ref(&root.certificate), Purpose::Any, NOW);
    assert_eq!(found, Err(PathError::UnsupportedAlgorithm { subject: "CN=x".to_owned() }));
}

#[test]
fn a_forged_signature_is_told() {
    let root = root(authority("Root"), KeyType::P256);
    let leaf = root.signs(end_entity("leaf"), KeyType::P384);
    let mut der = leaf.certificate.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = Certificate::from_der(&der).unwrap();
    let found = verify_path(&forged, &[], std::slice::from_ref(&root.certificate), Purpose::Client, NOW);
    assert_eq!(found, Err(PathError::Signature { subject: "CN=leaf".to_owned() }));
}
