//! An authority that means ill, or is broken: nothing it answers costs more than the limits say.
//!
//! What it would put into a certificate is in the tests of `client::check`; here it is HTTP, spoken by
//! `openssl s_server`, which sends a file as the whole answer.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/src/pebble.rs"]
#[allow(dead_code)]
mod pebble;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use acme::Error;
use acme::client::http::Failure;
use acme::client::*;
use store::Store;
use store::seal::SealingKey;

struct Hostile {
    folder: tempfile::TempDir,
    port: u16,
    server: Child,
}

impl Hostile {
    /// Answers every request for the directory with `answer`; with nothing at all if it is `None`.
    fn start(answer: Option<&[u8]>) -> Hostile {
        let folder = tempfile::tempdir().unwrap();
        pebble::certify(folder.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", "listener.pem", "-key", "listener.key"]);
        if let Some(answer) = answer {
            std::fs::write(folder.path().join("dir"), answer).unwrap();
            command.arg("-HTTP");
        }
        let command = command.current_dir(folder.path()).stdin(Stdio::piped());
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Hostile { folder, port, server }
    }

    fn obtain(&self, limits: Limits) -> Error {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let sealing = SealingKey::load_or_create(&self.folder.path().join("store.key"), &random).unwrap();
        let clock: Clock = Arc::new(|| time::OffsetDateTime::UNIX_EPOCH);
        let client =
            Client::new(Store::in_memory(), Arc::new(sealing), clock, limits, Gate::default(), "test");
        let root = std::fs::read_to_string(self.folder.path().join("root.pem")).unwrap();
        let application = Application {
            authority: Authority {
                directory: format!("https://127.0.0.1:{}/dir", self.port).parse().unwrap(),
                roots: Roots::Pem(root),
                external: None,
            },
            names: Names::parse(&["a.example"], &limits).unwrap(),
            contact: None,
            terms: Terms::Agreed,
        };
        let work = async { client.obtain(&application, &Board::new(), &mut |_| ()).await.unwrap_err() };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

#[test]
fn a_redirect_is_not_followed() {
    let hostile = Hostile::start(Some(&answer("302 Found\r\nLocation: https://127.0.0.1:1/elsewhere", "")));
    let refusal = hostile.obtain(Limits::default());
    let Error::Http { source: Failure::Redirect { location, .. }, .. } = &refusal else {
        panic!("{refusal:?}")
    };
    assert_eq!(location, "https://127.0.0.1:1/elsewhere");
}

#[test]
fn a_gigabyte_is_cut_off() {
    let hostile = Hostile::start(Some(&answer("200 OK", "")));
    // As large as it is said to be, and no larger on disk than its first line.
    let body = std::fs::File::options().write(true).open(hostile.folder.path().join("dir")).unwrap();
    body.set_len(1 << 30).unwrap();
    let refusal = hostile.obtain(Limits::default());
    assert!(
        matches!(refusal, Error::Http { source: Failure::TooLarge { limit: 65_536, .. }, .. }),
        "{refusal:?}"
    );
}

#[test]
fn ten_years_of_patience_are_not_ours() {
    let hostile = Hostile::start(Some(&answer("503 Busy\r\nRetry-After: 315360000", "<html>later</html>")));
    let begun = Instant::now();
    let refusal = hostile.obtain(Limits::default());
    assert!(matches!(&refusal, Error::Later { wait, .. } if wait.as_secs() == 315_360_000), "{refusal:?}");
    assert!(refusal.to_string().contains("3650 days") && refusal.to_string().contains("later"), "{refusal}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn urls_that_are_not_https_are_not_asked() {
    let directory = r#"{"newNonce":"http://127.0.0.1:1/n","newAccount":"https://127.0.0.1:1/a","newOrder":"https://127.0.0.1:1/o"}"#;
    let hostile = Hostile::start(Some(&answer("200 OK", directory)));
    let refusal = hostile.obtain(Limits::default());
    assert!(matches!(refusal, Error::Http { source: Failure::NotHttps { .. }, .. }), "{refusal:?}");
}

#[test]
fn what_is_no_directory_is_told_so() {
    let hostile = Hostile::start(Some(&answer("200 OK", "<html>It works!</html>")));
    let refusal = hostile.obtain(Limits::default());
    assert!(matches!(refusal, Error::Directory { .. }), "{refusal:?}");
}

#[test]
fn silence_ends_at_the_deadline() {
    let hostile = Hostile::start(None);
    let limits = Limits { request: Duration::from_millis(100), ..Limits::default() };
    let begun = Instant::now();
    let refusal = hostile.obtain(limits);
    assert!(matches!(refusal, Error::Http { source: Failure::Deadline { .. }, .. }), "{refusal:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
