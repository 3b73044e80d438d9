//! "I decide who may connect."

use tests::{Sandbox, Service};

/// A service that clients could reach, with its certificate.
fn reachable(sandbox: &Sandbox) -> Service {
    sandbox.pki(["init", "--name", "Example"]).success();
    Service::start_with(sandbox, &["up"], &[])
}

fn names(output: &tests::Output) -> Vec<String> {
    let json = output.json();
    json.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_certificate_is_trusted_found_by_name_or_fingerprint_and_removed() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let added = sandbox.pki(["trust", "add", "alice.crt", "--name", "laptop", "--json"]).success().json();
    let fingerprint = added["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!((&added["name"], &added["status"]), (&"laptop".into(), &"trusted".into()));
    for word in ["laptop", &fingerprint[..8]] {
        assert_eq!(sandbox.pki(["trust", "show", word, "--json"]).success().json(), added);
    }
    let again = sandbox.pki(["trust", "add", "alice.crt"]).failure(4);
    assert!(again.says("Certificate already in trust store"), "{again}");
    sandbox.pki(["trust", "remove", "laptop"]).success();
    assert_eq!(names(&sandbox.pki(["trust", "list", "--json"]).success()), [""; 0]);
    let gone = sandbox.pki(["trust", "remove", "laptop"]).failure(3);
    assert!(gone.says("pki trust list"), "{gone}");
}

#[test]
fn the_one_that_is_meant_is_never_guessed() {
    let sandbox = Sandbox::with_pki();
    for name in ["alice", "bert"] {
        sandbox.pki(["issue-client", name]).success();
        sandbox.pki(["trust", "add", &format!("{name}.crt"), "--name", "laptop"]).success();
    }
    for words in [&["trust", "show", "laptop"][..], &["trust", "remove", "laptop"]] {
        let refused = sandbox.pki(words).failure(4);
        assert!(refused.says("laptop ("), "{refused}");
    }
    assert_eq!(names(&sandbox.pki(["trust", "list", "--json"]).success()), ["laptop", "laptop"]);
}

#[test]
fn a_removal_that_revokes_is_on_the_list_when_it_answers() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["trust", "add", "alice.crt"]).success();
    sandbox.pki(["trust", "remove", "alice", "--revoke", "--reason", "keyCompromise"]).success();
    tests::openssl_finds_revoked(&sandbox, tests::Purpose::Client, "alice");
    let back = sandbox.pki(["trust", "add", "alice.crt"]).failure(4);
    assert!(back.says("is revoked"), "{back}");
}

