//! What is kept: accounts, orders under way, certificates obtained.
//!
//! Account keys, external keys and certificate keys are sealed; each sealed value is bound to its
//! record's key, so that it can't be moved to another record.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use store::{Format, Record};

/// One account at one authority: `acme-account/<digest of directory and external kid>`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AccountRecord {
    /// The directory's URL.
    #[n(0)]
    pub directory: String,
    /// The key identifier of the external account it is bound to.
    #[n(1)]
    pub kid: Option<String>,
    /// The account's own URL; `None` until the authority has answered.
    #[n(2)]
    pub url: Option<String>,
    /// The private key, PKCS#8, sealed.
    #[n(3)]
    pub sealed_key: ByteVec,
    /// The external account's HMAC key, sealed.
    #[n(4)]
    pub sealed_external: Option<ByteVec>,
    /// The contact, an e-mail address.
    #[n(5)]
    pub contact: Option<String>,
    /// When the terms of service were agreed to, in seconds since 1970.
    #[n(6)]
    pub agreed: i64,
    /// The key that takes over from the other, sealed likewise; kept until the authority has said which of the
    /// two it knows.
    #[n(7)]
    pub sealed_next: Option<ByteVec>,
    /// How far its end has come; `None` for an account in use.
    #[n(8)]
    pub end: Option<End>,
    /// When the authority is told of another contact again, having failed to take it, in seconds since 1970.
    #[n(9)]
    pub contact_due: Option<i64>,
}

/// How far the end of an account has come (RFC 8555 §7.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum End {
    /// The authority is about to be asked, or was asked and has not answered.
    #[n(0)]
    Asked,
    /// The authority has ended it.
    #[n(1)]
    Done,
}

impl Record for AccountRecord {
    const TREE: &'static str = "acme-account";
    const FORMAT: Format = 1;
}

/// How far an order has come. Each stage is durable before the request that follows it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Stage {
    /// The authority has the order.
    #[n(0)]
    Created,
    /// Challenges are being answered.
    #[n(1)]
    Answering,
    /// Key and request exist and may have been sent.
    #[n(2)]
    Finalizing {
        /// The private key, PKCS#8 PEM, sealed.
        #[n(0)]
        sealed_key: ByteVec,
        /// The request, DER.
        #[n(1)]
        csr: ByteVec,
    },
    /// The certificate is here, checked, and not yet placed.
    #[n(3)]
    Issued {
        /// The private key, PKCS#8 PEM, sealed.
        #[n(0)]
        sealed_key: ByteVec,
        /// The chain, PEM, the leaf first.
        #[n(1)]
        chain: String,
    },
    /// The order is about to be sent, or was sent and not answered: it has no URL yet.
    #[n(4)]
    Placing,
}

/// One order under way: `acme-order/<digest of directory, external kid and names>`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OrderRecord {
    /// The names, in the user's order.
    #[n(0)]
    pub names: Vec<String>,
    /// The URL of the account that placed it: another account can't continue it.
    #[n(1)]
    pub account: String,
    /// The order's own URL; empty while it is being placed.
    #[n(2)]
    pub url: String,
    /// How far it has come.
    #[n(3)]
    pub stage: Stage,
    /// When it was placed, in seconds since 1970.
    #[n(4)]
    pub began: i64,
}

impl Record for OrderRecord {
    const TREE: &'static str = "acme-order";
    const FORMAT: Format = 1;
}

