//! What OpenSSL makes of our certificates, for every type of key.

use crate::constraints::NameConstraints;
use crate::hierarchy::publish_certificates;
use crate::key::{KeyType, PrivateKey};
use crate::plan::{Order, Requester};
use crate::subject::{LeafKind, Subject};
use crate::testing::*;

/// Where a developer wants to look at what was made: `PKI_TEST_OUT=DIR cargo test -p ca interop`.
fn keep(name: &str, pem: &str) {
    if let Some(directory) = option_env!("PKI_TEST_OUT") {
        std::fs::write(std::path::Path::new(directory).join(name), pem).unwrap();
    }
}

#[test]
fn openssl_verifies_strictly_what_every_type_of_key_signs() {
    for key_type in [KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Ed25519, KeyType::Rsa2048] {
        let offered = KeyType::OFFERED.contains(&key_type);
        let authority = if offered { key_type } else { KeyType::P256 };
        let constraints = NameConstraints::parse(["example.com", "10.0.0.0/8", "2001:db8::/32"]).unwrap();
        let now = time::OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
        let pki = Pki::at(authority, constraints, now);
        publish_certificates(&pki.store, pki.directory.path(), now).unwrap();
        let key = leaf_key(key_type);
        let by = || Requester::local("test");
        let client = Subject::client(
            name("anna"),
            names(&["email:anna@example.com", "uri:spiffe://example.com/anna", "dns:anna.example.com"]),
        );
        let server = Subject::server(names(&[
            "dns:www.example.com",
            "dns:*.example.com",
            "ip:10.1.2.3",
            "ip:2001:db8::1",
        ]));
        let orders = [
            ("sslclient", Order::new(&csr_of(&key), LeafKind::Client, client.unwrap(), None, by())),
            ("sslserver", Order::new(&csr_of(&key), LeafKind::Server, server.unwrap(), None, by())),
        ];
        for (purpose, order) in orders {
            let issued = pki.desk().issue(&order, now).unwrap();
            let leaf = pki.path("leaf.crt");
            std::fs::write(&leaf, issued.certificate.to_pem()).unwrap();
            keep(&format!("{key_type}-{purpose}.crt"), &issued.certificate.to_pem());
            let (root, ca) = (pki.path("root.crt"), pki.path("ca.crt"));
            let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
            let time = now.unix_timestamp().to_string();
            openssl(&[
                "verify",
                "-x509_strict",
                "-purpose",
                purpose,
                "-attime",
                &time,
                "-CAfile",
                &path(&root),
                "-untrusted",
                &path(&ca),
                &path(&leaf),
            ])
            .unwrap_or_else(|said| panic!("{key_type} {purpose}: {said}"));
        }
        for file in ["root.crt", "ca.crt"] {
            keep(&format!("{key_type}-{file}"), &std::fs::read_to_string(pki.path(file)).unwrap());
        }
    }
}

/// Types that are read but never made come from OpenSSL.
fn leaf_key(key_type: KeyType) -> PrivateKey {
    if KeyType::OFFERED.contains(&key_type) {
        return PrivateKey::generate(key_type).unwrap();
    }
    let pem = match key_type {
        KeyType::P521 => openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        _ => openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    };
    PrivateKey::from_pem(pem.unwrap().as_bytes(), None).unwrap()
}
