//! What an entry of the journal is as an event of LXD's.
//!
//! Only what stands in the table below is told, by the words of the entry, which hold no secret.

use serde_json::{Value, json};
use store::Entry;
use time::OffsetDateTime;

use crate::http::lxd::operations::moment;

/// LXD's types of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Something was made, changed or removed.
    Lifecycle,
    /// Somebody was refused.
    Logging,
    /// A token waits, or waits no more.
    Operation,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Kind; 3] = [Kind::Lifecycle, Kind::Logging, Kind::Operation];

    fn word(self) -> &'static str {
        match self {
            Kind::Lifecycle => "lifecycle",
            Kind::Logging => "logging",
            Kind::Operation => "operation",
        }
    }

    /// The one that is called so.
    pub(super) fn named(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) kind: Kind,
    at: OffsetDateTime,
    metadata: Value,
}

impl Event {
    /// As it is sent.
    pub(super) fn text(&self) -> String {
        json!({
            "type": self.kind.word(),
            "timestamp": moment(self.at),
            "metadata": self.metadata,
            "location": "none",
            "project": "default",
        })
        .to_string()
    }
}

/// How an entry begins, and what LXD calls that, or what we do where LXD has none.
const ACTIONS: [(&str, &str); 25] = [
    ("ca revoke ", "authority-revoked"),
    ("ca rotate ", "authority-rotated"),
    ("group create ", "auth-group-created"),
    ("group edit ", "auth-group-updated"),
    ("group remove ", "auth-group-deleted"),
    ("issue ", "certificate-issued"),
    ("person allow ", "identity-allowed"),
    ("person deny ", "identity-denied"),
    ("project create ", "project-created"),
    ("project edit ", "project-updated"),
    ("project remove ", "project-deleted"),
    ("publish crl ", "revocation-list-published"),
    ("release ", "certificate-released"),
    ("renew ", "certificate-renewed"),
    ("revoke ", "certificate-revoked"),
    ("set ", "config-updated"),
    ("token create ", "certificate-token-created"),
    ("token redeem ", "certificate-created"),
    ("token revoke ", "certificate-token-deleted"),
    ("trust add ", "certificate-created"),
    ("trust ca add ", "authority-imported"),
    ("trust ca remove ", "authority-forgotten"),
    ("trust edit ", "certificate-updated"),
    ("trust remove ", "certificate-deleted"),
    ("trust replace ", "certificate-updated"),
];

/// What an entry is told as, if it is. A token is told as LXD has it, as an operation.
pub(super) fn event(entry: &Entry) -> Option<Event> {
    let at = OffsetDateTime::from_unix_timestamp(entry.time).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let what = entry.what.as_str();
    if what.starts_with("refused ") {
        let context = json!({"who": entry.who, "entry": entry.sequence.0.to_string()});
        let metadata = json!({"message": what, "level": "warning", "context": context});
        return Some(Event { kind: Kind::Logging, at, metadata });
    }
    let (_, action) = ACTIONS.iter().find(|(begins, _)| what.starts_with(begins))?;
    if let Some(metadata) = operation(what, at) {
        return Some(Event { kind: Kind::Operation, at, metadata });
    }
    let metadata = json!({
        "action": action,
        "source": source(what),
        "context": {"what": what, "entry": entry.sequence.0},
        "requestor": requestor(&entry.who),
    });
    Some(Event { kind: Kind::Lifecycle, at, metadata })
}

/// A token that was made or taken back.
fn operation(what: &str, at: OffsetDateTime) -> Option<Value> {
    let (status, status_code) = match what {
        what if what.starts_with("token create ") => ("Running", 103),
        what if what.starts_with("token revoke ") => ("Cancelled", 401),
        _ => return None,
    };
    let name = what.splitn(3, ' ').nth(2)?.split(" id=").next()?;
    Some(json!({
        "id": field(what, "id")?,
        "class": "token",
        "description": "Certificate add token",
        "created_at": moment(at),
        "updated_at": moment(at),
        "status": status,
        "status_code": status_code,
        "resources": null,
        "metadata": {"request": {"name": name}},
        "may_cancel": status_code == 103,
        "err": "",
        "location": "none",
    }))
}

