//! Certificates and lists that verifiers are known to err with, each with real handshakes: the clients
//! are of a foreign authority that was imported, and need no entry. `docs/trust-tests.md` has the table.

use rcgen::ExtendedKeyUsagePurpose;

use super::https::*;
use super::*;
use crate::pki::OpenMode;
use crate::testing::foreign::{Client, Foreign, an_hour_ago, scope};
use crate::tls::testing::client_with;

/// A service where the clients of imported authorities need no entry.
fn site(dir: &Path) -> Https {
    let https = https(dir);
    set(&https, "core.trust_ca_certificates", "true");
    https
}

fn set(https: &Https, key: &str, value: &str) {
    let set = json!({"key": key, "value": value}).to_string();
    assert_eq!(https.running.post("/1.0/pki/config-set", &set).0, 200);
}

/// A client that never resumes what another of the same certificate began.
fn shown(client: &Client) -> std::sync::Arc<rustls::ClientConfig> {
    client_with(&client.certificate.to_pem(), &client.key.to_pem().unwrap())
}

impl Https {
    /// What a client is answered on a new connection.
    fn status(&self, client: &Client) -> u16 {
        self.ask(&shown(client), "GET", "/1.0/certificates", "").0
    }
}

fn get(connection: &mut Connection) -> u16 {
    ask(connection, "GET", "/1.0/certificates", "").unwrap().0
}

#[test]
fn v1_v11_whom_a_list_names_is_out_on_new_resumed_and_open_connections() {
    let dir = tempfile::tempdir().unwrap();
    let (https, foreign) = (site(dir.path()), Foreign::root("Foreign"));
    foreign.import(&https.running.pki, &foreign.list(1, &[])).unwrap();
    let (bad, good) = (foreign.client("bad"), foreign.client("good"));
    let (config, other) = (shown(&bad), shown(&good));
    let (mut first, mut stays) = (https.connect(&config), https.connect(&other));
    assert_eq!((get(&mut first), get(&mut stays)), (200, 200));
    let mut second = https.connect(&config);
    assert_eq!(get(&mut second), 200);
    assert_eq!(second.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    foreign.import(&https.running.pki, &foreign.list(2, &[&bad])).unwrap();
    assert!(is_closed(first) && is_closed(second), "open ones");
    let mut resumed = https.connect(&config);
    assert_eq!(get(&mut resumed), 403);
    assert_eq!(resumed.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    assert_eq!(https.status(&bad), 403, "a new one");
    assert_eq!((get(&mut stays), https.status(&good)), (200, 200), "nobody else");
    https.running.stop();
}

#[test]
fn v2_when_a_list_has_run_out_its_clients_are_refused_or_the_setting_says_to_warn() {
    let dir = tempfile::tempdir().unwrap();
    let (https, foreign) = (site(dir.path()), Foreign::root("Foreign"));
    let (bad, good) = (foreign.client("bad"), foreign.client("good"));
    let over = foreign.odd_list(1, &[&bad], |list| list.next_update = an_hour_ago());
    let imported = foreign.import(&https.running.pki, &over).unwrap();
    assert_eq!(imported.authorities[0].list.as_ref().unwrap().state, "expired", "the alarm");
    assert_eq!((https.status(&good), https.status(&bad)), (403, 403));
    set(&https, "core.crl_expired", "warn");
    assert_eq!((https.status(&good), https.status(&bad)), (200, 403));
    let mut open = https.connect(&shown(&good));
    assert_eq!(get(&mut open), 200);
    set(&https, "core.crl_expired", "refuse");
    assert!(is_closed(open));
    foreign.import(&https.running.pki, &foreign.list(2, &[&bad])).unwrap();
    assert_eq!((https.status(&good), https.status(&bad)), (200, 403), "with the next one all is well");
    https.running.stop();
}

#[test]
fn v3_the_list_of_another_authority_of_the_same_name_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (https, foreign) = (site(dir.path()), Foreign::root("Same"));
    let (client, impostor) = (foreign.client("client"), Foreign::root("Same"));
    foreign.import(&https.running.pki, &foreign.list(1, &[])).unwrap();
    let mut open = https.connect(&shown(&client));
    assert_eq!(get(&mut open), 200);
    let refused = foreign.import(&https.running.pki, &impostor.list(9, &[&client])).unwrap_err();
    assert!(crate::http::problem::in_words(&refused).contains("no imported authority signed"), "{refused}");
    assert_eq!((get(&mut open), https.status(&client)), (200, 200));
    https.running.stop();
}

#[test]
fn v4_v9_a_list_for_a_part_of_the_certificates_does_not_count_and_the_one_before_does() {
    let dir = tempfile::tempdir().unwrap();
    let (https, foreign) = (site(dir.path()), Foreign::root("Foreign"));
    let (bad, good) = (foreign.client("bad"), foreign.client("good"));
    // Neither certificate says where its list is: nothing tells that the list speaks of it.
    let part = |number, revoked: &[&Client]| {
        foreign.odd_list(number, revoked, |list| {
            list.issuing_distribution_point = Some(scope("http://foreign.example/other.crl"));
        })
    };
    assert!(foreign.import(&https.running.pki, &part(1, &[])).is_err());
    assert_eq!(https.status(&good), 403, "nor does its authority come in without it");
    foreign.import(&https.running.pki, &foreign.list(2, &[&bad])).unwrap();
    let refused = foreign.import(&https.running.pki, &part(3, &[])).unwrap_err();
    assert!(crate::http::problem::in_words(&refused).contains("issuingDistributionPoint"), "{refused}");
    assert_eq!((https.status(&good), https.status(&bad)), (200, 403));
    https.running.stop();
}

#[test]
fn v5_of_two_lists_the_newer_counts_in_whichever_order_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let https = site(dir.path());
    for newer_first in [true, false] {
        let foreign = Foreign::root("Foreign");
        let (bad, good) = (foreign.client("bad"), foreign.client("good"));
        let (old, new) = (foreign.list(1, &[]), foreign.list(2, &[&bad]));
        let both = if newer_first { new + &old } else { old + &new };
        foreign.import(&https.running.pki, &both).unwrap();
        assert_eq!((https.status(&good), https.status(&bad)), (200, 403), "newer first: {newer_first}");
    }
    https.running.stop();
}

