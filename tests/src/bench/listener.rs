//! A thousand clients want the list at once.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::client::Client;
use super::measure::Pairs;
use super::process::{Memory, forget_peak, peak};
use super::row::{Row, Unit};
use super::run::Bench;
use super::site::Site;
use crate::fetch;

/// How much more memory a client may cost while it is served, KiB: buffers, never a copy of the list.
const PER_CLIENT: f64 = 32.0;

/// All of them fetch the list, then ask again with its tag; beside a server that does nothing but write
/// the same bytes.
pub fn fetching(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    if bench.step() != Some(1) {
        return Vec::new();
    }
    let clients = bench.scale().pick(1_000, 200, 10);
    let rounds = bench.scale().pick(5, 3, 1);
    let (_, serving) = site.serve();
    let path = list(site);
    let one = fetch(site.address(), &path, &[]).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(one.status == 200, "{path}: {}", one.status);
    let octets = one.body.len();
    let (mut whole, mut known) = (Pairs::default(), Pairs::default());
    let bare = Bare::new();
    std::thread::sleep(Duration::from_millis(bench.scale().pick(5_000, 500, 50)));
    let process = serving.pid().to_string();
    let idle = Memory::of(serving.pid()).resident;
    forget_peak(&process);
    let tag = format!("If-None-Match: {}\r\n", one.header("etag"));
    let mut most = idle;
    for _ in 0..rounds {
        let limit = bare.serve(&one.body, clients);
        whole.push(crowd(site.address(), &path, "", clients, 200, octets), limit);
        most = most.max(peak(&process));
        let limit = bare.serve(&[], clients);
        known.push(crowd(site.address(), &path, &tag, clients, 304, 0), limit);
    }
    drop(serving);
    let size = octets as f64 / 1e6;
    let grown = (most - idle).max(0.0);
    vec![
        Row::pairs(
            format!("{clients} clients at once fetch a list of {size:.1} MB, until the last has it"),
            Unit::Seconds,
            &whole,
            "the same bytes by a server that only writes them",
        )
        .with(format!("{:.0} MB/s", clients as f64 * size / whole.figures().median())),
        Row::once("more memory of the service meanwhile, at the peak", Unit::Mebibytes, grown)
            .with(format!("{} before", Unit::Mebibytes.show(idle)))
            .target_of(Some(clients as f64 * PER_CLIENT / 1024.0), "32 KiB a client: no copies"),
        Row::pairs(
            format!("{clients} clients at once that have it: 304"),
            Unit::Seconds,
            &known,
            "empty answers by a server that only writes them",
        ),
    ]
}

/// Where the issuing CA's list is served, DER.
fn list(site: &Site) -> String {
    let mut client = Client::to_socket(&site.sandbox().dir()).expect("the service runs");
    let (_, lists) = client.ask("POST", "/1.0/pki/crl-show", b"{}").expect("an answer");
    let lists: serde_json::Value = serde_json::from_slice(&lists).expect("JSON");
    let mut lists = lists.as_array().into_iter().flatten();
    let issuing = lists.find(|list| list["role"] == "issuing").expect("an issuing CA's list");
    format!("/crl/{}/0.crl", issuing["issuer"].as_str().unwrap_or_default())
}

/// Seconds until `clients`, who begin together, have all read an answer of this status and size.
fn crowd(address: &str, path: &str, field: &str, clients: usize, status: u16, octets: usize) -> f64 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{field}\r\n");
    let (start, request) = (Barrier::new(clients + 1), request.as_bytes());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|_| {
                let start = &start;
                let client = std::thread::Builder::new().stack_size(128 << 10);
                client
                    .spawn_scoped(scope, move || {
                        start.wait();
                        read(address, request)
                    })
                    .expect("a thread")
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        for client in running {
            let met = client.join().expect("it only reads").unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(met == (status, octets), "{path}: {met:?} instead of {:?}", (status, octets));
        }
        begun.elapsed().as_secs_f64()
    })
}

/// Asks, reads to the end, keeps nothing: the status and the octets behind the head.
fn read(address: &str, request: &[u8]) -> io::Result<(u16, usize)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.write_all(request)?;
    let mut block = vec![0; 32 << 10];
    let (mut head, mut body) = (Vec::new(), None);
    loop {
        let size = stream.read(&mut block)?;
        if size == 0 {
            break;
        }
        match &mut body {
            Some(octets) => *octets += size,
            None => {
                head.extend_from_slice(&block[..size]);
                let end = head.windows(4).position(|window| window == b"\r\n\r\n");
                body = end.map(|end| head.len() - end - 4);
            }
        }
    }
    let word = head.split(|&octet| octet == b' ').nth(1).and_then(|word| std::str::from_utf8(word).ok());
    match (word.and_then(|word| word.parse().ok()), body) {
        (Some(status), Some(octets)) => Ok((status, octets)),
        _ => Err(io::Error::other("not an HTTP answer")),
    }
}

/// A server that only writes: a thread for each connection, one copy of the bytes.
struct Bare {
    listener: TcpListener,
    address: String,
}

impl Bare {
    fn new() -> Bare {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        // A connection that finds the queue full tries again a second later: not what is measured.
        rustix::net::listen(&listener, 4096).expect("a longer queue");
        let address = listener.local_addr().expect("its address").to_string();
        Bare { listener, address }
    }

    /// Seconds until as many clients have the bytes.
    fn serve(&self, body: &[u8], clients: usize) -> f64 {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..clients {
                    let Ok((mut stream, _)) = self.listener.accept() else { return };
                    let head = head.as_bytes();
                    let answering = std::thread::Builder::new().stack_size(128 << 10);
                    let answering = answering.spawn_scoped(scope, move || {
                        let mut asked = [0; 1024];
                        let _ = stream.read(&mut asked);
                        let _ = stream.write_all(head).and_then(|()| stream.write_all(body));
                    });
                    answering.expect("a thread");
                }
            });
            crowd(&self.address, "/", "", clients, 200, body.len())
        })
    }
}
