//! "Ten thousand at once, and the power fails in the middle."

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::{Sandbox, Service};

/// Issues `rows` certificates, kills the command half-way `kills` times, and goes on with the same words.
fn killed_and_run_again(rows: usize, sandbox: &Sandbox) {
    let table: String = (0..rows).map(|number| format!("client-{number:05}\n")).collect();
    sandbox.write("many.csv", format!("name\n{table}"));
    let words = ["issue-client", "--from", "many.csv", "--key-type", "p256", "--out", "many"];
    let certificates = || {
        std::fs::read_dir(sandbox.file("many"))
            .map(|folder| {
                folder
                    .filter(|one| {
                        let name = one.as_ref().unwrap().file_name();
                        let name = name.to_str().unwrap();
                        name.ends_with(".crt") && !name.ends_with("-chain.crt")
                    })
                    .count()
            })
            .unwrap_or(0)
    };
    let mut child = sandbox.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while certificates() < rows / 2 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed, at {}", certificates());
        assert!(begun.elapsed() < Duration::from_secs(600), "too slow");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let half = certificates();
    assert!(half < rows, "killed too late");
    let second = sandbox.pki(words).success();
    assert!(second.says(&rows.to_string()) || second.says("10,000"), "a summary: {second}");

    let listed = sandbox.pki(["list", "--json", "--name", "client-*"]).success().json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), rows, "nothing was issued twice");
    let mut by_name = BTreeMap::new();
    for one in listed {
        by_name.insert(
            one["name"].as_str().unwrap().to_owned(),
            one["fingerprint"].as_str().unwrap().to_owned(),
        );
    }
    assert_eq!(by_name.len(), rows);
    for (name, fingerprint) in &by_name {
        let pem = std::fs::read_to_string(sandbox.file(&format!("many/{name}.crt"))).unwrap();
        let certificate = ca::cert::Certificate::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(&certificate.fingerprint().to_string(), fingerprint, "{name}");
        let key = std::fs::read_to_string(sandbox.file(&format!("many/{name}.key"))).unwrap();
        let key = ca::key::PrivateKey::from_pem(key.as_bytes(), None).unwrap();
        assert_eq!(
            key.public_key().spki_der(),
            certificate.public_key().spki_der(),
            "{name}: key and certificate"
        );
    }
    // A certificate, a key and a chain each, and nothing else.
    let whole = |name: &str| {
        let stem = name.trim_end_matches(".key").trim_end_matches(".crt").trim_end_matches("-chain");
        by_name.contains_key(stem)
    };
    let files = std::fs::read_dir(sandbox.file("many")).unwrap().map(|one| one.unwrap().file_name());
    let files: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
    let odd: Vec<_> = files.iter().filter(|name| !whole(name)).collect();
    assert!(odd.is_empty(), "left behind: {odd:?}");
    assert_eq!(files.len(), rows * 3);
}

#[test]
fn ten_thousand_certificates_killed_half_way_and_run_again() {
    killed_and_run_again(10_000, &Sandbox::with_pki());
}

#[test]
fn through_a_service_it_is_the_same() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    killed_and_run_again(500, &sandbox);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_third_run_changes_nothing() {
    let sandbox = Sandbox::with_pki();
    sandbox.write("some.csv", "name,email,days\nalice,alice@example.org,30\nbob,,\n");
    let words = ["issue-client", "--from", "some.csv", "--key-type", "p256", "--out", "some"];
    sandbox.pki(words).success();
    let before = sandbox.contents();
    sandbox.pki(words).success();
    let work = |contents: BTreeMap<std::path::PathBuf, Vec<u8>>| {
        contents.into_iter().filter(|(path, _)| path.starts_with(sandbox.work())).collect::<Vec<_>>()
    };
    assert!(work(before) == work(sandbox.contents()), "something was written");
    assert_eq!(
        sandbox.pki(["list", "--json", "--name", "alice"]).success().json().as_array().unwrap().len(),
        1
    );
}

#[test]
fn bad_rows_are_named_and_the_good_ones_issued() {
    let sandbox = Sandbox::with_pki();
    sandbox.write(
        "rows.csv",
        "name,email,days\nalice,alice@example.org,30\nbob,not an address,30\ncarol,,9999999\n,,\nalice,,\nerin,\ndave,,\n",
    );
    let output = sandbox.pki(["issue-client", "--from", "rows.csv", "--key-type", "p256", "--out", "rows"]);
    assert_eq!(output.code, 1, "{output}");
    for part in ["bob", "carol", "alice"] {
        assert!(output.says(part), "{part} is not named in {output}");
    }
    let there = |name: &str| sandbox.file(&format!("rows/{name}.crt")).exists();
    assert!(there("dave") && there("alice"), "{output}");
    assert!(!there("bob") && !there("carol") && !there("erin"), "{output}");
}

#[test]
fn servers_come_by_the_table_too() {
    let sandbox = Sandbox::with_pki();
    sandbox
        .write("servers.csv", "name,dns,ip\nwww.example.org,example.org,\ndb.internal,db,10.0.0.7;fd00::7\n");
    sandbox
        .pki(["issue-server", "--from", "servers.csv", "--key-type", "p256", "--out", "servers"])
        .success();
    let listed = sandbox.pki(["list", "--json", "--name", "db.internal"]).success().json();
    assert_eq!(
        listed[0]["names"],
        serde_json::json!(["dns:db.internal", "dns:db", "ip:10.0.0.7", "ip:fd00::7"]),
        "{listed:#}"
    );
}
