//! Problem documents (RFC 7807 as RFC 8555 §6.7 uses them), put into words a person can act on.
//!
//! The text comes from the other side: it is shortened and stripped of control characters before it
//! is shown, stored or logged.

use std::fmt;

use serde::Deserialize;

/// The namespace of the error types, RFC 8555 §6.7.
const NAMESPACE: &str = "urn:ietf:params:acme:error:";

/// How much of the authority's own text is kept.
const DETAIL_LIMIT: usize = 600;

/// How many subproblems are kept: an order has at most a hundred names.
const SUBPROBLEM_LIMIT: usize = 100;

/// What an authority says went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The type without its namespace, e.g. `rateLimited`; empty if none was given.
    pub kind: String,
    /// What the authority says about it.
    pub detail: Option<String>,
    /// The HTTP status it came with.
    pub status: Option<u16>,
    /// The name it is about.
    pub identifier: Option<String>,
    /// One for each name that is at fault (RFC 8555 §6.7.1).
    pub subproblems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: Option<String>,
    detail: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    subproblems: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: Option<String>,
    detail: Option<String>,
    identifier: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    value: String,
}

impl Problem {
    /// Reads the body of a failed answer. A body that is no problem document (a proxy's error page) is
    /// kept as text, with the status to go by.
    pub fn from_body(status: u16, body: &[u8]) -> Problem {
        match serde_json::from_slice::<Document>(body) {
            Ok(document) if document.kind.is_some() || document.detail.is_some() => Problem {
                kind: short_kind(document.kind.as_deref()),
                detail: document.detail.as_deref().and_then(plain),
                status: document.status.or(Some(status)),
                identifier: None,
                subproblems: document
                    .subproblems
                    .into_iter()
                    .take(SUBPROBLEM_LIMIT)
                    .map(|part| Problem {
                        kind: short_kind(part.kind.as_deref()),
                        detail: part.detail.as_deref().and_then(plain),
                        status: None,
                        identifier: part.identifier.and_then(|named| plain(&named.value)),
                        subproblems: Vec::new(),
                    })
                    .collect(),
            },
            Ok(_) | Err(_) => Problem {
                detail: plain(&String::from_utf8_lossy(body)),
                status: Some(status),
                ..Problem::default()
            },
        }
    }

    /// Whether it is of this type of RFC 8555 §6.7, e.g. `badNonce`.
    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// What the user can check, for the types of RFC 8555 §6.7 that are his to mend.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self.kind.as_str() {
            "caa" => "a CAA record of the domain does not allow this authority; look with `dig CAA`",
            "connection" => {
                "port 80 of the name must be reachable from the authority: check DNS, firewall and what listens there"
            }
            "dns" => "the authority could not resolve the name: check its A and AAAA records",
            "externalAccountRequired" => {
                "this authority wants an external account: give --eab-kid and --eab-hmac-file as it issued them"
            }
            "incorrectResponse" | "unauthorized" => {
                "something else answers at http://NAME/.well-known/acme-challenge/: check that the name points here and that no proxy, redirect or other site catches that path"
            }
            "invalidContact" | "unsupportedContact" => "the authority does not accept the e-mail address",
            "rateLimited" => "wait, and use the authority's staging directory while trying things out",
            "rejectedIdentifier" | "unsupportedIdentifier" => "this authority does not issue for that name",
            "userActionRequired" => "the terms of service have changed: read them at the authority's site",
            _ => return None,
        })
    }
}

impl From<&instant_acme::Problem> for Problem {
    fn from(problem: &instant_acme::Problem) -> Problem {
        Problem {
            kind: short_kind(problem.r#type.as_deref()),
            detail: problem.detail.as_deref().and_then(plain),
            status: problem.status,
            identifier: None,
            subproblems: problem
                .subproblems
                .iter()
                .take(SUBPROBLEM_LIMIT)
                .map(|part| Problem {
                    kind: short_kind(part.r#type.as_deref()),
                    detail: part.detail.as_deref().and_then(plain),
                    status: None,
                    identifier: part
                        .identifier
                        .as_ref()
                        .and_then(|identifier| plain(&identifier.authorized(false).to_string())),
                    subproblems: Vec::new(),
                })
                .collect(),
        }
    }
}

fn short_kind(kind: Option<&str>) -> String {
    let kind = kind.unwrap_or_default();
    plain(kind.strip_prefix(NAMESPACE).unwrap_or(kind)).unwrap_or_default()
}

/// The text on one line, without control characters, shortened; `None` if nothing is left.
fn plain(text: &str) -> Option<String> {
    let mut words: String = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    if let Some((cut, _)) = words.char_indices().nth(DETAIL_LIMIT) {
        words.truncate(cut);
        words.push('…');
    }
    (!words.is_empty()).then_some(words)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(identifier) = &self.identifier {
            write!(f, "{identifier}: ")?;
        }
        match (&self.detail, self.kind.as_str(), self.status) {
            (Some(detail), "" | "about:blank", Some(status)) => write!(f, "{detail} (HTTP status {status})")?,
            (Some(detail), "" | "about:blank", None) => f.write_str(detail)?,
            (Some(detail), kind, _) => write!(f, "{detail} ({kind})")?,
            (None, "" | "about:blank", Some(status)) => write!(f, "HTTP status {status}")?,
            (None, "" | "about:blank", None) => f.write_str("no reason given")?,
            (None, kind, _) => f.write_str(kind)?,
        }
        for part in &self.subproblems {
            write!(f, "; {part}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_its_type_and_every_name_at_fault() {
        let body = br#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"Some names were\nrefused","status":403,
            "subproblems":[{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"policy","identifier":{"type":"dns","value":"a.example"}},
                           {"type":"urn:ietf:params:acme:error:caa","identifier":{"type":"dns","value":"b.example"}}]}"#;
        let problem = Problem::from_body(403, body);
        assert_eq!(
            problem.to_string(),
            "Some names were refused (rejectedIdentifier); a.example: policy (rejectedIdentifier); b.example: caa"
        );
        assert!(problem.advice().is_some());
    }

    #[test]
    fn a_proxys_error_page_is_kept_short_and_harmless() {
        let page = format!("<html>\x1b[31m502 {}", "x".repeat(5000));
        let problem = Problem::from_body(502, page.as_bytes());
        let text = problem.to_string();
        assert!(text.starts_with("<html> [31m502 xxx") && text.ends_with("… (HTTP status 502)"), "{text}");
        assert!(text.len() < DETAIL_LIMIT + 50);
        assert_eq!(Problem::from_body(503, b"").to_string(), "HTTP status 503");
    }
}
