//! Adopts what OpenSSL made.

use std::path::{Path, PathBuf};

use store::Store;
use time::Duration;

use super::*;
use crate::authority::Current;
use crate::index_txt;
use crate::inventory;
use crate::issue::Desk;
use crate::testing::*;

/// OpenSSL dates what it makes by the machine's clock, so these tests look at it from a little later.
fn now() -> OffsetDateTime {
    let written = tempfile::NamedTempFile::new().unwrap();
    let modified = written.as_file().metadata().unwrap().modified().unwrap();
    OffsetDateTime::from(modified) + Duration::MINUTE
}

struct Made {
    directory: tempfile::TempDir,
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) {
        let quoted: Vec<String> = arguments
            .iter()
            .map(|argument| argument.replace("DIR", self.directory.path().to_str().unwrap()))
            .collect();
        openssl(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
            .unwrap_or_else(|said| panic!("{said}"));
    }

    /// A self-signed CA with this subject and these options.
    fn ca(subject: &str, key: &[&str], options: &[&str]) -> Made {
        let made = Made { directory: tempfile::tempdir().unwrap() };
        let mut arguments = vec!["req", "-x509", "-newkey"];
        arguments.extend(key);
        arguments.extend([
            "-nodes",
            "-days",
            "3650",
            "-subj",
            subject,
            "-keyout",
            "DIR/ca.key",
            "-out",
            "DIR/ca.crt",
        ]);
        arguments.extend(options);
        made.run(&arguments);
        made
    }

    fn usual() -> Made {
        Made::ca("/C=DE/O=Old/CN=Old CA", P256, USUAL)
    }

    fn certificates(&self) -> Vec<Certificate> {
        Certificate::pem_bundle(&std::fs::read(self.path("ca.crt")).unwrap()).unwrap()
    }

    fn key(&self) -> PrivateKey {
        PrivateKey::from_pem(&std::fs::read(self.path("ca.key")).unwrap(), None).unwrap()
    }

    fn adopt(&self) -> Adopt {
        Adopt { certificates: self.certificates(), key: self.key(), index: vec![], issued: vec![] }
    }

    fn decide(&self, adopt: Adopt) -> Result<Adoption, AdoptError> {
        decide(adopt, &self.keyring(), "test", now())
    }

    fn keyring(&self) -> Keyring {
        keyring(self.directory.path())
    }
}

const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const USUAL: &[&str] = &["-addext", "keyUsage=critical,keyCertSign,cRLSign"];

/// Issues with an adopted CA, and lets OpenSSL verify the leaf with what `decide` recorded.
fn issues_and_verifies(made: &Made, adoption: Adoption, strict: bool) {
    let (store, keyring) = (Store::in_memory(), made.keyring());
    adoption.commit(&store, &keyring).unwrap();
    crate::hierarchy::publish_certificates(&store, made.directory.path(), now()).unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let current = Current::followed(&store);
    let desk =
        Desk { store: &store, current: &current, keyring: &keyring, policy: &policy(), random: &random };
    let issued = desk.issue(&server(&["dns:www.example.com"]), now()).unwrap();
    std::fs::write(made.path("leaf.crt"), issued.certificate.to_pem()).unwrap();
    let mut arguments = vec!["verify", "-CAfile", "DIR/root.crt", "-untrusted", "DIR/chain.crt"];
    let at = now().unix_timestamp().to_string();
    arguments.extend(["-attime", &at]);
    if strict {
        arguments.push("-x509_strict");
    }
    arguments.push("DIR/leaf.crt");
    made.run(&arguments);
}

#[test]
fn a_self_signed_ca_becomes_root_and_issuing_ca_in_one() {
    let made = Made::usual();
    let adoption = made.decide(made.adopt()).unwrap();
    assert_eq!(adoption.issuing.role, Role::RootAndIssuing);
    assert_eq!(adoption.root, adoption.issuing);
    assert_eq!(adoption.notes, []);
    // OpenSSL makes its SKI by SHA-1: it must come out in the AKI as it stands.
    let ski = adoption.issuer.certificate().key_identifier().to_vec();
    assert_ne!(ski, adoption.issuer.certificate().public_key().key_id().as_bytes());
    issues_and_verifies(&made, adoption, true);
}

