//! LXD's command line client, `lxc` 5.0.2 of Debian 12, as one user of a service has it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Output, Sandbox};

/// A user's `lxc` with a configuration of its own.
pub struct Lxc<'a> {
    sandbox: &'a Sandbox,
    folder: PathBuf,
    /// The network namespace it runs in; `None` for the tests' own.
    network: Option<String>,
    /// The roots it trusts instead of the system's.
    roots: Option<PathBuf>,
}

impl<'a> Lxc<'a> {
    /// That of the user `name`, who has used it for nothing yet.
    pub fn of(sandbox: &'a Sandbox, name: &str) -> Lxc<'a> {
        let folder = sandbox.root().join(format!("lxc-{name}"));
        std::fs::create_dir(&folder).expect("a new folder");
        // With a file of its own it does not greet, and knows no server on the Internet.
        let known =
            "default-remote: local\nremotes:\n  local:\n    addr: unix://\n    public: false\naliases: {}\n";
        std::fs::write(folder.join("config.yml"), known).expect("a writable folder");
        Lxc { sandbox, folder, network: None, roots: None }
    }

    /// The same, in another network.
    pub fn within(sandbox: &'a Sandbox, name: &str, network: &str) -> Lxc<'a> {
        Lxc { network: Some(network.to_owned()), ..Lxc::of(sandbox, name) }
    }

    /// The same, trusting the roots of a file instead of the system's.
    pub fn trusting(self, roots: &Path) -> Lxc<'a> {
        Lxc { roots: Some(roots.to_owned()), ..self }
    }

    /// Where it keeps its certificate, and those of the servers it knows.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it, and writes what it says to `said`.
    pub fn start(&self, words: &[&str], said: std::fs::File) -> Child {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(said).stderr(Stdio::null());
        command.spawn().expect("lxc starts: tests/run installs it (lxd-client)")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = match &self.network {
            None => Command::new("lxc"),
            Some(network) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", network, "lxc"]);
                command
            }
        };
        self.sandbox.surround(&mut command);
        command.env("LXD_CONF", &self.folder).args(words);
        if let Some(roots) = &self.roots {
            command.env("SSL_CERT_FILE", roots);
        }
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, "")
    }

    /// Runs it to its end with something to read: the answers to its questions.
    #[track_caller]
    pub fn run_with(&self, words: &[&str], answers: &str) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("lxc starts: tests/run installs it (lxd-client)");
        if let Some(mut stdin) = child.stdin.take() {
            // What it does not read is of no use to it.
            let _ = stdin.write_all(answers.as_bytes());
        }
        let output = child.wait_with_output().expect("our own child");
        Output {
            command: format!("lxc {}", words.join(" ")),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}
