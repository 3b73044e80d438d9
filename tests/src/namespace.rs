//! A network of its own: loopback and nothing else, so that nobody is asked but who is meant.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::run;

/// A network namespace, gone when it is dropped. Takes root.
pub struct Network(String);

impl Network {
    /// A new one.
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "it is no value, but something that is made")]
    pub fn new() -> Network {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pki-tests-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name])).success();
        let network = Network(name);
        run(Command::new("ip").args(["-n", &network.0, "link", "set", "lo", "up"])).success();
        network
    }

    /// What `ip netns` calls it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A command that runs `program` in it. `ip netns exec` becomes the program: signals reach it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}
