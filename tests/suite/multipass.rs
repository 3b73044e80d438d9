//! "What Multipass's pages show, works here": their transcripts with our name in place of theirs.
//!
//! Two things differ, and are meant to. Who may not set the passphrase is told so before they type it twice. And
//! `foo`, the pages' passphrase, is too short here: 8 characters at least are asked for.

use std::fmt::Write as _;
use std::process::Command;

use tests::{Output, Sandbox, Service, at_terminal, filters, run};

use crate::local_users::{GROUP, by, command, home, open, served};

/// Who is locked out: somebody else came first.
const LOCKED_OUT: u32 = 1002;

const LIST: &str = "$ multipass list
list failed: The client is not authenticated with the Multipass service.
Please use 'multipass authenticate' before proceeding.
";

const AUTHENTICATE: &str = "$ multipass authenticate
Please enter passphrase: 
authenticate failed: Passphrase is not set. Please `multipass set local.passphrase` with a trusted client.
";

const SET: &str = "$ multipass set local.passphrase
Please enter passphrase: 
Please re-enter passphrase: 
set failed: The client is not authenticated with the Multipass service.
Please use 'multipass authenticate' before proceeding.
";

/// Where nothing is refused the pages show the prompts, and nothing behind them.
const SET_IT: &str = "$ multipass set local.passphrase
Please enter passphrase: 
Please re-enter passphrase: 
";

const GIVE_IT: &str = "$ multipass authenticate
Please enter passphrase: 
";

/// A transcript of theirs with our name in it.
fn ours(theirs: &str) -> String {
    theirs.replace("multipass", "pki").replace("Multipass", "pki")
}

/// One command, as a user sees it at a terminal.
fn typed(uid: u32, sandbox: &Sandbox, words: &[&str], answers: &[(&str, &str)]) -> String {
    let output = at_terminal(sandbox, &command(uid, "", sandbox, words), answers);
    format!("$ pki {}\n{}", words.join(" "), output.stdout)
}

/// A service that somebody else was first at.
fn taken() -> (Sandbox, Service) {
    let (sandbox, service) = served();
    by(1001, GROUP, &sandbox, &["list"]).success();
    open(&sandbox);
    (sandbox, service)
}

#[track_caller]
fn seen(sandbox: &Sandbox, name: &str, transcript: &str) {
    let filters = filters(sandbox);
    let filters: Vec<(&str, &str)> =
        filters.iter().map(|(pattern, shown)| (pattern.as_str(), *shown)).collect();
    insta::with_settings!({ filters => filters, omit_expression => true }, {
        insta::assert_snapshot!(name, transcript);
    });
}

#[test]
fn the_loop_looks_as_on_the_page_but_for_the_prompts_that_are_in_vain() {
    let (sandbox, service) = taken();
    let prompt = ("Please enter passphrase: ", "in vain");
    let list = typed(LOCKED_OUT, &sandbox, &["list"], &[]);
    let authenticate = typed(LOCKED_OUT, &sandbox, &["authenticate"], &[prompt]);
    let set = typed(LOCKED_OUT, &sandbox, &["set", "local.passphrase"], &[]);
    assert_eq!(list, ours(LIST));
    assert_eq!(authenticate, ours(AUTHENTICATE));
    let in_vain = "Please enter passphrase: \nPlease re-enter passphrase: \n";
    assert_eq!(set, ours(SET).replace(in_vain, ""), "the one difference");
    seen(&sandbox, "dead_loop", &(list + &authenticate + &set));
    assert_eq!(service.stop().code, 0);
}

#[test]
fn setting_the_passphrase_and_authenticating_look_as_on_the_page() {
    let (sandbox, service) = taken();
    let (once, twice) = ("Please enter passphrase: ", "Please re-enter passphrase: ");
    let word = "correct horse";
    let mut transcript =
        typed(1001, &sandbox, &["set", "local.passphrase"], &[(once, word), (twice, "other")]);
    let set = typed(1001, &sandbox, &["set", "local.passphrase"], &[(once, word), (twice, word)]);
    assert_eq!(set, ours(SET_IT));
    transcript += &set;
    transcript += &typed(1001, &sandbox, &["get", "local.passphrase"], &[]);
    transcript += &typed(LOCKED_OUT, &sandbox, &["list"], &[]);
    transcript += &typed(LOCKED_OUT, &sandbox, &["authenticate"], &[(once, "wrong horse")]);
    transcript += &typed(LOCKED_OUT, &sandbox, &["authenticate"], &[(once, "")]);
    let given = typed(LOCKED_OUT, &sandbox, &["authenticate"], &[(once, word)]);
    assert_eq!(given, ours(GIVE_IT));
    transcript += &given;
    assert!(!transcript.contains("horse"), "nothing that was typed is seen: {transcript}");
    seen(&sandbox, "set_and_authenticate", &transcript);
    by(LOCKED_OUT, "", &sandbox, &["list"]).success();
    assert_eq!(service.stop().code, 0);
}

