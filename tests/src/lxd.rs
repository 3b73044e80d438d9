//! LXD's daemon, 5.0.2 of Debian 12, with a directory and a network of its own: loopback and nothing else.
//!
//! It runs as root and without containers; what is judged is whom it lets in.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Lxc, Network, Output, Sandbox, run};

/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon, and the directory that it reads its certificates from.
pub struct Lxd<'a> {
    sandbox: &'a Sandbox,
    folder: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    /// `None` for the test's own.
    network: Option<Network>,
}

impl<'a> Lxd<'a> {
    /// Where it listens, in its own network.
    pub const URL: &'static str = "https://127.0.0.1:8443";

    /// One that has never run.
    pub fn new(sandbox: &'a Sandbox) -> Lxd<'a> {
        Lxd::within(sandbox, Some(Network::new()))
    }

    /// One that has never run, in the network that the test itself is in.
    pub fn here(sandbox: &'a Sandbox) -> Lxd<'a> {
        Lxd::within(sandbox, None)
    }

    fn within(sandbox: &'a Sandbox, network: Option<Network>) -> Lxd<'a> {
        let folder = sandbox.root().join("lxd");
        std::fs::create_dir(&folder).expect("a new folder");
        let log = sandbox.root().join("lxd.log");
        Lxd { sandbox, folder, log, child: None, network }
    }

    /// Its directory (`LXD_DIR`).
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has logged since it last started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(&mut self) {
        let log = std::fs::File::create(&self.log).expect("a writable folder");
        let mut command = self.inside("lxd");
        command.args(["--group", "root", "--verbose"]);
        command.stdout(log.try_clone().expect("a second handle")).stderr(log).stdin(Stdio::null());
        self.child = Some(command.spawn().expect("lxd starts: tests/run installs it"));
        let mut ready = self.at("lxd");
        let ready = run(ready.args(["waitready", "--timeout", "30"]));
        assert_eq!(ready.code, 0, "{ready}\n{}", self.log());
    }

    /// Stops it and starts it again, as LXD needs it to read its certificates and lists.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Stops it.
    #[track_caller]
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        signal(&child, Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("our own child").is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("lxd does not stop:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The administrator's `lxc`, over the daemon's own socket.
    #[track_caller]
    pub fn admin(&self, words: &[&str]) -> Output {
        let folder = self.sandbox.root().join("lxc-of-the-administrator");
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut command = self.at("lxc");
        run(command.env("LXD_CONF", folder).args(words))
    }

    /// A client in its network.
    pub fn client(&self, name: &str) -> Lxc<'a> {
        match &self.network {
            Some(network) => Lxc::within(self.sandbox, name, network.name()),
            None => Lxc::of(self.sandbox, name),
        }
    }

    /// A program that works on its directory.
    fn at(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.sandbox.surround(&mut command);
        command.env("LXD_DIR", &self.folder);
        command
    }

    /// The same in its network.
    fn inside(&self, program: &str) -> Command {
        let mut command = match &self.network {
            Some(network) => network.command(program),
            None => return self.at(program),
        };
        self.sandbox.surround(&mut command);
        command.env("LXD_DIR", &self.folder);
        command
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

impl Drop for Lxd<'_> {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // It unmounts what it has mounted in its directory, which could not be removed otherwise.
        signal(&child, Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