/// A CA as OpenSSL made them before it wrote UTF-8.
fn old_style(subject: &str) -> Made {
    let made = Made { directory: tempfile::tempdir().unwrap() };
    let config = "[req]\ndistinguished_name=d\nstring_mask=nombstr\n[d]\n";
    std::fs::write(made.path("old.cnf"), config).unwrap();
    made.run(
        &[
            &["req", "-x509", "-config", "DIR/old.cnf", "-newkey", "rsa:2048", "-nodes", "-days", "3650"][..],
            &["-subj", subject, "-utf8", "-keyout", "DIR/ca.key", "-out", "DIR/ca.crt"],
            &["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectKeyIdentifier=hash"],
            USUAL,
        ]
        .concat(),
    );
    made
}

#[test]
fn an_old_rsa_ca_keeps_the_encoding_of_its_name() {
    let made = old_style("/C=DE/ST=Berlin/L=Berlin/O=Old/OU=IT/CN=Old CA");
    let subject = made.certificates()[0].subject_raw().to_vec();
    assert!(subject.windows(4).any(|window| window == [0x04, 0x0a, 0x13, 0x03]), "O is a PrintableString");
    issues_and_verifies(&made, made.decide(made.adopt()).unwrap(), true);
    // Octets of a T61String beyond ASCII can't be kept: that is said, not papered over.
    let told = old_style("/O=Müller/CN=Old CA");
    let told = told.decide(told.adopt()).unwrap_err();
    assert!(matches!(told, AdoptError::Issuer(IssuerError::Name { .. })), "{told}");
}

#[test]
fn a_ca_without_key_usage_is_adopted_with_a_note() {
    let made = Made::ca("/CN=Old CA", P256, &[]);
    let adoption = made.decide(made.adopt()).unwrap();
    assert_eq!(adoption.notes, [Note::NoKeyUsage]);
    issues_and_verifies(&made, adoption, false);
}

#[test]
fn a_ca_below_a_root_brings_its_root() {
    let made = Made::ca("/CN=Old Root", P256, USUAL);
    made.run(&[
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=Old Sub",
        "-keyout",
        "DIR/sub.key",
        "-out",
        "DIR/sub.csr",
    ]);
    std::fs::write(
        made.path("ext"),
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
    )
    .unwrap();
    made.run(&[
        "x509",
        "-req",
        "-in",
        "DIR/sub.csr",
        "-CA",
        "DIR/ca.crt",
        "-CAkey",
        "DIR/ca.key",
        "-CAcreateserial",
        "-days",
        "1000",
        "-extfile",
        "DIR/ext",
        "-out",
        "DIR/sub.crt",
    ]);
    let sub = || Certificate::from_pem(&std::fs::read(made.path("sub.crt")).unwrap()).unwrap();
    let key = || PrivateKey::from_pem(&std::fs::read(made.path("sub.key")).unwrap(), None).unwrap();
    let root = made.certificates();
    let adopt =
        |certificates: Vec<Certificate>| Adopt { certificates, key: key(), index: vec![], issued: vec![] };
    let alone = made.decide(adopt(vec![sub()])).unwrap_err();
    assert!(matches!(alone, AdoptError::NoRoot { .. }), "{alone}");
    let other = Made::ca("/CN=Old Root", P256, USUAL).certificates();
    let merged = made.decide(adopt([vec![sub()], other].concat())).unwrap_err();
    assert!(matches!(merged, AdoptError::Signature { .. }), "the same name, another key: {merged}");
    let whole = made.decide(adopt([vec![sub()], root].concat())).unwrap();
    assert_eq!((whole.issuing.role, whole.root.role), (Role::Issuing, Role::Root));
    assert_eq!(whole.root.key, KeyPlace::Elsewhere { note: None });
    issues_and_verifies(&made, whole, true);
}

