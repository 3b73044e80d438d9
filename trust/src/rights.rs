//! What a peer may reach: its type, and all projects or some.
//!
//! Rights are compared by [`Rights::cover`] alone: whoever gives rights away, by an entry, a token or a
//! renewal, must cover what they give, and nobody's access grows.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

/// The name of a project: letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectName(String);

/// The most characters of a project's name.
const LONGEST: usize = 63;

/// Why a text is no project's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} can't be a project's name: up to {LONGEST} letters, digits, '.', '_' and '-', the first a letter or digit"
)]
pub struct ProjectNameError {
    /// The text, escaped.
    pub name: String,
}

impl ProjectName {
    /// The project of whatever names none; it exists without being created.
    pub fn default_project() -> ProjectName {
        ProjectName("default".to_owned())
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectName {
    type Err = ProjectNameError;

    fn from_str(text: &str) -> Result<ProjectName, ProjectNameError> {
        let fits = text.len() <= LONGEST
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits {
            Ok(ProjectName(text.to_owned()))
        } else {
            Err(ProjectNameError { name: ca::cert::printable(text) })
        }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectName({})", self.0)
    }
}

ca::text_cbor!(ProjectName);

/// What a peer is trusted as, by LXD's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ClientType {
    /// Works with the service.
    #[n(0)]
    Client,
    /// Another service: it looks things up.
    #[n(1)]
    Server,
    /// Reads the metrics and nothing else.
    #[n(2)]
    Metrics,
}

/// Why a text is no client type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no type of client: client, server or metrics")]
pub struct ClientTypeError {
    /// The text, escaped.
    pub text: String,
}

impl ClientType {
    /// Every type.
    pub const ALL: [ClientType; 3] = [ClientType::Client, ClientType::Server, ClientType::Metrics];

    /// `client`, `server` or `metrics`.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientType::Client => "client",
            ClientType::Server => "server",
            ClientType::Metrics => "metrics",
        }
    }
}

impl FromStr for ClientType {
    type Err = ClientTypeError;

    fn from_str(text: &str) -> Result<ClientType, ClientTypeError> {
        let named = ClientType::ALL.into_iter().find(|kind| kind.as_str() == text);
        named.ok_or_else(|| ClientTypeError { text: ca::cert::printable(text) })
    }
}

impl fmt::Display for ClientType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which projects rights extend to. LXD says `restricted` and `projects` for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Scope {
    /// All of them, and what belongs to none.
    #[n(0)]
    Everything,
    /// These alone; none of them is nothing at all.
    #[n(1)]
    Projects(#[n(0)] BTreeSet<ProjectName>),
}

impl Scope {
    /// One project alone.
    pub fn project(name: ProjectName) -> Scope {
        Scope::Projects(BTreeSet::from([name]))
    }

    /// Whether it is limited to projects.
    pub fn is_restricted(&self) -> bool {
        match self {
            Scope::Everything => false,
            Scope::Projects(_) => true,
        }
    }

    /// The projects it is limited to; none if it is not.
    pub fn projects(&self) -> impl Iterator<Item = &ProjectName> {
        match self {
            Scope::Everything => None,
            Scope::Projects(names) => Some(names.iter()),
        }
        .into_iter()
        .flatten()
    }

    /// Whether a project lies within it.
    pub fn includes(&self, project: &ProjectName) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Projects(names) => names.contains(project),
        }
    }

    /// This and the other together.
    pub fn and(self, other: Scope) -> Scope {
        match (self, other) {
            (Scope::Projects(mut some), Scope::Projects(more)) => {
                some.extend(more);
                Scope::Projects(some)
            }
            (Scope::Everything, _) | (_, Scope::Everything) => Scope::Everything,
        }
    }

    /// Whether all of `other` lies within it.
    pub fn covers(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::Everything, _) => true,
            (Scope::Projects(_), Scope::Everything) => false,
            (Scope::Projects(mine), Scope::Projects(others)) => others.is_subset(mine),
        }
    }
}

impl fmt::Display for Scope {
    /// For the audit trail: `everything`, or the projects separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Everything => f.write_str("everything"),
            Scope::Projects(names) if names.is_empty() => f.write_str("nothing"),
            Scope::Projects(names) => {
                f.write_str(&names.iter().map(ProjectName::as_str).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// What a peer may do, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Rights {
    /// What it is trusted as.
    #[n(0)]
    pub kind: ClientType,
    /// Where.
    #[n(1)]
    pub scope: Scope,
}

impl Rights {
    /// A client's everywhere: all there is.
    pub const FULL: Rights = Rights { kind: ClientType::Client, scope: Scope::Everything };

    /// A client's within `scope`.
    pub fn client(scope: Scope) -> Rights {
        Rights { kind: ClientType::Client, scope }
    }

    /// Whether whoever has these rights has all of `other` too.
    pub fn cover(&self, other: &Rights) -> bool {
        let kind = match (self.kind, other.kind) {
            // Unrestricted clients may read metrics and look things up; restricted ones may not.
            (ClientType::Client, ClientType::Client) => true,
            (ClientType::Client, ClientType::Server | ClientType::Metrics) => !self.scope.is_restricted(),
            (ClientType::Server, ClientType::Server) => true,
            (ClientType::Metrics, ClientType::Metrics) => true,
            (ClientType::Server | ClientType::Metrics, _) => false,
        };
        kind && self.scope.covers(&other.scope)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.kind, self.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn projects(names: &[&str]) -> Scope {
        Scope::Projects(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn only_whoever_has_it_all_covers_it_all() {
        let table = [
            (Scope::Everything, Scope::Everything, true),
            (Scope::Everything, projects(&["a"]), true),
            (projects(&["a", "b"]), projects(&["a"]), true),
            (projects(&["a"]), projects(&[]), true),
            (projects(&["a"]), projects(&["a", "b"]), false),
            (projects(&["a"]), Scope::Everything, false),
            (projects(&[]), projects(&["a"]), false),
        ];
        for (mine, other, covered) in table {
            assert_eq!(mine.covers(&other), covered, "{mine} over {other}");
        }
    }

    #[test]
    fn types_do_not_turn_into_each_other() {
        let rights = |kind, scope| Rights { kind, scope };
        for kind in ClientType::ALL {
            assert!(Rights::FULL.cover(&rights(kind, Scope::Everything)));
            assert!(rights(kind, Scope::Everything).cover(&rights(kind, projects(&["a"]))));
            let restricted = Rights::client(projects(&["a"]));
            assert_eq!(restricted.cover(&rights(kind, projects(&["a"]))), kind == ClientType::Client);
        }
        for kind in [ClientType::Server, ClientType::Metrics] {
            assert!(!rights(kind, Scope::Everything).cover(&Rights::FULL), "{kind}");
        }
        assert!(
            !rights(ClientType::Metrics, Scope::Everything)
                .cover(&rights(ClientType::Server, Scope::Everything))
        );
    }

    #[test]
    fn project_names_are_plain() {
        for good in ["default", "web", "Team_1", "a.b-c", "0", &"a".repeat(63)] {
            assert_eq!(good.parse::<ProjectName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "-a", "_a", "a/b", "a b", "a,b", "*", "\u{e4}", "a\n", &"a".repeat(64)] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rights_survive_cbor() {
        for scope in [Scope::Everything, projects(&[]), projects(&["a", "b"])] {
            let rights = Rights { kind: ClientType::Metrics, scope };
            let bytes = minicbor::to_vec(&rights).unwrap();
            assert_eq!(minicbor::decode::<Rights>(&bytes).unwrap(), rights);
        }
    }
}
