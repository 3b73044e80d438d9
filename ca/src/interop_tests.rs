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

#[test]
fn domains_alone_exclude_addresses_for_openssl_and_webpki() {
    let now = time::OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
    // What it is held to, a server within, and a name outside.
    let table = [
        ("example.com", "dns:www.example.com", "IP:192.0.2.1"),
        ("example.com", "dns:www.example.com", "IP:2001:db8::1"),
        ("10.0.0.0/8", "ip:10.1.2.3", "IP:192.0.2.1"),
    ];
    for (held, within, outside) in table {
        let pki = Pki::at(KeyType::P256, NameConstraints::parse([held]).unwrap(), now);
        publish_certificates(&pki.store, pki.directory.path(), now).unwrap();
        let issuer = pki.made.issuing.certificate().key_id();
        let text = |name: &str| pki.path(name).to_str().unwrap().to_owned();
        let verdicts = |leaf: &crate::cert::Certificate, now: time::OffsetDateTime| {
            std::fs::write(pki.path("leaf.crt"), leaf.to_pem()).unwrap();
            let (time, root, ca) = (now.unix_timestamp().to_string(), text("root.crt"), text("ca.crt"));
            let file = text("leaf.crt");
            let by_openssl = openssl(&[
                "verify",
                "-x509_strict",
                "-attime",
                &time,
                "-CAfile",
                &root,
                "-untrusted",
                &ca,
                &file,
            ]);
            let read =
                |name| crate::cert::Certificate::from_pem(&std::fs::read(pki.path(name)).unwrap()).unwrap();
            let purpose = crate::cert::Purpose::Any;
            let by_webpki =
                crate::cert::verify_path(leaf, &[read("ca.crt")], &[read("root.crt")], purpose, now);
            (by_openssl.is_ok(), by_webpki.is_ok())
        };
        let key = leaf_key(KeyType::P256);
        let by = || Requester::local("test");
        let client = Subject::client(name("anna"), names(&["email:anna@example.org"])).unwrap();
        let bare = Subject::client(name("berta"), Vec::new()).unwrap();
        let server = Subject::server(names(&[within])).unwrap();
        for (kind, subject) in
            [(LeafKind::Client, client), (LeafKind::Client, bare), (LeafKind::Server, server)]
        {
            let order = Order::new(&csr_of(&key), kind, subject, None, by());
            let issued = pki.desk().issue(&order, now).unwrap();
            assert_eq!(verdicts(&issued.certificate, now), (true, true), "{held}");
        }
        // What a thief of the key could sign, past our own rules.
        std::fs::write(pki.path("leaf.key"), &*key.to_pem().unwrap()).unwrap();
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName={outside}\n"
        );
        std::fs::write(pki.path("extensions"), extensions).unwrap();
        let signer = pki.keyring.issuing_path(&issuer).to_str().unwrap().to_owned();
        openssl(&[
            "req",
            "-new",
            "-key",
            &text("leaf.key"),
            "-subj",
            "/CN=thief",
            "-out",
            &text("thief.csr"),
        ])
        .unwrap();
        openssl(&[
            "x509",
            "-req",
            "-in",
            &text("thief.csr"),
            "-CA",
            &text("ca.crt"),
            "-CAkey",
            &signer,
            "-extfile",
            &text("extensions"),
            "-days",
            "3650",
            "-out",
            &text("thief.crt"),
        ])
        .unwrap();
        let thief = std::fs::read(pki.path("thief.crt")).unwrap();
        let thief = crate::cert::Certificate::from_pem(&thief).unwrap();
        assert_eq!(verdicts(&thief, thief.not_before().max(now)), (false, false), "{held} and {outside}");
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
