use std::path::Path;
use std::sync::Arc;

use ca::cert::Fingerprint;
use ca::key::{KeyType, PrivateKey};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{NamedGroup, ProtocolVersion, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::own::{self, Own};
use crate::tls::{Tls, Versions};
use crate::{Pki, clock};

fn pki(dir: &Path) -> Pki {
    let (keys, init) = (crate::testing::keys(), crate::testing::plain_init());
    Pki::init(&dir.join("pki"), keys, &init, &crate::peer::own(), clock::now()).unwrap()
}

fn root(pki: &Pki) -> Authorities {
    Authorities::from_pem(&std::fs::read(pki.layout().root().join("root.crt")).unwrap()).unwrap()
}

/// Shakes hands with everybody until the runtime ends; each connection stays open.
async fn listen(config: Arc<ServerConfig>) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(acceptor.accept(stream).await);
        }
    });
    address.to_string().parse().unwrap()
}

fn dialer(address: &Address, verification: Verification) -> Dialer {
    Dialer::new(address.clone(), None, verification, Versions::Modern)
}

#[tokio::test]
async fn a_server_is_known_by_its_pin_or_by_authorities_and_else_not_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    let tls = Tls::open(pki.clone(), Versions::Modern, clock::now()).unwrap();
    let address = listen(tls.config.clone()).await;
    let own = own::in_place(&pki, Own::Service).unwrap().unwrap().fingerprint();

    let shown = look(&address, Versions::Modern).await.unwrap();
    assert_eq!(shown.fingerprint(), own);
    assert!(shown.is_verified(&root(&pki), &address, clock::now()));

    for verification in [Verification::Pin(own), Verification::Authorities(root(&pki))] {
        let stream = dialer(&address, verification).connect().await.unwrap();
        let connection = stream.get_ref().1;
        assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let group = connection.negotiated_key_exchange_group().map(|group| group.name());
        assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    }
    let other = Fingerprint::from_bytes([7; 32]);
    match dialer(&address, Verification::Pin(other)).connect().await {
        Err(DialError::Changed { pinned, shown, .. }) => {
            assert_eq!((pinned, shown.fingerprint()), (other, own));
        }
        ended => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn whoever_shows_the_pinned_certificate_without_its_key_is_not_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    let _made = Tls::open(pki.clone(), Versions::Modern, clock::now()).unwrap();
    let certificate = own::in_place(&pki, Own::Service).unwrap().unwrap();
    let key = PrivateKey::generate(KeyType::P384).unwrap().to_pem().unwrap();
    let key = any_supported_type(&PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
    let stolen = CertifiedKey::new(vec![CertificateDer::from(certificate.der().to_vec())], key);
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(stolen)));
    let address = listen(Arc::new(config)).await;
    let ended = dialer(&address, Verification::Pin(certificate.fingerprint())).connect().await;
    assert!(matches!(ended, Err(DialError::Unproven { .. })), "{ended:?}");
    // Nor is anybody asked whether it is the right one.
    let ended = look(&address, Versions::Modern).await;
    assert!(matches!(ended, Err(DialError::Unverified { .. })), "{ended:?}");
}

#[tokio::test]
async fn authorities_verify_their_own_servers_by_name_and_within_their_dates() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (pki, stranger) = (pki(one.path()), pki(other.path()));
    let tls = Tls::open(pki.clone(), Versions::Modern, clock::now()).unwrap();
    let address = listen(tls.config.clone()).await;
    let ended = dialer(&address, Verification::Authorities(root(&stranger))).connect().await;
    assert!(matches!(ended, Err(DialError::Unverified { .. })), "{ended:?}");
    let shown = look(&address, Versions::Modern).await.unwrap();
    let is_for = |text: &str, days| {
        let now = clock::now() + time::Duration::days(days);
        shown.is_verified(&root(&pki), &text.parse().unwrap(), now)
    };
    assert!(is_for("localhost", 0) && is_for("::1", 0));
    assert!(!is_for("127.0.0.2", 0) && !is_for("ca.example.org", 0));
    assert!(!is_for("localhost", 4_000) && !is_for("localhost", -2));
    assert!(!shown.is_verified(&root(&stranger), &address, clock::now()));
}

#[tokio::test]
async fn where_nobody_listens_or_nobody_speaks_tls_there_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let ended = look(&address, Versions::Modern).await;
    assert!(matches!(ended, Err(DialError::Handshake { .. })), "{ended:?}");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let ended = look(&free.parse().unwrap(), Versions::Modern).await;
    assert!(matches!(ended, Err(DialError::Unreached { .. })), "{ended:?}");
}
