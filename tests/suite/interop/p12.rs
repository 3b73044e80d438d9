//! "The PKCS#12 file opens in OpenSSL", and holds the key, the certificate and its chain.

use std::os::unix::fs::PermissionsExt;

use tests::{Sandbox, openssl};

#[test]
fn the_p12_opens_in_openssl_with_its_passphrase_alone() {
    let sandbox = Sandbox::with_pki();
    sandbox.secret("pass", "correct horse battery staple\n");
    sandbox.secret("wrong", "incorrect horse\n");
    for key_type in ["p256", "p384", "ed25519", "rsa4096"] {
        let (name, p12) = (format!("alice-{key_type}"), format!("alice-{key_type}.p12"));
        sandbox
            .pki([
                "issue-client",
                &name,
                "--key-type",
                key_type,
                "--p12",
                &p12,
                "--p12-passphrase-file",
                "pass",
            ])
            .success();
        let mode = std::fs::metadata(sandbox.file(&p12)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{p12}");
        // No -legacy: everything in it must be modern.
        openssl(&sandbox, ["pkcs12", "-in", &p12, "-passin", "file:wrong", "-noout"]).failure(1);
        let opened = openssl(&sandbox, ["pkcs12", "-in", &p12, "-passin", "file:pass", "-nodes"]).success();
        assert_eq!(opened.stdout.matches("BEGIN CERTIFICATE").count(), 2, "leaf and issuing CA: {opened}");
        assert_eq!(opened.stdout.matches("BEGIN PRIVATE KEY").count(), 1, "{opened}");
        sandbox.write("opened.pem", &opened.stdout);
        let key = format!("{name}.key");
        let of_p12 = openssl(&sandbox, ["pkey", "-in", "opened.pem", "-pubout"]).success().stdout;
        assert_eq!(of_p12, openssl(&sandbox, ["pkey", "-in", &key, "-pubout"]).success().stdout);
        let of_certificate =
            openssl(&sandbox, ["x509", "-in", "opened.pem", "-noout", "-pubkey"]).success().stdout;
        assert_eq!(of_p12, of_certificate, "the first certificate is the leaf");
    }
}
