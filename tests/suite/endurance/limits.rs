//! Too few files, and many certificates.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;

use server::ops::inventory::List;
use server::ops::issue::{IssueMany, RowReply};
use server::ops::revoke::Revoke;
use server::ops::view::{Publication, Selector};
use tests::socket::call;
use tests::trouble::eventually;
use tests::{Purpose, Service, openssl, openssl_accepts, openssl_finds_revoked, run};

use super::{Orders, issue, populated, socket};

/// Lets a running process have so many files (its soft limit).
fn let_have(pid: u32, files: usize) {
    let words = [format!("--pid={pid}"), format!("--nofile={files}:")];
    run(Command::new("prlimit").args(words)).success();
}

fn files_of(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn a_service_that_has_no_file_left_turns_people_away_and_comes_back_by_itself() {
    let sandbox = populated();
    let service = Service::start(&sandbox);
    let had = files_of(service.pid());
    let limit = had + 12;
    let_have(service.pid(), limit);
    let mut crowd = Vec::new();
    eventually("every file is taken", || {
        let mut stream = UnixStream::connect(socket(&sandbox)).unwrap();
        // Not yet a whole request: it is waited for.
        stream.write_all(b"POST /1.0/pki/info HTTP/1.1\r\n").unwrap();
        crowd.push(stream);
        service.log().contains("a connection could not be taken")
    });
    assert!(files_of(service.pid()) >= limit - 1);
    drop(crowd);
    eventually("they are let go", || files_of(service.pid()) <= had + 2);
    issue(&sandbox, "alice").success();
    sandbox.pki(["revoke", "bob"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
    assert_eq!(service.ask("/ca.crl").status, 200);
    assert!(!service.log().contains("panicked"), "{}", service.log());
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_revocation_that_finds_no_file_for_its_list_stands_and_says_so() {
    let sandbox = populated();
    let service = Service::start(&sandbox);
    issue(&sandbox, "alice").success();
    // One more file, which the connection itself takes: none is left for the list.
    let_have(service.pid(), files_of(service.pid()) + 1);
    let path = socket(&sandbox);
    let selectors = vec![Selector::Word("bob".to_owned())];
    let ask = Revoke { selectors, reason: None, all: false, dry_run: false };
    let revoked = call(&path, &ask).done();
    let Publication::Pending { causes } = revoked.publication else { panic!("{revoked:?}") };
    assert!(causes.join(": ").contains("Too many open files"), "{causes:?}");
    let_have(service.pid(), 1024);
    sandbox.pki(["verify", "bob.crt"]).failure(1);
    sandbox.pki(["crl", "publish"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    assert!(!service.log().contains("panicked"), "{}", service.log());
    assert_eq!(service.stop().code, 0);
}

#[test]
fn two_thousand_certificates_and_a_thousand_revocations_survive_a_kill_in_bounded_memory() {
    const MANY: usize = 2_000;
    const REVOKED: usize = 1_000;
    /// Of a debug build, which keeps more than one that ships.
    const MOST_KIB: u64 = 400 * 1024;
    let sandbox = populated();
    let service = Service::start(&sandbox);
    let (path, orders) = (socket(&sandbox), Orders::new());
    let names: Vec<String> = (0..MANY).map(|number| format!("client-{number}")).collect();
    let mut serials = Vec::new();
    for some in names.chunks(IssueMany::LIMIT) {
        let requests = some.iter().map(|name| orders.of(name)).collect();
        for row in call(&path, &IssueMany { requests }).done() {
            let RowReply::Issued(issued) = row else { panic!("{row:?}") };
            serials.push(issued.certificate.serial);
        }
    }
    let selectors = serials[..REVOKED].iter().cloned().map(Selector::Word).collect();
    let ask = Revoke { selectors, reason: Some("superseded".into()), all: false, dry_run: false };
    let revoked = call(&path, &ask).done();
    assert!(matches!(revoked.publication, Publication::Published { .. }), "{:?}", revoked.publication);
    let most = peak_kib(service.pid());
    assert!(most < MOST_KIB, "{most} KiB");
    service.kill();
    let service = Service::start(&sandbox);
    let (mut found, mut after) = (0, None);
    loop {
        let name = Some("client-*".to_owned());
        let page = call(&path, &List { name, after, limit: List::LIMIT, ..List::default() }).done();
        found += page.certificates.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, MANY);
    let file = sandbox.dir().join("ca.crl").display().to_string();
    let text = openssl(&sandbox, ["crl", "-noout", "-text", "-in", &file]).success().stdout;
    assert_eq!(text.matches("Serial Number: ").count(), REVOKED + 1);
    let most = peak_kib(service.pid());
    assert!(most < MOST_KIB, "{most} KiB after the start");
    assert_eq!(service.stop().code, 0);
}

fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
