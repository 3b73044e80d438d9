//! A change of state: what it rests on and what it writes.

use crate::{Class, Key, Version};

/// What a batch demands of a key before it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// No record lies there.
    Absent,
    /// The record there is still the one that was read.
    Unchanged(Version),
}

/// What a batch does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Put these bytes there.
    Put(Vec<u8>),
    /// Remove the record, if there is one.
    Delete,
}

impl Write {
    /// The length of the value that is put.
    pub(crate) fn size(&self) -> usize {
        match self {
            Write::Put(value) => value.len(),
            Write::Delete => 0,
        }
    }
}

/// Whether a batch may use the room that is kept in reserve on a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// It is refused while the reserve is whole.
    Usual,
    /// It may use most of the reserve.
    Urgent,
}

/// One change, committed whole or not at all, and one line in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How long its body is kept.
    pub class: Class,
    /// When it was decided, in seconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// Who caused it.
    pub who: String,
    /// What happens, in words for the audit trail. Never a secret.
    pub what: String,
    /// Whether it may use the room that is kept in reserve on a full disk.
    pub urgency: Urgency,
    /// What must hold for it to be applied.
    pub expects: Vec<(Key, Expectation)>,
    /// What it writes; of two writes to one key the later wins.
    pub writes: Vec<(Key, Write)>,
}

impl Batch {
    /// An empty batch.
    pub fn new(class: Class, time: i64, who: impl Into<String>, what: impl Into<String>) -> Batch {
        Batch {
            class,
            time,
            who: who.into(),
            what: what.into(),
            urgency: Urgency::Usual,
            expects: Vec::new(),
            writes: Vec::new(),
        }
    }

    /// Lets it use the room that is kept in reserve: for what protects, such as a revocation.
    pub fn urgent(&mut self) {
        self.urgency = Urgency::Urgent;
    }

    /// Demands that no record lies at `key`.
    pub fn expect_absent(&mut self, key: Key) {
        self.expects.push((key, Expectation::Absent));
    }

    /// Demands that the record at `key` is still the one that was read.
    pub fn expect_unchanged(&mut self, key: Key, version: Version) {
        self.expects.push((key, Expectation::Unchanged(version)));
    }

    /// Demands of `key` what a read of it returned.
    pub fn expect(&mut self, key: Key, read: Option<Version>) {
        match read {
            Some(version) => self.expect_unchanged(key, version),
            None => self.expect_absent(key),
        }
    }

    /// Puts `value` at `key`.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.writes.push((key, Write::Put(value)));
    }

    /// Removes what lies at `key`.
    pub fn delete(&mut self, key: Key) {
        self.writes.push((key, Write::Delete));
    }
}
