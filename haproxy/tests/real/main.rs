//! Our configurations and our client of the Runtime API against a real HAProxy, on loopback.
//!
//! The program is `haproxy` of the path (Debian's package; `tests/run` installs it). Where it is missing the
//! tests fail: nothing is skipped for want of it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod bundled;
mod checked;
mod documented;
mod forms;
mod kept;
mod process;
mod routes;
mod running;
mod silent;
mod sites;
mod termination;
mod world;