#[test]
fn what_can_not_be_adopted_is_refused_with_its_reason() {
    let usual = Made::usual();
    let refused = |made: &Made| made.decide(made.adopt()).unwrap_err();

    let key = Made::usual().key();
    let mismatch = usual.decide(Adopt { key, ..usual.adopt() }).unwrap_err();
    assert!(matches!(mismatch, AdoptError::Issuer(IssuerError::KeyMismatch { .. })), "{mismatch}");

    let leaf = Made::ca("/CN=leaf", P256, &["-addext", "basicConstraints=critical,CA:FALSE"]);
    assert!(matches!(refused(&leaf), AdoptError::Issuer(IssuerError::NotAnAuthority { .. })));
    let no_lists = Made::ca("/CN=x", P256, &["-addext", "keyUsage=critical,keyCertSign"]);
    assert!(matches!(refused(&no_lists), AdoptError::Issuer(IssuerError::NotAnAuthority { .. })));

    let two_units = Made::ca("/DC=com/DC=example/CN=x", P256, USUAL);
    let told = refused(&two_units);
    let AdoptError::Issuer(IssuerError::Name { reason, .. }) = told else { panic!("{told}") };
    assert!(reason.contains("two attributes of one type"), "{reason}");
    let multi = Made::ca("/CN=x+OU=y", P256, &[USUAL, &["-multivalue-rdn"]].concat());
    let told = refused(&multi);
    assert!(matches!(told, AdoptError::Issuer(IssuerError::Name { .. })), "{told}");

    let old_hash = Made::ca("/CN=x", P256, &[USUAL, &["-sha1"]].concat());
    let told = refused(&old_hash);
    assert!(matches!(told, AdoptError::Signature { .. }), "{told}");

    let over = decide(usual.adopt(), &usual.keyring(), "test", now() + Duration::days(3651)).unwrap_err();
    assert!(matches!(over, AdoptError::NotValid { .. }), "{over}");
    let empty = usual.decide(Adopt { certificates: vec![], ..usual.adopt() }).unwrap_err();
    assert!(matches!(empty, AdoptError::NoCertificate), "{empty}");
    let twice = [usual.certificates(), usual.certificates()].concat();
    let twice = usual.decide(Adopt { certificates: twice, ..usual.adopt() }).unwrap_err();
    assert!(matches!(twice, AdoptError::TooMany { count: 2 }), "{twice}");
    let mail = ["-addext", "nameConstraints=critical,permitted;email:example.com"];
    let told = refused(&Made::ca("/CN=x", P256, &[USUAL, &mail].concat()));
    assert!(matches!(told, AdoptError::Issuer(IssuerError::Constraints { .. })), "{told}");
    assert!(!usual.path("keys").exists(), "nothing was written");
}

#[test]
fn a_weak_key_is_refused() {
    let made = Made::ca("/CN=x", &["rsa:1024"], USUAL);
    let certificates = made.certificates();
    let adopt = Adopt { certificates, key: Made::usual().key(), index: vec![], issued: vec![] };
    let refused = made.decide(adopt).unwrap_err();
    assert!(matches!(refused, AdoptError::WeakKey { .. }), "{refused}");
}

