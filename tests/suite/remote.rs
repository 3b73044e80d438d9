//! "On my own machine I work with the PKI of another." The client side: `pki remote`, `pki --remote NAME`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use ca::cert::Certificate;
use tests::{Output, Program, Sandbox, Service, at_terminal, free_port, run};
use trust::token::{Secret, WireToken};

/// A service with HTTPS, and its address.
struct Site {
    sandbox: Sandbox,
    service: Service,
    address: String,
}

fn site() -> Site {
    site_at("127.0.0.1")
}

fn site_at(host: &str) -> Site {
    let sandbox = Sandbox::with_pki();
    let address = format!("{host}:{}", free_port());
    sandbox.pki(["config", "set", "core.https_address", &address]).success();
    let service = Service::start(&sandbox);
    Site { sandbox, service, address }
}

impl Site {
    fn token(&self, name: &str) -> String {
        self.sandbox.pki(["trust", "add", name]).success().stdout.trim().to_owned()
    }

    /// SHA-256 of the certificate that the service shows.
    fn fingerprint(&self) -> String {
        let pem = std::fs::read(self.sandbox.dir().join("service/server.crt")).unwrap();
        Certificate::from_pem(&pem).unwrap().fingerprint().to_string()
    }

    fn forget(&self, names: &[&str]) {
        for name in names {
            std::fs::remove_file(self.sandbox.dir().join("service").join(name)).unwrap();
        }
    }

    fn user(&self, name: &str) -> User<'_> {
        let home = self.sandbox.root().join(format!("user-{name}"));
        std::fs::create_dir(&home).unwrap();
        User { sandbox: &self.sandbox, home }
    }

    /// A user who is let in by a token, with the remote `office`.
    fn admitted(&self, name: &str) -> User<'_> {
        let user = self.user(name);
        user.pki(&["remote", "add", "office", &self.token(name)]).success();
        user
    }
}

/// Somebody on another machine, as far as `pki` can tell: a home of their own, and no PKI.
struct User<'s> {
    sandbox: &'s Sandbox,
    home: PathBuf,
}

impl User<'_> {
    fn surround(&self, command: &mut Command) {
        self.sandbox.surround(command);
        command.env("HOME", &self.home).env("USER", "someone").env_remove("PKI_DIR").current_dir(&self.home);
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(Program::Shipped.path());
        self.surround(&mut command);
        command.args(words);
        command
    }

    fn pki(&self, words: &[&str]) -> Output {
        run(&mut self.command(words))
    }

    /// At a terminal, where each question that is named is met with its answer.
    fn at_a_terminal(&self, words: &[&str], answers: &[(&str, &str)]) -> Output {
        at_terminal(self.sandbox, &self.command(words), answers)
    }

    fn config(&self) -> PathBuf {
        self.home.join(".config/pki")
    }

    /// The files of its client folder that tell of servers.
    fn knows(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["remotes", "servercerts"] {
            for entry in std::fs::read_dir(self.config().join(folder)).into_iter().flatten() {
                found.push(format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy()));
            }
        }
        found.sort();
        found
    }
}

const NOBODY: &[String] = &[];
/// What is asked of whoever sees a fingerprint.
const COMPARED: &str = "(yes/no/[fingerprint]): ";
/// What is asked of whoever is not trusted.
const WHICH_TOKEN: &str = "trust token or passphrase for office (nothing to give up): ";

