//! "The lists are what the rules say they are."

use tests::{Sandbox, openssl};

fn text_of(sandbox: &Sandbox, list: &str) -> String {
    let path = sandbox.dir().join(list);
    openssl(sandbox, ["crl", "-noout", "-text", "-in", path.to_str().unwrap()]).success().stdout
}

fn number_of(sandbox: &Sandbox, list: &str) -> u128 {
    let path = sandbox.dir().join(list);
    let shown =
        openssl(sandbox, ["crl", "-noout", "-crlnumber", "-in", path.to_str().unwrap()]).success().stdout;
    u128::from_str_radix(shown.trim().trim_start_matches("crlNumber=").trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn an_empty_list_has_no_entries_field_and_all_its_extensions() {
    let sandbox = Sandbox::with_pki();
    for list in ["ca.crl", "root.crl"] {
        let text = text_of(&sandbox, list);
        for part in [
            "Version 2",
            "No Revoked Certificates",
            "X509v3 CRL Number",
            "X509v3 Authority Key Identifier",
            "Next Update: ",
        ] {
            assert!(text.contains(part), "{list}: {part} is missing from\n{text}");
        }
    }
}

#[test]
fn the_number_rises_with_every_list_even_when_the_clock_falls() {
    let sandbox = Sandbox::with_pki();
    let mut last = number_of(&sandbox, "ca.crl");
    for _ in 0..3 {
        sandbox.pki(["crl", "publish"]).success();
        let next = number_of(&sandbox, "ca.crl");
        assert!(next > last, "{next} after {last}");
        last = next;
    }
    let mut command = std::process::Command::new("faketime");
    sandbox.surround(&mut command);
    command.args(["-f", "-10d"]).arg(tests::Program::Shipped.path()).args(["crl", "publish"]);
    let output = tests::run(&mut command);
    // Whether a list dated in the past is made at all is the clock check's to say; a lower number never is.
    assert!(number_of(&sandbox, "ca.crl") >= last, "{output}");
}

#[test]
fn serials_are_sorted_and_unique() {
    let sandbox = Sandbox::with_pki();
    for number in 0..12 {
        sandbox.pki(["issue-client", &format!("client-{number}"), "--key-type", "p256"]).success();
    }
    for number in [7, 3, 11, 0, 3] {
        sandbox.pki(["revoke", &format!("client-{number}.crt")]).success();
    }
    let text = text_of(&sandbox, "ca.crl");
    let serials: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("Serial Number: ")).collect();
    assert_eq!(serials.len(), 4, "{text}");
    assert!(serials.is_sorted(), "{serials:?}");
}

#[test]
fn chain_crl_holds_every_list_a_path_needs() {
    let sandbox = Sandbox::with_pki();
    let chain = std::fs::read_to_string(sandbox.dir().join("chain.crl")).unwrap();
    assert_eq!(chain.matches("BEGIN X509 CRL").count(), 2);
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["ca", "rotate"]).success();
    let chain = std::fs::read_to_string(sandbox.dir().join("chain.crl")).unwrap();
    assert_eq!(chain.matches("BEGIN X509 CRL").count(), 3, "the old generation has a live certificate");
    let root = std::fs::read_to_string(sandbox.dir().join("root.crl")).unwrap();
    assert!(chain.ends_with(&root), "the root's list comes last");
}

#[test]
fn crl_verify_accepts_ours_and_refuses_others() {
    let (ours, theirs) = (Sandbox::with_pki(), Sandbox::with_pki());
    let list = |sandbox: &Sandbox| sandbox.dir().join("ca.crl").display().to_string();
    ours.pki(["crl", "verify", &list(&ours)]).success();
    let refused = ours.pki(["crl", "verify", &list(&theirs)]);
    assert!(refused.code == 1 || refused.code == 2, "{refused}");
    let mut der = std::fs::read(ours.dir().join("ca.crl.der")).unwrap();
    let last = der.len() - 1;
    der[last] ^= 1;
    ours.write("bent.crl", &der);
    let refused = ours.pki(["crl", "verify", "bent.crl"]);
    assert!(refused.code == 1 || refused.code == 2, "{refused}");
}

#[test]
fn the_same_list_in_every_place() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["revoke", "alice"]).success();
    let shown = sandbox.pki(["crl", "show", "--json"]).success().json();
    let issuing = shown.as_array().unwrap().iter().find(|list| list["role"] == "issuing").unwrap();
    assert_eq!(issuing["entries"], 1);
    let der = std::fs::read(sandbox.dir().join("ca.crl.der")).unwrap();
    assert_eq!(issuing["size"], der.len());
    let key_id = issuing["issuer"].as_str().unwrap();
    assert_eq!(der, std::fs::read(sandbox.dir().join(format!("cas/{key_id}.crl"))).unwrap());
    assert_eq!(issuing["number"].as_str().unwrap().parse::<u128>().unwrap(), number_of(&sandbox, "ca.crl"));
    for file in ["ca.crl", "root.crl", "chain.crl"] {
        let path = sandbox.dir().join(file);
        assert!(std::fs::read_to_string(path).unwrap().starts_with("-----BEGIN X509 CRL-----\n"), "{file}");
    }
}

#[test]
fn readers_never_see_half_a_list() {
    let sandbox = Sandbox::with_pki();
    for number in 0..8 {
        sandbox.pki(["issue-client", &format!("client-{number}"), "--key-type", "p256"]).success();
    }
    let path = sandbox.dir().join("ca.crl");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0_u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let text = std::fs::read_to_string(&path).expect("the list is always there");
                assert!(text.starts_with("-----BEGIN X509 CRL-----\n"), "half a list:\n{text}");
                assert!(text.ends_with("-----END X509 CRL-----\n"), "half a list:\n{text}");
                seen += 1;
            }
            seen
        });
        for number in 0..8 {
            sandbox.pki(["revoke", &format!("client-{number}")]).success();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 100);
    });
}
