//! A place of its own for every test: a home, a PKI directory, a folder to work in.
//!
//! Nothing of the machine's environment reaches the program but `PATH`.

use std::any::Any;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Which of the programs runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `pki-bench`, which measures the shipped one.
    Benchmarks,
    /// `pki` as it ships.
    Shipped,
    /// `pki-under-test`: the same `main` with a cheap scrypt.
    UnderTest,
}

impl Program {
    /// Where the build put it: `target/<profile>`, of which a test's own executable lies in `deps`.
    pub fn path(self) -> PathBuf {
        let own = std::env::current_exe().expect("a test has an executable");
        let beside = own.parent().expect("an executable lies in a folder");
        let folder = match beside.ends_with("deps") {
            true => beside.parent().expect("target/<profile>/deps"),
            false => beside,
        };
        let path = folder.join(match self {
            Program::Benchmarks => "pki-bench",
            Program::Shipped => "pki",
            Program::UnderTest => "pki-under-test",
        });
        assert!(path.exists(), "{} is not built: run tests/run, or cargo build --workspace", path.display());
        path
    }
}

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// The arguments, for messages.
    pub command: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
}

impl Output {
    /// The output if the program succeeded; fails the test otherwise.
    #[track_caller]
    pub fn success(self) -> Output {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// The output if the program failed with this exit code; fails the test otherwise.
    #[track_caller]
    pub fn failure(self, code: i32) -> Output {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    /// Whether `words` occurs in what was said on either stream.
    pub fn says(&self, words: &str) -> bool {
        self.stdout.contains(words) || self.stderr.contains(words)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "$ {}\nexit code: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// A home, a PKI directory and a folder to work in, removed at the end.
pub struct Sandbox {
    /// What ends with it, before its files go.
    company: Mutex<Vec<Box<dyn Any + Send>>>,
    root: tempfile::TempDir,
    program: Program,
}

impl Sandbox {
    /// An empty one, for the shipped program.
    pub fn new() -> Sandbox {
        Sandbox::of(Program::Shipped)
    }

    /// An empty one for `program`.
    pub fn of(program: Program) -> Sandbox {
        Sandbox::below(&std::env::temp_dir(), program)
    }

    /// An empty one that no disk slows down, where the system has such a place.
    pub fn in_memory(program: Program) -> Sandbox {
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => Sandbox::below(memory, program),
            false => Sandbox::of(program),
        }
    }

    fn below(folder: &Path, program: Program) -> Sandbox {
        let root =
            tempfile::Builder::new().prefix("pki-test-").tempdir_in(folder).expect("a temporary folder");
        for folder in ["home", "work"] {
            std::fs::create_dir(root.path().join(folder)).expect("a new folder");
        }
        Sandbox { company: Mutex::default(), root, program }
    }

    /// One that holds a fresh PKI, `pki init` done.
    #[track_caller]
    pub fn with_pki() -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.pki(["init", "--name", "Example"]).success();
        sandbox
    }

    /// Another one with the same files, modes and all.
    #[track_caller]
    pub fn copied(&self) -> Sandbox {
        let copy = Sandbox::of(self.program);
        let (from, to) = (self.root().join("."), copy.root());
        run(Command::new("cp").arg("-a").arg(from).arg(to)).success();
        copy
    }

    /// Keeps a running program until the sandbox goes.
    pub fn keep(&self, company: impl Any + Send) {
        self.company.lock().expect("no thread panics with it").push(Box::new(company));
    }

    /// The folder everything lies in.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// `HOME`.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// `PKI_DIR`.
    pub fn dir(&self) -> PathBuf {
        self.root.path().join("pki")
    }

    /// The folder commands run in.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// A path in the folder commands run in.
    pub fn file(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Writes a file into the folder commands run in.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).expect("a writable folder");
        path
    }

    /// Writes a file that only its owner can read, as passphrases must lie.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.file(name);
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .expect("a new file");
        file.write_all(text.as_bytes()).expect("a writable file");
        path
    }

    /// Reads a text file of the folder commands run in.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.file(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The program, ready to run: clean environment, `PKI_DIR` set.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(self.program.path());
        self.surround(&mut command);
        command.args(arguments);
        command
    }

    /// Gives any program this sandbox's environment and folder.
    pub fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("PKI_DIR", self.dir())
            .current_dir(self.work())
            .stdin(Stdio::null());
    }

    /// Runs the program to its end.
    pub fn pki<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        run(&mut self.command(arguments))
    }

    /// Runs the program to its end with something to read.
    pub fn pki_reading<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Output {
        let mut command = self.command(arguments);
        let words = words(&command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read it has closed the pipe: its exit code tells.
            let _ = stdin.write_all(input.as_bytes());
        }
        finish(words, child.wait_with_output())
    }

    /// Every file below the folder commands run in and the PKI directory, by path.
    pub fn everything(&self) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
        let mut found = std::collections::BTreeMap::new();
        let mut folders = vec![self.work(), self.dir()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
                } else {
                    found.insert(path, Vec::new());
                }
            }
        }
        found
    }

    /// Every file below the folder commands run in and the PKI directory, by path: what a refused
    /// command must leave as it was. Of the store only the journal counts; its index may be tidied
    /// by a command that merely looks.
    pub fn contents(&self) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
        let (store, journal) = (self.dir().join("store"), self.dir().join("store/journal"));
        let mut found = self.everything();
        found.retain(|path, _| !path.starts_with(&store) || path.starts_with(&journal));
        found
    }
}

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::new()
    }
}

/// Runs a program to its end and keeps what it said.
pub fn run(command: &mut Command) -> Output {
    let words = words(command);
    finish(words, command.output())
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn finish(words: String, output: std::io::Result<std::process::Output>) -> Output {
    use std::os::unix::process::ExitStatusExt;
    let output = output.unwrap_or_else(|error| panic!("{words}: {error}"));
    Output {
        command: words,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
    }
}