#[test]
fn an_openssl_inventory_comes_along() {
    let made = Made::usual();
    std::fs::create_dir(made.path("newcerts")).unwrap();
    std::fs::write(made.path("index.txt"), "").unwrap();
    std::fs::write(made.path("serial"), "1000\n").unwrap();
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=DIR/index.txt\nserial=DIR/serial\nnew_certs_dir=DIR/newcerts\ncertificate=DIR/ca.crt\nprivate_key=DIR/ca.key\ndefault_md=sha256\ndefault_days=100\npolicy=p\n[p]\ncommonName=supplied\n";
    std::fs::write(made.path("ca.cnf"), config.replace("DIR", made.directory.path().to_str().unwrap()))
        .unwrap();
    for name in ["anna", "bert", "carl"] {
        made.run(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            "DIR/leaf.key",
            "-out",
            "DIR/leaf.csr",
        ]);
        made.run(&["ca", "-batch", "-config", "DIR/ca.cnf", "-in", "DIR/leaf.csr"]);
    }
    made.run(&[
        "ca",
        "-config",
        "DIR/ca.cnf",
        "-revoke",
        "DIR/newcerts/1001.pem",
        "-crl_reason",
        "keyCompromise",
    ]);
    made.run(&["ca", "-config", "DIR/ca.cnf", "-revoke", "DIR/newcerts/1002.pem"]);

    let index = read_index(&made.path("index.txt")).unwrap();
    std::fs::remove_file(made.path("newcerts/1002.pem")).unwrap();
    let file = |name: &str| {
        Certificate::from_pem(&std::fs::read(made.path("newcerts").join(name)).unwrap()).unwrap()
    };
    let issued = files_beside(&made.path("index.txt")).unwrap();
    assert_eq!(issued, [file("1000.pem"), file("1001.pem")]);
    let adoption = made.decide(Adopt { index, issued, ..made.adopt() }).unwrap();
    assert_eq!(adoption.imported, 3);
    assert_eq!(adoption.notes, []);
    let reasons: Vec<_> = adoption.revocations.iter().map(|r| (r.serial.to_string(), r.reason)).collect();
    let expected =
        [("1001".to_owned(), RowReason::KeyCompromise), ("1002".to_owned(), RowReason::Unspecified)];
    assert_eq!(reasons, expected);

    let (store, keyring) = (Store::in_memory(), made.keyring());
    adoption.commit(&store, &keyring).unwrap();
    let anna = &inventory::by_name(&store, "anna").unwrap()[0].record;
    assert_eq!(anna.der.as_deref(), Some(file("1000.pem").der()));
    let carl = &inventory::resolve(&store, "1002").unwrap()[0].record;
    assert_eq!((carl.name.as_str(), &carl.der, carl.key), ("carl", &None, None));
    assert_eq!(carl.issuer, Current::load(&store).unwrap().issuing.record.key_id);
    // The compromised key, whose certificate was there, stays blocked.
    let blocked = blocked::find(&store, file("1001.pem").public_key()).unwrap().unwrap();
    assert_eq!(blocked.record.serial, file("1001.pem").serial());
    assert_eq!(blocked::find(&store, file("1000.pem").public_key()).unwrap(), None);
}

#[test]
fn what_can_not_be_read_is_named() {
    let made = Made::usual();
    let index = made.path("index.txt");
    assert!(matches!(read_index(&index), Err(AdoptError::File(_))));
    std::fs::write(&index, "X\n").unwrap();
    let told = read_index(&index).unwrap_err();
    assert!(matches!(&told, AdoptError::Index { path, .. } if *path == index), "{told}");
    assert_eq!(files_beside(&index).unwrap(), [], "no directories");
    std::fs::create_dir(made.path("newcerts")).unwrap();
    std::fs::write(made.path("newcerts/01.pem"), "no PEM").unwrap();
    let told = files_beside(&index).unwrap_err();
    assert!(matches!(&told, AdoptError::Certificate { path, .. } if path.ends_with("01.pem")), "{told}");
}

