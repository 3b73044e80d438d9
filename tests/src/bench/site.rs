//! A PKI to measure, filled with certificates by the way they are really issued.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use ca::cert::{CommonName, KeyId, Serial};
use ca::key::{KeyType, PrivateKey, make_csr};
use rustix::process::{Pid, Signal, kill_process};
use server::ops::issue::{Issue, IssueMany, Issued, ProfileName, RowReply};
use server::pki::{Keys, OpenMode};
use server::{Pki, clock};
use time::OffsetDateTime;

use super::client::Client;
use super::limits::Curve;
use super::measure::timed;
use super::process;
use crate::{Sandbox, free_port};

/// The name that the certificates of the fleet share.
pub const FLEET: &str = "fleet";

/// What filling the directory took.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Certificates.
    pub count: usize,
    /// Seconds, requests made included.
    pub seconds: f64,
    /// Octets written to the disk meanwhile.
    pub written: u64,
    /// Octets that the journal grew by, on disk.
    pub journal: u64,
    /// Octets that journal and index grew by, on disk.
    pub store: u64,
    /// Octets of the certificates.
    pub certificates: u64,
}

/// A PKI on the disk.
pub struct Site {
    sandbox: Sandbox,
    curve: Curve,
    address: String,
    serials: Vec<Serial>,
    revoked: usize,
    singly: usize,
    loads: Vec<Load>,
}

impl Site {
    /// A new one whose authorities have keys on `curve`.
    pub fn fresh(curve: Curve) -> Site {
        let sandbox = Sandbox::new();
        sandbox.pki(["init", "--name", "Example", "--key-type", curve.word()]).success();
        let address = format!("127.0.0.1:{}", free_port());
        sandbox.pki(["config", "set", "core.public_address", &address]).success();
        Site { sandbox, curve, address, serials: Vec::new(), revoked: 0, singly: 0, loads: Vec::new() }
    }

    /// Where commands run.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Where the store lies.
    pub fn store(&self) -> PathBuf {
        self.sandbox.dir().join("store")
    }

    /// Address of the public listener.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How many certificates were loaded.
    pub fn loaded(&self) -> usize {
        self.serials.len()
    }

    /// How many were revoked by [`Site::revoke_to`] and [`Site::fleet_is_revoked`].
    pub fn revoked(&self) -> usize {
        self.revoked + self.singly
    }

    /// What each step of the filling took.
    pub fn loads(&self) -> &[Load] {
        &self.loads
    }

    /// Opens it in this process. Nothing else may have it open meanwhile.
    pub fn open(&self) -> Pki {
        Pki::open(&self.sandbox.dir(), Keys::default(), OpenMode::Service, clock::now())
            .unwrap_or_else(|error| panic!("{}: {error}", self.sandbox.dir().display()))
    }

    /// Issues certificates until there are `count`; those from the place `from` on, `fleet` of them,
    /// share one name.
    pub fn load_to(&mut self, count: usize, from: usize, fleet: usize) {
        /// As many as `pki issue-client --from` sends at once.
        const PAGE: usize = 512;
        if self.serials.len() >= count {
            return;
        }
        let journal = self.store().join("journal");
        let before = (process::on_disk(&self.store()), process::on_disk(&journal), process::written());
        let begun = (self.serials.len(), Instant::now());
        let mut certificates = 0;
        let pki = self.open();
        while self.serials.len() < count {
            let first = self.serials.len();
            let requests =
                (first..count.min(first + PAGE)).map(|number| match (from..from + fleet).contains(&number) {
                    true => FLEET.to_owned(),
                    false => client_name(number),
                });
            let requests = requests_for(requests.collect(), self.curve);
            let replies = pki.run(IssueMany { requests }, &server::peer::presented(), clock::now());
            for reply in replies.unwrap_or_else(|error| panic!("loading: {error}")) {
                let issued = match reply {
                    RowReply::Issued(issued) => issued,
                    RowReply::Failed(problem) => panic!("loading: {problem:?}"),
                };
                certificates += der_length(&issued);
                self.serials.push(issued.certificate.serial.parse().expect("a serial of ours"));
            }
        }
        pki.store().close();
        drop(pki);
        self.loads.push(Load {
            count: self.serials.len() - begun.0,
            seconds: begun.1.elapsed().as_secs_f64(),
            written: process::written() - before.2,
            journal: process::on_disk(&journal) - before.1,
            store: process::on_disk(&self.store()) - before.0,
            certificates,
        });
    }