#[test]
fn the_passphrase_on_the_command_line_works_as_on_the_page_if_it_is_long_enough() {
    let (sandbox, service) = taken();
    let mut transcript = String::new();
    let mut say = |uid: u32, words: &[&str]| {
        let Output { stdout, stderr, code, .. } = by(uid, "", &sandbox, words);
        let _ = write!(transcript, "$ pki {}\n{stdout}{stderr}", words.join(" "));
        code
    };
    assert_eq!(say(1001, &["set", "local.passphrase=foo"]), 2, "the pages' own is too short");
    assert_eq!(say(1001, &["set", "local.passphrase=foo bar baz"]), 0, "and nothing is said");
    assert_eq!(say(LOCKED_OUT, &["authenticate", "foo"]), 5);
    assert_eq!(say(LOCKED_OUT, &["authenticate", "foo", "bar"]), 2);
    assert_eq!(say(LOCKED_OUT, &["authenticate", "foo bar baz"]), 0);
    assert_eq!(say(LOCKED_OUT, &["set", "local.passphrase="]), 0, "whoever is trusted may");
    assert_eq!(say(LOCKED_OUT, &["get", "local.passphrase"]), 0);
    seen(&sandbox, "on_the_command_line", &transcript);
    assert_eq!(service.stop().code, 0);
}

/// Opens HTTPS on a running service.
fn https(sandbox: &Sandbox) {
    let address = format!("127.0.0.1:{}", tests::free_port());
    sandbox.pki(["config", "set", "core.https_address", &address]).success();
    for _ in 0..500 {
        if std::net::TcpStream::connect(&address).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{address} does not open");
}

#[test]
fn the_pages_way_out_works_without_a_restart_and_a_removal_wins_over_it() {
    let (sandbox, service) = taken();
    https(&sandbox);
    assert_eq!(typed(LOCKED_OUT, &sandbox, &["list"], &[]), ours(LIST), "also where HTTPS is open");
    let certificate = home(LOCKED_OUT, &sandbox).join(".config/pki/client.crt");
    assert!(certificate.is_file(), "made when it was first needed");
    let file = sandbox.dir().join("authenticated-certs/clients.pem");
    // As on the page, with sudo for granted: this test is root.
    let append = format!("cat {} | tee -a {} > /dev/null", certificate.display(), file.display());
    run(Command::new("sh").args(["-c", &format!("umask 022; {append}")])).success();
    by(LOCKED_OUT, "", &sandbox, &["list"]).success();
    let listed = sandbox.pki(["trust", "list", "--json"]).success().json();
    let entry = listed.as_array().unwrap().iter().find(|entry| entry["origin"] == "file").unwrap();
    let fingerprint = entry["fingerprint"].as_str().unwrap();
    let audit = sandbox.pki(["audit"]).success().stdout;
    assert!(audit.contains("file:authenticated-certs/clients.pem"), "{audit}");
    // Whoever else is locked out has another certificate.
    assert_eq!(typed(1003, &sandbox, &["list"], &[]), ours(LIST));
    sandbox.pki(["trust", "remove", &fingerprint[..12]]).success();
    assert_eq!(typed(LOCKED_OUT, &sandbox, &["list"], &[]), ours(LIST));
    run(Command::new("sh").args(["-c", &append])).success();
    assert_eq!(typed(LOCKED_OUT, &sandbox, &["list"], &[]), ours(LIST), "though it stands there twice");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn root_has_a_way_out_of_one_command() {
    let (sandbox, service) = taken();
    assert_eq!(typed(LOCKED_OUT, &sandbox, &["list"], &[]), ours(LIST));
    sandbox.pki(["trust", "add", "--local-user", &LOCKED_OUT.to_string()]).success();
    by(LOCKED_OUT, "", &sandbox, &["set", "local.passphrase=correct horse"]).success();
    assert_eq!(service.stop().code, 0);
}

#[test]
fn the_operator_of_up_is_trusted_over_https_too() {
    let sandbox = Sandbox::new();
    sandbox.pki(["init", "--name", "Example"]).success();
    let address = format!("127.0.0.1:{}", tests::free_port());
    sandbox.pki(["config", "set", "core.https_address", &address]).success();
    let service = Service::start_with(&sandbox, &["up"], &[]);
    let operator = sandbox.dir().join("operator");
    let (certificate, key) = (operator.join("operator.crt"), operator.join("operator.key"));
    let authority = sandbox.dir().join("root.crt");
    let words = ["--silent", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--cacert"];
    let words = words.iter().map(std::ffi::OsStr::new).chain([
        authority.as_os_str(),
        "--cert".as_ref(),
        certificate.as_os_str(),
        "--key".as_ref(),
        key.as_os_str(),
    ]);
    let mut curl = Command::new("curl");
    sandbox.surround(&mut curl);
    let about = run(curl.args(words).arg(format!("https://{address}/1.0"))).success().json();
    assert_eq!(about["metadata"]["auth"], "trusted", "{about}");
    assert_eq!(service.stop().code, 0);
}
