//! A real HAProxy as a child on free ports, ended when it is dropped.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long something may take that takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What `haproxy -c` says about a configuration, warnings being errors.
#[track_caller]
pub fn check(config: &Path) -> Result<(), String> {
    let output = Command::new("haproxy")
        .args(["-c", "-dW", "-dD", "-V", "-f"])
        .arg(config)
        .output()
        .expect("haproxy runs: tests/run installs it");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    match output.status.success() && said.trim() == "Configuration file is valid" {
        true => Ok(()),
        false => Err(said.into_owned()),
    }
}

/// A running HAProxy.
pub struct Haproxy {
    child: Child,
    log: PathBuf,
    port: u16,
}

impl Haproxy {
    /// Starts one with the configuration `text`, kept in `folder`, and waits until `port` is open.
    #[track_caller]
    pub fn start(folder: &Path, text: &str, port: u16) -> Haproxy {
        let (config, log) = (folder.join("haproxy.cfg"), folder.join("haproxy.log"));
        std::fs::write(&config, text).expect("a writable folder");
        let output = std::fs::File::create(&log).expect("a writable folder");
        Haproxy::begin(folder, &["-db"], &config, log, output, port)
    }

    /// Starts one with a master, whose socket is `master.sock`.
    #[track_caller]
    pub fn start_master(folder: &Path, text: &str, port: u16) -> Haproxy {
        let (config, log) = (folder.join("haproxy.cfg"), folder.join("haproxy.log"));
        std::fs::write(&config, text).expect("a writable folder");
        let output = std::fs::File::create(&log).expect("a writable folder");
        let socket = folder.join("master.sock").display().to_string();
        Haproxy::begin(folder, &["-W", "-S", &socket], &config, log, output, port)
    }

    #[track_caller]
    fn begin(
        folder: &Path,
        how: &[&str],
        config: &Path,
        log: PathBuf,
        output: std::fs::File,
        port: u16,
    ) -> Haproxy {
        let child = Command::new("haproxy")
            .current_dir(folder)
            .args(how)
            .arg("-f")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("haproxy runs: tests/run installs it");
        let mut haproxy = Haproxy { child, log, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = haproxy.child.try_wait().expect("its state").is_some();
            assert!(!ended && begin.elapsed() < PATIENCE, "haproxy doesn't start: {}", haproxy.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        haproxy
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // By its pid, and waited for: no port is taken when the next test starts. A master takes its workers along.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
        // A worker may outlive its master by a moment, and whoever starts the next would take it for that.
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        // Below the range the kernel takes ports for outgoing connections from.
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        let start = u16::try_from(std::process::id() % 2_000).unwrap_or(0);
        let port = 30_000 + (start + offset) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
