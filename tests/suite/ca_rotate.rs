//! "I rotate the issuing CA, with the root's key here or in a drawer."

use tests::{Purpose, Sandbox, openssl_accepts, openssl_finds_revoked};

fn states(sandbox: &Sandbox) -> Vec<(String, String, String)> {
    let listed = sandbox.pki(["ca", "list", "--json"]).success().json();
    let word = |one: &serde_json::Value, field: &str| one[field].as_str().unwrap().to_owned();
    listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (word(one, "role"), word(one, "state"), word(one, "key")))
        .collect()
}

#[test]
fn every_generation_has_a_name_and_a_key_of_its_own() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["ca", "rotate"]).success();
    sandbox.pki(["ca", "rotate", "--key-type", "p256"]).success();
    let listed = sandbox.pki(["ca", "list", "--json"]).success().json();
    let issuing: Vec<_> = listed.as_array().unwrap().iter().filter(|one| one["role"] == "issuing").collect();
    assert_eq!(issuing.len(), 3);
    for field in ["subject", "key_id", "serial"] {
        let different: std::collections::BTreeSet<_> =
            issuing.iter().map(|one| one[field].as_str().unwrap()).collect();
        assert_eq!(different.len(), 3, "{field}: {listed:#}");
    }
    assert_eq!(issuing.iter().filter(|one| one["state"] == "current").count(), 1);
    for one in &issuing {
        let key_id = one["key_id"].as_str().unwrap();
        for end in ["crt", "crl"] {
            assert!(sandbox.dir().join(format!("cas/{key_id}.{end}")).exists(), "cas/{key_id}.{end}");
        }
    }
}

#[test]
fn chain_crt_verifies_leaves_of_every_generation() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["ca", "rotate"]).success();
    sandbox.pki(["issue-client", "bob"]).success();
    let published = |name: &str| sandbox.dir().join(name).display().to_string();
    let (chain, root) = (published("chain.crt"), published("root.crt"));
    for leaf in ["alice.crt", "bob.crt"] {
        tests::openssl(&sandbox, ["verify", "-CAfile", &root, "-untrusted", &chain, leaf]).success();
    }
    assert!(std::fs::read_to_string(&chain).unwrap().ends_with(&std::fs::read_to_string(&root).unwrap()));
}

#[test]
fn the_old_generation_is_revoked_on_the_roots_list_and_the_current_one_is_not() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let listed = sandbox.pki(["ca", "list", "--json"]).success().json();
    let old =
        listed.as_array().unwrap().iter().find(|one| one["role"] == "issuing").unwrap()["key_id"].clone();
    let old = old.as_str().unwrap();
    let refused = sandbox.pki(["ca", "revoke", old]).failure(4);
    assert!(refused.says("rotate"), "{refused}");
    sandbox.pki(["ca", "rotate"]).success();
    sandbox.pki(["issue-client", "bob"]).success();
    sandbox.pki(["ca", "revoke", &old[..16], "--reason", "cACompromise"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "bob");
    let verdict = tests::openssl_verify(&sandbox, Purpose::Client, "alice").failure(2);
    assert!(verdict.stderr.contains("error 23 at 1 depth lookup: certificate revoked"), "{verdict}");
}

