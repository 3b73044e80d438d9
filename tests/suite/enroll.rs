//! "A machine without a PKI gets its certificate with a token, and renews it by itself."

use std::os::unix::fs::PermissionsExt;

use tests::trouble::Clock;
use tests::{Output, Sandbox, Service, openssl, run};

/// A service that clients could reach.
fn reachable(sandbox: &Sandbox) -> Service {
    sandbox.pki(["init", "--name", "Example"]).success();
    Service::start_with(sandbox, &["up"], &[])
}

/// A token, as the machine gets it.
#[track_caller]
fn token(server: &Sandbox, words: &[&str]) -> String {
    let made = server.pki([&["trust", "add", "--enroll", "--quiet"], words].concat()).success();
    made.stdout.trim().to_owned()
}

fn enroll(machine: &Sandbox, token: &str) -> Output {
    machine.pki(["enroll", token, "--out", "tls", "--key-type", "p256", "--no-timer"])
}

fn renew(machine: &Sandbox, more: &[&str]) -> Output {
    machine.pki([&["renew", "--self", "--out", "tls"], more].concat())
}

fn serial(machine: &Sandbox, name: &str) -> String {
    let file = format!("tls/{name}.crt");
    openssl(machine, ["x509", "-in", &file, "-noout", "-serial"]).success().stdout
}

/// Each file of the machine's folder, and its mode.
fn files(machine: &Sandbox) -> Vec<(String, u32)> {
    let read = std::fs::read_dir(machine.file("tls")).unwrap();
    let mut found: Vec<(String, u32)> = read
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    found.sort();
    found
}

/// What is in a token.
fn opened(machine: &Sandbox, token: &str) -> serde_json::Value {
    machine.write("token", token);
    let json = tests::witness(machine, "base64", ["-d", "token"]).success();
    std::fs::remove_file(machine.file("token")).unwrap();
    json.json()
}