#[test]
fn files_and_index_that_disagree_are_noted() {
    let made = Made::usual();
    let foreign = Made::usual();
    let stranger = foreign.certificates().remove(0);
    let serial = stranger.serial();
    let line = format!("V\t401231235959Z\t\t{serial}\tunknown\t/CN=x\n");
    let index = index_txt::parse(line.as_bytes()).unwrap();
    let adoption = made.decide(Adopt { index, issued: vec![stranger.clone()], ..made.adopt() }).unwrap();
    assert_eq!(adoption.notes, [Note::NotSigned(serial)]);
    let adoption = made.decide(Adopt { issued: vec![stranger], ..made.adopt() }).unwrap();
    assert_eq!(adoption.notes, [Note::NotListed(serial)]);
    let own = made.certificates().remove(0);
    let line = format!("V\t401231235959Z\t\t{}\tunknown\t/CN=Old CA\n", own.serial());
    let index = index_txt::parse(line.as_bytes()).unwrap();
    let adoption = made.decide(Adopt { index, issued: vec![own], ..made.adopt() }).unwrap();
    assert_eq!((adoption.imported, adoption.notes.len()), (0, 0), "the CA itself is no leaf");
    let ahead = "R\t401231235959Z\t390101000000Z\t0A\tunknown\t/CN=x\n";
    let index = index_txt::parse(ahead.as_bytes()).unwrap();
    let refused = made.decide(Adopt { index, ..made.adopt() }).unwrap_err();
    assert!(matches!(refused, AdoptError::RevokedAhead { line: 1, .. }), "{refused}");
}

#[test]
fn an_interrupted_adoption_is_done_again_and_no_other_key_overwritten() {
    let made = Made::usual();
    let commit = |made: &Made, keyring: &Keyring| {
        made.decide(made.adopt()).unwrap().commit(&Store::in_memory(), keyring)
    };
    let keyring = made.keyring();
    commit(&made, &keyring).unwrap();
    commit(&made, &keyring).unwrap();
    let refused = commit(&Made::usual(), &keyring).unwrap_err();
    assert!(matches!(refused, Error::Adopt(AdoptError::KeyInTheWay { .. })), "{refused}");
    assert!(Path::new(&keyring.root_path()).exists());
}

#[test]
fn an_adopted_root_is_rotated_into_two_tiers() {
    let made = Made::ca("/O=Old/CN=Old CA", P256, USUAL);
    let (store, keyring) = (Store::in_memory(), made.keyring());
    made.decide(made.adopt()).unwrap().commit(&store, &keyring).unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let rotated =
        crate::hierarchy::rotate(&store, &keyring, None, &policy(), "test", now(), &random).unwrap();
    assert_eq!(rotated.previous.role, Role::RootAndIssuing);
    let current = Current::load(&store).unwrap();
    assert_ne!(current.pair.record.root, current.pair.record.issuing);
    assert_eq!(current.root.record.state, crate::records::AuthorityState::Current);
    let subject = rotated.current.certificate().certificate().subject_display();
    assert!(subject.contains("O=Old") && subject.contains("CN=Old Issuing CA"), "{subject}");
    let current = Current::followed(&store);
    let desk =
        Desk { store: &store, current: &current, keyring: &keyring, policy: &policy(), random: &random };
    desk.issue(&client("anna"), now()).unwrap();
}

#[test]
fn a_successor_is_held_to_all_that_its_adopted_root_was() {
    let held =
        ["-addext", "nameConstraints=critical,permitted;DNS:example.com,excluded;DNS:secret.example.com"];
    let made = Made::ca("/CN=Old CA", P256, &[USUAL, &held].concat());
    let (store, keyring) = (Store::in_memory(), made.keyring());
    let root = made.decide(made.adopt()).unwrap().commit(&store, &keyring).unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let rotated =
        crate::hierarchy::rotate(&store, &keyring, None, &policy(), "test", now(), &random).unwrap();
    assert_eq!(rotated.current.certificate().constraints(), root.certificate().constraints());
    assert_eq!(root.certificate().constraints().to_string(), "only example.com, not secret.example.com");
    let current = Current::followed(&store);
    let desk =
        Desk { store: &store, current: &current, keyring: &keyring, policy: &policy(), random: &random };
    desk.issue(&server(&["dns:www.example.com"]), now()).unwrap();
    for name in ["dns:secret.example.com", "dns:www.example.org"] {
        assert!(matches!(desk.issue(&server(&[name]), now()), Err(Error::Lint(_))), "{name}");
    }
}
