//! Path verification, RFC 5280 §6, by rustls-webpki.
//!
//! What webpki leaves open is done here: dates, path lengths and critical extensions of the anchors, the
//! keyUsage bits, the strength of the leaf's key (authorities' keys are looked at when they come in), and
//! reasons that a person understands. Revocation is not looked at: that is `crl`'s. SHA-1 is unknown
//! to it, and so are names: whether a certificate is for a host is the TLS client's question.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, VerifiedPath};

use super::certificate::Certificate;
use super::weak::WeakKey;

/// The most authorities between a leaf and its anchor; webpki's own limit.
pub const MAX_INTERMEDIATES: usize = 6;
/// The most certificates that may be offered as intermediates.
pub const MAX_CANDIDATES: usize = 64;

/// What a certificate is to be used for (extendedKeyUsage, RFC 5280 §4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Whatever it is for.
    Any,
    /// To be a TLS client.
    Client,
    /// To be a TLS server.
    Server,
}

/// Why no valid path leads from a certificate to an anchor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// An extension that must be understood and isn't.
    #[error("a certificate of the path has a critical extension that isn't known here")]
    CriticalExtension,
    /// Its time is over.
    #[error("{subject} expired on {}", date(*not_after))]
    Expired {
        /// Which certificate.
        subject: String,
        /// When it ended.
        not_after: OffsetDateTime,
    },
    /// An authority's certificate where an end entity's is wanted.
    #[error("{subject} is an authority's certificate, not a client's or a server's")]
    IsAuthority {
        /// Which certificate.
        subject: String,
    },
    /// A keyUsage extension without the bit that is needed (§4.2.1.3).
    #[error("{subject} may not be used for this: its keyUsage lacks {bit}")]
    KeyUsage {
        /// Which certificate.
        subject: String,
        /// The missing bit.
        bit: &'static str,
    },
    /// A certificate of the path is not one that webpki can work with.
    #[error("a certificate of the path is malformed")]
    Malformed {
        /// Why.
        #[source]
        source: webpki::Error,
    },
    /// A name that a constraint of an authority forbids.
    #[error("a name in {subject} is outside the name constraints of an authority above it")]
    NameConstraint {
        /// The leaf.
        subject: String,
    },
    /// Nothing to trust was given.
    #[error("there is no trusted authority to verify against")]
    NoAnchors,
    /// A certificate that isn't an authority's would have to be one.
    #[error("a certificate above {subject} is not an authority's")]
    NotAuthority {
        /// The leaf.
        subject: String,
    },
    /// Its time hasn't come.
    #[error("{subject} is not valid before {}", date(*not_before))]
    NotYetValid {
        /// Which certificate.
        subject: String,
        /// When it begins.
        not_before: OffsetDateTime,
    },
    /// More authorities in the path than one of them allows.
    #[error("there are more authorities between {subject} and its root than allowed (pathLenConstraint)")]
    PathLength {
        /// The leaf.
        subject: String,
    },
    /// A signature is wrong.
    #[error("a signature in the path of {subject} is wrong")]
    Signature {
        /// The leaf.
        subject: String,
    },
    /// More intermediates were offered than are tried.
    #[error("{count} intermediate certificates are too many; {limit} are tried")]
    TooManyCandidates {
        /// How many were offered.
        count: usize,
        /// How many are tried.
        limit: usize,
    },
    /// The search for a path took too long or went too deep.
    #[error("the path of {subject} is longer or more tangled than {limit} authorities in a row")]
    TooLong {
        /// The leaf.
        subject: String,
        /// How many authorities may be in a row.
        limit: usize,
    },
    /// No trusted authority signed it.
    #[error("no trusted authority signed {subject} (its issuer is {issuer})")]
    UnknownIssuer {
        /// The leaf.
        subject: String,
        /// The name of its issuer.
        issuer: String,
    },
    /// Signed by an algorithm that isn't accepted, such as SHA-1.
    #[error("a signature in the path of {subject} is by an algorithm that isn't accepted")]
    UnsupportedAlgorithm {
        /// The leaf.
        subject: String,
    },
    /// Its key is not one to rely on.
    #[error("the key of {subject} is too weak")]
    WeakKey {
        /// The leaf.
        subject: String,
        /// Why.
        #[source]
        source: WeakKey,
    },
    /// Its extendedKeyUsage doesn't have the purpose.
    #[error("{subject} or an authority above it is not for {purpose}")]
    WrongPurpose {
        /// The leaf.
        subject: String,
        /// What it was to be used for.
        purpose: Purpose,
    },
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Purpose::Any => "any purpose",
            Purpose::Client => "TLS clients",
            Purpose::Server => "TLS servers",
        })
    }
}

