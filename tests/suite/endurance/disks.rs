//! Disks that are full, that nobody may write, that fail once, and that are slow.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use server::ops::doctor::Doctor;
use server::ops::info::Info;
use server::ops::inventory::List;
use tests::socket::{Answer, call};
use tests::trouble::{Immutable, Injection, SmallDisk, eventually};
use tests::{
    Program, Purpose, Sandbox, Service, fetch, free_port, openssl_accepts, openssl_finds_revoked, run,
};

use super::{Orders, fails_because, issue, populate, populated, socket};

/// Exit code of "revoked, and the lists are not in place yet".
const PENDING: i32 = 9;

fn segment(sandbox: &Sandbox) -> PathBuf {
    sandbox.dir().join("store/journal/00000001.seg")
}

#[test]
fn lists_that_find_no_room_stay_as_they_were_while_the_revocation_stands() {
    let sandbox = Sandbox::of(Program::UnderTest);
    populate(&sandbox);
    let (cas, copy) = (sandbox.dir().join("cas"), sandbox.root().join("copy"));
    std::fs::rename(&cas, &copy).unwrap();
    let small = SmallDisk::mount(&cas, "256k");
    run(Command::new("cp").arg("-a").arg(copy.join(".")).arg(&cas)).success();
    let service = Service::start(&sandbox);
    let before = service.ask("/ca.crl").body;
    small.fill(0);
    let pending = sandbox.pki(["revoke", "bob"]).failure(PENDING);
    assert!(pending.says("No space left on device") && pending.says("cas/"), "{pending}");
    // In force at once, and nothing else is held up.
    sandbox.pki(["verify", "bob.crt"]).failure(1);
    issue(&sandbox, "alice").success();
    let served = service.ask("/ca.crl");
    assert_eq!(served.status, 200, "{}", service.log());
    let doctor = sandbox.pki(["doctor"]).failure(1);
    assert!(doctor.says("cas/"), "{doctor}");
    small.empty();
    sandbox.pki(["crl", "publish"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
    assert_ne!(service.ask("/ca.crl").body, before);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_service_that_is_killed_on_a_full_disk_starts_again_and_serves() {
    let sandbox = Sandbox::of(Program::UnderTest);
    let small = SmallDisk::mount(&sandbox.dir(), "24m");
    populate(&sandbox);
    let service = Service::start(&sandbox);
    let (address, list) = (service.address().to_owned(), service.ask("/ca.crl").body);
    small.fill(0);
    service.kill();
    let service = Service::launch(&sandbox, address, &["serve"], &[]);
    assert_eq!(service.ask("/ca.crl").body, list);
    assert!(sandbox.pki(["list"]).success().says("bob"));
    fails_because(&issue(&sandbox, "alice"), "no space left");
    small.empty();
    issue(&sandbox, "alice").success();
    sandbox.pki(["revoke", "alice"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "alice");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_log_that_finds_no_room_costs_the_log_and_nothing_else() {
    let sandbox = populated();
    let address = format!("127.0.0.1:{}", free_port());
    sandbox.pki(["config", "set", "core.public_address", &address]).success();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.command(["serve"]);
    let mut service = command.stdout(full()).stderr(full()).stdin(Stdio::null()).spawn().unwrap();
    eventually("it serves", || fetch(&address, "/ca.crl", &[]).is_ok_and(|answer| answer.status == 200));
    issue(&sandbox, "alice").success();
    sandbox.pki(["revoke", "alice"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "alice");
    assert!(service.try_wait().unwrap().is_none(), "it ended");
    service.kill().unwrap();
    service.wait().unwrap();
}

#[test]
fn a_folder_that_nobody_may_change_holds_up_the_lists_alone() {
    let sandbox = populated();
    let service = Service::start(&sandbox);
    let before = service.ask("/ca.crl").body;
    let fixed = Immutable::make(&sandbox.dir());
    issue(&sandbox, "alice").success();
    let pending = sandbox.pki(["revoke", "bob"]).failure(PENDING);
    assert!(pending.says("Operation not permitted"), "{pending}");
    sandbox.pki(["verify", "bob.crt"]).failure(1);
    assert_eq!(service.ask("/ca.crl").body, before);
    assert!(sandbox.pki(["list"]).success().says("alice"));
    drop(fixed);
    sandbox.pki(["crl", "publish"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_store_that_cannot_be_written_is_refused_by_name() {
    let sandbox = populated();
    let before = sandbox.contents();
    let refused_by = |file: &str, words: &[&str]| {
        let fixed = Immutable::make(&sandbox.dir().join(file));
        let refused = sandbox.pki(words);
        drop(fixed);
        fails_because(&refused, "Operation not permitted");
        assert!(refused.says(file) && refused.says("hint:"), "{refused}");
    };
    refused_by("store/journal/00000001.seg", &["serve"]);
    refused_by("store/journal/00000001.seg", &["list"]);
    refused_by("store/lock", &["issue-client", "alice"]);
    // A file system that can only be read, in a world of its own.
    let mut command = Command::new("unshare");
    sandbox.surround(&mut command);
    let program = Program::UnderTest.path();
    let mount = "mount --bind \"$PKI_DIR\" \"$PKI_DIR\" && mount -o remount,ro,bind \"$PKI_DIR\"";
    let script = format!("{mount} && exec '{}' serve", program.display());
    let refused = run(command.args(["--mount", "sh", "-c", &script]));
    fails_because(&refused, "Read-only file system");
    assert!(refused.says("store") && refused.says("hint:"), "{refused}");
    assert!(before == sandbox.contents(), "something was written");
    issue(&sandbox, "alice").success();
}

#[test]
fn a_write_that_fails_once_is_never_called_a_success_and_ends_all_writing() {
    for (call_name, error, words) in
        [("fdatasync", "EIO", "Input/output error"), ("pwrite64", "EROFS", "Read-only file system")]
    {
        let sandbox = populated();
        let service = Service::start(&sandbox);
        let before = service.ask("/ca.crl").body;
        let once = format!("error={error}:when=1");
        let disturbed = Injection::into(service.pid(), call_name, &once, Some(&segment(&sandbox)));
        fails_because(&issue(&sandbox, "alice"), words);
        drop(disturbed);
        // The disk is well again, and what it holds is not known: nothing more is written.
        let stopped = issue(&sandbox, "carol");
        fails_because(&stopped, words);
        assert!(stopped.says("takes no more changes") && stopped.says("restart"), "{stopped}");
        fails_because(&sandbox.pki(["revoke", "bob"]), words);
        let listed = sandbox.pki(["list"]).success();
        assert!(listed.says("bob") && !listed.says("alice") && !listed.says("carol"), "{listed}");
        let served = service.ask("/ca.crl");
        assert_eq!((served.status, served.body), (200, before));
        let doctor = sandbox.pki(["doctor"]).failure(1);
        assert!(doctor.says("takes no more changes") && doctor.says(words), "{doctor}");
        assert_eq!(service.stop().code, 0);
        // A new start decides what became of it; the same words finish it either way.
        let service = Service::start(&sandbox);
        issue(&sandbox, "alice").success();
        let made = sandbox.pki(["list", "--json", "--name", "alice"]).success().json();
        assert_eq!(made.as_array().unwrap().len(), 1, "{made}");
        sandbox.pki(["revoke", "bob"]).success();
        openssl_accepts(&sandbox, Purpose::Client, "alice");
        openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
        openssl_finds_revoked(&sandbox, Purpose::Client, "mallory");
        sandbox.pki(["audit", "verify"]).success();
        assert_eq!(service.stop().code, 0);
    }
}

#[test]
fn a_list_that_cannot_be_synced_is_not_called_published() {
    let sandbox = populated();
    let service = Service::start(&sandbox);
    let before = service.ask("/ca.crl").body;
    // Of the folder, after a list has been renamed into it.
    let disturbed = Injection::into(service.pid(), "fsync", "error=EIO", Some(&sandbox.dir()));
    let pending = sandbox.pki(["revoke", "bob"]);
    drop(disturbed);
    assert_eq!(pending.code, PENDING, "{pending}");
    assert!(pending.says("Input/output error"), "{pending}");
    sandbox.pki(["verify", "bob.crt"]).failure(1);
    assert_eq!(service.ask("/ca.crl").body, before);
    sandbox.pki(["revoke", "bob"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_disk_that_stands_still_fills_a_bounded_queue_and_lists_and_health_are_served() {
    /// More than the service takes at once.
    const CLIENTS: usize = 300;
    let sandbox = populated();
    let service = Service::start(&sandbox);
    let (socket, orders) = (socket(&sandbox), Orders::new());
    let list = service.ask("/ca.crl").body;
    let answers = Mutex::new(Vec::new());
    let disturbed =
        Injection::into(service.pid(), "fdatasync", "delay_enter=600000000", Some(&segment(&sandbox)));
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (answers, socket, orders) = (&answers, &socket, &orders);
            scope.spawn(move || {
                let answer = call(socket, &orders.of(&format!("client-{number}")));
                answers.lock().unwrap().push(answer);
            });
        }
        eventually("somebody is told to come back", || !answers.lock().unwrap().is_empty());
        for answer in answers.lock().unwrap().iter() {
            let Answer::Refused { problem, response } = answer else { panic!("{answer:?}") };
            assert_eq!((response.status, response.header("retry-after")), (503, "1"), "{problem:?}");
        }
        // All the while:
        assert_eq!(service.ask("/ca.crl").body, list);
        let info = call(&socket, &Info {}).done();
        assert!(info.service);
        let page = call(&socket, &List { limit: 10, ..List::default() }).done();
        assert!(page.certificates.iter().any(|one| one.name == "bob"));
        call(&socket, &Doctor {}).done();
        drop(disturbed);
    });
    let answers = answers.into_inner().unwrap();
    let done = answers.iter().filter(|answer| matches!(answer, Answer::Done(_))).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Answer::Refused { .. })).count();
    assert_eq!(done + refused, CLIENTS, "everybody was answered");
    assert!(done > 0 && refused > 0, "{done} done, {refused} refused");
    let listed =
        call(&socket, &List { name: Some("client-*".into()), limit: List::LIMIT, ..List::default() });
    assert_eq!(listed.done().certificates.len(), done, "exactly what was acknowledged");
    // Who was refused comes back, as told.
    issue(&sandbox, "alice").success();
    assert_eq!(service.stop().code, 0);
}
