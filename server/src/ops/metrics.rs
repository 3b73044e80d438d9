//! What there is to watch, in Prometheus' text format: `pki metrics`, `GET /1.0/metrics`.
//!
//! It costs as much as there are authorities, however many certificates they have issued: everything else is
//! counted as it happens. No name and no serial is in it, only key identifiers of authorities.

mod text;

use ca::authority;
use ca::cert::Certificate;
use ca::keyring::issuer_certificate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{Error, Operation};
use crate::Pki;
use crate::counters::Listener;
use crate::http::VERSION;
use crate::serve::ListenerState;
use text::{Kind, Text};

/// Reads the metrics.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Metrics {}

/// What there is to watch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MetricsText {
    /// Prometheus' text format, version 0.0.4.
    pub text: String,
}

impl Operation for Metrics {
    const NAME: &'static str = "metrics";
    const ACTION: Action = Action::Metrics;
    type Reply = MetricsText;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<MetricsText, Error> {
        let mut text = Text::default();
        text.family("pki_build_info", Kind::Gauge, "The version of this program.");
        text.sample("pki_build_info", &[("version", VERSION)], 1);
        certificates(&mut text, pki, now)?;
        authorities(&mut text, pki)?;
        lists(&mut text, pki, now)?;
        obtained(&mut text, pki, now)?;
        commits(&mut text, pki);
        peers(&mut text, pki);
        service(&mut text, pki);
        proxies(&mut text, pki);
        Ok(MetricsText { text: text.done() })
    }
}

/// How many days ahead an end is soon.
const SOON: [(u32, &str); 2] = [(7, "7d"), (30, "30d")];

fn certificates(text: &mut Text, pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let issuers: Vec<_> = authority::list(pki.store())?.iter().map(|record| record.key_id).collect();
    let issued = pki.tally().issued_by()?;
    let name = "pki_certificates_issued_total";
    text.family(name, Kind::Counter, "Certificates issued since the PKI was made.");
    for issuer in &issuers {
        let count = issued.get(issuer).copied().unwrap_or(0);
        text.sample(name, &[("issuer", &issuer.to_string())], count);
    }
    let name = "pki_certificates_revoked";
    text.family(name, Kind::Gauge, "Certificates revoked or held, expired ones included.");
    for issuer in &issuers {
        text.sample(name, &[("issuer", &issuer.to_string())], pki.revoked().count(issuer)?);
    }
    let name = "pki_certificates_expiring";
    let help = "Certificates that end today or within so many days (UTC), revoked ones included.";
    text.family(name, Kind::Gauge, help);
    for (days, within) in SOON {
        let soon = pki.tally().ending_within(days, now)?;
        for issuer in &issuers {
            let count = soon.get(issuer).copied().unwrap_or(0);
            text.sample(name, &[("issuer", &issuer.to_string()), ("within", within)], count);
        }
    }
    Ok(())
}

/// The certificates from ACME authorities. Every family is there, whatever there is: an alarm must not depend
/// on a first certificate.
fn obtained(text: &mut Text, pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let all = super::acme::list(pki)?;
    let state = |view: &super::acme::AcmeView| match (view.revoked, view.not_after, &view.last_error) {
        (true, _, _) => "revoked",
        (false, None, _) => "wanted",
        (false, Some(end), _) if end <= now => "ended",
        (false, Some(_), Some(_)) => "failing",
        (false, Some(_), None) => "valid",
    };
    let name = "pki_acme_certificates";
    text.family(name, Kind::Gauge, "Certificates from ACME authorities; wanted: not obtained yet.");
    for word in ["ended", "failing", "revoked", "valid", "wanted"] {
        let count = all.iter().filter(|view| state(view) == word).count();
        text.sample(name, &[("state", word)], count);
    }
    let name = "pki_acme_not_deployed";
    text.family(name, Kind::Gauge, "Those whose hook fails or that are not served yet, though placed.");
    let stuck = all.iter().filter(|view| !view.revoked && view.deploy_error.is_some()).count();
    text.sample(name, &[], stuck);
    let name = "pki_acme_earliest_end_timestamp_seconds";
    text.family(name, Kind::Gauge, "When the first of those that are not revoked ends, since 1970.");
    let ends = all.iter().filter(|view| !view.revoked).filter_map(|view| view.not_after);
    if let Some(end) = ends.min() {
        text.sample(name, &[], end.unix_timestamp());
    }
    Ok(())
}

fn authorities(text: &mut Text, pki: &Pki) -> Result<(), Error> {
    let name = "pki_authority_end_timestamp_seconds";
    text.family(name, Kind::Gauge, "The last second of an authority's certificate, since 1970.");
    for record in authority::list(pki.store())?.iter().filter(|record| record.certificate.is_some()) {
        let issuer = issuer_certificate(record).map_err(ca::Error::from)?;
        let end = Certificate::not_after(issuer.certificate()).unix_timestamp();
        let (key_id, role, state) = (record.key_id.to_string(), record.role.as_str(), record.state.as_str());
        text.sample(name, &[("issuer", &key_id), ("role", role), ("state", state)], end);
    }
    Ok(())
}

