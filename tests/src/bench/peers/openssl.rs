//! `openssl ca`: signs one request a process, its records are a text file that it reads whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{program, whole_process};
use crate::bench::limits::Curve;
use crate::bench::measure::Samples;
use crate::bench::row::{Row, Unit};
use crate::bench::run::Bench;
use crate::bench::site::{Site, requests_for};

/// The rows of index.txt that the measured figure of this peer is known for.
const ROWS: usize = 100_000;

const CONFIGURATION: &str = "\
[ca]
default_ca = this
[this]
database = index.txt
new_certs_dir = newcerts
serial = serial
certificate = ca.crt
private_key = ca.key
default_md = sha256
default_days = 365
unique_subject = no
policy = anything
x509_extensions = leaf
[anything]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = dn
x509_extensions = authority
[dn]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
";

/// A CA of OpenSSL's.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new(rows: usize) -> Authority {
        let folder = tempfile::Builder::new().prefix("pki-bench-openssl-").tempdir().expect("a folder");
        let authority = Authority { folder };
        std::fs::create_dir(authority.path().join("newcerts")).expect("a new folder");
        let mut index = String::new();
        // Serial numbers that `serial` never comes to.
        for row in 0..rows {
            let _ = writeln!(index, "V\t361121000000Z\t\t4{row:039X}\tunknown\t/CN=client-{row:07}");
        }
        for (name, text) in [("ca.cnf", CONFIGURATION), ("index.txt", &index), ("serial", "7000\n")] {
            std::fs::write(authority.path().join(name), text).expect("a writable folder");
        }
        let curve =
            ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key"];
        let mut root = authority.command("req");
        root.args(["-x509", "-subj", "/CN=Example", "-days", "3650", "-out", "ca.crt"]).args(curve);
        whole_process(&mut root);
        authority
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, word: &str) -> Command {
        let mut command = program("openssl", self.path());
        command.args([word, "-config", "ca.cnf"]);
        command
    }

    /// Milliseconds to sign a request.
    fn sign(&self, request: &Path) -> f64 {
        let mut command = self.command("ca");
        whole_process(command.args(["-batch", "-notext", "-out", "out.crt", "-in"]).arg(request))
    }
}

/// Requests in files.
fn requests(folder: &Path, count: usize) -> Vec<PathBuf> {
    let names = (0..count).map(|number| format!("signed-{number}")).collect();
    let written = requests_for(names, Curve::P256).into_iter().enumerate().map(|(number, request)| {
        let path = folder.join(format!("{number}.csr"));
        std::fs::write(&path, request.csr).expect("a writable folder");
        path
    });
    written.collect()
}

/// Both programs sign the same requests in turn.
fn side_by_side(authority: &Authority, site: &Site, count: usize) -> (Samples, Samples) {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for request in requests(authority.path(), count) {
        theirs.push(authority.sign(&request));
        let mut command =
            site.sandbox().command(["sign", "--profile", "client", "--out", "out.crt", "--force"]);
        ours.push(whole_process(command.arg(&request)));
    }
    (Samples::new(theirs), Samples::new(ours))
}

fn rows(theirs: (String, Samples), ours: (String, Samples)) -> Vec<Row> {
    let times = theirs.1.median() / ours.1.median();
    vec![
        Row::distribution(theirs.0, &theirs.1),
        Row::distribution(ours.0, &ours.1).with(format!("{} as fast", Unit::Times.show(times))),
    ]
}

/// New authorities of both.
pub fn fresh(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(100, 20, 2);
    let (authority, site) = (Authority::new(0), Site::fresh(Curve::P256));
    let (theirs, ours) = side_by_side(&authority, &site, count);
    rows(
        ("`openssl ca`, one CSR, new CA".to_owned(), theirs),
        ("`pki sign`, one CSR, new CA, without a service".to_owned(), ours),
    )
}

/// As many certificates on record with both, where the size is the one for it.
pub fn with_rows(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let size = site.loaded();
    let wanted = bench.scale().pick(ROWS, 10_000, 60);
    if size != wanted {
        return Vec::new();
    }
    let count = bench.scale().pick(20, 5, 1);
    let authority = Authority::new(size);
    let (theirs, ours) = side_by_side(&authority, site, count);
    rows(
        (format!("`openssl ca`, one CSR, {size} rows in index.txt"), theirs),
        (format!("`pki sign`, one CSR, {size} certificates, without a service"), ours),
    )
}
