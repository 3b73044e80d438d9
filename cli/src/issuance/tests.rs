use std::os::unix::fs::PermissionsExt;

use super::*;

fn request() -> Request {
    Request {
        profile: ProfileName::Client,
        name: "alice".to_string(),
        names: vec!["email:alice@example.org".parse().unwrap()],
        days: None,
        key_type: KeyType::P256,
        project: None,
        trusted: None,
    }
}

fn place(folder: &tempfile::TempDir) -> Place {
    Place { folder: folder.path().to_path_buf(), slug: Slug::of("alice") }
}

fn begin_alice(place: &Place, request: &Request) -> Result<Pending, CommandError> {
    begin(place, &request.digest(), Overwrite::Refuse, || request.prepare())
}

#[test]
fn the_key_is_on_disk_for_its_owner_alone_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let pending = begin_alice(&place, &request()).unwrap();
    let mode = std::fs::metadata(place.pending_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let kept = std::fs::read(place.pending_path()).unwrap();
    assert!(Pending::decode(&kept) == crate::files::Decoded::Pending(pending));
}

#[test]
fn the_same_command_again_sends_the_same_request() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let first = begin_alice(&place, &request()).unwrap();
    let second = begin_alice(&place, &request()).unwrap();
    assert_eq!((first.csr, &*first.key), (second.csr, &*second.key));
}

#[test]
fn other_options_are_refused_until_the_first_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    begin_alice(&place, &request()).unwrap();
    let other = Request { days: Some(3), ..request() };
    let error = begin_alice(&place, &other).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert!(error.hints.iter().any(|hint| hint.contains(".alice.pending")), "{error:?}");
}

#[test]
fn the_order_of_names_does_not_make_another_request() {
    let names = ["email:a@example.org", "email:b@example.org"];
    let names: Vec<SubjectAltName> = names.iter().map(|name| name.parse().unwrap()).collect();
    let turned = names.iter().rev().cloned().collect();
    let one = Request { names, ..request() };
    let other = Request { names: turned, ..request() };
    assert_eq!(one.digest(), other.digest());
    assert_ne!(one.digest(), request().digest());
}

#[test]
fn a_refused_request_leaves_nothing_and_an_unanswered_one_its_key() {
    for (kind, stays) in [
        (Kind::Usage, false),
        (Kind::Conflict, false),
        (Kind::Denied, false),
        (Kind::NotFound, false),
        (Kind::Unavailable, true),
        (Kind::Internal, true),
        (Kind::External, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        begin_alice(&place, &request()).unwrap();
        let settled = settle::<()>(Err(CommandError::new(kind, "no")), &place);
        assert_eq!(settled.unwrap_err().kind, kind);
        assert_eq!(place.pending_path().exists(), stays, "{kind:?}");
    }
}

#[test]
fn sixteen_at_once_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let csrs: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..16).map(|_| scope.spawn(|| begin_alice(&place, &request()).unwrap().csr)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(csrs.len(), 1);
}

#[test]
fn whatever_lies_there_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let key = place.key_path();
    std::fs::write(&key, "precious").unwrap();
    assert_eq!(begin_alice(&place, &request()).unwrap_err().kind, Kind::Conflict);
    assert_eq!(std::fs::read(&key).unwrap(), b"precious");
    std::fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink("elsewhere", &key).unwrap();
    assert_eq!(begin_alice(&place, &request()).unwrap_err().kind, Kind::Conflict);
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir(&key).unwrap();
    assert_eq!(begin_alice(&place, &request()).unwrap_err().kind, Kind::Conflict);
    assert!(!place.pending_path().exists());
}

#[test]
fn a_p12_that_fails_after_all_leaves_the_certificate_and_the_way_to_finish() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder);
    let pending = begin_alice(&place, &request()).unwrap();
    let view = serde_json::json!({
        "serial": "4a01", "name": "alice", "profile": "client", "names": [], "fingerprint": "", "issuer": "",
        "key_type": "p256", "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z",
        "issued_at": "2026-01-01T00:00:00Z", "issued_by": "", "project": "", "status": "valid",
        "revocation": null
    });
    let issued = Issued {
        certificate: serde_json::from_value(view).unwrap(),
        pem: "leaf".to_string(),
        chain: "no chain".to_string(),
        repeated: false,
        warnings: Vec::new(),
    };
    let p12 = Pkcs12 { path: folder.path().join("a.p12"), passphrase: zeroize::Zeroizing::new("x".into()) };
    let error = finish(&place, &pending, &issued, Some(&p12), &[]).unwrap_err();
    assert!(error.hints.iter().any(|hint| hint.contains("4a01 has been issued")), "{error:?}");
    assert!(error.hints.iter().any(|hint| hint.contains("the same command again")), "{error:?}");
    assert_eq!(std::fs::read(folder.path().join("alice.crt")).unwrap(), b"leaf");
    assert!(place.pending_path().exists());
}
