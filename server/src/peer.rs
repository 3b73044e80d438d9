//! Who asks: the users of this machine by their ids.

use std::fs;

use trust::Peer;

/// The user `uid` of this machine.
pub fn local(uid: u32) -> Peer {
    let name = fs::read_to_string("/etc/passwd").ok().and_then(|users| trust::user_name(&users, uid));
    Peer::Local { uid, name }
}

/// The user of this process: who a command is when it runs an operation itself.
pub fn own() -> Peer {
    local(rustix::process::geteuid().as_raw())
}
