//! A client's own certificate, which nobody else signs: others trust it by itself.
//!
//! It is no authority's, so it goes through neither profile nor inventory. It can never sign another.

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SerialNumber,
};

use super::private::PrivateKey;
use super::request::RequestError;
use crate::cert::{CommonName, Serial, pem};
use crate::profile::Validity;

/// A self-signed certificate in PEM for a TLS client (RFC 5280 §4.2.1.12).
///
/// # Errors
/// [`RequestError::Encoding`].
pub fn self_signed_client(
    key: &PrivateKey,
    common_name: &CommonName,
    serial: &Serial,
    validity: Validity,
) -> Result<String, RequestError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name.as_str());
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(key).map_err(|source| RequestError::Encoding { source })?;
    Ok(pem::write("CERTIFICATE", certificate.der()).to_string())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::cert::Certificate;
    use crate::key::KeyType;

    #[test]
    fn it_is_for_a_client_and_signed_by_itself() {
        let key = PrivateKey::generate(KeyType::P384).unwrap();
        let (not_before, not_after) = (datetime!(2026-01-01 0:00 UTC), datetime!(2036-01-01 0:00 UTC));
        let serial = Serial::from_bytes(&[0x5a; 16]).unwrap();
        let validity = Validity { not_before, not_after };
        let pem = self_signed_client(&key, &"alice@desk".parse().unwrap(), &serial, validity).unwrap();
        let certificate = Certificate::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(certificate.common_name(), Some("alice@desk"));
        assert_eq!((certificate.not_before(), certificate.not_after()), (not_before, not_after));
        assert_eq!(certificate.serial(), serial);
        assert_eq!(certificate.public_key(), key.public_key());
        certificate.verify_signed_by(&certificate).unwrap();
        assert!(!certificate.is_ca());
        let usage = certificate.extended_key_usage().unwrap();
        assert!(usage.client_auth() && !usage.server_auth() && !usage.any());
    }
}
