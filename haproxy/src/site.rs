//! What stands behind one HAProxy, as values that can't be read as anything else.
//!
//! A configuration is lines of words, so every word that comes from outside is a newtype whose
//! characters can't end a word, a line or a quotation, begin a comment or name a variable. What has a
//! type already ([`SocketAddr`], [`DnsName`]) is taken as that type. A site that would start and then do
//! something else than it says (a name routed twice, a domain without a node) is refused by
//! [`crate::render()`].

mod words;

use std::net::SocketAddr;

use ca::cert::DnsName;

pub use words::{FilePath, Label};

use crate::{Error, IssuerKey};

/// Everything that one HAProxy does for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Names the inner socket between the two TLS stages. HAProxys of one machine need different ones.
    pub name: Label,
    /// The socket of the Runtime API, for [`FilePath::MAX_SOCKET`] octets at most.
    pub admin: FilePath,
    /// What HAProxy gives up after it has started.
    pub privileges: Privileges,
    /// Where plain HTTP is listened for: port 80 of every address.
    pub http: Vec<SocketAddr>,
    /// Where TLS is listened for: port 443 of every address.
    pub https: Vec<SocketAddr>,
    /// The map of ACME challenges; the file must exist, and may be empty.
    pub challenges: FilePath,
    /// The map of revoked certificates; the file must exist, and may be empty.
    pub revoked: FilePath,
    /// The list of certificates, [`crate::Rendered::crt_list`].
    pub crt_list: FilePath,
    /// Who answers HTTP-01 (RFC 8555 §8.3) where the map does not, if anybody does.
    pub http_responder: Option<SocketAddr>,
    /// Who answers TLS-ALPN-01 (RFC 8737), if anybody does.
    pub alpn_responder: Option<Responder>,
    /// The domains.
    pub domains: Vec<Domain>,
}

/// What HAProxy gives up after it has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// Root's, for user and chroot of Debian's package. It must be started as root. The admin socket is the
    /// user's `admin`, who is to talk to it.
    Drop {
        /// A user id.
        admin: u32,
    },
    /// Nothing: it is started as an ordinary user.
    Keep,
}

/// Who answers an authority that looks by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responder {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it is told who connects. It must be told if it expects it of this host.
    pub header: ProxyHeader,
}

/// Names that are served alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Names its backend.
    pub label: Label,
    /// What clients ask for.
    pub names: Vec<DnsName>,
    /// How they are served.
    pub route: Route,
    /// Who serves them.
    pub nodes: Vec<Node>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name in the log and in `show servers state`.
    pub label: Label,
    /// Where it listens. Not a host name: HAProxy would look it up once and keep what it got.
    pub address: SocketAddr,
}

/// How a domain is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// TLS goes through to the nodes, which have the certificate and see the clients'.
    Passthrough(ProxyHeader),
    /// HAProxy has the certificate, and speaks to the nodes anew.
    Terminate {
        /// The bundle ([`crate::bundle`]).
        certificate: FilePath,
        /// Whether clients have certificates.
        clients: Clients,
        /// How the nodes are spoken to.
        speech: Speech,
    },
}

/// Whether nodes are told who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// They see HAProxy's address.
    None,
    /// By the PROXY protocol, version 2, which they must expect from this host and from no other.
    V2,
}

/// Whether the clients of a terminated domain have certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// They are not asked.
    Unasked,
    /// They are asked.
    Asked {
        /// Whether one without is let in.
        demand: Demand,
        /// The CA certificates, PEM.
        ca: FilePath,
        /// The lists of every CA of a path, PEM. Where one has run out, every client is refused.
        crl: FilePath,
        /// Who may have issued a client's certificate. One of another issuer of `ca` is refused, for its
        /// revocation could not be found in the map.
        issuers: Vec<IssuerKey>,
    },
}

/// Whether a client without a certificate is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// It is; the nodes decide.
    Optional,
    /// It is not.
    Required,
}

/// How the nodes of a terminated domain are spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speech {
    /// HTTP, for nodes on this machine.
    Http,
    /// HTTPS.
    Https {
        /// The CA certificates that the nodes' must be under.
        ca: FilePath,
        /// The name that the nodes' certificates must hold.
        name: DnsName,
    },
}