fn lists(text: &mut Text, pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let mut lists = Vec::new();
    for record in authority::list(pki.store())? {
        lists.extend(pki.publisher().list_of(&record.key_id)?);
    }
    type Value = fn(&crl::Published, OffsetDateTime) -> String;
    let families: [(&str, &str, Value); 5] = [
        ("pki_crl_age_seconds", "How long ago the newest list was made.", |list, now| {
            (now - list.this_update).whole_seconds().to_string()
        }),
        ("pki_crl_entries", "Certificates on the newest list.", |list, _| list.entries.to_string()),
        (
            "pki_crl_next_update_timestamp_seconds",
            "Until when the newest list counts, since 1970.",
            |list, _| list.next_update.unix_timestamp().to_string(),
        ),
        ("pki_crl_number", "The number of the newest list.", |list, _| list.number.to_string()),
        ("pki_crl_size_bytes", "The size of the newest list, DER.", |list, _| list.size.to_string()),
    ];
    for (name, help, value) in families {
        text.family(name, Kind::Gauge, help);
        for list in &lists {
            text.sample(name, &[("issuer", &list.issuer.to_string())], value(list, now));
        }
    }
    Ok(())
}

fn commits(text: &mut Text, pki: &Pki) {
    let measured = pki.store().measured();
    let name = "pki_commit_duration_seconds";
    text.family(name, Kind::Histogram, "How long the journal took to make one group of changes durable.");
    for (bound, count) in &measured.within {
        text.sample("pki_commit_duration_seconds_bucket", &[("le", &bound.as_secs_f64().to_string())], count);
    }
    text.sample("pki_commit_duration_seconds_bucket", &[("le", "+Inf")], measured.commits);
    text.sample("pki_commit_duration_seconds_sum", &[], measured.total.as_secs_f64());
    text.sample("pki_commit_duration_seconds_count", &[], measured.commits);
    text.family("pki_commit_batches_total", Kind::Counter, "Changes that were made durable, or refused.");
    text.sample("pki_commit_batches_total", &[], measured.batches);
    text.family("pki_commit_queue_batches", Kind::Gauge, "Changes that wait for the journal.");
    text.sample("pki_commit_queue_batches", &[], measured.waiting);
    text.family("pki_journal_entries_total", Kind::Counter, "Entries of the journal.");
    text.sample("pki_journal_entries_total", &[], pki.store().head().0);
}

fn peers(text: &mut Text, pki: &Pki) {
    let counters = pki.counters();
    let words = [
        ("pki_tls_handshakes_total", "result", "TLS handshakes by how they ended.", &counters.handshakes),
        ("pki_refusals_total", "reason", "Requests refused for who asked.", &counters.refusals),
    ];
    for (name, label, help, counts) in words {
        text.family(name, Kind::Counter, help);
        for (word, count) in counts.now() {
            text.sample(name, &[(label, word)], count);
        }
    }
    let name = "pki_http_requests_total";
    text.family(name, Kind::Counter, "Requests by listener, route and status.");
    for (listener, route, status, count) in counters.requests.now() {
        let status = status.to_string();
        let labels = [("listener", listener.as_str()), ("route", route), ("status", status.as_str())];
        text.sample(name, &labels, count);
    }
    text.family("pki_connections", Kind::Gauge, "Connections that are open.");
    for listener in Listener::ALL {
        let open = counters.open(listener).now();
        text.sample("pki_connections", &[("listener", listener.as_str())], open);
    }
}

fn service(text: &mut Text, pki: &Pki) {
    let name = "pki_listener_state";
    text.family(name, Kind::Gauge, "What has become of a listener: 1 for the state that it is in.");
    for (listener, state) in [(Listener::Https, pki.https_state()), (Listener::Public, pki.public_state())] {
        let now = match state {
            ListenerState::Failed { .. } => "failed",
            ListenerState::Listening(_) => "listening",
            ListenerState::Off => "off",
        };
        for state in ["failed", "listening", "off"] {
            let labels = [("listener", listener.as_str()), ("state", state)];
            text.sample(name, &labels, u8::from(state == now));
        }
    }
    text.family("pki_jobs_failing", Kind::Gauge, "Periodic jobs whose last run failed.");
    text.sample("pki_jobs_failing", &[], pki.job_failures().now().len());
}

fn proxies(text: &mut Text, pki: &Pki) {
    let last = pki.fleet().last();
    if last.is_empty() {
        return;
    }
    let name = "pki_haproxy_in_step";
    text.family(name, Kind::Gauge, "Whether a HAProxy had all that it should when it was last looked at.");
    for (instance, last) in &last {
        text.sample(name, &[("instance", instance.as_str())], u8::from(last.in_step_since.is_some()));
    }
    let name = "pki_haproxy_looked_at_timestamp_seconds";
    text.family(name, Kind::Gauge, "When a HAProxy was last looked at, since 1970.");
    for (instance, last) in &last {
        text.sample(name, &[("instance", instance.as_str())], last.at.unix_timestamp());
    }
    let name = "pki_haproxy_revoked_entries";
    text.family(name, Kind::Gauge, "Revoked certificates that a HAProxy is to refuse.");
    for (instance, last) in &last {
        text.sample(name, &[("instance", instance.as_str())], last.revoked);
    }
    let name = "pki_haproxy_reloads_total";
    text.family(name, Kind::Counter, "Reloads of a HAProxy by this process.");
    for instance in last.keys() {
        text.sample(name, &[("instance", instance.as_str())], pki.fleet().reloads(instance));
    }
}

#[cfg(test)]
mod tests;
