//! C12, C13, C15, C17, C18: the files we write, the keys we read, what stays in memory, foreign CAs.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use tests::{Program, Sandbox, Service, openssl, run};

use super::Before;

#[test]
fn c12_what_stands_where_a_file_goes_is_never_written_through() {
    let sandbox = Sandbox::with_pki();
    sandbox.write("precious", "precious\n");
    std::fs::create_dir(sandbox.file("folder")).unwrap();
    openssl(&sandbox, ["version"]).success();
    for (out, name) in [
        ("link", "alice.key"),
        ("link", "alice.crt"),
        ("fifo", "alice.key"),
        ("dir", "alice.key"),
        ("file", "alice.key"),
    ] {
        let folder = sandbox.file(&format!("{out}-{name}"));
        std::fs::create_dir(&folder).unwrap();
        let target = folder.join(name);
        match out {
            "link" => symlink(sandbox.file("precious"), &target).unwrap(),
            "fifo" => assert!(Command::new("mkfifo").arg(&target).status().unwrap().success()),
            "dir" => std::fs::create_dir(&target).unwrap(),
            _ => std::fs::write(&target, "an earlier key\n").unwrap(),
        }
        let before = Before::of(&sandbox);
        let output = sandbox.pki(["issue-client", "alice", "--out", folder.to_str().unwrap()]);
        before.refused_with(4, output, &["exists", "not a regular file"]);
    }
    assert_eq!(sandbox.read("precious"), "precious\n");
}

#[test]
fn c12_force_replaces_files_and_never_links() {
    let sandbox = Sandbox::with_pki();
    sandbox.write("precious", "precious\n");
    symlink(sandbox.file("precious"), sandbox.file("alice.key")).unwrap();
    let before = Before::of(&sandbox);
    before.refused_with(4, sandbox.pki(["issue-client", "alice", "--force"]), &["symbolic link"]);
    std::fs::remove_file(sandbox.file("alice.key")).unwrap();
    sandbox.pki(["issue-client", "alice"]).success();
    // A second name of an old key file keeps the old bytes.
    std::fs::hard_link(sandbox.file("alice.key"), sandbox.file("kept")).unwrap();
    let kept = sandbox.read("kept");
    sandbox.pki(["issue-client", "alice", "--force"]).success();
    assert_eq!(sandbox.read("kept"), kept);
    assert_ne!(sandbox.read("alice.key"), kept);
    assert_eq!(sandbox.read("precious"), "precious\n");
}

#[test]
fn c13_modes_do_not_depend_on_the_umask() {
    for umask in ["000", "077"] {
        let sandbox = Sandbox::new();
        let shell = |line: &str| {
            let mut command = Command::new("sh");
            sandbox.surround(&mut command);
            run(command
                .args(["-c", &format!("umask {umask}; exec \"$0\" {line}")])
                .arg(Program::Shipped.path()))
        };
        shell("init --name Example").success();
        shell("issue-client alice --out out").success();
        let mode = |path: std::path::PathBuf| std::fs::metadata(&path).unwrap().mode() & 0o777;
        for file in std::fs::read_dir(sandbox.dir().join("keys")).unwrap() {
            assert_eq!(mode(file.unwrap().path()), 0o600, "umask {umask}");
        }
        assert_eq!(mode(sandbox.dir().join("keys")), 0o700, "umask {umask}");
        assert_eq!(mode(sandbox.dir().join("store")), 0o700, "umask {umask}");
        assert_eq!(mode(sandbox.file("out/alice.key")), 0o600, "umask {umask}");
        for file in ["root.crt", "ca.crt", "chain.crt", "ca.crl", "root.crl", "chain.crl"] {
            assert_eq!(mode(sandbox.dir().join(file)), 0o644, "umask {umask}: {file}");
        }
        assert_eq!(mode(sandbox.file("out/alice.crt")), 0o644, "umask {umask}");
    }
}

#[test]
fn c13_a_passphrase_file_that_others_can_read_is_not_read() {
    let sandbox = Sandbox::new();
    let pass = sandbox.secret("pass", "correct horse\n");
    std::fs::set_permissions(&pass, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = sandbox.pki(["init", "--name", "Example", "--passphrase-file", "pass"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.says("chmod") && refused.says("pass"), "{refused}");
    assert!(!sandbox.dir().join("store").exists(), "{refused}");
}

#[test]
fn c15_the_passphrase_is_in_memory_once() {
    assert!(rustix::process::geteuid().is_root(), "this test reads another process' memory: run it as root");
    let sandbox = Sandbox::new();
    let canary = "canary-that-must-be-wiped-8841";
    sandbox.secret("pass", &format!("{canary}\n"));
    sandbox.pki(["init", "--name", "Example", "--passphrase-file", "pass"]).success();
    let service = Service::start_with(&sandbox, &["serve", "--passphrase-file", "pass"], &[]);
    sandbox.pki(["issue-client", "alice"]).success();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", service.pid())).unwrap();
    let memory = std::fs::File::open(format!("/proc/{}/mem", service.pid())).unwrap();
    let (mut read, mut found) = (0_usize, 0);
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        use std::os::unix::fs::FileExt;
        let Ok(count) = memory.read_at(&mut bytes, start) else { continue };
        read += count;
        found += bytes[..count].windows(canary.len()).filter(|window| *window == canary.as_bytes()).count();
    }
    assert!(read > 1 << 20, "the memory was read");
    // The keyring keeps it, to write the next issuing key under it; whatever else read it has wiped its copy.
    assert_eq!(found, 1, "copies of the passphrase in memory");
}

#[test]
fn c17_a_certificate_file_is_read_by_one_rule() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let leaf = sandbox.read("alice.crt");
    sandbox.write("crlf.crt", leaf.replace('\n', "\r\n"));
    sandbox.pki(["verify", "crlf.crt"]).success();
    openssl(&sandbox, ["x509", "-in", "alice.crt", "-outform", "DER", "-out", "alice.der"]).success();
    sandbox.pki(["verify", "alice.der"]).success();
    // In the wrong order the first one is judged, and a CA is no client.
    let ca = std::fs::read_to_string(sandbox.dir().join("ca.crt")).unwrap();
    sandbox.write("reversed.crt", format!("{ca}{leaf}"));
    let verdict = sandbox.pki(["verify", "reversed.crt", "--purpose", "client"]);
    assert_eq!(verdict.code, 1, "{verdict}");
    sandbox.write("torn.crt", &leaf[..leaf.len() / 2]);
    let before = Before::of(&sandbox);
    before.refused(sandbox.pki(["verify", "torn.crt"]), &["certificate"]);
    before.refused(sandbox.pki(["verify", "alice.key"]), &["certificate"]);
    before.refused(sandbox.pki(["revoke", "./alice.key"]), &["certificate"]);
}

#[test]
fn c18_a_ca_of_the_same_name_is_another_ca() {
    let (ours, theirs) = (Sandbox::with_pki(), Sandbox::with_pki());
    theirs.pki(["issue-client", "alice"]).success();
    let chain = theirs.read("alice-chain.crt");
    ours.write("theirs.crt", &chain);
    let verdict = ours.pki(["verify", "theirs.crt"]).failure(1);
    assert!(verdict.says("chain"), "{verdict}");
    // The same by the files alone.
    let root = ours.dir().join("root.crt").display().to_string();
    ours.pki(["verify", "theirs.crt", "--ca", &root]).failure(1);
    let root = theirs.dir().join("root.crt").display().to_string();
    ours.pki(["verify", "theirs.crt", "--ca", &root]).success();
}
