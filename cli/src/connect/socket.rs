//! A running service, spoken to over its Unix socket: HTTP/1.1, one connection a call.

use std::{
    cell::Cell,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use server::{
    http::{VERSION, VERSION_HEADER},
    ops::Operation,
    problem::Problem,
};
use tokio::{net::UnixStream, runtime::Runtime};

use crate::{
    context::{Context, span},
    error::{CommandError, Kind},
};

/// No operation takes longer; an ACME order may take minutes.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// A service that says nothing for so long, or for `--wait` if that is longer, hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// Operations that may be silent for long: they work through everything, or wait for others.
const LONG: [&str; 8] = [
    "acme-issue",
    "acme-renew",
    "acme-revoke",
    "audit-verify",
    "ca-rotate",
    "doctor",
    "issue-many",
    "revoke-many",
];

/// A running service.
pub struct Service {
    socket: PathBuf,
    runtime: Runtime,
    /// How long to come back to a service that has too much to do.
    patience: Duration,
    /// How long it may say nothing.
    silence: Duration,
    /// A version other than ours is worth one warning.
    warned: Cell<bool>,
}

/// What came back.
struct Answer {
    success: bool,
    /// Whether it has too much to do, and has not even begun (RFC 9110 §10.2.3).
    busy: bool,
    version: Option<String>,
    body: Vec<u8>,
}

/// Takes a part of an answer, and says whether it wants more.
type Taker<'t> = dyn FnMut(&[u8]) -> bool + 't;

/// How a call may fail before there is an answer.
enum Broken {
    /// Nothing was sent: no one listens any more.
    Unreached(io::Error),
    /// It was sent, and what became of it is not known.
    Midway(Box<dyn std::error::Error>),
    /// Nothing came for longer than it may take.
    Late(Duration),
}

impl Service {
    /// Connects; `None` if no one listens at `socket`.
    pub fn connect(socket: &Path, context: &Context) -> Result<Option<Service>, CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CommandError::internal("cannot talk to the service").because(&error))?;
        let silence = SILENCE.max(context.global.wait);
        match runtime.block_on(reach(socket, silence)) {
            Ok(_stream) => Ok(Some(Service {
                socket: socket.to_path_buf(),
                runtime,
                patience: context.global.wait,
                silence,
                warned: Cell::new(false),
            })),
            Err(error) => match error.kind() {
                // No socket; or one that a service which was killed left behind.
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                    Ok(None)
                }
                io::ErrorKind::PermissionDenied => Err(denied(socket).because(&error)),
                _ => Err(CommandError::new(
                    Kind::Unavailable,
                    format!("cannot reach the service at {}", socket.display()),
                )
                .because(&error)
                .hint("try again in a moment")),
            },
        }
    }

    /// Runs an operation in the service.
    pub fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, CommandError> {
        let body = serde_json::to_vec(&operation)
            .map_err(|error| CommandError::internal("cannot write the request as JSON").because(&error))?;
        let body = Bytes::from(body);
        let began = Instant::now();
        loop {
            let sent = self.runtime.block_on(self.send::<O>(body.clone()));
            let answer = sent.map_err(|broken| self.broken(&broken))?;
            self.compare_versions(answer.version.as_deref());
            if answer.success {
                return serde_json::from_slice(&answer.body)
                    .map_err(|error| self.unreadable(&answer, &error));
            }
            if answer.busy && began.elapsed() < self.patience {
                std::thread::sleep(Duration::from_millis(200));
                continue;
            }
            let problem: Problem =
                serde_json::from_slice(&answer.body).map_err(|error| self.unreadable(&answer, &error))?;
            return Err(problem.into());
        }
    }

    /// Asks for something that streams, and writes it to `out`.
    pub fn download<R: Serialize>(
        &self,
        path: &str,
        request: &R,
        out: &mut dyn Write,
    ) -> Result<(), CommandError> {
        let body = serde_json::to_vec(request)
            .map_err(|error| CommandError::internal("cannot write the request as JSON").because(&error))?;
        let mut written = Ok(());
        let mut take = |part: &[u8]| {
            written = out.write_all(part);
            written.is_ok()
        };
        let sent = self.runtime.block_on(self.exchange(path, Bytes::from(body), DEADLINE, Some(&mut take)));
        written?;
        let answer = sent.map_err(|broken| self.broken(&broken))?;
        self.compare_versions(answer.version.as_deref());
        if answer.success {
            return Ok(());
        }
        let problem: Problem =
            serde_json::from_slice(&answer.body).map_err(|error| self.unreadable(&answer, &error))?;
        Err(problem.into())
    }

    async fn send<O: Operation>(&self, body: Bytes) -> Result<Answer, Broken> {
        let silence = if LONG.contains(&O::NAME) { DEADLINE } else { self.silence };
        self.exchange(&server::http::path::<O>(), body, silence, None).await
    }

    /// One request and its answer. The body of a success goes to `take`, if there is one, as it comes;
    /// `take` says whether it wants more.
    async fn exchange(
        &self,
        path: &str,
        body: Bytes,
        silence: Duration,
        take: Option<&mut Taker<'_>>,
    ) -> Result<Answer, Broken> {
        let midway = |error: hyper::Error| Broken::Midway(Box::new(error));
        let stream = reach(&self.socket, self.silence).await.map_err(Broken::Unreached)?;
        let exchange = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(midway)?;
            let request = Request::post(path)
                .header(header::HOST, "pki")
                .header(header::CONTENT_TYPE, "application/json")
                .header(VERSION_HEADER, VERSION)
                .body(Full::new(body))
                .map_err(|error| Broken::Midway(Box::new(error)))?;
            let respond = async {
                let response = tokio::time::timeout(silence, sender.send_request(request));
                let response = response.await.map_err(|_elapsed| Broken::Late(silence))?.map_err(midway)?;
                let success = response.status().is_success();
                let busy = response.headers().contains_key(header::RETRY_AFTER);
                let version = response.headers().get(VERSION_HEADER);
                let version = version.and_then(|value| value.to_str().ok()).map(str::to_string);
                let mut body = response.into_body();
                let mut gathered = Vec::new();
                let mut take = take.filter(|_| success);
                while let Some(frame) = body.frame().await {
                    let Ok(part) = frame.map_err(midway)?.into_data() else { continue };
                    let goes_on = match &mut take {
                        None => {
                            gathered.extend_from_slice(&part);
                            true
                        }
                        Some(take) => take(&part),
                    };
                    if !goes_on {
                        break;
                    }
                }
                Ok(Answer { success, busy, version, body: gathered })
            };
            tokio::pin!(connection, respond);
            tokio::select! {
                biased;
                answer = &mut respond => answer,
                // The connection ends when the answer is whole, or when it breaks: then the answer says so.
                _ = &mut connection => respond.await,
            }
        };
        match tokio::time::timeout(DEADLINE.max(silence), exchange).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Broken::Late(DEADLINE.max(silence))),
        }
    }

    fn broken(&self, broken: &Broken) -> CommandError {
        let socket = self.socket.display();
        match broken {
            Broken::Unreached(error) => {
                CommandError::new(Kind::Unavailable, format!("the service at {socket} went away"))
                    .because(error)
                    .hint("nothing was done; try again")
            }
            Broken::Midway(error) => {
                CommandError::new(Kind::Unavailable, format!("the service at {socket} broke off its answer"))
                    .because(error.as_ref())
                    .hint("it may have been done or not: look with `pki list` or `pki audit`, or try again")
            }
            Broken::Late(after) => CommandError::new(
                Kind::Unavailable,
                format!("the service at {socket} did not answer within {}", span(*after)),
            )
            .hint("if it is stopped or stuck, go on or restart it")
            .hint("it may still be done: look with `pki audit`"),
        }
    }

    fn unreadable(&self, answer: &Answer, error: &serde_json::Error) -> CommandError {
        let version = answer.version.as_deref().unwrap_or("unknown");
        CommandError::internal(format!("the answer of the service (version {version}) cannot be read"))
            .because(error)
            .hint(format!("this command is version {VERSION}: restart the service after an upgrade"))
    }

    fn compare_versions(&self, theirs: Option<&str>) {
        let theirs = theirs.unwrap_or("unknown");
        if !same_release(theirs, VERSION) && !self.warned.replace(true) {
            crate::output::warn_plainly(&format!(
                "the service is version {theirs}, this command is {VERSION}: restart the service"
            ));
        }
    }
}

