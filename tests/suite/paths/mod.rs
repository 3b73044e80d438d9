//! "Whoever shows a path that is not valid is not let in, and whoever shows a valid one is."
//!
//! Two collections that others made: x509-limbo, whole, and of NIST's PKITS the sections that bear on
//! what we do. Where we judge otherwise on purpose the case stands in a list of exceptions, with the
//! reason; a case that stands there and is judged as its makers want fails the test too.

mod limbo;
mod pkits;

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::cert::Certificate;
use crl::ParsedList;
use serde::Deserialize;
use server::http::problem::in_words;
use tests::source_tree;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::authority::{Import, Source, import};

/// When a case is judged that names no time.
const NOW: OffsetDateTime = time::macros::datetime!(2026-11-21 12:00:00 UTC);

/// A file of tests/fixtures/paths.
#[derive(Deserialize)]
struct Collection {
    cases: Vec<Case>,
    der: Vec<String>,
}

/// One case; certificates and lists by their place in the file.
#[derive(Deserialize)]
struct Case {
    id: String,
    valid: bool,
    #[serde(default)]
    client: bool,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    name: Option<String>,
    leaf: usize,
    others: Vec<usize>,
    anchors: Vec<usize>,
    lists: Vec<usize>,
}

/// What a verifier is given.
struct Given {
    client: bool,
    name: Option<String>,
    now: OffsetDateTime,
    leaf: Certificate,
    others: Vec<Certificate>,
    anchors: Vec<Certificate>,
    lists: Vec<ParsedList>,
}

impl Collection {
    fn read(name: &str) -> Collection {
        let path = folder().join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn bytes(&self, places: &[usize]) -> Vec<Vec<u8>> {
        places.iter().map(|&place| STANDARD.decode(&self.der[place]).unwrap()).collect()
    }

    /// Reads what a case gives. A leaf that can't be read is refused; what else can't be read, and what
    /// would not be imported as an authority, is not there.
    fn given(&self, case: &Case) -> Result<Given, String> {
        let read = |places: &[usize]| -> Vec<Certificate> {
            self.bytes(places).iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
        };
        let leaf = &self.bytes(&[case.leaf])[0];
        let leaf = Certificate::from_der(leaf).map_err(|error| in_words(&error))?;
        let now = case.time.as_deref().map(|text| OffsetDateTime::parse(text, &Rfc3339).unwrap());
        let now = now.unwrap_or(NOW);
        let importable = |certificate: &Certificate| {
            matches!(import(certificate, None, Source::Added, "test", now), Ok(Import::New(_)))
        };
        Ok(Given {
            client: case.client,
            name: case.name.clone(),
            now,
            leaf,
            others: read(&case.others),
            anchors: read(&case.anchors).into_iter().filter(importable).collect(),
            lists: self.bytes(&case.lists).iter().filter_map(|der| ParsedList::read(der).ok()).collect(),
        })
    }

    /// Judges every case, and compares.
    #[track_caller]
    fn compare(&self, name: &str, judge: impl Fn(&Given) -> Result<(), String>) {
        let exceptions = read_exceptions(&format!("{name}.exceptions"));
        let (mut wrong, mut all) = (Vec::new(), String::new());
        for case in &self.cases {
            let outcome = self.given(case).and_then(|given| judge(&given));
            let told = outcome.as_ref().map_or_else(Clone::clone, |()| "accepted".to_owned());
            let wanted = if case.valid { "valid" } else { "invalid" };
            let _ = writeln!(all, "{} ({wanted}): {told}", case.id);
            match (outcome.is_ok() == case.valid, exceptions.get(&case.id)) {
                (true, None) | (false, Some(_)) => {}
                (true, Some(_)) => wrong.push(format!("{}: an exception that is none: {told}", case.id)),
                (false, None) => wrong.push(format!("{}: {told}", case.id)),
            }
        }
        let unknown = exceptions.keys().filter(|id| self.cases.iter().all(|case| case.id != **id));
        wrong.extend(unknown.map(|id| format!("{id}: an exception for no case")));
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), self.cases.len(), wrong.join("\n"));
        // Not only that a case is refused: why. What is refused for another reason than its makers meant shows
        // nothing about what they meant.
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(name, all);
        });
    }
}

fn folder() -> std::path::PathBuf {
    source_tree().join("tests/fixtures/paths")
}

/// Lines `CASE: reason`; those that begin with `#` explain.
fn read_exceptions(name: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (id, reason) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: no reason: {line}"));
        assert!(reason.len() > 10, "{name}: no reason: {line}");
        assert!(found.insert(id.to_owned(), reason.to_owned()).is_none(), "{name}: {id} twice");
    }
    found
}
