//! Sites and instances as an administrator writes them: one line of words each.
//!
//! The line is read once, into a value that can't hold a second meaning, and is written again in one
//! spelling. What a word does not name has a default that is said here; an unknown word is refused.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use ca::cert::DnsName;

use crate::runtime::Address;
use crate::{Demand, Domain, Error, FilePath, Label, Node, ProxyHeader, Speech};

/// A domain: `NAME[,NAME…] pass|terminate [WORD…] ADDRESS…`.
///
/// ```text
/// lxd.example.net pass proxy 192.0.2.1:8443 192.0.2.2:8443
/// www.example.org,example.org terminate verify=optional 127.0.0.1:8080
/// api.example.org terminate certificate=/etc/ssl/api.pem ca=/etc/ssl/inner.pem name=inner 192.0.2.3:443
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainSpec {
    /// What clients ask for.
    pub names: Vec<DnsName>,
    /// How they are served.
    pub way: Way,
    /// Who serves them.
    pub nodes: Vec<SocketAddr>,
}

/// How a domain is served, as far as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// `pass`, and `proxy` for the header.
    Pass(ProxyHeader),
    /// `terminate`.
    Terminate {
        /// `verify=optional` or `verify=required`; without it clients are not asked.
        verify: Option<Demand>,
        /// `certificate=FILE`; without it the file that `pki acme` keeps.
        certificate: Option<FilePath>,
        /// `ca=FILE name=NAME` for nodes that speak HTTPS; without it they speak HTTP.
        speech: Speech,
    },
}

/// The shape of a domain's line, for errors and help.
const SHAPE: &str = "NAME[,NAME] pass [proxy] ADDRESS… or NAME[,NAME] terminate [verify=optional|required] \
                     [certificate=FILE] [ca=FILE name=NAME] ADDRESS…";

impl FromStr for DomainSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<DomainSpec, Error> {
        let refused = || Error::word("a domain", text, SHAPE);
        let mut words = text.split_whitespace();
        let names = words.next().ok_or_else(refused)?.split(',');
        let names = names.map(|name| name.parse::<DnsName>().map_err(|_| refused()));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let way = words.next().ok_or_else(refused)?;
        let mut read = Words::default();
        for word in words {
            read.take(word).ok_or_else(refused)?;
        }
        let way = read.way(way).ok_or_else(refused)?;
        match read.nodes.is_empty() {
            true => Err(refused()),
            false => Ok(DomainSpec { names, way, nodes: read.nodes }),
        }
    }
}

/// The words behind the way, each at most once.
#[derive(Default)]
struct Words {
    proxy: bool,
    verify: Option<Demand>,
    certificate: Option<FilePath>,
    ca: Option<FilePath>,
    name: Option<DnsName>,
    nodes: Vec<SocketAddr>,
}

impl Words {
    fn take(&mut self, word: &str) -> Option<()> {
        let fresh = match word.split_once('=') {
            None if word == "proxy" => !std::mem::replace(&mut self.proxy, true),
            None => {
                self.nodes.push(word.parse().ok()?);
                true
            }
            Some(("verify", "optional")) => self.verify.replace(Demand::Optional).is_none(),
            Some(("verify", "required")) => self.verify.replace(Demand::Required).is_none(),
            Some(("certificate", file)) => self.certificate.replace(file.parse().ok()?).is_none(),
            Some(("ca", file)) => self.ca.replace(file.parse().ok()?).is_none(),
            Some(("name", name)) => self.name.replace(name.parse().ok()?).is_none(),
            Some(_) => false,
        };
        fresh.then_some(())
    }

    /// `None` if the words do not go with the way.
    fn way(&self, way: &str) -> Option<Way> {
        match way {
            "pass" => {
                let bare = self.verify.is_none()
                    && self.certificate.is_none()
                    && self.ca.is_none()
                    && self.name.is_none();
                let header = if self.proxy { ProxyHeader::V2 } else { ProxyHeader::None };
                bare.then_some(Way::Pass(header))
            }
            "terminate" if !self.proxy => {
                let speech = match (self.ca.clone(), self.name.clone()) {
                    (None, None) => Speech::Http,
                    (Some(ca), Some(name)) => Speech::Https { ca, name },
                    (Some(_), None) | (None, Some(_)) => return None,
                };
                Some(Way::Terminate { verify: self.verify, certificate: self.certificate.clone(), speech })
            }
            _ => None,
        }
    }
}

impl fmt::Display for DomainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(","))?;
        match &self.way {
            Way::Pass(ProxyHeader::None) => f.write_str(" pass")?,
            Way::Pass(ProxyHeader::V2) => f.write_str(" pass proxy")?,
            Way::Terminate { verify, certificate, speech } => {
                f.write_str(" terminate")?;
                match verify {
                    Some(Demand::Optional) => f.write_str(" verify=optional")?,
                    Some(Demand::Required) => f.write_str(" verify=required")?,
                    None => {}
                }
                if let Some(certificate) = certificate {
                    write!(f, " certificate={certificate}")?;
                }
                if let Speech::Https { ca, name } = speech {
                    write!(f, " ca={ca} name={name}")?;
                }
            }
        }
        self.nodes.iter().try_for_each(|node| write!(f, " {node}"))
    }
}

impl DomainSpec {
    /// The name of the domain's backend: the first name's, if it makes one and none of `taken` has it.
    pub(crate) fn label(&self, index: usize, taken: &[Domain]) -> Result<Label, Error> {
        let first = self.names.first().map(ToString::to_string).unwrap_or_default();
        let own = first.replace('.', "-").parse::<Label>().ok();
        match own.filter(|own| taken.iter().all(|domain| domain.label != *own)) {
            Some(label) => Ok(label),
            None => format!("domain-{index}").parse(),
        }
    }

