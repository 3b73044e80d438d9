//! Old copies that are put back: of everything, or of the store alone.

use std::process::Command;

use tests::{Program, Purpose, Sandbox, Service, openssl, openssl_accepts, run};

use super::{issue, populated};

fn number(sandbox: &Sandbox) -> u128 {
    let path = sandbox.dir().join("ca.crl").display().to_string();
    let shown = openssl(sandbox, ["crl", "-noout", "-crlnumber", "-in", &path]).success().stdout;
    u128::from_str_radix(shown.trim().trim_start_matches("crlNumber=0x"), 16).unwrap()
}

#[test]
fn a_restored_backup_makes_no_list_with_a_number_that_was_seen() {
    let sandbox = populated();
    sandbox.secret("pass", "correct horse battery staple\n");
    sandbox.pki(["backup", "pki.age", "--backup-passphrase-file", "pass"]).success();
    // More lists than seconds: the number runs ahead of the clock, and the backup knows nothing of it.
    let service = Service::start(&sandbox);
    let socket = super::socket(&sandbox);
    for _ in 0..60 {
        tests::socket::call(&socket, &server::ops::crl::CrlPublish { root: true }).done();
    }
    assert_eq!(service.stop().code, 0);
    let seen = number(&sandbox);
    let other = Sandbox::of(Program::UnderTest);
    for name in ["pki.age", "pass", "bob.crt", "bob-chain.crt"] {
        std::fs::copy(sandbox.file(name), other.file(name)).unwrap();
    }
    other.pki(["restore", "pki.age", "--backup-passphrase-file", "pass"]).success();
    let doctor = other.pki(["doctor"]);
    assert!(doctor.says("was restored on"), "what came after the backup is unknown: {doctor}");
    other.pki(["crl", "publish", "--root"]).success();
    assert!(number(&other) > seen, "{} after {seen}", number(&other));
    openssl_accepts(&other, Purpose::Client, "bob");
}

#[test]
fn a_store_put_back_beside_newer_lists_never_goes_below_them_and_says_what_it_lacks() {
    let sandbox = populated();
    let copy = sandbox.root().join("copy");
    let copied = |from: &std::path::Path, to: &std::path::Path| {
        run(Command::new("cp").arg("-a").arg(from).arg(to)).success();
    };
    let store = sandbox.dir().join("store");
    copied(&store, &copy);
    issue(&sandbox, "eve").success();
    sandbox.pki(["revoke", "eve"]).success();
    sandbox.pki(["revoke", "bob"]).success();
    let seen = number(&sandbox);
    std::fs::remove_dir_all(&store).unwrap();
    copied(&copy, &store);
    let doctor = sandbox.pki(["doctor"]).failure(1);
    assert!(doctor.says("put back"), "{doctor}");
    let service = Service::start(&sandbox);
    sandbox.pki(["crl", "publish"]).success();
    assert!(number(&sandbox) > seen, "{} after {seen}", number(&sandbox));
    assert_eq!(service.stop().code, 0);
}
