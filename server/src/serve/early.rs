//! Serves what is published while the store is still being opened.
//!
//! Building a lost index takes a while, and so may a passphrase that somebody has to type. Whoever verifies
//! certificates meanwhile needs the lists, and these lie in the directory. So the public listener is opened
//! first, at the address that the last service had, which a small file names; once the store is open the
//! settings decide, and the listener is handed over if they say the same.
//!
//! What this refuses: to serve anything but the published names, and of these only regular files that
//! everybody on this machine may read. Whatever is wrong here is no reason not to start: then nobody is served
//! until the store is open, as if there were no such file.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ca::cert::{Certificate, KeyId};
use store::file::{FileError, OnExisting, Visibility, make_dir, place, read_limited, remove};
use time::OffsetDateTime;

use super::door::{Door, PublicDoor};
use crate::Pki;
use crate::clock;
use crate::counters::Gauge;
use crate::http::public::{self, DER_CERTIFICATE, DER_LIST, Filling, PEM, Shelf, TOP};
use crate::layout::Layout;
use crate::limits::Limits;
use crate::listen::{self, PublicListener, Stop};
use crate::ops::Error;

/// The most octets of the file that names the address.
const LONGEST: usize = 64;
/// The most octets of a certificate.
const CERTIFICATE: usize = 64 * 1024;
/// How long it takes at most until a listener that was told to stop has let its address go.
const LET_GO: Duration = Duration::from_millis(200);

/// The public listener of a service that is still opening its store. Dropped, it closes.
#[derive(Debug)]
pub struct Early {
    address: SocketAddr,
    listener: TcpListener,
    stop: Stop,
    closed: std::sync::mpsc::Receiver<()>,
}

impl Drop for Early {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Early {
    /// Serves what lies in `directory`, at the address that its last service had. `None` if there was none,
    /// or it can't be had.
    pub fn begin(directory: &Path) -> Option<Early> {
        let layout = Layout::new(directory);
        let address = remembered(&layout)?;
        match Early::at(&layout, address) {
            Ok(early) => {
                tracing::info!(%address, "what is published is served while the store is opened");
                Some(early)
            }
            Err(error) => {
                tracing::debug!(%address, %error, "nothing is served while the store is opened");
                None
            }
        }
    }

    fn at(layout: &Layout, address: SocketAddr) -> io::Result<Early> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let serving = listener.try_clone()?;
        let shelf = Arc::new(Shelf::default());
        shelf.open();
        shelf.fill(|shelf| fill(shelf, layout, clock::now())).map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = Stop::new();
        let told = stop.clone();
        let (let_go, closed) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("early".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(door) = PublicListener::of(serving, address) else { return };
                let limits = Arc::new(Limits::default());
                let terms = PublicDoor::terms(&limits);
                listen::serve(door, public::early_router(shelf), limits, terms, Gauge::default(), told).await;
            });
            // Nobody may wait for it any more.
            let _ = let_go.send(());
        })?;
        Ok(Early { address, listener, stop, closed })
    }

    /// Ends it. Its listener, if it is at `wanted`: connections that come in between wait there.
    pub(super) fn hand_over(self, wanted: Option<SocketAddr>) -> Option<PublicListener> {
        self.stop.stop();
        if wanted == Some(self.address) {
            let listener = self.listener.try_clone().ok()?;
            return PublicListener::of(listener, self.address).ok();
        }
        // Requests under way are finished meanwhile, and may take longer than the listener.
        let _ = self.closed.recv_timeout(LET_GO);
        None
    }
}

/// [`remember`]; without that, clients only wait longer at the next start.
pub(super) fn remember_or_warn(pki: &Pki, address: Option<SocketAddr>) {
    if let Err(error) = remember(pki.layout(), address) {
        tracing::warn!(%error, "the next start will not serve the lists before the store is open");
    }
}

/// Remembers where the public listener is, for the next start.
pub(crate) fn remember(layout: &Layout, address: Option<SocketAddr>) -> Result<(), FileError> {
    let file = layout.public_address();
    let address = address.filter(|address| address.port() != 0);
    match address {
        None => match file.exists() {
            true => remove(&file),
            false => Ok(()),
        },
        Some(_) if remembered(layout) == address => Ok(()),
        Some(address) => {
            make_dir(&layout.service(), Visibility::Public)?;
            place(&file, format!("{address}\n").as_bytes(), Visibility::Secret, OnExisting::Replace)
        }
    }
}

fn remembered(layout: &Layout) -> Option<SocketAddr> {
    let bytes = read_limited(&layout.public_address(), LONGEST).ok()?;
    let address: SocketAddr = std::str::from_utf8(&bytes).ok()?.trim_end().parse().ok()?;
    (address.port() != 0).then_some(address)
}

