//! Easy-RSA: a shell script around `openssl`, one certificate with its key a call.

use std::path::Path;
use std::process::Command;

use super::{program, whole_process};
use crate::bench::limits::Curve;
use crate::bench::measure::Samples;
use crate::bench::row::{Row, Unit};
use crate::bench::run::Bench;
use crate::bench::site::Site;

fn command(easyrsa: &Path, folder: &Path, words: &[&str]) -> Command {
    let mut command = program(easyrsa, folder);
    let pki = folder.join("pki");
    command.env("EASYRSA_PKI", pki).env("EASYRSA_BATCH", "1");
    command.env("EASYRSA_ALGO", "ec").env("EASYRSA_CURVE", "prime256v1").args(words);
    command
}

/// A client's certificate with its key, by one command of each.
pub fn issuing(bench: &mut Bench) -> Vec<Row> {
    let work = "easy-rsa `build-client-full`, key and certificate, new CA";
    let easyrsa = match &bench.options().easyrsa {
        Ok(easyrsa) => easyrsa.clone(),
        Err(cause) => return vec![Row::absent(work, cause)],
    };
    let folder = tempfile::Builder::new().prefix("pki-bench-easyrsa-").tempdir().expect("a folder");
    whole_process(&mut command(&easyrsa, folder.path(), &["init-pki"]));
    whole_process(command(&easyrsa, folder.path(), &["build-ca", "nopass"]).env("EASYRSA_REQ_CN", "Example"));
    let site = Site::fresh(Curve::P256);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for number in 0..bench.scale().pick(20, 5, 1) {
        let name = format!("client-{number}");
        let words = ["build-client-full", &name, "nopass"];
        theirs.push(whole_process(&mut command(&easyrsa, folder.path(), &words)));
        ours.push(whole_process(&mut site.sandbox().command(["issue-client", &name, "--key-type", "p256"])));
    }
    let (theirs, ours) = (Samples::new(theirs), Samples::new(ours));
    let times = theirs.median() / ours.median();
    vec![
        Row::distribution(work, &theirs),
        Row::distribution("`pki issue-client`, key and certificate, new CA, without a service", &ours)
            .with(format!("{} as fast", Unit::Times.show(times))),
    ]
}
