//! The passphrase, tried over HTTPS.

use super::*;
use crate::ops::local::PassphraseSet;
use crate::ops::phrase::Phrase;

const RIGHT: &str = "correct horse";

fn set(pki: &Pki) {
    let set = PassphraseSet { passphrase: Some(Phrase::new(RIGHT.to_owned())) };
    pki.run(set, &Presented::InProcess, crate::clock::now()).unwrap();
}

fn authenticate(https: &Https, client: &Arc<ClientConfig>, passphrase: &str) -> (u16, Value) {
    let body = json!({ "passphrase": passphrase }).to_string();
    https.ask(client, "POST", "/1.0/pki/authenticate", &body)
}

#[test]
fn it_lets_in_the_certificate_of_the_connection_and_none_that_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (alice, issued) = client(pki, "alice");
    let (status, refused) = authenticate(&https, &alice, RIGHT);
    assert_eq!(status, 403);
    assert!(refused["message"].as_str().unwrap().starts_with("Passphrase is not set."), "{refused}");
    set(pki);
    let (status, refused) = authenticate(&https, &alice, "wrong");
    assert_eq!((status, &refused["message"]), (403, &json!("Passphrase is not correct. Please try again.")));
    assert_eq!(https.auth(&alice), json!("untrusted"));
    let (status, reply) = authenticate(&https, &alice, RIGHT);
    assert_eq!((status, &reply["already"]), (200, &json!(false)));
    assert_eq!(https.auth(&alice), json!("trusted"));
    assert_eq!(authenticate(&https, &alice, "whatever").1["already"], json!(true));
    let (status, refused) = authenticate(&https, &nobody(), RIGHT);
    assert_eq!((status, &refused["message"]), (403, &json!("not authorized")));

    let which = Selector::Pem(issued.pem);
    let remove = TrustRemove { which, revoke: false, reason: None };
    pki.run(remove, &Presented::InProcess, crate::clock::now()).unwrap();
    let (status, refused) = authenticate(&https, &alice, RIGHT);
    assert_eq!((status, &refused["message"]), (403, &json!(NOT_ANY_MORE)));
    https.running.stop();
}

#[test]
fn it_is_not_taken_where_tokens_are() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    set(pki);
    let (alice, _) = client(pki, "alice");
    for field in ["password", "trust_token"] {
        let body = json!({ field: RIGHT }).to_string();
        let (status, refused) = https.ask(&alice, "POST", "/1.0/certificates", &body);
        assert_eq!((status, &refused["error"]), (403, &json!("not authorized")), "{field}");
    }
    assert_eq!(https.auth(&alice), json!("untrusted"));
    https.running.stop();
}

#[test]
fn guessing_slows_down_the_user_whatever_certificate_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    set(pki);
    let too_often = (0..8).find_map(|n| {
        let (status, refused) = authenticate(&https, &client(pki, &format!("c{n}")).0, "wrong");
        (status == 429).then_some(refused)
    });
    let too_often = too_often.expect("it gets slow");
    assert!(too_often["message"].as_str().unwrap().starts_with("too many tries"), "{too_often}");
    https.running.stop();
}