    pub(crate) fn numbered_nodes(&self) -> Result<Vec<Node>, Error> {
        let node = |(index, address): (usize, &SocketAddr)| {
            Ok(Node { label: format!("node{}", index + 1).parse()?, address: *address })
        };
        self.nodes.iter().enumerate().map(node).collect()
    }
}

/// A running HAProxy: `SOCKET [master=SOCKET] [https=IP:PORT]`, a socket being a path or `IP:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceSpec {
    /// Its Runtime API.
    pub admin: Address,
    /// Its master's, by which it is reloaded.
    pub master: Option<Address>,
    /// Where its clients are served; what it serves is looked at there.
    pub https: Option<SocketAddr>,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        if text.starts_with('/') {
            let path: FilePath = text.parse()?;
            return match path.as_str().len() <= FilePath::MAX_SOCKET {
                true => Ok(Address::Unix(path)),
                false => Err(Error::word("a socket", text, "a path of at most 90 octets")),
            };
        }
        let refused = || Error::word("a socket", text, "an absolute path, or IP:PORT");
        let address: SocketAddr = text.parse().map_err(|_| refused())?;
        match address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            true => Err(refused()),
            false => Ok(Address::Tcp(address)),
        }
    }
}

impl FromStr for InstanceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<InstanceSpec, Error> {
        let refused =
            || Error::word("an instance of HAProxy", text, "SOCKET [master=SOCKET] [https=IP:PORT]");
        let mut words = text.split_whitespace();
        let admin = words.next().ok_or_else(refused)?.parse()?;
        let (mut master, mut https) = (None, None);
        for word in words {
            let fresh = match word.split_once('=') {
                Some(("master", address)) => master.replace(address.parse()?).is_none(),
                Some(("https", address)) => {
                    let address: SocketAddr = address.parse().map_err(|_| refused())?;
                    let host = address.port() != 0 && !address.ip().is_unspecified();
                    host && https.replace(address).is_none()
                }
                Some(_) | None => false,
            };
            if !fresh {
                return Err(refused());
            }
        }
        Ok(InstanceSpec { admin, master, https })
    }
}

impl fmt::Display for InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.admin.fmt(f)?;
        if let Some(master) = &self.master {
            write!(f, " master={master}")?;
        }
        if let Some(https) = &self.https {
            write!(f, " https={https}")?;
        }
        Ok(())
    }
}

/// What several things are separated by where they stand in one text.
pub const SEPARATOR: char = ';';

/// Reads several, separated by [`SEPARATOR`] or by lines.
pub fn several<T: FromStr<Err = Error>>(text: &str) -> Result<Vec<T>, Error> {
    let parts = text.split([SEPARATOR, '\n']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_read_is_written_in_one_spelling() {
        for (text, canonical) in [
            ("a.example   pass 192.0.2.1:8443", "a.example pass 192.0.2.1:8443"),
            (
                "A.example,b.example pass [2001:db8::1]:1 proxy",
                "a.example,b.example pass proxy [2001:db8::1]:1",
            ),
            (
                "a.example terminate 127.0.0.1:1 name=inner.example verify=required ca=/c certificate=/a.pem",
                "a.example terminate verify=required certificate=/a.pem ca=/c name=inner.example 127.0.0.1:1",
            ),
        ] {
            let read: DomainSpec = text.parse().unwrap();
            assert_eq!(read.to_string(), canonical);
            assert_eq!(canonical.parse::<DomainSpec>().unwrap(), read);
        }
        for text in ["/run/a.sock", "/run/a.sock master=/run/m.sock https=127.0.0.1:443", "192.0.2.1:9999"] {
            assert_eq!(text.parse::<InstanceSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for text in [
            "",
            "a.example",
            "a.example pass",
            "a.example 192.0.2.1:1",
            "a.example pass verify=optional 192.0.2.1:1",
            "a.example terminate proxy 192.0.2.1:1",
            "a.example terminate ca=/c 192.0.2.1:1",
            "a.example terminate verify=none 192.0.2.1:1",
            "a.example terminate verify=optional verify=required 192.0.2.1:1",
            "a.example pass proxy proxy 192.0.2.1:1",
            "a.example pass node.example:1",
            "a..b pass 192.0.2.1:1",
            "a.example pass 192.0.2.1:1 else",
        ] {
            assert!(text.parse::<DomainSpec>().is_err(), "{text:?}");
        }
        for text in ["", "run/a.sock", "0.0.0.0:1", "192.0.2.1:0", "/a https=0.0.0.0:443", "/a x=/b", "/a /b"]
        {
            assert!(text.parse::<InstanceSpec>().is_err(), "{text:?}");
        }
        assert!(format!("/{}", "a".repeat(90)).parse::<InstanceSpec>().is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_read_says_no_more_than_it_did(text in "(a|a\\.b|pass|terminate|proxy|verify=optional|name=b|ca=/c|10\\.0\\.0\\.1:1| |,|=|;|\\PC){0,12}") {
            if let Ok(read) = text.parse::<DomainSpec>() {
                prop_assert_eq!(read.to_string().parse::<DomainSpec>().unwrap(), read);
            }
            if let Ok(read) = text.parse::<InstanceSpec>() {
                prop_assert_eq!(read.to_string().parse::<InstanceSpec>().unwrap(), read);
            }
        }
    }
}
