use std::collections::BTreeSet;

use trust::Presented;

use super::*;
use crate::ops::issue::{Issue, ProfileName};
use crate::ops::revoke::Revoke;
use crate::ops::view::Selector;
use crate::testing::{at, made, request};

fn read(pki: &Pki) -> String {
    pki.run(Metrics {}, &Presented::InProcess, at(60)).unwrap().text
}

/// The sum over all labels that hold this.
fn sum(text: &str, name: &str, label: &str) -> f64 {
    let of_it = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
    });
    of_it.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn what_happened_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let before = read(&pki);
    for (name, days) in [("soon", 5), ("later", 20), ("much-later", 300)] {
        let issue = Issue { days: Some(days), ..request(ProfileName::Client, name) };
        pki.run(issue, &Presented::InProcess, at(1)).unwrap();
    }
    let selectors = vec![Selector::Word("later".to_owned())];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    pki.run(revoke, &Presented::InProcess, at(2)).unwrap();
    let after = read(&pki);
    let grown = |name, label| sum(&after, name, label) - sum(&before, name, label);
    assert_eq!(grown("pki_certificates_issued_total", ""), 3.0);
    assert_eq!(grown("pki_certificates_expiring", "within=\"7d\""), 1.0);
    assert_eq!(grown("pki_certificates_expiring", "within=\"30d\""), 2.0);
    assert_eq!(grown("pki_certificates_revoked", ""), 1.0);
    assert_eq!(grown("pki_crl_entries", ""), 1.0);
    assert!(grown("pki_crl_size_bytes", "") > 0.0);
    assert!(grown("pki_commit_batches_total", "") >= 4.0, "{after}");
    assert!(grown("pki_commit_duration_seconds_count", "") >= 4.0);
    assert_eq!(
        sum(&after, "pki_commit_duration_seconds_bucket", "le=\"+Inf\""),
        sum(&after, "pki_commit_duration_seconds_count", "")
    );
    let current = ca::authority::Current::load(pki.store()).unwrap();
    let issuer = format!("issuer=\"{}\"", current.issuing.record.key_id);
    assert_eq!(sum(&after, "pki_crl_age_seconds", &issuer), 58.0);
    assert_eq!(sum(&after, "pki_listener_state", "listener=\"https\",state=\"off\""), 1.0);
}

#[test]
fn every_family_is_explained_once_and_every_sample_belongs_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let text = read(&pki);
    let mut families = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(rest.split(' ').next().unwrap()), "{line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(families.contains(name) || base.is_some_and(|base| families.contains(base)), "{line}");
        }
    }
    assert_eq!(text.matches("# HELP ").count(), families.len());
    assert!(families.len() >= 20, "only {}", families.len());
}
