//! "Settings act at once, and a wrong one is refused with the right one."

use tests::{Sandbox, Service};

#[test]
fn a_setting_is_set_shown_and_unset() {
    let sandbox = Sandbox::with_pki();
    let value = |sandbox: &Sandbox| sandbox.pki(["config", "get", "profile.client.days"]).success().stdout;
    assert_eq!(value(&sandbox), "365\n");
    sandbox.pki(["config", "set", "profile.client.days", "30"]).success();
    assert_eq!(value(&sandbox), "30\n");
    sandbox.pki(["config", "unset", "profile.client.days"]).success();
    assert_eq!(value(&sandbox), "365\n");
}

#[test]
fn a_wrong_name_or_value_is_refused_with_the_right_one() {
    let sandbox = Sandbox::with_pki();
    let refused = sandbox.pki(["config", "set", "core.publicurl", "http://x"]).failure(3);
    assert!(refused.says("core.public_url"), "{refused}");
    for (key, value) in [
        ("core.public_address", "localhost"),
        ("core.public_url", "ftp://example.org"),
        ("profile.client.days", "-3"),
        ("profile.client.days", "many"),
        ("crl.validity", "1s"),
    ] {
        let refused = sandbox.pki(["config", "set", key, value]).failure(2);
        assert!(refused.says(key) && refused.says(value), "{refused}");
    }
    let listed = sandbox.pki(["config", "list", "--json"]).success().json();
    assert!(listed.as_array().unwrap().iter().all(|setting| setting["set"] == false), "{listed}");
}

#[test]
fn a_lifetime_and_a_url_act_on_the_next_certificate() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    sandbox.pki(["config", "set", "profile.client.days", "3"]).success();
    sandbox.pki(["config", "set", "core.public_url", "http://pki.example.org/x/"]).success();
    sandbox.pki(["issue-client", "alice"]).success();
    let text = tests::openssl(&sandbox, ["x509", "-in", "alice.crt", "-noout", "-text"]).success().stdout;
    let key_id = sandbox.pki(["list", "--json"]).success().json()[0]["issuer"].as_str().unwrap().to_owned();
    let wanted = format!("URI:http://pki.example.org/x/crl/{key_id}/0.crl");
    let issuer =
        sandbox.pki(["show", "alice", "--json"]).success().json()[0]["certificate"]["issuer"].clone();
    assert!(text.contains(&wanted) || issuer != key_id.as_str(), "{wanted} is missing from\n{text}");
    assert!(text.contains("CA Issuers - URI:http://pki.example.org/x/ca/"), "{text}");
    let four_days = (4 * 86_400).to_string();
    tests::openssl(&sandbox, ["x509", "-in", "alice.crt", "-noout", "-checkend", &four_days]).failure(1);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn without_a_url_certificates_carry_none() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let text = tests::openssl(&sandbox, ["x509", "-in", "alice.crt", "-noout", "-text"]).success().stdout;
    assert!(
        !text.contains("CRL Distribution Points") && !text.contains("Authority Information Access"),
        "{text}"
    );
    let doctor = sandbox.pki(["doctor"]);
    assert!(doctor.says("core.public_url"), "{doctor}");
}

#[test]
fn more_days_than_the_issuer_has_left_are_refused() {
    let sandbox = Sandbox::with_pki();
    let before = sandbox.contents();
    let refused = sandbox.pki(["issue-client", "alice", "--days", "9000"]).failure(2);
    assert!(refused.says("hint:"), "{refused}");
    assert!(before == sandbox.contents(), "something was written");
}
