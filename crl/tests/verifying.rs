//! Looking at lists that others made: OpenSSL's, with everything that is odd about them.
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod common;

use ca::key::KeyType;
use common::{Pki, openssl, text};
use crl::{CrlNumber, ListFinding, ListReport, Reason, VerifyError, Which, verify};
use time::Duration;

/// A list by `openssl ca -gencrl` with these extensions, PEM.
fn by_openssl(pki: &Pki, extensions: &str) -> Vec<u8> {
    let (config, index, list) = (pki.path("openssl.cnf"), pki.path("index.txt"), pki.path("theirs.crl"));
    std::fs::write(&index, "R\t361231000000Z\t260101000000Z,keyCompromise\t1F\tunknown\t/CN=x\n").unwrap();
    std::fs::write(pki.path("number"), "2A\n").unwrap();
    let number = pki.path("number");
    let section = if extensions.is_empty() { String::new() } else { "crl_extensions=x\n".to_owned() };
    std::fs::write(
        &config,
        format!(
            "[ca]\ndefault_ca=d\n[d]\ndatabase={}\ncrlnumber={}\ndefault_md=sha256\n\
             default_crl_days=30\n{section}[x]\n{extensions}\n",
            index.display(),
            number.display()
        ),
    )
    .unwrap();
    let key = pki.path(format!("keys/{}.key", pki.issuing()));
    let made = openssl(&[
        "ca",
        "-gencrl",
        "-config",
        &config.to_string_lossy(),
        "-keyfile",
        &key.to_string_lossy(),
        "-cert",
        &pki.path("ca.crt").to_string_lossy(),
        "-out",
        &list.to_string_lossy(),
        "-crl_lastupdate",
        "20261121120000Z",
        "-crl_nextupdate",
        "20261221120000Z",
    ]);
    assert!(made.status.success(), "{}", text(&made));
    std::fs::read(list).unwrap()
}

fn report(pki: &Pki, list: &[u8]) -> ListReport {
    verify(list, Some(pki.issuing_certificate()), pki.now).unwrap()
}

#[test]
fn a_plain_list_of_openssl_is_fine() {
    let pki = Pki::new(KeyType::P256);
    let list = by_openssl(&pki, "authorityKeyIdentifier=keyid:always");
    let report = report(&pki, &list);
    assert_eq!(report.findings, []);
    assert_eq!((report.number, report.entries), (Some(CrlNumber::from(0x2a)), 1));
    assert!(report.issuer.contains("Issuing CA"), "{}", report.issuer);
    assert_eq!(report.next_update, Some(pki.now + Duration::days(30)));
}

#[test]
fn what_is_odd_is_named() {
    let pki = Pki::new(KeyType::P256);
    let identified = "authorityKeyIdentifier=keyid:always\n";
    let findings = |extensions: &str| report(&pki, &by_openssl(&pki, extensions)).findings;
    assert_eq!(findings("basicConstraints=CA:FALSE"), [ListFinding::NoKeyId]);
    assert_eq!(findings(&format!("{identified}deltaCRL=critical,ASN1:INTEGER:1")), [ListFinding::Delta]);
    let partial = format!("{identified}issuingDistributionPoint=critical,@idp\n[idp]\nonlyuser=TRUE");
    assert_eq!(findings(&partial), [ListFinding::Partial]);
    let unknown = findings(&format!("{identified}1.2.3.4=critical,ASN1:NULL"));
    assert_eq!(unknown, [ListFinding::Critical { oid: "1.2.3.4".to_owned() }]);
}

#[test]
fn time_issuer_and_signature_are_looked_at() {
    let mut pki = Pki::new(KeyType::Ed25519);
    let other = Pki::new(KeyType::Ed25519);
    pki.revoke([1], Reason::Superseded);
    pki.publish(&Which::All);
    let list = std::fs::read(pki.path("ca.crl.der")).unwrap();
    assert_eq!(report(&pki, &list).findings, []);
    let foreign = verify(&list, Some(other.issuing_certificate()), pki.now).unwrap().findings;
    assert!(
        matches!(foreign[..], [ListFinding::Issuer, ListFinding::Signature(_), ListFinding::KeyId]),
        "{foreign:?}"
    );
    let mut forged = list.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(report(&pki, &forged).findings[..], [ListFinding::Signature(_)]));
    assert_eq!(verify(&forged, None, pki.now).unwrap().findings, [], "without the authority nobody can tell");

    pki.now -= Duration::seconds(1);
    let this_update = pki.now + Duration::seconds(1);
    assert_eq!(report(&pki, &list).findings, [ListFinding::NotYet { this_update }]);
    pki.now += Duration::days(8);
    let next_update = this_update + Duration::days(7);
    assert_eq!(report(&pki, &list).findings, [ListFinding::Expired { next_update }]);
}

#[test]
fn other_things_are_no_lists() {
    let pki = Pki::new(KeyType::P256);
    pki.publish(&Which::All);
    let pem = std::fs::read(pki.path("ca.crl")).unwrap();
    let der = std::fs::read(pki.path("ca.crl.der")).unwrap();
    let refused = |bytes: &[u8]| verify(bytes, None, pki.now).unwrap_err();
    assert!(matches!(refused(b""), VerifyError::Pem { .. }));
    assert!(matches!(refused(&std::fs::read(pki.path("ca.crt")).unwrap()), VerifyError::Pem { .. }));
    assert!(
        matches!(refused(&std::fs::read(pki.path("chain.crl")).unwrap()), VerifyError::Pem { .. }),
        "two"
    );
    assert!(matches!(refused(&der[..der.len() - 1]), VerifyError::Form { .. }));
    assert!(matches!(refused(&[der.as_slice(), b"x"].concat()), VerifyError::Form { .. }));
    assert!(matches!(refused(pki.issuing_certificate().der()), VerifyError::Form { .. }));
    assert!(verify(&pem, None, pki.now).is_ok());
}
