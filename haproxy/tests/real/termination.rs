//! Where TLS ends at HAProxy: who is let in, what is said to the others, and what the nodes are told.

use std::net::SocketAddr;
use std::path::Path;

use haproxy::{Clients, Demand, RevokedKey, Route, Site, render};
use rcgen::{DnType, DnValue};

use crate::forms::put;
use crate::process::{Haproxy, free_port};
use crate::sites::{domain, empty, empty_maps, file, terminated};
use crate::world::{Authority, Identity, Node, Speech, curl};

/// A terminating HAProxy with a node that speaks HTTP.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub clients: Authority,
    pub node: Node,
    pub https: u16,
    pub http: u16,
    pub site: Site,
    pub servers: Authority,
    root: String,
    haproxy: Option<Haproxy>,
}

impl Stage {
    /// `open`, `maybe` and `must.example.net`: clients without certificates, with optional, with required.
    pub fn new(clients: Authority) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let servers = Authority::named("servers");
        let root = servers.identity.write(folder.path(), "root");
        clients.identity.write(folder.path(), "clients");
        std::fs::write(folder.path().join("clients.crl"), clients.list(&[&[0x66]])).unwrap();
        empty_maps(folder.path());
        let node = Node::start("node", Speech::Plain);
        let (http, https) = (free_port(), free_port());
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut site = empty(folder.path(), at(http), at(https));
        for (name, demand) in [
            ("open.example.net", None),
            ("maybe.example.net", Some(Demand::Optional)),
            ("must.example.net", Some(Demand::Required)),
        ] {
            let policy = match demand {
                None => Clients::Unasked,
                Some(demand) => Clients::Asked {
                    demand,
                    ca: file(folder.path(), "clients.pem"),
                    crl: file(folder.path(), "clients.crl"),
                    issuers: vec![clients.key()],
                },
            };
            let route = terminated(folder.path(), &servers, name, policy);
            site.domains.push(domain(name, node.port, route));
        }
        Stage { folder, clients, servers, node, https, http, site, root, haproxy: None }
    }

    /// Starts HAProxy, with these certificates in the map.
    pub fn start(&mut self, revoked: &[RevokedKey]) {
        self.start_changed(revoked, |text| text);
    }

    /// As [`Stage::start`], the configuration changed.
    pub fn start_changed(&mut self, revoked: &[RevokedKey], change: impl FnOnce(String) -> String) {
        let map: String = revoked.iter().map(|key| format!("{key} 1\n")).collect();
        std::fs::write(self.site.revoked.as_str(), map).unwrap();
        let rendered = render(&self.site).unwrap();
        put(self.folder.path(), &self.site, &rendered);
        self.haproxy = Some(Haproxy::start(self.folder.path(), &change(rendered.config), self.https));
    }

    /// Starts HAProxy with a master, and the files as they lie there.
    pub fn start_master(&mut self) {
        let rendered = render(&self.site).unwrap();
        put(self.folder.path(), &self.site, &rendered);
        self.haproxy = Some(Haproxy::start_master(self.folder.path(), &rendered.config, self.https));
    }

    /// Ends HAProxy.
    pub fn stop(&mut self) {
        self.haproxy = None;
    }

    /// A client's certificate, as a file.
    pub fn client(&self, name: &str, serial: &[u8]) -> (Identity, String) {
        let identity = self.clients.issue(name, serial);
        let path = identity.write(self.folder.path(), name);
        (identity, path)
    }

    /// Asks and returns status and body; status 0 where the handshake failed.
    pub fn ask(&self, host: &str, certificate: Option<&str>, more: &[&str]) -> (u16, String) {
        let resolve = format!("{host}:{}:127.0.0.1", self.https);
        let url = format!("https://{host}:{}/", self.https);
        let mut words = vec!["--cacert", &self.root, "--resolve", &resolve, "--write-out", "\n%{http_code}"];
        words.extend(certificate.iter().flat_map(|file| ["--cert", file]));
        words.extend(more);
        words.push(&url);
        let (_, said, _) = curl(&words);
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}