    /// Revokes the first certificates, in process, until `count` are, and publishes the list once.
    pub fn revoke_to(&mut self, count: usize) {
        let count = count.min(self.serials.len());
        if self.revoked >= count {
            return;
        }
        let pki = self.open();
        let now = clock::now();
        let issuer = issuer(&pki);
        let targets: Vec<crl::Target> =
            self.serials[self.revoked..count].iter().map(|serial| target(issuer, *serial, now)).collect();
        let request = crl::Request { reason: crl::Reason::Superseded, invalidity: None, now };
        crl::revoke(pki.store(), &targets, &request, "bench")
            .unwrap_or_else(|error| panic!("revoking: {error}"));
        let publish = server::ops::crl::CrlPublish { root: false };
        pki.run(publish, &server::peer::presented(), now)
            .unwrap_or_else(|error| panic!("publishing: {error}"));
        pki.store().close();
        self.revoked = count;
    }

    /// Notes that a command has revoked the fleet: the `fleet` certificates behind those revoked so far.
    pub fn fleet_is_revoked(&mut self, fleet: usize) {
        self.revoked += fleet;
    }

    /// Issues `count` certificates to be revoked one by one; their names. They count as revoked.
    pub fn spares(&mut self, count: usize) -> Vec<String> {
        let names: Vec<String> = (0..count).map(|number| format!("spare-{}", self.singly + number)).collect();
        self.singly += count;
        let pki = self.open();
        for request in requests_for(names.clone(), self.curve) {
            let issued = pki.run(request, &server::peer::presented(), clock::now());
            issued.unwrap_or_else(|error| panic!("loading: {error}"));
        }
        pki.store().close();
        names
    }

    /// Starts `pki serve` and waits until it answers a request on its socket; milliseconds it took.
    pub fn serve(&self) -> (f64, Serving) {
        let log = std::fs::File::create(self.sandbox.root().join("service.log")).expect("a writable folder");
        let mut command = self.sandbox.command(["serve"]);
        command.stdout(log.try_clone().expect("a second handle")).stderr(log).stdin(Stdio::null());
        let directory = self.sandbox.dir();
        let (time, child) = timed(|| {
            let mut child = command.spawn().expect("the program starts");
            let deadline = Instant::now() + Duration::from_secs(600);
            loop {
                let answer = Client::to_socket(&directory)
                    .and_then(|mut client| client.ask("POST", "/1.0/pki/config-list", b"{}"));
                if answer.is_ok_and(|(status, _)| status == 200) {
                    break child;
                }
                let ended = child.try_wait().expect("our own child");
                assert!(
                    ended.is_none() && Instant::now() < deadline,
                    "the service does not answer: {ended:?}"
                );
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        (time, Serving { child })
    }
}

/// A service that ends with this value.
pub struct Serving {
    child: Child,
}

impl Serving {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it and waits until it has.
    pub fn end(mut self, signal: Signal) {
        self.send(signal);
        let _ = self.child.wait();
    }

    fn send(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.send(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// The name of a loaded certificate that is not of the fleet.
pub fn client_name(number: usize) -> String {
    format!("client-{number:07}")
}

fn issuer(pki: &Pki) -> KeyId {
    let current = ca::authority::Current::load(pki.store()).unwrap_or_else(|error| panic!("{error}"));
    current.issuing.record.key_id
}

fn target(issuer: KeyId, serial: Serial, now: OffsetDateTime) -> crl::Target {
    crl::Target { issuer, serial, not_after: now + time::Duration::days(364), key: None }
}

/// Octets of a certificate in an answer.
fn der_length(issued: &Issued) -> u64 {
    let body: usize = issued.pem.lines().filter(|line| !line.starts_with('-')).map(str::len).sum();
    (body * 3 / 4) as u64
}

/// Requests with keys of their own, made on every processor.
pub fn requests_for(names: Vec<String>, curve: Curve) -> Vec<Issue> {
    let share = names.len().div_ceil(super::machine::processors()).max(1);
    std::thread::scope(|scope| {
        let running: Vec<_> = names
            .chunks(share)
            .map(|names| {
                scope.spawn(move || names.iter().map(|name| request(name, curve)).collect::<Vec<_>>())
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().expect("requests are made")).collect()
    })
}

fn request(name: &str, curve: Curve) -> Issue {
    let key_type = match curve {
        Curve::P256 => KeyType::P256,
        Curve::P384 => KeyType::P384,
    };
    let common_name: CommonName = name.parse().expect("a good name");
    let key = PrivateKey::generate(key_type).expect("a key");
    let csr = make_csr(&key, &common_name, &[]).expect("a request");
    Issue {
        profile: ProfileName::Client,
        csr,
        name: Some(name.to_owned()),
        names: Vec::new(),
        days: None,
        dry_run: false,
        project: None,
    }
}

/// A serial as it would be issued.
pub fn serial(random: &SystemRandom) -> Serial {
    Serial::random(random).expect("random octets")
}
