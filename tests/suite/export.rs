//! "I lay down the files that LXD reads, and they stay right."

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::{Output, Program, Sandbox, Service, openssl, run};

#[track_caller]
fn server(sandbox: &Sandbox, words: &[&str]) -> Output {
    sandbox.pki([&["export", "lxd-server", "--dir", "lxd"], words].concat())
}

#[track_caller]
fn client(sandbox: &Sandbox, words: &[&str]) -> Output {
    sandbox.pki([&["export", "lxd-client", "--dir", "lxc"], words].concat())
}

/// The names of the files that were written.
fn written(output: &Output) -> Vec<String> {
    let laid = output.json();
    let files = laid["files"].as_array().unwrap();
    let written: Vec<String> = files
        .iter()
        .filter(|file| file["state"] == "written")
        .map(|file| file["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(laid["changed"], !written.is_empty(), "{laid:#}");
    written
}

/// Every file of a folder, with its mode.
fn files(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            (entry.file_name().into_string().unwrap(), (mode, fs::read(entry.path()).unwrap_or_default()))
        })
        .collect()
}

fn modes(folder: &Path) -> Vec<(String, u32)> {
    files(folder).into_iter().map(|(name, (mode, _))| (name, mode)).collect()
}

fn certificates(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.pki(["list", "--json"]).success().json();
    listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_files_are_those_that_two_tiers_need() {
    let sandbox = Sandbox::with_pki();
    server(&sandbox, &["lxd1.example.org", "--dns", "lxd1", "--ip", "10.0.0.7"]).success();
    client(&sandbox, &["alice"]).success();
    let named = |names: &[(&str, u32)]| -> Vec<(String, u32)> {
        names.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect()
    };
    let of_server = [("ca.crl", 0o644), ("server.ca", 0o644), ("server.crt", 0o644), ("server.key", 0o600)];
    assert_eq!(modes(&sandbox.file("lxd")), named(&of_server));
    let of_client = [("client.ca", 0o644), ("client.crt", 0o644), ("client.key", 0o600)];
    assert_eq!(modes(&sandbox.file("lxc")), named(&of_client));
    let published = |name: &str| fs::read(sandbox.dir().join(name)).unwrap();
    let laid = |name: &str| fs::read(sandbox.file(name)).unwrap();
    assert_eq!(laid("lxd/server.ca"), published("ca.crt"), "the issuing CA, alone");
    assert_eq!(laid("lxd/ca.crl"), published("ca.crl"), "its list, PEM");
    assert_eq!(laid("lxc/client.ca"), published("root.crt"), "the root");
    // What LXD does: a client must be signed by the very certificate in server.ca.
    let direct =
        ["verify", "-partial_chain", "-CAfile", "lxd/server.ca", "-purpose", "sslclient", "-crl_check"];
    openssl(&sandbox, [&direct[..], &["-CRLfile", "lxd/ca.crl", "lxc/client.crt"]].concat()).success();
    // What its client does: a path from the server's certificate, by what comes with it, to the root.
    let path =
        ["verify", "-CAfile", "lxc/client.ca", "-untrusted", "lxd/server.crt", "-purpose", "sslserver"];
    for name in ["lxd1.example.org", "lxd1"] {
        openssl(&sandbox, [&path[..], &["-verify_hostname", name, "lxd/server.crt"]].concat()).success();
    }
    openssl(&sandbox, [&path[..], &["-verify_ip", "10.0.0.7", "lxd/server.crt"]].concat()).success();
    let count = |name: &str| sandbox.read(name).matches("BEGIN CERTIFICATE").count();
    assert_eq!((count("lxc/client.crt"), count("lxd/server.crt")), (1, 2));
    // Without names it is this machine, as in the certificate that LXD makes for itself.
    let assumed = sandbox.pki(["export", "lxd-server", "--dir", "here", "--json"]).success().json();
    let names = assumed["certificate"]["names"].as_array().unwrap();
    for address in ["ip:127.0.0.1", "ip:::1"] {
        assert!(names.iter().any(|name| name == address), "{names:?}");
    }
}

#[test]
fn again_it_replaces_what_has_changed_and_keeps_the_rest() {
    let sandbox = Sandbox::with_pki();
    let names = ["lxd1.example.org", "--json"];
    assert_eq!(written(&server(&sandbox, &names).success()).len(), 4);
    let first = files(&sandbox.file("lxd"));
    assert_eq!(written(&server(&sandbox, &names).success()), [""; 0]);
    assert_eq!(written(&server(&sandbox, &["--json"]).success()), [""; 0], "by the names that it has");
    assert_eq!(files(&sandbox.file("lxd")), first);

    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["revoke", "alice"]).success();
    assert_eq!(written(&server(&sandbox, &["--json"]).success()), ["ca.crl"]);
    fs::remove_file(sandbox.file("lxd/server.ca")).unwrap();
    assert_eq!(written(&server(&sandbox, &["--json"]).success()), ["server.ca"]);
    // Another name takes another certificate, for the same key.
    assert_eq!(written(&server(&sandbox, &["lxd2.example.org", "--json"]).success()), ["server.crt"]);
    assert_eq!(files(&sandbox.file("lxd"))["server.key"], first["server.key"]);
    // A key that is lost, or that others may have read.
    fs::remove_file(sandbox.file("lxd/server.key")).unwrap();
    assert_eq!(written(&server(&sandbox, &["--json"]).success()), ["server.crt", "server.key"]);
    let key = sandbox.file("lxd/server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let mended = server(&sandbox, &["--json"]).success();
    assert!(mended.stderr.contains("was open to others (mode 0644)"), "{mended}");
    assert_eq!((written(&mended), modes(&sandbox.file("lxd"))[3].1), (vec!["server.key".to_owned()], 0o600));
    // One that was revoked, perhaps for its key.
    let before = files(&sandbox.file("lxd"));
    sandbox.pki(["revoke", "lxd/server.crt"]).success();
    assert_eq!(written(&server(&sandbox, &["--json"]).success()), ["ca.crl", "server.crt", "server.key"]);
    assert_ne!(files(&sandbox.file("lxd"))["server.key"], before["server.key"]);
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let sandbox = Sandbox::with_pki();
    client(&sandbox, &["alice", "--days", "30"]).success();
    let first = files(&sandbox.file("lxc"));
    let later = |days: &str| {
        let mut command = Command::new("faketime");
        sandbox.surround(&mut command);
        let words = ["export", "lxd-client", "--dir", "lxc", "--json"];
        written(&run(command.args(["-f", days]).arg(Program::Shipped.path()).args(words)).success())
    };
    assert_eq!(later("+19d"), [""; 0]);
    assert_eq!(later("+21d"), ["client.crt"]);
    let second = files(&sandbox.file("lxc"));
    assert_eq!(second["client.key"], first["client.key"]);
    assert_ne!(second["client.crt"], first["client.crt"]);
    assert_eq!(later("+22d"), [""; 0]);
}

#[test]
fn what_is_not_ours_stays_unless_force_is_given() {
    let sandbox = Sandbox::with_pki();
    let pair = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes"];
    let authority = ["-subj", "/CN=An authority", "-keyout", "ca.key", "-out", "ca.crt"];
    openssl(&sandbox, [&pair[..], &authority].concat()).success();
    let leaf = ["-subj", "/CN=root@lxd", "-addext", "basicConstraints=critical,CA:FALSE"];
    let leaf = [&pair[..], &leaf, &["-keyout", "own.key", "-out", "own.crt"]].concat();
    openssl(&sandbox, leaf).success();
    let folder = sandbox.file("lxd");
    let others: [(&str, PathBuf); 5] = [
        ("server.crt", sandbox.file("ca.crt")),
        ("server.crt", sandbox.file("own.crt")),
        ("server.key", sandbox.file("own.key")),
        ("server.ca", sandbox.file("ca.crt")),
        ("ca.crl", sandbox.write("garbage", "no list of ours\n")),
    ];
    for (name, content) in &others {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::copy(content, folder.join(name)).unwrap();
        let before = files(&folder);
        let refused = server(&sandbox, &["lxd1"]).failure(4);
        assert!(refused.says(&format!("lxd/{name} is not ours")), "{refused}");
        assert_eq!(files(&folder), before, "{name}");
        assert!(!certificates(&sandbox).contains(&"lxd1".to_owned()), "nothing was issued for {name}");
    }
    for (name, content) in &others {
        fs::copy(content, folder.join(name)).unwrap();
    }
    let forced = server(&sandbox, &["lxd1", "--force", "--json"]).success();
    assert_eq!(written(&forced), ["server.ca", "ca.crl", "server.crt", "server.key"]);
    // The key of somebody else beside a certificate of ours.
    fs::copy(sandbox.file("own.key"), folder.join("server.key")).unwrap();
    server(&sandbox, &[]).failure(4);
    assert_eq!(fs::read(folder.join("server.key")).unwrap(), fs::read(sandbox.file("own.key")).unwrap());
}

/// Calls of the main thread at which it is cut off, and how often each comes: the first files that are synced
/// are those of the store.
const CUTS: [(&str, std::ops::RangeInclusive<u32>); 4] =
    [("fdatasync", 1..=2), ("fsync", 4..=8), ("renameat", 1..=4), ("renameat2", 1..=1)];

#[test]
fn interrupted_anywhere_it_is_finished_by_the_same_command() {
    for (call, nth) in CUTS.into_iter().flat_map(|(call, times)| times.map(move |nth| (call, nth))) {
        let sandbox = Sandbox::with_pki();
        let mut command = Command::new("strace");
        sandbox.surround(&mut command);
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:signal=KILL:when={nth}")]).arg(Program::Shipped.path());
        let words = ["export", "lxd-server", "lxd1", "--dir", "lxd"];
        run(command.args(words)).failure(137);
        for (name, (mode, _)) in files(&sandbox.file("lxd")) {
            let is_public = ["server.crt", "server.ca", "ca.crl"].contains(&name.as_str());
            assert!(
                mode == 0o600 || is_public || name.starts_with(".pki-tmp-"),
                "{name} {mode:o}: {call} {nth}"
            );
        }
        server(&sandbox, &["lxd1"]).success();
        assert_eq!(certificates(&sandbox).iter().filter(|name| *name == "lxd1").count(), 1, "{call} {nth}");
        let names: Vec<String> = files(&sandbox.file("lxd")).into_keys().collect();
        assert_eq!(names, ["ca.crl", "server.ca", "server.crt", "server.key"], "{call} {nth}");
        let path = ["verify", "-CAfile", "lxd/server.ca", "-partial_chain", "lxd/server.crt"];
        openssl(&sandbox, path).success();
    }
}

#[test]
fn the_directory_of_the_pki_is_named_before_the_word_or_by_an_option_of_its_own() {
    let sandbox = Sandbox::with_pki();
    let dir = sandbox.dir().display().to_string();
    let elsewhere = sandbox.root().join("nowhere");
    for words in [
        ["--dir", &dir, "export", "lxd-client", "--dir", "lxc"],
        ["export", "lxd-client", "--dir", "lxc", "--pki-dir", &dir],
        ["export", "--pki-dir", &dir, "lxd-client", "--dir", "lxc"],
    ] {
        run(sandbox.command(words).env("PKI_DIR", &elsewhere)).success();
    }
    run(sandbox.command(["export", "lxd-client", "--dir", "lxc"]).env("PKI_DIR", &elsewhere)).failure(3);
}

/// `pki export … --watch`, ended when the test ends.
struct Watch(Child);

impl Watch {
    fn start(sandbox: &Sandbox, words: &[&str]) -> Watch {
        let log = fs::File::create(sandbox.file("watch.log")).unwrap();
        let mut command = sandbox.command([&["export"], words, &["--watch"]].concat());
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        Watch(command.spawn().unwrap())
    }

    /// Asks it to end, and waits.
    fn stop(mut self) -> Option<i32> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn eventually(sandbox: &Sandbox, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}:\n{}", sandbox.read("watch.log"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Follows a revocation and a rotation; the command of `--exec` is run after each.
fn follows(sandbox: &Sandbox, talk: impl Fn(&[&str])) {
    let exec = ["--exec", "cat lxd/server.ca lxd/ca.crl > seen.new && mv seen.new seen; echo run >> runs"];
    let watch = Watch::start(sandbox, &[&["lxd-server", "lxd1", "--dir", "lxd"], &exec[..]].concat());
    // What is published, as `cat` shows it: an authority and its list.
    let published =
        || ["ca.crt", "ca.crl"].map(|name| fs::read_to_string(sandbox.dir().join(name)).unwrap()).concat();
    let seen = || fs::read_to_string(sandbox.file("seen")).unwrap_or_default();
    eventually(sandbox, "laid down", || seen() == published());
    let leaf = fs::read(sandbox.file("lxd/server.crt")).unwrap();
    talk(&["issue-client", "alice"]);
    talk(&["revoke", "alice"]);
    eventually(sandbox, "the revocation", || seen() == published());
    let before = fs::read(sandbox.file("lxd/server.ca")).unwrap();
    talk(&["ca", "rotate"]);
    eventually(sandbox, "the rotation", || seen() == published());
    assert_ne!(fs::read(sandbox.file("lxd/server.ca")).unwrap(), before);
    assert_eq!(fs::read(sandbox.file("lxd/server.crt")).unwrap(), leaf, "the server's own is still good");
    // What somebody takes away comes back.
    fs::remove_file(sandbox.file("lxd/ca.crl")).unwrap();
    eventually(sandbox, "what was removed", || sandbox.file("lxd/ca.crl").exists());
    eventually(sandbox, "the command", || sandbox.read("runs").lines().count() == 4);
    assert_eq!(watch.stop(), Some(0), "{}", sandbox.read("watch.log"));
    assert!(!sandbox.file("lxd/.pki-export-changed").exists());
}

#[test]
fn watching_it_follows_the_service() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    follows(&sandbox, |words| drop(sandbox.pki(words).success()));
    assert_eq!(service.stop().code, 0);
}

#[test]
fn watching_it_follows_commands_where_no_service_runs() {
    let sandbox = Sandbox::with_pki();
    follows(&sandbox, |words| drop(sandbox.pki(words).success()));
}

#[test]
fn a_command_that_fails_is_run_again_also_by_the_next_one() {
    let sandbox = Sandbox::with_pki();
    let exec = "echo run >> runs; test -e allowed";
    let failed = server(&sandbox, &["lxd1", "--exec", exec]).failure(7);
    assert!(
        failed.says("the files are in place, but --exec failed") && failed.says("exit code 1"),
        "{failed}"
    );
    sandbox.write("allowed", "");
    server(&sandbox, &["lxd1", "--exec", exec]).success();
    server(&sandbox, &["lxd1", "--exec", exec]).success();
    assert_eq!(sandbox.read("runs").lines().count(), 2, "nothing had changed the third time");
}