#[test]
fn v5b_a_delta_list_alone_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (https, foreign) = (site(dir.path()), Foreign::root("Foreign"));
    let (bad, good) = (foreign.client("bad"), foreign.client("good"));
    let refused = foreign.import(&https.running.pki, &foreign.delta(1, &[&bad])).unwrap_err();
    assert!(crate::http::problem::in_words(&refused).contains("delta list"), "{refused}");
    assert_eq!((https.status(&good), https.status(&bad)), (403, 403), "its authority did not come in");
    foreign.import(&https.running.pki, &foreign.list(1, &[&bad])).unwrap();
    assert!(foreign.import(&https.running.pki, &foreign.delta(2, &[])).is_err());
    assert_eq!((https.status(&good), https.status(&bad)), (200, 403));
    https.running.stop();
}

#[test]
fn v6_an_older_list_never_comes_back_not_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut https, foreign) = (site(dir.path()), Foreign::root("Foreign"));
    let (bad, good) = (foreign.client("bad"), foreign.client("good"));
    let (old, new) = (foreign.list(1, &[]), foreign.list(2, &[&bad]));
    foreign.import(&https.running.pki, &new).unwrap();
    for restarted in [false, true] {
        let refused = foreign.import(&https.running.pki, &old).unwrap_err();
        assert!(crate::http::problem::in_words(&refused).contains("2 was seen already"), "{refused}");
        assert_eq!((https.status(&good), https.status(&bad)), (200, 403), "restarted: {restarted}");
        if !restarted {
            let home = https.running.pki.directory().to_owned();
            https.running.stop();
            let keys = crate::testing::keys();
            let pki = Pki::open(&home, keys, OpenMode::Service, crate::clock::now()).unwrap();
            let running = start_with(pki, Limits::default());
            eventually(|| running.pki.https_state() == ListenerState::Listening(https.address));
            https = Https { running, address: https.address };
        }
    }
    https.running.stop();
}

#[test]
fn v7_a_certificate_for_servers_or_for_anything_is_no_clients() {
    let dir = tempfile::tempdir().unwrap();
    let (https, foreign) = (site(dir.path()), Foreign::root("Foreign"));
    foreign.import(&https.running.pki, "").unwrap();
    for (purposes, status) in [
        (vec![ExtendedKeyUsagePurpose::ServerAuth], 403),
        (vec![ExtendedKeyUsagePurpose::Any], 403),
        (vec![], 403),
        (vec![ExtendedKeyUsagePurpose::ClientAuth], 200),
    ] {
        let client = foreign.odd(|params| params.extended_key_usages.clone_from(&purposes));
        assert_eq!(https.status(&client), status, "{purposes:?}");
    }
    https.running.stop();
}

#[test]
fn v8_before_and_after_its_time_a_certificate_lets_nobody_in_not_even_on_an_open_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (https, foreign) = (site(dir.path()), Foreign::root("Foreign"));
    foreign.import(&https.running.pki, "").unwrap();
    let expired = foreign.odd(|params| params.not_after = an_hour_ago());
    let early = foreign.odd(|params| params.not_before = crate::clock::now() + time::Duration::hours(1));
    assert_eq!((https.status(&expired), https.status(&early)), (403, 403));
    let presented = trust::Presented::Certificate(trust::Holder::new(early.certificate, Vec::new()));
    match https.running.pki.admit(&presented, crate::clock::now()) {
        Err(crate::ops::Error::Refused(refusal)) => {
            let told = refusal.to_string();
            assert!(told.contains("is a clock wrong?"), "the note for the log: {told}");
        }
        other => panic!("{other:?}"),
    }
    let short = foreign.odd(|params| params.not_after = crate::clock::now() + time::Duration::seconds(3));
    let mut open = https.connect(&shown(&short));
    assert_eq!(get(&mut open), 200);
    eventually(|| get(&mut open) == 403);
    https.running.stop();
}

#[test]
fn v10_once_one_authority_of_the_path_has_a_list_every_one_must() {
    let dir = tempfile::tempdir().unwrap();
    let (https, root) = (site(dir.path()), Foreign::root("Root"));
    let issuing = root.below("Issuing");
    let client = issuing.client("client");
    root.import(&https.running.pki, "").unwrap();
    issuing.import(&https.running.pki, "").unwrap();
    let config = shown(&client);
    let mut open = https.connect(&config);
    assert_eq!(get(&mut open), 200, "no list, none demanded");
    root.import(&https.running.pki, &root.list(1, &[])).unwrap();
    assert!(is_closed(open));
    assert_eq!(https.status(&client), 403);
    issuing.import(&https.running.pki, &issuing.list(1, &[])).unwrap();
    assert_eq!(https.status(&client), 200);
    let below = Client { certificate: issuing.certificate.clone(), key: client.key };
    root.import(&https.running.pki, &root.list(2, &[&below])).unwrap();
    assert_eq!(https.ask(&config, "GET", "/1.0/certificates", "").0, 403, "its authority is revoked");
    https.running.stop();
}
