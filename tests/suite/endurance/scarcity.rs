//! Too few threads, and too little memory.
//!
//! Root is held to no number of threads: these services run as users of their own.

use std::process::Command;

use tests::{
    Output, Purpose, Sandbox, Service, free_port, openssl, openssl_accepts, openssl_finds_revoked, run,
};

use super::{issue, populated};
use crate::local_users::{by, command};

/// Hands everything of a sandbox to a user.
fn owned(sandbox: &Sandbox, uid: u32) {
    let words = ["-R", &format!("{uid}:65534")];
    run(Command::new("chown").args(words).arg(sandbox.root())).success();
}

/// Lets a running process of this user have so many threads and processes (its soft limit).
fn let_have(uid: u32, pid: u32, threads: &str) {
    let user = format!("--reuid={uid}");
    let words = [&user, "--regid=65534", "--clear-groups", "prlimit", &format!("--pid={pid}")];
    run(Command::new("setpriv").args(words).arg(format!("--nproc={threads}:"))).success();
}

fn threads_of(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

#[test]
fn a_service_that_gets_no_more_threads_answers_everybody_with_those_it_has() {
    const UID: u32 = 4711;
    let sandbox = populated();
    let address = format!("127.0.0.1:{}", free_port());
    sandbox.pki(["config", "set", "core.public_address", &address]).success();
    owned(&sandbox, UID);
    let service = Service::launch_as(&sandbox, address, command(UID, "", &sandbox, &["serve"]));
    let pid = service.pid();
    let_have(UID, pid, "1");
    let had = threads_of(pid);
    let out = sandbox.work().display().to_string();
    let asked =
        |name: &str| by(UID, "", &sandbox, &["issue-client", name, "--key-type", "p256", "--out", &out]);
    let names: Vec<String> = (0..2 * had).map(|number| format!("client-{number}")).collect();
    std::thread::scope(|scope| {
        let asking: Vec<_> = names.iter().map(|name| scope.spawn(|| asked(name))).collect();
        for answer in asking {
            answer.join().unwrap().success();
        }
    });
    by(UID, "", &sandbox, &["revoke", "bob"]).success();
    assert_eq!(service.ask("/ca.crl").status, 200);
    assert!(threads_of(pid) <= had, "{} threads, and {had} before the limit", threads_of(pid));
    let_have(UID, pid, "4096");
    asked("alice").success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    openssl_accepts(&sandbox, Purpose::Client, names.last().unwrap());
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
    assert!(!service.log().contains("panicked"), "{}", service.log());
    assert_eq!(service.stop().code, 0);
}

#[test]
fn whoever_gets_too_few_threads_to_begin_with_is_told_so_and_changes_nothing() {
    const UID: u32 = 4712;
    let sandbox = populated();
    let address = format!("127.0.0.1:{}", free_port());
    sandbox.pki(["config", "set", "core.public_address", &address]).success();
    owned(&sandbox, UID);
    let held_to = |threads: &str, words: &[&str]| -> Output {
        let own = command(UID, "", &sandbox, words);
        // It must not wait for ever.
        let mut held = Command::new("timeout");
        sandbox.surround(&mut held);
        held.args(["60", "prlimit", &format!("--nproc={threads}")])
            .arg(own.get_program())
            .args(own.get_args());
        held.env("HOME", crate::local_users::home(UID, &sandbox)).current_dir("/");
        run(&mut held)
    };
    let before = sandbox.contents();
    let index = || std::fs::metadata(sandbox.dir().join("store/index")).unwrap().modified().unwrap();
    let made = index();
    let out = sandbox.work().display().to_string();
    for threads in ["1", "2", "5", "9", "12"] {
        for words in [&["issue-client", "alice", "--key-type", "p256", "--out", &out][..], &["serve"]] {
            let refused = held_to(threads, words).failure(6);
            assert!(refused.says("without its threads") && refused.says("ulimit -u"), "{refused}");
            assert!(!refused.says("panicked"), "{refused}");
        }
    }
    let pending = |path: &std::path::Path| path.to_string_lossy().contains(".pending");
    let mut after = sandbox.contents();
    after.retain(|path, _| !pending(path));
    assert_eq!(after, before);
    assert_eq!(index(), made, "a sound index was made again");
    held_to("64", &["issue-client", "alice", "--key-type", "p256", "--out", &out]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
}

#[test]
fn a_service_that_gets_no_more_memory_loses_nothing_that_was_answered() {
    const ROUNDS: usize = 40;
    let sandbox = populated();
    let mut service = Service::start(&sandbox);
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kib: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let (pid, limit) = (format!("--pid={}", service.pid()), format!("--as={}:", kib * 1024));
    run(Command::new("prlimit").args([pid, limit])).success();
    let mut asked = Vec::new();
    let ended = (0..ROUNDS).find_map(|round| {
        let names: Vec<String> = (0..12).map(|number| format!("client-{round}-{number}")).collect();
        std::thread::scope(|scope| {
            let asking: Vec<_> = names.iter().map(|name| scope.spawn(|| issue(&sandbox, name))).collect();
            let answers = asking.into_iter().map(|answer| answer.join().unwrap());
            asked.extend(names.iter().cloned().zip(answers));
        });
        service.ended()
    });
    match ended {
        // SIGABRT: a Rust program goes no further without memory.
        Some(code) => {
            assert_eq!(code, 128 + 6, "{}", service.log());
            assert!(service.log().contains("memory"), "{}", service.log());
        }
        // What its allocator had put by was enough, as it may be: then it goes on as if nothing were.
        None => assert_eq!(service.stop().code, 0),
    }
    let verdict = openssl(
        &sandbox,
        ["crl", "-noout", "-in", "../pki/ca.crl", "-CAfile", "../pki/chain.crt", "-verify"],
    );
    assert!(verdict.says("verify OK"), "{verdict}");
    let service = Service::start(&sandbox);
    for (name, answer) in &asked {
        if answer.code == 0 {
            openssl_accepts(&sandbox, Purpose::Client, name);
        } else {
            assert!(answer.code <= 9 && !answer.says("panicked"), "{answer}");
            let again = issue(&sandbox, name);
            assert_eq!(again.code, 0, "{again}");
        }
        let shown = sandbox.pki(["show", name, "--json"]).success().json();
        assert_eq!(shown.as_array().map(Vec::len), Some(1), "{name}: {shown}");
    }
    sandbox.pki(["audit", "verify"]).success();
    assert_eq!(service.stop().code, 0);
}