/// One certificate obtained, with what its issue was told: `acme-certificate/<first name>`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificateRecord {
    /// The names, in the user's order.
    #[n(0)]
    pub names: Vec<String>,
    /// The directory's URL.
    #[n(1)]
    pub directory: String,
    /// The only roots trusted for the authority's HTTPS, PEM; `None` for the system's.
    #[n(2)]
    pub roots: Option<String>,
    /// The key identifier of the external account.
    #[n(3)]
    pub kid: Option<String>,
    /// The contact, an e-mail address.
    #[n(4)]
    pub contact: Option<String>,
    /// Where a standalone listener binds.
    #[n(5)]
    pub http_address: Option<String>,
    /// Where the files are placed as well.
    #[n(6)]
    pub out: Option<String>,
    /// Serial number, hex.
    #[n(7)]
    pub serial: String,
    /// Start of validity, in seconds since 1970.
    #[n(8)]
    pub not_before: i64,
    /// End of validity, in seconds since 1970.
    #[n(9)]
    pub not_after: i64,
    /// The certificate alone, DER.
    #[n(10)]
    pub leaf: ByteVec,
    /// The files that were placed, absolute.
    #[n(11)]
    pub files: Vec<String>,
    /// When it was revoked by us, in seconds since 1970.
    #[n(12)]
    pub revoked: Option<i64>,
    /// Failed attempts to renew, in a row.
    #[n(13)]
    pub failures: u32,
    /// What went wrong at the last of them.
    #[n(14)]
    pub last_error: Option<String>,
    /// When the next attempt is due, in seconds since 1970.
    #[n(15)]
    pub next_attempt: i64,
    /// How the names are proved, as [`super::Method`] is written; `None` for HTTP-01.
    #[n(16)]
    pub method: Option<String>,
    /// The web server's folder in which HTTP-01 is answered.
    #[n(17)]
    pub webroot: Option<String>,
    /// What happens once the files are placed; `None` for one that was placed before this was kept.
    #[n(18)]
    pub deploy: Option<Deploy>,
}

/// What is to happen once the files of a certificate are placed, and how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Deploy {
    /// The program that is run then, absolute.
    #[n(0)]
    pub hook: Option<String>,
    /// Where it is looked whether this certificate is served, `IP:PORT`.
    #[n(1)]
    pub address: Option<String>,
    /// When the program ended well for this certificate, in seconds since 1970.
    #[n(2)]
    pub hooked: Option<i64>,
    /// When this certificate was seen served, in seconds since 1970.
    #[n(3)]
    pub served: Option<i64>,
    /// Failures, in a row.
    #[n(4)]
    pub failures: u32,
    /// What went wrong at the last of them.
    #[n(5)]
    pub last_error: Option<String>,
    /// When the next attempt is due, in seconds since 1970.
    #[n(6)]
    pub next_attempt: i64,
}

/// What is still to be done of a [`Deploy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// The program is to be run.
    Hook,
    /// It is to be seen that the certificate is served.
    Look,
}

impl Deploy {
    /// What is to be done next; `None` if nothing is. Without an address of its own, it is looked at `own`: where
    /// the service itself would show it.
    pub fn open<A>(&self, own: Option<A>) -> Option<Open> {
        match self {
            Deploy { hook: Some(_), hooked: None, .. } => Some(Open::Hook),
            Deploy { served: None, address, .. } if address.is_some() || own.is_some() => Some(Open::Look),
            Deploy { .. } => None,
        }
    }
}

impl Record for CertificateRecord {
    const TREE: &'static str = "acme-certificate";
    const FORMAT: Format = 1;
}

/// A certificate that the service wants for itself and does not have yet: `acme-wanted/<first name>`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WantedRecord {
    /// The names, in the user's order.
    #[n(0)]
    pub names: Vec<String>,
    /// The directory's URL.
    #[n(1)]
    pub directory: String,
    /// What everything that it was asked with comes to: another attempt is due at once when it changes.
    #[n(2)]
    pub asked: String,
    /// Failed attempts, in a row.
    #[n(3)]
    pub failures: u32,
    /// What went wrong at the last of them.
    #[n(4)]
    pub last_error: String,
    /// When the next attempt is due, in seconds since 1970.
    #[n(5)]
    pub next_attempt: i64,
}

impl Record for WantedRecord {
    const TREE: &'static str = "acme-wanted";
    const FORMAT: Format = 1;
}
