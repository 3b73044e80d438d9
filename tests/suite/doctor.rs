//! "Tell me what is wrong, or about to be."

use std::os::unix::fs::PermissionsExt;

use tests::{Output, Program, Sandbox, run};

fn findings(output: &Output) -> Vec<(String, String, String)> {
    let word = |one: &serde_json::Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    output
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (word(one, "severity"), word(one, "check"), word(one, "message")))
        .collect()
}

/// Runs `pki doctor --json` as if it were `ahead` from now.
fn doctor_at(sandbox: &Sandbox, ahead: &str) -> Output {
    let mut command = std::process::Command::new("faketime");
    sandbox.surround(&mut command);
    command.args(["-f", ahead]).arg(Program::Shipped.path()).args(["doctor", "--json"]);
    run(&mut command)
}

#[test]
fn a_fresh_pki_has_no_errors_and_two_things_to_say() {
    let sandbox = Sandbox::with_pki();
    let output = sandbox.pki(["doctor", "--json"]).success();
    let found = findings(&output);
    assert!(found.iter().all(|(severity, _, _)| severity != "error"), "{output}");
    let says =
        |words: &str| found.iter().any(|(severity, _, message)| severity != "ok" && message.contains(words));
    assert!(says("root"), "two tiers protect little with both keys here: {output}");
    assert!(says("core.public_url"), "{output}");
    sandbox.pki(["doctor", "--strict", "--json"]);
}

#[test]
fn a_key_that_others_can_read_is_an_error_and_is_not_used() {
    let sandbox = Sandbox::with_pki();
    let keys: Vec<_> =
        std::fs::read_dir(sandbox.dir().join("keys")).unwrap().map(|one| one.unwrap().path()).collect();
    for key in &keys {
        std::fs::set_permissions(key, PermissionsExt::from_mode(0o644)).unwrap();
    }
    let refused = sandbox.pki(["issue-client", "alice"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.says("hint:") && refused.says("keys/"), "{refused}");
    assert!(!sandbox.file("alice.crt").exists());
    for key in &keys {
        std::fs::set_permissions(key, PermissionsExt::from_mode(0o600)).unwrap();
    }
    sandbox.pki(["issue-client", "alice"]).success();
}

#[test]
fn lists_that_ran_out_are_errors() {
    let sandbox = Sandbox::with_pki();
    let output = doctor_at(&sandbox, "+8d");
    let found = findings(&output);
    assert!(
        found.iter().any(|(severity, check, _)| severity == "error" && check == "lists"),
        "an issuing CA's list is good for a week: {output}"
    );
    assert_eq!(output.code, 1, "{output}");
}

#[test]
fn certificates_that_end_soon_are_warned_about() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice", "--days", "5"]).success();
    let output = sandbox.pki(["doctor", "--json"]);
    assert!(output.stdout.contains("alice"), "{output}");
}

#[test]
fn a_clock_that_fell_is_noticed() {
    let sandbox = Sandbox::with_pki();
    let output = doctor_at(&sandbox, "-30d");
    let found = findings(&output);
    assert!(found.iter().any(|(severity, check, _)| severity != "ok" && check.contains("clock")), "{output}");
}
