//! "I install the package, and it runs as a service."
//!
//! The package is installed into a folder of the test's own, scripts and all, so that the machine
//! stays as it was.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::{Output, Program, Sandbox, fetch, free_port, run, source_tree};

fn build(sandbox: &Sandbox) -> PathBuf {
    let mut command = Command::new(source_tree().join("packaging/build-deb"));
    sandbox.surround(&mut command);
    command.arg("--binary").arg(Program::Shipped.path()).arg("--out").arg(sandbox.work());
    // A debug build is large, and compressing it is not what is tested.
    command.args(["--compress", "none"]);
    let built = run(&mut command).success();
    PathBuf::from(built.stdout.trim())
}

fn dpkg(root: &Path, words: &[&str]) -> Output {
    let admin = root.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        std::fs::create_dir_all(admin.join(folder)).unwrap();
    }
    for file in ["status", "available"] {
        if !admin.join(file).exists() {
            std::fs::write(admin.join(file), "").unwrap();
        }
    }
    let mut command = Command::new("dpkg");
    command
        .args(["--force-script-chrootless", "--force-depends"])
        .arg(format!("--root={}", root.display()))
        .arg(format!("--log={}", root.join("dpkg.log").display()))
        .args(words);
    run(&mut command)
}

struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_package_says_what_it_is_and_holds_what_it_says() {
    let sandbox = Sandbox::new();
    let package = build(&sandbox).display().to_string();
    let information = run(Command::new("dpkg-deb").args(["-I", &package])).success().stdout;
    for line in ["Package: pki", "Version: 0.1.0", "Conflicts: strongswan-pki", "Section: admin"] {
        assert!(information.contains(line), "{line} is missing from\n{information}");
    }
    let contents = run(Command::new("dpkg-deb").args(["-c", &package])).success().stdout;
    for path in [
        "./usr/bin/pki",
        "./lib/systemd/system/pki.service",
        "./lib/systemd/system/pki-renew@.service",
        "./lib/systemd/system/pki-renew@.timer",
        "./usr/lib/systemd/user/pki-renew@.service",
        "./usr/lib/systemd/user/pki-renew@.timer",
        "./usr/lib/sysusers.d/pki.conf",
        "./usr/lib/tmpfiles.d/pki.conf",
        "./usr/share/man/man1/pki.1.gz",
        "./usr/share/man/man1/pki-issue-client.1.gz",
        "./usr/share/bash-completion/completions/pki",
        "./usr/share/zsh/vendor-completions/_pki",
        "./usr/share/fish/vendor_completions.d/pki.fish",
        "./usr/share/doc/pki/copyright",
        "./usr/share/doc/pki/changelog.gz",
    ] {
        let line = contents.lines().find(|line| line.ends_with(&format!(" {path}")));
        let line = line.unwrap_or_else(|| panic!("{path} is missing from\n{contents}"));
        assert!(line.contains(" root/root "), "{line}");
        let mode = if path == "./usr/bin/pki" { "-rwxr-xr-x" } else { "-rw-r--r--" };
        assert!(line.starts_with(mode), "{line}");
    }
    let again = Sandbox::new();
    let second = std::fs::read(build(&again)).unwrap();
    assert!(std::fs::read(&package).unwrap() == second, "the same sources make the same package");
}