#[test]
fn a_token_ends_in_files_that_openssl_verifies_and_is_used_up() {
    let (server, machine) = (Sandbox::new(), Sandbox::new());
    let service = reachable(&server);
    let words = ["db.internal", "--profile", "server", "--dns", "db", "--ip", "10.0.0.7", "--days", "30"];
    let token = token(&server, &words);
    let listed = server.pki(["trust", "list-tokens", "--json"]).success().json();
    assert_eq!(listed[0]["enrolment"]["names"][2], "ip:10.0.0.7", "{listed}");

    // Whatever is no request costs no token.
    let wire = opened(&machine, &token);
    let (address, secret) = (wire["addresses"][0].as_str().unwrap(), wire["secret"].as_str().unwrap());
    let asked = serde_json::json!({"secret": secret, "csr": "nothing"}).to_string();
    let url = format!("https://{address}/1.0/pki/enroll");
    let bad =
        tests::witness(&machine, "curl", ["-sk", "--data", &asked, "-w", "%{http_code}", &url]).success();
    assert!(bad.stdout.ends_with("400"), "{bad}");

    let enrolled = enroll(&machine, &token).success();
    assert!(
        enrolled.says("systemctl enable --now pki-renew@") || enrolled.says("--user enable"),
        "{enrolled}"
    );
    let expected = [
        ("db.internal-chain.crt", 0o644),
        ("db.internal-root.crt", 0o644),
        ("db.internal.crl", 0o644),
        ("db.internal.crt", 0o644),
        ("db.internal.enrolled", 0o644),
        ("db.internal.key", 0o600),
    ];
    let expected: Vec<(String, u32)> = expected.map(|(name, mode)| (name.to_owned(), mode)).into();
    assert_eq!(files(&machine), expected);
    let verify = [
        "verify",
        "-purpose",
        "sslserver",
        "-crl_check_all",
        "-CRLfile",
        "tls/db.internal.crl",
        "-CAfile",
        "tls/db.internal-root.crt",
        "-untrusted",
        "tls/db.internal-chain.crt",
        "tls/db.internal.crt",
    ];
    openssl(&machine, verify).success();
    let names = openssl(&machine, ["x509", "-in", "tls/db.internal.crt", "-noout", "-ext", "subjectAltName"]);
    assert!(names.says("DNS:db.internal, DNS:db, IP Address:10.0.0.7"), "{names}");
    assert!(!machine.dir().exists(), "there is no PKI");

    // Another machine comes too late; what is told is what is told of any word.
    let late = Sandbox::new();
    let refused = enroll(&late, &token).failure(5);
    assert!(refused.says("No matching certificate add operation found"), "{refused}");
    assert!(refused.says("pki trust add NAME --enroll"), "{refused}");
    assert_eq!(std::fs::read_dir(late.file("tls")).unwrap().count(), 0);
    let again = enroll(&machine, &token).failure(4);
    assert!(again.says("exists already"), "{again}");
    let audit = server.pki(["audit"]).success().stdout;
    assert!(audit.contains("issue server db.internal") && !audit.contains(secret), "{audit}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn of_two_machines_with_one_token_one_is_enrolled() {
    let (server, machines) = (Sandbox::new(), [Sandbox::new(), Sandbox::new()]);
    let service = reachable(&server);
    for round in 0..3 {
        let name = format!("web-{round}");
        let token = token(&server, &[&name]);
        let ended: Vec<Output> = std::thread::scope(|scope| {
            let running: Vec<_> =
                machines.iter().map(|machine| scope.spawn(|| enroll(machine, &token))).collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut codes: Vec<i32> = ended.iter().map(|one| one.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, 5], "{} {}", ended[0], ended[1]);
        let issued = server.pki(["show", &name, "--json"]).success().json();
        assert_eq!(issued.as_array().map(Vec::len), Some(1), "{issued}");
    }
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_lost_answer_is_asked_for_again_and_an_impostor_is_sent_nothing() {
    let (server, machine) = (Sandbox::new(), Sandbox::new());
    let service = reachable(&server);
    let token = token(&server, &["web"]);
    // The answer came, and the files did not get into place.
    std::fs::create_dir_all(machine.file("tls/web.enrolled/in-the-way")).unwrap();
    let failed = enroll(&machine, &token);
    assert!(failed.code != 0 && failed.says("the same command again"), "{failed}");
    std::fs::remove_dir_all(machine.file("tls/web.enrolled")).unwrap();
    let finished = enroll(&machine, &token).success();
    assert!(finished.says("finished an enrolment"), "{finished}");
    let issued = server.pki(["show", "web", "--json"]).success().json();
    assert_eq!(issued.as_array().map(Vec::len), Some(1), "{issued}");

    // The same token with another server's fingerprint: somebody in between.
    let second = self::token(&server, &["web-2"]);
    let mut wire = opened(&machine, &second);
    wire["fingerprint"] = "ab".repeat(32).into();
    machine.write("swapped", wire.to_string());
    let swapped = tests::witness(&machine, "base64", ["-w0", "swapped"]).success().stdout;
    let refused = enroll(&machine, &swapped).failure(7);
    assert!(
        refused.says("is not the service that is meant") && refused.says("nothing was sent"),
        "{refused}"
    );
    assert!(!machine.file("tls/.web-2.pending").exists());
    enroll(&machine, &second).success();

    // A token for trust is for something else, and so is a text that is none.
    let trust = server.pki(["trust", "add", "alice", "--quiet"]).success().stdout;
    let other = enroll(&machine, trust.trim()).failure(2);
    assert!(other.says("pki remote add"), "{other}");
    enroll(&machine, "nonsense").failure(2);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn it_renews_itself_when_due_replaces_everything_and_runs_the_command_until_it_succeeds() {
    let (server, machine) = (Sandbox::new(), Sandbox::new());
    let service = reachable(&server);
    enroll(&machine, &token(&server, &["web", "--trust"])).success();
    let (first, key) = (serial(&machine, "web"), machine.read("tls/web.key"));
    let told = renew(&machine, &["--exec", "echo ran >> ../ran"]).success();
    assert!(told.says("web is due") && !machine.file("ran").exists(), "{told}");
    assert_eq!(serial(&machine, "web"), first);

    // A command that fails is run again, also when nothing is due.
    let failed = renew(&machine, &["--force", "--exec", "exit 3"]).failure(7);
    assert!(failed.says("the certificate is renewed"), "{failed}");
    let second = serial(&machine, "web");
    assert!(second != first && machine.read("tls/web.key") != key);
    renew(&machine, &["--exec", "echo $PKI_NAME >> ../ran; test -r $PKI_KEY"]).success();
    renew(&machine, &["--exec", "echo again >> ../ran"]).success();
    assert_eq!(machine.read("ran"), "web\n");
    assert_eq!(serial(&machine, "web"), second);
    assert_eq!(files(&machine).len(), 6, "{:?}", files(&machine));
    openssl(
        &machine,
        ["verify", "-CAfile", "tls/web-root.crt", "-untrusted", "tls/web-chain.crt", "tls/web.crt"],
    )
    .success();

    // The entry went along, and stays one.
    let entries = server.pki(["trust", "list", "--json"]).success().json();
    let ours: Vec<_> = entries.as_array().unwrap().iter().filter(|entry| entry["name"] == "web").collect();
    assert_eq!((ours.len(), &ours[0]["origin"]), (1, &"enrolment".into()), "{entries}");
    assert_eq!(ours[0]["former"].as_array().map(Vec::len), Some(1), "{entries}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn whoever_is_revoked_or_expired_is_refused_and_told_what_to_do() {
    let (server, machine) = (Sandbox::new(), Sandbox::new());
    let service = reachable(&server);
    enroll(&machine, &token(&server, &["web.internal", "--profile", "server", "--days", "30"])).success();
    let before = files(&machine);
    let clock = Clock::new(&machine);
    let later = |to: &str, words: &[&str]| {
        clock.set(to);
        let mut command = machine.command([&["renew", "--self", "--out", "tls"], words].concat());
        command.envs(clock.environment());
        run(&mut command)
    };
    // The service goes by its own clock.
    let early = later("+25d", &[]).success();
    assert!(early.says("is due"), "{early}");
    // By that clock its lists are over, and those of before are as good.
    assert!(early.says("web.internal.crl stays as it was") && early.says("has run out"), "{early}");
    let expired = later("+31d", &[]).failure(4);
    assert!(expired.says("expired on") && expired.says("pki trust add NAME --enroll"), "{expired}");

    server.pki(["revoke", "web.internal"]).success();
    let revoked = renew(&machine, &["--force"]).failure(5);
    assert!(revoked.says("can't renew itself") && revoked.says("is revoked"), "{revoked}");
    assert!(revoked.says("pki trust add NAME --enroll"), "{revoked}");
    assert_eq!(files(&machine), before, "nothing is left behind");
    // The lists say so too.
    renew(&machine, &[]).success();
    let list = openssl(
        &machine,
        [
            "verify",
            "-crl_check",
            "-CRLfile",
            "tls/web.internal.crl",
            "-CAfile",
            "tls/web.internal-root.crt",
            "-untrusted",
            "tls/web.internal-chain.crt",
            "tls/web.internal.crt",
        ],
    );
    assert!(list.code != 0 && list.says("certificate revoked"), "{list}");
    // A new token brings it back, in the same place.
    let token = token(&server, &["web.internal", "--profile", "server"]);
    machine.pki(["enroll", &token, "--out", "tls", "--no-timer", "--force"]).success();
    assert_eq!(service.stop().code, 0);
}

#[test]
fn lists_that_cannot_be_relied_on_are_written_nowhere_and_the_same_command_finishes() {
    let (server, machine) = (Sandbox::new(), Sandbox::new());
    let service = reachable(&server);
    let token = token(&server, &["web.internal", "--days", "30"]);
    let clock = Clock::new(&machine);
    clock.set("+8d");
    let mut late = machine.command(["enroll", &token, "--out", "tls", "--key-type", "p256", "--no-timer"]);
    let refused = run(late.envs(clock.environment())).failure(7);
    assert!(refused.says("revocation lists can't be relied on") && refused.says("has run out"), "{refused}");
    assert!(refused.says("the same command again finishes this enrolment"), "{refused}");
    assert!(!machine.file("tls/web.internal.crl").exists() && !machine.file("tls/web.internal.crt").exists());
    let finished = enroll(&machine, &token).success();
    assert!(finished.says("finished an enrolment that had been interrupted"), "{finished}");
    assert!(machine.file("tls/web.internal.crl").exists());
    assert_eq!(service.stop().code, 0);
}

#[test]
fn the_service_may_renew_its_own_certificate_in_between_and_move() {
    let (server, machine) = (Sandbox::new(), Sandbox::new());
    let service = reachable(&server);
    enroll(&machine, &token(&server, &["web"])).success();
    // Its own certificate with another key: the root verifies it for the address.
    for file in ["server.crt", "server.key", "server-chain.crt"] {
        std::fs::remove_file(server.dir().join("service").join(file)).unwrap();
    }
    renew(&machine, &["--force"]).success();
    // Something else there: nothing is sent.
    let own = machine.file("tls/web.enrolled");
    let record = machine.read("tls/web.enrolled");
    let other = Sandbox::new();
    let foreign = reachable(&other);
    let elsewhere = other.pki(["config", "get", "core.https_address"]).success().stdout;
    let mut moved: serde_json::Value = serde_json::from_str(&record).unwrap();
    moved["addresses"] = serde_json::json!([elsewhere.trim()]);
    std::fs::write(&own, moved.to_string()).unwrap();
    let refused = renew(&machine, &["--force"]).failure(7);
    assert!(refused.says("is not the service that is meant"), "{refused}");
    std::fs::write(&own, record).unwrap();
    renew(&machine, &["--force"]).success();
    assert_eq!((service.stop().code, foreign.stop().code), (0, 0));
}

#[test]
fn a_project_holds_whoever_was_enrolled_into_it() {
    let server = Sandbox::new();
    let service = reachable(&server);
    server.pki(["project", "create", "web", "--allow-dns", "*.web.internal"]).success();
    let add = ["trust", "add", "--enroll", "--profile", "server", "--project", "web"];
    let outside = server.pki(add.iter().chain(&["www.example.org"])).failure(5);
    assert!(outside.says("does not allow the name"), "{outside}");
    server.pki(add.iter().chain(&["a.web.internal", "--restricted", "--projects", "web"])).failure(2);
    let token = token(&server, &["a.web.internal", "--profile", "server", "--project", "web"]);
    let machine = Sandbox::new();
    enroll(&machine, &token).success();
    let shown = server.pki(["show", "a.web.internal", "--json"]).success().json();
    assert_eq!(shown[0]["certificate"]["project"], "web", "{shown}");
    let used = server.pki(["project", "remove", "web"]);
    assert_eq!(used.code, 0, "{used}");
    // Without its project nothing more is issued in it, not even by itself.
    let gone = renew(&machine, &["--force"]).failure(3);
    assert!(gone.says("there is no project web"), "{gone}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_client_may_be_trusted_from_the_moment_it_is_issued() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice", "--trust", "--restricted", "--projects", "default"]).success();
    let entries = sandbox.pki(["trust", "list", "--json"]).success().json();
    assert_eq!(
        (&entries[0]["name"], &entries[0]["origin"]),
        (&"alice".into(), &"issued".into()),
        "{entries}"
    );
    assert_eq!((&entries[0]["restricted"], &entries[0]["status"]), (&true.into(), &"trusted".into()));
    sandbox.pki(["issue-client", "bert"]).success();
    assert_eq!(sandbox.pki(["trust", "list", "--json"]).success().json().as_array().map(Vec::len), Some(1));
}

#[test]
fn the_timer_is_switched_on_by_systemctl_where_there_is_one() {
    let (server, machine) = (Sandbox::new(), Sandbox::new());
    let service = reachable(&server);
    // One that notes what it is told.
    let stub = machine.root().join("bin/systemctl");
    std::fs::create_dir_all(stub.parent().unwrap()).unwrap();
    std::fs::write(&stub, format!("#!/bin/sh\necho \"$@\" > {}\n", machine.file("told").display())).unwrap();
    std::fs::set_permissions(&stub, PermissionsExt::from_mode(0o755)).unwrap();
    let token = token(&server, &["web"]);
    let mut command = machine.command(["enroll", &token, "--out", "tls"]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", stub.parent().unwrap().display()));
    let enrolled = run(&mut command).success();
    assert!(enrolled.says("renews it at two thirds of its life"), "{enrolled}");
    let folder = machine.file("tls").display().to_string();
    let escaped = tests::witness(&machine, "systemd-escape", ["--path", &folder]).success().stdout;
    let unit = format!("pki-renew@{}.timer", escaped.trim());
    assert!(
        machine.read("told").trim().ends_with(&format!("enable --now {unit}")),
        "{}",
        machine.read("told")
    );
    assert_eq!(service.stop().code, 0);
}
