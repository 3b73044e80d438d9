//! What comes in from strangers as DER or PEM: requests, certificates, lists, keys.

use ca::cert::{Certificate, Csr, Fingerprint, PublicKey, Serial, SubjectAltName};
use ca::key::PrivateKey;
use crl::ParsedList;
use x509_cert::der::{Decode, Encode};

use super::now;

/// A request that is accepted has a strong key, is read again from its DER as the same, and another
/// parser writes the same octets for it.
pub fn csr(data: &[u8]) {
    let Ok(csr) = Csr::from_pem_or_der(data) else { return };
    strong(csr.public_key());
    assert!(Csr::from_pem_or_der(csr.der()) == Ok(csr.clone()), "a request read from its own DER differs");
    assert!(csr.der() == data || data.first() != Some(&0x30), "a request's DER is not the DER that came in");
    written_again::<x509_cert::request::CertReq>(csr.der());
    if let Ok(names) = csr.accepted_names() {
        names.iter().for_each(one_spelling);
    }
}

/// A certificate that is read is one and the same in DER and PEM, and its parts are readable on
/// their own.
pub fn certificate(data: &[u8]) {
    let read = match data.first() {
        Some(0x30) => Certificate::from_der(data),
        _ => Certificate::from_pem(data),
    };
    if let Ok(bundle) = Certificate::pem_bundle(data) {
        assert!(!bundle.is_empty(), "an empty bundle");
        let text: String = bundle.iter().map(Certificate::to_pem).collect();
        assert!(Certificate::pem_bundle(text.as_bytes()) == Ok(bundle), "a bundle written again differs");
    }
    let Ok(certificate) = read else { return };
    let der = certificate.der();
    assert!(Certificate::from_der(der).as_ref() == Ok(&certificate), "a certificate in DER differs");
    assert!(
        Certificate::from_pem(certificate.to_pem().as_bytes()).as_ref() == Ok(&certificate),
        "a certificate in PEM differs"
    );
    let serial = certificate.serial();
    assert_eq!(Serial::from_hex(&serial.to_string()), Ok(serial));
    assert_eq!(Serial::from_der_content(&serial.der_content()), Ok(serial));
    assert_eq!(certificate.fingerprint(), Fingerprint::of(der));
    assert_eq!(certificate.fingerprint().to_string().parse(), Ok(certificate.fingerprint()));
    let key = certificate.public_key();
    assert!(PublicKey::from_spki(key.spki_der()).as_ref() == Ok(key), "a public key read again differs");
    certificate.names().iter().for_each(one_spelling);
    for text in [certificate.subject_display(), certificate.issuer_display()] {
        assert!(!text.chars().any(char::is_control), "{text:?} would steer a terminal");
    }
    // A signature by the wrong key is an error, never a panic; by its own it depends.
    let _ = certificate.verify_signed_by(&certificate);
    let _ = ca::cert::verify_path(&certificate, &[], std::slice::from_ref(&certificate), purpose(), now());
}

fn purpose() -> ca::cert::Purpose {
    ca::cert::Purpose::Client
}

/// A list that is read is read again from its DER with the same content, and its report counts what
/// it names.
pub fn crl(data: &[u8]) {
    let Ok(list) = ParsedList::read(data) else { return };
    let Ok(again) = ParsedList::read(list.der()) else { panic!("a list is not read from its own DER") };
    assert_eq!(again.der(), list.der());
    assert_eq!(again.serials(), list.serials());
    assert_eq!((again.number(), again.is_whole()), (list.number(), list.is_whole()));
    assert_eq!((again.this_update(), again.next_update()), (list.this_update(), list.next_update()));
    let Ok(report) = list.report(None, now()) else { panic!("a list that was read has no report") };
    assert_eq!((report.entries, report.size), (list.serials().len(), list.der().len()));
    assert_eq!(report.number, list.number());
    if let Some(number) = list.number() {
        assert_eq!(crl::CrlNumber::from_be_bytes(number.der_content()), Ok(number));
    }
    for serial in list.serials() {
        assert_eq!(Serial::from_der_content(&serial.der_content()), Ok(*serial));
    }
    if list.is_whole() {
        let once: std::collections::BTreeSet<_> = list.serials().iter().collect();
        assert_eq!(once.len(), list.serials().len(), "a list that names a certificate twice is whole");
    }
}

/// A private key that is read is strong, signs what its public key verifies, and is read again from
/// the PEM that we write.
pub fn private_key_pem(data: &[u8]) {
    let Ok(key) = PrivateKey::from_pem(data, None) else { return };
    strong(key.public_key());
    let Ok(pem) = key.to_pem() else { panic!("a key that was read can't be written") };
    let Ok(again) = PrivateKey::from_pem(pem.as_bytes(), None) else {
        panic!("a key that was written can't be read")
    };
    assert!(again.public_key() == key.public_key(), "a key written again is another");
    let message = b"a fuzzed key signs";
    let Ok(signature) = key.sign(message) else { panic!("a key that was read does not sign") };
    let verified = key.signature_algorithm().verify(key.public_key(), message, &signature);
    assert_eq!(verified, Ok(()), "the public key is not the private key's");
}

fn strong(key: &PublicKey) {
    assert_eq!(key.check_strength(), Ok(()), "a weak key was accepted");
    assert!(PublicKey::from_spki(key.spki_der()).as_ref() == Ok(key), "a public key read again differs");
}

/// A second parser, whose writing of DER is strict, writes what it read to the octet.
fn written_again<T: for<'d> Decode<'d> + Encode>(der: &[u8]) {
    let Ok(value) = T::from_der(der) else { return };
    assert!(value.to_der().as_deref() == Ok(der), "written again, the DER differs: it was not strict");
}

fn one_spelling(name: &SubjectAltName) {
    assert_eq!(name.to_string().parse().as_ref(), Ok(name));
}
