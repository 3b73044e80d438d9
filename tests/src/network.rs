//! A network of a test's own: loopback and nothing else, in which the real ports are free.
//!
//! The test's program is run a second time in there, for this one test. Programs that it starts are in the same
//! network, and it is gone with the last of them. `/run` is the test's own there as well: what has its sockets in
//! it, as Debian's HAProxy has, finds a place. Names are looked up in a file of the test's own.

use std::process::{Command, Stdio};

use crate::{free_port, run};

/// Says that this is the second run.
const INSIDE: &str = "PKI_TEST_OWN_NETWORK";

/// What is done on the way in: the words are the names that lead to this machine, then the program.
const ENTER: &str = "set -e
ip link set lo up
mount -t tmpfs none /run
mkdir /run/haproxy
printf '127.0.0.1 localhost %s\\n' \"$1\" > /run/hosts
mount --bind /run/hosts /etc/hosts
shift
exec \"$@\"";

/// Where authorities and clients come to.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// For plain HTTP: 80 where that is free.
    pub http: u16,
    /// For TLS: 443 where that is free.
    pub https: u16,
    /// Whether they are the real ones, of a network of the test's own.
    pub own: bool,
}

/// Runs `test` in a network of its own if root runs it, and on high ports of this one otherwise.
///
/// `name` is the test's name as the harness knows it; `hosts` are names that lead to this machine in there.
#[track_caller]
pub fn in_own_network(name: &str, hosts: &str, test: impl FnOnce(Ports)) {
    if std::env::var_os(INSIDE).is_some() {
        return test(Ports { http: 80, https: 443, own: true });
    }
    if !rustix::process::geteuid().is_root() {
        return test(Ports { http: free_port(), https: free_port(), own: false });
    }
    let program = std::env::current_exe().expect("a test has an executable");
    let mut again = Command::new("setpriv");
    // It ends with us, however we end.
    again.args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "sh", "-c", ENTER, "sh", hosts]);
    again.arg(program).args([name, "--exact", "--include-ignored", "--nocapture"]);
    let said = run(again.env(INSIDE, "1").stdin(Stdio::null()));
    assert!(said.code == 0 && said.stdout.contains("1 passed"), "in a network of its own: {said}");
}
