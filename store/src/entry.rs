//! What the journal says of one committed batch.

use crate::{Key, Write};

/// The place of an entry in the store's history, from 1 up without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first entry.
    pub const ZERO: Sequence = Sequence(0);
}

impl std::fmt::Display for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a record looked like when it was read: the sequence of the entry that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub Sequence);

/// A stretch of the history. A new one begins when a store is restored from a backup: what was
/// committed after the backup is lost, and numbers that others have seen must not come again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How long an entry's body must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Issuance, revocation, trust, settings, projects: kept for ever.
    Ledger,
    /// Orders, sessions, tokens, leases: droppable once dead.
    State,
}

/// One committed batch, as [`crate::Store::follow`] hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the history.
    pub sequence: Sequence,
    /// The stretch of the history it belongs to.
    pub epoch: Epoch,
    /// How long its body is kept.
    pub class: Class,
    /// When it was decided, in seconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// Who caused it, e.g. `local:1000(anna)`.
    pub who: String,
    /// What happened, e.g. `issue client web-1 serial=4f…`. Never a secret.
    pub what: String,
    /// What was put and deleted; `None` once a dead state body was dropped.
    pub writes: Option<Vec<(Key, Write)>>,
}