#[test]
fn a_token_adds_a_remote_and_commands_run_there() {
    let site = site();
    let alice = site.user("alice");
    let token = site.token("alice");
    let added = alice.pki(&["remote", "add", "office", &token]).success();
    assert!(added.says(&site.fingerprint()) && added.says(&site.address), "{added}");
    assert_eq!(alice.knows(), ["remotes/office.json", "servercerts/office.crt"]);
    let mode =
        |name: &str| std::fs::metadata(alice.config().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("client.key"), 0o600);
    assert_eq!(mode("."), 0o700);

    // The key is made and stays here; the certificate comes from there.
    alice.pki(&["--remote", "office", "issue-client", "bob"]).success();
    assert!(alice.home.join("bob.key").exists());
    let listed = site.sandbox.pki(["list", "--json"]).success().json();
    assert!(listed.as_array().unwrap().iter().any(|found| found["name"] == "bob"), "{listed}");
    alice.pki(&["revoke", "bob", "--remote", "office"]).success();
    let info = alice.pki(&["--remote", "office", "info", "--json"]).success().json();
    assert_eq!(info["service"], true);
    assert_eq!(info["pid"], site.service.pid());

    // As after a command that was interrupted when its token was used up: the same one again finishes.
    alice.pki(&["remote", "remove", "office"]).success();
    let again = alice.pki(&["remote", "add", "office", &token]).success();
    assert!(again.says("the server trusted this client already"), "{again}");

    let eve = site.user("eve");
    let used = eve.pki(&["remote", "add", "office", &token]).failure(5);
    assert!(used.says("No matching certificate add operation found"), "{used}");
    assert!(used.says("hint:"), "{used}");
    assert_eq!(eve.knows(), NOBODY);
    assert_eq!(site.service.stop().code, 0);
}

#[test]
fn an_address_is_added_once_its_fingerprint_was_compared() {
    let site = site();
    let alice = site.user("alice");
    let add = ["remote", "add", "office", &site.address];
    let refused = alice.pki(&add).failure(5);
    assert!(refused.says(&site.fingerprint()) && refused.says("pki info"), "{refused}");
    assert_eq!(alice.knows(), NOBODY);
    let other = "ab".repeat(32);
    for answers in [&["no"][..], &[&other], &["", "perhaps", ""]] {
        let answers: Vec<(&str, &str)> = answers.iter().map(|&answer| (COMPARED, answer)).collect();
        let refused = alice.at_a_terminal(&add, &answers).failure(5);
        assert!(refused.says(&site.fingerprint()), "{refused}");
        assert_eq!(alice.knows(), NOBODY, "{answers:?}");
    }
    // Accepted, but not trusted, and nothing is typed for a token: nothing is left.
    let refused = alice.at_a_terminal(&add, &[(COMPARED, "yes"), (WHICH_TOKEN, "")]).failure(5);
    assert!(refused.says("does not trust this client") && refused.says("pki trust add"), "{refused}");
    let refused = alice.pki(&[&add[..], &["--accept-certificate"]].concat()).failure(5);
    assert!(refused.says("does not trust this client") && refused.says("client.crt"), "{refused}");
    assert_eq!(alice.knows(), NOBODY);
    // Whoever has no token and knows the passphrase types that.
    site.sandbox.pki(["set", "local.passphrase=correct horse"]).success();
    let bob = site.user("bob");
    let wrong = bob.at_a_terminal(&add, &[(COMPARED, "yes"), (WHICH_TOKEN, "wrong horse")]).failure(5);
    assert!(wrong.says("Passphrase is not correct") && !wrong.says("horse"), "{wrong}");
    assert_eq!(bob.knows(), NOBODY);
    bob.at_a_terminal(&add, &[(COMPARED, "yes"), (WHICH_TOKEN, "correct horse")]).success();
    bob.pki(&["--remote", "office", "list"]).success();
    let token = site.token("alice");
    let added =
        alice.at_a_terminal(&add, &[(COMPARED, &site.fingerprint()), (WHICH_TOKEN, &token)]).success();
    assert!(!added.says(&token), "a token is not shown: {added}");
    alice.pki(&["--remote", "office", "list"]).success();
    let again = alice.pki(&add).failure(4);
    assert!(again.says("already"), "{again}");
}

