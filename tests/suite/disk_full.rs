//! "My disk was full for an hour." A small file system of its own, really full.

use tests::trouble::SmallDisk;
use tests::{Output, Program, Purpose, Sandbox, Service, openssl_accepts, openssl_finds_revoked};

fn issue(sandbox: &Sandbox, name: &str) -> Output {
    sandbox.pki(["issue-client", name, "--key-type", "p256"])
}

/// Refused, saying why, with nothing of it left.
fn fails_for_want_of_space(sandbox: &Sandbox, name: &str) {
    let refused = issue(sandbox, name);
    assert!(refused.code != 0 && refused.code <= 9, "{refused}");
    let lower = refused.stderr.to_lowercase();
    assert!(lower.contains("no space left") && !lower.contains("panicked"), "{refused}");
    assert!(!sandbox.file(&format!("{name}.crt")).exists(), "{refused}");
}

/// A PKI with a valid `bob` and a revoked `mallory`.
fn populate(sandbox: &Sandbox) {
    sandbox.pki(["init", "--name", "Example", "--key-type", "p256"]).success();
    issue(sandbox, "bob").success();
    issue(sandbox, "mallory").success();
    sandbox.pki(["revoke", "mallory"]).success();
}

fn nothing_was_lost(sandbox: &Sandbox) {
    openssl_accepts(sandbox, Purpose::Client, "bob");
    openssl_finds_revoked(sandbox, Purpose::Client, "mallory");
}

#[test]
fn a_service_on_a_full_disk_refuses_to_issue_serves_on_and_recovers_by_itself() {
    let sandbox = Sandbox::of(Program::UnderTest);
    let small = SmallDisk::mount(&sandbox.dir(), "24m");
    populate(&sandbox);
    let service = Service::start(&sandbox);
    // Into what the store keeps in reserve: revocations go through, for they can't wait.
    issue(&sandbox, "eve").success();
    small.fill(8 << 20);
    fails_for_want_of_space(&sandbox, "alice");
    sandbox.pki(["revoke", "eve"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "eve");
    let list = service.ask("/ca.crl").body;
    small.fill(0);
    fails_for_want_of_space(&sandbox, "alice");
    let answer = service.ask("/ca.crl");
    assert_eq!((answer.status, answer.body), (200, list));
    let listed = sandbox.pki(["list"]).success();
    assert!(listed.says("bob") && listed.says("mallory") && !listed.says("alice"), "{listed}");
    nothing_was_lost(&sandbox);
    small.empty();
    issue(&sandbox, "alice").success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    sandbox.pki(["revoke", "bob"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
    assert_eq!(service.stop().code, 0);
    sandbox.pki(["audit", "verify"]).success();
}

#[test]
fn commands_on_a_full_disk_lose_nothing_and_work_once_there_is_room() {
    let sandbox = Sandbox::of(Program::UnderTest);
    let small = SmallDisk::mount(&sandbox.dir(), "24m");
    populate(&sandbox);
    small.fill(0);
    fails_for_want_of_space(&sandbox, "alice");
    nothing_was_lost(&sandbox);
    small.empty();
    let listed = sandbox.pki(["list"]).success();
    assert!(listed.says("bob") && listed.says("mallory"), "{listed}");
    issue(&sandbox, "alice").success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    nothing_was_lost(&sandbox);
    sandbox.pki(["audit", "verify"]).success();
}
