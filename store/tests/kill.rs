//! Killed at every call that changes the disk: what was answered is there, and nothing by halves.
//!
//! `strace` kills the program (this one, started again) at the first, second, third … call of each
//! kind, until a run comes through. Each time the store must open and go on.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use store::{Batch, Class, Create, Key, OpenOptions, Store};

const CALLS: [&str; 9] = [
    "mkdir,mkdirat",
    "renameat,renameat2",
    "linkat,unlinkat,unlink",
    "fchmod",
    "ftruncate",
    "fsync",
    "fdatasync",
    "pwrite64",
    "write",
];
/// More calls of one kind than a run makes.
const MAX_CALLS: usize = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["commits", dir] => commits(Path::new(dir)),
        _ if arguments.iter().any(|argument| argument == "--list") => {}
        _ => CALLS.into_iter().for_each(killed_at_each),
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new(Create::IfAbsent);
    // A segment is sealed on the way.
    options.limits.segment = 700;
    options
}

fn change(number: u64) -> Batch {
    let mut batch = Batch::new(Class::Ledger, 0, "tester", "change");
    batch.expect_absent(Key::new("record").part(number.to_string()));
    batch.put(Key::new("record").part(number.to_string()), number.to_be_bytes().to_vec());
    batch.put(Key::new("newest"), vec![number as u8; 400]);
    batch
}

fn commits(dir: &Path) {
    let (store, _) = Store::open(dir, options()).unwrap();
    for number in 1..=3 {
        store.commit(change(number)).unwrap();
        println!("{number}");
        std::io::stdout().flush().unwrap();
    }
    store.close();
}

fn killed_at_each(calls: &str) {
    for when in 1..=MAX_CALLS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let output = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .arg(format!("trace={calls}"))
            .args(["-e", &format!("inject={calls}:signal=KILL:when={when}")])
            .arg(std::env::current_exe().unwrap())
            .arg("commits")
            .arg(&path)
            .output()
            .expect("this test needs strace (Debian package `strace`)");
        let answered: u64 =
            String::from_utf8_lossy(&output.stdout).lines().last().map_or(0, |n| n.parse().unwrap());
        let at = format!("{calls} number {when}, after answer {answered}");

        let (store, report) = Store::open(&path, options()).unwrap_or_else(|e| panic!("{at}: {e:?}"));
        let head = report.head.0;
        assert!(head >= answered && head <= answered + 1, "{at}: {report:?}");
        for number in 1..=3u64 {
            let found = store.get(&Key::new("record").part(number.to_string())).unwrap();
            assert_eq!(
                found.map(|s| s.value),
                (number <= head).then(|| number.to_be_bytes().to_vec()),
                "{at}"
            );
        }
        let newest = store.get(&Key::new("newest")).unwrap().map(|stored| stored.value);
        assert_eq!(newest, (head > 0).then(|| vec![head as u8; 400]), "{at}");
        store.commit(change(head + 1)).unwrap();
        store.verify().unwrap();
        drop(store);
        assert_eq!(Store::open(&path, options()).unwrap().1.head.0, head + 1, "{at}");
        if output.status.success() {
            assert!(answered == 3, "{at}");
            return;
        }
    }
    panic!("more than {MAX_CALLS} of {calls}");
}
