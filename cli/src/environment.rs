//! What the world outside tells a command: variables, streams, the clock. Read once, then passed on.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use ca::key::ScryptCost;
use time::OffsetDateTime;

use crate::output::Stream;

/// The environment of a command. A test may change any field before it calls [`crate::main`].
#[derive(Clone, Debug)]
pub struct Environment {
    /// The environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The directory that relative paths begin at.
    pub directory: PathBuf,
    /// What standard input comes from.
    pub input: Stream,
    /// What standard output leads to.
    pub output: Stream,
    /// What standard error leads to.
    pub speech: Stream,
    /// The clock.
    pub now: fn() -> OffsetDateTime,
    /// How costly it is to try a passphrase; cheap in tests.
    pub scrypt: ScryptCost,
}

impl Environment {
    /// The environment of this process.
    pub fn of_the_process() -> Environment {
        Environment {
            variables: std::env::vars_os().collect(),
            // A directory that was deleted under us still has a name to resolve against.
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            input: Stream::of_input(),
            output: Stream::of_data(),
            speech: Stream::of_speech(),
            now: the_clock,
            scrypt: ScryptCost::DEFAULT,
        }
    }

    /// The time in whole seconds: certificates and lists know no fractions (RFC 5280 §4.1.2.5).
    pub fn whole_second(&self) -> OffsetDateTime {
        let now = (self.now)();
        now.replace_nanosecond(0).unwrap_or(now)
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A path as the user typed it, made absolute.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        if path.is_absolute() { path.to_path_buf() } else { self.directory.join(path) }
    }
}

fn the_clock() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