#[test]
fn with_the_root_in_a_drawer_everything_still_works() {
    let sandbox = Sandbox::with_pki();
    let drawer = sandbox.root().join("drawer");
    std::fs::create_dir(&drawer).unwrap();
    let root_key = drawer.join("root.key").display().to_string();
    let inside = sandbox.dir().join("cas/root.key").display().to_string();
    sandbox.pki(["ca", "root-offline", "--out", &inside]).failure(2);
    assert!(!sandbox.dir().join("cas/root.key").exists() && sandbox.dir().join("keys/root.key").exists());
    sandbox.pki(["ca", "root-offline", "--out", &root_key]).success();
    assert!(!sandbox.dir().join("keys/root.key").exists());
    assert!(
        states(&sandbox).contains(&("root".into(), "current".into(), "elsewhere".into())),
        "{:?}",
        states(&sandbox)
    );
    // The root's list is good for a year from now.
    let root_list = sandbox.dir().join("root.crl");
    let shown = sandbox.pki(["crl", "show", "--json"]).success().json();
    let root = shown.as_array().unwrap().iter().find(|list| list["role"] == "root").unwrap();
    let (this, next) = (root["this_update"].as_str().unwrap(), root["next_update"].as_str().unwrap());
    let year = |moment: &str| moment[..4].parse::<i32>().unwrap();
    assert_eq!(year(next), year(this) + 1, "{root}");

    // Issuance and revocation need no root.
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["issue-client", "bob"]).success();
    sandbox.pki(["revoke", "bob"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");

    // A rotation: the CSR goes to the root, its certificate comes back.
    sandbox.pki(["ca", "rotate"]).failure(4);
    sandbox.pki(["ca", "rotate", "--csr-out", "next.csr"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    let elsewhere = Sandbox::new();
    for (from, to) in [(sandbox.file("next.csr"), "next.csr"), (sandbox.dir().join("root.crt"), "root.crt")] {
        std::fs::copy(from, elsewhere.file(to)).unwrap();
    }
    elsewhere
        .pki([
            "ca",
            "sign-issuing",
            "next.csr",
            "--root-cert",
            "root.crt",
            "--root-key",
            &root_key,
            "--out",
            "next.crt",
        ])
        .success();
    std::fs::copy(elsewhere.file("next.crt"), sandbox.file("next.crt")).unwrap();
    sandbox.pki(["ca", "install", "next.crt"]).success();
    sandbox.pki(["issue-client", "carol"]).success();
    for name in ["alice", "carol"] {
        openssl_accepts(&sandbox, Purpose::Client, name);
    }
    openssl_finds_revoked(&sandbox, Purpose::Client, "bob");

    // The root's list is signed where the key is.
    let before = std::fs::read(&root_list).unwrap();
    sandbox.pki(["crl", "publish", "--root", "--root-key", &root_key]).success();
    assert_ne!(before, std::fs::read(&root_list).unwrap());
    openssl_accepts(&sandbox, Purpose::Client, "carol");
}

#[test]
fn init_hands_the_root_key_out_at_once() {
    let sandbox = Sandbox::new();
    let root_key = sandbox.root().join("root.key");
    sandbox.pki(["init", "--name", "Example", "--root-key-out", root_key.to_str().unwrap()]).success();
    assert!(root_key.exists() && !sandbox.dir().join("keys/root.key").exists());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&root_key).unwrap().permissions().mode() & 0o777, 0o600);
    sandbox.pki(["issue-client", "alice"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
}

#[test]
fn a_certificate_that_the_root_did_not_make_for_us_is_not_installed() {
    let (ours, theirs) = (Sandbox::with_pki(), Sandbox::with_pki());
    ours.pki(["ca", "rotate", "--csr-out", "next.csr"]).success();
    let before = states(&ours);
    // Another root, of the very same name, signs our CSR.
    std::fs::copy(ours.file("next.csr"), theirs.file("next.csr")).unwrap();
    let at = |name: &str| theirs.dir().join(name).display().to_string();
    theirs
        .pki([
            "ca",
            "sign-issuing",
            "next.csr",
            "--root-cert",
            &at("root.crt"),
            "--root-key",
            &at("keys/root.key"),
            "--out",
            "next.crt",
        ])
        .success();
    for wrong in [theirs.file("next.crt"), theirs.dir().join("ca.crt"), ours.dir().join("root.crt")] {
        let refused = ours.pki(["ca", "install", wrong.to_str().unwrap()]);
        assert!(refused.code == 2 || refused.code == 3 || refused.code == 4, "{refused}");
        assert!(refused.says("hint:"), "{refused}");
    }
    assert_eq!(before, states(&ours));
}

#[test]
fn an_authority_that_awaits_its_certificate_has_no_end_yet() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["ca", "rotate", "--csr-out", "next.csr"]).success();
    let listed = sandbox.pki(["ca", "list"]).success().stdout;
    let awaiting = listed.lines().find(|line| line.contains("awaiting-certificate")).unwrap();
    assert!(awaiting.contains(" - ") && !awaiting.contains("ago"), "{awaiting}");
}

#[test]
fn what_the_roots_machine_left_out_is_named_with_the_option_that_puts_it_in() {
    let sandbox = Sandbox::new();
    let names = ["--name-constraint", "example.org", "--name-constraint", "10.0.0.0/8"];
    sandbox.pki(["init", "--name", "Example"].iter().chain(&names)).success();
    let url = "http://pki.example.org";
    sandbox.pki(["config", "set", "core.public_url", url]).success();
    let said = sandbox.pki(["ca", "rotate", "--csr-out", "next.csr"]).success();
    let both = format!("{} {} --public-url {url}", names[..2].join(" "), names[2..].join(" "));
    assert!(said.stderr.contains(&both), "{said}");

    let at = |name: &str| sandbox.dir().join(name).display().to_string();
    let (root, key) = (at("root.crt"), at("keys/root.key"));
    let sign = |further: &[&str]| {
        let words = ["ca", "sign-issuing", "next.csr", "--root-cert", &root, "--root-key", &key];
        let words = words.iter().chain(&["--out", "next.crt", "--force"]).chain(further);
        sandbox.pki(words).success();
    };
    let before = states(&sandbox);
    sign(&["--public-url", url]);
    let refused = sandbox.pki(["ca", "install", "next.crt"]).failure(2);
    for words in ["held to these names: none", "only example.org, 10.0.0.0/8", "hint: sign the request again"]
    {
        assert!(refused.stderr.contains(words), "{words}: {refused}");
    }
    assert!(
        refused.stderr.contains("--name-constraint example.org --name-constraint 10.0.0.0/8"),
        "{refused}"
    );
    assert_eq!(before, states(&sandbox));

    sign(&names);
    let installed = sandbox.pki(["ca", "install", "next.crt"]).success();
    assert!(installed.stderr.contains(&format!("though core.public_url is {url}")), "{installed}");
    assert!(installed.stderr.contains("--public-url"), "{installed}");
    sandbox.pki(["ca", "rotate", "--csr-out", "next.csr"]).success();
    sign(&[names.as_slice(), &["--public-url", url]].concat());
    let installed = sandbox.pki(["ca", "install", "next.crt"]).success();
    assert!(!installed.says("core.public_url"), "{installed}");
}

#[test]
fn an_init_that_was_interrupted_after_the_roots_key_left_is_finished_by_the_same_command() {
    let sandbox = Sandbox::new();
    let root_key = sandbox.root().join("root.key").display().to_string();
    let words = ["init", "--name", "Example", "--key-type", "p256", "--root-key-out", &root_key];
    // Somebody else's key is in that place: it stays, whatever this directory has seen.
    sandbox.pki(["init", "--name", "Other", "--dir", "other", "--root-key-out", &root_key]).success();
    let theirs = std::fs::read(&root_key).unwrap();
    for _ in 0..2 {
        let refused = sandbox.pki(words).failure(4);
        assert!(refused.says("root.key") && refused.says("exist"), "{refused}");
    }
    assert_eq!(theirs, std::fs::read(&root_key).unwrap());
    std::fs::remove_file(&root_key).unwrap();

    // Killed between that key and the issuing CA's, and once more before anything is published.
    for (call, left) in [("renameat2:signal=KILL:when=3", false), ("renameat:signal=KILL:when=5", true)] {
        let _ = std::fs::remove_file(&root_key);
        let _ = std::fs::remove_dir_all(sandbox.dir());
        let mut killed = std::process::Command::new("strace");
        sandbox.surround(&mut killed);
        let program = sandbox.command(words);
        killed.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("inject={call}"));
        killed.arg(program.get_program()).args(program.get_args());
        assert_ne!(tests::run(&mut killed).code, 0);
        let ours = std::fs::read(&root_key).expect("the root's key is out");
        assert!(!sandbox.dir().join("root.crt").exists());
        assert_eq!(sandbox.dir().join("cas").exists(), left, "{call}");

        sandbox.pki(words).success();
        assert_eq!(ours, std::fs::read(&root_key).unwrap(), "the key of the root is another now");
        let kept: Vec<_> = std::fs::read_dir(sandbox.dir().join("keys")).unwrap().flatten().collect();
        assert_eq!(kept.len(), 2, "the issuing CA's key and the audit key: {kept:?}");
        sandbox.pki(["issue-client", "alice", "--force"]).success();
        openssl_accepts(&sandbox, Purpose::Client, "alice");
        sandbox.pki(["crl", "publish", "--root", "--root-key", &root_key]).success();
    }
}
