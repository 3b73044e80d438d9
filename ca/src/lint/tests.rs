//! One test for each rule: the bytes are right but for one field, and the finding names it.

use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::*;
use crate::cert::Serial;
use crate::constraints::NameConstraints;
use crate::distribution::Distribution;
use crate::key::{KeyType, PrivateKey};
use crate::profile::{Lifetime, ProfileKind, Profiles};
use crate::subject::Subject;
use crate::template::{self, Tbs, Template};
use crate::testing::{NOW, Pki, name, names, policy};

/// What may be bent before the bytes are written.
struct Bend<'a> {
    params: &'a mut CertificateParams,
    issuer: &'a mut CertificateParams,
    /// Writes this key instead of the one asked for.
    key: &'a mut PublicKey,
}

/// Lints a certificate that is right but for what `bend` does to it.
fn bent(kind: Kind, bend: impl FnOnce(Bend<'_>)) -> Result<Linted<ForCertificate>, LintError> {
    with_pki(kind, NameConstraints::default(), NOW, bend, |tbs| tbs)
}

#[derive(Clone, Copy)]
enum Kind {
    Client,
    Server,
    Issuing,
    Root,
}

fn with_pki(
    kind: Kind,
    held: NameConstraints,
    now: OffsetDateTime,
    bend: impl FnOnce(Bend<'_>),
    patch: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<Linted<ForCertificate>, LintError> {
    let pki = Pki::of(KeyType::P256, held);
    let profiles = Profiles::default();
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let distribution: Distribution = policy().distribution;
    let (subject, profile, issuer) = match kind {
        Kind::Client => (
            Subject::client(name("anna"), names(&["email:anna@example.com"])).unwrap(),
            ProfileKind::Client,
            Some(pki.made.issuing.certificate()),
        ),
        Kind::Server => (
            Subject::server(names(&["dns:www.example.com", "ip:10.0.0.1"])).unwrap(),
            ProfileKind::Server,
            Some(pki.made.issuing.certificate()),
        ),
        Kind::Issuing => (
            Subject::authority(name("Example"), name("Example Issuing CA")),
            ProfileKind::Issuing,
            Some(pki.made.root.certificate()),
        ),
        Kind::Root => (Subject::authority(name("Example"), name("Example Root CA")), ProfileKind::Root, None),
    };
    let profile = profiles.of(profile);
    let validity =
        profile.validity(Lifetime::Default, issuer.map(|issuer| issuer.validity()), NOW).unwrap().validity;
    let asked = Template {
        profile,
        subject: &subject,
        public_key: key.public_key(),
        serial: &Serial::random(&pki.random).unwrap(),
        validity,
        issuer,
        distribution: &distribution,
        constraints: &NameConstraints::default(),
    };
    let mut params = template::params(&asked).unwrap();
    let mut issuer_params = template::issuer_params(&asked, &params);
    let mut public_key = key.public_key().clone();
    bend(Bend { params: &mut params, issuer: &mut issuer_params, key: &mut public_key });
    let signer = issuer.map_or(&public_key, |issuer| issuer.public_key());
    let tbs = template::encode(&params, &issuer_params, &public_key, signer).unwrap();
    certificate(Tbs::from_der(patch(tbs.der().to_vec())), &asked, now)
}

/// The rules that were found broken.
fn rules(outcome: Result<Linted<ForCertificate>, LintError>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = match outcome {
        Ok(_) => Vec::new(),
        Err(error) => error.findings.into_iter().map(|finding| finding.rule).collect(),
    };
    rules.sort();
    rules.dedup();
    rules
}

fn broken(kind: Kind, bend: impl FnOnce(Bend<'_>)) -> Vec<Rule> {
    rules(bent(kind, bend))
}

/// Replaces the one place where `from` stands.
fn patched(kind: Kind, from: &[u8], to: &[u8]) -> Vec<Rule> {
    assert_eq!(from.len(), to.len());
    let patch = |mut der: Vec<u8>| {
        let places: Vec<usize> = der
            .windows(from.len())
            .enumerate()
            .filter(|(_, window)| *window == from)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(places.len(), 1, "{}", hex::encode(&der));
        der[places[0]..places[0] + to.len()].copy_from_slice(to);
        der
    };
    rules(with_pki(kind, NameConstraints::default(), NOW, |_| {}, patch))
}

#[test]
fn what_is_right_is_accepted() {
    for kind in [Kind::Client, Kind::Server, Kind::Issuing, Kind::Root] {
        bent(kind, |_| {}).unwrap();
    }
}

#[test]
fn serial_numbers() {
    let found = |octets: &[u8]| {
        broken(Kind::Client, |bend| bend.params.serial_number = Some(SerialNumber::from_slice(octets)))
    };
    // The last one gets a sign octet in front, its twenty-first.
    for octets in [&[0x4f; 19][..], &[0x0f; 20], &[0x01], &[0x4f; 20], &[0x4f; 21], &[0x80; 20]] {
        assert_eq!(found(octets), [Rule::Serial], "{octets:?}");
    }
}

#[test]
fn dates() {
    type Shift = fn(&mut CertificateParams);
    let table: [(Shift, &[Rule]); 5] = [
        (|p| p.not_before += Duration::SECOND, &[Rule::Validity]),
        (|p| p.not_after += Duration::SECOND, &[Rule::Validity]),
        (|p| p.not_after = p.not_before, &[Rule::Validity]),
        (|p| p.not_after += Duration::days(365 * 5), &[Rule::Validity]),
        (|p| p.not_after += Duration::days(365 * 15), &[Rule::ChildInParent, Rule::Validity]),
    ];
    for (at, (shift, expected)) in table.into_iter().enumerate() {
        assert_eq!(broken(Kind::Server, |bend| shift(bend.params)), expected, "row {at}");
    }
    // Right in every byte, but not at this time.
    let late = NOW + Duration::days(500);
    let found = rules(with_pki(Kind::Server, NameConstraints::default(), late, |_| {}, |tbs| tbs));
    assert_eq!(found, [Rule::Validity]);
}

#[test]
fn the_form_of_a_date_follows_its_year() {
    let found = rules(with_pki(
        Kind::Client,
        NameConstraints::default(),
        NOW,
        |_| {},
        |tbs| {
            let utc = b"\x17\x0d261121115900Z";
            let at = tbs.windows(utc.len()).position(|window| window == utc).unwrap();
            let mut longer = tbs[..at].to_vec();
            longer.extend_from_slice(b"\x18\x0f20261121115900Z");
            longer.extend_from_slice(&tbs[at + utc.len()..]);
            // Both enclosing lengths grow by two.
            longer[at - 1] += 2;
            let length = u16::from_be_bytes([longer[2], longer[3]]) + 2;
            longer[2..4].copy_from_slice(&length.to_be_bytes());
            longer
        },
    ));
    // The strict parser too would write it differently.
    assert_eq!(found, [Rule::Encoding, Rule::Validity]);
}

#[test]
fn names_of_issuer_and_subject() {
    assert_eq!(
        broken(Kind::Client, |b| b.issuer.distinguished_name.push(DnType::CommonName, "x")),
        [Rule::Issuer]
    );
    assert_eq!(
        broken(Kind::Client, |b| b.params.distinguished_name.push(DnType::CommonName, "eve")),
        [Rule::Subject]
    );
    assert_eq!(
        broken(Kind::Client, |b| b.params.distinguished_name.push(DnType::OrganizationName, "x")),
        [Rule::Subject]
    );
    let long = "x".repeat(65);
    assert!(
        broken(Kind::Client, |b| b.params.distinguished_name.push(DnType::CommonName, long))
            .contains(&Rule::Subject)
    );
    // A subject that is its issuer's: RFC 5280 §6.1 would see a self-issued certificate.
    let found = broken(Kind::Issuing, |b| b.params.distinguished_name = b.issuer.distinguished_name.clone());
    assert_eq!(found, [Rule::Issuer, Rule::Subject]);
    let found = broken(Kind::Root, |b| b.issuer.distinguished_name.push(DnType::CommonName, "other"));
    assert_eq!(found, [Rule::Issuer]);
}

#[test]
fn an_empty_subject_makes_the_alternative_names_critical() {
    let empty = |bend: Bend<'_>| bend.params.distinguished_name = rcgen::DistinguishedName::new();
    // rcgen marks it critical itself; only the subject is not what was asked for.
    assert_eq!(broken(Kind::Server, empty), [Rule::Subject]);
    // With a subject it must not be critical.
    let found = broken(Kind::Server, |bend| {
        let content = [0x30, 0x03, 0x82, 0x01, 0x61]; // one dNSName, "a"
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], content.to_vec());
        extension.set_criticality(true);
        bend.params.subject_alt_names.clear();
        bend.params.custom_extensions.push(extension);
    });
    // Without the names asked for, the common name repeats none of them either.
    assert_eq!(found, [Rule::Extensions, Rule::Subject, Rule::SubjectAltName]);
}

#[test]
fn the_key_is_the_one_asked_for() {
    let other = PrivateKey::generate(KeyType::P256).unwrap();
    let found = broken(Kind::Client, |bend| *bend.key = other.public_key().clone());
    assert_eq!(found, [Rule::PublicKey, Rule::SubjectKeyIdentifier]);
    let other = PrivateKey::generate(KeyType::Ed25519).unwrap();
    let found = broken(Kind::Client, |bend| *bend.key = other.public_key().clone());
    assert_eq!(found, [Rule::PublicKey, Rule::SubjectKeyIdentifier]);
}

#[test]
fn a_weak_key_is_found_again_on_the_bytes() {
    // 1024 bits, made by OpenSSL: no function of ours makes or certifies such a key.
    let pem = crate::testing::openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"])
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (key, spki) = (directory.path().join("weak.key"), directory.path().join("weak.der"));
    std::fs::write(&key, pem).unwrap();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let out = path(&spki);
    crate::testing::openssl(&["pkey", "-in", &path(&key), "-pubout", "-outform", "DER", "-out", &out])
        .unwrap();
    let weak = PublicKey::from_spki(&std::fs::read(spki).unwrap()).unwrap();
    let found = broken(Kind::Client, |bend| *bend.key = weak);
    assert_eq!(found, [Rule::KeyStrength, Rule::PublicKey, Rule::SubjectKeyIdentifier]);
}

#[test]
fn the_signature_algorithm_is_the_issuer_s() {
    // ecdsa-with-SHA256 becomes ecdsa-with-SHA384: a P-256 key does not sign with that.
    let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let mut sha384 = sha256;
    sha384[7] = 0x03;
    assert_eq!(patched(Kind::Client, &sha256, &sha384), [Rule::SignatureAlgorithm]);
}

#[test]
fn encoding_and_version() {
    assert_eq!(
        patched(Kind::Client, &[0xa0, 0x03, 0x02, 0x01, 0x02], &[0xa0, 0x03, 0x02, 0x01, 0x01]),
        [Rule::Version]
    );
    let trailing = rules(with_pki(
        Kind::Client,
        NameConstraints::default(),
        NOW,
        |_| {},
        |mut tbs| {
            tbs.push(0);
            tbs
        },
    ));
    assert_eq!(trailing, [Rule::Encoding]);
    let cut = rules(with_pki(
        Kind::Client,
        NameConstraints::default(),
        NOW,
        |_| {},
        |mut tbs| {
            tbs.pop();
            tbs
        },
    ));
    assert_eq!(cut, [Rule::Encoding]);
    // TRUE is 0xff in DER; 0x01 is BER.
    let critical_usage = [0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff];
    let ber = [0x55, 0x1d, 0x0f, 0x01, 0x01, 0x01];
    assert_eq!(patched(Kind::Client, &critical_usage, &ber), [Rule::Encoding]);
}

#[test]
fn alternative_names() {
    let push = |kind, san: SanType| broken(kind, |bend| bend.params.subject_alt_names.push(san));
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    assert_eq!(push(Kind::Server, dns("evil.example.com")), [Rule::SubjectAltName]);
    assert_eq!(push(Kind::Server, dns("www.example.com")), [Rule::SubjectAltName]);
    assert_eq!(push(Kind::Server, dns("WWW.example.com")), [Rule::SubjectAltName]);
    assert_eq!(push(Kind::Server, dns("good\0.evil")), [Rule::SubjectAltName]);
    assert_eq!(push(Kind::Server, SanType::Rfc822Name("a@b.c".try_into().unwrap())), [Rule::SubjectAltName]);
    assert_eq!(push(Kind::Client, dns("*.example.com")), [Rule::SubjectAltName]);
    let other = SanType::OtherName((vec![1, 2, 3], "upn".into()));
    assert_eq!(push(Kind::Client, other), [Rule::SubjectAltName]);
    let none = broken(Kind::Server, |bend| bend.params.subject_alt_names.clear());
    assert_eq!(none, [Rule::Subject, Rule::SubjectAltName]);
    assert_eq!(push(Kind::Issuing, dns("example.com")), [Rule::SubjectAltName]);
}

#[test]
fn names_stay_within_the_issuer_s_constraints() {
    for (held, right) in [("example.com", true), ("example.org", false)] {
        let held = NameConstraints::parse([held, "10.0.0.0/8"]).unwrap();
        let found = rules(with_pki(Kind::Server, held, NOW, |_| {}, |tbs| tbs));
        assert_eq!(found.is_empty(), right, "{found:?}");
        assert!(right || found == [Rule::NameConstraints], "{found:?}");
    }
    let held = NameConstraints::parse(["192.168.0.0/16"]).unwrap();
    let found = rules(with_pki(Kind::Server, held, NOW, |_| {}, |tbs| tbs));
    assert_eq!(found, [Rule::NameConstraints]);
}

#[test]
fn usages() {
    let usages =
        |kind, usages: &[KeyUsagePurpose]| broken(kind, |bend| bend.params.key_usages = usages.to_vec());
    use KeyUsagePurpose::*;
    assert_eq!(usages(Kind::Client, &[]), [Rule::KeyUsage]);
    assert_eq!(usages(Kind::Client, &[DigitalSignature, KeyCertSign]), [Rule::KeyUsage]);
    assert_eq!(usages(Kind::Server, &[DigitalSignature, KeyEncipherment]), [Rule::KeyUsage]);
    assert_eq!(usages(Kind::Issuing, &[KeyCertSign]), [Rule::KeyUsage]);
    assert_eq!(usages(Kind::Root, &[KeyCertSign, CrlSign, DigitalSignature]), [Rule::KeyUsage]);
    let purposes = |kind, purposes: &[ExtendedKeyUsagePurpose]| {
        broken(kind, |bend| bend.params.extended_key_usages = purposes.to_vec())
    };
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, Other, ServerAuth};
    assert_eq!(purposes(Kind::Client, &[]), [Rule::ExtendedKeyUsage]);
    assert_eq!(purposes(Kind::Client, &[ClientAuth, ServerAuth]), [Rule::ExtendedKeyUsage]);
    assert_eq!(purposes(Kind::Client, &[ServerAuth]), [Rule::ExtendedKeyUsage]);
    assert_eq!(purposes(Kind::Server, &[ServerAuth, Any]), [Rule::ExtendedKeyUsage]);
    assert_eq!(purposes(Kind::Server, &[ServerAuth, CodeSigning]), [Rule::ExtendedKeyUsage]);
    assert_eq!(purposes(Kind::Server, &[ServerAuth, Other(vec![1, 2, 3])]), [Rule::ExtendedKeyUsage]);
    assert_eq!(purposes(Kind::Issuing, &[ServerAuth]), [Rule::ExtendedKeyUsage]);
}

#[test]
fn authority_or_not() {
    let is_ca = |kind, is_ca| broken(kind, |bend| bend.params.is_ca = is_ca);
    let unconstrained = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(is_ca(Kind::Client, unconstrained), [Rule::BasicConstraints]);
    assert_eq!(is_ca(Kind::Client, IsCa::NoCa), [Rule::BasicConstraints, Rule::SubjectKeyIdentifier]);
    assert_eq!(is_ca(Kind::Issuing, unconstrained), [Rule::BasicConstraints]);
    assert_eq!(is_ca(Kind::Issuing, IsCa::Ca(BasicConstraints::Constrained(1))), [Rule::BasicConstraints]);
    assert_eq!(is_ca(Kind::Issuing, IsCa::ExplicitNoCa), [Rule::BasicConstraints]);
    assert_eq!(is_ca(Kind::Root, IsCa::Ca(BasicConstraints::Constrained(0))), [Rule::BasicConstraints]);
}

#[test]
fn key_identifiers() {
    let wrong = || KeyIdMethod::PreSpecified(vec![7; 20]);
    assert_eq!(
        broken(Kind::Client, |b| b.params.key_identifier_method = wrong()),
        [Rule::SubjectKeyIdentifier]
    );
    assert_eq!(
        broken(Kind::Client, |b| b.issuer.key_identifier_method = wrong()),
        [Rule::AuthorityKeyIdentifier]
    );
    let without = |bend: Bend<'_>| bend.params.use_authority_key_identifier_extension = false;
    assert_eq!(broken(Kind::Client, without), [Rule::AuthorityKeyIdentifier]);
    let with = |bend: Bend<'_>| bend.params.use_authority_key_identifier_extension = true;
    assert_eq!(broken(Kind::Root, with), [Rule::AuthorityKeyIdentifier]);
}

#[test]
fn distribution_points() {
    let points = |uris: &[&[&str]]| {
        let points = uris.iter().map(|uris| uris.iter().map(|uri| (*uri).to_owned()).collect());
        let points: Vec<_> = points.map(|uris| CrlDistributionPoint { uris }).collect();
        broken(Kind::Client, |bend| bend.params.crl_distribution_points = points)
    };
    assert_eq!(points(&[]), [Rule::DistributionPoint]);
    assert_eq!(points(&[&["http://elsewhere.example.com/0.crl"]]), [Rule::DistributionPoint]);
    assert_eq!(points(&[&["http://a"], &["http://b"]]), [Rule::DistributionPoint]);
    assert_eq!(points(&[&["http://a", "http://b"]]), [Rule::DistributionPoint]);
    let access = |bend: Bend<'_>| bend.params.custom_extensions.clear();
    assert_eq!(broken(Kind::Client, access), [Rule::AuthorityInfoAccess]);
}

#[test]
fn name_constraints_are_the_ones_asked_for() {
    let constrain = |bend: Bend<'_>| {
        bend.params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    };
    assert_eq!(broken(Kind::Issuing, constrain), [Rule::NameConstraints]);
    assert_eq!(broken(Kind::Client, constrain), [Rule::NameConstraints]);
    let foreign = |bend: Bend<'_>| {
        bend.params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::Rfc822Name("example.com".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    };
    assert_eq!(broken(Kind::Issuing, foreign), [Rule::NameConstraints]);
}