/// Finds a valid path from `leaf` through some of `intermediates` to one of `anchors` at `now`.
///
/// The answer begins with the leaf and ends with the anchor. Anchors are taken as they are, their own
/// signatures don't matter; their dates and path lengths do.
pub fn verify_path(
    leaf: &Certificate,
    intermediates: &[Certificate],
    anchors: &[Certificate],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Vec<Certificate>, PathError> {
    if anchors.is_empty() {
        return Err(PathError::NoAnchors);
    }
    if intermediates.len() > MAX_CANDIDATES {
        return Err(PathError::TooManyCandidates { count: intermediates.len(), limit: MAX_CANDIDATES });
    }
    let search = Search { leaf, intermediates, anchors, purpose, now };
    // webpki judges an end entity last; whoever asks about an authority should hear that first.
    if leaf.is_ca() {
        return Err(PathError::IsAuthority { subject: leaf.subject_display() });
    }
    search.run()
}

struct Search<'a> {
    leaf: &'a Certificate,
    intermediates: &'a [Certificate],
    anchors: &'a [Certificate],
    purpose: Purpose,
    now: OffsetDateTime,
}

impl Search<'_> {
    fn run(&self) -> Result<Vec<Certificate>, PathError> {
        let leaf_der = CertificateDer::from(self.leaf.der());
        let leaf = EndEntityCert::try_from(&leaf_der).map_err(|e| self.explain(e))?;
        let intermediates: Vec<CertificateDer<'_>> =
            self.intermediates.iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
        let anchor_ders: Vec<CertificateDer<'_>> =
            self.anchors.iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
        let anchors: Vec<TrustAnchor<'_>> = anchor_ders
            .iter()
            .map(|der| webpki::anchor_from_trusted_cert(der).map_err(|e| self.explain(e)))
            .collect::<Result<_, _>>()?;
        // webpki's callback can answer with its own errors only; ours waits here.
        let refusal = std::cell::RefCell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            self.certificates(path).and_then(|path| self.judge(&path)).map_err(|error| {
                refusal.replace(Some(error));
                webpki::Error::UnknownIssuer
            })
        };
        let seconds = u64::try_from(self.now.unix_timestamp()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = Usage(self.purpose);
        match leaf.verify_for_usage(ALGORITHMS, &anchors, &intermediates, time, usage, None, Some(&judge)) {
            Ok(path) => self.certificates(&path),
            Err(webpki::Error::UnknownIssuer) => {
                Err(refusal.take().unwrap_or_else(|| self.explain(webpki::Error::UnknownIssuer)))
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// The certificates of a path that webpki found, leaf first.
    fn certificates(&self, path: &VerifiedPath<'_>) -> Result<Vec<Certificate>, PathError> {
        let lost = || self.explain(webpki::Error::UnknownIssuer);
        let mut found = vec![self.leaf.clone()];
        for intermediate in path.intermediate_certificates() {
            let der = intermediate.der();
            let candidate = self.intermediates.iter().find(|candidate| candidate.der() == der.as_ref());
            found.push(candidate.ok_or_else(lost)?.clone());
        }
        // webpki keeps of an anchor only its name and its key. Where two certificates have both in
        // common, the one that is in date counts.
        let same = |anchor: &&Certificate| {
            contents(anchor.subject_raw()) == path.anchor().subject.as_ref()
                && contents(anchor.public_key().spki_der()) == path.anchor().subject_public_key_info.as_ref()
        };
        let in_date =
            |anchor: &&Certificate| anchor.not_before() <= self.now && self.now <= anchor.not_after();
        let mut anchors = self.anchors.iter().filter(same);
        let anchor = anchors.clone().find(in_date).or_else(|| anchors.next());
        found.push(anchor.ok_or_else(lost)?.clone());
        Ok(found)
    }

    /// What webpki doesn't look at.
    fn judge(&self, path: &[Certificate]) -> Result<(), PathError> {
        let Some((anchor, below)) = path.split_last() else { return Err(PathError::NoAnchors) };
        let subject = anchor.subject_display();
        if self.now < anchor.not_before() {
            return Err(PathError::NotYetValid { subject, not_before: anchor.not_before() });
        }
        if self.now > anchor.not_after() {
            return Err(PathError::Expired { subject, not_after: anchor.not_after() });
        }
        if anchor.unknown_critical_extension().is_some() {
            return Err(PathError::CriticalExtension);
        }
        self.leaf
            .public_key()
            .check_strength()
            .map_err(|source| PathError::WeakKey { subject: self.leaf.subject_display(), source })?;
        let between = below.len().saturating_sub(1);
        let allowed = anchor.path_length().map_or(MAX_INTERMEDIATES, |limit| limit as usize);
        if between > allowed {
            return Err(PathError::PathLength { subject: self.leaf.subject_display() });
        }
        for authority in path.iter().skip(1) {
            if authority.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
                return Err(PathError::KeyUsage { subject: authority.subject_display(), bit: "keyCertSign" });
            }
        }
        let signs = self.leaf.key_usage().is_none_or(|usage| usage.digital_signature());
        match self.purpose {
            Purpose::Client | Purpose::Server if !signs => {
                let subject = self.leaf.subject_display();
                Err(PathError::KeyUsage { subject, bit: "digitalSignature" })
            }
            Purpose::Any | Purpose::Client | Purpose::Server => Ok(()),
        }
    }

    fn explain(&self, error: webpki::Error) -> PathError {
        use webpki::Error;
        let subject = self.leaf.subject_display();
        match error {
            Error::CertExpired { not_after, .. } => {
                let seconds = not_after.as_secs();
                let which = self.find(|certificate| unix(certificate.not_after()) == Some(seconds));
                PathError::Expired { subject: which.subject_display(), not_after: which.not_after() }
            }
            Error::CertNotValidYet { not_before, .. } => {
                let seconds = not_before.as_secs();
                let which = self.find(|certificate| unix(certificate.not_before()) == Some(seconds));
                PathError::NotYetValid { subject: which.subject_display(), not_before: which.not_before() }
            }
            Error::CaUsedAsEndEntity => PathError::IsAuthority { subject },
            Error::EndEntityUsedAsCa => PathError::NotAuthority { subject },
            Error::NameConstraintViolation => PathError::NameConstraint { subject },
            Error::PathLenConstraintViolated => PathError::PathLength { subject },
            Error::InvalidSignatureForPublicKey => PathError::Signature { subject },
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                PathError::WrongPurpose { subject, purpose: self.purpose }
            }
            Error::MaximumPathBuildCallsExceeded
            | Error::MaximumPathDepthExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => {
                PathError::TooLong { subject, limit: MAX_INTERMEDIATES }
            }
            Error::UnknownIssuer => PathError::UnknownIssuer { subject, issuer: self.leaf.issuer_display() },
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                PathError::UnsupportedAlgorithm { subject }
            }
            Error::UnsupportedCriticalExtension => PathError::CriticalExtension,
            // webpki's list is open; what is left are ways to be malformed.
            source => PathError::Malformed { source },
        }
    }

    /// The certificate that an error is about, the leaf if none fits.
    fn find(&self, fits: impl Fn(&&Certificate) -> bool) -> &Certificate {
        std::iter::once(self.leaf).chain(self.intermediates).find(fits).unwrap_or(self.leaf)
    }
}

struct Usage(Purpose);

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self.0 {
            Purpose::Any => Ok(()),
            Purpose::Client => KeyUsage::client_auth().validate(purposes),
            Purpose::Server => KeyUsage::server_auth().validate(purposes),
        }
    }
}

/// Every algorithm of [`super::SignatureAlgorithm`], and no other.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// A DER structure without its tag and length: webpki keeps names and keys of anchors like that.
fn contents(der: &[u8]) -> &[u8] {
    use der::Decode;
    der::asn1::AnyRef::from_der(der).map_or(der, |any| any.value())
}

fn unix(time: OffsetDateTime) -> Option<u64> {
    u64::try_from(time.unix_timestamp()).ok()
}

/// A moment as people and programs can read it: RFC 3339.
pub fn date(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

#[cfg(test)]
mod tests;
