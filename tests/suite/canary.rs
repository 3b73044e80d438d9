//! "No secret gets out": a canary for each, looked for everywhere a secret has no business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tests::{Sandbox, Service};

const CANARY: &str = "canary-5up3r-s3cr3t-passphrase";
const BACKUP_CANARY: &str = "canary-backup-passphrase-77";
const P12_CANARY: &str = "canary-p12-passphrase-99";

/// Every file below `folder`, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

/// The octets of base64 without padding.
fn unbase64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text.bytes().map(|byte| ALPHABET.iter().position(|known| *known == byte).unwrap());
    let bits: Vec<u8> =
        values.flat_map(|value| (0..6).rev().map(move |bit| (value >> bit & 1) as u8)).collect();
    bits.chunks_exact(8).map(|octet| octet.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

/// What must not be seen: passphrases, and a piece out of the middle of each private key, as text and as bytes.
fn secrets(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let mut secrets: Vec<(String, Vec<u8>)> = [CANARY, BACKUP_CANARY, P12_CANARY]
        .into_iter()
        .map(|canary| (canary.to_owned(), canary.as_bytes().to_vec()))
        .collect();
    for (path, bytes) in files(&sandbox.dir().join("keys")).into_iter().chain(files(&sandbox.work())) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.starts_with("-----BEGIN") && text.contains("PRIVATE KEY") {
            // Behind PKCS#8's own words, within one line: nothing but key.
            let lines: Vec<&str> = text.lines().collect();
            let part = if lines[2].starts_with("-----") { &lines[1][24..48] } else { &lines[2][..24] };
            let name = path.display().to_string();
            secrets.push((format!("{name} (octets)"), unbase64(part)));
            secrets.push((format!("{name} (text)"), part.as_bytes().to_vec()));
        } else if path.starts_with(sandbox.dir().join("keys")) {
            secrets.push((path.display().to_string(), bytes[bytes.len() / 2..].to_vec()));
        }
    }
    secrets
}

#[test]
fn no_secret_is_in_journal_index_logs_or_process_tables() {
    let sandbox = Sandbox::new();
    sandbox.secret("pass", &format!("{CANARY}\n"));
    sandbox.secret("backup-pass", &format!("{BACKUP_CANARY}\n"));
    sandbox.secret("p12-pass", &format!("{P12_CANARY}\n"));
    let trace = [("PKI_LOG", "trace")];
    let mut said = String::new();
    let mut run = |words: &[&str]| {
        let mut command = sandbox.command(words);
        let output = tests::run(command.envs(trace));
        said.push_str(&output.to_string());
        output
    };
    run(&["init", "--name", "Example", "--passphrase-file", "pass"]).success();
    run(&["issue-client", "in-process", "--passphrase-file", "pass"]).success();

    let folder = sandbox.root().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(sandbox.file("pass"), folder.join("pki-passphrase")).unwrap();
    let folder = folder.display().to_string();
    let service = Service::start_with(
        &sandbox,
        &["serve"],
        &[("CREDENTIALS_DIRECTORY", &folder), ("PKI_LOG", "trace")],
    );
    run(&["issue-client", "alice", "--p12", "alice.p12", "--p12-passphrase-file", "p12-pass"]).success();
    run(&["issue-server", "www.example.org"]).success();
    run(&["revoke", "alice"]).success();
    run(&["backup", "pki.age", "--backup-passphrase-file", "backup-pass"]).success();
    run(&["show", "www.example.org", "--json"]).success();
    run(&["info", "--json"]).success();
    run(&["doctor", "--json"]);
    run(&["audit", "--last", "1000", "--json"]).success();
    // Failures tell too.
    sandbox.secret("wrong", &format!("{CANARY}-but-wrong\n"));
    run(&["restore", "pki.age", "--dir", "elsewhere", "--backup-passphrase-file", "wrong"]);

    let secrets = secrets(&sandbox);
    assert!(secrets.len() >= 12, "{:?}", secrets.iter().map(|(name, _)| name).collect::<Vec<_>>());
    let mut places: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (path, bytes) in files(&sandbox.dir().join("store")) {
        places.insert(path.display().to_string(), bytes);
    }
    for part in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{part}", service.pid());
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.is_empty(), "{path}");
        places.insert(path, bytes);
    }
    let log = service.log();
    assert!(log.contains("INFO"), "the service logs:\n{log}");
    places.insert("the service's log".to_owned(), log.into_bytes());
    places.insert("what the commands said".to_owned(), said.into_bytes());
    places.insert("backup".to_owned(), std::fs::read(sandbox.file("pki.age")).unwrap());
    assert_eq!(service.stop().code, 0);
    for (place, bytes) in &places {
        for (name, secret) in &secrets {
            assert!(!holds(bytes, secret), "{name} is in {place}");
        }
    }
}

#[test]
fn the_watch_is_awake() {
    // The same search finds a canary where one is.
    let sandbox = Sandbox::with_pki();
    let secrets = secrets(&sandbox);
    assert!(secrets.len() > 4);
    for (name, secret) in secrets[3..].iter().filter(|(name, _)| !name.ends_with("(octets)")) {
        assert!(files(&sandbox.dir()).values().any(|bytes| holds(bytes, secret)), "{name}");
    }
}

#[test]
fn a_running_command_shows_no_secret_to_other_processes() {
    let sandbox = Sandbox::new();
    sandbox.secret("pass", &format!("{CANARY}\n"));
    let mut command = sandbox.command(["init", "--name", "Example", "--passphrase-file", "pass"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut looked = 0;
    while child.try_wait().unwrap().is_none() {
        for part in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{}/{part}", child.id())).unwrap_or_default();
            assert!(!holds(&bytes, CANARY.as_bytes()), "{part}");
        }
        looked += 1;
    }
    assert!(looked > 3);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_service_leaves_no_core_and_is_not_traced() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // Not dumpable: the kernel gives its /proc entries to root, whoever runs it.
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    assert!(status.contains("Uid:"), "{status}");
}
