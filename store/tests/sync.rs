//! An answer comes after the disk's: watched from outside, with `strace`, which also makes a sync
//! fail as a broken disk would. The program under watch is this one, started again.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use store::{Batch, Class, Create, Error, Key, OpenOptions, Sequence, Store};

const COMMITS: u64 = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["commits", dir] => commits(Path::new(dir)),
        ["fails", dir] => fails(Path::new(dir)),
        _ if arguments.iter().any(|argument| argument == "--list") => {}
        _ => {
            every_answer_follows_a_sync();
            a_sync_that_failed_is_final();
        }
    }
}

fn change(number: u64) -> Batch {
    let mut batch = Batch::new(Class::Ledger, 0, "tester", "change");
    batch.put(Key::new("record").part(number.to_string()), number.to_be_bytes().to_vec());
    batch
}

/// Runs this program under strace; returns what it saw.
fn watch(what: &str, dir: &Path, inject: &[&str]) -> String {
    let trace = dir.join("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=pwrite64,fdatasync,write", "-o"])
        .arg(&trace)
        .args(inject)
        .arg(std::env::current_exe().unwrap())
        .arg(what)
        .arg(dir.join("store"))
        .status()
        .expect("this test needs strace (Debian package `strace`)");
    assert!(status.success(), "{what}: {status}");
    String::from_utf8_lossy(&std::fs::read(trace).unwrap()).into_owned()
}

fn commits(dir: &Path) {
    let (store, _) = Store::open(dir, OpenOptions::new(Create::IfAbsent)).unwrap();
    for number in 1..=COMMITS {
        store.commit(change(number)).unwrap();
        println!("answered {number}");
        std::io::stdout().flush().unwrap();
    }
}

fn every_answer_follows_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let trace = watch("commits", dir.path(), &[]);
    let (mut written, mut synced, mut answered) = (0, 0, 0);
    for line in trace.lines() {
        let of_journal = line.contains("00000001.seg>");
        // Another thread may run during a sync: then its end stands on a line of its own.
        let sync = (of_journal && line.contains("fdatasync(")) || line.contains("<... fdatasync resumed>");
        if of_journal && line.contains("pwrite64(") {
            written += 1;
        } else if sync && line.ends_with(" = 0") && written > synced {
            synced += 1;
        } else if line.contains("\"answered ") {
            answered += 1;
            assert!(synced >= answered, "answer {answered} after {synced} syncs\n{trace}");
        }
    }
    assert_eq!((written, synced, answered), (COMMITS, COMMITS, COMMITS), "{trace}");
}

/// Commits until the third answer, which a broken disk prevents.
fn fails(dir: &Path) {
    let (store, _) = Store::open(dir, OpenOptions::new(Create::IfAbsent)).unwrap();
    store.commit(change(1)).unwrap();
    store.commit(change(2)).unwrap();
    for _ in 0..3 {
        let error = store.commit(change(3)).unwrap_err();
        assert!(matches!(error, Error::Failed { operation: "sync", .. }), "{error:?}");
    }
    // Reads go on, and what was not answered is not shown.
    assert_eq!(store.head(), Sequence(2));
    assert!(store.get(&Key::new("record").part("2")).unwrap().is_some());
    assert!(store.get(&Key::new("record").part("3")).unwrap().is_none());
    assert_eq!(store.follow(Sequence::ZERO, 10).unwrap().len(), 2);
}

fn a_sync_that_failed_is_final() {
    let dir = tempfile::tempdir().unwrap();
    // strace counts each thread for itself: the third sync of the committer fails, and only that one.
    let trace = watch("fails", dir.path(), &["-e", "inject=fdatasync:error=EIO:when=3"]);
    let syncs = trace.lines().filter(|line| line.contains("fdatasync(") && line.contains(".seg>")).count();
    // With the one of opening.
    assert_eq!(syncs, 4, "a failed sync was tried again\n{trace}");
    let (store, report) = Store::open(&dir.path().join("store"), OpenOptions::new(Create::Refuse)).unwrap();
    // The frame was written whole: whether it is kept is decided now, and it is either there or not.
    assert!(matches!(report.head, Sequence(2 | 3)), "{report:?}");
    for number in 1..=report.head.0 {
        assert!(store.get(&Key::new("record").part(number.to_string())).unwrap().is_some());
    }
    store.commit(change(4)).unwrap();
    store.verify().unwrap();
}
