//! An authority that behaves until a certain request: somebody sits between it and us, speaks TLS with both, and
//! puts answers of his own in the place of some.
//!
//! Whatever he answers ends in an error that says so, within the limits, and costs one attempt: the next one
//! obtains a certificate.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/src/pebble.rs"]
#[allow(dead_code)]
mod pebble;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acme::Error;
use acme::client::check::Refusal;
use acme::client::http::Failure;
use acme::client::*;
use pebble::Pebble;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use store::Store;
use store::seal::SealingKey;
use time::OffsetDateTime;

/// What is answered instead, by the path that was asked for and what the authority says.
type Lie = fn(&str, &str) -> Option<String>;

/// Sits between.
struct Meddler {
    port: u16,
    lie: Arc<Mutex<Option<Lie>>>,
}

impl Meddler {
    fn start(pebble: &Pebble) -> Meddler {
        let folder = pebble.root().parent().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lie = Arc::new(Mutex::new(None));
        let chain = CertificateDer::pem_file_iter(folder.join("listener.pem")).unwrap();
        let chain: Vec<_> = chain.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("listener.key")).unwrap();
        let server = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pebble.root()).unwrap()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (server, client) = (Arc::new(server), Arc::new(client));
        let address = pebble.directory().split('/').nth(2).unwrap().to_owned();
        let told = Arc::clone(&lie);
        // It ends with the process: it waits for connections that nobody makes any more.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, client, address) = (server.clone(), client.clone(), address.clone());
                let told = Arc::clone(&told);
                std::thread::spawn(move || pass_on(stream, server, client, &address, &told));
            }
        });
        Meddler { port, lie }
    }

    fn lies(&self, lie: Option<Lie>) {
        *self.lie.lock().unwrap() = lie;
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// One request and its answer. Whoever breaks off is not waited for.
fn pass_on(
    stream: TcpStream,
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
    address: &str,
    lie: &Mutex<Option<Lie>>,
) -> Option<()> {
    let mut asked = rustls::StreamOwned::new(rustls::ServerConnection::new(server).ok()?, stream);
    let (head, body) = request(&mut asked)?;
    let name = ServerName::try_from("127.0.0.1").ok()?;
    let connection = rustls::ClientConnection::new(client, name).ok()?;
    let mut authority = rustls::StreamOwned::new(connection, TcpStream::connect(address).ok()?);
    let head = head.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    authority.write_all(head.as_bytes()).ok()?;
    authority.write_all(&body).ok()?;
    let mut answer = Vec::new();
    // It closes without a word of TLS.
    let _ = authority.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let lie = *lie.lock().unwrap();
    let answer = lie.and_then(|lie| lie(&path, &answer)).unwrap_or(answer);
    let endless = answer.ends_with(ENDLESS);
    asked.write_all(answer.as_bytes()).ok()?;
    for _ in 0..if endless { 1 << 10 } else { 0 } {
        asked.write_all(&[b' '; 1 << 20]).ok()?;
    }
    asked.conn.send_close_notify();
    asked.flush().ok()
}

/// The end of an answer that a gigabyte of spaces follows.
const ENDLESS: &str = "\u{1}";

fn request(from: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        let mut more = [0; 4096];
        let count = from.read(&mut more).ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&more[..count]);
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8(read).ok()?;
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    while body.len() < length.unwrap_or(0) {
        let mut more = [0; 4096];
        let count = from.read(&mut more).ok().filter(|count| *count > 0)?;
        body.extend_from_slice(&more[..count]);
    }
    Some((head, body))
}

/// The same head with another body.
fn with_body(answer: &str, body: &str) -> String {
    let head = answer.split("\r\n\r\n").next().unwrap();
    let lines = head.lines().filter(|line| {
        let line = line.to_lowercase();
        !line.starts_with("content-length") && !line.starts_with("transfer-encoding")
    });
    format!("{}\r\n\r\n{body}", lines.collect::<Vec<_>>().join("\r\n"))
}