#[test]
fn a_word_is_a_file_or_a_name_by_one_rule() {
    let sandbox = Sandbox::new();
    let service = reachable(&sandbox);
    sandbox.pki(["issue-client", "alice"]).success();
    for missing in ["missing.crt", "missing.pem", "./missing", "some/where"] {
        let refused = sandbox.pki(["trust", "add", missing]).failure(3);
        assert!(refused.says(missing), "{refused}");
    }
    let token = sandbox.pki(["trust", "add", "alice", "--quiet"]).success();
    assert!(token.stdout.starts_with("eyJ") && token.stderr.is_empty(), "{token}");
    assert_eq!(token.stdout.lines().count(), 1);
    let named = sandbox.pki(["trust", "add", "--name", "bert", "--json"]).success().json();
    assert_eq!(named["token"]["name"], "bert");
    std::fs::rename(sandbox.file("alice.crt"), sandbox.file("carl")).unwrap();
    let by_file = sandbox.pki(["trust", "add", "carl", "--json"]).success().json();
    assert_eq!(by_file["name"], "alice", "a file that is there is a file");
    let asked = sandbox.pki(["trust", "add"]).failure(2);
    assert!(asked.says("pki trust add NAME"), "{asked}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn without_a_word_it_asks_for_the_clients_name() {
    let sandbox = Sandbox::new();
    let service = reachable(&sandbox);
    let asked = |answer: &str| {
        let question = [("name of the client: ", answer)];
        tests::at_terminal(&sandbox, &sandbox.command(["trust", "add"]), &question)
    };
    let nobody = asked("").failure(2);
    assert!(nobody.says("can't be empty"), "{nobody}");
    assert!(asked("alice").success().says("eyJ"));
    assert_eq!(names(&sandbox.pki(["trust", "list-tokens", "--json"]).success()), ["alice"]);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_token_names_the_service_and_its_addresses_and_is_shown_once() {
    let sandbox = Sandbox::new();
    let service = reachable(&sandbox);
    sandbox.pki(["config", "set", "core.external_address", "pki.example.org"]).success();
    sandbox.pki(["config", "set", "core.remote_token_expiry", "2d 3H"]).success();
    let token = sandbox.pki(["trust", "add", "alice", "--quiet"]).success().stdout;
    sandbox.write("token", token.trim());
    let decoded = tests::witness(&sandbox, "base64", ["-d", "token"]).success().stdout;
    let wire: serde_json::Value = serde_json::from_str(&decoded).unwrap();
    let der = ["x509", "-in", "pki/service/server.crt", "-noout", "-fingerprint", "-sha256"];
    let certificate = sandbox.dir().join("service/server.crt").display().to_string();
    let der = der.map(|word| if word.ends_with(".crt") { certificate.as_str() } else { word });
    let shown = tests::openssl(&sandbox, der).success().stdout.replace(':', "").to_lowercase();
    assert!(shown.contains(wire["fingerprint"].as_str().unwrap()), "{shown} {wire}");
    assert_eq!(wire["client_name"], "alice");
    assert_eq!(wire["addresses"][0], "pki.example.org:8443");
    assert!(wire["addresses"][1].as_str().unwrap().starts_with("127.0.0.1:"), "{wire}");
    let listed = sandbox.pki(["trust", "list-tokens", "--json"]).success();
    assert_eq!(names(&listed), ["alice"]);
    let secret = wire["secret"].as_str().unwrap();
    assert!(secret.len() == 64 && !listed.stdout.contains(secret), "{listed}");
    assert!(!sandbox.pki(["audit"]).success().stdout.contains(secret));
    sandbox.pki(["trust", "revoke-token", "alice"]).success();
    let gone = sandbox.pki(["trust", "revoke-token", "alice"]).failure(3);
    assert!(gone.says("list-tokens"), "{gone}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn an_entry_is_limited_to_projects_that_are_there() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let restricted = ["trust", "add", "alice.crt", "--restricted", "--projects", "web"];
    let refused = sandbox.pki(restricted).failure(3);
    assert!(refused.says("there is no project web") && refused.says("pki project create"), "{refused}");
    sandbox.pki(["project", "create", "web", "--allow-dns", "*.web.internal"]).success();
    let added = sandbox.pki(restricted.iter().chain(&["--json"])).success().json();
    assert_eq!((&added["restricted"], &added["projects"][0]), (&true.into(), &"web".into()));
    let used = sandbox.pki(["project", "remove", "web"]).failure(4);
    assert!(used.says("alice"), "{used}");
    let free = sandbox.pki(["trust", "edit", "alice", "--unrestricted", "--json"]).success().json();
    assert_eq!((&free["restricted"], &free["projects"]), (&false.into(), &serde_json::json!([])));
    sandbox.pki(["trust", "edit", "alice"]).failure(2);
    sandbox.pki(["trust", "add", "alice.crt", "--projects", "web"]).failure(2);
    sandbox.pki(["project", "remove", "web"]).success();
    assert_eq!(names(&sandbox.pki(["project", "list", "--json"]).success()), ["default"]);
    let outside = sandbox.pki(["issue-server", "www.web.internal", "--project", "web"]).failure(3);
    assert!(outside.says("there is no project web"), "{outside}");
}

#[test]
fn a_foreign_authority_comes_with_its_list_and_goes() {
    let (sandbox, foreign) = (Sandbox::with_pki(), Sandbox::with_pki());
    let path = |name: &str| foreign.dir().join(name).display().to_string();
    let (certificate, list) = (path("ca.crt"), path("ca.crl.der"));
    let wrong = sandbox.pki(["trust", "ca", "add", &certificate, "--crl", &path("root.crl")]).failure(2);
    assert!(wrong.says("no imported authority signed the list"), "{wrong}");
    assert_eq!(sandbox.pki(["trust", "ca", "list", "--json"]).success().stdout, "[]\n");
    sandbox.pki(["trust", "ca", "add", &certificate, "--crl", &list]).success();
    let listed = sandbox.pki(["trust", "ca", "list", "--json"]).success().json();
    assert_eq!(listed[0]["list"]["state"], "fresh", "{listed}");
    // PKI mode is on now: our own clients are strangers to it.
    sandbox.pki(["issue-client", "alice"]).success();
    let stranger = sandbox.pki(["trust", "add", "alice.crt"]).failure(4);
    assert!(stranger.says("no authority that counts in PKI mode"), "{stranger}");
    let key = listed[0]["key"].as_str().unwrap();
    sandbox.pki(["trust", "ca", "remove", &key[..8]]).success();
    sandbox.pki(["trust", "add", "alice.crt"]).success();
    let leaf = foreign.pki(["issue-client", "theirs"]).success();
    assert_eq!(leaf.code, 0);
    let no_authority = foreign.file("theirs.crt").display().to_string();
    sandbox.pki(["trust", "ca", "add", &no_authority]).failure(2);
}

#[test]
fn a_local_user_is_trusted_by_name_and_whoever_needs_it_not_is_told() {
    let sandbox = Sandbox::with_pki();
    let added = sandbox.pki(["trust", "add", "--local-user", "nobody", "--json"]).success().json();
    assert_eq!((&added["name"], &added["uid"]), (&"nobody".into(), &65534.into()));
    sandbox.pki(["trust", "add", "--local-user", "root"]).failure(2);
    sandbox.pki(["trust", "add", "--local-user", "no-such-user"]).failure(3);
    sandbox.pki(["trust", "remove", "nobody"]).success();
    let audit = sandbox.pki(["audit"]).success().stdout;
    assert!(audit.contains("trust add local-user=65534(nobody)"), "{audit}");
    assert!(audit.contains("trust remove nobody local-user=65534"), "{audit}");
}
