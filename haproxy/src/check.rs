//! What `haproxy -c` does not see: a configuration that is valid, starts, and then does not do what it was
//! written for.
//!
//! It looks at configurations of the shape that LXD's manual documents and ours have: port 80 for the
//! challenge and the redirect, port 443 passed through by name or terminated. It finds what was measured
//! to fail, and guesses at nothing else: that it finds nothing does not make a configuration good.
//! `haproxy -c` comes first; what it refuses is not looked at here.

mod clients;
mod fault;
mod plain;
mod read;
mod tls;

pub use fault::{Fault, Severity};

use read::Document;

/// One fault at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// What kind it is.
    pub fault: Fault,
    /// What stands there and what comes of it.
    pub found: String,
}

/// What a configuration is read in the light of.
pub struct Surroundings<'a> {
    /// The most files that HAProxy may open, if it is known.
    pub open_files: Option<u64>,
    /// The files that the configuration names; `None` for one that can't be read.
    pub file: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// Every fault of the configuration `text`, by line.
pub fn check(text: &str, around: &Surroundings<'_>) -> Vec<Finding> {
    let document = Document::read(text);
    let mut findings = Findings::default();
    plain::check(&document, around, &mut findings);
    tls::check(&document, &mut findings);
    clients::check(&document, around, &mut findings);
    let mut all = findings.0;
    all.sort_by_key(|finding| (finding.line, finding.fault));
    all
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, line: usize, fault: Fault, found: impl Into<String>) {
        self.0.push(Finding { line, fault, found: found.into() });
    }
}
