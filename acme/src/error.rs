//! What can go wrong between us and an authority.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ca::cert::NameError;
use store::file::FileError;

use crate::client::Method;
use crate::client::check::Refusal;
use crate::client::http::Failure;
use crate::wire::Problem;
use crate::wire::jws::KeyFault;

/// Why no certificate was obtained, or none revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address can't be proved by DNS.
    #[error("{address} is an address, which DNS can't prove")]
    AddressByDns {
        /// The address.
        address: std::net::IpAddr,
    },
    /// The account key can't be read or used.
    #[error("the account key for {directory} can't be used")]
    AccountKey {
        /// The authority.
        directory: String,
        /// The cause.
        #[source]
        source: KeyFault,
    },
    /// The authority does not know the account, not even a new one.
    #[error("the authority {directory} does not know our account")]
    AccountLost {
        /// The authority.
        directory: String,
    },
    /// Nobody agreed to the terms of service.
    #[error("the terms of service of {directory} must be agreed to first: {}", terms.as_deref().unwrap_or("it names no document"))]
    Agreement {
        /// The authority.
        directory: String,
        /// Where they are to be read, as the authority's directory says.
        terms: Option<String>,
    },
    /// The authority refused.
    #[error("the authority refused {doing}: {problem}")]
    Authority {
        /// What was asked.
        doing: &'static str,
        /// What it said.
        problem: Problem,
    },
    /// Another run changed the same order.
    #[error("another run is obtaining a certificate for {names}")]
    Busy {
        /// The names.
        names: String,
    },
    /// What the authority sent is not the certificate that was asked for.
    #[error("the certificate from the authority is not what was asked for")]
    Certificate(#[source] Refusal),
    /// The challenge could not be put up.
    #[error("the answer for {name} could not be published")]
    Challenge {
        /// The name.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The authority offers no challenge that we can answer.
    #[error("the authority offers no {method} challenge for {name}, only {offered}")]
    ChallengeType {
        /// The name.
        name: String,
        /// How it was to be proved.
        method: Method,
        /// What it offers.
        offered: String,
    },
    /// The account was ended.
    #[error("the account at {directory} was deactivated")]
    Deactivated {
        /// The authority.
        directory: String,
    },
    /// The authority was asked to end the account, and has not answered.
    #[error("the account at {directory} is being deactivated")]
    Deactivating {
        /// The authority.
        directory: String,
    },
    /// The directory can't be read.
    #[error("{url} is not an ACME directory: {reason}")]
    Directory {
        /// Its URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not a URL that an authority can have.
    #[error("{url:?} is not the https URL of an ACME directory")]
    DirectoryUrl {
        /// What was given.
        url: String,
    },
    /// The key of the external account is not base64url.
    #[error("the key of the external account {kid} is not base64url")]
    ExternalAccountKey {
        /// The key identifier it belongs to.
        kid: String,
    },
    /// The authority wants an external account and none was given.
    #[error("the authority {directory} only serves external accounts that it knows")]
    ExternalAccountRequired {
        /// The authority.
        directory: String,
    },
    /// The authority could not be asked.
    #[error("{doing} failed")]
    Http {
        /// What was tried.
        doing: &'static str,
        /// The cause.
        #[source]
        source: Failure,
    },
    /// An account that is not to be forgotten: it was not ended.
    #[error("the account at {directory} is in use")]
    InUse {
        /// The authority.
        directory: String,
    },
    /// The certificate's key can't be made or read.
    #[error("the certificate's key can't be made or read")]
    Key(#[source] ca::key::PrivateKeyError),
    /// The authority asks to come back later than we wait.
    #[error("the authority asks to come back in {} ({doing}): {problem}", span(*wait))]
    Later {
        /// What was tried.
        doing: &'static str,
        /// How long it asks to wait.
        wait: Duration,
        /// What it said.
        problem: String,
    },
    /// The client library failed.
    #[error("{doing} failed")]
    Library {
        /// What was tried.
        doing: &'static str,
        /// The cause.
        #[source]
        source: instant_acme::Error,
    },
    /// The port for the challenge is taken or not allowed.
    #[error("can't listen for the challenge on {address}")]
    Listener {
        /// The address that was asked for.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A name is no domain.
    #[error("{name:?} can't be in a certificate")]
    Name {
        /// What was given.
        name: String,
        /// The cause.
        #[source]
        source: NameError,
    },
    /// No name, or too many.
    #[error("a certificate needs 1 to {limit} names, {count} were given")]
    NameCount {
        /// How many there were.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// There is no such account.
    #[error("there is no account at {}", directory.as_deref().unwrap_or("any ACME authority"))]
    NoAccount {
        /// The authority that was named.
        directory: Option<String>,
    },
    /// There is no such certificate.
    #[error("there is no ACME certificate for {domain}")]
    NoCertificate {
        /// Its first domain.
        domain: String,
    },
    /// A reason for which no certificate of an authority is revoked.
    #[error("{reason} is no reason to revoke a certificate at an ACME authority")]
    Reason {
        /// The reason.
        reason: crl::Reason,
    },
    /// The request for the certificate can't be made.
    #[error("the request for the certificate can't be made")]
    Request(#[source] rcgen::Error),
    /// A secret in the store can't be opened or sealed.
    #[error("a secret in the store can't be opened or sealed")]
    Seal(#[source] store::seal::SealError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] store::Error),
    /// The authority took too long.
    #[error("the authority is still busy with {doing} after {}", span(*waited))]
    TimedOut {
        /// What was waited for.
        doing: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The authority has no such function.
    #[error("the authority {directory} knows nothing of {what}")]
    Unsupported {
        /// The authority.
        directory: String,
        /// What was asked for.
        what: &'static str,
    },
    /// Names could not be validated.
    #[error("the authority could not validate {}", names(failures))]
    Validation {
        /// Each name with what the authority says about it.
        failures: Vec<Invalid>,
    },
    /// A web server's folder can't be used.
    #[error("the answer to a challenge can't be put below {}", folder.display())]
    Webroot {
        /// The folder that was named.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// There are several accounts, and nobody said which is meant.
    #[error("there are {count} accounts")]
    WhichAccount {
        /// How many.
        count: usize,
    },
    /// A wildcard needs DNS.
    #[error("{name} is a wildcard, which only DNS can prove")]
    Wildcard {
        /// The name.
        name: String,
    },
}

/// A name that an authority could not validate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The name.
    pub name: String,
    /// What the authority says about it.
    pub problem: Problem,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

impl Error {
    /// What the user can do about it.
    pub fn advice(&self) -> Option<String> {
        match self {
            Error::Agreement { .. } => Some("read them, then give --agree-tos".to_owned()),
            Error::Authority { problem, .. } => problem.advice().map(str::to_owned),
            Error::ExternalAccountKey { .. } => {
                Some("give the HMAC key exactly as the authority issued it".to_owned())
            }
            Error::ExternalAccountRequired { .. } => {
                Some("ask the authority for one, then give --eab-kid and --eab-hmac-file".to_owned())
            }
            Error::Http { source, .. } => source.advice().map(str::to_owned),
            Error::Deactivated { .. } => {
                Some("`pki acme account forget` makes room: the next order opens another".to_owned())
            }
            Error::Deactivating { .. } => Some("`pki acme account deactivate` asks again".to_owned()),
            Error::InUse { .. } => Some("`pki acme account deactivate` ends it".to_owned()),
            Error::NoAccount { .. } => Some("the first order opens one".to_owned()),
            Error::WhichAccount { .. } => {
                Some("name it by --ca-url and --eab-kid; `pki acme account show` has them".to_owned())
            }
            Error::Listener { address, source } => Some(match source.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "see who holds it with `ss -ltnp`; let that program hand /.well-known/acme-challenge/ on and give another --http-address than {address}"
                ),
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need root or CAP_NET_BIND_SERVICE; or give --http-address and hand port 80 on to it".to_owned()
                }
                _ => "give an address of this machine with --http-address".to_owned(),
            }),
            Error::Validation { failures } => {
                failures.iter().find_map(|failure| failure.problem.advice()).map(str::to_owned)
            }
            Error::NoCertificate { .. } => Some("`pki acme list` shows what was obtained".to_owned()),
            Error::ChallengeType { method, .. } => {
                Some(format!("prove the name in another way, or have the authority allow {method} for it"))
            }
            Error::Busy { .. } | Error::TimedOut { .. } => {
                Some("run it again: the order is kept and continued".to_owned())
            }
            Error::AccountKey { .. }
            | Error::AccountLost { .. }
            | Error::Certificate(_)
            | Error::Challenge { .. }
            | Error::Directory { .. }
            | Error::DirectoryUrl { .. }
            | Error::Key(_)
            | Error::Later { .. }
            | Error::Library { .. }
            | Error::Name { .. }
            | Error::NameCount { .. }
            | Error::Reason { .. }
            | Error::Request(_)
            | Error::Seal(_)
            | Error::Store(_)
            | Error::Unsupported { .. } => None,
            Error::Webroot { .. } => {
                Some("name the folder that the web server shows at /, with --webroot".to_owned())
            }
            Error::Wildcard { .. } => Some("prove it by DNS-01, or name the hosts instead".to_owned()),
            Error::AddressByDns { .. } => Some("prove it by HTTP-01 or TLS-ALPN-01".to_owned()),
        }
    }

    /// How long the authority asked to wait, if it did.
    pub fn asked_to_wait(&self) -> Option<Duration> {
        match self {
            Error::Later { wait, .. } => Some(*wait),
            _ => None,
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error::Store(error)
    }
}

impl From<store::seal::SealError> for Error {
    fn from(error: store::seal::SealError) -> Error {
        Error::Seal(error)
    }
}

fn names(failures: &[Invalid]) -> String {
    failures.iter().map(Invalid::to_string).collect::<Vec<_>>().join("; ")
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
