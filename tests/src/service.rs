//! `pki serve` on a port of its own, stopped when the test ends, however it ends.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Network, Output, Program, Response, Sandbox, fetch};

/// A running service.
pub struct Service {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Service {
    /// Starts `pki serve` on the sandbox's directory and waits until it answers.
    #[track_caller]
    pub fn start(sandbox: &Sandbox) -> Service {
        Service::start_with(sandbox, &["serve"], &[])
    }

    /// Starts the program with these arguments and environment, and waits until it answers. `up` listens for
    /// clients too: at an address that nobody else has, as tests run beside one another.
    #[track_caller]
    pub fn start_with(sandbox: &Sandbox, arguments: &[&str], environment: &[(&str, &str)]) -> Service {
        let address = format!("127.0.0.1:{}", free_port());
        sandbox.pki(["config", "set", "core.public_address", &address]).success();
        if arguments.first() == Some(&"up")
            && sandbox.pki(["config", "get", "core.https_address"]).success().stdout.trim().is_empty()
        {
            let https = format!("127.0.0.1:{}", free_port());
            sandbox.pki(["config", "set", "core.https_address", &https]).success();
        }
        Service::launch(sandbox, address, arguments, environment)
    }

    /// As [`Service::start_with`], with `core.public_address` as it stands.
    #[track_caller]
    pub fn launch(
        sandbox: &Sandbox,
        address: String,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Service {
        let mut command = sandbox.command(arguments);
        command.envs(environment.iter().copied());
        Service::launch_as(sandbox, address, command)
    }

    /// As [`Service::launch`], by a command of one's own.
    #[track_caller]
    pub fn launch_as(sandbox: &Sandbox, address: String, command: Command) -> Service {
        let public = address.clone();
        let answers = move || fetch(&public, "/ca.crt", &[]).is_ok_and(|response| response.status == 200);
        Service::await_it(sandbox, address, command, answers)
    }

    /// Starts `pki serve` in a network of its own, and waits until it says that it serves. What goes by its
    /// socket works from here; over the network it answers only whoever is there too.
    #[track_caller]
    pub fn start_within(sandbox: &Sandbox, network: &Network, environment: &[(&str, &str)]) -> Service {
        let address = format!("127.0.0.1:{}", free_port());
        sandbox.pki(["config", "set", "core.public_address", &address]).success();
        let mut command = network.command(Program::Shipped.path());
        sandbox.surround(&mut command);
        command.envs(environment.iter().copied()).arg("serve");
        Service::await_it(sandbox, address, command, || true)
    }

    #[track_caller]
    fn await_it(
        sandbox: &Sandbox,
        address: String,
        mut command: Command,
        is_reached: impl Fn() -> bool,
    ) -> Service {
        let log = sandbox.root().join(format!("service-{}.log", address.replace(':', "-")));
        let file = std::fs::File::create(&log).expect("a writable folder");
        command.stdout(file.try_clone().expect("a second handle")).stderr(file).stdin(Stdio::null());
        let child = command.spawn().expect("the program starts");
        let mut service = Service { child, address, log };
        let socket = sandbox.dir().join("pki.socket");
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(60);
        // The socket and the public files are there before the HTTPS listener is; its last line tells of all.
        // A log may be quiet, or have no room.
        let told = |service: &Service| {
            service.log().contains("serving http://") || begun.elapsed() > Duration::from_secs(5)
        };
        loop {
            let answers = UnixStream::connect(&socket).is_ok() && is_reached();
            if answers && told(&service) {
                return service;
            }
            if let Ok(Some(status)) = service.child.try_wait() {
                panic!("the service ended with {status}:\n{}", service.log());
            }
            assert!(Instant::now() < deadline, "the service does not answer:\n{}", service.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Address of the public listener.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on both streams so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks the public listener.
    #[track_caller]
    pub fn ask(&self, path: &str) -> Response {
        self.ask_with(path, &[])
    }

    /// Asks the public listener with further header lines.
    #[track_caller]
    pub fn ask_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        fetch(&self.address, path, headers).unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    /// Asks it to stop (SIGTERM) and waits; fails the test if it takes longer than 20 seconds.
    #[track_caller]
    pub fn stop(mut self) -> Output {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return Output {
                    command: "pki serve".to_owned(),
                    stdout: self.log(),
                    stderr: String::new(),
                    code: status.code().unwrap_or(-1),
                };
            }
            assert!(Instant::now() < deadline, "the service does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How it ended, if it has: the signal's number and 128 if one ended it.
    pub fn ended(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.try_wait().expect("our own child")?;
        Some(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }

    /// Ends it as a power failure would: SIGKILL.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on, and that no other test of this run is given.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        // Below the range the kernel takes ports for outgoing connections from.
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % 8_000;
        let start = u16::try_from(std::process::id() % 8_000).unwrap_or(0);
        let port = 22_000 + (start + offset) % 8_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
