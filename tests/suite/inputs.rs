//! "I gave it the wrong file, and it told me."

use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::{Output, Sandbox, Service, openssl};

/// Runs a command that must not wait for anything.
fn soon(sandbox: &Sandbox, words: &[&str]) -> Output {
    let mut child = sandbox
        .command(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let began = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if began.elapsed() > Duration::from_secs(30) {
            child.kill().expect("a child");
            child.wait().expect("a child");
            panic!("{words:?} still waits");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    sandbox.pki(words)
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let sandbox = Sandbox::with_pki();
    tests::run(std::process::Command::new("mkfifo").arg(sandbox.file("pipe.crt"))).success();
    std::fs::create_dir(sandbox.file("folder.crt")).unwrap();
    for words in [
        &["verify"][..],
        &["revoke"],
        &["show"],
        &["crl", "verify"],
        &["sign", "--profile", "client"],
        &["issue-client", "--from"],
    ] {
        for (file, kind) in [("pipe.crt", "a FIFO"), ("folder.crt", "a directory")] {
            let refused = soon(&sandbox, &[words, &[file]].concat()).failure(2);
            assert!(refused.says(file) && refused.says(kind), "{refused}");
        }
    }
}

#[test]
fn what_a_shell_pipes_in_is_read_like_a_file() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    std::os::unix::fs::symlink(tests::Program::Shipped.path(), sandbox.file("pki")).unwrap();
    let shell = |script: &str| {
        let mut bash = std::process::Command::new("bash");
        sandbox.surround(&mut bash);
        tests::run(bash.args(["--noprofile", "--norc", "-c", script]))
    };
    // The writer comes late, and in two parts.
    let late = "{ sleep 0.2; head -c 100 alice.crt; sleep 0.2; tail -c +101 alice.crt; }";
    shell(&format!("./pki verify <({late})")).success();
    shell("cat alice.crt | ./pki verify /dev/stdin").success();
    shell("./pki revoke <(cat alice.crt)").success();
    let endless = shell("./pki verify <(cat /dev/zero)").failure(2);
    assert!(endless.says("is larger than"), "{endless}");
    let device = shell("./pki verify /dev/zero").failure(2);
    assert!(device.says("a device"), "{device}");
    // A secret never comes this way: what lies in a pipe was in the shell's memory or history.
    let secret = shell("./pki init --dir other --passphrase-file <(echo correct horse)").failure(2);
    assert!(secret.says("is read from a regular file"), "{secret}");
}

#[test]
fn a_passphrase_behind_a_link_is_not_read() {
    let sandbox = Sandbox::with_pki();
    let secret = sandbox.secret("secret", "correct horse\n");
    std::os::unix::fs::symlink(secret, sandbox.file("link")).unwrap();
    let words = ["issue-client", "alice", "--p12", "alice.p12", "--p12-passphrase-file", "link"];
    let refused = sandbox.pki(words).failure(2);
    assert!(refused.says("is read from a regular file") && !refused.says("written"), "{refused}");
    assert!(!sandbox.dir().join("alice.crt").exists());
}

#[test]
fn a_p12_that_cannot_be_written_costs_no_certificate() {
    let sandbox = Sandbox::with_pki();
    sandbox.secret("secret", "correct horse\n");
    std::fs::create_dir(sandbox.file("folder")).unwrap();
    sandbox.write("file", "");
    let before = sandbox.contents();
    for (target, code) in [("nowhere/alice.p12", 3), ("folder", 4), ("file/alice.p12", 2)] {
        let words = ["issue-client", "alice", "--p12", target, "--p12-passphrase-file", "secret"];
        sandbox.pki(words).failure(code);
        assert!(before == sandbox.contents(), "something was written");
    }
    let words = ["issue-client", "alice", "--p12", "folder", "--p12-passphrase-file", "secret", "--force"];
    sandbox.pki(words).failure(2);
    assert!(before == sandbox.contents(), "something was written");
    sandbox.pki(["issue-client", "alice", "--p12", "alice.p12", "--p12-passphrase-file", "secret"]).success();
}

#[test]
fn a_p12_of_an_interrupted_issuance_is_finished_by_the_same_command() {
    let sandbox = Sandbox::with_pki();
    sandbox.secret("secret", "correct horse\n");
    let words = ["issue-client", "alice", "--p12", "alice.p12", "--p12-passphrase-file", "secret"];
    // With a service the command removes one file: the pending one, when all is done.
    let service = Service::start(&sandbox);
    let mut killed = std::process::Command::new("strace");
    sandbox.surround(&mut killed);
    let program = sandbox.command(words);
    killed.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=unlinkat:signal=KILL:when=1"]);
    killed.arg(program.get_program()).args(program.get_args());
    assert_ne!(tests::run(&mut killed).code, 0);
    assert!(sandbox.file(".alice.pending").exists() && sandbox.file("alice.p12").exists());
    // Another file of that name is nobody's to replace.
    let ours = std::fs::read(sandbox.file("alice.p12")).unwrap();
    sandbox.write("other.p12", "mine");
    let other = words.map(|word| if word == "alice.p12" { "other.p12" } else { word });
    sandbox.pki(other).failure(4);
    assert_eq!(sandbox.read("other.p12"), "mine");
    sandbox.pki(words).success();
    assert!(!sandbox.file(".alice.pending").exists());
    assert_ne!(ours, std::fs::read(sandbox.file("alice.p12")).unwrap());
    let words = ["pkcs12", "-in", "alice.p12", "-passin", "file:secret", "-nokeys", "-clcerts"];
    let opened = openssl(&sandbox, words).success().stdout;
    assert!(opened.contains("alice"), "{opened}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_request_in_der_is_signed_like_one_in_pem() {
    let sandbox = Sandbox::with_pki();
    let words = ["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let rest = ["-subj", "/CN=alice", "-keyout", "alice.key", "-outform", "DER", "-out", "alice.der"];
    openssl(&sandbox, words.into_iter().chain(rest)).success();
    sandbox.pki(["sign", "alice.der", "--profile", "client", "--out", "alice.crt"]).success();
    sandbox.pki(["verify", "alice.crt"]).success();
}

#[test]
fn every_list_of_a_file_is_verified() {
    let sandbox = Sandbox::with_pki();
    let chain = sandbox.dir().join("chain.crl");
    let checked = sandbox.pki(["crl", "verify", chain.to_str().unwrap(), "--json"]).success().json();
    let parts: Vec<_> = checked.as_array().unwrap().iter().map(|one| one["part"].clone()).collect();
    assert_eq!(parts, [1, 2], "{checked:#}");
    assert_ne!(checked[0]["issuer"], checked[1]["issuer"]);
}

#[test]
fn a_dry_run_says_that_it_is_one() {
    let sandbox = Sandbox::with_pki();
    let planned = sandbox.pki(["issue-client", "alice", "--dry-run", "--json"]).success().json();
    assert_eq!(planned["dry_run"], true, "{planned:#}");
    assert_eq!(planned["certificate"]["serial"], "", "a serial that no certificate will have: {planned:#}");
    assert!(!sandbox.pki(["issue-client", "alice", "--dry-run"]).success().says("serial"));
    let issued = sandbox.pki(["issue-client", "alice", "--json"]).success().json();
    assert_eq!(issued.get("dry_run"), None, "{issued:#}");
    let planned = sandbox.pki(["revoke", "alice", "--dry-run", "--json"]).success().json();
    assert_eq!(planned["dry_run"], true, "{planned:#}");
    assert_eq!(planned.get("publication"), None, "{planned:#}");
    assert_eq!(planned["certificates"][0]["name"], "alice");
    assert!(sandbox.pki(["revoke", "alice", "--dry-run"]).success().says("WOULD BE"));
}
