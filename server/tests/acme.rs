//! The ACME operations against a real authority, in process: what is placed, recorded and told.
//!
//! The same through the program is in `tests/suite/acme.rs`.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/src/pebble.rs"]
#[allow(dead_code)]
mod pebble;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ca::cert::Certificate;
use ca::key::PrivateKey;
use pebble::Pebble;
use server::ops::acme::{AcmeIssue, AcmeList, AcmeRenew, AcmeRevoke};
use server::ops::{Error, Operation};
use server::problem::ProblemKind;
use server::{Pki, clock, http::problem};
use trust::Presented;

struct Site {
    root: tempfile::TempDir,
    pki: Pki,
}

impl Site {
    fn new() -> Site {
        let root = tempfile::tempdir().unwrap();
        let keys = root.path().join("keys");
        store::file::make_dir(&keys, store::file::Visibility::Secret).unwrap();
        let pki = Pki::in_memory(root.path(), 0).unwrap();
        Site { root, pki }
    }

    fn run<O: Operation>(&self, operation: O) -> Result<O::Reply, Error> {
        self.pki.run(operation, &Presented::InProcess, clock::now())
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join("acme").join(name)
    }
}

fn issue(pebble: &Pebble, domains: &[&str]) -> AcmeIssue {
    AcmeIssue {
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        email: Some("admin@example.org".to_owned()),
        ca_url: Some(pebble.directory()),
        agree_tos: true,
        ca_root: Some(std::fs::read_to_string(pebble.root()).unwrap()),
        eab: None,
        challenge: None,
        http_address: Some(pebble.http_address()),
        webroot: None,
        out: None,
        hook: None,
        served_at: None,
    }
}

/// The five files belong together; two of them are for nobody else.
#[track_caller]
fn check_folder(folder: &Path) -> Certificate {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    let leaf = Certificate::from_pem(read("cert.pem").as_bytes()).unwrap();
    let key = PrivateKey::from_pem(read("key.pem").as_bytes(), None).unwrap();
    assert_eq!(leaf.public_key().spki_der(), key.public_key().spki_der());
    assert_eq!(read("fullchain.pem"), format!("{}{}", read("cert.pem"), read("chain.pem")));
    assert_eq!(read("haproxy.pem"), format!("{}{}", read("fullchain.pem"), read("key.pem")));
    assert_eq!([mode("key.pem"), mode("haproxy.pem")], [0o600; 2]);
    assert_eq!([mode("cert.pem"), mode("chain.pem"), mode("fullchain.pem")], [0o644; 3]);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 5);
    leaf
}

#[test]
fn a_certificate_is_issued_listed_renewed_and_revoked() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let out = site.root.path().join("out");
    let request =
        AcmeIssue { out: Some(out.display().to_string()), ..issue(&pebble, &["www.example", "example.net"]) };
    let issued = site.run(request).unwrap();
    let leaf = check_folder(&site.folder("www.example"));
    assert_eq!(check_folder(&out), leaf);
    assert_eq!(issued.serial.as_deref(), Some(&*leaf.serial().to_string()));
    assert_eq!(issued.files.len(), 10);
    assert!(issued.files.iter().all(|file| Path::new(file).is_file()));
    assert!(issued.renew_at > issued.not_before && issued.renew_at < issued.not_after);
    assert_eq!(site.run(AcmeList {}).unwrap(), std::slice::from_ref(&issued));

    assert!(site.run(AcmeRenew { domain: None }).unwrap().is_empty(), "it is not due");
    let renewed = site.run(AcmeRenew { domain: Some("WWW.example".to_owned()) }).unwrap();
    assert_ne!(renewed[0].serial, issued.serial);
    assert_eq!(Some(check_folder(&site.folder("www.example")).serial().to_string()), renewed[0].serial);
    assert_eq!(Some(check_folder(&out).serial().to_string()), renewed[0].serial);
    assert_eq!(pebble.accounts(), 1);

    let revoke = || AcmeRevoke { domain: "www.example".to_owned(), reason: Some("keyCompromise".to_owned()) };
    assert!(site.run(revoke()).unwrap().revoked);
    let status = pebble.manage(&format!("/cert-status-by-serial/{}", renewed[0].serial.as_deref().unwrap()));
    assert!(status.contains(r#""Status": "Revoked""#) && status.contains(r#""Reason": 1"#), "{status}");
    let again = site.run(revoke()).unwrap();
    assert!(again.revoked && again.notes.len() == 1, "{again:?}");
    assert!(site.run(AcmeList {}).unwrap()[0].revoked);
}

#[test]
fn a_renewal_that_fails_is_recorded_and_leaves_the_old_files() {
    let (site, mut pebble) = (Site::new(), Pebble::start());
    site.run(issue(&pebble, &["a.example"])).unwrap();
    let leaf = check_folder(&site.folder("a.example"));
    pebble.resolve("a.example", "127.0.0.77");
    let failure = site.run(AcmeRenew { domain: Some("a.example".to_owned()) }).unwrap_err();
    let told = problem::problem(&failure);
    assert_eq!(told.kind, ProblemKind::External);
    assert!(told.message.contains("a.example: ") && told.hint.is_some(), "{told:?}");
    let listed = site.run(AcmeList {}).unwrap();
    assert!(listed[0].last_error.as_ref().is_some_and(|error| error.contains("127.0.0.77")), "{listed:?}");
    assert!(
        listed[0].renew_at > Some(clock::now())
            && listed[0].renew_at < Some(clock::now() + time::Duration::hours(1))
    );
    assert_eq!(check_folder(&site.folder("a.example")), leaf);
    // Mended, and the authority new: the note says that the account is, too.
    pebble.resolve("a.example", "127.0.0.1");
    pebble.restart();
    let renewed = site.run(AcmeRenew { domain: Some("a.example".to_owned()) }).unwrap();
    assert_eq!((renewed[0].notes.len(), &renewed[0].last_error), (1, &None));
    assert_ne!(check_folder(&site.folder("a.example")), leaf);
}

#[test]
fn what_is_wrong_with_the_request_is_told_and_nothing_is_placed() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let told = |request| problem::problem(&site.run::<AcmeIssue>(request).unwrap_err());
    let refused = told(AcmeIssue { agree_tos: false, ..issue(&pebble, &["a.example"]) });
    assert_eq!(refused.kind, ProblemKind::Invalid);
    assert!(refused.message.contains("Do%20what%20thou%20wilt"), "{refused:?}");
    let refused = told(AcmeIssue { out: Some("out".to_owned()), ..issue(&pebble, &["a.example"]) });
    assert_eq!(refused.kind, ProblemKind::Invalid);
    let refused =
        told(AcmeIssue { ca_url: Some("http://127.0.0.1/".to_owned()), ..issue(&pebble, &["a.example"]) });
    assert_eq!(refused.kind, ProblemKind::Invalid);
    let held = std::net::TcpListener::bind(pebble.http_address()).unwrap();
    let refused = told(issue(&pebble, &["a.example"]));
    assert_eq!(refused.kind, ProblemKind::Unavailable);
    assert!(refused.message.contains(&pebble.http_address()) && refused.hint.is_some(), "{refused:?}");
    drop(held);
    assert_eq!((pebble.orders(), pebble.accounts()), (0, 0));
    assert!(!site.root.path().join("acme").exists());
    let missing = site.run(AcmeRevoke { domain: "a.example".to_owned(), reason: None }).unwrap_err();
    let told = problem::problem(&missing);
    assert_eq!(told.kind, ProblemKind::NotFound);
    assert!(told.hint.is_some_and(|hint| hint.contains("pki acme list")));
}
