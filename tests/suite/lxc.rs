//! "The real `lxc` manages who may connect." LXD's own client, against our service, in a network of their own
//! that has loopback and nothing else. `docs/trust-tests.md` says which test shows what.

use ca::cert::Certificate;
use server::ops::trust::token::{TokenCreate, TokenCreated};
use server::ops::trust::view::RightsWanted;
use tests::trouble::Clock;
use tests::{Lxc, Network, Sandbox, Service, free_port, socket};

/// A service with HTTPS, and its address.
struct Site {
    sandbox: Sandbox,
    service: Service,
    address: String,
    clock: Clock,
    network: Network,
}

fn site() -> Site {
    let (sandbox, network) = (Sandbox::with_pki(), Network::new());
    let address = format!("127.0.0.1:{}", free_port());
    sandbox.pki(["config", "set", "core.https_address", &address]).success();
    let clock = Clock::new(&sandbox);
    let service = Service::start_within(&sandbox, &network, &clock.environment());
    Site { sandbox, service, address, clock, network }
}

impl Site {
    fn token_of(&self, name: &str, rights: RightsWanted) -> TokenCreated {
        let create = TokenCreate { name: name.to_owned(), rights };
        socket::call(&self.sandbox.dir().join("pki.socket"), &create).done()
    }

    fn token(&self, name: &str) -> String {
        self.token_of(name, RightsWanted::full()).secret
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A client that knows nobody yet.
    fn client(&self, name: &str) -> Lxc<'_> {
        Lxc::within(&self.sandbox, name, self.network.name())
    }

    /// The same with a certificate of ours.
    fn issued(&self, name: &str, words: &[&str]) -> Lxc<'_> {
        self.sandbox.pki([&["issue-client", name], words].concat()).success();
        let lxc = self.client(name);
        for end in ["crt", "key"] {
            let to = lxc.folder().join(format!("client.{end}"));
            std::fs::copy(self.sandbox.file(&format!("{name}.{end}")), to).unwrap();
        }
        lxc
    }

    /// A client that is let in as `name`, by the remote `r`.
    fn admitted(&self, name: &str) -> Lxc<'_> {
        let lxc = self.client(name);
        lxc.run(&["remote", "add", "r", &self.token(name)]).success();
        lxc
    }

    fn set(&self, key: &str, value: &str) {
        self.sandbox.pki(["config", "set", key, value]).success();
    }

    /// SHA-256 of the certificate that the service shows.
    fn fingerprint(&self) -> String {
        let pem = std::fs::read(self.sandbox.dir().join("service/server.crt")).unwrap();
        Certificate::from_pem(&pem).unwrap().fingerprint().to_string()
    }
}

/// The rows of `config trust list`, by their fields.
fn rows(lxc: &Lxc<'_>, remote: &str) -> Vec<Vec<String>> {
    let list = lxc.run(&["config", "trust", "list", remote, "-f", "csv"]).success();
    list.stdout.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_token_adds_a_remote_once() {
    let site = site();
    let token = site.token("alice");
    let alice = site.client("alice");
    alice.run(&["remote", "add", "r", &token]).success();
    let rows = rows(&alice, "r:");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&*rows[0][0], &*rows[0][1]), ("client", "alice"), "{rows:?}");
    let bob = site.client("bob");
    let again = bob.run(&["remote", "add", "r", &token]).failure(1);
    assert!(
        again.says("Failed to create certificate: No matching certificate add operation found"),
        "used: {again}"
    );
    assert!(bob.run(&["config", "trust", "list", "r:"]).code != 0);
    assert_eq!(site.service.stop().code, 0);
}

#[test]
fn an_address_and_its_fingerprint_add_a_remote() {
    let site = site();
    let alice = site.client("alice");
    let token = site.token("alice");
    let words = ["remote", "add", "r", &site.url(), "--password", &token];
    let refused = alice.run_with(&words, "n\n").failure(1);
    assert!(refused.says(&format!("Certificate fingerprint: {}", site.fingerprint())), "{refused}");
    assert!(refused.says("Server certificate NACKed by user"), "{refused}");
    let added = alice.run_with(&words, &format!("{}\n", site.fingerprint())).success();
    assert!(added.says("Client certificate now trusted by server: r"), "{added}");
    let bob = site.client("bob");
    let url = site.url();
    let words = ["remote", "add", "r", &url, "--accept-certificate", "--password"];
    let wrong = bob.run(&[&words[..], &["swordfish"]].concat()).failure(1);
    assert!(wrong.says("not authorized"), "{wrong}");
    bob.run(&[&words[..], &[&site.token("bob")]].concat()).success();
    assert_eq!(rows(&bob, "r:").len(), 2);
    let carol = site.client("carol");
    carol.run_with(&["remote", "add", "r", &url, "--password", &site.token("carol")], "y\n").success();
    // A server that is known and trusts whoever asks: no question at all.
    carol.run(&["remote", "add", "again", &url, "--accept-certificate"]).success();
    assert_eq!(rows(&carol, "again:").len(), 3);
}

