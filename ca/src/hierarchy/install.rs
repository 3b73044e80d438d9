//! Puts a certificate that the root signed elsewhere in force, after checking it like one of ours.

use store::Store;
use time::OffsetDateTime;

use super::rotate::{Rotation, certificate_of, put_in_force};
use super::{organization, subject};
use crate::authority::{self, Current};
use crate::cert::{Certificate, SignedData};
use crate::constraints::NameConstraints;
use crate::distribution::{Distribution, PublicUrl};
use crate::error::Error;
use crate::issuer::{Issuer, IssuerCertificate};
use crate::keyring::Keyring;
use crate::lint;
use crate::plan::Policy;
use crate::profile::{ProfileKind, Validity};
use crate::records::{AuthorityRecord, AuthorityState};
use crate::template::{Tbs, Template};

/// Installs the certificate of the authority that awaits it.
///
/// It must be signed by our root, for the key that waits, and pass the same rules as one that we sign
/// here; only the base of its URLs may differ from our settings, which the root's machine can't know.
pub fn install(
    store: &Store,
    keyring: &Keyring,
    certificate: Certificate,
    policy: &Policy,
    who: &str,
    now: OffsetDateTime,
) -> Result<Rotation, Error> {
    let current = Current::load(store)?;
    let key_id = certificate.public_key().key_id();
    let Some(awaiting) = authority::find(store, &key_id)? else {
        return Err(unasked(format!("no authority here waits for a certificate with the key {key_id}")));
    };
    match awaiting.record.state {
        AuthorityState::AwaitingCertificate => {}
        state @ (AuthorityState::Current | AuthorityState::Retired | AuthorityState::Revoked) => {
            return Err(Error::State { key_id, state, action: "given a certificate" });
        }
    }
    let root = IssuerCertificate::new(certificate_of(&current.root.record)?)?;
    certificate.verify_signed_by(root.certificate())?;
    let constraints = awaiting.record.name_constraints()?;
    let next = IssuerCertificate::new(certificate.clone())?;
    if *next.constraints() != constraints {
        return Err(Error::OtherConstraints { found: next.constraints().clone(), wanted: constraints });
    }
    let distribution = stated_distribution(&certificate, &root)?;
    check(&certificate, &root, &constraints, &distribution, policy, now)?;
    let issuer = Issuer::new(next, keyring.key(&awaiting.record)?)?;
    let next = AuthorityRecord {
        state: AuthorityState::Current,
        certificate: Some(certificate.der().to_vec()),
        csr: None,
        ..awaiting.record
    };
    let previous = put_in_force(store, &current, &next, Some(awaiting.version), who, now)?;
    Ok(Rotation { current: issuer, previous, distribution })
}

/// Runs the linter over the signed bytes, as if they were about to be signed here.
fn check(
    certificate: &Certificate,
    root: &IssuerCertificate,
    constraints: &NameConstraints,
    distribution: &Distribution,
    policy: &Policy,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let signed = SignedData::from_der(certificate.der()).map_err(|error| unasked(error.to_string()))?;
    let subject =
        subject(&organization(root.certificate())?, ProfileKind::Issuing, certificate.public_key())?;
    let template = Template {
        profile: policy.profiles.of(ProfileKind::Issuing),
        subject: &subject,
        public_key: certificate.public_key(),
        serial: &certificate.serial(),
        validity: Validity { not_before: certificate.not_before(), not_after: certificate.not_after() },
        issuer: Some(root),
        distribution,
        constraints,
    };
    lint::certificate(Tbs::from_der(signed.tbs.to_vec()), &template, now).map_err(Error::Install)?;
    Ok(())
}

/// The base of the URLs as the certificate has it; the linter then checks what must follow from it.
fn stated_distribution(certificate: &Certificate, root: &IssuerCertificate) -> Result<Distribution, Error> {
    use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
    use x509_parser::prelude::{FromDer, X509Certificate};
    let unreadable = |_| unasked("it can't be read".to_owned());
    let (_, parsed) = X509Certificate::from_der(certificate.der()).map_err(unreadable)?;
    let tail = format!("/crl/{}/0.crl", root.key_id());
    for extension in parsed.extensions() {
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else { continue };
        let uri = points.points.iter().find_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => names.iter().find_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            }),
            Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => None,
        });
        let base = uri.and_then(|uri| uri.strip_suffix(tail.as_str()));
        let base = base.and_then(|base| base.parse::<PublicUrl>().ok());
        return match base {
            Some(base) => Ok(Distribution { base: Some(base) }),
            None => Err(unasked("its CRL distribution point is not one of our root's lists".to_owned())),
        };
    }
    Ok(Distribution::default())
}

fn unasked(reason: String) -> Error {
    Error::Unasked { reason }
}
