//! The files by which somebody is let in: `authenticated-certs/clients.pem` and those of `trusted-ca/`.

use time::OffsetDateTime;

use super::{Finding, Severity, finding, ok};
use crate::Pki;
use crate::http::problem::in_words;

/// What is wrong with any of them.
pub(super) fn files(pki: &Pki, now: OffsetDateTime) -> Vec<Finding> {
    const CLIENTS: &str =
        "it must belong to root or the service's user, be writable by nobody else, and be no link";
    const TRUSTED: &str = "what counted before still does; mend it, or take the file away";
    let clients = match pki.clients_problems(now) {
        Ok(problems) => problems,
        Err(error) => vec![in_words(&error)],
    };
    let clients = clients.iter().map(|why| finding(Severity::Warning, "clients-pem", why, CLIENTS));
    let trusted = pki.trusted_ca_problems();
    let trusted = trusted.iter().map(|(path, why)| {
        let message = format!("{} does not count: {why}", path.display());
        finding(Severity::Warning, "trusted-ca", message, TRUSTED)
    });
    let mut findings: Vec<Finding> = clients.chain(trusted).collect();
    if findings.is_empty() {
        findings.push(ok("admission", "no file by which somebody is let in is refused"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::{at, made};

    #[test]
    fn a_refused_clients_file_is_told_and_over_when_it_is_mended() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let told =
            || files(&pki, at(1)).iter().map(|found| found.message.clone()).collect::<Vec<_>>().join("; ");
        assert_eq!(files(&pki, at(1))[0].severity, Severity::Ok, "{}", told());
        pki.make_room_for_clients();
        let path = pki.layout().clients();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(told().contains("clients.pem does not count: "), "{}", told());
        assert_eq!(files(&pki, at(1))[0].severity, Severity::Warning);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(files(&pki, at(1))[0].severity, Severity::Ok, "{}", told());
        fs::write(&path, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").unwrap();
        assert!(told().contains("a block of clients.pem can't be read"), "{}", told());
    }
}
