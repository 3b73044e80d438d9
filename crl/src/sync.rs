//! The primitives that [`crate::Flight`] is made of, in one place.
//!
//! They are the standard library's. `tests/flight.rs` compiles the same source with shuttle's in their
//! stead, which choose at each of them who runs next. What this refuses: a primitive that is not in both.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
