//! Making certificate requests, RFC 2986.

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};

use super::private::PrivateKey;
use crate::cert::{CommonName, SubjectAltName, pem};

/// Why a request can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The encoder refused a name, or the key failed to sign.
    #[error("the certificate request can't be made")]
    Encoding {
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// A request in PEM, signed by `key`, for a common name and further names.
///
/// It asks for nothing else: usages, lifetime and the rest are the profile's.
pub fn make_csr(
    key: &PrivateKey,
    common_name: &CommonName,
    names: &[SubjectAltName],
) -> Result<String, RequestError> {
    let encoding = |source| RequestError::Encoding { source };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name.as_str());
    params.subject_alt_names = names.iter().map(san).collect::<Result<_, _>>().map_err(encoding)?;
    let request = params.serialize_request(key).map_err(encoding)?;
    Ok(pem::write("CERTIFICATE REQUEST", request.der()).to_string())
}

fn san(name: &SubjectAltName) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        SubjectAltName::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        SubjectAltName::Email(name) => SanType::Rfc822Name(name.as_str().try_into()?),
        SubjectAltName::Ip(address) => SanType::IpAddress(*address),
        SubjectAltName::Uri(name) => SanType::URI(name.as_str().try_into()?),
    })
}
