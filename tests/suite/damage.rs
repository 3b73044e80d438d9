//! "My disk rots, or somebody wrote into my files. Say so, and tell me what to do."
//!
//! The store alone is damaged far more often in `store/tests/rot.rs`; here it is a whole PKI, and what
//! its owner is told. The journal of a forger, whose hashes all agree, is held against an earlier
//! checkpoint.

use std::path::{Path, PathBuf};
use std::process::Command;

use store::{Batch, Create, IndexState, OpenOptions, Sequence, Store};
use tests::{Output, Program, Sandbox, run};

/// A PKI with a certificate, `bob`, that is revoked, and one more.
fn made() -> Sandbox {
    let sandbox = Sandbox::of(Program::UnderTest);
    sandbox.pki(["init", "--name", "Example", "--key-type", "p256"]).success();
    for name in ["alice", "bob"] {
        sandbox.pki(["issue-client", name, "--key-type", "p256"]).success();
    }
    sandbox.pki(["revoke", "bob"]).success();
    sandbox
}

fn segment(sandbox: &Sandbox) -> PathBuf {
    sandbox.dir().join("store/journal/00000001.seg")
}

fn listed(sandbox: &Sandbox) -> String {
    sandbox.pki(["list", "--json"]).success().stdout
}

/// The command refused, named the journal's file and the byte, and said what can be done.
fn names_the_damage(refused: &Output, at: usize) {
    assert_eq!(refused.code, 8, "{refused}");
    let named = refused.stderr.split_once("00000001.seg is damaged at byte ").map(|(_, rest)| rest);
    let byte = named.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    assert!(byte.is_some_and(|byte| byte <= at), "byte {at}: {refused}");
    assert!(refused.says("hint:") && refused.says("pki restore"), "byte {at}: {refused}");
}

/// Changes one byte of the journal at each of these places; every command must say so.
fn changed_bytes(places: impl Fn(usize) -> Vec<usize>) -> usize {
    let sandbox = made();
    let whole = std::fs::read(segment(&sandbox)).unwrap();
    let places = places(whole.len());
    for &at in &places {
        let mut changed = whole.clone();
        changed[at] = changed[at].wrapping_add(1);
        std::fs::write(segment(&sandbox), &changed).unwrap();
        names_the_damage(&sandbox.pki(["audit", "verify"]), at);
        assert_eq!(std::fs::read(segment(&sandbox)).unwrap(), changed, "the refusal changed it");
    }
    std::fs::write(segment(&sandbox), whole).unwrap();
    sandbox.pki(["audit", "verify"]).success();
    places.len()
}

#[test]
fn one_changed_byte_of_the_journal_is_found() {
    changed_bytes(|length| (0..length).step_by(length / 24).chain([length - 1]).collect());
}

#[test]
#[ignore = "tests/full: every byte of the journal"]
#[expect(clippy::print_stdout, reason = "the figure is what one runs it for")]
fn every_changed_byte_of_the_journal_is_found() {
    println!(
        "{} bytes changed, each found by `pki audit verify`",
        changed_bytes(|length| (0..length).collect())
    );
}

#[test]
fn every_command_and_doctor_say_what_can_be_done_about_a_damaged_journal() {
    let sandbox = made();
    let whole = std::fs::read(segment(&sandbox)).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for (damaged, at) in [(changed, whole.len() / 2), (whole[..whole.len() - 1].to_vec(), whole.len() - 1)] {
        std::fs::write(segment(&sandbox), damaged).unwrap();
        let words: [&[&str]; 5] =
            [&["doctor"], &["list"], &["issue-client", "eve"], &["revoke", "alice"], &["serve"]];
        for words in words {
            names_the_damage(&sandbox.pki(words), at);
        }
        assert!(!sandbox.file("eve.crt").exists());
    }
}