#[test]
fn a_server_whose_certificate_has_changed_is_refused_until_it_is_pinned_again() {
    let site = site();
    let alice = site.admitted("alice");
    let (before, token) = (site.fingerprint(), site.token("bob"));
    site.forget(&["server.crt", "server-chain.crt", "server.key"]);
    let refused = alice.pki(&["--remote", "office", "list"]).failure(7);
    let after = site.fingerprint();
    assert_ne!(before, after);
    for words in ["has changed", &before, &after, "pki remote repin office", "nothing was sent"] {
        assert!(refused.says(words), "{words}: {refused}");
    }
    // A token of before names the certificate of before.
    let bob = site.user("bob");
    let refused = bob.pki(&["remote", "add", "office", &token]).failure(7);
    assert!(
        refused.says("Certificate fingerprint mismatch between certificate token and server"),
        "{refused}"
    );
    assert_eq!(bob.knows(), NOBODY);
    assert!(site.sandbox.pki(["trust", "list-tokens"]).success().says("bob"), "it was not sent");

    alice.pki(&["remote", "repin", "office"]).failure(5);
    alice.at_a_terminal(&["remote", "repin", "office"], &[(COMPARED, "no")]).failure(5);
    alice.pki(&["--remote", "office", "list"]).failure(7);
    let pinned = alice.at_a_terminal(&["remote", "repin", "office"], &[(COMPARED, "yes")]).success();
    assert!(pinned.says(&before) && pinned.says(&after), "{pinned}");
    alice.pki(&["--remote", "office", "list"]).success();

    // With the key of before there is nothing to compare; still the user is told.
    site.forget(&["server.crt", "server-chain.crt"]);
    alice.pki(&["--remote", "office", "list"]).failure(7);
    alice.pki(&["remote", "repin", "office"]).success();
    alice.pki(&["--remote", "office", "list"]).success();
    let shown = alice.pki(&["remote", "show", "office", "--json"]).success().json();
    assert_eq!(shown["fingerprint"], site.fingerprint());
    // A pin that was lost is asked for again, not taken from whoever answers.
    std::fs::remove_file(alice.config().join("servercerts/office.crt")).unwrap();
    alice.pki(&["--remote", "office", "list"]).failure(3);
    alice.pki(&["remote", "repin", "office"]).failure(5);
}

#[test]
fn what_authorities_verify_is_not_asked_for_and_not_pinned() {
    let site = site();
    let root = site.sandbox.dir().join("root.crt");
    let alice = site.user("alice");
    std::fs::create_dir_all(alice.config()).unwrap();
    std::fs::copy(&root, alice.config().join("client.ca")).unwrap();
    let add = ["remote", "add", "office", &site.address];
    let refused = alice.pki(&add).failure(5);
    assert!(refused.says("does not trust this client") && !refused.says("--accept-certificate"), "{refused}");
    assert_eq!(alice.knows(), NOBODY);
    let certificate = alice.config().join("client.crt");
    site.sandbox.pki(["trust", "add", &certificate.to_string_lossy(), "--name", "alice"]).success();
    alice.pki(&add).success();
    assert_eq!(alice.knows(), ["remotes/office.json"]);
    let listed = alice.pki(&["remote", "list", "--json"]).success().json();
    assert_eq!(listed[0]["verified_by"], "client.ca");
    // A new certificate is as good as the old one.
    site.forget(&["server.crt", "server-chain.crt", "server.key"]);
    alice.pki(&["--remote", "office", "list"]).success();
    // Without its authorities the server is not known any more, and not trusted on sight either.
    std::fs::remove_file(alice.config().join("client.ca")).unwrap();
    let refused = alice.pki(&["--remote", "office", "list"]).failure(3);
    assert!(refused.says("client.ca"), "{refused}");
    // The authorities of another PKI verify another server.
    let stranger = Sandbox::with_pki();
    std::fs::copy(stranger.dir().join("root.crt"), alice.config().join("client.ca")).unwrap();
    let refused = alice.pki(&["--remote", "office", "list"]).failure(7);
    assert!(refused.says("is not verified") && refused.says("repin"), "{refused}");

    let bob = site.user("bob");
    let mut add = bob.command(&["remote", "add", "office", &site.token("bob")]);
    run(add.env("SSL_CERT_FILE", &root)).success();
    let mut list = bob.command(&["remote", "list", "--json"]);
    assert_eq!(run(&mut list).success().json()[0]["verified_by"], "system");
    run(bob.command(&["--remote", "office", "list"]).env("SSL_CERT_FILE", &root)).success();
}