#[test]
fn every_address_of_a_token_is_tried_and_what_it_carries_limits_whoever_redeems_it() {
    let site = site();
    let alice = site.admitted("alice");
    // Nobody listens at the address that comes first.
    site.set("core.external_address", &format!("127.0.0.1:{}", free_port()));
    alice.run(&["remote", "switch", "r"]).success();
    let add = ["config", "trust", "add", "--name", "bob", "--restricted", "--projects", "default", "-q"];
    let token = alice.run(&add).success();
    let bob = site.client("bob");
    bob.run(&["remote", "add", "r", token.stdout.trim()]).success();
    let fingerprint = |lxc: &Lxc<'_>| {
        let pem = std::fs::read(lxc.folder().join("client.crt")).unwrap();
        Certificate::from_pem(&pem).unwrap().fingerprint().to_string()
    };
    let shown = bob.run(&["config", "trust", "show", &format!("r:{}", fingerprint(&bob))]).success();
    assert!(shown.says("restricted: true") && shown.says("- default"), "{shown}");
    for whose in [fingerprint(&alice), fingerprint(&bob)] {
        bob.run(&["config", "trust", "remove", &format!("r:{whose}")]).failure(1);
    }
    bob.run(&["remote", "switch", "r"]).success();
    bob.run(&["config", "trust", "add", "--name", "carol", "-q"]).failure(1);
    let widened = shown.stdout.replace("restricted: true", "restricted: false");
    bob.run_with(&["config", "trust", "edit", &format!("r:{}", fingerprint(&bob))], &widened).failure(1);
    let shown = alice.run(&["config", "trust", "show", &format!("r:{}", fingerprint(&bob))]).success();
    assert!(shown.says("restricted: true"), "{shown}");
    assert_eq!(rows(&alice, "r:").len(), 2);
}

#[test]
fn whoever_is_removed_or_whose_certificate_is_over_is_a_stranger() {
    let site = site();
    let (alice, carol) = (site.admitted("alice"), site.issued("carol", &["--days", "2"]));
    site.sandbox.pki(["trust", "add", "carol.crt"]).success();
    let url = site.url();
    carol.run(&["remote", "add", "r", &url, "--accept-certificate"]).success();
    let is_refused = |lxc: &Lxc<'_>| {
        let refused = lxc.run(&["config", "trust", "list", "r:"]).failure(1);
        assert!(refused.says("Error: not authorized"), "{refused}");
        let about = lxc.run(&["info", "r:"]).success();
        assert!(about.says("auth: untrusted") && !about.says("auth: trusted"), "{about}");
    };
    assert_eq!(rows(&carol, "r:").len(), 2);
    // The service goes by its own clock.
    site.clock.set("+3d");
    is_refused(&carol);
    assert_eq!(rows(&alice, "r:").len(), 2);
    // Over, it is not taken by a token either, and the token is not lost.
    let token = site.token("carol");
    let again = carol.run(&["remote", "add", "again", &token]).failure(1);
    assert!(again.says("The provided certificate is expired"), "{again}");
    site.client("dora").run(&["remote", "add", "r", &token]).success();
    site.sandbox.pki(["trust", "remove", "alice"]).success();
    is_refused(&alice);
}

