//! The HAProxys before us.

use std::collections::BTreeMap;

use super::{Finding, Severity, finding, ok, told};
use crate::Pki;
use crate::fleet;
use crate::ops::Error;

/// Whether every instance is in step. Only a running service knows.
pub(super) fn all(pki: &Pki) -> Result<Vec<Finding>, Error> {
    let settings = pki.settings()?;
    let instances = fleet::instances(&settings)?;
    let last: BTreeMap<_, _> = pki.fleet().last();
    let mut findings = Vec::new();
    for instance in instances {
        let name = instance.to_string();
        let Some(last) = last.get(&name) else {
            findings.push(match pki.is_service() {
                true => finding(Severity::Warning, "haproxy", format!("{name} was not looked at yet"), ""),
                false => finding(
                    Severity::Note,
                    "haproxy",
                    format!("no service runs here that keeps {name} in step"),
                    "pki serve; `pki haproxy status` looks now",
                ),
            });
            continue;
        };
        findings.extend(last.failures.iter().map(|(step, causes)| {
            finding(
                Severity::Error,
                "haproxy",
                format!("{name}: {step} failed at {}: {}", told(last.at), causes.join(": ")),
                "it is tried again by itself; `pki haproxy status` shows what it has",
            )
        }));
        findings.extend(last.absent.iter().map(|file| {
            finding(
                Severity::Warning,
                "haproxy",
                format!("{name}: {file} is not there, HAProxy can't be started with it"),
                "`pki acme issue` obtains it, or change haproxy.domains",
            )
        }));
        if let Some(since) = last.in_step_since {
            findings.push(ok(
                "haproxy",
                format!(
                    "{name} is in step since {}, {} revoked certificates are refused",
                    told(since),
                    last.revoked
                ),
            ));
        }
    }
    Ok(findings)
}