const REFUSED: &str = "client certificate refused: ";

#[test]
fn each_domain_has_its_own_policy_and_a_refusal_its_cause() {
    let mut stage = Stage::new(Authority::named("clients"));
    let (_, good) = stage.client("good", &[0x55]);
    let (_, listed) = stage.client("listed", &[0x66]);
    let (mapped_identity, mapped) = stage.client("mapped", &[0x77]);
    let stranger = Authority::named("strangers").issue("stranger", &[1]);
    let stranger = stranger.write(stage.folder.path(), "stranger");
    let revoked = RevokedKey { issuer: stage.clients.key(), serial: serial(&mapped_identity) };
    stage.start(&[revoked]);

    assert_eq!(stage.ask("open.example.net", None, &[]).0, 200);
    assert_eq!(stage.ask("open.example.net", Some(&listed), &[]).0, 200, "it was not asked");
    assert_eq!(stage.ask("maybe.example.net", None, &[]).0, 200);
    assert_eq!(stage.ask("must.example.net", None, &[]).0, 0);
    for host in ["maybe.example.net", "must.example.net"] {
        for http in ["--http1.1", "--http2"] {
            for tls in ["1.2", "1.3"] {
                let ask = |file: &str| stage.ask(host, Some(file), &[http, "--tls-max", tls]);
                assert_eq!(ask(&good).0, 200);
                assert_eq!(ask(&listed), (403, format!("{REFUSED}revoked\n")));
                assert_eq!(ask(&mapped), (403, format!("{REFUSED}revoked\n")));
                assert_eq!(ask(&stranger), (403, format!("{REFUSED}unknown issuer\n")));
            }
        }
    }
}

#[test]
fn an_issuer_that_is_not_listed_is_refused_for_its_revocations_could_not_be_found() {
    let mut stage = Stage::new(Authority::named("clients"));
    let (_, good) = stage.client("good", &[0x55]);
    for domain in &mut stage.site.domains {
        if let Route::Terminate { clients: Clients::Asked { issuers, .. }, .. } = &mut domain.route {
            *issuers = vec![Authority::named("another").key()];
        }
    }
    stage.start(&[]);
    let (status, said) = stage.ask("maybe.example.net", Some(&good), &[]);
    assert_eq!((status, said.as_str()), (403, "client certificate refused: issuer not listed\n"));
    assert_eq!(stage.ask("open.example.net", Some(&good), &[]).0, 200);
}

#[test]
fn haproxy_spells_issuers_and_serials_as_we_do() {
    let text = |text: &str| DnValue::from(text);
    let names: [&[(DnType, DnValue)]; 5] = [
        &[(DnType::CommonName, text("Example/CN=x + y \"z\", \\ #; <é>"))],
        &[
            (DnType::CountryName, text("DE")),
            (DnType::StateOrProvinceName, text("BW")),
            (DnType::LocalityName, text("Ulm")),
            (DnType::OrganizationName, text("Übung GmbH")),
            (DnType::OrganizationalUnitName, text("PKI")),
            (DnType::CommonName, text("Issuing CA 1")),
        ],
        &[
            (DnType::CustomDnType(vec![0, 9, 2342, 19200300, 100, 1, 25]), text("example")),
            (DnType::CustomDnType(vec![0, 9, 2342, 19200300, 100, 1, 1]), text("u")),
            (DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]), text("a@example.org")),
            (DnType::CustomDnType(vec![2, 5, 4, 97]), text("VATDE-1")),
        ],
        &[
            (DnType::CustomDnType(vec![2, 5, 4, 4]), text("sn")),
            (DnType::CustomDnType(vec![2, 5, 4, 5]), text("serialNumber")),
            (DnType::CustomDnType(vec![2, 5, 4, 9]), text("street")),
            (DnType::CustomDnType(vec![2, 5, 4, 12]), text("title")),
            (DnType::CustomDnType(vec![2, 5, 4, 17]), text("postalCode")),
            (DnType::CustomDnType(vec![2, 5, 4, 42]), text("givenName")),
        ],
        &[(DnType::CommonName, DnValue::BmpString("Zwölf".try_into().unwrap()))],
    ];
    let serials: [&[u8]; 5] = [&[0], &[0x0a], &[0x80, 1], &[0x7f; 20], &[1, 0, 0]];
    for (name, number) in names.into_iter().zip(serials) {
        let mut stage = Stage::new(Authority::new(name));
        let (good, good_file) = stage.client("good", &[0x12, 0x34]);
        let (bad, bad_file) = stage.client("bad", number);
        stage.start(&[RevokedKey { issuer: stage.clients.key(), serial: serial(&bad) }]);
        assert_ne!(serial(&good), serial(&bad));
        let (status, said) = stage.ask("must.example.net", Some(&good_file), &[]);
        assert_eq!(status, 200, "{name:?}: {said}");
        let (_, said) = stage.ask("must.example.net", Some(&bad_file), &[]);
        assert_eq!(said, "client certificate refused: revoked\n", "{name:?} {number:?}");
    }
}

