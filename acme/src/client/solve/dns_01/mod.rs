//! TXT records that prove names (RFC 8555 §8.4), wildcards among them.
//!
//! The record is put where the name leads by CNAME, so that a zone that may be changed by a program can
//! stand in for one that may not. An authority is told to look only after every server of the zone has
//! been seen to answer with the record: one that is asked too early fails the order. Records are taken away
//! afterwards.
//!
//! What this refuses: to know providers. It changes a zone by RFC 2136 (`update`) or has a program of the
//! user's do it (`exec`).

mod exec;
mod find;
pub mod provider;
mod update;
mod wire;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::rr::Name;
use tokio::time::Instant;

use self::find::Recursive;
use self::provider::Provider;
use super::proof::{Answer, Challenges, Doing, Method, Proof, of_another_method};
use crate::client::Clock;

/// Shows proofs in DNS.
pub struct Dns {
    provider: Provider,
    recursive: Recursive,
    /// Where authoritative servers listen.
    port: u16,
    clock: Clock,
    placed: Mutex<Vec<Placed>>,
}

/// A record that was put up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    proof: Proof,
    owner: Name,
    zone: Name,
    value: String,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// The port of DNS.
pub const PORT: u16 = 53;

impl Dns {
    /// Proves names by way of `provider`. `resolvers` are asked where names lead; if there are none, those of
    /// this system. Authoritative servers are asked on `port`, which is [`PORT`] but in tests.
    pub fn new(provider: Provider, resolvers: Vec<SocketAddr>, port: u16, clock: Clock) -> io::Result<Dns> {
        let recursive = Recursive::new(resolvers)?;
        Ok(Dns { provider, recursive, port, clock, placed: Mutex::default() })
    }

    async fn put(&self, proof: &Proof, value: &str) -> io::Result<()> {
        let asked = Name::from_ascii(format!("_acme-challenge.{}.", proof.name)).map_err(io::Error::other)?;
        let owner = self.recursive.follow(&asked).await?;
        let zone = self.recursive.zone(&owner).await?;
        let placed = Placed { proof: proof.clone(), owner, zone, value: value.to_owned() };
        // Noted before it is done: what was done by half is taken back as well.
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).push(placed.clone());
        match &self.provider {
            Provider::Exec(hook) => hook.present(&placed.owner, value).await,
            Provider::Rfc2136(server) => server.put(&placed.zone, &placed.owner, value, (self.clock)()),
        }
    }

    /// Waits until every server of each zone answers with the records.
    async fn propagated(&self) -> io::Result<()> {
        let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let patience = self.provider.patience();
        let begun = Instant::now();
        for one in &placed {
            let servers = self.recursive.servers(&one.zone, self.port).await?;
            let mut waiting = servers;
            let mut pause = FIRST_LOOK;
            loop {
                let mut still = Vec::new();
                for server in waiting {
                    match wire::texts(server, &one.owner).await {
                        Ok(texts) if texts.contains(&one.value) => {}
                        Ok(_not_yet) => still.push((server, "has another answer".to_owned())),
                        Err(error) => still.push((server, error.to_string())),
                    }
                }
                let Some((server, why)) = still.first() else { break };
                if begun.elapsed() + pause > patience {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!(
                            "the record {} is not at {server} after {} s: {why}",
                            one.owner,
                            begun.elapsed().as_secs()
                        ),
                    ));
                }
                waiting = still.into_iter().map(|(server, _why)| server).collect();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        Ok(())
    }

    fn take_away(&self, placed: &Placed) -> io::Result<()> {
        match &self.provider {
            Provider::Exec(hook) => hook.clean_up(&placed.owner, &placed.value),
            Provider::Rfc2136(server) => {
                server.remove(&placed.zone, &placed.owner, &placed.value, (self.clock)())
            }
        }
    }
}

/// A primary that serves what it was told just now answers at once.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// Secondaries are notified within seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Challenges for Dns {
    fn method(&self) -> Method {
        Method::Dns01
    }

    fn publish<'a>(&'a self, proof: &'a Proof) -> Doing<'a> {
        Box::pin(async move {
            match &proof.answer {
                Answer::Dns { value } => self.put(proof, value).await,
                Answer::Http { .. } | Answer::TlsAlpn { .. } => Err(of_another_method()),
            }
        })
    }

    fn seen<'a>(&'a self, _published: &'a [Proof]) -> Doing<'a> {
        Box::pin(self.propagated())
    }

    fn withdraw(&self, proof: &Proof) {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = placed.iter().position(|placed| placed.proof == *proof) else { return };
        let one = placed.remove(at);
        drop(placed);
        if let Err(error) = self.take_away(&one) {
            tracing::warn!(record = %one.owner, %error, "a record that proved a name could not be taken away");
        }
    }
}
