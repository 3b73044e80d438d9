//! What a peer showed, and what a signature on it proves: looked into once per handshake.
//!
//! Building a path costs signature checks, so it is done when a certificate is first seen and again
//! when the authorities have changed. What is found is evidence, not a verdict: dates, lists and
//! revocations are looked at for every request ([`crate::Gate::admit`]).

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use ca::cert::{Certificate, Fingerprint, KeyId, PathError, Purpose, Serial, verify_path};
use ca::records::Reach;
use store::Sequence;
use time::OffsetDateTime;

use crate::authority::Link;
use crate::entry::KeyDigest;
use crate::person::Person;
use crate::rights::ProjectName;

/// What a peer showed.
#[derive(Debug)]
pub enum Presented {
    /// A certificate, and the handshake proved that the peer holds its key.
    Certificate(Holder),
    /// Nothing: it is the service itself.
    InProcess,
    /// Nothing: the kernel tells who it is.
    Local(LocalUser),
    /// Nothing.
    Nobody,
    /// A token of the identity provider, which was verified, or the session that it began.
    Person(Person),
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalUser {
    /// The user id.
    pub uid: u32,
    /// What the id is called now, if that is known.
    pub name: Option<String>,
}

/// The holder of a certificate's key. The certificate alone is who they are; what else came with it
/// may help to build a path.
#[derive(Debug)]
pub struct Holder {
    certificate: Certificate,
    fingerprint: Fingerprint,
    key: KeyDigest,
    intermediates: Vec<Certificate>,
    from: Option<IpAddr>,
    evidence: RwLock<Option<Arc<Evidence>>>,
}

impl Holder {
    /// The holder of `certificate`, whose possession the handshake proved; `intermediates` are the rest
    /// of what was shown, in any order. Nothing of it is verified yet.
    pub fn new(certificate: Certificate, intermediates: Vec<Certificate>) -> Holder {
        let (fingerprint, key) = (certificate.fingerprint(), KeyDigest::of(&certificate));
        Holder { certificate, fingerprint, key, intermediates, from: None, evidence: RwLock::new(None) }
    }

    /// The same, known to come from this address. The journal tells it.
    pub fn coming_from(self, address: IpAddr) -> Holder {
        Holder { from: Some(address.to_canonical()), ..self }
    }

    /// Where it comes from, if that is known.
    pub fn from(&self) -> Option<IpAddr> {
        self.from
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Its key.
    pub fn key(&self) -> &KeyDigest {
        &self.key
    }

    /// What came with the certificate.
    pub(crate) fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    /// The evidence, if it was gathered under these authorities.
    pub(crate) fn evidence(&self, generation: Sequence) -> Option<Arc<Evidence>> {
        let evidence = self.evidence.read().unwrap_or_else(PoisonError::into_inner);
        evidence.as_ref().filter(|evidence| evidence.generation == generation).cloned()
    }

    pub(crate) fn keep(&self, evidence: Arc<Evidence>) -> Arc<Evidence> {
        *self.evidence.write().unwrap_or_else(PoisonError::into_inner) = Some(evidence.clone());
        evidence
    }

    /// Gathers the evidence under `authorities` at `now`.
    pub(crate) fn examine(
        &self,
        authorities: &Authorities,
        issued: Option<Issued>,
        now: OffsetDateTime,
    ) -> Evidence {
        let ours = authorities.own_path(&self.certificate, now);
        let imported = authorities.imported_path(&self.certificate, &self.intermediates, now);
        let failure = match &imported {
            Ok(_) => None,
            Err(error) => Some(error.clone()),
        };
        Evidence {
            generation: authorities.generation,
            issued,
            ours: ours.ok(),
            imported: imported.ok(),
            failure,
        }
    }
}

/// What the inventory says of a certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) issuer: KeyId,
    pub(crate) serial: Serial,
    /// The project it belongs to; `None` if its name is none that could be.
    pub(crate) project: Option<ProjectName>,
    pub(crate) reach: Option<Reach>,
}

/// What was found out about a certificate under one set of authorities.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) generation: Sequence,
    pub(crate) issued: Option<Issued>,
    pub(crate) ours: Option<Path<(KeyId, Serial)>>,
    pub(crate) imported: Option<Path<Link>>,
    /// Why no imported authority vouches for it.
    pub(crate) failure: Option<PathError>,
}

