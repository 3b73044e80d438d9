//! What a finished handshake says about the client.

use std::net::IpAddr;

use ca::cert::Certificate;
use rustls::{CertificateError, Error};
use rustls_pki_types::CertificateDer;
use trust::{Holder, Presented};

/// The most certificates a client may send.
pub(super) const MOST: usize = 10;

/// A client's certificate can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client's certificate can't be read")]
pub(crate) struct Unreadable;

/// Who the client at `from` is: the holder of the first certificate's key. The others may lead from it to an
/// authority (RFC 8446 §4.4.2); of those, what can't be read is left out.
pub(crate) fn presented(chain: &[CertificateDer<'_>], from: IpAddr) -> Result<Presented, Unreadable> {
    let Some((end_entity, others)) = chain.split_first() else { return Ok(Presented::Nobody) };
    let end_entity = Certificate::from_der(end_entity).map_err(|_| Unreadable)?;
    let others = others.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
    Ok(Presented::Certificate(Holder::new(end_entity, others).coming_from(from)))
}

/// A certificate, as an error of the handshake if it can't be read.
pub(crate) fn parse(der: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(der).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}
