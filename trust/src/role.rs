//! What a peer holds: a client's rights, or the permissions that groups give a person.
//!
//! A permission is worth what its line of the table in [`crate::Admitted::permit`] says. `issue:PROJECT` is
//! just what a client restricted to the project may do, and `view` what an unrestricted server may: so a
//! person's certificates reach no further than the person.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::rights::{ClientType, ProjectName, Rights, Scope};

/// What a group gives its members.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Look at everything, and change nothing.
    View,
    /// Issue, look up and revoke in one project: what a client restricted to it may do.
    Issue(ProjectName),
    /// Revoke and release everywhere.
    Revoke,
    /// Change who is trusted, as far as they reach themselves.
    Trust,
    /// All there is.
    Everything,
}

/// Why a text is no permission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no permission: view, issue:PROJECT, revoke, trust or everything")]
pub struct PermissionError {
    /// The text, escaped.
    pub text: String,
}

impl Permission {
    /// The project that it names.
    pub fn project(&self) -> Option<&ProjectName> {
        match self {
            Permission::Issue(project) => Some(project),
            Permission::View | Permission::Revoke | Permission::Trust | Permission::Everything => None,
        }
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Permission, PermissionError> {
        let wrong = || PermissionError { text: ca::cert::printable(text) };
        match text.split_once(':') {
            Some(("issue", project)) => project.parse().map(Permission::Issue).map_err(|_| wrong()),
            Some(_) => Err(wrong()),
            None => match text {
                "view" => Ok(Permission::View),
                "revoke" => Ok(Permission::Revoke),
                "trust" => Ok(Permission::Trust),
                "everything" => Ok(Permission::Everything),
                _ => Err(wrong()),
            },
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Permission::View => f.write_str("view"),
            Permission::Issue(project) => write!(f, "issue:{project}"),
            Permission::Revoke => f.write_str("revoke"),
            Permission::Trust => f.write_str("trust"),
            Permission::Everything => f.write_str("everything"),
        }
    }
}

ca::text_cbor!(Permission);

/// Permissions, each once.
pub type Permissions = BTreeSet<Permission>;

/// What a peer that was let in holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A certificate, a user of this machine, or the service itself: its rights.
    Rights(Rights),
    /// A person: what the groups they are in permit; nothing for somebody new.
    Permissions(Permissions),
}

impl Held {
    /// All there is.
    pub const FULL: Held = Held::Rights(Rights::FULL);

    /// Whether whoever holds this may give `wanted` to somebody, or take it away: they have all of it.
    pub fn cover(&self, wanted: &Rights) -> bool {
        match self {
            Held::Rights(rights) => rights.cover(wanted),
            Held::Permissions(permissions) if permissions.contains(&Permission::Everything) => true,
            Held::Permissions(permissions) => {
                let projects = permissions.iter().filter_map(Permission::project).cloned();
                let restricted = Rights::client(Scope::Projects(projects.collect()));
                let server = Rights { kind: ClientType::Server, scope: Scope::Everything };
                let metrics = Rights { kind: ClientType::Metrics, scope: Scope::Everything };
                let views = permissions.contains(&Permission::View);
                restricted.cover(wanted) || (views && (server.cover(wanted) || metrics.cover(wanted)))
            }
        }
    }

    /// Whether whoever holds this may give a permission to a group, or take it away.
    pub fn permits(&self, wanted: &Permission) -> bool {
        match self {
            Held::Permissions(permissions) => {
                permissions.contains(wanted) || permissions.contains(&Permission::Everything)
            }
            Held::Rights(rights) => match wanted {
                Permission::View => {
                    rights.cover(&Rights { kind: ClientType::Server, scope: Scope::Everything })
                }
                Permission::Issue(project) => rights.cover(&Rights::client(Scope::project(project.clone()))),
                Permission::Revoke | Permission::Trust | Permission::Everything => {
                    rights.cover(&Rights::FULL)
                }
            },
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Held::Rights(rights) => rights.fmt(f),
            Held::Permissions(none) if none.is_empty() => {
                f.write_str("somebody whom no group permits anything")
            }
            Held::Permissions(permissions) => {
                let words: Vec<String> = permissions.iter().map(Permission::to_string).collect();
                write!(f, "somebody whose groups permit {}", words.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(words: &[&str]) -> Held {
        Held::Permissions(words.iter().map(|word| word.parse().unwrap()).collect())
    }

    fn client(projects: &[&str]) -> Rights {
        Rights::client(Scope::Projects(projects.iter().map(|name| name.parse().unwrap()).collect()))
    }

    #[test]
    fn permissions_are_written_as_they_are_read() {
        for word in ["view", "issue:web", "revoke", "trust", "everything"] {
            assert_eq!(word.parse::<Permission>().unwrap().to_string(), word);
        }
        for bad in ["", "issue", "issue:", "issue:a/b", "view:web", "Everything", "all", "trust "] {
            assert!(bad.parse::<Permission>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nobody_gives_what_they_do_not_have() {
        let server = Rights { kind: ClientType::Server, scope: Scope::Everything };
        let metrics = Rights { kind: ClientType::Metrics, scope: Scope::Everything };
        let table: [(Held, &[Rights], &[Rights]); 6] = [
            (person(&[]), &[client(&[])], &[client(&["web"]), server.clone(), metrics.clone(), Rights::FULL]),
            (person(&["trust", "revoke"]), &[], &[client(&["web"]), server.clone(), Rights::FULL]),
            (
                person(&["trust", "view"]),
                &[server.clone(), metrics.clone()],
                &[client(&["web"]), Rights::FULL],
            ),
            (
                person(&["trust", "issue:web", "issue:db"]),
                &[client(&["web"]), client(&["db", "web"])],
                &[client(&["web", "mail"]), server.clone(), metrics.clone(), Rights::FULL],
            ),
            (person(&["everything"]), &[Rights::FULL, server.clone(), client(&["web"])], &[]),
            (Held::FULL, &[Rights::FULL, metrics.clone()], &[]),
        ];
        for (held, gives, keeps) in table {
            for rights in gives {
                assert!(held.cover(rights), "{held}: {rights}");
            }
            for rights in keeps {
                assert!(!held.cover(rights), "{held}: {rights}");
            }
        }
    }

    #[test]
    fn nobody_gives_a_group_what_they_do_not_have() {
        let all = ["view", "issue:web", "issue:db", "revoke", "trust", "everything"];
        let table: [(Held, &[&str]); 6] = [
            (Held::FULL, &all),
            (person(&["everything"]), &all),
            (person(&["trust", "issue:web"]), &["trust", "issue:web"]),
            (person(&["trust", "view"]), &["trust", "view"]),
            (Held::Rights(client(&["web"])), &["issue:web"]),
            (Held::Rights(Rights { kind: ClientType::Server, scope: Scope::Everything }), &["view"]),
        ];
        for (held, gives) in table {
            for word in all {
                assert_eq!(held.permits(&word.parse().unwrap()), gives.contains(&word), "{held}: {word}");
            }
        }
    }
}
