//! "My disk was full for an hour." A small file system of its own, really full.

use std::io::Write;
use std::process::Command;

use tests::{Output, Program, Purpose, Sandbox, Service, openssl_accepts, openssl_finds_revoked, run};

/// The mounted file system, unmounted however the test ends.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(sandbox: &Sandbox, size: &str) -> Small {
        assert!(rustix::process::geteuid().is_root(), "this test mounts a file system: run it as root");
        std::fs::create_dir(sandbox.dir()).unwrap();
        let options = format!("size={size},mode=755");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(sandbox.dir()))
            .success();
        Small(sandbox.dir())
    }

    /// Takes the room until so much of it is left; none at all with 0.
    fn fill(&self, left: u64) {
        let mut ballast =
            std::fs::OpenOptions::new().create(true).append(true).open(self.0.join("ballast")).unwrap();
        let error = loop {
            let room = rustix::fs::statvfs(&self.0).unwrap();
            if left > 0 && room.f_bavail * room.f_frsize <= left {
                return;
            }
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

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
    let small = Small::mount(&sandbox, "24m");
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
    let small = Small::mount(&sandbox, "24m");
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
