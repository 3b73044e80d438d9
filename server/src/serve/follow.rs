//! Follows the store, so that what was committed acts at once: settings, and who is let in.

use std::net::SocketAddr;
use std::time::Duration;

use store::{Entry, Key, Sequence};
use tokio::sync::watch;

use super::early;
use crate::Pki;
use crate::listen::Stop;
use crate::settings::Settings;

/// How long the follower sleeps at most before it looks whether it should stop.
const FOLLOW: Duration = Duration::from_millis(250);
/// Entries of the journal read at once.
const PAGE: usize = 256;

/// The trees whose records say nothing about who is let in. What is not named here may: a kind of record
/// that comes later is looked at until somebody has thought about it.
const ELSEWHERE: [&str; 14] = [
    "acme-account",
    "acme-certificate",
    "acme-order",
    "acme-wanted",
    "blocked-key",
    "crl",
    "issued",
    "issued-by-expiry",
    "issued-by-fingerprint",
    "issued-by-key",
    "issued-by-name",
    "issued-by-request",
    "tally",
    "token",
];

/// The trees whose records HAProxy is told of: certificates, revocations, authorities, where it is.
const OF_PROXIES: [&str; 4] = ["acme-certificate", "authority", "revoked", "setting"];

/// Whom the follower tells.
pub(super) struct Followers {
    public: watch::Sender<Option<SocketAddr>>,
    https: watch::Sender<Option<SocketAddr>>,
    admissions: watch::Sender<u64>,
    proxies: watch::Sender<u64>,
}

/// Where they hear it.
pub(super) struct Seats {
    /// Where the public listener should be.
    pub(super) public: watch::Receiver<Option<SocketAddr>>,
    /// Where the HTTPS listener should be.
    pub(super) https: watch::Receiver<Option<SocketAddr>>,
    /// Moves whenever somebody may have lost what let them in.
    pub(super) admissions: watch::Receiver<u64>,
    /// Moves whenever something changed that HAProxy is told.
    pub(super) proxies: watch::Receiver<u64>,
}

impl Followers {
    /// As the settings have it now.
    pub(super) fn new(settings: &Settings) -> (Followers, Seats) {
        let (public, public_seat) = watch::channel(settings.public_address());
        let (https, https_seat) = watch::channel(settings.https_address());
        let (admissions, admissions_seat) = watch::channel(0);
        let (proxies, proxies_seat) = watch::channel(0);
        let seats = Seats {
            public: public_seat,
            https: https_seat,
            admissions: admissions_seat,
            proxies: proxies_seat,
        };
        (Followers { public, https, admissions, proxies }, seats)
    }

    /// Follows until told to stop. Blocks.
    pub(super) fn follow(self, pki: &Pki, mut seen: Sequence, stop: &Stop) {
        let settings = Key::new("setting").children();
        while !stop.is_told() {
            if pki.store().wait(seen, FOLLOW) <= seen {
                continue;
            }
            let entries = match pki.store().follow(seen, PAGE) {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::error!(%error, "the store can't be followed");
                    std::thread::sleep(FOLLOW);
                    continue;
                }
            };
            let Some(last) = entries.last() else { continue };
            seen = last.sequence;
            pki.note_head(seen);
            if entries.iter().any(|entry| admits(entry)) {
                self.admissions.send_modify(|count| *count = count.wrapping_add(1));
            }
            if entries.iter().any(|entry| is_for_proxies(entry)) {
                self.proxies.send_modify(|count| *count = count.wrapping_add(1));
            }
            let mut keys = entries.iter().flat_map(|entry| entry.writes.iter().flatten());
            if keys.any(|(key, _)| settings.contains(key)) {
                self.reread(pki);
                pki.tell_settings_moved();
            }
        }
    }

    fn reread(&self, pki: &Pki) {
        match pki.settings() {
            Ok(settings) => {
                let tell = |to: &watch::Sender<Option<SocketAddr>>, address| {
                    to.send_if_modified(|held| std::mem::replace(held, address) != address);
                };
                early::remember_or_warn(pki, settings.public_address());
                tell(&self.public, settings.public_address());
                tell(&self.https, settings.https_address());
            }
            Err(error) => tracing::error!(%error, "the settings can't be read"),
        }
    }
}

/// Whether an entry may bear on who is let in.
fn admits(entry: &Entry) -> bool {
    match &entry.writes {
        Some(writes) => writes.iter().any(|(key, _)| !is_elsewhere(key)),
        None => true,
    }
}

/// Whether an entry may bear on what HAProxy is told.
fn is_for_proxies(entry: &Entry) -> bool {
    match &entry.writes {
        Some(writes) => writes.iter().any(|(key, _)| is_in(key, &OF_PROXIES)),
        None => false,
    }
}

fn is_elsewhere(key: &Key) -> bool {
    is_in(key, &ELSEWHERE)
}

fn is_in(key: &Key, trees: &[&str]) -> bool {
    let bytes = key.as_bytes();
    let tree = bytes.iter().position(|&b| b == b'/').map_or(bytes, |end| &bytes[..end]);
    trees.iter().any(|known| known.as_bytes() == tree)
}
