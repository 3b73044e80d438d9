//! A running service, spoken to over its Unix socket or, as a remote, over HTTPS: HTTP/1.1, one
//! connection a call. The requests and the answers are the same.

use std::{
    cell::Cell,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use server::{
    dial::Dialer,
    http::{HTTPS_HEADER, VERSION, VERSION_HEADER},
    ops::{Operation, info::Info},
    pki::HttpsWay,
    problem::Problem,
};
use tokio::runtime::Runtime;

use super::way::{Unreached, Way, reach};
use crate::{
    client::RemoteName,
    context::{Context, span},
    error::{CommandError, Kind},
};

/// No operation takes longer; an ACME order may take minutes.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// A service that says nothing for so long, or for `--wait` if that is longer, hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// Operations that may be silent for long: they work through everything, or wait for others.
const LONG: [&str; 9] = [
    "acme-account-change",
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
    pub(super) way: Way,
    runtime: Runtime,
    /// How long to come back to a service that has too much to do.
    patience: Duration,
    /// How long it may say nothing.
    silence: Duration,
    /// A version other than ours is worth one warning.
    warned: Cell<bool>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Whether it has too much to do, and has not even begun (RFC 9110 §10.2.3).
    busy: bool,
    version: Option<String>,
    /// Where it says that a certificate may let us in.
    https: Option<HttpsWay>,
    pub(super) body: Vec<u8>,
}

/// Takes a part of an answer, and says whether it wants more.
type Taker<'t> = dyn FnMut(&[u8]) -> bool + 't;

/// How a call may fail before there is an answer.
pub(super) enum Broken {
    /// Nothing was sent: no one listens any more, or it is not the one that we know.
    Unreached(Unreached),
    /// It was sent, and what became of it is not known.
    Midway(Box<dyn std::error::Error>),
    /// Nothing came for longer than it may take.
    Late(Duration),
}

impl Service {
    /// Connects; `None` if no one listens at `socket`.
    pub fn connect(socket: &Path, context: &Context) -> Result<Option<Service>, CommandError> {
        let runtime = runtime()?;
        let silence = SILENCE.max(context.global.wait);
        match runtime.block_on(reach(socket, silence)) {
            Ok(_stream) => Ok(Some(Service {
                way: Way::Socket(socket.to_path_buf()),
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

    /// A service over HTTPS, for `pki --remote` (then `remote` is its name) and for what speaks to a service
    /// that has no name yet. Nothing is sent before the first call, and every call makes sure anew that it
    /// is the service that `dialer` knows.
    pub fn over_https(
        dialer: Dialer,
        remote: Option<RemoteName>,
        context: &Context,
    ) -> Result<Service, CommandError> {
        Ok(Service {
            way: Way::Https { remote, dialer },
            runtime: runtime()?,
            patience: context.global.wait,
            silence: SILENCE.max(context.global.wait),
            warned: Cell::new(false),
        })
    }

    /// Runs an operation in the service.
    pub fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, CommandError> {
        let silence = if LONG.contains(&O::NAME) { DEADLINE } else { self.silence };
        self.post(&server::http::path::<O>(), &operation, silence)
    }

    /// Asks for something in the way of operations, JSON in and JSON or a [`Problem`] out, also for what is
    /// none; a service that says nothing for `silence` hangs.
    pub fn post<Q: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        asked: &Q,
        silence: Duration,
    ) -> Result<R, CommandError> {
        let body = serde_json::to_vec(asked)
            .map_err(|error| CommandError::internal("cannot write the request as JSON").because(&error))?;
        let body = Bytes::from(body);
        let began = Instant::now();
        loop {
            let sent = self.runtime.block_on(self.exchange(Method::POST, path, body.clone(), silence, None));
            let answer = sent.map_err(|broken| self.broken(&broken))?;
            self.compare_versions(answer.version.as_deref());
            if answer.status.is_success() {
                return serde_json::from_slice(&answer.body)
                    .map_err(|error| self.unreadable(&answer, &error));
            }
            if answer.busy && began.elapsed() < self.patience {
                std::thread::sleep(Duration::from_millis(200));
                continue;
            }
            return Err(self.refused(&answer));
        }
    }

    /// One request and its answer, whatever that says.
    pub(super) fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Answer, CommandError> {
        let sent = self.runtime.block_on(self.exchange(method, path, Bytes::from(body), self.silence, None));
        sent.map_err(|broken| self.broken(&broken))
    }

    /// Whether the socket refuses us for who we are, and says where a certificate may let us in.
    pub(super) fn turned_away(&self) -> Result<Option<HttpsWay>, CommandError> {
        let answer = self.request(Method::POST, &server::http::path::<Info>(), b"{}".to_vec())?;
        Ok(answer.https.filter(|_| answer.status == StatusCode::FORBIDDEN))
    }

    /// What a service says that refuses or fails.
    fn refused(&self, answer: &Answer) -> CommandError {
        match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) => self.way.told(problem),
            Err(error) => self.unreadable(answer, &error),
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
        let sent = self.exchange(Method::POST, path, Bytes::from(body), DEADLINE, Some(&mut take));
        let sent = self.runtime.block_on(sent);
        written?;
        let answer = sent.map_err(|broken| self.broken(&broken))?;
        self.compare_versions(answer.version.as_deref());
        if answer.status.is_success() { Ok(()) } else { Err(self.refused(&answer)) }
    }

    /// One request and its answer. The body of a success goes to `take`, if there is one, as it comes;
    /// `take` says whether it wants more.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        silence: Duration,
        take: Option<&mut Taker<'_>>,
    ) -> Result<Answer, Broken> {
        let midway = |error: hyper::Error| Broken::Midway(Box::new(error));
        let stream = self.way.open(self.silence).await.map_err(Broken::Unreached)?;
        let exchange = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(midway)?;
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, self.way.host())
                .header(header::CONTENT_TYPE, "application/json")
                .header(VERSION_HEADER, VERSION)
                .body(Full::new(body))
                .map_err(|error| Broken::Midway(Box::new(error)))?;
            let respond = async {
                let response = tokio::time::timeout(silence, sender.send_request(request));
                let response = response.await.map_err(|_elapsed| Broken::Late(silence))?.map_err(midway)?;
                let status = response.status();
                // Whoever asks too often is told when to come back (429), and does not wait for it here.
                let busy = status == StatusCode::SERVICE_UNAVAILABLE
                    && response.headers().contains_key(header::RETRY_AFTER);
                let version = response.headers().get(VERSION_HEADER);
                let version = version.and_then(|value| value.to_str().ok()).map(str::to_string);
                let https = response.headers().get(HTTPS_HEADER);
                let https = https.and_then(|value| value.to_str().ok()?.parse().ok());
                let mut body = response.into_body();
                let mut gathered = Vec::new();
                let mut take = take.filter(|_| status.is_success());
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
                Ok(Answer { status, busy, version, https, body: gathered })
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
        let socket = &self.way;
        match broken {
            Broken::Unreached(Unreached::Socket(error)) => {
                CommandError::new(Kind::Unavailable, format!("the service at {socket} went away"))
                    .because(error)
                    .hint("nothing was done; try again")
            }
            Broken::Unreached(Unreached::Https(error)) => self.way.unknown(error),
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
            .hint(format!("this command is version {VERSION}: {}", self.way.cure_of_versions()))
    }

    fn compare_versions(&self, theirs: Option<&str>) {
        let theirs = theirs.unwrap_or("unknown");
        if !same_release(theirs, VERSION) && !self.warned.replace(true) {
            let cure = self.way.cure_of_versions();
            crate::output::warn_plainly(&format!(
                "the service is version {theirs}, this command is {VERSION}: {cure}"
            ));
        }
    }
}

/// Whether two versions agree in major and minor.
fn same_release(one: &str, other: &str) -> bool {
    let release = |version: &str| version.splitn(3, '.').take(2).map(str::to_string).collect::<Vec<_>>();
    release(one) == release(other)
}

fn runtime() -> Result<Runtime, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::internal("cannot talk to the service").because(&error))
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
        let service = Service {
            way: Way::Socket(socket),
            runtime,
            patience: Duration::ZERO,
            silence,
            warned: Cell::new(false),
        };
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
