//! Which certificate a handshake is answered with.
//!
//! A validator of TLS-ALPN-01 gets the one that proves the name (RFC 8737), whoever asks for a name of
//! `acme.domain` the one that the authority issued for it, and everybody else the service's own. Clients
//! that pinned that one never see another, however often the others are renewed.
//!
//! The certificates of clients are none of this module's business: all three are shown under the same
//! configuration, so that no renewal touches what is demanded of a client.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use acme::client::solve::tls_alpn_01::PROTOCOL;
use ca::cert::{Certificate, SubjectAltName};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use store::file::read_secret;

use super::own::{OwnCertificate, OwnCertificateError};
use crate::Pki;

/// A certificate from an ACME authority, as it is shown.
#[derive(Debug)]
pub struct Served {
    names: Vec<String>,
    serial: String,
    key: Arc<CertifiedKey>,
}

impl Served {
    /// Reads certificate, chain and key from the one file that holds all of them.
    pub(crate) fn read(bundle: &Path) -> Result<Served, OwnCertificateError> {
        let unusable = |reason: String| OwnCertificateError::Unusable { path: bundle.to_owned(), reason };
        let pem = read_secret(bundle)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(error.to_string()))?;
        let key = any_supported_type(&key).map_err(|error| unusable(error.to_string()))?;
        let leaf = chain.first().ok_or_else(|| unusable("it holds no certificate".to_owned()))?;
        let leaf = Certificate::from_der(leaf).map_err(|error| unusable(error.to_string()))?;
        let host = |name: &SubjectAltName| match name {
            SubjectAltName::Dns(name) => Some(name.to_string()),
            SubjectAltName::Email(_) | SubjectAltName::Ip(_) | SubjectAltName::Uri(_) => None,
        };
        let names: Vec<String> = leaf.names().iter().filter_map(host).collect();
        let serial = leaf.serial().to_string();
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| unusable(error.to_string()))?;
        Ok(Served { names, serial, key: Arc::new(certified) })
    }

    /// Its serial number, hex.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Whether it is for a host (RFC 9525 §6.3: a wildcard stands for one label).
    fn is_for(&self, host: &str) -> bool {
        let rest = host.split_once('.').map(|(_label, rest)| rest);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => rest.is_some_and(|rest| rest.eq_ignore_ascii_case(parent)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}

/// The certificate of `acme.domain` as it lies in place; `None` while none is wanted or there is none yet.
pub(crate) fn in_place(pki: &Pki) -> Result<Option<Served>, crate::ops::Error> {
    let settings = pki.settings()?;
    let Some(first) = settings.acme().and_then(|wish| wish.domains.into_iter().next()) else {
        return Ok(None);
    };
    let bundle = crate::ops::acme::folder(pki, &first).join("haproxy.pem");
    match fs::symlink_metadata(&bundle) {
        // It is for HAProxy's start alone: our own certificate is better.
        Ok(_found) if haproxy::placeholder::lies_at(&bundle) => Ok(None),
        Ok(_found) => Ok(Some(Served::read(&bundle).map_err(crate::ops::Error::Served)?)),
        Err(_absent) => Ok(None),
    }
}

/// Answers every handshake.
pub(super) struct ByName {
    own: Arc<OwnCertificate>,
    pki: Pki,
}

impl std::fmt::Debug for ByName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByName").field("own", &self.own).finish_non_exhaustive()
    }
}

impl ByName {
    pub(super) fn new(own: Arc<OwnCertificate>, pki: Pki) -> ByName {
        ByName { own, pki }
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        if hello.alpn().is_some_and(|mut offered| offered.all(|protocol| protocol == PROTOCOL)) {
            return self.pki.tls_challenges().answer(name?);
        }
        let obtained = self.pki.acme_served();
        if let (Some(name), Some(obtained)) = (name, obtained.as_deref())
            && obtained.is_for(name)
        {
            return Some(Arc::clone(&obtained.key));
        }
        self.own.resolve(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let key = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let der = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let certified = CertifiedKey::new(vec![key.cert.der().clone()], any_supported_type(&der).unwrap());
        let names = vec!["a.example".to_owned(), "*.b.example".to_owned()];
        let served = Served { names, serial: String::new(), key: Arc::new(certified) };
        for (host, is) in [
            ("a.example", true),
            ("A.Example", true),
            ("x.a.example", false),
            ("x.b.example", true),
            ("b.example", false),
            ("x.y.b.example", false),
            ("example", false),
        ] {
            assert_eq!(served.is_for(host), is, "{host}");
        }
    }
}
