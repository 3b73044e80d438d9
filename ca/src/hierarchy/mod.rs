//! Makes the authorities: the root and the issuing CA at the beginning, the next issuing CA later.
//!
//! Every generation has a key and a distinguished name of its own, so that a path never depends on which
//! of two certificates of one name a client happens to hold. The order is always: keys durable first,
//! then all records in one commit, then files that are derived from records; whatever is interrupted
//! is finished by doing it again. An existing PKI is never touched by `init`.

pub(crate) mod create;
mod files;
mod install;
mod keys;
mod retire;
mod rotate;
#[cfg(test)]
mod tests;

pub use create::{Init, Initialised, RootKeyPlace, init, root_from};
pub use files::{CertificateFiles, Published, publish_certificates};
pub use install::install;
pub use keys::change_passphrase;
pub use retire::{Retirement, outside, retire, root_offline};
pub use rotate::{Rotation, request, rotate, sign_issuing};

use aws_lc_rs::rand::SecureRandom;
use time::OffsetDateTime;

use crate::cert::{Certificate, CommonName, PublicKey, Serial};
use crate::constraints::NameConstraints;
use crate::error::Error;
use crate::issuer::IssuerCertificate;
use crate::key::PrivateKey;
use crate::lint;
use crate::plan::Policy;
use crate::profile::{Lifetime, ProfileKind};
use crate::records::{AuthorityRecord, AuthorityState, KeyPlace, Role};
use crate::signer;
use crate::subject::Subject;
use crate::template::{self, Template};

/// The names of an authority: `O=ORG, CN=ORG Issuing CA 1a2b3c4d`, told apart by its key.
fn subject(organization: &CommonName, kind: ProfileKind, key: &PublicKey) -> Result<Subject, Error> {
    let part = match kind {
        ProfileKind::Root => "Root CA",
        ProfileKind::Issuing | ProfileKind::Client | ProfileKind::Server => "Issuing CA",
    };
    let key_id = key.key_id().to_string();
    let short = format!("{part} {}", key_id.get(..8).unwrap_or(&key_id));
    // A long organization leaves no room for itself in 64 characters (ub-common-name); it stands in O.
    let parsed = format!("{organization} {short}").parse::<CommonName>().or_else(|_| short.parse());
    let common_name = parsed
        .map_err(|source| crate::subject::SubjectError::Name { name: short, source })
        .map_err(Error::Names)?;
    Ok(Subject::authority(organization.clone(), common_name))
}

/// The organization that an authority's name begins with; its common name if it has none.
fn organization(certificate: &Certificate) -> Result<CommonName, Error> {
    use x509_parser::prelude::FromDer;
    let subject = certificate.subject_raw();
    let parsed = x509_parser::x509::X509Name::from_der(subject).ok();
    let stated = parsed.as_ref().and_then(|(_, name)| name.iter_organization().next()?.as_str().ok());
    let name = stated.or(certificate.common_name()).unwrap_or("Private");
    name.parse().map_err(|source| {
        Error::Names(crate::subject::SubjectError::Name { name: crate::cert::printable(name), source })
    })
}

/// What an authority's certificate is made of.
struct Making<'a> {
    kind: ProfileKind,
    subject: &'a Subject,
    public_key: &'a PublicKey,
    issuer: Option<&'a IssuerCertificate>,
    constraints: &'a NameConstraints,
    policy: &'a Policy,
}

/// Writes, lints and signs an authority's certificate. Pure but for the serial's randomness.
fn certify(
    making: &Making<'_>,
    signing_key: &PrivateKey,
    now: OffsetDateTime,
    random: &dyn SecureRandom,
) -> Result<Certificate, Error> {
    let profile = making.policy.profiles.of(making.kind);
    let issuer = making.issuer.map(IssuerCertificate::validity);
    let serial = Serial::random(random)?;
    let template = Template {
        profile,
        subject: making.subject,
        public_key: making.public_key,
        serial: &serial,
        validity: profile.validity(Lifetime::Default, issuer, now)?.validity,
        issuer: making.issuer,
        distribution: &making.policy.distribution,
        constraints: making.constraints,
    };
    let linted = lint::certificate(template::write(&template)?, &template, now)?;
    Ok(signer::certificate(&linted, signing_key)?)
}

/// The record of an authority whose certificate is there.
pub(crate) fn record(
    certificate: &Certificate,
    role: Role,
    key: KeyPlace,
    constraints: &NameConstraints,
    parent: crate::cert::KeyId,
    now: OffsetDateTime,
) -> AuthorityRecord {
    let (permitted, excluded) = constraints.texts();
    AuthorityRecord {
        key_id: certificate.key_id(),
        role,
        state: AuthorityState::Current,
        key,
        certificate: Some(certificate.der().to_vec()),
        csr: None,
        constraints: permitted,
        created_at: now.unix_timestamp(),
        parent,
        excluded,
    }
}
