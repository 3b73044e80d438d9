//! Authorities that are not ours, with their clients and lists.

use ca::cert::Certificate;
use ca::key::{KeyType, PrivateKey};
use crl::ParsedList;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::ops::Error;
use crate::ops::trust::authority::{AuthorityImport, AuthorityImported};
use crate::{Pki, clock};

/// An authority.
pub(crate) struct Foreign {
    params: CertificateParams,
    key: PrivateKey,
    pub(crate) certificate: Certificate,
}

/// A certificate of one, with its key.
pub(crate) struct Client {
    pub(crate) certificate: Certificate,
    pub(crate) key: PrivateKey,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) =
        (clock::now() - Duration::days(30), clock::now() + Duration::days(300));
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = Vec::new();
    params
}

impl Foreign {
    /// One that signed itself.
    pub(crate) fn root(name: &str) -> Foreign {
        let (params, key) = (authority(name), PrivateKey::generate(KeyType::P256).unwrap());
        let certificate = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
        Foreign { params, key, certificate }
    }

    /// One that this one signed.
    pub(crate) fn below(&self, name: &str) -> Foreign {
        let params = authority(name);
        let Client { certificate, key } = self.sign(&params);
        Foreign { params, key, certificate }
    }

    fn sign(&self, params: &CertificateParams) -> Client {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = Certificate::from_der(params.signed_by(&key, &issuer).unwrap().der()).unwrap();
        Client { certificate, key }
    }

    pub(crate) fn client(&self, name: &str) -> Client {
        self.sign(&params(name))
    }

    /// A client whose certificate is not the usual one.
    pub(crate) fn odd(&self, change: impl FnOnce(&mut CertificateParams)) -> Client {
        let mut params = params("odd");
        change(&mut params);
        self.sign(&params)
    }

    /// A list in PEM: its number, whom it names.
    pub(crate) fn list(&self, number: u64, revoked: &[&Client]) -> String {
        self.odd_list(number, revoked, |_| ())
    }

    /// A list that is not the usual one.
    pub(crate) fn odd_list(
        &self,
        number: u64,
        revoked: &[&Client],
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> String {
        pem(&self.list_der(number, revoked, change))
    }

    /// A delta list (RFC 5280 §5.2.4): like one with a scope, whose extension has another name.
    pub(crate) fn delta(&self, number: u64, revoked: &[&Client]) -> String {
        const SCOPE: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x1c];
        let der = self.list_der(number, revoked, |params| {
            params.issuing_distribution_point = Some(scope("http://foreign.example/delta.crl"));
        });
        let (tbs, rest) = tlv(&der[tlv_head(&der)..]);
        let (algorithm, _) = tlv(rest);
        let mut tbs = tbs.to_vec();
        let at = tbs.windows(SCOPE.len()).position(|window| window == SCOPE).unwrap();
        tbs[at + SCOPE.len() - 1] = 0x1b;
        let mut signature = vec![0];
        signature.extend(self.key.sign(&tbs).unwrap());
        pem(&wrapped(0x30, &[&tbs[..], algorithm, &wrapped(0x03, &signature)].concat()))
    }

    fn list_der(
        &self,
        number: u64,
        revoked: &[&Client],
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> Vec<u8> {
        let now = clock::now();
        let entry = |client: &&Client| RevokedCertParams {
            serial_number: SerialNumber::from_slice(client.certificate.serial().as_bytes()),
            revocation_time: now - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        };
        let mut params = CertificateRevocationListParams {
            this_update: now - Duration::days(1),
            next_update: now + Duration::days(6),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&issuer).unwrap().der().to_vec()
    }

    /// Imports it with these lists, as `pki trust ca add` does.
    pub(crate) fn import(&self, pki: &Pki, lists: &str) -> Result<AuthorityImported, Error> {
        let import = AuthorityImport { certificates: self.certificate.to_pem(), lists: lists.to_owned() };
        pki.run(import, &trust::Presented::InProcess, clock::now())
    }
}

/// That a list speaks for what is served at one place only (RFC 5280 §5.2.5).
pub(crate) fn scope(uri: &str) -> rcgen::CrlIssuingDistributionPoint {
    let distribution_point = rcgen::CrlDistributionPoint { uris: vec![uri.to_owned()] };
    rcgen::CrlIssuingDistributionPoint { distribution_point, scope: None }
}

/// The end of a life that is over, for lists and certificates.
pub(crate) fn an_hour_ago() -> OffsetDateTime {
    clock::now() - Duration::hours(1)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    assert!(ParsedList::read(der).is_ok());
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n"))
}

/// Octets of the tag and the length that a value begins with.
fn tlv_head(der: &[u8]) -> usize {
    if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) }
}

/// The first value of some DER, and what stands behind it.
fn tlv(der: &[u8]) -> (&[u8], &[u8]) {
    let head = tlv_head(der);
    let length = match head {
        2 => usize::from(der[1]),
        _ => der[2..head].iter().fold(0, |length, octet| length << 8 | usize::from(*octet)),
    };
    der.split_at(head + length)
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head: &[u8] = match content.len() {
        0..=127 => &[tag, length[1]],
        128..=255 => &[tag, 0x81, length[1]],
        _ => &[tag, 0x82, length[0], length[1]],
    };
    [head, content].concat()
}
