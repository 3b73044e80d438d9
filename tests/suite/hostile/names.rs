//! C6 to C11: names that mean something else than they seem to.

use tests::{Sandbox, openssl};

use super::Before;

fn server(sandbox: &Sandbox, name: &str) -> tests::Output {
    sandbox.pki(["issue-server", "--", name])
}

#[test]
fn c6_host_names_are_written_one_way_or_refused() {
    let sandbox = Sandbox::with_pki();
    let before = Before::of(&sandbox);
    let label = "x".repeat(64);
    let long = format!("{}.example.org", vec!["x".repeat(60); 4].join("."));
    for (name, reasons) in [
        ("", &["empty"][..]),
        ("a..example.org", &["empty", "dot"]),
        (".example.org", &["empty", "dot"]),
        (" www.example.org", &["space", "character"]),
        ("www.example.org ", &["space", "character"]),
        ("my_host.example.org", &["_"]),
        ("-www.example.org", &["hyphen"]),
        (&format!("{label}.example.org"), &["63"]),
        (&long, &["253"]),
    ] {
        before.refused(server(&sandbox, name), reasons);
    }
    let words = ["issue-server", "WWW.Example.ORG.", "--dns", "www.example.org", "--dns", "www.EXAMPLE.org."];
    sandbox.pki(words).success();
    let text = openssl(&sandbox, ["x509", "-in", "www.example.org.crt", "-noout", "-ext", "subjectAltName"])
        .success();
    assert_eq!(text.stdout.matches("DNS:").count(), 1, "{text}");
    assert!(text.stdout.contains("DNS:www.example.org\n"), "{text}");
}

#[test]
fn c7_control_characters_are_refused_and_never_echoed() {
    let sandbox = Sandbox::with_pki();
    let before = Before::of(&sandbox);
    for name in [
        "good\n.evil.example",
        "good\t.example",
        "good\u{7f}.example",
        "good\u{1b}[31m.example",
        "good\r.example",
    ] {
        before.refused(server(&sandbox, name), &["character", "control"]);
        before.refused(sandbox.pki(["issue-client", "--", name]), &["character", "control"]);
    }
    // NUL cannot stand in an argument, but in a table and in a request.
    sandbox.write("nul.csv", "name\ngood\0.evil.example\n");
    let output = sandbox.pki(["issue-server", "--from", "nul.csv", "--out", "nul", "--key-type", "p256"]);
    assert!(output.code == 1 || output.code == 2, "{output}");
    assert!(!output.stderr.contains('\0') && !output.stdout.contains('\0'), "{output:?}");
    assert_eq!(before.issued, super::issued(&sandbox));
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut wishes = rcgen::CertificateParams::default();
    let nul = rcgen::string::Ia5String::try_from("good\0.evil.example").unwrap();
    wishes.subject_alt_names = vec![rcgen::SanType::DnsName(nul)];
    sandbox.write("nul.csr", wishes.serialize_request(&key).unwrap().pem().unwrap());
    let before = Before::of(&sandbox);
    before.refused(sandbox.pki(["sign", "nul.csr", "--profile", "server"]), &["character", "control"]);
}

#[test]
fn c8_international_names_become_a_labels() {
    let sandbox = Sandbox::with_pki();
    let before = Before::of(&sandbox);
    for name in ["xn--zzzzzz--.example", "xn--a.example", "ab--cd.example"] {
        before.refused(server(&sandbox, name), &["xn--", "hyphen", "label"]);
    }
    sandbox.pki(["issue-server", "bücher.example", "--dns", "BÜCHER.example"]).success();
    let listed = sandbox.pki(["list", "--json"]).success().json();
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["names"] == serde_json::json!(["dns:xn--bcher-kva.example"])),
        "{listed:#}"
    );
    // Cyrillic а among Latin letters: issued or refused, but never silently.
    let output = server(&sandbox, "p\u{430}ypal.example");
    assert!(output.code != 0 || output.stderr.contains("warning"), "{output}");
}

#[test]
fn c9_wildcards_stand_for_one_whole_label_of_a_server() {
    let sandbox = Sandbox::with_pki();
    let before = Before::of(&sandbox);
    for name in ["*", "*.", "*.*.example.org", "a*.example.org", "www.*.org", "*.org"] {
        before.refused(server(&sandbox, name), &["wildcard", "*", "empty"]);
    }
    server(&sandbox, "*.example.org").success();
    let key_files: Vec<_> =
        std::fs::read_dir(sandbox.work()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(key_files.iter().all(|name| !name.to_str().unwrap().contains('*')), "{key_files:?}");
    let words = [
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "ed25519",
        "-subj",
        "/CN=x",
        "-addext",
        "subjectAltName=DNS:*.example.org",
    ];
    openssl(&sandbox, words.iter().chain(&["-keyout", "w.key", "-out", "w.csr"])).success();
    let before = Before::of(&sandbox);
    let words = ["sign", "w.csr", "--profile", "client", "--name", "alice", "--san", "dns:*.example.org"];
    before.refused(sandbox.pki(words), &["wildcard", "client", "dns"]);
}

#[test]
fn c10_addresses_are_addresses_and_names_are_names() {
    let sandbox = Sandbox::with_pki();
    let before = Before::of(&sandbox);
    for address in
        ["010.0.0.1", "0x7f.1", "1.2.3", "fe80::1%eth0", "::ffff:192.0.2.1", "192.0.2.1/24", "[::1]"]
    {
        let words = ["issue-server", "www.example.org", "--ip", address];
        before.refused(sandbox.pki(words), &["address"]);
    }
    for name in ["192.0.2.300", "0x7f.1", "1.2.3", "www.example.123"] {
        let words = ["issue-server", "www.example.org", "--dns", name];
        before.refused(sandbox.pki(words), &["address", "number"]);
    }
    let words = ["issue-server", "www.example.org", "--dns", "192.0.2.1"];
    before.refused(sandbox.pki(words), &["address", "number"]);
    sandbox.pki(["issue-server", "2001:DB8:0::1"]).success();
    let listed = sandbox.pki(["list", "--json", "--name", "2001*"]).success().json();
    assert_eq!(listed[0]["names"], serde_json::json!(["ip:2001:db8::1"]), "{listed:#}");
}

#[test]
fn c11_file_names_never_come_from_raw_names() {
    let sandbox = Sandbox::with_pki();
    let before = Before::of(&sandbox);
    for name in ["alice\u{202e}gnp.exe", "ali\u{200b}ce", "ali\nce", " alice"] {
        before.refused(sandbox.pki(["issue-client", "--", name]), &["character", "space"]);
    }
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".hidden",
        "a;rm -rf ~",
        "\"quoted\" 'name'",
        "-rf",
        "$(id)",
    ] {
        let out = sandbox.pki(["issue-client", "--out", "out", "--", name]);
        if out.code == 0 {
            assert!(
                sandbox
                    .pki(["list", "--json"])
                    .success()
                    .json()
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|one| one["name"] == name)
            );
        } else {
            assert_eq!(out.code, 2, "{out}");
        }
    }
    let mut files = Vec::new();
    for (path, _) in sandbox.contents() {
        if path.starts_with(sandbox.work()) {
            assert_eq!(path.parent().unwrap(), sandbox.file("out"), "{}", path.display());
            files.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(files.len() >= 6, "{files:?}");
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    assert!(files.iter().all(|name| name.chars().all(safe) && !name.starts_with(['.', '-'])), "{files:?}");
}