#[test]
fn a_certificate_of_ours_needs_no_entry_if_the_setting_says_so() {
    let site = site();
    let carol = site.issued("carol", &[]);
    std::fs::copy(site.sandbox.dir().join("root.crt"), carol.folder().join("client.ca")).unwrap();
    let url = site.url();
    let refused = carol.run(&["remote", "add", "r", &url, "--password", "x"]).failure(1);
    assert!(refused.says("not authorized"), "{refused}");
    site.set("core.trust_ca_certificates", "true");
    let added = carol.run(&["remote", "add", "r", &url]).success();
    assert!(!added.says("fingerprint") && !added.says("password"), "no question: {added}");
    assert!(rows(&carol, "r:").is_empty(), "no entry either");
    assert!(carol.run(&["info", "r:"]).success().says("auth: trusted"));
    // Revoked, it is refused at once, and no token helps it.
    site.sandbox.pki(["revoke", "carol"]).success();
    let refused = carol.run(&["config", "trust", "list", "r:"]).failure(1);
    assert!(refused.says("not authorized"), "{refused}");
    assert!(carol.run(&["info", "r:"]).success().says("auth: untrusted"));
    let again = site.client("carol-again");
    for name in ["client.crt", "client.key", "client.ca"] {
        std::fs::copy(carol.folder().join(name), again.folder().join(name)).unwrap();
    }
    let token = site.token("carol");
    let refused = again.run(&["remote", "add", "r", &token]).failure(1);
    assert!(refused.says("not authorized"), "{refused}");
    site.client("dave").run(&["remote", "add", "r", &token]).success();
}

#[test]
fn entries_are_added_shown_edited_and_removed() {
    let site = site();
    let alice = site.admitted("alice");
    let bob = site.client("bob");
    // It makes its certificate when it first needs one.
    bob.run(&["remote", "add", "r", &site.url(), "--accept-certificate", "--password", "x"]).failure(1);
    let file = bob.folder().join("client.crt").display().to_string();
    alice.run(&["config", "trust", "add", "r:", &file, "--name", "bob", "--restricted"]).success();
    let again = alice.run(&["config", "trust", "add", "r:", &file, "--name", "bob"]).failure(1);
    assert!(again.says("Certificate already in trust store"), "{again}");
    let fingerprint =
        Certificate::from_pem(&std::fs::read(&file).unwrap()).unwrap().fingerprint().to_string();
    let prefix = format!("r:{}", &fingerprint[..12]);
    let shown = alice.run(&["config", "trust", "show", &prefix]).success();
    for line in ["name: bob", "type: client", "restricted: true", "projects: []", &fingerprint] {
        assert!(shown.says(line), "{line}: {shown}");
    }
    let edited = shown
        .stdout
        .replace("name: bob", "name: bob's desk")
        .replace("restricted: true", "restricted: false");
    alice.run_with(&["config", "trust", "edit", &prefix], &edited).success();
    let shown = alice.run(&["config", "trust", "show", &prefix]).success();
    assert!(shown.says("name: bob's desk") && shown.says("restricted: false"), "{shown}");
    let nobody = alice.run(&["config", "trust", "show", "r:ffffffffffff"]).failure(1);
    assert!(nobody.says("Certificate not found"), "{nobody}");
    bob.run(&["remote", "add", "r", &site.url(), "--accept-certificate"]).success();
    assert_eq!(rows(&bob, "r:").len(), 2);
    alice.run(&["config", "trust", "remove", &prefix]).success();
    let refused = bob.run(&["config", "trust", "list", "r:"]).failure(1);
    assert!(refused.says("not authorized: this client certificate is not trusted any more"), "{refused}");
    assert_eq!(rows(&alice, "r:").len(), 1);
}

#[test]
fn tokens_are_made_listed_and_taken_back() {
    let site = site();
    let alice = site.admitted("alice");
    // `lxc` 5.0.2 takes a remote for a file here: only the default one works.
    alice.run(&["remote", "switch", "r"]).success();
    let token = alice.run(&["config", "trust", "add", "--name", "bob", "-q"]).success();
    let token = token.stdout.trim();
    let listed = alice.run(&["config", "trust", "list-tokens", "-f", "csv"]).success();
    assert!(listed.stdout.starts_with("bob,"), "{listed}");
    assert!(!listed.stdout.contains(token), "the secret is told once: {listed}");
    site.client("bob").run(&["remote", "add", "r", token]).success();
    assert_eq!(alice.run(&["config", "trust", "list-tokens", "-f", "csv"]).success().stdout, "");

    let token = alice.run(&["config", "trust", "add", "--name", "carol", "-q"]).success();
    let taken = alice.run(&["config", "trust", "revoke-token", "r:carol"]).success();
    assert!(taken.says("Certificate add token for carol deleted"), "{taken}");
    assert!(alice.run(&["config", "trust", "revoke-token", "r:carol"]).code != 0);
    let refused = site.client("carol").run(&["remote", "add", "r", token.stdout.trim()]).failure(1);
    assert!(refused.says("No matching certificate add operation found"), "{refused}");
    // Tokens outlive the service.
    let kept = site.token("dave");
    let Site { sandbox, service, clock, network, .. } = site;
    assert_eq!(service.stop().code, 0);
    let _service = Service::start_within(&sandbox, &network, &clock.environment());
    Lxc::within(&sandbox, "dave", network.name()).run(&["remote", "add", "r", &kept]).success();
}

