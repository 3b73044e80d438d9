//! The harness: a sandbox to run `pki` in, a service that stops by itself, and the witnesses.
//!
//! The suite (`suite/main.rs`) is one binary with one module per thing a user would say. It drives
//! the shipped program as a user would, by its arguments, files and exit codes, and lets programs
//! that no one here wrote judge the results. What it refuses to do: reach into the program, skip a
//! test because a witness is missing, or touch the network beyond loopback.

pub mod bench;
pub mod faults;
mod front;
pub mod fuzzing;
mod http;
mod knot;
pub mod linearize;
pub mod load;
mod lxc;
mod lxd;
mod namespace;
mod network;
mod pebble;
mod sandbox;
mod service;
mod snapshot;
pub mod socket;
mod terminal;
pub mod trouble;
mod witness;

pub use front::{Front, TlsClient, TlsConnection, node};
pub use http::{Response, fetch};
pub use knot::Knot;
pub use lxc::Lxc;
pub use lxd::Lxd;
pub use namespace::Network;
pub use network::{Ports, in_own_network};
pub use pebble::{Pebble, PebbleOptions};
pub use sandbox::{Output, Program, Sandbox, run};
pub use service::{Service, free_port};
pub use snapshot::filters;
pub use terminal::at_terminal;
pub use witness::{
    Purpose, certtool, openssl, openssl_accepts, openssl_finds_revoked, openssl_verify, pkilint_certificate,
    pkilint_list, witness,
};

use std::path::{Path, PathBuf};

/// The top of the source tree.
pub fn source_tree() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map(Path::to_path_buf).unwrap_or_else(|| tests.to_path_buf())
}
