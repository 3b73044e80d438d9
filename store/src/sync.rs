//! The primitives that the embedded engine's threads meet on, in one place.
//!
//! They are the standard library's. The unit tests of this crate put shuttle's in their stead, which
//! choose at each of them who runs next: so the very code that is shipped is tried under thousands
//! of orders (`embedded/schedules.rs`). What this module refuses: a primitive that is not in both.
//! A unit test that opens an embedded store must therefore run inside `shuttle::check_…`; what needs
//! real threads is a test in `tests/`.

#[cfg(not(test))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc},
    thread,
};

#[cfg(test)]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc},
    thread,
};
#[cfg(test)]
pub(crate) use std::sync::PoisonError;
