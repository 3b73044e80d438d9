use trust::Presented;

use super::*;
use crate::ops::authority::CaList;
use crate::ops::crl::CrlShow;
use crate::testing::{at, issue, made};

fn run<O: crate::ops::Operation>(pki: &Pki, operation: O) -> Result<O::Reply, Error> {
    pki.run(operation, &Presented::InProcess, at(5))
}

#[test]
fn the_next_authority_signs_and_the_one_before_stays_published() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let before = issue(&pki, "before");
    let rotated = run(&pki, CaRotate { key_type: Some("ed25519".into()), csr_only: false }).unwrap();
    let Rotated::Rotated { current, previous, .. } = rotated else { panic!("the root's key is here") };
    assert_eq!((current.state.as_str(), current.key_type.as_str()), ("current", "ed25519"));
    assert_eq!((previous.state.as_str(), previous.live_certificates), ("retired", 1));
    let after = issue(&pki, "after");
    assert_eq!(
        (after.certificate.issuer, before.certificate.issuer),
        (current.key_id.clone(), previous.key_id.clone())
    );
    assert_eq!(run(&pki, CrlShow {}).unwrap().len(), 3);
    let chain = std::fs::read_to_string(pki.directory().join("chain.crt")).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 3);

    assert!(run(&pki, CaRevoke { key_id: current.key_id, reason: None }).is_err(), "it signs");
    let held = CaRevoke { key_id: previous.key_id.clone(), reason: Some("certificateHold".into()) };
    assert!(run(&pki, held).is_err());
    let revoke = CaRevoke { key_id: previous.key_id[..12].to_owned(), reason: Some("superseded".into()) };
    let revoked = run(&pki, revoke).unwrap();
    assert_eq!(revoked.authority.state, "revoked");
    let Publication::Published { lists } = revoked.publication else { panic!("{:?}", revoked.publication) };
    assert_eq!((lists.len(), lists[0].role.as_str(), lists[0].entries), (1, "root", 1));
    assert!(!revoked.already);
    assert!(run(&pki, CaRotate { key_type: Some("rsa2048".into()), csr_only: false }).is_err());
    // Again without the root's key: the list has it already, so nothing is pending.
    std::fs::rename(pki.layout().keys().join("root.key"), dir.path().join("root.key")).unwrap();
    let pki = {
        drop(pki);
        crate::testing::reopened(&dir.path().join("pki"))
    };
    let again = CaRevoke { key_id: previous.key_id, reason: Some("superseded".into()) };
    let again = run(&pki, again).unwrap();
    assert!(again.already);
    assert!(matches!(again.publication, Publication::Published { .. }), "{:?}", again.publication);
}

#[test]
fn a_root_goes_offline_and_leaves_a_list_for_a_year() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let key = pki.layout().keys().join("root.key");
    let wrong = CaRootOffline { key_file_digest: "00".repeat(32) };
    assert!(run(&pki, wrong).is_err());
    assert!(key.exists());
    let digest = ca::cert::Fingerprint::of(&std::fs::read(&key).unwrap()).to_string();
    let root = run(&pki, CaRootOffline { key_file_digest: digest }).unwrap();
    assert_eq!(root.key, "elsewhere");
    assert!(!key.exists());
    let lists = run(&pki, CrlShow {}).unwrap();
    let list = lists.iter().find(|list| list.role == "root").unwrap();
    assert_eq!((list.next_update - list.this_update).whole_days(), 365);
    // Without it the next authority begins with a request.
    assert!(run(&pki, CaRotate { key_type: None, csr_only: false }).is_err());
    let csr = run(&pki, CaRotate { key_type: None, csr_only: true }).unwrap();
    assert!(matches!(csr, Rotated::Csr { pem, .. } if pem.contains("CERTIFICATE REQUEST")));
    let states: Vec<String> =
        run(&pki, CaList {}).unwrap().into_iter().map(|authority| authority.state).collect();
    assert!(states.contains(&"awaiting-certificate".to_owned()));
}
