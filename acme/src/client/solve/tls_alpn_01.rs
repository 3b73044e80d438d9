//! The certificates that prove names by TLS-ALPN-01 (RFC 8737), shared between an order and a listener.
//!
//! A validator offers `acme-tls/1` and nothing else, names the host by SNI (an address by its name in the
//! reverse zone, RFC 8738 §6), and looks at one thing: a critical extension with the digest of the key
//! authorization. The certificate is good for nothing else: it is self-signed, and the connection ends
//! with the handshake.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::proof::{Answer, Challenges, Doing, Method, Proof, done, of_another_method};

/// The protocol that a validator offers (RFC 8737 §6.2).
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// The certificates of one listener; every clone is the same board.
#[derive(Clone, Default)]
pub struct TlsBoard(Arc<RwLock<HashMap<String, Arc<CertifiedKey>>>>);

impl fmt::Debug for TlsBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBoard").finish_non_exhaustive()
    }
}

impl TlsBoard {
    /// The certificate to show a validator that asks for `server_name`; `None` to refuse it.
    pub fn answer(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let name = server_name.trim_end_matches('.').to_ascii_lowercase();
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }
}

impl Challenges for TlsBoard {
    fn method(&self) -> Method {
        Method::TlsAlpn01
    }

    fn publish<'a>(&'a self, proof: &'a Proof) -> Doing<'a> {
        let Answer::TlsAlpn { digest } = &proof.answer else { return done(Err(of_another_method())) };
        done(certificate(&proof.name, digest).map(|made| {
            let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
            shown.insert(asked_as(&proof.name), Arc::new(made));
        }))
    }

    fn withdraw(&self, proof: &Proof) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&asked_as(&proof.name));
    }
}

/// The certificate of RFC 8737 §3: one name, the digest, signed by itself.
fn certificate(name: &str, digest: &[u8]) -> io::Result<CertifiedKey> {
    if digest.len() != 32 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the digest of a challenge has 32 octets"));
    }
    let subject = match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_a_host) => SanType::DnsName(name.try_into().map_err(io::Error::other)?),
    };
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![subject];
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let made = params.self_signed(&key).map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = any_supported_type(&key).map_err(io::Error::other)?;
    Ok(CertifiedKey::new(vec![made.der().clone()], key))
}

/// What a validator sends as SNI for a name: of an address the name in the reverse zone (RFC 8738 §6).
fn asked_as(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
        Err(_a_host) => name.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use ca::cert::Certificate;

    use super::*;

    fn proof(name: &str) -> Proof {
        Proof { name: name.to_owned(), answer: Answer::TlsAlpn { digest: vec![7; 32] } }
    }

    #[tokio::test]
    async fn a_certificate_is_shown_for_its_name_until_it_is_withdrawn() {
        let board = TlsBoard::default();
        let proof = proof("Www.example");
        assert!(board.answer("www.example").is_none());
        board.publish(&proof).await.unwrap();
        let shown = board.clone().answer("WWW.example").unwrap();
        let certificate = Certificate::from_der(&shown.cert[0]).unwrap();
        assert_eq!(certificate.names().len(), 1);
        // id-pe-acmeIdentifier, critical, an OCTET STRING of the 32 octets in the OCTET STRING of the
        // extension (RFC 8737 §3).
        let mut expected = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff\x04\x22\x04\x20".to_vec();
        expected.extend([7; 32]);
        assert!(shown.cert[0].windows(expected.len()).any(|part| part == expected));
        assert!(board.answer("other.example").is_none());
        board.withdraw(&proof);
        assert!(board.answer("www.example").is_none());
    }

    #[tokio::test]
    async fn an_address_is_asked_for_by_its_name_in_the_reverse_zone() {
        let board = TlsBoard::default();
        board.publish(&proof("192.0.2.1")).await.unwrap();
        board.publish(&proof("2001:db8::1")).await.unwrap();
        assert!(board.answer("1.2.0.192.in-addr.arpa").is_some());
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert!(board.answer(v6).is_some());
    }

    #[tokio::test]
    async fn another_kind_of_proof_is_refused() {
        let other = Answer::Dns { value: String::new() };
        let proof = Proof { name: "a.example".to_owned(), answer: other };
        assert!(TlsBoard::default().publish(&proof).await.is_err());
    }
}