#[test]
fn a_lost_or_damaged_index_is_built_again_and_said_so() {
    let sandbox = made();
    let before = listed(&sandbox);
    let db = sandbox.dir().join("store/index/db");
    let whole = std::fs::read(&db).unwrap();
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap();
    let flipped = |at: usize| {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        Some(changed)
    };
    let mut said = 0;
    for damage in
        [None, Some(Vec::new()), Some(whole[..used / 2].to_vec()), flipped(used / 3), flipped(used / 2)]
    {
        let damaged = sandbox.copied();
        let db = damaged.dir().join("store/index/db");
        match damage {
            None => std::fs::remove_dir_all(damaged.dir().join("store/index")).unwrap(),
            Some(bytes) => std::fs::write(&db, bytes).unwrap(),
        }
        let twin = damaged.copied();
        let output = damaged.pki(["list", "--json"]).success();
        assert_eq!(output.stdout, before, "{output}");
        // sled may fall back to an older state of its own: then there is little to build.
        let doctor = twin.pki(["doctor"]);
        assert_eq!(
            output.stderr.contains("built again"),
            doctor.says("the index was built again"),
            "{output}\n{doctor}"
        );
        said += usize::from(output.stderr.contains("built again"));
        assert_eq!(listed(&damaged), before);
        assert_eq!(damaged.pki(["list", "--json"]).stderr, "", "it is said once");
    }
    assert!(said >= 3, "said {said} times");
}

/// Writes a journal anew, as one would who owns the machine: every hash is right, one entry is missing.
fn forge(store: &Path, left_out: &str) {
    let forged = store.with_file_name("forged");
    let (old, _) = Store::open(store, OpenOptions::new(Create::Refuse)).unwrap();
    let (new, _) = Store::open(&forged, OpenOptions::new(Create::IfAbsent)).unwrap();
    let mut missing = 0;
    for entry in old.follow(Sequence::ZERO, usize::MAX).unwrap() {
        if entry.what.contains(left_out) {
            missing += 1;
            continue;
        }
        let mut batch = Batch::new(entry.class, entry.time, entry.who.clone(), entry.what.clone());
        batch.writes = entry.writes.clone().unwrap();
        new.commit(batch).unwrap();
    }
    assert_eq!(missing, 1, "there is one entry about `{left_out}`");
    new.verify().unwrap();
    drop((old, new));
    for name in ["journal", "index"] {
        std::fs::remove_dir_all(store.join(name)).unwrap();
        run(Command::new("cp").arg("-a").arg(forged.join(name)).arg(store)).success();
    }
    std::fs::copy(forged.join("head"), store.join("head")).unwrap();
    std::fs::remove_dir_all(forged).unwrap();
}

#[test]
fn a_journal_written_anew_without_a_revocation_is_caught_by_an_earlier_checkpoint() {
    let sandbox = made();
    let note = sandbox.pki(["audit", "verify"]).success().stdout;
    sandbox.write("note", &note);
    let trail = sandbox.pki(["audit", "--json"]).success().json();
    let about = trail
        .as_array()
        .unwrap()
        .iter()
        .find_map(|line| line["what"].as_str().filter(|what| what.contains("revoke")).map(str::to_owned));
    let store = sandbox.dir().join("store");
    forge(&store, &about.expect("a line about the revocation"));

    // The checkpoint that lies beside the journal is enough, unless the forger thinks of it.
    let refused = sandbox.pki(["audit", "verify"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.says("checkpoint"), "{refused}");
    std::fs::remove_file(store.join("checkpoint")).unwrap();

    // Now every hash agrees and bob is no longer revoked …
    let verified = sandbox.pki(["audit", "verify"]).success();
    assert!(verified.says("the journal is whole"), "{verified}");
    let bob = sandbox.pki(["list", "--json", "--name", "bob"]).success().json();
    assert_eq!(bob[0]["status"], "valid", "the forgery works: {bob:#}");
    // … but not for whoever kept the checkpoint elsewhere, however much is written after it.
    for round in 0..3 {
        let refused = sandbox.pki(["audit", "verify", "--against", "note"]);
        assert_ne!(refused.code, 0, "{refused}");
        assert!(refused.says("checkpoint") && refused.says("hint:"), "{refused}");
        sandbox.pki(["issue-client", &format!("later-{round}"), "--key-type", "p256"]).success();
    }
}

#[test]
fn an_index_of_the_forged_journal_is_not_believed_either() {
    let sandbox = made();
    let store = sandbox.dir().join("store");
    let kept = sandbox.copied();
    forge(&store, "revoke");
    // The index alone is exchanged: bob must stay revoked.
    let honest = kept.dir().join("store");
    std::fs::remove_dir_all(honest.join("index")).unwrap();
    run(Command::new("cp").arg("-a").arg(store.join("index")).arg(&honest)).success();
    let bob = kept.pki(["list", "--json", "--name", "bob"]).success().json();
    assert_eq!(bob[0]["status"], "revoked", "{bob:#}");
    let (_, report) = Store::open(&honest, OpenOptions::new(Create::Refuse)).unwrap();
    assert_eq!(report.index, IndexState::Ready);
}