/// A path that was verified: every step of it, and when all of it is in date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path<L> {
    /// The steps whose revocation must be looked up, the leaf's first.
    pub(crate) links: Vec<L>,
    /// The authority at its end.
    pub(crate) anchor: KeyDigest,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

impl<L> Path<L> {
    fn over(path: &[Certificate], anchor: KeyDigest, links: Vec<L>) -> Path<L> {
        let mut dates = (OffsetDateTime::UNIX_EPOCH, time::macros::datetime!(9999-12-31 23:59:59 UTC));
        for certificate in path {
            dates.0 = dates.0.max(certificate.not_before());
            dates.1 = dates.1.min(certificate.not_after());
        }
        Path { links, anchor, not_before: dates.0, not_after: dates.1 }
    }

    /// Whether every certificate of it is in date.
    pub(crate) fn is_in_date(&self, now: OffsetDateTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// The authorities whose signature may count, as they were at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorities {
    /// The entry of the journal that last changed them.
    pub(crate) generation: Sequence,
    /// Ours, each with the identifier that its records lie under.
    pub(crate) own: Vec<(KeyId, Certificate)>,
    /// Those that were imported.
    pub(crate) imported: Vec<(KeyDigest, Certificate)>,
}

impl Authorities {
    /// The path of a certificate that one of our own authorities signed.
    fn own_path(&self, leaf: &Certificate, now: OffsetDateTime) -> Result<Path<(KeyId, Serial)>, PathError> {
        let (path, anchor) = walk(&self.own, leaf, &[], now)?;
        let signer = |certificate| self.own.iter().find(|(_, own)| own == certificate).map(|(id, _)| *id);
        let links = path.windows(2).filter_map(|pair| Some((signer(&pair[1])?, pair[0].serial()))).collect();
        Ok(Path::over(&path, anchor, links))
    }

    /// The path of a certificate that an imported authority signed, by others in between if need be.
    fn imported_path(
        &self,
        leaf: &Certificate,
        intermediates: &[Certificate],
        now: OffsetDateTime,
    ) -> Result<Path<Link>, PathError> {
        let (path, anchor) = walk(&self.imported, leaf, intermediates, now)?;
        let link = |pair: &[Certificate]| Link { issuer: KeyDigest::of(&pair[1]), serial: pair[0].serial() };
        let links = path.windows(2).map(link).collect();
        Ok(Path::over(&path, anchor, links))
    }
}

/// A valid path to one of `authorities`, and the key at its end. The path goes on above that to others
/// of them as far as they signed each other: what the list of a root says of an authority below it
/// counts even where that authority is trusted by itself.
fn walk<K>(
    authorities: &[(K, Certificate)],
    leaf: &Certificate,
    intermediates: &[Certificate],
    now: OffsetDateTime,
) -> Result<(Vec<Certificate>, KeyDigest), PathError> {
    let anchors: Vec<Certificate> = authorities.iter().map(|(_, authority)| authority.clone()).collect();
    let mut path = for_client(leaf, intermediates, &anchors, now)?;
    let anchor = path.last().map(KeyDigest::of).ok_or(PathError::NoAnchors)?;
    while let Some(above) = path.last().and_then(|last| above(&anchors, last, &path)) {
        path.push(above);
    }
    Ok((path, anchor))
}

fn above(anchors: &[Certificate], authority: &Certificate, path: &[Certificate]) -> Option<Certificate> {
    if authority.is_self_issued() {
        return None;
    }
    let mut named = anchors.iter().filter(|above| above.subject_raw() == authority.issuer_raw());
    let above = named.find(|above| authority.verify_signed_by(above).is_ok())?;
    (!path.contains(above)).then(|| above.clone())
}

/// A path for a TLS client. The extendedKeyUsage must be there and say so: a certificate that was made
/// for something else, or for nothing in particular, is nobody's identity here.
fn for_client(
    leaf: &Certificate,
    intermediates: &[Certificate],
    anchors: &[Certificate],
    now: OffsetDateTime,
) -> Result<Vec<Certificate>, PathError> {
    let path = verify_path(leaf, intermediates, anchors, Purpose::Client, now)?;
    if leaf.extended_key_usage().is_some_and(|usage| usage.client_auth()) {
        Ok(path)
    } else {
        Err(PathError::WrongPurpose { subject: leaf.subject_display(), purpose: Purpose::Client })
    }
}