/// Puts what is published on the shelf. Nobody may keep it: the records may know of newer lists.
fn fill(shelf: &mut Filling<'_>, layout: &Layout, now: OffsetDateTime) -> Result<(), Error> {
    for name in TOP {
        let file = layout.root().join(name);
        if is_published(&file) {
            shelf.file(format!("/{name}"), &file, PEM, Some(now))?;
        }
    }
    let Ok(generations) = fs::read_dir(layout.authorities()) else { return Ok(()) };
    for file in generations.flatten().map(|entry| entry.path()).filter(|file| is_published(file)) {
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        let Some(key_id) = stem.and_then(|stem| stem.parse::<KeyId>().ok()) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("crl") => shelf.file(format!("/crl/{key_id}/0.crl"), &file, DER_LIST, Some(now))?,
            Some("crt") => {
                let pem = read_limited(&file, CERTIFICATE)?;
                if let Ok(certificate) = Certificate::from_pem(&pem) {
                    let der = certificate.der().to_vec();
                    shelf.bytes(format!("/ca/{key_id}.crt"), der, DER_CERTIFICATE, None);
                }
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Whether everybody on this machine may read it already, and it is no link to something else.
fn is_published(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok_and(|found| found.is_file() && found.mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::serve::{ServeOptions, serve};
    use crate::settings::{self, Setting};
    use crate::testing::{made, reopened};

    fn get(address: SocketAddr, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    fn free() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn set_address(pki: &Pki, address: SocketAddr) {
        let (setting, value) = (Setting::CorePublicAddress, address.to_string());
        settings::set(pki.store(), setting, Some(&value), "test", 1).unwrap();
    }

    /// Serves for a moment, with what was open early; whether the lists are answered then.
    fn served(pki: &Pki, early: Option<Early>, address: SocketAddr) -> Vec<u8> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (ready, answer) = std::sync::mpsc::channel();
        let options = ServeOptions { early, ..ServeOptions::default() };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let client = std::thread::spawn(move || {
            answer.recv().unwrap();
            let answer = get(address, "/ca.crl");
            stop.send(()).unwrap();
            answer
        });
        let shutdown = async {
            let _ = stopped.await;
        };
        runtime.block_on(serve(pki.clone(), options, shutdown, |_| ready.send(()).unwrap())).unwrap();
        client.join().unwrap()
    }

    #[test]
    fn what_is_published_is_served_before_the_store_is_open_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("pki");
        let pki = made(&place);
        assert!(Early::begin(&place).is_none(), "no service has run yet");
        let address = free();
        set_address(&pki, address);
        served(&pki, None, address);
        pki.store().close();
        drop(pki);
        fs::remove_file(place.join("root.crt")).unwrap();
        std::os::unix::fs::symlink(place.join("keys/audit.key"), place.join("root.crt")).unwrap();

        let early = Early::begin(&place).unwrap();
        let list = fs::read(place.join("ca.crl")).unwrap();
        let answer = get(address, "/ca.crl");
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&list));
        for entry in fs::read_dir(place.join("cas")).unwrap().flatten() {
            let key_id = entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
            for path in [format!("/crl/{key_id}/0.crl"), format!("/ca/{key_id}.crt")] {
                assert!(get(address, &path).starts_with(b"HTTP/1.1 200 "), "{path}");
            }
        }
        for path in ["/root.crt", "/keys/audit.key", "/.well-known/acme-challenge/x", "/1.0"] {
            assert!(get(address, path).starts_with(b"HTTP/1.1 503 "), "{path}");
        }
        fs::remove_file(place.join("root.crt")).unwrap();
        let pki = reopened(&place);
        let answer = served(&pki, Some(early), address);
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&list), "it was handed over");
    }

    #[test]
    fn the_setting_counts_once_the_store_is_open_and_the_file_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("pki");
        let pki = made(&place);
        let (before, after) = (free(), free());
        remember(pki.layout(), Some(before)).unwrap();
        set_address(&pki, after);
        let early = Early::begin(&place).unwrap();
        assert_eq!(early.address, before);
        assert!(served(&pki, Some(early), after).starts_with(b"HTTP/1.1 200 "));
        assert!(TcpStream::connect(before).is_err());
        assert_eq!(remembered(pki.layout()), Some(after));
        for (text, found) in [("127.0.0.1:0", None), ("example.org:80", None), ("", None)] {
            fs::write(pki.layout().public_address(), text).unwrap();
            assert_eq!(remembered(pki.layout()), found, "{text}");
        }
        remember(pki.layout(), None).unwrap();
        assert!(!pki.layout().public_address().exists());
    }
}
