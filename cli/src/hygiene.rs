//! Keeps secrets inside the process: no core dumps, no tracing by other processes of the same user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps and attaching. Where the kernel refuses, the command still runs: these are
/// precautions, not promises.
pub fn keep_secrets_in() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
