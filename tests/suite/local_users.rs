//! "On this machine I come in by my name, or by the passphrase."
//!
//! The transcripts are Multipass's, with our name in place of theirs. One thing differs, and is meant to: who
//! may not set the passphrase is told so before they type it twice.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use tests::{Output, Program, Sandbox, Service, run};

/// The group that may reach the socket at first.
pub const GROUP: &str = "27";

/// Runs `pki` as the user `uid`, in these groups, with this sandbox's environment.
pub fn by(uid: u32, groups: &str, sandbox: &Sandbox, words: &[&str]) -> Output {
    run(&mut command(uid, groups, sandbox, words))
}

/// The same, ready to run. The user has a home of their own.
pub fn command(uid: u32, groups: &str, sandbox: &Sandbox, words: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    sandbox.surround(&mut command);
    // The build may lie where nobody may go: a copy lies where anybody may.
    let folder = sandbox.root().join("program");
    let copy = folder.join("pki");
    if !copy.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(Program::Shipped.path(), &copy).unwrap();
    }
    let groups = if groups.is_empty() { "--clear-groups".to_owned() } else { format!("--groups={groups}") };
    command.args([&format!("--reuid={uid}"), "--regid=65534", &groups, "--"]).arg(copy).args(words);
    let home = home(uid, sandbox);
    if !home.exists() {
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(uid), Some(65534)).unwrap();
    }
    command.env("HOME", home).current_dir("/");
    command
}

/// The user's home.
pub fn home(uid: u32, sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join(format!("home-{uid}"))
}

/// A PKI whose service any user could reach, were they let in.
pub fn served() -> (Sandbox, Service) {
    assert!(rustix::process::geteuid().is_root(), "this test changes users: run it as root");
    let sandbox = Sandbox::with_pki();
    for folder in [sandbox.root().to_path_buf(), sandbox.home()] {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let service = Service::start(&sandbox);
    (sandbox, service)
}

fn socket(sandbox: &Sandbox) -> u32 {
    std::fs::metadata(sandbox.dir().join("pki.socket")).unwrap().mode() & 0o777
}

/// Waits until the socket is open to everybody: the service opens it right after the commit.
pub fn open(sandbox: &Sandbox) {
    for _ in 0..500 {
        if socket(sandbox) == 0o666 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the socket stays at {:o}", socket(sandbox));
}

fn refused(output: &Output, words: &str) {
    assert_eq!(output.code, 5, "{output}");
    assert_eq!(output.stderr, words, "{output}");
}

const LOCKED_OUT: &str = "list failed: The client is not authenticated with the pki service.\n\
                          Please use 'pki authenticate' before proceeding.\n";

#[test]
fn the_first_administrator_to_come_is_trusted_and_the_next_must_authenticate() {
    let (sandbox, service) = served();
    assert_eq!(socket(&sandbox), 0o660);
    let stranger = by(1002, "", &sandbox, &["list"]);
    assert_eq!(stranger.code, 5, "the kernel keeps them out: {stranger}");
    by(1001, GROUP, &sandbox, &["list"]).success();
    open(&sandbox);
    by(1001, "", &sandbox, &["list"]).success();
    refused(&by(1002, "", &sandbox, &["list"]), LOCKED_OUT);
    refused(
        &by(1002, "", &sandbox, &["authenticate", "foo"]),
        "authenticate failed: Passphrase is not set. Please `pki set local.passphrase` with a trusted client.\n",
    );
    refused(
        &by(1002, "", &sandbox, &["set", "local.passphrase"]),
        &LOCKED_OUT.replace("list failed", "set failed"),
    );
    by(1001, "", &sandbox, &["set", "local.passphrase=correct horse"]).success();
    assert_eq!(by(1001, "", &sandbox, &["get", "local.passphrase"]).success().stdout, "true\n");
    refused(
        &by(1002, "", &sandbox, &["authenticate", "wrong"]),
        "authenticate failed: Passphrase is not correct. Please try again.\n",
    );
    by(1002, "", &sandbox, &["authenticate", "correct horse"]).success();
    by(1002, "", &sandbox, &["list"]).success();
    let audit = sandbox.pki(["audit"]).success().stdout;
    assert!(audit.contains("origin=trust-first") && audit.contains("origin=passphrase"), "{audit}");
    assert!(!audit.contains("correct horse"), "{audit}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn the_dead_loop_has_a_way_out() {
    let (sandbox, service) = served();
    by(1001, GROUP, &sandbox, &["list"]).success();
    open(&sandbox);
    refused(&by(1002, GROUP, &sandbox, &["list"]), LOCKED_OUT);
    // As root: `sudo pki trust add --local-user NAME`.
    sandbox.pki(["trust", "add", "--local-user", "1002"]).success();
    by(1002, "", &sandbox, &["list"]).success();
    // Whoever was removed does not come back, neither first nor otherwise.
    sandbox.pki(["set", "local.passphrase=correct horse"]).success();
    sandbox.pki(["trust", "remove", "uid 1001"]).success();
    refused(&by(1001, GROUP, &sandbox, &["list"]), LOCKED_OUT);
    assert_eq!(by(1001, "", &sandbox, &["authenticate", "correct horse"]).code, 5);
    refused(&by(1001, "", &sandbox, &["list"]), LOCKED_OUT);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn nobody_is_trusted_for_being_first_where_that_is_off() {
    let (sandbox, service) = served();
    sandbox.pki(["config", "set", "local.trust_first", "false"]).success();
    open(&sandbox);
    refused(&by(1001, GROUP, &sandbox, &["list"]), LOCKED_OUT);
    // On again: the socket was open to everybody, so being early proves nothing until the next start.
    sandbox.pki(["config", "set", "local.trust_first", "true"]).success();
    refused(&by(1001, GROUP, &sandbox, &["list"]), LOCKED_OUT);
    assert_eq!(service.stop().code, 0);
}
