//! How far a long piece of work is, for whoever looks on from another thread.
//!
//! What this refuses: to guess when it will be done, and to wait for whoever looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far something is. A clone tells of the same.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Steps>);

#[derive(Debug, Default)]
struct Steps {
    done: AtomicU64,
    of: AtomicU64,
}

impl Progress {
    /// It begins anew, and will be done after so many steps.
    pub(crate) fn begin(&self, of: u64) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.of.store(of, Ordering::Relaxed);
    }

    /// So many are done in all.
    pub(crate) fn reach(&self, done: u64) {
        self.0.done.store(done, Ordering::Relaxed);
    }

    /// How many steps are done, and of how many; nothing before it began.
    pub fn so_far(&self) -> Option<(u64, u64)> {
        let of = self.0.of.load(Ordering::Relaxed);
        (of > 0).then(|| (self.0.done.load(Ordering::Relaxed).min(of), of))
    }
}
