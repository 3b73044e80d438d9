//! Lists as others read them: x509-parser at every step, OpenSSL now and then.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use x509_parser::prelude::{FromDer, ParsedExtension, parse_x509_pem};
use x509_parser::revocation_list::CertificateRevocationList;

use super::model::{Reason, Revocation};

/// A list, read by somebody else's parser.
#[derive(Debug)]
pub struct List {
    pub number: u128,
    pub this_update: i64,
    pub next_update: i64,
    /// By serial, lower-case hex.
    pub entries: BTreeMap<String, Revocation>,
}

/// Reads a list, DER, and checks it against the key of the authority, PEM.
pub fn read(der: &[u8], authority: &str) -> Result<List, String> {
    let (rest, list) = CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("something follows the list".to_owned());
    }
    let (_, pem) = parse_x509_pem(authority.as_bytes()).map_err(|error| error.to_string())?;
    let authority = pem.parse_x509().map_err(|error| error.to_string())?;
    list.verify_signature(authority.public_key()).map_err(|error| error.to_string())?;
    if list.issuer() != authority.subject() {
        return Err(format!("{} made the list of {}", list.issuer(), authority.subject()));
    }
    let number = list.crl_number().ok_or("a list without a number")?;
    let mut entries = BTreeMap::new();
    for entry in list.iter_revoked_certificates() {
        let reason = entry.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::ReasonCode(code) => Some(code.0),
            _ => None,
        });
        let reason = match reason {
            None => Reason::Unspecified,
            Some(1) => Reason::KeyCompromise,
            Some(4) => Reason::Superseded,
            Some(6) => Reason::Hold,
            Some(other) => return Err(format!("reason {other}, for which nothing was revoked")),
        };
        let serial = format!("{:x}", entry.serial());
        let revocation = Revocation { at: entry.revocation_date.timestamp(), reason };
        if entries.insert(serial.clone(), revocation).is_some() {
            return Err(format!("{serial} stands there twice"));
        }
    }
    Ok(List {
        number: number.to_string().parse().map_err(|_large| format!("the number {number}"))?,
        this_update: list.last_update().timestamp(),
        next_update: list.next_update().ok_or("a list without nextUpdate")?.timestamp(),
        entries,
    })
}

/// When a list in a file, PEM, begins to count.
pub fn begins(path: &Path) -> Result<i64, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (_, pem) = parse_x509_pem(&text).map_err(|error| error.to_string())?;
    let (_, list) = CertificateRevocationList::from_der(&pem.contents).map_err(|error| error.to_string())?;
    Ok(list.last_update().timestamp())
}

/// What OpenSSL finds in a list that it can verify: serials, lower-case hex, sorted.
pub fn openssl_serials(list: &Path, authority: &Path) -> Result<Vec<String>, String> {
    let mut command = Command::new("openssl");
    command.args(["crl", "-inform", "DER", "-noout", "-text", "-in"]).arg(list);
    let output = tests::run(command.arg("-CAfile").arg(authority).arg("-verify"));
    if output.code != 0 || !output.says("verify OK") {
        return Err(output.to_string());
    }
    let serials = output.stdout.lines().filter_map(|line| line.trim().strip_prefix("Serial Number: "));
    let mut serials: Vec<String> =
        serials.map(|serial| serial.to_lowercase().trim_start_matches('0').to_owned()).collect();
    serials.sort();
    Ok(serials)
}

/// Whether OpenSSL accepts the certificate in `leaf` at this time, by the published lists.
pub fn openssl_accepts(directory: &Path, issuing: &Path, leaf: &Path, now: i64) -> bool {
    let mut command = Command::new("openssl");
    command.args(["verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", "-attime"]);
    command.arg(now.to_string()).arg("-CRLfile").arg(directory.join("chain.crl"));
    command.arg("-CAfile").arg(directory.join("root.crt")).arg("-untrusted").arg(issuing).arg(leaf);
    tests::run(&mut command).code == 0
}
