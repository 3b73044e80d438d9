//! "While it takes long I see how far it is; in a script I see nothing of it."

use std::path::Path;
use std::process::Command;

use tests::{Output, Program, Sandbox, at_terminal, run};

const BUILDING: &str = "building the index again";

/// What runs a program at a terminal that can do more than letters: where TERM names none no bar is drawn.
fn lively(sandbox: &Sandbox) -> Command {
    let mut command = Command::new("env");
    sandbox.surround(&mut command);
    command.arg("TERM=xterm");
    command
}

/// `pki` on a disk that takes its time over these calls on a file, or on any.
fn slowed(sandbox: &Sandbox, call: &str, on: Option<&Path>, words: &[&str]) -> Command {
    let mut command = lively(sandbox);
    command.args(["strace", "-f", "-qq", "-o", "/dev/null", &format!("-etrace={call}")]);
    command.arg(format!("-einject={call}:delay_enter=60000"));
    if let Some(path) = on {
        command.arg("-P").arg(path);
    }
    command.arg(Program::Shipped.path()).args(words).current_dir(sandbox.work());
    command
}

/// A PKI without its index, and a command that builds it again, slowly.
fn rebuilt(sandbox: &Sandbox, words: &[&str]) -> Command {
    std::fs::remove_dir_all(sandbox.dir().join("store/index")).unwrap();
    let journal = std::fs::read_dir(sandbox.dir().join("store/journal")).unwrap();
    let segment =
        journal.map(|file| file.unwrap().path()).find(|path| path.to_string_lossy().ends_with(".seg"));
    slowed(sandbox, "pread64", Some(&segment.unwrap()), words)
}

fn rows(sandbox: &Sandbox, count: usize) {
    let rows = (0..count).map(|row| format!("client-{row},p256\n")).collect::<String>();
    sandbox.write("rows.csv", format!("name,key_type\n{rows}"));
}

#[test]
fn an_index_that_is_built_again_shows_how_far_it_is_and_what_is_left() {
    let sandbox = Sandbox::with_pki();
    for name in ["alice", "bob", "carol"] {
        sandbox.pki(["issue-client", name, "--key-type", "p256"]).success();
    }
    let seen = at_terminal(&sandbox, &rebuilt(&sandbox, &["list"]), &[]).success();
    assert!(seen.says(BUILDING) && seen.says("% ") && seen.says(" left"), "{seen}");
    assert!(seen.says("alice") && seen.says("built again"), "{seen}");
    assert!(!seen.says(" 0% 0s left"), "nothing is read, and the end is foretold: {seen}");
    // What it said is gone before the answer comes.
    let (bars, answer) = seen.stdout.split_at(seen.stdout.rfind("NAME").unwrap());
    assert!(bars.contains("\x1b[2K") && !answer.contains(BUILDING), "{seen}");
    for words in [&["list", "--json"][..], &["list", "--quiet"]] {
        let quiet = at_terminal(&sandbox, &rebuilt(&sandbox, words), &[]).success();
        assert!(quiet.says("alice") && !quiet.says(BUILDING), "{quiet}");
    }
    let piped = run(&mut rebuilt(&sandbox, &["list"])).success();
    assert!(piped.says("alice") && !piped.says(BUILDING), "{piped}");
}

#[test]
fn a_batch_counts_its_rows_and_a_mass_revocation_the_seconds() {
    const ROWS: usize = 300;
    let sandbox = Sandbox::with_pki();
    rows(&sandbox, ROWS);
    let plain = |words: &[&str]| -> Command {
        let mut command = lively(&sandbox);
        command.arg(Program::Shipped.path()).args(words);
        command
    };
    let in_work = |mut command: Command| -> Output {
        // `script` goes elsewhere: so that the files are found, their paths are whole.
        at_terminal(&sandbox, command.current_dir("/"), &[])
    };
    let (file, out) = (sandbox.file("rows.csv"), sandbox.work());
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let issue = ["issue-client", "--from", file, "--out", out];
    let seen = in_work(plain(&issue)).success();
    assert!(seen.says("256/300") && seen.says("left"), "{seen}");
    for more in ["--json", "--quiet"] {
        let words: Vec<&str> = issue.iter().copied().chain([more]).collect();
        let quiet = in_work(plain(&words)).success();
        assert!(!quiet.says("256/300"), "{quiet}");
    }

    sandbox.write("gone", (0..ROWS).map(|row| format!("client-{row}\n")).collect::<String>());
    let (gone, words) = (sandbox.file("gone"), ["revoke", "--from"]);
    let words: Vec<&str> = words.into_iter().chain([gone.to_str().unwrap()]).collect();
    let seen = in_work(slowed(&sandbox, "fdatasync", None, &words)).success();
    assert!(seen.says("300 revocations asked for, ") && seen.says("300 certificates revoked"), "{seen}");
    assert!(!seen.says(" left"), "what nobody knows is foretold: {seen}");
    let piped = run(&mut slowed(&sandbox, "fdatasync", None, &words)).success();
    assert!(!piped.says("asked for"), "{piped}");
}
