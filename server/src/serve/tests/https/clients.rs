//! `clients.pem`, followed by a running service; and refusals, as the journal has them.

use store::Sequence;

use super::*;

fn append(pki: &Pki, text: &str) {
    let mut file = std::fs::File::options().append(true).create(true).open(pki.layout().clients()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn journal(pki: &Pki) -> Vec<String> {
    let entries = pki.store().follow(Sequence::ZERO, 1_000).unwrap();
    entries.iter().map(|entry| format!("{}: {}", entry.who, entry.what)).collect()
}

#[test]
fn whoever_is_appended_is_in_at_the_next_request_and_known_to_the_list_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (alice, issued) = client(pki, "alice");
    let (bob, issued_to_bob) = client(pki, "bob");
    assert_eq!(https.ask(&alice, "GET", "/1.0/certificates", "").0, 403);
    append(pki, &issued.pem);
    assert_eq!(https.ask(&alice, "GET", "/1.0/certificates", "").0, 200);
    // Nobody asks for anything: that the file was written is enough.
    append(pki, &issued_to_bob.pem);
    eventually(|| pki.gate().set().now().unwrap().entries().len() == 2);
    let which = Selector::Pem(issued_to_bob.pem);
    pki.run(TrustRemove { which, revoke: false, reason: None }, &Presented::InProcess, crate::clock::now())
        .unwrap();
    append(pki, "\n");
    let (status, refused) = https.ask(&bob, "GET", "/1.0/certificates", "");
    assert_eq!((status, &refused["error"]), (403, &json!(NOT_ANY_MORE)));
    https.running.stop();
}

#[test]
fn refusals_are_in_the_journal_by_name_or_by_number() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = https.running.pki.clone();
    let (alice, issued) = client(&pki, "alice");
    let (unknown, _) = client(&pki, "unknown");
    let rights = RightsWanted { kind: "client".to_owned(), restricted: true, projects: Vec::new() };
    let add = TrustAdd { certificate: issued.pem.clone(), name: None, rights };
    pki.run(add, &Presented::InProcess, crate::clock::now()).unwrap();
    assert_eq!(https.ask(&alice, "GET", "/1.0/operations", "").0, 403);
    for _ in 0..3 {
        https.ask(&nobody(), "GET", "/1.0/certificates", "");
        https.ask(&unknown, "DELETE", "/1.0/certificates/ab", "");
    }
    https.ask(&unknown, "POST", "/1.0/certificates", r#"{"password":"x"}"#);
    let which = Selector::Pem(issued.pem);
    pki.run(TrustRemove { which, revoke: false, reason: None }, &Presented::InProcess, crate::clock::now())
        .unwrap();
    https.ask(&alice, "GET", "/1.0/certificates?recursion=1", "");
    https.running.stop();
    // What was not summed up before is when the service stops.
    let journal = journal(&pki);
    let alices: Vec<&String> =
        journal.iter().filter(|line| line.starts_with("tls:") && line.contains(": refused ")).collect();
    assert_eq!(alices.len(), 2, "{journal:#?}");
    assert!(alices[0].contains("refused token-list: may not change who is trusted"), "{alices:?}");
    assert!(alices[1].contains("refused GET /1.0/certificates: alice was removed"), "{alices:?}");
    let sums: Vec<&String> = journal.iter().filter(|line| line.starts_with("service: refused ")).collect();
    let count = |reason: &str| -> u64 {
        let words = sums.iter().flat_map(|sum| sum.split(' '));
        words.filter_map(|word| word.strip_prefix(reason)?.strip_prefix('=')?.parse::<u64>().ok()).sum()
    };
    assert_eq!((count("no-certificate"), count("stranger"), count("unknown-token")), (3, 3, 1), "{sums:?}");
}
