//! An operation that is stopped on the way: how it is done, and how to tell what came of it.

use std::ffi::OsString;
use std::process::Command;

use crate::{Output, Program, Sandbox, run};

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
}

/// Where the service listens for trusted clients, in a network of its own.
pub(super) const HTTPS: &str = "127.0.0.1:8443";

/// Runs the script.
const SCRIPT: &str = "\
umask 022
PKI=$1; export PKI
exec sh -c \"$2\"
";

/// Starts the service, waits for both of its listeners, runs the script, stops the service. What the
/// service said follows on standard error.
const SERVED: &str = "\
umask 022
PKI=$1; export PKI
ip link set lo up
\"$PKI\" serve > \"$HOME/log\" 2>&1 &
service=$!
tries=0
until [ -S \"$PKI_DIR/pki.socket\" ] && curl -sk -o /dev/null https://127.0.0.1:8443/; do
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

impl Operation {
    /// The arguments of `pki`; none if it takes more than one command.
    pub fn arguments(&self) -> &'static [&'static str] {
        match self.doing {
            Doing::Command(arguments) => arguments,
            Doing::Script(_) | Doing::Served(_) => &[],
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
                let own = ["--net", "sh", "-c", SERVED, "sh"].map(OsString::from);
                own.into_iter().chain([program, script.into()]).collect()
            }
        }
    }
}
