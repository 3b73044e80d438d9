//! The rounds: start, compare with every memory, load, kill.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use server::ops::audit::AuditVerify;
use server::ops::view::Status;

use crate::socket::{Answer, call};
use crate::{Program, Sandbox, Service, fetch, free_port, openssl};

use super::Random;
use super::client::{Client, Goes, Listed};
use super::published::{Judge, List, leftovers};

/// How many ask at once.
const CLIENTS: usize = 4;
/// The longest that a service lives once it answers, in milliseconds.
const LOAD: u64 = 500;
/// The longest that a service lives which is killed while it starts, in milliseconds.
const START: u64 = 120;
/// How many certificates OpenSSL judges in a round.
const WITNESSED: usize = 6;

/// A PKI whose service is killed, and everybody who knows something of it.
pub struct World {
    sandbox: Sandbox,
    address: String,
    random: Random,
    clients: Vec<Client>,
    judge: Judge,
    starts: usize,
    rounds: usize,
}

/// What was done in all rounds.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// Kills under load.
    pub rounds: usize,
    /// Kills while the service started.
    pub starts: usize,
    /// Certificates whose issue was acknowledged.
    pub certificates: usize,
    /// Requests that were acknowledged.
    pub acknowledged: usize,
    /// Different lists that OpenSSL judged.
    pub lists: usize,
}

impl World {
    /// A new PKI.
    #[track_caller]
    pub fn new(seed: u64) -> World {
        let sandbox = Sandbox::of(Program::Shipped);
        sandbox.pki(["init", "--name", "Example", "--key-type", "p256"]).success();
        let address = format!("127.0.0.1:{}", free_port());
        sandbox.pki(["config", "set", "core.public_address", &address]).success();
        let mut random = Random::new(seed);
        let clients = (0..CLIENTS).map(|number| Client::new(number, Random::new(random.draw()))).collect();
        World { sandbox, address, random, clients, judge: Judge::default(), starts: 0, rounds: 0 }
    }

    /// Starts the service, holds it against every memory, loads it, kills it, and looks at what it left.
    ///
    /// # Errors
    /// What did not hold, in words.
    pub fn round(&mut self) -> Result<(), String> {
        if self.random.below(3) == 0 {
            self.kill_a_start();
            self.look()?;
        }
        let service = Service::launch(&self.sandbox, self.address.clone(), &["serve"], &[]);
        let said = self.compare().and_then(|()| self.load(service));
        said.and_then(|()| self.look()).map_err(|cause| format!("round {}: {cause}", self.rounds))?;
        self.rounds += 1;
        Ok(())
    }

    /// The last start: everything once more, the journal read whole, and an orderly end.
    ///
    /// # Errors
    /// What did not hold, in words.
    pub fn end(mut self) -> Result<Tally, String> {
        let service = Service::launch(&self.sandbox, self.address.clone(), &["serve"], &[]);
        self.compare()?;
        let Answer::Done(verified) = call(&self.socket(), &AuditVerify { against: None }) else {
            return Err("the journal does not verify".to_owned());
        };
        service.stop();
        self.look()?;
        let litter = leftovers(&self.sandbox);
        if !litter.is_empty() {
            return Err(format!("nobody swept away {litter:?}"));
        }
        let certificates: usize = self.clients.iter().map(|client| client.known.len()).sum();
        if usize::try_from(verified.entries).unwrap_or(0) < certificates {
            return Err(format!("{} entries for {certificates} certificates", verified.entries));
        }
        let acknowledged = self.clients.iter().map(|client| client.acknowledged).sum();
        let (rounds, starts, lists) = (self.rounds, self.starts, self.judge.judged());
        Ok(Tally { rounds, starts, certificates, acknowledged, lists })
    }

    fn socket(&self) -> PathBuf {
        self.sandbox.dir().join("pki.socket")
    }

