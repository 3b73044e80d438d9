//! Reads what is about to be signed, independently of what wrote it, and refuses what breaks a rule.
//!
//! Policy is applied to these bytes, not to the request: whatever a bug or a clever request made of the
//! fields, this is what gets a signature or not. [`certificate()`] and [`list()`] are the only ways to a
//! [`Linted`], and a [`Linted`] is the only thing that [`crate::signer`] signs. Everything is checked
//! before the answer, so that it names all that is wrong at once.

mod certificate;
mod extensions;
mod form;
mod list;
mod names;
#[cfg(test)]
mod tests;

use std::fmt;

pub use certificate::certificate;
pub use list::list;

use crate::cert::{Fields, PublicKey};
use crate::key::KeyType;

/// Marks linted bytes as a TBSCertificate, and holds what was read there: nobody need read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForCertificate(Fields);

/// Marks linted bytes as a TBSCertList.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForList(());

/// To-be-signed bytes that broke no rule, for one signer's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linted<K> {
    tbs: Vec<u8>,
    algorithm: &'static [u8],
    signer: [u8; 32],
    kind: K,
}

impl<K> Linted<K> {
    /// Only this module's submodules get here, with no finding left.
    fn new(tbs: Vec<u8>, signer: &PublicKey, kind: K) -> Linted<K> {
        let algorithm = signature_algorithm(signer.key_type());
        Linted { tbs, algorithm, signer: signer.digest(), kind }
    }

    /// The bytes.
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// The bytes, given up.
    pub(crate) fn into_tbs(self) -> Vec<u8> {
        self.tbs
    }

    /// The AlgorithmIdentifier of the signature, DER; it stands inside the bytes as well.
    pub(crate) fn algorithm(&self) -> &'static [u8] {
        self.algorithm
    }

    /// SHA-256 of the key (SPKI) that they were linted for.
    pub(crate) fn signer(&self) -> &[u8; 32] {
        &self.signer
    }
}

impl Linted<ForCertificate> {
    /// What the bytes say, and the bytes.
    pub(crate) fn into_read(self) -> (Fields, Vec<u8>) {
        (self.kind.0, self.tbs)
    }
}

/// A rule for what we sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// authorityInfoAccess names the issuer's certificate, or is absent.
    AuthorityInfoAccess,
    /// AKI is the issuer's SKI.
    AuthorityKeyIdentifier,
    /// CA or not, and how far down.
    BasicConstraints,
    /// Not longer in force than its issuer.
    ChildInParent,
    /// CRLNumber is there and in range.
    CrlNumber,
    /// Exactly one distribution point, or none.
    DistributionPoint,
    /// Strict DER and nothing behind it.
    Encoding,
    /// Entries of a list.
    Entries,
    /// The purposes of the profile and no others.
    ExtendedKeyUsage,
    /// Known extensions, once each, critical where the rule says so.
    Extensions,
    /// The issuer's name, byte for byte.
    Issuer,
    /// A key that is strong enough.
    KeyStrength,
    /// The usages of the profile and no others, critical.
    KeyUsage,
    /// The constraints asked for; names within the issuer's.
    NameConstraints,
    /// The key that was asked for.
    PublicKey,
    /// The serial number.
    Serial,
    /// The algorithm of the issuer's key.
    SignatureAlgorithm,
    /// The subject that was asked for.
    Subject,
    /// The alternative names that were asked for.
    SubjectAltName,
    /// SKI follows from the key.
    SubjectKeyIdentifier,
    /// Dates: form, order and length.
    Validity,
    /// Version 3 of a certificate, 2 of a list.
    Version,
}

impl Rule {
    /// The field it is about, and where it is written down.
    pub fn reference(self) -> (&'static str, &'static str) {
        match self {
            Rule::AuthorityInfoAccess => ("authorityInfoAccess", "RFC 5280 §4.2.2.1"),
            Rule::AuthorityKeyIdentifier => ("authorityKeyIdentifier", "RFC 5280 §4.2.1.1, §5.2.1"),
            Rule::BasicConstraints => ("basicConstraints", "RFC 5280 §4.2.1.9"),
            Rule::ChildInParent => ("validity", "RFC 5280 §6.1.3"),
            Rule::CrlNumber => ("cRLNumber", "RFC 5280 §5.2.3"),
            Rule::DistributionPoint => ("cRLDistributionPoints", "RFC 5280 §4.2.1.13, §5.2.5"),
            Rule::Encoding => ("encoding", "X.690 §10"),
            Rule::Entries => ("revokedCertificates", "RFC 5280 §5.1.2.6, §5.3"),
            Rule::ExtendedKeyUsage => ("extendedKeyUsage", "RFC 5280 §4.2.1.12"),
            Rule::Extensions => ("extensions", "RFC 5280 §4.2"),
            Rule::Issuer => ("issuer", "RFC 5280 §4.1.2.4"),
            Rule::KeyStrength => ("subjectPublicKeyInfo", "BR 6.1.1.3"),
            Rule::KeyUsage => ("keyUsage", "RFC 5280 §4.2.1.3"),
            Rule::NameConstraints => ("nameConstraints", "RFC 5280 §4.2.1.10"),
            Rule::PublicKey => ("subjectPublicKeyInfo", "RFC 5280 §4.1.2.7"),
            Rule::Serial => ("serialNumber", "RFC 5280 §4.1.2.2"),
            Rule::SignatureAlgorithm => ("signature", "RFC 5280 §4.1.2.3"),
            Rule::Subject => ("subject", "RFC 5280 §4.1.2.6"),
            Rule::SubjectAltName => ("subjectAltName", "RFC 5280 §4.2.1.6"),
            Rule::SubjectKeyIdentifier => ("subjectKeyIdentifier", "RFC 5280 §4.2.1.2"),
            Rule::Validity => ("validity", "RFC 5280 §4.1.2.5, §5.1.2.4"),
            Rule::Version => ("version", "RFC 5280 §4.1.2.1, §5.1.2.1"),
        }
    }
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// How it is broken.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, written) = self.rule.reference();
        write!(f, "{field}: {} ({written})", self.detail)
    }
}

/// What must not be signed, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it breaks {} of our rules: {}", if findings.len() == 1 { "one".to_owned() } else { findings.len().to_string() }, findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("; "))]
pub struct LintError {
    /// The broken rules; never empty.
    pub findings: Vec<Finding>,
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Notes a finding unless the rule holds.
    fn demand(&mut self, rule: Rule, holds: bool, detail: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Finding { rule, detail: detail() });
        }
    }

    fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        self.0.push(Finding { rule, detail: detail.into() });
    }

    fn into_result(self) -> Result<(), LintError> {
        if self.0.is_empty() { Ok(()) } else { Err(LintError { findings: self.0 }) }
    }
}

/// Bytes that can't even be read.
fn unreadable(detail: impl Into<String>) -> LintError {
    LintError { findings: vec![Finding { rule: Rule::Encoding, detail: detail.into() }] }
}

/// The AlgorithmIdentifier, DER, that a key of a type signs with (RFC 5758 §3.2, RFC 8410 §3, RFC 4055 §5).
pub fn signature_algorithm(key: KeyType) -> &'static [u8] {
    match key {
        // ecdsa-with-SHA256, parameters absent
        KeyType::P256 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        // ecdsa-with-SHA384
        KeyType::P384 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
        // ecdsa-with-SHA512
        KeyType::P521 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
        // id-Ed25519
        KeyType::Ed25519 => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
        // sha256WithRSAEncryption, parameters NULL
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => {
            &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00]
        }
    }
}