/// The most that a site may have. Far above what one process serves well, and below what it reads slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Domains.
    pub domains: usize,
    /// Names of one domain; an ACME order has at most 100.
    pub names: usize,
    /// Nodes of one domain.
    pub nodes: usize,
    /// Addresses to listen on, for HTTP and HTTPS each.
    pub listeners: usize,
    /// Issuers of one domain's clients.
    pub issuers: usize,
}

impl Limits {
    /// What [`crate::render()`] holds a site against.
    pub const STANDARD: Limits = Limits { domains: 500, names: 100, nodes: 64, listeners: 16, issuers: 64 };
}

impl Site {
    /// Refuses what would not start, or would start and not do what it says.
    pub(crate) fn examine(&self, limits: Limits) -> Result<(), Error> {
        if self.admin.as_str().len() > FilePath::MAX_SOCKET {
            let rule = "a socket's path has at most 90 octets";
            return Err(Error::word("the admin socket", self.admin.as_str(), rule));
        }
        for (what, listeners) in [("addresses for HTTP", &self.http), ("addresses for HTTPS", &self.https)] {
            some(what, "the site".to_owned(), listeners.len(), limits.listeners)?;
        }
        once("the listener", self.http.iter().chain(&self.https))?;
        for address in self.http.iter().chain(&self.https) {
            usable("a listener", *address)?;
        }
        let responders = [self.http_responder, self.alpn_responder.map(|one| one.address)];
        responders.into_iter().flatten().try_for_each(|address| reachable("the responder", address))?;
        some("domains", "the site".to_owned(), self.domains.len(), limits.domains)?;
        once("the domain", self.domains.iter().map(|domain| &domain.label))?;
        once("the name", self.domains.iter().flat_map(|domain| &domain.names))?;
        let files = [&self.admin, &self.challenges, &self.revoked, &self.crt_list];
        once("the file", files.into_iter())?;
        self.domains.iter().try_for_each(|domain| domain.examine(limits))
    }
}

impl Domain {
    fn examine(&self, limits: Limits) -> Result<(), Error> {
        let of = || format!("the domain {}", self.label);
        some("names", of(), self.names.len(), limits.names)?;
        some("nodes", of(), self.nodes.len(), limits.nodes)?;
        if let Some(name) = self.names.iter().find(|name| name.is_wildcard()) {
            return Err(Error::Wildcard { name: name.clone() });
        }
        once("the node", self.nodes.iter().map(|node| &node.label))?;
        once("the node at", self.nodes.iter().map(|node| node.address))?;
        for node in &self.nodes {
            reachable("a node", node.address)?;
        }
        let Route::Terminate { clients, speech, .. } = &self.route else { return Ok(()) };
        if let Clients::Asked { issuers, .. } = clients {
            some("issuers of client certificates", of(), issuers.len(), limits.issuers)?;
        }
        match speech {
            Speech::Https { name, .. } if name.is_wildcard() => Err(Error::Wildcard { name: name.clone() }),
            Speech::Https { .. } | Speech::Http => Ok(()),
        }
    }
}

fn some(what: &'static str, of: String, found: usize, limit: usize) -> Result<(), Error> {
    match found {
        0 => Err(Error::Missing { what, of }),
        _ if found > limit => Err(Error::TooMany { what, found, limit }),
        _ => Ok(()),
    }
}

fn once<T: Ord + ToString>(what: &'static str, all: impl Iterator<Item = T>) -> Result<(), Error> {
    let mut seen = std::collections::BTreeSet::new();
    for one in all {
        let value = one.to_string();
        if !seen.insert(one) {
            return Err(Error::Twice { what, value });
        }
    }
    Ok(())
}

fn usable(what: &'static str, address: SocketAddr) -> Result<(), Error> {
    let rule = match address {
        _ if address.port() == 0 => "a port is missing",
        SocketAddr::V6(v6) if v6.scope_id() != 0 || v6.flowinfo() != 0 => "HAProxy knows no zones",
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => "write the IPv4 address",
        SocketAddr::V4(_) | SocketAddr::V6(_) => return Ok(()),
    };
    Err(Error::Address { what, address, rule })
}

fn reachable(what: &'static str, address: SocketAddr) -> Result<(), Error> {
    usable(what, address)?;
    match address.ip().is_unspecified() || address.ip().is_multicast() {
        true => Err(Error::Address { what, address, rule: "it is no single host's" }),
        false => Ok(()),
    }
}