/// What it is about, as an address of the API.
fn source(what: &str) -> String {
    // Of a group the words after its name are anybody's: they are no fingerprint.
    let second = |rest: &str| rest.split(' ').nth(1).unwrap_or_default().to_owned();
    if let Some(group) = what.strip_prefix("group ") {
        return format!("/1.0/auth/groups/{}", second(group));
    }
    match (field(what, "fingerprint"), what.strip_prefix("project ")) {
        (Some(fingerprint), _) => format!("/1.0/certificates/{fingerprint}"),
        (None, Some(project)) => format!("/1.0/projects/{}", second(project)),
        (None, None) => "/1.0".to_owned(),
    }
}

/// The value of `name=` among the words; the last, for a name that somebody chose stands before.
fn field<'a>(what: &'a str, name: &str) -> Option<&'a str> {
    what.rsplit(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// Who caused it, as LXD has it.
fn requestor(who: &str) -> Value {
    let (protocol, name) = who.split_once(':').unwrap_or(("", who));
    if protocol == "oidc" {
        // An e-mail address, or whatever the provider chose: no host stands in it.
        return json!({"username": name, "protocol": protocol});
    }
    let protocol = if protocol == "local" { "unix" } else { protocol };
    // What stands behind the bracket somebody chose.
    let (whose, called) = name.find('(').map_or((name, ""), |at| name.split_at(at));
    match whose.split_once('@') {
        Some((whose, address)) => {
            json!({"username": format!("{whose}{called}"), "protocol": protocol, "address": address})
        }
        None => json!({"username": name, "protocol": protocol}),
    }
}

#[cfg(test)]
mod tests {
    use store::{Class, Epoch, Sequence};

    use super::*;

    fn of(who: &str, what: &str) -> Option<Value> {
        let entry = Entry {
            sequence: Sequence(7),
            epoch: Epoch(1),
            class: Class::Ledger,
            time: 1_800_000_000,
            who: who.to_owned(),
            what: what.to_owned(),
            writes: None,
        };
        event(&entry).map(|event| serde_json::from_str(&event.text()).unwrap())
    }

    #[test]
    fn entries_are_events_in_lxds_words() {
        let added =
            of("local:1000(anna)", "trust add alice fingerprint=ab12 rights=client origin=added").unwrap();
        assert_eq!(added["type"], "lifecycle");
        assert_eq!(added["timestamp"], "2027-01-15T08:00:00Z");
        assert_eq!(added["metadata"]["action"], "certificate-created");
        assert_eq!(added["metadata"]["source"], "/1.0/certificates/ab12");
        assert_eq!(added["metadata"]["requestor"], json!({"username": "1000(anna)", "protocol": "unix"}));
        let from = of("tls:ff@192.0.2.7(x@y)", "trust remove x fingerprint=ab12").unwrap();
        let expected = json!({"username": "ff(x@y)", "protocol": "tls", "address": "192.0.2.7"});
        assert_eq!(from["metadata"]["requestor"], expected);
        // What somebody is called decides nothing.
        let named = of("tls:ff", "trust remove x fingerprint=00 fingerprint=ab12").unwrap();
        assert_eq!(named["metadata"]["source"], "/1.0/certificates/ab12");
        let made = of("service", "token create a b id=u-1 for=trust(client) expires=never").unwrap();
        assert_eq!((&made["type"], &made["metadata"]["id"]), (&json!("operation"), &json!("u-1")));
        assert_eq!(made["metadata"]["metadata"]["request"]["name"], "a b");
        assert_eq!(of("service", "token revoke a id=u-1").unwrap()["metadata"]["status_code"], 401);
        let project = of("service", "project create web allow-dns=").unwrap();
        assert_eq!(project["metadata"]["source"], "/1.0/projects/web");
        let refused = of("service", "refused stranger=3").unwrap();
        assert_eq!((&refused["type"], &refused["metadata"]["level"]), (&json!("logging"), &json!("warning")));
        assert_eq!(of("service", "tally through=9"), None);
    }
}