    /// Kills a service that has perhaps not yet come up.
    fn kill_a_start(&mut self) {
        let mut command = self.sandbox.command(["serve"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(self.random.below(START)));
        let _ = child.kill();
        let _ = child.wait();
        self.starts += 1;
    }

    /// I1–I3: what the service says of everything that was acknowledged.
    fn compare(&mut self) -> Result<(), String> {
        let socket = self.socket();
        let listed = Listed::by(&socket)?;
        for client in &mut self.clients {
            client.compare(&socket, &listed)?;
        }
        let known = self.clients.iter().flat_map(|client| &client.known);
        let known: std::collections::BTreeSet<&str> = known.map(|known| known.serial.as_str()).collect();
        match listed.by_serial.keys().find(|serial| !known.contains(serial.as_str())) {
            Some(stranger) => Err(format!("nobody asked for {stranger}")),
            None => self.served(),
        }
    }

    /// The lists that a restarted service serves soon name what is revoked, and nothing else.
    fn served(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = fetch(&self.address, "/ca.crl", &[]).map_err(|error| error.to_string())?;
            let (_, der) = x509_cert::der::pem::decode_vec(&answer.body)
                .map_err(|_none| format!("it serves no list: {} {}", answer.status, answer.text()))?;
            let list = self.judge.judge(&self.sandbox, &der)?;
            let wrong = self.wrong(&list, |_known| true);
            match wrong {
                None => {
                    self.settle(list.number);
                    return Ok(());
                }
                Some(cause) if Instant::now() > deadline => return Err(format!("it serves a list: {cause}")),
                Some(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// What a list with this number says right is published from now on.
    fn settle(&mut self, number: u128) {
        for client in &mut self.clients {
            client.floor = client.floor.max(number);
            client.known.iter_mut().for_each(|known| known.is_published = true);
        }
    }

    /// A certificate of which an issuing CA's list says the wrong thing.
    fn wrong(&self, list: &List, counts: impl Fn(&super::client::Known) -> bool) -> Option<String> {
        let all = self.clients.iter().flat_map(|client| &client.known);
        let mut counted = all.filter(|known| known.asked.is_none() && counts(known));
        counted.find(|known| (known.status != Status::Valid) != list.serials.contains(&known.serial)).map(
            |known| format!("{} is {:?}, but not by the list {}", known.serial, known.status, list.number),
        )
    }

    /// Everybody asks until the service is gone, which is killed after a while.
    fn load(&mut self, service: Service) -> Result<(), String> {
        let (socket, address) = (self.socket(), self.address.clone());
        let alive = AtomicBool::new(true);
        let patience = Duration::from_millis(self.random.below(LOAD));
        let (clients, alive) = (&mut self.clients, &alive);
        let (troubles, seen) = std::thread::scope(|scope| {
            let asking: Vec<_> = clients
                .iter_mut()
                .map(|client| {
                    let socket = &socket;
                    scope.spawn(move || {
                        loop {
                            match client.act(socket) {
                                Ok(Goes::On) => {}
                                Ok(Goes::Gone) => return None,
                                // It was killed between an accept and its answer, or it did refuse.
                                Err(trouble) => return Some(trouble),
                            }
                        }
                    })
                })
                .collect();
            let reading = scope.spawn(move || {
                let mut seen: Vec<Vec<u8>> = Vec::new();
                while alive.load(Ordering::Relaxed) {
                    if let Ok(answer) = fetch(&address, "/ca.crl", &[])
                        && seen.last() != Some(&answer.body)
                    {
                        seen.push(answer.body);
                    }
                }
                seen
            });
            std::thread::sleep(patience);
            service.kill();
            alive.store(false, Ordering::Relaxed);
            let troubles: Vec<String> =
                asking.into_iter().filter_map(|thread| thread.join().expect("no client panics")).collect();
            (troubles, reading.join().expect("no reader panics"))
        });
        if let Some(trouble) = troubles.into_iter().next() {
            return Err(trouble);
        }
        let mut last = 0;
        for pem in seen {
            let Ok((_, der)) = x509_cert::der::pem::decode_vec(&pem) else {
                return Err(format!("it served half a list: {}", String::from_utf8_lossy(&pem)));
            };
            let list = self.judge.judge(&self.sandbox, &der)?;
            if list.number < last {
                return Err(format!("it served the list {} after the list {last}", list.number));
            }
            last = list.number;
        }
        // What a reader got was in place.
        for client in &mut self.clients {
            client.floor = client.floor.max(last);
        }
        Ok(())
    }

    /// I4 and I5: what lies there now.
    fn look(&mut self) -> Result<(), String> {
        let lists = self.judge.look(&self.sandbox)?;
        let floor = self.clients.iter().map(|client| client.floor).max().unwrap_or(0);
        for list in &lists {
            // The root's lists also lie in the chain and beside the issuing CA's.
            let of_root = |other: &List| other.files.iter().any(|file| file == "root.crl");
            if lists.iter().any(|other| of_root(other) && other.issuer == list.issuer) {
                continue;
            }
            if list.number < floor {
                return Err(format!("{:?} hold the list {}, after {floor}", list.files, list.number));
            }
            if let Some(cause) = self.wrong(list, |known| known.is_published) {
                return Err(format!("{:?}: {cause}", list.files));
            }
        }
        self.witnessed(&lists)
    }

    /// OpenSSL's word on a few certificates, in one call.
    fn witnessed(&mut self, lists: &[List]) -> Result<(), String> {
        let all: Vec<_> = self.clients.iter().flat_map(|client| &client.known).collect();
        let settled: Vec<_> =
            all.into_iter().filter(|known| known.is_published && known.asked.is_none()).collect();
        let mut chosen = Vec::new();
        for _ in 0..WITNESSED {
            chosen.extend(self.random.one_of(&settled).copied());
        }
        if chosen.is_empty() || lists.is_empty() {
            return Ok(());
        }
        let mut files = Vec::new();
        for (number, known) in chosen.iter().enumerate() {
            let file = self.sandbox.write(&format!("witnessed-{number}.crt"), &known.pem);
            files.push(file.display().to_string());
        }
        let of = |name: &str| self.sandbox.dir().join(name).display().to_string();
        let (root, chain, crls) = (of("root.crt"), of("chain.crt"), of("chain.crl"));
        let mut words = vec!["verify", "-x509_strict", "-crl_check_all", "-CRLfile", &crls];
        words.extend(["-CAfile", &root, "-untrusted", &chain]);
        words.extend(files.iter().map(String::as_str));
        let verdict = openssl(&self.sandbox, words);
        for (file, known) in files.iter().zip(chosen) {
            let accepted = verdict.stdout.contains(&format!("{file}: OK"));
            if accepted != (known.status == Status::Valid) {
                return Err(format!("{} is {:?}, but {verdict}", known.serial, known.status));
            }
        }
        Ok(())
    }
}
