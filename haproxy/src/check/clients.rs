//! What concerns client certificates.

use std::collections::BTreeSet;

use ca::cert::Certificate;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::CertificateList;
use x509_cert::der::{DecodePem, Encode};
use x509_cert::time::Time;

use super::read::{Document, Line, Mode, Section};
use super::{Fault, Findings, Surroundings};

pub(super) fn check(document: &Document, around: &Surroundings<'_>, findings: &mut Findings) {
    for front in document.fronts() {
        for bind in front.binds().filter(|bind| bind.has("ssl")) {
            let asked = asked(bind, around);
            if asked.is_empty() {
                continue;
            }
            resumption(document, bind, findings);
            for policy in &asked {
                lists(bind.number, policy, around, findings);
            }
            rules(front, bind, &asked, findings);
        }
        forged(front, findings);
    }
}

/// How the clients of some certificate are verified.
struct Asked {
    ca: Option<String>,
    crl: Option<String>,
    /// Whether it stands in a list of certificates, by name.
    by_name: bool,
}

fn asked(bind: &Line, around: &Surroundings<'_>) -> Vec<Asked> {
    let policy = |line: &Line, by_name| {
        let verify = line.after("verify").is_some_and(|how| how != "none");
        let file = |word| line.after(word).map(str::to_owned);
        verify.then(|| Asked { ca: file("ca-file"), crl: file("crl-file"), by_name })
    };
    let mut all: Vec<Asked> = policy(bind, false).into_iter().collect();
    let list = bind.after("crt-list").and_then(|path| (around.file)(path));
    let text = list.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    for (index, text) in text.lines().enumerate() {
        let words = text.replace(['[', ']'], " ").split_whitespace().map(str::to_owned).collect();
        all.extend(policy(&Line { number: index + 1, words }, true));
    }
    // The same files under many names are one policy.
    let mut seen = BTreeSet::new();
    all.retain(|one| seen.insert((one.ca.clone(), one.crl.clone(), one.by_name)));
    all
}

fn resumption(document: &Document, bind: &Line, findings: &mut Findings) {
    let cache = document.global().any(|line| line.begins(&["tune.ssl.cachesize", "0"]));
    let tickets = bind.has("no-tls-tickets")
        || document
            .global()
            .any(|line| line.begins(&["ssl-default-bind-options"]) && line.has("no-tls-tickets"));
    let missing = match (cache, tickets) {
        (true, true) => return,
        (true, false) => "tickets are",
        (false, true) => "the session cache is",
        (false, false) => "the session cache and tickets are",
    };
    let found = format!(
        "{missing} on: a client revoked after its first connection resumes it, and no list is looked at"
    );
    findings.add(bind.number, Fault::Resumption, found);
}

fn lists(number: usize, policy: &Asked, around: &Surroundings<'_>, findings: &mut Findings) {
    let Some(path) = &policy.crl else {
        findings.add(number, Fault::NoList, "client certificates are verified without a crl-file");
        return;
    };
    let Some(lists) = (around.file)(path).and_then(|text| read_lists(&text)) else {
        findings.add(number, Fault::ListRunOut, format!("the lists in {path} can't be read"));
        return;
    };
    if lists.iter().any(|list| list.until.is_some_and(|until| until <= around.now)) {
        let found = format!("a list in {path} has run out: every client under it is refused (verify=12)");
        findings.add(number, Fault::ListRunOut, found);
    }
    let authorities = policy.ca.as_ref().and_then(|path| (around.file)(path));
    let authorities = authorities.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let authorities =
        blocks(&authorities, "CERTIFICATE").filter_map(|pem| Certificate::from_pem(pem.as_bytes()).ok());
    for ca in authorities {
        if !lists.iter().any(|list| list.issuer == ca.subject_raw()) {
            let found = format!(
                "{path} has no list of {}: every client under it is refused (verify=3)",
                ca.subject_display()
            );
            findings.add(number, Fault::ListMissing, found);
        }
    }
}

/// Whose a list is, and until when it counts.
struct List {
    issuer: Vec<u8>,
    until: Option<i64>,
}

/// The PEM blocks of this kind; a file may hold others beside them.
fn blocks<'a>(text: &'a str, label: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = rest.find(&begin)?;
        let to = from + rest[from..].find(&end)? + end.len();
        let (block, behind) = (&rest[from..to], &rest[to..]);
        rest = behind;
        Some(block)
    })
}

/// `None` if there is none, or one can't be read.
fn read_lists(text: &[u8]) -> Option<Vec<List>> {
    let read = |pem: &str| {
        let list = CertificateList::<Rfc5280>::from_pem(pem).ok()?.tbs_cert_list;
        let seconds = |time: Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
        Some(List { issuer: list.issuer.to_der().ok()?, until: list.next_update.and_then(seconds) })
    };
    let lists = blocks(std::str::from_utf8(text).ok()?, "X509 CRL").map(read).collect::<Option<Vec<_>>>()?;
    (!lists.is_empty()).then_some(lists)
}

fn rules(front: &Section, bind: &Line, asked: &[Asked], findings: &mut Findings) {
    let refuses = |line: &Line| {
        let refusal = ["deny", "return", "reject", "silent-drop", "tarpit"];
        line.words.get(1).is_some_and(|word| refusal.contains(&word.as_str()))
            || line.words.get(2).is_some_and(|word| refusal.contains(&word.as_str()))
    };
    let ignores = bind.has("crt-ignore-err") || bind.has("ca-ignore-err");
    if ignores && !front.lines.iter().any(|line| refuses(line) && line.mentions("ssl_c_verify")) {
        let found = "the errors of client certificates are ignored, and no rule looks at ssl_c_verify: revoked, expired and foreign ones are let in";
        findings.add(bind.number, Fault::BadLetIn, found);
    }
    if front.mode() == Mode::Tcp {
        return;
    }
    if !front.mentions("ssl_c_serial") {
        let found = "no rule looks a request's certificate up in a map: a revocation is in force on new handshakes after a reload, and never on open connections";
        findings.add(bind.number, Fault::RevokedLate, found);
    }
    if asked.iter().any(|one| one.by_name) && !front.mentions("ssl_fc_sni") {
        let found = "clients are verified by the name of the handshake, requests are served by their Host, and nothing compares the two";
        findings.add(bind.number, Fault::OtherHost, found);
    }
}

/// Headers that are only sometimes set, and so otherwise are what the client sent.
fn forged(front: &Section, findings: &mut Findings) {
    let deletes = front.beginning(&["http-request", "del-header"]).next().is_some();
    for line in front.beginning(&["http-request", "set-header"]) {
        if line.mentions("ssl_c_") && (line.has("if") || line.has("unless")) && !deletes {
            let name = line.words.get(2).map(String::as_str).unwrap_or_default();
            let found =
                format!("{name} is set for clients with a certificate; without one they send it themselves");
            findings.add(line.number, Fault::Forged, found);
        }
    }
}
