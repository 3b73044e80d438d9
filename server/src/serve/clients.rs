//! Looks at `clients.pem` as soon as somebody has written it, and every few seconds besides: its owner or mode
//! may have been mended, or what was refused be acceptable now.

use std::fs::File;
use std::io::ErrorKind;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;

use crate::http::problem::in_words;
use crate::listen::Stop;
use crate::{Pki, clock};

/// How often it is looked at in any case.
const LOOK: Duration = Duration::from_secs(5);

/// Follows the file until told to stop.
pub(super) async fn follow(pki: Pki, stop: Stop) {
    let watch = match watch() {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(%error, "clients.pem is looked at every few seconds only");
            None
        }
    };
    let mut told = None;
    while !stop.is_told() {
        // Again each time: the directory may be another by now. What is written from here on is heard of.
        if let Some(watch) = &watch {
            let written = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB;
            let watched = inotify::add_watch(watch, pki.layout().authenticated(), written);
            tracing::trace!(?watched, "clients.pem");
        }
        let looking = pki.clone();
        match tokio::task::spawn_blocking(move || looking.follow_clients(clock::now())).await {
            Ok(Ok(())) => told = None,
            Ok(Err(error)) => {
                let error = in_words(&error);
                // Once, until it is another.
                if told.as_ref() != Some(&error) {
                    tracing::error!(error, "clients.pem is not followed");
                }
                told = Some(error);
            }
            Err(_panicked) => tracing::error!("following clients.pem stopped at a defect"),
        }
        tokio::select! {
            () = stop.told() => return,
            () = written(watch.as_ref()) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What tells of writes is read like a pipe (inotify(7)).
fn watch() -> std::io::Result<Receiver> {
    Receiver::from_file_unchecked(File::from(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?))
}

/// Returns once something was written in the directory; never, if that can't be known.
async fn written(watch: Option<&Receiver>) {
    let Some(watch) = watch else { return std::future::pending().await };
    let mut events = [0; 4096];
    loop {
        if watch.readable().await.is_err() {
            return std::future::pending().await;
        }
        // What it says does not matter: the file is looked at.
        match watch.try_read(&mut events) {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return std::future::pending().await,
        }
    }
}
