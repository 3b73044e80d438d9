//! A backup over the socket: the passphrase goes in, the archive streams out.
//!
//! What goes wrong before the first octet is a problem like any other. What goes wrong later breaks
//! the answer off, which the reader of a chunked body (RFC 9112 §7.1) sees.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;
use trust::{Action, Presented};

use super::operation::{self, Refusal};
use super::{Desk, problem};
use crate::clock;
use crate::limits::Sender;
use crate::ops::backup::BackupRequest;

/// How much is gathered before it is sent on.
const CHUNK: usize = 64 * 1024;
/// How many chunks may wait for a slow reader.
const AHEAD: usize = 4;

/// What the writer of an archive hands to its reader.
enum Part {
    Broken,
    Chunk(Bytes),
    Refused(Box<crate::problem::Problem>),
}

/// Streams a backup.
pub(crate) async fn answer(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    request: Request,
) -> Result<Response, Refusal> {
    let request: BackupRequest = operation::parse(request, &desk.limits, Sender::Admitted).await?;
    let place = operation::place(desk.rooms.of(Action::Backup))?;
    let (parts, mut receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut out = Chunks { parts: parts.clone(), gathered: BytesMut::new(), begun: false };
        let ended = desk.pki.backup(&request, &mut out, &presented, clock::now());
        let ended = ended.map_err(|error| problem::problem(&error));
        let last = match (ended, out.begun) {
            (Ok(()), _) => None,
            (Err(problem), false) => Some(Part::Refused(Box::new(problem))),
            (Err(problem), true) => {
                tracing::error!(%problem, causes = problem.causes.join(": "), "a backup broke off");
                Some(Part::Broken)
            }
        };
        if let Some(last) = last {
            // A reader that has gone away needs no last word.
            let _ = parts.blocking_send(last);
        }
        drop(place);
    });
    let first = match receiver.recv().await {
        Some(Part::Refused(problem)) => return Ok(operation::failed(&problem)),
        Some(Part::Chunk(first)) => first,
        Some(Part::Broken) | None => return Err(Refusal::Panicked),
    };
    let rest = stream::unfold((Some(first), receiver), |(first, mut receiver)| async move {
        let part = match first {
            Some(first) => Part::Chunk(first),
            None => receiver.recv().await?,
        };
        let chunk = match part {
            Part::Chunk(chunk) => Ok(chunk),
            Part::Broken | Part::Refused(_) => Err(io::Error::other("the backup broke off")),
        };
        Some((chunk, (None, receiver)))
    });
    let mut response = Response::new(Body::from_stream(rest));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(operation::with_version(response))
}

/// Sends what is written to it, chunk by chunk.
struct Chunks {
    parts: mpsc::Sender<Part>,
    gathered: BytesMut,
    begun: bool,
}

impl Write for Chunks {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(buf);
        if self.gathered.len() >= CHUNK {
            self.flush()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let chunk = Part::Chunk(self.gathered.split().freeze());
        self.parts.blocking_send(chunk).map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}
