//! "I did what the README says, word for word."
//!
//! The tour is the README's `console` blocks: every `$ ` line runs, in order, in one shell with
//! nothing but PATH and HOME, and what it prints must be what the README shows. In what is shown,
//! `…` stands for anything within a line, and a line of `…` alone for any number of lines.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Program, Sandbox, fetch, run, source_tree};

const UP: &str = "cargo run --release -- up";

/// A command of the tour and the lines that the README shows below it.
struct Step {
    command: String,
    shown: Vec<String>,
}

fn readme() -> String {
    std::fs::read_to_string(source_tree().join("README.md")).expect("README.md")
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
                None => steps.last_mut().expect("a command first").shown.push(line.to_owned()),
            },
            (false, _) => {}
        }
    }
    steps
}

/// Whether a line is what was shown; `…` stands for anything.
fn fits(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether the output is what was shown.
fn matches(shown: &[String], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..]))
        }
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, lines)| fits(first, line) && matches(rest, lines))
        }
    }
}

/// A process that is stopped when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the service as the README says it, with `program` in the place of `cargo run --release --`.
fn up(home: &Path, program: &Path, folder: &Path, log: &Path) -> Running {
    let file = std::fs::File::create(log).unwrap();
    let mut command = Command::new(program);
    command.arg("up").env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(folder).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let begun = Instant::now();
    let mut running = Running(command.spawn().unwrap());
    loop {
        if fetch("127.0.0.1:8080", "/ca.crt", &[]).is_ok_and(|answer| answer.status == 200) {
            return running;
        }
        let said = std::fs::read_to_string(log).unwrap_or_default();
        assert!(running.0.try_wait().unwrap().is_none(), "it ended:\n{said}");
        assert!(begun.elapsed() < Duration::from_secs(20), "no usable result in seconds:\n{said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder with a `pki` in it, to be put into PATH.
fn programs(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.root().join("bin");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(Program::Shipped.path(), folder.join("pki")).unwrap();
    folder
}

#[test]
fn every_line_of_the_readmes_tour_does_what_it_shows() {
    let text = readme();
    assert!(text.contains(&format!("    {UP}\n")) && text.contains("    tests/run\n"), "the two commands");
    let steps = steps(&text);
    assert!(steps.len() >= 10, "the tour has {} steps", steps.len());
    let free = std::net::TcpListener::bind("127.0.0.1:8080").is_ok();
    assert!(free, "port 8080 is taken on this machine, and the README's tour needs it");

    let sandbox = Sandbox::new();
    let log = sandbox.root().join("up.log");
    let running = up(&sandbox.home(), &Program::Shipped.path(), &sandbox.work(), &log);
    let mut script = String::from("exec 2>&1\n");
    for (number, step) in steps.iter().enumerate() {
        // The one line that names the build's own place.
        let command = match step.command.as_str() {
            r#"export PATH="$PWD/target/release:$PATH""# => {
                format!("export PATH={}:$PATH", programs(&sandbox).display())
            }
            command => command.to_owned(),
        };
        script.push_str(&format!("echo '=== {number}'\n{command}\n"));
    }
    let mut shell = Command::new("bash");
    shell.args(["--noprofile", "--norc", "-c", &script]).env_clear().env("HOME", sandbox.home());
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(sandbox.work());
    let output = run(&mut shell);
    let said: Vec<&str> = output.stdout.lines().collect();
    for (number, step) in steps.iter().enumerate() {
        let mark = |number: usize| format!("=== {number}");
        let begin = said.iter().position(|line| *line == mark(number)).expect("every step begins") + 1;
        let end = said.iter().position(|line| *line == mark(number + 1)).unwrap_or(said.len());
        let lines = &said[begin..end];
        assert!(
            matches(&step.shown, lines),
            "$ {}\n----- the README shows -----\n{}\n----- it says -----\n{}",
            step.command,
            step.shown.join("\n"),
            lines.join("\n")
        );
    }
    let said = std::fs::read_to_string(&log).unwrap();
    let shown = shown_by_up(&text);
    assert!(
        matches(&shown, &said.lines().collect::<Vec<_>>()),
        "$ {UP}\n----- the README shows -----\n{}\n----- it says -----\n{said}",
        shown.join("\n")
    );
    drop(running);
}

/// What the README says that `up` prints: the `text` block behind it.
fn shown_by_up(text: &str) -> Vec<String> {
    let (_, rest) = text.split_once("```text\n").expect("a text block shows what `up` prints");
    rest.lines().take_while(|line| *line != "```").map(str::to_owned).collect()
}

#[test]
#[ignore = "tests/full: builds in release mode from nothing"]
fn the_first_command_works_as_written_in_a_clean_clone() {
    let sandbox = Sandbox::new();
    let clone = sandbox.work().join("clone");
    let tree = source_tree().display().to_string();
    run(Command::new("git").args(["clone", "--quiet", &tree]).arg(&clone)).success();
    // Cargo and its registry live in the real home: everything else of the environment is gone.
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::home_dir().expect("a home");
    let mut command = Command::new("bash");
    command.args(["-c", &format!("exec {UP}")]).env_clear().env("HOME", sandbox.home()).current_dir(&clone);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("CARGO_HOME", cargo.unwrap_or_else(|| home.join(".cargo")));
    command.env(
        "RUSTUP_HOME",
        std::env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from),
    );
    let log = sandbox.root().join("log");
    let file = std::fs::File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut running = Running(command.spawn().unwrap());
    let begun = Instant::now();
    while !fetch("127.0.0.1:8080", "/ca.crt", &[]).is_ok_and(|answer| answer.status == 200) {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(running.0.try_wait().unwrap().is_none(), "it ended:\n{said}");
        assert!(begun.elapsed() < Duration::from_secs(40 * 60), "it does not come up:\n{said}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut command = Command::new(clone.join("target/release/pki"));
    command
        .args(["issue-client", "alice"])
        .env_clear()
        .env("HOME", sandbox.home())
        .current_dir(sandbox.work());
    run(&mut command).success();
}

#[test]
fn the_matcher_is_awake() {
    let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(matches(&shown(&["a…c", "…", "z"]), &["abc", "1", "2", "z"]));
    assert!(!matches(&shown(&["a…c", "z"]), &["abc", "1", "z"]));
    assert!(!matches(&shown(&["a…c"]), &["abd"]));
    assert!(matches(&shown(&["plain"]), &["plain"]) && !matches(&shown(&["plain"]), &["plain and more"]));
}
