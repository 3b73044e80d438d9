//! "Whatever is thrown at it: the answer says what and why, and nothing is written."
//!
//! The numbers C1 to C18 are those of the project's list of attacks on requests, names and files.

mod files;
mod keys;
mod names;
mod requests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tests::{Output, Sandbox};

/// What a refusal must not change: every file and how many certificates there are.
struct Before<'a> {
    sandbox: &'a Sandbox,
    work: BTreeMap<PathBuf, Vec<u8>>,
    issued: usize,
}

impl Before<'_> {
    fn of(sandbox: &Sandbox) -> Before<'_> {
        Before { sandbox, work: work(sandbox), issued: issued(sandbox) }
    }

    /// The command was refused as wrong (exit code 2), for one of `reasons`, and changed nothing.
    #[track_caller]
    fn refused(&self, output: Output, reasons: &[&str]) {
        self.refused_with(2, output, reasons);
    }

    #[track_caller]
    fn refused_with(&self, code: i32, output: Output, reasons: &[&str]) {
        assert_eq!(output.code, code, "{output}");
        assert_eq!(output.stdout, "", "{output}");
        assert!(output.stderr.len() < 4_096, "{} octets of talk", output.stderr.len());
        let said = output.stderr.to_lowercase();
        assert!(
            reasons.iter().any(|reason| said.contains(&reason.to_lowercase())),
            "none of {reasons:?} is the reason given by {output}"
        );
        // What is echoed cannot move the cursor or change the text's direction.
        let tame = |c: char| {
            c == '\n'
                || !(c.is_control()
                    || "\u{200b}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}".contains(c))
        };
        assert!(output.stderr.chars().all(tame), "{:?}", output.stderr);
        assert!(self.work == work(self.sandbox), "files changed: {output}");
        assert_eq!(self.issued, issued(self.sandbox), "a certificate was issued: {output}");
    }
}

fn work(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    sandbox.contents().into_iter().filter(|(path, _)| path.starts_with(sandbox.work())).collect()
}

fn issued(sandbox: &Sandbox) -> usize {
    sandbox.pki(["list", "--json"]).success().json().as_array().unwrap().len()
}

/// Makes a CSR with OpenSSL: `key` are the words that say which key, `more` what else.
fn request(sandbox: &Sandbox, name: &str, key: &[&str], more: &[&str]) -> String {
    let (file, subject, private) = (format!("{name}.csr"), format!("/CN={name}"), format!("{name}.key"));
    let mut words = vec!["req", "-new", "-nodes", "-subj", &subject, "-keyout", &private, "-out", &file];
    words.extend(key);
    words.extend(more);
    tests::openssl(sandbox, words).success();
    file
}

const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