#[test]
fn forged_headers_do_not_pass() {
    let mut stage = Stage::new(Authority::named("clients"));
    let (identity, good) = stage.client("good", &[0x55]);
    stage.start(&[]);
    let mut forged = Vec::new();
    for header in [
        "X-SSL-Verify: 0",
        "X-SSL-CN: forged",
        "x-ssl-cn: forged",
        "X_SSL_CN: forged",
        "X-Ssl_Serial: forged",
        "X-SSL-Anything: forged",
        "X-Forwarded-For: 203.0.113.7 forged",
        "X-Forwarded-Host: forged",
        "X-Forwarded-Proto: forged",
        "Forwarded: for=forged",
    ] {
        forged.extend(["--header", header]);
    }
    for http in ["--http1.1", "--http2"] {
        let words: Vec<_> = forged.iter().copied().chain([http]).collect();
        for host in ["open.example.net", "maybe.example.net"] {
            let (status, seen) = stage.ask(host, None, &words);
            assert_eq!(status, 200);
            let seen = seen.to_lowercase();
            assert!(!seen.contains("forged") && !seen.contains("ssl"), "{seen}");
            assert!(seen.contains("x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\n"), "{seen}");
        }
        let (status, seen) = stage.ask("maybe.example.net", Some(&good), &words);
        let seen = seen.to_lowercase();
        assert_eq!(status, 200);
        assert!(!seen.contains("forged"), "{seen}");
        let fingerprint = ca::cert::Fingerprint::of(&identity.der).to_string().replace(':', "");
        for told in ["x-ssl-verify: 0", "x-ssl-cn: good", "x-ssl-serial: 55"] {
            assert!(seen.contains(&format!("{told}\r\n")), "{told}: {seen}");
        }
        assert!(seen.contains(&fingerprint), "{fingerprint}: {seen}");
    }
}

#[test]
fn a_request_for_another_name_than_the_handshake_was_for_is_misdirected() {
    let mut stage = Stage::new(Authority::named("clients"));
    stage.start(&[]);
    for http in ["--http1.1", "--http2"] {
        let other = ["--header", "Host: must.example.net", http];
        assert_eq!(stage.ask("open.example.net", None, &other).0, 421);
    }
    assert!(stage.node.seen().is_empty());
}

#[test]
fn a_name_that_the_terminator_does_not_have_is_closed_upon() {
    let mut stage = Stage::new(Authority::named("clients"));
    stage.start(&[]);
    assert_eq!(stage.ask("other.example.net", None, &[]).0, 0);
    assert!(Path::new(stage.site.admin.as_str()).exists());
}

/// The serial number of a certificate.
pub fn serial(identity: &Identity) -> ca::cert::Serial {
    ca::cert::Certificate::from_der(&identity.der).unwrap().serial()
}
