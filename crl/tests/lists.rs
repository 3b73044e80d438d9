//! What is published is a list to others as well: to x509-parser and to OpenSSL, for every key type.
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod common;

use ca::key::KeyType;
use common::{Pki, openssl, serial, text};
use crl::{ParsedList, Reason, Which};
use time::Duration;

fn check_all(key_type: KeyType, algorithm: &str) {
    let mut pki = Pki::new(key_type);
    let mut revoked = 0;
    for entries in [0, 1, 10_000] {
        pki.now += Duration::minutes(1);
        pki.revoke(revoked..entries, Reason::Superseded);
        revoked = entries;
        let published = pki.publish(&Which::All);
        assert!(published.failures.is_empty(), "{:?}", published.failures);
        assert_eq!(published.lists.len(), 2);

        let list = pki.path("ca.crl");
        let parsed = ParsedList::read(&std::fs::read(&list).unwrap()).unwrap();
        let mut expected: Vec<_> = (0..entries).map(serial).collect();
        expected.sort_unstable();
        assert_eq!(parsed.serials(), expected);
        let report = parsed.report(Some(pki.issuing_certificate()), pki.now).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(report.next_update, Some(pki.now + Duration::days(7)));

        let (list, authority) = (list.to_string_lossy(), pki.path("ca.crt"));
        let command =
            ["crl", "-in", &list, "-verify", "-CAfile", &authority.to_string_lossy(), "-noout", "-text"];
        let said = text(&openssl(&command));
        assert!(said.contains("verify OK"), "{key_type}: {said}");
        assert!(said.contains("Version 2 (0x1)") && said.contains(algorithm), "{said}");
        assert_eq!(said.matches("Serial Number:").count() as u64, entries);
        assert_eq!(said.matches("Superseded").count() as u64, entries);
        assert_eq!(said.contains("No Revoked Certificates."), entries == 0);
        let key_id = pki.issuing().to_string().to_uppercase();
        assert!(said.replace(':', "").contains(&key_id), "the AKI is the SKI: {said}");
    }
}

#[test]
fn p256() {
    check_all(KeyType::P256, "ecdsa-with-SHA256");
}

#[test]
fn p384() {
    check_all(KeyType::P384, "ecdsa-with-SHA384");
}

#[test]
fn p521() {
    check_all(KeyType::P521, "ecdsa-with-SHA512");
}

#[test]
fn ed25519() {
    check_all(KeyType::Ed25519, "ED25519");
}

#[test]
fn rsa2048() {
    check_all(KeyType::Rsa2048, "sha256WithRSAEncryption");
}

#[test]
fn rsa4096() {
    check_all(KeyType::Rsa4096, "sha256WithRSAEncryption");
}

#[test]
fn reasons_and_invalidity_are_what_was_asked_and_unspecified_says_nothing() {
    let pki = Pki::new(KeyType::P256);
    for (number, reason) in Reason::ALL.into_iter().enumerate() {
        pki.revoke([number as u64], reason);
    }
    let request =
        crl::Request { invalidity: Some(pki.now - Duration::days(3)), ..pki.request(Reason::Unspecified) };
    crl::revoke(&pki.store, &[pki.target(99)], &request, "test").unwrap();
    assert!(pki.publish(&Which::All).failures.is_empty());
    let list = pki.path("ca.crl.der");
    let said = text(&openssl(&["crl", "-inform", "DER", "-in", &list.to_string_lossy(), "-noout", "-text"]));
    for reason in [
        "Key Compromise",
        "CA Compromise",
        "Affiliation Changed",
        "Superseded",
        "Cessation Of Operation",
        "Certificate Hold",
        "Privilege Withdrawn",
        "AA Compromise",
    ] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
    assert!(said.contains("Invalidity Date") && said.contains("Nov 18 12:00:00 2026 GMT"), "{said}");
    assert_eq!(said.matches("X509v3 CRL Reason Code").count(), 8);
    assert!(!said.contains("Unspecified"));
}

#[test]
fn openssl_refuses_what_is_revoked_and_accepts_what_is_not() {
    let pki = Pki::new(KeyType::P384);
    let key = ca::key::PrivateKey::generate(KeyType::P256).unwrap();
    let issued = pki.desk_issue("web-1", &key).unwrap();
    let leaf = pki.path("leaf.crt");
    std::fs::write(&leaf, issued.certificate.to_pem()).unwrap();
    let verify = || {
        let (leaf, chain, lists, root) =
            (pki.path("leaf.crt"), pki.path("chain.crt"), pki.path("chain.crl"), pki.path("root.crt"));
        openssl(&[
            "verify",
            "-x509_strict",
            "-attime",
            &pki.now.unix_timestamp().to_string(),
            "-purpose",
            "sslclient",
            "-crl_check_all",
            "-CAfile",
            &root.to_string_lossy(),
            "-untrusted",
            &chain.to_string_lossy(),
            "-CRLfile",
            &lists.to_string_lossy(),
            &leaf.to_string_lossy(),
        ])
    };
    pki.publish(&Which::All);
    let before = verify();
    assert!(before.status.success(), "{}", text(&before));
    let target = crl::Target::from(&issued.record);
    crl::revoke(&pki.store, &[target], &pki.request(Reason::KeyCompromise), "test").unwrap();
    pki.publish(&Which::Of([pki.issuing()].into()));
    let after = text(&verify());
    assert!(after.contains("error 23"), "{after}");
}
