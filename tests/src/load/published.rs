//! The files that others read, judged as they lie: no reader waits until a service has been restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use x509_cert::crl::CertificateList;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::CrlNumber;

use crate::{Sandbox, openssl};

/// One published list.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// Every file it was found in.
    pub(super) files: Vec<String>,
    /// Who signed it.
    pub(super) issuer: String,
    /// Its number.
    pub(super) number: u128,
    /// Serials, lower-case hex.
    pub(super) serials: BTreeSet<String>,
    /// What is signed.
    tbs: Vec<u8>,
}

/// Judges published lists, and remembers those it has seen: OpenSSL is asked once about each.
#[derive(Debug, Default)]
pub(super) struct Judge {
    good: BTreeMap<Vec<u8>, List>,
    /// What the list with each number of an issuer says.
    numbered: BTreeMap<(String, u128), Vec<u8>>,
}

impl Judge {
    /// Everything published below the directory: whole files, of which OpenSSL accepts every list; no
    /// number of an issuer is on two lists, and each place of a list never goes back.
    pub(super) fn look(&mut self, sandbox: &Sandbox) -> Result<Vec<List>, String> {
        let mut seen: BTreeMap<Vec<u8>, List> = BTreeMap::new();
        for (name, der) in lists(&sandbox.dir())? {
            let list = self.judge(sandbox, &der).map_err(|cause| format!("{name}: {cause}"))?;
            seen.entry(der).or_insert(list).files.push(name);
        }
        Ok(seen.into_values().collect())
    }

    /// One list that a reader got.
    pub(super) fn judge(&mut self, sandbox: &Sandbox, der: &[u8]) -> Result<List, String> {
        if let Some(list) = self.good.get(der) {
            return Ok(list.clone());
        }
        let list = read(der)?;
        let file = sandbox.root().join("judged.crl");
        std::fs::write(&file, der).map_err(|error| error.to_string())?;
        let (file, authorities) = (text(&file), text(&sandbox.dir().join("chain.crt")));
        let words = ["crl", "-noout", "-inform", "DER", "-CAfile", &authorities, "-verify", "-in", &file];
        let verdict = openssl(sandbox, words);
        if verdict.code != 0 || !verdict.says("verify OK") {
            return Err(format!("OpenSSL refuses it: {verdict}"));
        }
        let key = (list.issuer.clone(), list.number);
        if self.numbered.insert(key, list.tbs.clone()).is_some_and(|before| before != list.tbs) {
            return Err(format!("the number {} is on two lists of {}", list.number, list.issuer));
        }
        self.good.insert(der.to_vec(), list.clone());
        Ok(list)
    }

    /// How many different lists were judged.
    pub(super) fn judged(&self) -> usize {
        self.good.len()
    }
}

fn read(der: &[u8]) -> Result<List, String> {
    let parsed: CertificateList =
        CertificateList::from_der(der).map_err(|error| format!("it is no list: {error}"))?;
    let tbs = &parsed.tbs_cert_list;
    let mut extensions = tbs.crl_extensions.iter().flatten();
    let number = extensions
        .find(|extension| extension.extn_id == CrlNumber::OID)
        .and_then(|extension| CrlNumber::from_der(extension.extn_value.as_bytes()).ok())
        .ok_or("it has no number")?;
    let number = number.0.as_bytes().iter().fold(0_u128, |all, octet| all << 8 | u128::from(*octet));
    let revoked = tbs.revoked_certificates.iter().flatten();
    let serials = revoked.map(|one| hex::encode(one.serial_number.as_bytes())).collect();
    let to_der = |error: x509_cert::der::Error| error.to_string();
    let issuer = hex::encode(tbs.issuer.to_der().map_err(to_der)?);
    Ok(List { files: Vec::new(), issuer, number, serials, tbs: tbs.to_der().map_err(to_der)? })
}

/// The lists in every published file, DER. A PEM file must hold whole blocks and nothing else.
fn lists(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut found = Vec::new();
    for name in ["ca.crl", "root.crl", "chain.crl"] {
        let content = std::fs::read_to_string(dir.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let (begin, end) = ("-----BEGIN X509 CRL-----\n", "-----END X509 CRL-----\n");
        for block in content.split_inclusive(end) {
            let inner = block.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
            let (_, der) = inner
                .and_then(|_inner| x509_cert::der::pem::decode_vec(block.as_bytes()).ok())
                .ok_or_else(|| format!("{name} is not whole:\n{content}"))?;
            found.push((name.to_owned(), der));
        }
    }
    let mut binary = vec![(dir.join("ca.crl.der"), "ca.crl.der".to_owned())];
    for entry in std::fs::read_dir(dir.join("cas")).map_err(|error| error.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".crl") {
            binary.push((entry.path(), format!("cas/{name}")));
        }
    }
    for (path, name) in binary {
        let der = std::fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
        found.push((name, der));
    }
    Ok(found)
}

/// Files under way, and places where a socket was about to be born.
pub(super) fn leftovers(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let mut folders = vec![sandbox.dir()];
    let mut left = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if name.starts_with(".pki-tmp-") || name.starts_with(".socket-") {
                left.push(path);
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    left
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
