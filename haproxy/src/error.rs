//! What can go wrong with HAProxy's files and sockets.

use std::io;
use std::net::SocketAddr;

use ca::cert::{CertificateError, DnsName, Serial};
use store::file::FileError;

use crate::FilePath;

/// Why something for HAProxy was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of a bundle holds no PEM of the kind it should.
    #[error("the {part} of the bundle holds no PEM block of the kind {label}")]
    Absent {
        /// Which part.
        part: &'static str,
        /// The label it should have.
        label: &'static str,
    },
    /// The file could not be placed.
    #[error("the bundle could not be placed")]
    File(#[source] FileError),
    /// A part of a bundle holds what does not belong there.
    #[error("the {part} of the bundle holds a {label}, which does not belong there")]
    Foreign {
        /// Which part.
        part: &'static str,
        /// The label that was found.
        label: String,
    },
    /// No placeholder could be made.
    #[error("no placeholder of a certificate could be made")]
    Placeholder(#[source] rcgen::Error),
    /// A word for the configuration that could be read as something else.
    #[error("{value:?} can't be {what}: {rule}")]
    Word {
        /// What it should be.
        what: &'static str,
        /// The word, its beginning if it is long.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// An address that HAProxy can't listen on or connect to.
    #[error("{address} can't be {what}: {rule}")]
    Address {
        /// What it should be.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What is allowed.
        rule: &'static str,
    },
    /// A wildcard where HAProxy compares whole names.
    #[error("{name} can't be routed by: only whole names are compared with what a client asks for")]
    Wildcard {
        /// The name.
        name: DnsName,
    },
    /// The same thing stands twice in a site, so that one of the two would never be used.
    #[error("{what} {value} stands twice")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Which one.
        value: String,
    },
    /// A site has none of what it needs.
    #[error("{of} has no {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// What lacks it.
        of: String,
    },
    /// A site has more of something than a configuration may.
    #[error("{found} {what} are more than the {limit} allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// An issuer's name that can't be written as HAProxy writes it.
    #[error("HAProxy's spelling of the issuer's name is not known: {why}")]
    IssuerName {
        /// Why.
        why: &'static str,
    },
    /// A certificate, of a bundle or of a server, can't be read.
    #[error("the certificate can't be read")]
    Leaf(#[source] CertificateError),
    /// HAProxy did not answer in time.
    #[error("HAProxy at {instance} has not answered {command:?} within {seconds} s")]
    Deadline {
        /// Which HAProxy.
        instance: String,
        /// The command.
        command: String,
        /// How long was waited.
        seconds: f64,
    },
    /// HAProxy could not be reached, or the connection broke.
    #[error("{command:?} could not be said to HAProxy at {instance}")]
    Exchange {
        /// Which HAProxy.
        instance: String,
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An answer has no end.
    #[error("the answer of HAProxy at {instance} to {command:?} is longer than {limit} octets")]
    AnswerTooLong {
        /// Which HAProxy.
        instance: String,
        /// The command.
        command: String,
        /// How many octets it may have.
        limit: usize,
    },
    /// HAProxy answered something else than what means success.
    #[error("HAProxy at {instance} answered {command:?} with {answer}")]
    Answer {
        /// Which HAProxy.
        instance: String,
        /// The command.
        command: String,
        /// What it answered, its beginning if it is long.
        answer: String,
    },
    /// A command with its payload is larger than what HAProxy reads.
    #[error("{command:?} has {found} octets with its payload, and HAProxy reads {limit}")]
    CommandTooLong {
        /// The command.
        command: String,
        /// How many octets it has.
        found: usize,
        /// How many octets it may have.
        limit: usize,
    },
    /// HAProxy said that it replaced a certificate, and did not.
    #[error(
        "HAProxy at {instance} has not replaced {file} by the certificate {wanted}{}: reload it",
        .loaded.map(|serial| format!(", it has {serial}")).unwrap_or_default()
    )]
    NotReplaced {
        /// Which HAProxy.
        instance: String,
        /// The certificate's file.
        file: String,
        /// The serial number of the new one.
        wanted: Serial,
        /// The serial number of the one that is loaded; none if HAProxy says that the file is not used.
        loaded: Option<Serial>,
    },
    /// A map does not hold what was put into it.
    #[error("the map {map} of HAProxy at {instance} has {found} entries and not the {wanted} wanted")]
    MapDiffers {
        /// Which HAProxy.
        instance: String,
        /// The map's file.
        map: String,
        /// How many entries it has.
        found: usize,
        /// How many it should have.
        wanted: usize,
    },
    /// A map that no rule of its configuration uses.
    #[error("HAProxy at {instance} has no map {map}: its configuration is not that of `pki haproxy render`")]
    NoMap {
        /// Which HAProxy.
        instance: String,
        /// The map's file.
        map: String,
    },
    /// Another certificate is served than is on the disk.
    #[error("{address} serves {name} with the certificate {served} and not with {wanted}")]
    NotServed {
        /// Where.
        address: SocketAddr,
        /// The name that was asked for.
        name: DnsName,
        /// The serial number that is on the disk.
        wanted: Serial,
        /// The one that is served.
        served: Serial,
    },
    /// No new worker took the place of the old one, which goes on.
    #[error(
        "the new process of the HAProxy at {instance} did not start, the old one goes on: its log says why"
    )]
    NotReloaded {
        /// The master's socket.
        instance: String,
    },
    /// The lists that are loaded run out, and HAProxy can't be reloaded from here.
    #[error("the lists that HAProxy at {instance} has loaded from {file} run out soon: reload it")]
    ListsOld {
        /// Which HAProxy.
        instance: String,
        /// The file of the lists.
        file: FilePath,
    },
    /// A TLS handshake failed.
    #[error("no TLS handshake for {name} at {address}")]
    Handshake {
        /// Where.
        address: SocketAddr,
        /// The name that was asked for.
        name: DnsName,
        /// Why.
        #[source]
        source: io::Error,
    },
}