#[test]
fn a_wrong_and_an_expired_token_let_nobody_in() {
    let site = site();
    site.set("core.remote_token_expiry", "1S");
    let expired = site.token_of("late", RightsWanted::full());
    let end = expired.token.expires_at.unwrap();
    while server::clock::now() <= end + time::Duration::SECOND {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let late = site.client("late").run(&["remote", "add", "r", &expired.secret]).failure(1);
    assert!(
        late.says("Failed during search for certificate add token operation: Token has expired"),
        "{late}"
    );
    // The right form, and a secret that nobody was given.
    site.set("core.remote_token_expiry", "1d");
    let wire = trust::token::WireToken::decode(&site.token("eve")).unwrap();
    let secret = trust::token::Secret::presented(&"5e".repeat(32));
    let guessed = trust::token::WireToken { secret, ..wire }.encode().unwrap();
    let eve = site.client("eve").run(&["remote", "add", "r", &guessed]).failure(1);
    assert!(eve.says("No matching certificate add operation found"), "{eve}");
}

#[test]
fn a_server_whose_certificate_has_changed_is_refused() {
    let site = site();
    let alice = site.admitted("alice");
    let before = site.fingerprint();
    let token = site.token("bob");
    for name in ["server.crt", "server-chain.crt", "server.key"] {
        std::fs::remove_file(site.sandbox.dir().join("service").join(name)).unwrap();
    }
    let refused = alice.run(&["config", "trust", "list", "r:"]).failure(1);
    assert!(refused.says("x509: certificate signed by unknown authority"), "{refused}");
    assert_ne!(site.fingerprint(), before);
    let bob = site.client("bob").run(&["remote", "add", "r", &token]).failure(1);
    assert!(bob.says("Certificate fingerprint mismatch between certificate token and server"), "{bob}");
    // Whoever learns the new one is served again: what was trusted still is.
    let learned = std::fs::read(site.sandbox.dir().join("service/server.crt")).unwrap();
    std::fs::write(alice.folder().join("servercerts/r.crt"), learned).unwrap();
    assert_eq!(rows(&alice, "r:").len(), 1);
}

#[test]
fn monitor_shows_that_a_certificate_was_added_and_ends_with_what_let_it_in() {
    let site = site();
    let alice = site.admitted("alice");
    site.sandbox.pki(["issue-client", "bob", "--key-type", "p256"]).success();
    let said = site.sandbox.file("said");
    let mut monitor =
        alice.start(&["monitor", "r:", "--type=lifecycle"], std::fs::File::create(&said).unwrap());
    let told = || std::fs::read_to_string(&said).unwrap();
    // It says nothing when it is ready, and what is done before it misses.
    for _ in 0..100 {
        site.sandbox.pki(["trust", "add", "bob.crt"]).success();
        site.sandbox.pki(["trust", "remove", "bob"]).success();
        if told().contains("certificate-created") && told().contains("certificate-deleted") {
            break;
        }
    }
    assert!(told().contains("action: certificate-created"), "{}", told());
    assert!(told().contains("source: /1.0/certificates/"), "{}", told());
    assert!(!told().contains("type: operation"), "{}", told());
    site.sandbox.pki(["trust", "remove", "alice"]).success();
    let mut ended = false;
    for _ in 0..200 {
        ended = ended || monitor.try_wait().unwrap().is_some();
        std::thread::sleep(std::time::Duration::from_millis(if ended { 0 } else { 50 }));
    }
    drop(monitor.kill());
    drop(monitor.wait());
    assert!(ended, "whoever is removed is told nothing more");
    // The removal itself is not told to whom it is about.
    assert_eq!(site.service.stop().code, 0);
}
