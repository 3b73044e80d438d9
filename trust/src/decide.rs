//! The decision: is this peer let in, and with which rights?
//!
//! [`decide`] is pure, and short enough to be read whole. All it needs was looked up before, by
//! [`crate::Gate`]; it is asked for every request anew. What is not said here is refused.

mod refusal;

use ca::cert::{Certificate, PathError};
use store::Versioned;
use time::OffsetDateTime;

use crate::entry::{Denial, Entry, Origin, Subject};
use crate::person::Person;
use crate::presented::LocalUser;
use crate::rights::{Rights, Scope};
use crate::role::{Held, Permissions};
use crate::settings::{PkiMode, Settings, TrustCa};

pub use refusal::Refusal;

/// Everything that a decision rests on.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// Who asks.
    pub who: Who<'a>,
    /// The entry of this certificate or user.
    pub entry: Option<&'a Versioned<Entry>>,
    /// The denial of this certificate, its key, this person or this user.
    pub denial: Option<&'a Versioned<Denial>>,
    /// What the groups of this person permit; nothing for all others.
    pub permissions: Permissions,
    /// What our own authorities say of the certificate.
    pub ours: Word,
    /// What the imported authorities say of it.
    pub imported: Word,
    /// Why the imported authorities say nothing, for the log.
    pub failure: Option<&'a PathError>,
    /// Whether any authority was imported at all.
    pub authorities: Imported,
    /// The settings in force.
    pub settings: Settings,
    /// The user who owns the directory: the service's own.
    pub owner: u32,
}

/// Who asks, by what they showed.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// The holder of this certificate's key.
    Certificate(&'a Certificate),
    /// The service itself.
    InProcess,
    /// A user of this machine.
    Local(&'a LocalUser),
    /// Someone who showed nothing.
    Nobody,
    /// Whom the identity provider vouches for.
    Person(&'a Person),
}

/// What authorities say of a certificate at the moment of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// One of them signed it, and nothing speaks against it. Without an entry it is worth this much;
    /// `None` if nobody knows who caused its issue.
    Good(Option<Scope>),
    /// None of them signed it, or not by a path that is valid now.
    Nothing,
    /// One of them signed it, and it is bad whatever else holds: revoked, or unknown to our inventory.
    Refused(Refusal),
    /// One of them signed it, and whether it is revoked can't be known: the signature does not count.
    Unknown(Refusal),
}

/// Whether there are imported authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imported {
    /// There are none.
    None,
    /// There is one at least.
    Some,
}

/// The way by which a peer came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// By its entry.
    Entry(Origin),
    /// By the signature of an imported authority.
    Imported,
    /// By the signature of one of our own authorities.
    Ours,
    /// As root, as the service's own user, or as the service itself.
    Owner,
    /// As a person, by a token of the identity provider.
    Provider,
}

/// What a peer is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it may do.
    pub held: Held,
    /// How it came in.
    pub way: Way,
}

/// The user id of root.
pub(crate) const ROOT: u32 = 0;

/// Decides whether a peer is let in.
///
/// # Errors
/// Why it is not.
pub fn decide(case: &Case<'_>, now: OffsetDateTime) -> Result<Grant, Refusal> {
    let owner = Grant { held: Held::FULL, way: Way::Owner };
    match case.who {
        Who::Nobody => return Err(Refusal::Nobody),
        Who::InProcess => return Ok(owner),
        // Before any denial: nobody can lock out whoever could open the directory itself.
        Who::Local(user) if user.uid == ROOT || user.uid == case.owner => return Ok(owner),
        Who::Local(user) => vet_user(case, user)?,
        Who::Certificate(certificate) => vet(case, certificate, now)?,
        // People show no certificate: PKI mode says nothing of them. Somebody new holds nothing.
        Who::Person(_) => {
            return match case.denial {
                Some(denial) => Err(Refusal::PersonRemoved { name: denial.record.name.clone() }),
                None => Ok(Grant { held: Held::Permissions(case.permissions.clone()), way: Way::Provider }),
            };
        }
    }
    // An entry decides alone: under trust_ca_certificates too it keeps its restriction.
    if let Some(Versioned { record: entry, .. }) = case.entry {
        return Ok(Grant { held: Held::Rights(entry.rights.clone()), way: Way::Entry(entry.origin) });
    }
    let signed = |scope: &Scope, way| Ok(Grant { held: Held::Rights(Rights::client(scope.clone())), way });
    match (case.who, case.settings.trust_ca, &case.imported, &case.ours) {
        (Who::Local(_), _, _, _) => Err(Refusal::NotAuthenticated),
        (_, TrustCa::EntryNeeded, _, _) => Err(Refusal::Stranger),
        (_, TrustCa::SignatureSuffices, _, _) if case.settings.pki_mode == PkiMode::Off => {
            Err(Refusal::Stranger)
        }
        (_, TrustCa::SignatureSuffices, Word::Good(Some(scope)), _) => signed(scope, Way::Imported),
        (_, TrustCa::SignatureSuffices, _, Word::Good(Some(scope))) => signed(scope, Way::Ours),
        (_, TrustCa::SignatureSuffices, Word::Unknown(doubt), _) => Err(doubt.clone()),
        (_, TrustCa::SignatureSuffices, _, _) => Err(Refusal::Stranger),
    }
}

/// What holds for every certificate, whatever speaks for it: this too is asked before a token, the
/// passphrase, a file or an administrator adds it.
///
/// # Errors
/// Why it is not acceptable.
pub fn vet(case: &Case<'_>, certificate: &Certificate, now: OffsetDateTime) -> Result<(), Refusal> {
    if let Some(denial) = case.denial {
        return Err(Refusal::Removed { name: denial.record.name.clone() });
    }
    if certificate.is_ca() {
        return Err(Refusal::AuthorityCertificate);
    }
    if now < certificate.not_before() {
        return Err(Refusal::NotYetValid { not_before: certificate.not_before() });
    }
    if now > certificate.not_after() {
        return Err(Refusal::Expired { not_after: certificate.not_after() });
    }
    for word in [&case.ours, &case.imported] {
        if let Word::Refused(refusal) = word {
            return Err(refusal.clone());
        }
    }
    let good = |word: &Word| matches!(word, Word::Good(_));
    let signed = match (case.settings.pki_mode, case.authorities) {
        (PkiMode::Off, _) | (PkiMode::Auto, Imported::None) => true,
        (PkiMode::Auto, Imported::Some) => good(&case.imported),
        (PkiMode::On, _) => good(&case.imported) || good(&case.ours),
    };
    match (signed, &case.imported) {
        (true, _) => Ok(()),
        (false, Word::Unknown(doubt)) => Err(doubt.clone()),
        (false, _) => Err(Refusal::NotSigned { why: case.failure.cloned() }),
    }
}

/// What holds for every user of this machine, whatever speaks for them.
fn vet_user(case: &Case<'_>, user: &LocalUser) -> Result<(), Refusal> {
    if let Some(denial) = case.denial {
        return Err(Refusal::UserRemoved { name: denial.record.name.clone() });
    }
    match case.entry.map(|entry| &entry.record.subject) {
        // The id went to somebody else since.
        Some(Subject::User { name: Some(then), .. }) if user.name.as_ref().is_some_and(|now| now != then) => {
            Err(Refusal::NotAuthenticated)
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
