//! An operation that is stopped on the way: how it is done, and how to tell what came of it.

use std::ffi::OsString;
use std::process::Command;

use crate::{Output, Pebble, Program, Sandbox, run};

/// An operation, and how to tell what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What it is called.
    pub name: &'static str,
    /// Makes the directory it starts from.
    pub prepare: fn(&Sandbox),
    /// What is done.
    pub doing: Doing,
    /// Words on standard output that acknowledge it, whatever the exit code says afterwards.
    pub answer: Option<&'static str>,
    /// Exit code of the same once more when it had been finished; 0 is always right.
    pub finished_says: Option<i32>,
    /// Whether what it acknowledges is there: all of it, nothing of it, or (an error) a half.
    pub stored: fn(&Sandbox) -> Result<bool, String>,
    /// What must hold once it ended well. It may try things out, but never twice the same way.
    pub finished: fn(&Sandbox) -> Result<(), String>,
}

/// How an operation is done.
#[derive(Clone, Copy, Debug)]
pub enum Doing {
    /// By `pki` with these arguments, in the folder commands run in. No service runs.
    Command(&'static [&'static str]),
    /// By this shell script, in the folder commands run in. No service runs. `$PKI` is the program.
    Script(&'static str),
    /// By this shell script, while a service runs that is started before and stopped afterwards, in a
    /// network of its own. `$PKI` is the program; HTTPS is at port 8443.
    Served(&'static str),
    /// By a shell script, while a service runs that is started before and stopped afterwards, and an authority
    /// of its own that outlives it, and every further run of the same sandbox.
    Ordered {
        /// What is done once, before anything is struck and without a service.
        before: &'static str,
        /// What is done. `$PKI` is the program; `authority` has the URL of the directory, `authority.pem` its
        /// root, `challenge` the address where HTTP-01 is answered, `authority.log` what it says.
        script: &'static str,
    },
}

/// Where the service listens for trusted clients, in a network of its own.
pub(super) const HTTPS: &str = "127.0.0.1:8443";

/// Runs the script.
const SCRIPT: &str = "\
umask 022
PKI=$1; export PKI
exec sh -c \"$2\"
";

/// Starts the service, waits until it is there, runs the script, stops the service. What the service said follows
/// on standard error. What comes before, and how it is seen that it is there, are the third and fourth word.
const SERVICE: &str = "\
umask 022
PKI=$1; export PKI
eval \"$3\"
\"$PKI\" serve > \"$HOME/log\" 2>&1 &
service=$!
tries=0
until eval \"$4\"; do
  tries=$((tries + 1))
  { [ $tries -lt 600 ] && kill -0 $service; } || { cat \"$HOME/log\" >&2; exit 1; }
  sleep 0.05
done
sh -c \"$2\"; code=$?
kill -TERM $service
wait $service
cat \"$HOME/log\" >&2
exit $code
";

/// What comes before, and what is there, of a service in a network of its own: both of its listeners.
const SERVED: [&str; 2] =
    ["ip link set lo up", "[ -S \"$PKI_DIR/pki.socket\" ] && curl -sk -o /dev/null https://127.0.0.1:8443/"];
/// Of one in the network of its authority: its socket. What it says may find no room.
const ORDERED: [&str; 2] = [
    ":",
    "[ -S \"$PKI_DIR/pki.socket\" ] && curl -s -o /dev/null --unix-socket \"$PKI_DIR/pki.socket\" http://pki/1.0",
];

impl Operation {
    /// The arguments of `pki`; none if it takes more than one command.
    pub fn arguments(&self) -> &'static [&'static str] {
        match self.doing {
            Doing::Command(arguments) => arguments,
            Doing::Script(_) | Doing::Served(_) | Doing::Ordered { .. } => &[],
        }
    }

    /// Does it to its end.
    pub fn run(&self, sandbox: &Sandbox) -> Output {
        run(&mut self.under(sandbox, Command::new("env")))
    }

    /// What does it, under another program, given as far as the words of ours. It happens in a process
    /// namespace of its own: what bears the number of a process has the same name each time, and nothing
    /// outlives it.
    pub(super) fn under(&self, sandbox: &Sandbox, mut outer: Command) -> Command {
        if let Doing::Ordered { before, .. } = self.doing {
            attend(sandbox, before);
        }
        sandbox.surround(&mut outer);
        outer.args(["unshare", "--pid", "--fork", "--kill-child"]).args(self.words());
        outer
    }

    fn words(&self) -> Vec<OsString> {
        let program = Program::UnderTest.path().into_os_string();
        match self.doing {
            Doing::Command(arguments) => {
                std::iter::once(program).chain(arguments.iter().map(OsString::from)).collect()
            }
            Doing::Script(script) => {
                let own = ["sh", "-c", SCRIPT, "sh"].map(OsString::from);
                own.into_iter().chain([program, script.into()]).collect()
            }
            Doing::Served(script) => {
                let network = std::iter::once(OsString::from("--net"));
                network.chain(around(program, script, SERVED)).collect()
            }
            Doing::Ordered { script, .. } => around(program, script, ORDERED).collect(),
        }
    }
}

/// The words of a script that a service is started for.
fn around(program: OsString, script: &str, words: [&str; 2]) -> impl Iterator<Item = OsString> {
    let own = ["sh", "-c", SERVICE, "sh"].map(OsString::from);
    own.into_iter().chain([program, script.into()]).chain(words.map(OsString::from))
}

/// Starts the authority of a sandbox, unless it has one, and does once what is to be done before.
fn attend(sandbox: &Sandbox, before: &str) {
    if sandbox.file("authority").exists() {
        return;
    }
    let pebble = Pebble::start();
    sandbox.write("authority", pebble.directory());
    sandbox.write("challenge", pebble.http_address());
    std::fs::copy(pebble.root(), sandbox.file("authority.pem")).expect("a writable folder");
    std::os::unix::fs::symlink(pebble.log_file(), sandbox.file("authority.log")).expect("a new name");
    sandbox.keep(pebble);
    let mut shell = Command::new("sh");
    sandbox.surround(&mut shell);
    run(shell.args(["-ec", before]).env("PKI", Program::UnderTest.path())).success();
}
