//! What becomes of the certificate and the key that are there. Pure: what was found in, decision out.
//!
//! What is good stays: clients that pinned a server's certificate go by the certificate itself.

use std::collections::BTreeSet;

use ca::{key::KeyType, profile::Validity, renew};
use server::ops::view::{AuthorityView, CertificateView, Status};
use time::OffsetDateTime;

use super::Whose;

/// The key beside the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyThere {
    /// There is none.
    Absent,
    /// It belongs to the certificate.
    Ours,
}

/// What is wanted of the certificate.
pub struct Wanted<'a> {
    /// Whose it is to be.
    pub whose: Whose,
    /// The name and every alternative name, if just these were asked for.
    pub names: Option<(&'a str, BTreeSet<String>)>,
    /// The type of key, if one was asked for.
    pub key_type: Option<KeyType>,
    /// The authority that LXD is bound to.
    pub issuer: &'a AuthorityView,
    /// Every authority of ours.
    pub authorities: &'a [&'a AuthorityView],
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// A successor for the same key and names.
    Renew,
    /// Another certificate for the same key.
    Reissue,
    /// Another certificate for a new key.
    Replace,
    /// Nothing can be: it was signed by another authority than the one that LXD is bound to, which signs no more.
    Stuck,
}

/// Decides about a certificate of ours.
pub fn decide(there: &CertificateView, key: KeyThere, wanted: &Wanted<'_>, now: OffsetDateTime) -> Step {
    let has_names = wanted.names.as_ref().is_none_or(|(name, names)| {
        there.name == *name && there.names.iter().cloned().collect::<BTreeSet<_>>() == *names
    });
    let is_of_type = wanted.key_type.is_none_or(|asked| there.key_type == asked.to_string());
    let validity = Validity { not_before: there.not_before, not_after: there.not_after };
    let signer = wanted.authorities.iter().find(|authority| authority.key_id == there.issuer);
    let is_cut_off = signer.is_none_or(|signer| signer.state == "revoked");
    match there.status {
        // What was revoked may have been revoked for its key.
        Status::Revoked => return Step::Replace,
        // Whoever held it decides whether it comes back.
        Status::Held => return Step::Keep,
        Status::Expired | Status::Valid => {}
    }
    if key == KeyThere::Absent || !is_of_type || there.profile != wanted.whose.stem() {
        return Step::Replace;
    }
    // What has ended has no successor.
    if !has_names || there.status == Status::Expired {
        return Step::Reissue;
    }
    // A client is known by who signed it; of a server that is asked by nobody but its clients, by the root.
    if wanted.whose == Whose::Client && there.issuer != wanted.issuer.key_id {
        return if wanted.issuer.state == "current" { Step::Renew } else { Step::Stuck };
    }
    if now >= renew::due_at(validity) || is_cut_off { Step::Renew } else { Step::Keep }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn at(day: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(day * DAY)
    }

    fn authority(key_id: &str, state: &str) -> AuthorityView {
        AuthorityView {
            key_id: key_id.to_owned(),
            role: "issuing".to_owned(),
            subject: String::new(),
            fingerprint: String::new(),
            serial: String::new(),
            key_type: "p384".to_owned(),
            not_before: at(0),
            not_after: at(3650),
            state: state.to_owned(),
            key: "here".to_owned(),
            live_certificates: 0,
        }
    }

    fn leaf(profile: &str, issuer: &str, status: Status) -> CertificateView {
        CertificateView {
            serial: "4a".to_owned(),
            name: "lxd1".to_owned(),
            profile: profile.to_owned(),
            names: vec!["dns:lxd1".to_owned(), "ip:127.0.0.1".to_owned()],
            fingerprint: String::new(),
            issuer: issuer.to_owned(),
            key_type: "p384".to_owned(),
            not_before: at(0),
            not_after: at(300),
            issued_at: at(0),
            issued_by: String::new(),
            project: "default".to_owned(),
            status,
            revocation: None,
        }
    }

    /// What becomes of one on the given day, with the authority `new` in force and `old` before it.
    fn on(day: i64, there: &CertificateView, change: impl FnOnce(&mut Wanted<'_>)) -> Step {
        let (old, new) = (authority("old", "retired"), authority("new", "current"));
        let lost = authority("lost", "revoked");
        let whose = if there.profile == "client" { Whose::Client } else { Whose::Server };
        let authorities = [&old, &new, &lost];
        let mut wanted =
            Wanted { whose, names: None, key_type: None, issuer: &new, authorities: &authorities };
        change(&mut wanted);
        decide(there, KeyThere::Ours, &wanted, at(day))
    }

    #[test]
    fn what_is_good_stays_for_two_thirds_of_its_life() {
        let there = leaf("server", "new", Status::Valid);
        assert_eq!(on(199, &there, |_| ()), Step::Keep);
        assert_eq!(on(201, &there, |_| ()), Step::Renew);
        assert_eq!(on(301, &leaf("server", "new", Status::Expired), |_| ()), Step::Reissue);
        assert_eq!(on(1, &leaf("server", "new", Status::Held), |_| ()), Step::Keep);
        assert_eq!(on(1, &leaf("server", "new", Status::Revoked), |_| ()), Step::Replace);
    }

    #[test]
    fn a_rotation_renews_a_client_and_leaves_a_server_alone() {
        assert_eq!(on(1, &leaf("server", "old", Status::Valid), |_| ()), Step::Keep);
        assert_eq!(on(1, &leaf("client", "old", Status::Valid), |_| ()), Step::Renew);
        assert_eq!(on(1, &leaf("client", "new", Status::Valid), |_| ()), Step::Keep);
        // Below an authority that was revoked nobody is believed.
        assert_eq!(on(1, &leaf("server", "lost", Status::Valid), |_| ()), Step::Renew);
        // Bound to one that signs no more, nothing can be had for another's client.
        let earlier = authority("old", "retired");
        let authorities = [&earlier];
        let wanted = Wanted {
            whose: Whose::Client,
            names: None,
            key_type: None,
            issuer: &earlier,
            authorities: &authorities,
        };
        let step = |issuer| decide(&leaf("client", issuer, Status::Valid), KeyThere::Ours, &wanted, at(1));
        assert_eq!((step("old"), step("new")), (Step::Keep, Step::Stuck));
    }

    #[test]
    fn what_was_asked_for_is_what_it_must_be() {
        let there = leaf("server", "new", Status::Valid);
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let same = names(&["ip:127.0.0.1", "dns:lxd1"]);
        assert_eq!(on(1, &there, |wanted| wanted.names = Some(("lxd1", same))), Step::Keep);
        let fewer = names(&["dns:lxd1"]);
        assert_eq!(on(1, &there, |wanted| wanted.names = Some(("lxd1", fewer))), Step::Reissue);
        assert_eq!(on(1, &there, |wanted| wanted.key_type = Some(KeyType::P384)), Step::Keep);
        assert_eq!(on(1, &there, |wanted| wanted.key_type = Some(KeyType::P256)), Step::Replace);
        assert_eq!(on(1, &there, |wanted| wanted.whose = Whose::Client), Step::Replace);
    }
}