#[test]
fn whoever_was_removed_or_revoked_is_refused() {
    let site = site();
    let alice = site.admitted("alice");
    alice.pki(&["--remote", "office", "list"]).success();
    site.sandbox.pki(["trust", "remove", "alice"]).success();
    let refused = alice.pki(&["--remote", "office", "list"]).failure(5);
    assert!(refused.says("not authorized: this client certificate is not trusted any more"), "{refused}");

    site.sandbox.pki(["issue-client", "carol"]).success();
    site.sandbox.pki(["trust", "add", "carol.crt", "--name", "carol"]).success();
    let carol = site.user("carol");
    std::fs::create_dir_all(carol.config()).unwrap();
    for (from, to) in [("carol.crt", "client.crt"), ("carol.key", "client.key")] {
        std::fs::copy(site.sandbox.file(from), carol.config().join(to)).unwrap();
    }
    let add = ["remote", "add", "office", &site.address, "--accept-certificate"];
    carol.pki(&add).success();
    carol.pki(&["--remote", "office", "list"]).success();
    site.sandbox.pki(["revoke", "carol"]).success();
    let refused = carol.pki(&["--remote", "office", "list"]).failure(5);
    assert!(refused.says("not authorized") && refused.says("pki trust add"), "{refused}");
    carol.pki(&["remote", "remove", "office"]).success();
    assert_eq!(carol.knows(), NOBODY);
    carol.pki(&add).failure(5);
    carol.pki(&["remote", "add", "office", &site.token("carol")]).failure(5);
    assert_eq!(carol.knows(), NOBODY);
}

#[test]
fn a_wrong_or_expired_token_leaves_nothing() {
    let site = site();
    let wire = WireToken::decode(&site.token("eve")).unwrap();
    let eve = site.user("eve");
    let guessed = WireToken { secret: Secret::presented(&"5e".repeat(32)), ..wire.clone() }.encode().unwrap();
    let refused = eve.pki(&["remote", "add", "office", &guessed]).failure(5);
    assert!(refused.says("No matching certificate add operation found"), "{refused}");
    let cut = &guessed[..guessed.len() - 9];
    let refused = eve.pki(&["remote", "add", "office", cut]).failure(2);
    assert!(refused.says("not a token"), "{refused}");
    eve.pki(&["remote", "add", "office", &site.address, "--token", "swordfish"]).failure(2);
    site.sandbox.pki(["config", "set", "core.remote_token_expiry", "1S"]).success();
    let late = site.token("late");
    let end = WireToken::decode(&late).unwrap().expires_at.unwrap();
    while server::clock::now() <= end + time::Duration::SECOND {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let refused = eve.pki(&["remote", "add", "office", &late]).failure(5);
    assert!(refused.says("Token has expired"), "{refused}");
    assert_eq!(eve.knows(), NOBODY);
    // Whoever is trusted uses a token up, and is told so.
    site.sandbox.pki(["config", "unset", "core.remote_token_expiry"]).success();
    eve.pki(&["remote", "add", "office", &site.token("eve")]).success();
    let again = eve.pki(&["remote", "add", "again", &site.token("again")]).success();
    assert!(again.says("already"), "{again}");
}

#[test]
fn every_address_of_a_token_is_tried_and_only_the_right_server_is_told_the_secret() {
    let (site, other) = (site(), site());
    let wire = WireToken::decode(&site.token("alice")).unwrap();
    let nobody = format!("127.0.0.1:{}", free_port());
    let with = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        WireToken { addresses, ..wire.clone() }.encode().unwrap().to_string()
    };
    let alice = site.user("alice");
    let refused = alice.pki(&["remote", "add", "office", &with(&[&nobody])]).failure(7);
    assert!(refused.says(&nobody), "{refused}");
    let refused = alice.pki(&["remote", "add", "office", &with(&[&other.address, &nobody])]).failure(7);
    assert!(refused.says("mismatch"), "{refused}");
    assert_eq!(alice.knows(), NOBODY);
    let token = with(&[&nobody, "not an address", &other.address, &site.address]);
    alice.pki(&["remote", "add", "office", &token]).success();
    let listed = alice.pki(&["remote", "list", "--json"]).success().json();
    assert_eq!(listed[0]["address"], site.address.as_str());
    // Where the service is found under another name, the address is given by hand.
    let port = site.address.rsplit_once(':').unwrap().1;
    let bob = WireToken::decode(&site.token("bob")).unwrap();
    let token = WireToken { addresses: vec![nobody], ..bob }.encode().unwrap();
    let address = format!("https://localhost:{port}");
    site.user("bob").pki(&["remote", "add", "office", &address, "--token", &token]).success();
}

