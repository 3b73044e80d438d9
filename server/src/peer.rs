//! Who asks: the users of this machine by their ids.

use std::fs;

use trust::{LocalUser, Peer, Presented};

/// The user `uid` of this machine.
pub fn user(uid: u32) -> LocalUser {
    let name = fs::read_to_string("/etc/passwd").ok().and_then(|users| trust::user_name(&users, uid));
    LocalUser { uid, name }
}

/// The user of this process: what a command shows when it runs an operation itself.
pub fn presented() -> Presented {
    Presented::Local(user(rustix::process::geteuid().as_raw()))
}

/// The same by name, for whoever makes a PKI.
pub fn own() -> Peer {
    let LocalUser { uid, name } = user(rustix::process::geteuid().as_raw());
    Peer::Local { uid, name }
}
