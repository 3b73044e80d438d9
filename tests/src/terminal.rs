//! A terminal, for programs that ask: `script` of util-linux makes one, and we type.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Output, Sandbox};

/// How long a program gets to turn the echo off behind its prompt. If that is too short the text is echoed,
/// and whoever looks for it fails.
const TURNED_OFF: Duration = Duration::from_millis(500);

/// How long it may all take, in seconds: what ends it then is 137.
const PATIENCE: &str = "180";

/// Runs a program at a terminal, and types each answer behind its prompt. All it says comes as standard output,
/// as it stands on the screen.
pub fn at_terminal(sandbox: &Sandbox, command: &Command, answers: &[(&str, &str)]) -> Output {
    let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
    let words: Vec<String> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(quote).collect();
    // A question that nobody expected would wait for ever for its answer.
    let mut script = Command::new("timeout");
    script.args(["--signal=KILL", PATIENCE, "script"]);
    sandbox.surround(&mut script);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut child = script
        .args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"])
        .env("NO_COLOR", "1")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("script (util-linux) starts");
    // Held open to the end: at its end the program would read one, too.
    let mut keyboard = child.stdin.take().expect("a pipe");
    let mut screen = child.stdout.take().expect("a pipe");
    let (mut seen, mut behind, mut octet) = (Vec::new(), 0, [0]);
    let mut answers = answers.iter();
    let mut next = answers.next();
    while screen.read(&mut octet).is_ok_and(|read| read > 0) {
        seen.push(octet[0]);
        if let Some((prompt, text)) = next
            && seen[behind..].ends_with(prompt.as_bytes())
        {
            std::thread::sleep(TURNED_OFF);
            writeln!(keyboard, "{text}").expect("the terminal is open");
            behind = seen.len();
            next = answers.next();
        }
    }
    let status = child.wait().expect("our own child");
    Output {
        command: words.join(" "),
        stdout: String::from_utf8_lossy(&seen).replace("\r\n", "\n"),
        stderr: String::new(),
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
    }
}
