//! A clock that can be set while a program runs, by libfaketime.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{Output, Sandbox, run, witness};

/// The clock of whoever runs with its environment.
pub struct Clock {
    file: PathBuf,
    library: String,
}

impl Clock {
    /// One that is right, until it is set.
    #[track_caller]
    pub fn new(sandbox: &Sandbox) -> Clock {
        // The wrapper knows where its library lies.
        let told = witness(sandbox, "faketime", ["-f", "+0d", "sh", "-c", "echo $LD_PRELOAD"]).success();
        let library = told.stdout.trim().to_owned();
        assert!(library.contains("faketime"), "{told}");
        let clock = Clock { file: sandbox.root().join("clock"), library };
        clock.set("+0");
        clock
    }

    /// Sets it, in faketime's words: `-3600` for an hour ago, `@2049-12-31 23:59:00` to go on from there.
    pub fn set(&self, to: &str) {
        // A reader finds the old words or the new ones.
        let beside = self.file.with_extension("new");
        fs::write(&beside, format!("{to}\n")).expect("a writable folder");
        fs::rename(&beside, &self.file).expect("a writable folder");
    }

    /// What makes a program see it. Waiting goes by the real time.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        let file = self.file.to_str().expect("a plain path");
        vec![
            ("LD_PRELOAD", self.library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
            ("TZ", "UTC"),
        ]
    }

    /// Runs `pki` under this clock.
    pub fn pki(&self, sandbox: &Sandbox, arguments: &[&str]) -> Output {
        self.under(&mut sandbox.command(arguments))
    }

    /// Runs a command under this clock.
    pub fn under(&self, command: &mut Command) -> Output {
        run(command.envs(self.environment()))
    }
}
