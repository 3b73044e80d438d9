//! What befalls a running service: its disk, its clock, its limits.
//!
//! `Injection` takes hold of a process that runs and makes some of its system calls fail or wait, until
//! it is let go. `SmallDisk` is a file system of a few megabytes. `Clock` is a clock that can be set while
//! somebody looks at it. They need root, as the tests are run, and say so.

mod clock;
mod disk;
mod injection;

pub use clock::Clock;
pub use disk::{Immutable, SmallDisk};
pub use injection::Injection;
pub(crate) use injection::is_held;

use std::time::{Duration, Instant};

/// Waits until something is so; fails the test after two minutes, which nothing here needs.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