#[test]
fn extensions_are_known_and_stand_there_once() {
    let add = |oid: &'static [u64], content: &'static [u8], critical: bool| {
        move |bend: Bend<'_>| {
            let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
            extension.set_criticality(critical);
            bend.params.custom_extensions.push(extension);
        }
    };
    // An unknown one; must-staple; certificatePolicies; a second extendedKeyUsage that widens the first.
    assert_eq!(broken(Kind::Client, add(&[1, 2, 3, 4], &[0x05, 0x00], false)), [Rule::Extensions]);
    assert_eq!(
        broken(Kind::Server, add(&[1, 3, 6, 1, 5, 5, 7, 1, 24], &[0x30, 0x03, 0x02, 0x01, 0x05], false)),
        [Rule::Extensions]
    );
    let any = &[0x30, 0x06, 0x06, 0x04, 0x55, 0x1d, 0x25, 0x00];
    let found = broken(Kind::Client, add(&[2, 5, 29, 37], any, false));
    assert_eq!(found, [Rule::ExtendedKeyUsage, Rule::Extensions]);
    // keyUsage that is not critical, in the place of the right one.
    let found = broken(Kind::Client, |bend| {
        bend.params.key_usages.clear();
        bend.params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80]));
    });
    assert_eq!(found, [Rule::Extensions]);
}

#[test]
fn all_findings_are_told_at_once() {
    let error = bent(Kind::Client, |bend| {
        bend.params.key_usages.clear();
        bend.params.extended_key_usages.clear();
    })
    .unwrap_err();
    assert_eq!(error.findings.len(), 2);
    let told = error.to_string();
    assert!(told.contains("keyUsage: absent (RFC 5280 §4.2.1.3)"), "{told}");
    assert!(told.contains("extendedKeyUsage: absent (RFC 5280 §4.2.1.12)"), "{told}");
}
