//! The description of the API, and waiting for an operation.

use super::*;

#[test]
fn the_description_is_for_whoever_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    for stranger in [&nobody(), &alice] {
        assert_eq!(https.ask(stranger, "GET", "/1.0/openapi.json", "").0, 403);
    }
    trust(&https.running.pki, &issued);
    let (status, described) = https.ask(&alice, "GET", "/1.0/openapi.json", "");
    assert_eq!(status, 200);
    let text: Value = serde_json::from_str(&crate::http::openapi::text()).unwrap();
    assert_eq!(described, text);
    assert_eq!(https.running.request("GET", "/1.0/openapi.json", ""), (200, text));
    https.running.stop();
}

#[test]
fn whoever_waits_for_a_token_hears_of_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    let make = |name: &str| {
        let token = json!({"token": true, "type": "client", "name": name}).to_string();
        let (status, made) = https.ask(&alice, "POST", "/1.0/certificates", &token);
        assert_eq!(status, 202, "{made}");
        made["operation"].as_str().unwrap().to_owned()
    };
    let operation = make("bob");
    let (status, waits) = https.ask(&alice, "GET", &format!("{operation}/wait?timeout=0"), "");
    assert_eq!((status, &waits["metadata"]["status"]), (200, &json!("Running")), "{waits}");
    assert_eq!(waits["metadata"]["metadata"]["secret"], "redacted");
    assert_eq!(https.ask(&alice, "GET", &format!("{operation}/wait?timeout=soon"), "").0, 400);
    assert_eq!(https.ask(&alice, "GET", "/1.0/operations/x/wait", "").0, 404);
    assert_eq!(https.ask(&nobody(), "GET", &format!("{operation}/wait"), "").0, 403);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| https.ask(&alice, "GET", &format!("{operation}/wait"), ""));
        // What others do does not end it.
        let other = make("carol");
        assert_eq!(https.ask(&alice, "DELETE", &other, "").0, 200);
        assert!(!waiting.is_finished());
        assert_eq!(https.ask(&alice, "DELETE", &operation, "").0, 200);
        let (status, ended) = waiting.join().unwrap();
        assert_eq!((status, &ended["metadata"]["status_code"]), (200, &json!(401)), "{ended}");
        assert_eq!(ended["metadata"]["may_cancel"], false);
    });
    https.running.stop();
}

#[test]
fn whoever_waits_and_is_let_in_no_more_hears_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    let token = json!({"token": true, "type": "client", "name": "bob"}).to_string();
    let (_, made) = https.ask(&alice, "POST", "/1.0/certificates", &token);
    let operation = made["operation"].as_str().unwrap().to_owned();
    let mut connection = https.connect(&alice);
    assert_eq!(ask(&mut connection, "GET", &operation, "").unwrap().0, 200);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&mut connection, "GET", &format!("{operation}/wait"), ""));
        let remove = TrustRemove { which: Selector::Word("alice".to_owned()), revoke: false, reason: None };
        https.running.pki.run(remove, &Presented::InProcess, crate::clock::now()).unwrap();
        // Cut off, or refused: which of them depends on what it was doing.
        let ended = waiting.join().unwrap();
        assert!(ended.as_ref().map_or(true, |(status, _)| *status == 403), "{ended:?}");
    });
    https.running.stop();
}
