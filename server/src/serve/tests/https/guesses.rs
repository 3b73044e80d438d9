//! What neither a page of another site nor whoever guesses gets.

use super::*;

/// What is answered to a request with these headers and an empty object: its head and its body.
fn asked(https: &Https, client: &Arc<ClientConfig>, request: &str, headers: &str) -> (u16, String) {
    let head = format!("{request} HTTP/1.1\r\nhost: pki.internal:8443\r\nconnection: close\r\n");
    let answer = https.raw(client, &format!("{head}{headers}content-length: 2\r\n\r\n{{}}"));
    (answer[9..12].parse().unwrap(), answer)
}

#[test]
fn a_page_of_another_site_changes_nothing_with_the_operators_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (operator, issued) = client(&https.running.pki, "operator");
    trust(&https.running.pki, &issued);
    let info = "POST /1.0/pki/info";
    let evil = "origin: https://evil.example\r\n";
    for headers in [evil, "sec-fetch-site: cross-site\r\n", "sec-fetch-site: same-site\r\n"] {
        for request in [info, "POST /1.0/certificates", "DELETE /1.0/certificates/ab", "POST /nowhere"] {
            let (status, answer) = asked(&https, &operator, request, headers);
            assert_eq!(status, 403, "{request} {headers}");
            assert!(answer.contains("a page of another site asked for this"), "{answer}");
        }
        assert_eq!(asked(&https, &operator, "GET /1.0/certificates", headers).0, 200, "{headers}");
    }
    for headers in ["", "sec-fetch-site: same-origin\r\norigin: https://pki.internal:8443\r\n"] {
        assert_eq!(asked(&https, &operator, info, headers).0, 200, "{headers}");
    }
    // A stranger is told the same, whatever the path.
    assert_eq!(asked(&https, &nobody(), "POST /1.0/pki/enroll", evil).0, 403);
    assert_eq!(https.running.pki.counters().refusals.now()["cross-site"], 13);
    https.running.stop();
}

#[test]
fn wrong_tokens_are_slowed_down_wherever_they_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (alice, _) = client(pki, "alice");
    let post = |secret: &str| {
        let body = json!({ "trust_token": secret }).to_string();
        let head = "POST /1.0/certificates HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        https.raw(&alice, &format!("{head}content-length: {}\r\n\r\n{body}", body.len()))
    };
    let enroll = json!({ "secret": "guess", "csr": "" }).to_string();
    for _ in 0..10 {
        assert!(post("swordfish").starts_with("HTTP/1.1 403"));
        assert_eq!(https.ask(&alice, "POST", "/1.0/pki/enroll", &enroll).0, 403);
    }
    assert!(post("swordfish").starts_with("HTTP/1.1 403"));
    // The wait doubles: a few more are enough, however slow this machine is.
    let slow = (0..8).map(|_| post("swordfish")).find(|answer| answer.starts_with("HTTP/1.1 429")).unwrap();
    let seconds = slow.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=60).contains(&seconds.parse::<u32>().unwrap()), "{slow}");
    assert!(slow.contains("too many tries; wait "), "{slow}");
    let right = pki.redeeming(
        &crate::pki::Ends { remote: "192.0.2.1:1".parse().unwrap(), local: https.address },
        None,
        std::time::Instant::now(),
        || Ok(()),
    );
    assert!(right.is_ok(), "another network does not wait: {right:?}");
    https.running.stop();
}