#[test]
fn names_and_addresses_are_checked_before_anything_else() {
    let sandbox = Sandbox::new();
    for (name, place) in [
        ("../x", "localhost"),
        ("", "localhost"),
        (".x", "localhost"),
        ("x", "http://localhost"),
        ("x", "localhost:0"),
        ("x", "[::1"),
        ("x", "user@localhost"),
    ] {
        let refused = sandbox.pki(["remote", "add", name, place]).failure(2);
        assert!(refused.says("hint:"), "{refused}");
    }
    assert!(!sandbox.home().join(".config/pki/remotes").exists());
    sandbox.pki(["remote", "show", "nobody"]).failure(3);
    sandbox.pki(["remote", "remove", "nobody"]).failure(3);
    sandbox.pki(["remote", "repin", "nobody"]).failure(3);
    sandbox.pki(["--remote", "nobody", "list"]).failure(3);
    assert_eq!(sandbox.pki(["remote", "list", "--json"]).success().stdout, "[]\n");
}

#[test]
fn what_needs_the_files_of_the_pki_says_so() {
    let site = site();
    let alice = site.admitted("alice");
    for words in [&["init"][..], &["up"], &["serve"], &["passwd"], &["restore", "x"]] {
        let refused = alice.pki(&[&["--remote", "office"][..], words].concat()).failure(2);
        assert!(refused.says("works on the files of a PKI"), "{refused}");
    }
    let refused = alice.pki(&["--remote", "office", "--dir", "x", "list"]).failure(2);
    assert!(refused.says("--dir and --remote"), "{refused}");
    alice.pki(&["--remote", "office", "remote", "list"]).failure(2);
}

