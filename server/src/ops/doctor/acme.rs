//! Certificates from ACME authorities: which fail to renew, which have ended, which were never obtained.

use time::OffsetDateTime;

use super::{Error, Finding, Severity, finding, ok, told};
use crate::Pki;
use crate::ops::acme::{AcmeView, Deployment, list};

/// What is wrong with any of them; nothing if there are none and none is wanted.
pub(super) fn certificates(pki: &Pki, now: OffsetDateTime) -> Result<Vec<Finding>, Error> {
    let all = list(pki)?;
    let wrong: Vec<Finding> = all.iter().filter_map(|view| judge(view, now)).collect();
    match (all.is_empty(), wrong.is_empty()) {
        (true, _) => Ok(Vec::new()),
        (false, true) => Ok(vec![ok("acme", "no certificate from an ACME authority fails")]),
        (false, false) => Ok(wrong),
    }
}

fn judge(view: &AcmeView, now: OffsetDateTime) -> Option<Finding> {
    let names = view.domains.join(", ");
    let next = view.renew_at.map_or_else(|| "not planned".to_owned(), told);
    let hint = "mend what it says, then `pki acme renew`; `pki acme list` shows the next attempt";
    let placeholder = || {
        let message = format!(
            "a placeholder lies in the place of the certificate for {names}: HAProxy starts with it, no client trusts it"
        );
        let first = view.domains.first().map_or("", String::as_str);
        let hint = format!("`pki acme issue {first}` obtains one, and HAProxy is told of it");
        (view.deployment == Some(Deployment::Placeholder))
            .then(|| finding(Severity::Warning, "acme", message, &hint))
    };
    let Some(end) = view.not_after.filter(|_| !view.revoked) else {
        let Some(error) = view.last_error.as_ref().filter(|_| !view.revoked) else { return placeholder() };
        let message = format!("there is no certificate for {names} yet; next attempt {next}: {error}");
        return Some(finding(Severity::Error, "acme", message, hint));
    };
    let why = view.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let lifetime = view.not_before.map_or(time::Duration::ZERO, |begin| end - begin);
    if end <= now {
        let message = format!("the certificate for {names} ended at {}{why}", told(end));
        return Some(finding(Severity::Error, "acme", message, hint));
    }
    // Two thirds of its life have passed when it is due: half of the rest is much to have lost.
    if end - now < lifetime / 6 {
        let message = format!("the certificate for {names} ends at {} and is not renewed{why}", told(end));
        return Some(finding(Severity::Error, "acme", message, hint));
    }
    if view.last_error.is_none()
        && let Some(found) = placeholder()
    {
        return Some(found);
    }
    if let (None, Some(error), Some(deployment)) = (&view.last_error, &view.deploy_error, view.deployment) {
        let message = format!("the new certificate for {names} is {}: {error}", deployment.name());
        let hint = "mend what it says; it is tried again by itself, and by `pki acme renew`";
        return Some(finding(Severity::Warning, "acme", message, hint));
    }
    let error = view.last_error.as_ref()?;
    let message = format!("renewing the certificate for {names} fails; next attempt {next}: {error}");
    Some(finding(Severity::Warning, "acme", message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(not_after: Option<i64>, failing: bool, revoked: bool) -> AcmeView {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        AcmeView {
            domains: vec!["a.example".to_owned()],
            ca_url: "https://ca.example/dir".to_owned(),
            serial: None,
            not_before: not_after.map(|_| at(0)),
            not_after: not_after.map(at),
            own: false,
            renew_at: Some(at(600)),
            files: Vec::new(),
            revoked,
            last_error: failing.then(|| "port 80 is shut".to_owned()),
            deployment: None,
            deploy_error: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_failure_is_a_warning_until_little_time_is_left() {
        let now = OffsetDateTime::from_unix_timestamp(500).unwrap();
        let severity = |view: &AcmeView| judge(view, now).map(|found| found.severity);
        assert_eq!(severity(&view(Some(900), false, false)), None);
        assert_eq!(severity(&view(Some(900), true, false)), Some(Severity::Warning));
        assert_eq!(severity(&view(Some(590), true, false)), Some(Severity::Error));
        assert_eq!(severity(&view(Some(590), false, false)), Some(Severity::Error));
        assert_eq!(severity(&view(Some(500), false, false)), Some(Severity::Error));
        assert_eq!(severity(&view(Some(500), true, true)), None);
        assert_eq!(severity(&view(None, true, false)), Some(Severity::Error));
        let mut stuck = view(Some(900), false, false);
        stuck.deployment = Some(Deployment::NotServed);
        stuck.deploy_error = Some("nobody answers".to_owned());
        assert_eq!(severity(&stuck), Some(Severity::Warning));
        let told = judge(&stuck, now).unwrap().message;
        assert!(told.contains("placed, not served yet: nobody answers"), "{told}");
        let told = judge(&view(None, true, false), now).unwrap().message;
        assert!(told.contains("a.example") && told.contains("port 80 is shut"), "{told}");
        let mut laid = view(None, false, false);
        assert_eq!(severity(&laid), None);
        laid.deployment = Some(Deployment::Placeholder);
        let found = judge(&laid, now).unwrap();
        assert!(found.severity == Severity::Warning && found.message.contains("placeholder"), "{found:?}");
    }
}