/// Whether two versions agree in major and minor.
fn same_release(one: &str, other: &str) -> bool {
    let release = |version: &str| version.splitn(3, '.').take(2).map(str::to_string).collect::<Vec<_>>();
    release(one) == release(other)
}

/// Connects, also where the path is longer than a socket address can hold.
async fn reach(socket: &Path, within: Duration) -> io::Result<UnixStream> {
    let way = server::listen::reach(socket)?;
    tokio::time::timeout(within, UnixStream::connect(&way.path)).await?
}

fn denied(socket: &Path) -> CommandError {
    let error =
        CommandError::new(Kind::Denied, format!("you may not use the service at {}", socket.display()));
    match super::local::owner_of(socket.parent().unwrap_or(socket)) {
        Some(owner) => error.hint(format!("sudo -u {owner} pki …")),
        None => error.hint("work as the user that owns it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_says_nothing_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        // Its queue takes the connection; nobody ever answers.
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let silence = Duration::from_millis(50);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let service =
            Service { socket, runtime, patience: Duration::ZERO, silence, warned: Cell::new(false) };
        let error = service.call(server::ops::info::Info {}).unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.contains("did not answer"), "{error:?}");
    }

    #[test]
    fn a_patch_release_is_the_same_release() {
        assert!(same_release("1.2.3", "1.2.9"));
        assert!(!same_release("1.2.3", "1.3.3"));
        assert!(!same_release("unknown", "1.3.3"));
    }
}
