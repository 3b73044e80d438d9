use std::fs;
use std::path::Path;

use ca::cert::Certificate;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection,
    SupportedProtocolVersion,
};
use trust::Presented;

use super::*;
use crate::own::{self, Own};
use crate::testing::{at, made};

/// Where every client is.
const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A client that speaks `versions` and shows the certificate of one of our own with the key of another.
fn client(
    versions: &[&'static SupportedProtocolVersion],
    shown: Option<(&Pki, Own, Own)>,
) -> Arc<ClientConfig> {
    let shown = shown.map(|(pki, certificate, key)| {
        let read = |path| fs::read_to_string(path).unwrap();
        (read(certificate.certificate_path(pki)), read(key.key_path(pki)))
    });
    testing::client(versions, shown.as_ref().map(|(certificate, key)| (&**certificate, &**key)))
}

/// Hands octets to and fro until both are done; the errors of both sides if one gives up.
fn shake(
    client: &Arc<ClientConfig>,
    tls: &Tls,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(tls.config.clone()).unwrap();
    for _ in 0..10 {
        let mut octets = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut octets).unwrap();
        }
        let mut sent = &octets[..];
        while !sent.is_empty() {
            server.read_tls(&mut sent).unwrap();
            server.process_new_packets()?;
        }
        let mut octets = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut octets).unwrap();
        }
        let mut sent = &octets[..];
        while !sent.is_empty() {
            client.read_tls(&mut sent).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn fingerprint(presented: &Presented) -> Option<String> {
    match presented {
        Presented::Certificate(holder) => Some(holder.fingerprint().to_string()),
        Presented::InProcess | Presented::Local(_) | Presented::Nobody | Presented::Person(_) => None,
    }
}

fn who(server: &ServerConnection) -> Option<String> {
    fingerprint(&presented(server.peer_certificates().unwrap_or_default(), HERE).unwrap())
}

fn pki(directory: &Path) -> Pki {
    let pki = made(&directory.join("pki"));
    for own in Own::ALL {
        own::keep(&pki, own, at(0)).unwrap();
    }
    pki
}

fn shown_by(connection: &ClientConnection) -> Certificate {
    Certificate::from_der(&connection.peer_certificates().unwrap()[0]).unwrap()
}

#[test]
fn tls_1_2_is_refused_unless_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    let modern = Tls::open(pki.clone(), Versions::Modern, at(1)).unwrap();
    assert!(shake(&client(&[&TLS12], None), &modern).is_err());
    let (_, server) = shake(&client(&[&TLS12, &TLS13], None), &modern).unwrap();
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(server.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);

    let insecure = Tls::open(pki.clone(), Versions::Insecure, at(1)).unwrap();
    let (_, server) =
        shake(&client(&[&TLS12], Some((&pki, Own::Operator, Own::Operator))), &insecure).unwrap();
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = format!("{:?}", server.negotiated_cipher_suite().unwrap().suite());
    assert!(suite.contains("ECDHE"), "forward secrecy: {suite}");
    assert!(who(&server).is_some());
    for (asked, versions) in
        [(None, Versions::Modern), (Some("0"), Versions::Modern), (Some("1"), Versions::Insecure)]
    {
        assert_eq!(Versions::asked(asked), versions);
    }
}

#[test]
fn a_certificate_is_asked_for_and_its_key_proven_and_none_is_demanded() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    for (versions, protocol) in [(Versions::Modern, &TLS13), (Versions::Insecure, &TLS12)] {
        let tls = Tls::open(pki.clone(), versions, at(1)).unwrap();
        let (_, server) = shake(&client(&[protocol], None), &tls).unwrap();
        assert_eq!(who(&server), None);
        let operator = client(&[protocol], Some((&pki, Own::Operator, Own::Operator)));
        let (_, server) = shake(&operator, &tls).unwrap();
        let expected = own::in_place(&pki, Own::Operator).unwrap().unwrap().fingerprint().to_string();
        assert_eq!(who(&server), Some(expected));
        // Somebody else's certificate, and another key.
        let thief = client(&[protocol], Some((&pki, Own::Operator, Own::Service)));
        assert!(shake(&thief, &tls).is_err());
    }
}

#[test]
fn a_resumed_session_shows_the_certificate_again() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki(dir.path());
    let tls = Tls::open(pki.clone(), Versions::Modern, at(1)).unwrap();
    let client = client(&[&TLS13], Some((&pki, Own::Operator, Own::Operator)));
    let (_, first) = shake(&client, &tls).unwrap();
    let (_, second) = shake(&client, &tls).unwrap();
    assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(who(&second).is_some());
    assert_eq!(who(&second), who(&first));
}

#[test]
fn the_services_certificate_is_made_anew_when_its_files_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let tls = Tls::open(pki.clone(), Versions::Modern, at(1)).unwrap();
    let shown = || shown_by(&shake(&client(&[&TLS13], None), &tls).unwrap().0);
    let first = shown();
    assert_eq!(first.public_key().key_type(), ca::key::KeyType::P384);
    let issuing = ca::authority::Current::load(pki.store()).unwrap().issuing;
    let issuing = Certificate::from_der(&issuing.record.certificate.unwrap()).unwrap();
    assert!(first.verify_signed_by(&issuing).is_ok());
    assert!(tls.own.is_current());
    assert_eq!(shown().fingerprint(), first.fingerprint());

    for path in
        [Own::Service.certificate_path(&pki), Own::Service.chain_path(&pki), Own::Service.key_path(&pki)]
    {
        fs::remove_file(path).unwrap();
    }
    assert!(!tls.own.is_current());
    tls.own.refresh(at(2)).unwrap();
    let second = shown();
    assert_ne!(second.public_key(), first.public_key());
    assert!(second.verify_signed_by(&issuing).is_ok());

    // One that can't be read is an error, and the last good one stays.
    fs::write(Own::Service.chain_path(&pki), "nonsense").unwrap();
    assert!(tls.own.refresh(at(3)).is_err());
    assert_eq!(shown().fingerprint(), second.fingerprint());
}

#[test]
fn what_cannot_be_read_is_nobodys_certificate() {
    assert!(presented(&[CertificateDer::from(vec![0x30, 0])], HERE).is_err());
    assert!(matches!(presented(&[], HERE), Ok(Presented::Nobody)));
}
