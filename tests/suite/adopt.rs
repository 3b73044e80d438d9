//! "I have a CA already. Take it over as it is, with what it issued and revoked."

use tests::{Purpose, Sandbox, openssl, openssl_accepts};

/// What `openssl ca` needs: a directory such as easy-rsa makes.
const OPENSSL_CA: &str = "\
[ca]
default_ca = ours
[ours]
database = ca/index.txt
new_certs_dir = ca/certs
serial = ca/serial
crlnumber = ca/crlnumber
certificate = ca/ca.crt
private_key = ca/ca.key
default_md = sha256
default_days = 300
default_crl_days = 30
policy = any
unique_subject = no
x509_extensions = client
[any]
commonName = supplied
organizationName = optional
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[req]
distinguished_name = dn
[dn]
";

/// An `openssl ca` with the certificates alice (revoked for keyCompromise), bob (on hold) and carol.
fn foreign(sandbox: &Sandbox, subject: &str) {
    std::fs::create_dir_all(sandbox.file("ca/certs")).unwrap();
    sandbox.write("openssl.cnf", OPENSSL_CA);
    sandbox.write("ca/index.txt", "");
    sandbox.write("ca/serial", "1000\n");
    sandbox.write("ca/crlnumber", "0A\n");
    let words =
        ["req", "-x509", "-config", "openssl.cnf", "-extensions", "v3_ca", "-newkey", "ec", "-pkeyopt"];
    let more = ["ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", subject];
    openssl(sandbox, words.iter().chain(&more).chain(&["-keyout", "ca/ca.key", "-out", "ca/ca.crt"]))
        .success();
    for name in ["alice", "bob", "carol"] {
        let (key, csr, crt) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        let subject = format!("/CN={name}");
        let words =
            ["req", "-new", "-config", "openssl.cnf", "-newkey", "rsa:2048", "-nodes", "-subj", &subject];
        openssl(sandbox, words.iter().chain(&["-keyout", &key, "-out", &csr])).success();
        openssl(sandbox, ["ca", "-batch", "-notext", "-config", "openssl.cnf", "-in", &csr, "-out", &crt])
            .success();
        std::fs::copy(sandbox.file(&crt), sandbox.file(&format!("{name}-chain.crt"))).unwrap();
    }
    let revoke = |name: &str, reason: &str| {
        openssl(sandbox, ["ca", "-config", "openssl.cnf", "-revoke", name, "-crl_reason", reason]).success();
    };
    revoke("alice.crt", "keyCompromise");
    revoke("bob.crt", "certificateHold");
}

fn adopt(sandbox: &Sandbox) -> tests::Output {
    let words = ["init", "--ca-cert", "ca/ca.crt", "--ca-key", "ca/ca.key", "--index", "ca/index.txt"];
    std::fs::set_permissions(sandbox.file("ca/ca.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    sandbox.pki(words)
}

/// Lets OpenSSL judge against the adopted CA alone and its list.
fn judged(sandbox: &Sandbox, name: &str) -> tests::Output {
    let list = sandbox.dir().join("ca.crl").display().to_string();
    let leaf = format!("{name}.crt");
    openssl(
        sandbox,
        [
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-crl_check",
            "-CRLfile",
            &list,
            "-CAfile",
            "ca/ca.crt",
            &leaf,
        ],
    )
}

#[test]
fn an_openssl_ca_is_adopted_with_its_inventory_and_its_revocations() {
    let sandbox = Sandbox::new();
    foreign(&sandbox, "/O=Old Example/CN=Old Example CA");
    adopt(&sandbox).success();
    let listed = sandbox.pki(["list", "--json"]).success().json();
    let status = |name: &str| {
        let found = listed.as_array().unwrap().iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {listed:#}"))["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status("alice"), "revoked");
    assert_eq!(status("bob"), "held");
    assert_eq!(status("carol"), "valid");
    for name in ["alice", "bob"] {
        let verdict = judged(&sandbox, name).failure(2);
        assert!(verdict.stderr.contains("error 23 "), "{verdict}");
    }
    judged(&sandbox, "carol").success();
    // It goes on: new certificates, more revocations, a released hold.
    sandbox.pki(["issue-client", "dave"]).success();
    judged(&sandbox, "dave").success();
    sandbox.pki(["revoke", "carol.crt"]).success();
    judged(&sandbox, "carol").failure(2);
    sandbox.pki(["release", "bob"]).success();
    judged(&sandbox, "bob").success();
    // The list's number goes on above the old one's.
    let list = sandbox.dir().join("ca.crl").display().to_string();
    let number = openssl(&sandbox, ["crl", "-noout", "-crlnumber", "-in", &list]).success().stdout;
    let number = number.trim().trim_start_matches("crlNumber=").trim_start_matches("0x").to_owned();
    assert!(u128::from_str_radix(&number, 16).unwrap() > 0x0a, "{number}");
}

#[test]
fn a_ca_without_an_index_is_adopted_too() {
    let sandbox = Sandbox::new();
    foreign(&sandbox, "/CN=Old Example CA");
    std::fs::set_permissions(sandbox.file("ca/ca.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    sandbox.pki(["init", "--ca-cert", "ca/ca.crt", "--ca-key", "ca/ca.key"]).success();
    // Our signature is enough to revoke what the inventory does not know.
    sandbox.pki(["revoke", "carol.crt"]).success();
    judged(&sandbox, "carol").failure(2);
    sandbox.pki(["issue-server", "www.example.org"]).success();
    openssl_accepts(&sandbox, Purpose::Server, "www.example.org");
}

#[test]
fn a_name_that_would_not_come_out_the_same_is_refused() {
    let sandbox = Sandbox::new();
    // Two values of one attribute type: the encoder we sign with keeps one of them.
    foreign(&sandbox, "/DC=org/DC=example/OU=one/OU=two/CN=Old Example CA");
    let refused = adopt(&sandbox);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.says("subject") || refused.says("name"), "{refused}");
    assert!(!sandbox.dir().join("store").exists(), "nothing was written");
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_refused() {
    let sandbox = Sandbox::new();
    foreign(&sandbox, "/CN=Old Example CA");
    openssl(
        &sandbox,
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca/ca.key"],
    )
    .success();
    let refused = adopt(&sandbox).failure(2);
    assert!(refused.says("key") && refused.says("hint:"), "{refused}");
    assert!(!sandbox.dir().join("store").exists(), "nothing was written");
}

#[test]
fn what_is_no_ca_is_refused() {
    let sandbox = Sandbox::new();
    foreign(&sandbox, "/CN=Old Example CA");
    for name in ["alice.crt", "alice.key"] {
        std::fs::copy(sandbox.file(name), sandbox.file(&format!("ca/ca.{}", &name[6..]))).unwrap();
    }
    let refused = adopt(&sandbox).failure(2);
    assert!(refused.says("CA"), "{refused}");
    assert!(!sandbox.dir().join("store").exists(), "nothing was written");
}