struct Site {
    pebble: Pebble,
    meddler: Meddler,
    client: Client,
}

impl Site {
    fn new() -> Site {
        let pebble = Pebble::start();
        let meddler = Meddler::start(&pebble);
        let random = aws_lc_rs::rand::SystemRandom::new();
        let folder = tempfile::tempdir().unwrap();
        let sealing = SealingKey::load_or_create(&folder.path().join("store.key"), &random).unwrap();
        #[allow(clippy::disallowed_methods)]
        let clock: Clock = Arc::new(OffsetDateTime::now_utc);
        let limits = Limits { request: Duration::from_secs(20), ..Limits::default() };
        let client =
            Client::new(Store::in_memory(), Arc::new(sealing), clock, limits, Gate::default(), "test");
        Site { pebble, meddler, client }
    }

    /// An order while he tells this lie.
    fn obtain(&self, name: &str, lie: Option<Lie>) -> Result<Obtained, Error> {
        self.meddler.lies(lie);
        let application = Application {
            authority: Authority {
                directory: format!("https://127.0.0.1:{}/dir", self.meddler.port).parse().unwrap(),
                roots: Roots::Pem(std::fs::read_to_string(self.pebble.root()).unwrap()),
                external: None,
            },
            names: Names::parse(&[name], &Limits::default()).unwrap(),
            contact: None,
            terms: Terms::Agreed,
        };
        let work = async {
            let listener = Standalone::bind(&self.pebble.http_address()).await.unwrap();
            self.client.obtain(&application, listener.board(), &mut |_| ()).await
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// He lies, and it is found out; he does not, and all is well.
    #[track_caller]
    fn finds_out(&self, name: &str, lie: Lie) -> Error {
        let refusal = self.obtain(name, Some(lie)).unwrap_err();
        self.obtain(name, None).unwrap_or_else(|error| panic!("{name}, afterwards: {error:?}"));
        refusal
    }
}

/// Somebody else's certificate: of the same authority, for another name and another key.
static OTHERS: Mutex<String> = Mutex::new(String::new());

#[test]
fn whatever_is_answered_in_the_middle_of_an_order_costs_one_attempt() {
    let site = Site::new();
    let other = site.obtain("other.example", None).unwrap();
    *OTHERS.lock().unwrap() = other.certificate.chain_pem();

    let theirs: Lie =
        |path, answer| path.starts_with("/certZ/").then(|| with_body(answer, &OTHERS.lock().unwrap()));
    let refusal = site.finds_out("a.example", theirs);
    assert!(matches!(refusal, Error::Certificate(Refusal::Key)), "{refusal:?}");

    let endless: Lie = |path, answer| path.starts_with("/certZ/").then(|| with_body(answer, ENDLESS));
    let refusal = site.finds_out("b.example", endless);
    assert!(
        matches!(refusal, Error::Http { source: Failure::TooLarge { limit: 1_048_576, .. }, .. }),
        "{refusal:?}"
    );

    let around: Lie = |path, _| {
        let to = format!("HTTP/1.1 307 Again\r\nlocation: {path}\r\nconnection: close\r\n\r\n");
        path.starts_with("/authZ/").then_some(to)
    };
    let refusal = site.finds_out("c.example", around);
    assert!(matches!(refusal, Error::Http { source: Failure::Redirect { .. }, .. }), "{refusal:?}");

    let later: Lie = |path, _| {
        let busy = "HTTP/1.1 503 Busy\r\nretry-after: 315360000\r\nconnection: close\r\n\r\nlater";
        path.starts_with("/finalize-order/").then(|| busy.to_owned())
    };
    let refusal = site.finds_out("d.example", later);
    assert_eq!(refusal.asked_to_wait(), Some(Duration::from_secs(315_360_000)), "{refusal:?}");
    // One account, and one order more than names: that which brought somebody else's certificate is dropped.
    assert_eq!((site.pebble.accounts(), site.pebble.orders()), (1, 6), "{}", site.pebble.log());
}