#[test]
fn systemd_understands_the_unit_and_finds_it_well_locked_in() {
    let sandbox = Sandbox::new();
    let unit = std::fs::read_to_string(source_tree().join("packaging/pki.service")).unwrap();
    let unit = unit.replace("/usr/bin/pki", &Program::Shipped.path().display().to_string());
    let path = sandbox.write("pki.service", unit).display().to_string();
    let verdict = run(Command::new("systemd-analyze").args(["verify", "--man=no", &path])).success();
    assert_eq!((verdict.stdout.as_str(), verdict.stderr.as_str()), ("", ""), "{verdict}");
    // Of 10.0 (all doors open); the threshold counts in tenths.
    run(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15", &path]))
        .success();
}

#[test]
fn systemd_understands_the_renewals_units() {
    let sandbox = Sandbox::new();
    for ending in ["service", "timer"] {
        let unit = source_tree().join(format!("packaging/pki-renew@.{ending}"));
        let unit = std::fs::read_to_string(unit).unwrap();
        let unit = unit.replace("/usr/bin/pki", &Program::Shipped.path().display().to_string());
        sandbox.write(&format!("pki-renew@.{ending}"), unit);
    }
    let instance = sandbox.file("pki-renew@etc-web.timer").display().to_string();
    let verdict = run(Command::new("systemd-analyze").args(["verify", "--man=no", &instance])).success();
    assert_eq!((verdict.stdout.as_str(), verdict.stderr.as_str()), ("", ""), "{verdict}");
}

#[test]
fn it_is_installed_started_as_its_user_stopped_and_purged() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test installs a package and changes users: run it as root"
    );
    let sandbox = Sandbox::new();
    std::fs::set_permissions(sandbox.root(), PermissionsExt::from_mode(0o755)).unwrap();
    let package = build(&sandbox).display().to_string();
    let root = sandbox.root().join("machine");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    dpkg(&root, &["-i", &package]).success();

    // The user is there, and owns the state.
    let users = std::fs::read_to_string(root.join("etc/passwd")).unwrap();
    let user: Vec<&str> =
        users.lines().find(|line| line.starts_with("pki:")).expect("the user pki").split(':').collect();
    let (uid, gid): (u32, u32) = (user[2].parse().unwrap(), user[3].parse().unwrap());
    assert_ne!(uid, 0);
    assert!(user[6].ends_with("nologin"), "{users}");
    let state = root.join("var/lib/pki");
    std::fs::create_dir_all(&state).unwrap();
    chown(&state, Some(uid), Some(gid)).unwrap();
    let runtime = root.join("run/pki");
    std::fs::create_dir_all(&runtime).unwrap();
    chown(&runtime, Some(uid), Some(gid)).unwrap();

    // What the unit starts, as the user it names.
    let unit = std::fs::read_to_string(root.join("lib/systemd/system/pki.service")).unwrap();
    assert!(unit.contains("\nUser=pki\n"));
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<String> = line
        .split_whitespace()
        .map(|word| {
            word.strip_prefix('/')
                .map_or_else(|| word.to_owned(), |path| root.join(path).display().to_string())
        })
        .collect();
    let address = format!("127.0.0.1:{}", free_port());
    let as_pki = |words: &[String]| {
        let mut command = Command::new("setpriv");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir("/");
        command.args([format!("--reuid={uid}"), format!("--regid={gid}")]).args(["--clear-groups", "--"]);
        command.args(words);
        command
    };
    let pki = |rest: &[&str]| {
        let mut all = vec![words[0].clone()];
        all.extend(rest.iter().map(|word| (*word).to_owned()));
        all.extend(["--dir".to_owned(), state.display().to_string()]);
        all
    };
    run(&mut as_pki(&pki(&["init", "--name", "Example"]))).success();
    run(&mut as_pki(&pki(&["config", "set", "core.public_address", &address]))).success();
    let notify = sandbox.root().join("notify");
    let told = UnixDatagram::bind(&notify).unwrap();
    std::fs::set_permissions(&notify, PermissionsExt::from_mode(0o777)).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = as_pki(&words);
    command.env("NOTIFY_SOCKET", &notify).env("RUNTIME_DIRECTORY", &runtime).env("STATE_DIRECTORY", &state);
    let log = sandbox.root().join("log");
    let file = std::fs::File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut running = Running(command.spawn().unwrap());
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let mut message = [0; 512];
    let length = told.recv(&mut message).unwrap_or_else(|error| panic!("{error}:\n{}", said()));
    assert!(String::from_utf8_lossy(&message[..length]).contains("READY=1"), "{}", said());
    assert!(unit.contains("\nType=notify\n"));
    assert_eq!(fetch(&address, "/ca.crt", &[]).unwrap().status, 200);
    assert!(runtime.join("pki.socket").exists(), "the socket is where every command looks:\n{}", said());

    running.signal(Signal::TERM);
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not stop:\n{}", said());
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}:\n{}", said());

    // Gone, but for the keys.
    dpkg(&root, &["--purge", "pki"]).success();
    assert!(!root.join("usr/bin/pki").exists() && !root.join("lib/systemd/system/pki.service").exists());
    assert!(state.join("root.crt").exists(), "a purge leaves the authority alone");
}
