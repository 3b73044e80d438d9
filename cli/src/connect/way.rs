//! How a service is reached: by its socket on this machine, or over HTTPS.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use server::{
    dial::{DialError, Dialer},
    problem::Problem,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};

use crate::{
    client::RemoteName,
    error::{CommandError, Kind},
};

/// A way to a service. It shows as where the service is.
pub(super) enum Way {
    /// Over TLS, as a client with a certificate.
    Https {
        /// What it is called here, if it is.
        remote: Option<RemoteName>,
        /// Opens connections to it, and to nothing else.
        dialer: Dialer,
    },
    /// The socket of this machine.
    Socket(PathBuf),
}

/// Why nothing could be sent.
pub(super) enum Unreached {
    /// Over HTTPS.
    Https(Box<DialError>),
    /// By the socket.
    Socket(io::Error),
}

/// A connection, whichever way it goes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Way {
    /// Opens a connection.
    pub(super) async fn open(&self, within: Duration) -> Result<Box<dyn Stream>, Unreached> {
        match self {
            Way::Https { dialer, .. } => match dialer.connect().await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(Unreached::Https(Box::new(error))),
            },
            Way::Socket(socket) => match reach(socket, within).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(Unreached::Socket(error)),
            },
        }
    }

    /// The host that a request is for (RFC 9110 §7.2).
    pub(super) fn host(&self) -> String {
        match self {
            Way::Https { dialer, .. } => dialer.address().to_string(),
            Way::Socket(_) => "pki".to_string(),
        }
    }

    /// What to do when the service's version is another than ours.
    pub(super) fn cure_of_versions(&self) -> &'static str {
        match self {
            Way::Https { .. } => "upgrade the older of the two",
            Way::Socket(_) => "restart the service after an upgrade",
        }
    }

    /// What the service said, with hints that fit the way to it.
    pub(super) fn told(&self, problem: Problem) -> CommandError {
        let error = CommandError::from(problem);
        match self {
            Way::Https { .. } if error.message.starts_with("not authorized") => CommandError {
                hints: vec![
                    "on the server, `pki trust add NAME` makes a token, which `pki remote add` redeems"
                        .to_string(),
                    "`pki remote show` tells where this client's certificate lies, to be added by its file"
                        .to_string(),
                ],
                ..error
            },
            Way::Https { .. } if error.kind == Kind::Denied => CommandError {
                hints: vec!["`pki trust show`, on the server, tells what this client may do".to_string()],
                ..error
            },
            Way::Https { .. } | Way::Socket(_) => error,
        }
    }

    /// Why there is no connection over HTTPS.
    pub(super) fn unknown(&self, error: &DialError) -> CommandError {
        let remote = match self {
            Way::Https { remote: Some(remote), .. } => remote.to_string(),
            Way::Https { remote: None, .. } | Way::Socket(_) => "NAME".to_string(),
        };
        not_reached(error, &remote)
    }
}

/// Why a server is not spoken to, and what to do about it; `remote` is what it is called here.
pub fn not_reached(error: &DialError, remote: &str) -> CommandError {
    let told = CommandError::new(Kind::External, error.to_string()).because_source(error);
    match error {
        DialError::Changed { pinned: _, shown, .. } => told
            .hint(format!(
                "nothing was sent to it; compare {} with what `pki info` shows on the server",
                shown.fingerprint()
            ))
            .hint(format!("if they are the same, its certificate was replaced: `pki remote repin {remote}`"))
            .hint("if they differ, somebody else answers in its place: find out who"),
        DialError::Unverified { .. } => told
            .hint("nothing was sent to it; the authority that verified it before does so no more")
            .hint(format!("ask its administrator, then `pki remote repin {remote}`")),
        DialError::Unproven { .. } => told.hint("nothing was sent to it; somebody else answers in its place"),
        DialError::Handshake { .. } => told
            .hint("is it the HTTPS address? `pki info` on the server shows it")
            .hint("TLS 1.3 alone is spoken; PKI_INSECURE_TLS=1 on both sides allows 1.2"),
        DialError::Late { .. } | DialError::Unreached { .. } => {
            told.hint("is the address right, and the service up? `pki info` on the server shows it").hint(
                "`pki config set core.https_address` on the server opens it to others than its own machine",
            )
        }
        DialError::Authorities => told.hint("look at client.ca in the client's folder"),
        DialError::Config(_) => told,
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Https { remote: Some(remote), dialer } => write!(f, "{} ({remote})", dialer.address()),
            Way::Https { remote: None, dialer } => dialer.address().fmt(f),
            Way::Socket(socket) => socket.display().fmt(f),
        }
    }
}

/// Connects, also where the path is longer than a socket address can hold.
pub(super) async fn reach(socket: &Path, within: Duration) -> io::Result<UnixStream> {
    let way = server::listen::reach(socket)?;
    tokio::time::timeout(within, UnixStream::connect(&way.path)).await?
}
