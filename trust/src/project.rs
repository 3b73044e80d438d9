//! Projects: what every certificate belongs to, and what names those of one may carry.
//!
//! A project without patterns allows every name. One with patterns allows the DNS names that fit one of
//! them and no other kind of name: an address or a URI would be a way around them.

use std::fmt;
use std::str::FromStr;

use ca::cert::{DnsName, SubjectAltName};
use minicbor::{Decode, Encode};
use store::{Batch, Class, Format, Key, Record, Table, Versioned};
use time::OffsetDateTime;

use crate::rights::ProjectName;

/// A project, under `project/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Project {
    /// Its name.
    #[n(0)]
    pub name: ProjectName,
    /// The DNS names that its certificates may carry; none is any.
    #[n(1)]
    pub allow_dns: Vec<DnsPattern>,
    /// Who made it.
    #[n(2)]
    pub created_by: String,
    /// When, in seconds since 1970.
    #[n(3)]
    pub created_at: i64,
}

impl Record for Project {
    const TREE: &'static str = "project";
    const FORMAT: Format = 1;
}

/// `web.internal` is that name alone; `*.web.internal` is everything below it, at any depth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnsPattern {
    /// One name.
    Exactly(DnsName),
    /// All names below one.
    Below(DnsName),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern for DNS names, such as web.internal or *.web.internal")]
pub struct DnsPatternError {
    /// The text, escaped.
    pub pattern: String,
}

impl DnsPattern {
    /// Whether a name fits; a wildcard does if every name it stands for does.
    pub fn fits(&self, name: &DnsName) -> bool {
        match self {
            DnsPattern::Exactly(exactly) => name == exactly,
            DnsPattern::Below(base) => name
                .as_str()
                .strip_suffix(base.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
        }
    }
}

impl FromStr for DnsPattern {
    type Err = DnsPatternError;

    fn from_str(text: &str) -> Result<DnsPattern, DnsPatternError> {
        let wrong = || DnsPatternError { pattern: ca::cert::printable(text) };
        let (make, name): (fn(DnsName) -> DnsPattern, &str) = match text.strip_prefix("*.") {
            Some(base) => (DnsPattern::Below, base),
            None => (DnsPattern::Exactly, text),
        };
        match name.parse::<DnsName>() {
            Ok(name) if !name.as_str().contains('*') => Ok(make(name)),
            Ok(_) | Err(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for DnsPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DnsPattern::Exactly(name) => write!(f, "{name}"),
            DnsPattern::Below(base) => write!(f, "*.{base}"),
        }
    }
}

ca::text_cbor!(DnsPattern);

/// A name that a project does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the project {project} does not allow the name {name}")]
pub struct NameNotAllowed {
    /// The project.
    pub project: ProjectName,
    /// The name.
    pub name: SubjectAltName,
}

impl Project {
    /// Where a project lies.
    pub fn key(name: &ProjectName) -> Key {
        Table::<Project>::key(name.as_str())
    }

    /// Whether a certificate of this project may carry these names.
    ///
    /// # Errors
    /// The first name that it may not.
    pub fn allows(&self, names: &[SubjectAltName]) -> Result<(), NameNotAllowed> {
        let allowed = |name: &SubjectAltName| match name {
            _ if self.allow_dns.is_empty() => true,
            SubjectAltName::Dns(dns) => self.allow_dns.iter().any(|pattern| pattern.fits(dns)),
            SubjectAltName::Email(_) | SubjectAltName::Ip(_) | SubjectAltName::Uri(_) => false,
        };
        match names.iter().find(|name| !allowed(name)) {
            Some(name) => Err(NameNotAllowed { project: self.name.clone(), name: name.clone() }),
            None => Ok(()),
        }
    }

    /// The batch that makes or changes the project `name`; `read` is its record, if there is one.
    pub fn put(
        name: ProjectName,
        allow_dns: Vec<DnsPattern>,
        read: Option<&Versioned<Project>>,
        who: &str,
        now: OffsetDateTime,
    ) -> Batch {
        let patterns = allow_dns.iter().map(DnsPattern::to_string).collect::<Vec<_>>().join(",");
        let verb = if read.is_some() { "change" } else { "create" };
        let what = format!("project {verb} {name} allow-dns={patterns}");
        let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
        let key = Project::key(&name);
        batch.expect(key.clone(), read.map(|read| read.version));
        let (created_by, created_at) = match read {
            Some(read) => (read.record.created_by.clone(), read.record.created_at),
            None => (who.to_owned(), now.unix_timestamp()),
        };
        batch.put(key, Table::encode(&Project { name, allow_dns, created_by, created_at }));
        batch
    }

    /// The batch that removes a project. Who asks has made sure that nobody's rights name it.
    pub fn remove(project: &Versioned<Project>, who: &str, now: OffsetDateTime) -> Batch {
        let what = format!("project remove {}", project.record.name);
        let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
        batch.expect_unchanged(project.key.clone(), project.version);
        batch.delete(project.key.clone());
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(patterns: &[&str]) -> Project {
        Project {
            name: "web".parse().unwrap(),
            allow_dns: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
            created_by: "test".to_owned(),
            created_at: 0,
        }
    }

    #[test]
    fn names_fit_a_pattern_or_are_refused() {
        let web = project(&["*.web.internal", "web.example"]);
        let allows = |name: &str| web.allows(&[name.parse().unwrap()]).is_ok();
        for good in ["dns:a.web.internal", "dns:a.b.web.internal", "dns:*.web.internal", "dns:web.example"] {
            assert!(allows(good), "{good}");
        }
        for bad in [
            "dns:web.internal",
            "dns:xweb.internal",
            "dns:a.xweb.internal",
            "dns:a.web.example",
            "dns:*.web.example",
            "dns:web.internal.evil",
            "ip:10.0.0.1",
            "uri:https://a.web.internal/",
            "email:a@web.internal",
        ] {
            assert!(!allows(bad), "{bad}");
        }
        assert!(project(&[]).allows(&["ip:10.0.0.1".parse().unwrap()]).is_ok());
        let one_of_two = ["dns:a.web.internal".parse().unwrap(), "dns:evil.example".parse().unwrap()];
        assert_eq!(web.allows(&one_of_two).unwrap_err().name, one_of_two[1]);
    }

    #[test]
    fn patterns_have_one_star_in_front() {
        for bad in ["", "*", "*.", "*.*.a.b", "a.*.b", "a*.b", "*a.b", "10.0.0.1", "a b"] {
            assert!(bad.parse::<DnsPattern>().is_err(), "{bad:?}");
        }
        assert_eq!("*.Web.Internal".parse::<DnsPattern>().unwrap().to_string(), "*.web.internal");
    }
}
