//! "It runs for years, and one day the disk is full, the clock is wrong, or there are too many of us."
//!
//! What befalls a service that runs: its disk (`disks`), its clock (`clocks`), its limits (`limits`, `scarcity`), being
//! stopped (`stopping`) and being put back from an old copy (`put_back`). The table of which test shows what
//! is in `docs/faults.md`.

mod clocks;
mod disks;
mod limits;
mod put_back;
mod scarcity;
mod stopping;

use std::path::PathBuf;

use ca::cert::CommonName;
use ca::key::{KeyType, PrivateKey, make_csr};
use server::ops::issue::{Issue, ProfileName};
use tests::{Output, Program, Sandbox};

/// A PKI with a valid `bob` and a revoked `mallory`.
#[track_caller]
fn populated() -> Sandbox {
    let sandbox = Sandbox::of(Program::UnderTest);
    populate(&sandbox);
    sandbox
}

#[track_caller]
fn populate(sandbox: &Sandbox) {
    sandbox.pki(["init", "--name", "Example", "--key-type", "p256"]).success();
    issue(sandbox, "bob").success();
    issue(sandbox, "mallory").success();
    sandbox.pki(["revoke", "mallory"]).success();
}

fn issue(sandbox: &Sandbox, name: &str) -> Output {
    sandbox.pki(["issue-client", name, "--key-type", "p256"])
}

/// Failed with this cause, and in no other way.
#[track_caller]
fn fails_because(output: &Output, cause: &str) {
    assert!(output.code != 0 && output.code <= 9, "{output}");
    assert!(output.stderr.contains(cause) && !output.stderr.contains("panicked"), "{output}");
}

fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.dir().join("pki.socket")
}

/// A request for a client's certificate, of the same key for every name.
struct Orders(String);

impl Orders {
    fn new() -> Orders {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let name: CommonName = "orders".parse().unwrap();
        Orders(make_csr(&key, &name, &[]).unwrap())
    }

    fn of(&self, name: &str) -> Issue {
        Issue {
            profile: ProfileName::Client,
            csr: self.0.clone(),
            name: Some(name.to_owned()),
            names: Vec::new(),
            days: None,
            dry_run: false,
            project: None,
        }
    }
}
