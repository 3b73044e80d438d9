use rcgen::{BasicConstraints, DnType, IsCa, Issuer, KeyPair};
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-06-01 00:00 UTC);

/// A hostile or broken authority: what it signs is what a test says.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, key: &PrivateKey, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = NOW - Duration::days(1);
        params.not_after = NOW + Duration::days(89);
        change(&mut params);
        params.signed_by(key, &self.issuer).unwrap().pem()
    }
}

fn key() -> PrivateKey {
    PrivateKey::generate(ca::key::KeyType::P256).unwrap()
}

fn names(names: &[&str]) -> Names {
    Names::parse(names, &Limits::default()).unwrap()
}

fn judge(chain: &str, key: &PrivateKey, asked: &[&str]) -> Result<Checked, Refusal> {
    check(chain, key.public_key(), &names(asked), NOW, &Limits::default())
}

#[test]
fn a_sound_chain_is_taken_and_told_apart() {
    let (ca, key) = (Authority::new("ca"), key());
    let leaf = ca.sign(&key, &["b.example", "a.example", "192.0.2.1"], |_| ());
    let checked =
        judge(&format!("{leaf}\n{}", ca.pem), &key, &["a.example", "b.example", "192.0.2.1"]).unwrap();
    assert_eq!(checked.issuers().len(), 1);
    assert_eq!(checked.chain_pem(), format!("{}{}", checked.leaf_pem(), checked.issuers_pem()));
    assert_eq!(checked.leaf().not_after(), NOW + Duration::days(89));
}

#[test]
fn another_key_is_refused() {
    let (ca, key, other) = (Authority::new("ca"), key(), key());
    let leaf = ca.sign(&other, &["a.example"], |_| ());
    assert!(matches!(judge(&leaf, &key, &["a.example"]), Err(Refusal::Key)));
}

#[test]
fn one_name_more_or_less_is_refused() {
    let (ca, key) = (Authority::new("ca"), key());
    for signed in
        [&["a.example", "b.example", "evil.example"][..], &["a.example"], &["a.example", "192.0.2.1"]]
    {
        let leaf = ca.sign(&key, signed, |_| ());
        let refusal = judge(&leaf, &key, &["a.example", "b.example"]);
        assert!(matches!(refusal, Err(Refusal::Names { .. })), "{signed:?}");
    }
    // A name that our own rules would not even read.
    let leaf = ca.sign(&key, &["a.example", "under_score.example"], |_| ());
    assert!(matches!(judge(&leaf, &key, &["a.example"]), Err(Refusal::Names { .. })));
}

#[test]
fn a_chain_that_does_not_link_is_refused() {
    let (ca, other, key) = (Authority::new("ca"), Authority::new("ca"), key());
    let leaf = ca.sign(&key, &["a.example"], |_| ());
    let same_name = judge(&format!("{leaf}{}", other.pem), &key, &["a.example"]);
    assert!(matches!(same_name, Err(Refusal::Link { position: 1, .. })));
    let wrong_order = judge(&format!("{}{leaf}", ca.pem), &key, &["a.example"]);
    assert!(matches!(wrong_order, Err(Refusal::Authority)));
}

#[test]
fn dates_are_looked_at() {
    let (ca, key) = (Authority::new("ca"), key());
    let over = ca.sign(&key, &["a.example"], |params| params.not_after = NOW);
    assert!(matches!(judge(&over, &key, &["a.example"]), Err(Refusal::Expired { .. })));
    let later = ca.sign(&key, &["a.example"], |params| params.not_before = NOW + Duration::hours(2));
    assert!(matches!(judge(&later, &key, &["a.example"]), Err(Refusal::Future { .. })));
    let soon = ca.sign(&key, &["a.example"], |params| params.not_before = NOW + Duration::minutes(59));
    judge(&soon, &key, &["a.example"]).unwrap();
}

#[test]
fn an_authority_is_no_leaf() {
    let (ca, key) = (Authority::new("ca"), key());
    let leaf =
        ca.sign(&key, &["a.example"], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert!(matches!(judge(&leaf, &key, &["a.example"]), Err(Refusal::Authority)));
}

#[test]
fn size_and_length_are_bounded() {
    let (ca, key) = (Authority::new("ca"), key());
    let leaf = ca.sign(&key, &["a.example"], |_| ());
    let long = format!("{leaf}{}", ca.pem.repeat(10));
    assert!(matches!(judge(&long, &key, &["a.example"]), Err(Refusal::Length { count: 11, limit: 10 })));
    let large = format!("{leaf}{}", " ".repeat(1024 * 1024));
    assert!(matches!(judge(&large, &key, &["a.example"]), Err(Refusal::TooLarge { .. })));
    for nothing in ["", "no PEM"] {
        let refusal = judge(nothing, &key, &["a.example"]);
        assert!(matches!(refusal, Err(Refusal::Malformed(_) | Refusal::Length { .. })), "{nothing:?}");
    }
}

#[test]
fn the_request_asks_for_the_names_and_no_common_name() {
    let key = key();
    let request = request(&key, &names(&["a.example", "2001:db8::1"])).unwrap();
    let csr = ca::cert::Csr::from_pem_or_der(&request).unwrap();
    assert_eq!(csr.public_key().spki_der(), key.public_key().spki_der());
    assert_eq!(csr.requested_common_name(), None);
    assert_eq!(csr.requested_names().len(), 2);
}
