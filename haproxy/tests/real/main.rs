//! Our configurations and our client of the Runtime API against a real HAProxy, on loopback.
//!
//! The program is `haproxy` of the path (Debian's package; `tests/run` installs it). Where it is missing the
//! tests fail: nothing is skipped for want of it.

mod bundled;
mod process;
mod world;