#[test]
fn a_pair_that_was_deleted_is_made_anew_and_is_a_stranger() {
    let site = site();
    let alice = site.admitted("alice");
    let path = alice.config().join("client.crt");
    let before = std::fs::read(&path).unwrap();
    // The certificate alone: the key still proves nothing to a server that knows the certificate.
    std::fs::remove_file(&path).unwrap();
    let refused = alice.pki(&["--remote", "office", "list"]).failure(5);
    assert!(refused.says("not authorized"), "{refused}");
    let after = std::fs::read(&path).unwrap();
    assert_ne!(before, after);
    let read = |pem: &[u8]| Certificate::from_pem(pem).unwrap();
    assert_eq!(read(&before).public_key(), read(&after).public_key());
    std::fs::remove_file(alice.config().join("client.key")).unwrap();
    alice.pki(&["--remote", "office", "list"]).failure(5);
    let made = read(&std::fs::read(&path).unwrap());
    assert_ne!(made.public_key(), read(&after).public_key());
    assert_eq!(made.public_key().key_type().to_string(), "p384");
    assert!(made.common_name().unwrap().starts_with("someone@"));
    alice.pki(&["remote", "remove", "office"]).success();
    alice.pki(&["remote", "add", "office", &site.token("alice-again")]).success();
    // A key that others can read is not used.
    let key = alice.config().join("client.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = alice.pki(&["--remote", "office", "list"]).failure(5);
    assert!(refused.says("chmod 600"), "{refused}");
}

#[test]
fn ipv6_and_another_folder_for_settings_work_and_old_tls_is_told_loudly() {
    let site = site_at("[::1]");
    let alice = site.user("alice");
    let folder = alice.home.join("settings");
    let run = |words: &[&str]| run(alice.command(words).env("XDG_CONFIG_HOME", &folder));
    run(&["remote", "add", "six", &site.address, "--token", &site.token("alice")]).success();
    assert!(folder.join("pki/remotes/six.json").exists() && !alice.config().exists());
    let quiet = run(&["--remote", "six", "list"]).success();
    assert!(!quiet.says("INSECURE"), "{quiet}");
    let mut loud = alice.command(&["--quiet", "--remote", "six", "list"]);
    let loud = tests::run(loud.env("XDG_CONFIG_HOME", &folder).env("PKI_INSECURE_TLS", "1")).success();
    assert!(loud.says("INSECURE"), "{loud}");
}

#[test]
fn the_server_says_what_to_compare_and_moves_when_it_is_told() {
    let site = site();
    let info = site.sandbox.pki(["info"]).success();
    assert!(info.says(&format!("https listener   {}", site.address)), "{info}");
    assert!(info.says(&format!("https sha256     {}", site.fingerprint())), "{info}");
    let alice = site.admitted("alice");
    // Somebody else listens there: refused at once, and nothing moves.
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap().to_string();
    let refused = alice.pki(&["--remote", "office", "config", "set", "core.https_address", &taken]);
    assert!(refused.code != 0 && refused.says(&taken) && refused.says("listens there"), "{refused}");
    site.sandbox.pki(["config", "set", "core.https_address", "nonsense"]).failure(2);
    alice.pki(&["--remote", "office", "list"]).success();
    // The answer comes over the listener that moves away.
    let next = format!("127.0.0.1:{}", free_port());
    alice.pki(&["--remote", "office", "config", "set", "core.https_address", &next]).success();
    let doctor = site.sandbox.pki(["doctor", "--json"]).json();
    assert!(doctor.to_string().contains(&format!("clients are served on {next}")), "{doctor}");
    let gone = alice.pki(&["--remote", "office", "list"]).failure(7);
    assert!(gone.says(&site.address), "{gone}");
    alice.pki(&["remote", "remove", "office"]).success();
    alice.pki(&["remote", "add", "office", &next, "--accept-certificate"]).success();
    alice.pki(&["--remote", "office", "config", "unset", "core.https_address"]).success();
    alice.pki(&["--remote", "office", "list"]).failure(7);
    let info = site.sandbox.pki(["info", "--json"]).success().json();
    assert!(info["https_address"].is_null() && info["https_fingerprint"].is_null(), "{info}");
}

#[test]
fn a_journal_that_was_rewritten_is_found_out_by_whoever_saw_more_of_it() {
    let Site { sandbox, service, .. } = site();
    let alice = User { sandbox: &sandbox, home: sandbox.root().join("user-alice") };
    std::fs::create_dir(&alice.home).unwrap();
    let token = sandbox.pki(["trust", "add", "alice"]).success().stdout.trim().to_owned();
    alice.pki(&["remote", "add", "office", &token]).success();
    let (directory, earlier) = (sandbox.dir(), sandbox.root().join("earlier"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    assert_eq!(service.stop().code, 0);
    copy(&directory, &earlier);
    let service = Service::start(&sandbox);
    alice.pki(&["--remote", "office", "issue-client", "bob", "--key-type", "p256"]).success();
    // What is seen is remembered at the next command, and each must continue it.
    alice.pki(&["--remote", "office", "list"]).success();
    assert_eq!(service.stop().code, 0);
    std::fs::remove_dir_all(&directory).unwrap();
    copy(&earlier, &directory);
    let service = Service::start(&sandbox);
    let refused = alice.pki(&["--remote", "office", "revoke", "bob"]).failure(7);
    assert!(refused.says("the journal of office was rewritten: it does not continue entry"), "{refused}");
    assert!(refused.says("pki remote repin office"), "{refused}");
    // Nobody else is kept from anything, and neither is whoever has asked what happened.
    alice.pki(&["remote", "repin", "office"]).success();
    assert!(!alice.pki(&["--remote", "office", "list"]).success().says("bob"));
    assert_eq!(service.stop().code, 0);
}
