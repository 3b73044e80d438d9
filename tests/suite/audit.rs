//! "The journal says who did what, and nobody can change it unseen."

use tests::Sandbox;

/// The journal's files, oldest first.
fn segments(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = sandbox
        .contents()
        .into_keys()
        .filter(|path| path.starts_with(sandbox.dir().join("store")))
        .filter(|path| {
            path.display().to_string().contains("journal") || path.extension().is_some_and(|end| end == "seg")
        })
        .collect();
    found.sort();
    found
}

#[test]
fn every_change_has_a_line() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["revoke", "alice"]).success();
    sandbox.pki(["config", "set", "profile.client.days", "30"]).success();
    let trail = sandbox.pki(["audit", "--json"]).success().json();
    let lines = trail.as_array().unwrap();
    for word in ["alice", "revok", "profile.client.days"] {
        assert!(lines.iter().any(|line| line["what"].as_str().unwrap().contains(word)), "{word}: {trail:#}");
    }
    let sequences: Vec<u64> = lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]), "{sequences:?}");
    assert!(lines.iter().all(|line| !line["who"].as_str().unwrap().is_empty()), "{trail:#}");
}

#[test]
fn a_checkpoint_holds_later_and_not_for_another_journal() {
    let sandbox = Sandbox::with_pki();
    let note = sandbox.pki(["audit", "verify"]).success().stdout;
    sandbox.write("note", &note);
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["audit", "verify", "--against", "note"]).success();
    let other = Sandbox::with_pki();
    other.pki(["issue-client", "alice"]).success();
    other.write("note", &note);
    let refused = other.pki(["audit", "verify", "--against", "note"]);
    assert_ne!(refused.code, 0, "{refused}");
}

#[test]
fn a_history_that_was_rolled_back_and_rewritten_is_seen() {
    let sandbox = Sandbox::with_pki();
    let earlier = sandbox.root().join("earlier");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        tests::run(std::process::Command::new("cp").arg("-a").arg(from).arg(to)).success();
    };
    copy(&sandbox.dir(), &earlier);
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.write("note", sandbox.pki(["audit", "verify"]).success().stdout);
    // The same journal, the same keys, another story.
    std::fs::remove_dir_all(sandbox.dir()).unwrap();
    copy(&earlier, &sandbox.dir());
    let refused = sandbox.pki(["audit", "verify", "--against", "note"]);
    assert_ne!(refused.code, 0, "{refused}");
    for name in ["mallory", "eve", "trudy"] {
        sandbox.pki(["issue-client", name]).success();
    }
    sandbox.pki(["audit", "verify"]).success();
    let refused = sandbox.pki(["audit", "verify", "--against", "note"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.says("hint:"), "{refused}");
}

#[test]
fn a_flipped_bit_is_found_and_named() {
    let sandbox = Sandbox::with_pki();
    for number in 0..4 {
        sandbox.pki(["issue-client", &format!("client-{number}"), "--key-type", "p256"]).success();
    }
    let segment = segments(&sandbox).pop().expect("a journal");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&segment, bytes).unwrap();
    let refused = sandbox.pki(["audit", "verify"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.says(segment.file_name().unwrap().to_str().unwrap()), "{refused}");
    assert!(refused.says("hint:"), "{refused}");
}

#[test]
fn a_missing_journal_is_never_a_new_pki() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    for segment in segments(&sandbox) {
        std::fs::remove_file(segment).unwrap();
    }
    for words in [&["list"][..], &["issue-client", "bob"], &["init"], &["up"]] {
        let refused = sandbox.pki(words);
        assert_ne!(refused.code, 0, "{refused}");
    }
    assert!(!sandbox.file("bob.crt").exists());
}

#[test]
fn an_index_that_was_lost_comes_back() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["issue-client", "bob"]).success();
    sandbox.pki(["revoke", "bob"]).success();
    let before = sandbox.pki(["list", "--json"]).success().stdout;
    let index = sandbox.dir().join("store/index");
    assert!(index.exists(), "the index is where the reference says");
    std::fs::remove_dir_all(&index).unwrap();
    assert_eq!(before, sandbox.pki(["list", "--json"]).success().stdout);
}
