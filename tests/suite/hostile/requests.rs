//! C1, C2, C5, C17: certificate requests that lie, swell or want more than they may.

use tests::{Sandbox, openssl};

use super::{Before, P256, request};

/// A PEM request as DER.
fn der(sandbox: &Sandbox, csr: &str) -> Vec<u8> {
    openssl(sandbox, ["req", "-in", csr, "-outform", "DER", "-out", "as.der"]).success();
    let bytes = std::fs::read(sandbox.file("as.der")).unwrap();
    std::fs::remove_file(sandbox.file("as.der")).unwrap();
    bytes
}

fn pem(sandbox: &Sandbox, name: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = "-----BEGIN CERTIFICATE REQUEST-----\n".to_owned();
    sandbox.write("raw", der);
    let encoded = openssl(sandbox, ["base64", "-in", "raw"]).success().stdout;
    std::fs::remove_file(sandbox.file("raw")).unwrap();
    writeln!(text, "{}\n-----END CERTIFICATE REQUEST-----", encoded.trim()).unwrap();
    sandbox.write(name, text);
    name.to_owned()
}

fn sign(sandbox: &Sandbox, csr: &str) -> tests::Output {
    sandbox.pki(["sign", csr, "--profile", "client", "--name", "mallory"])
}

/// Replaces every occurrence of `from`, of equal length.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut found = 0;
    for start in 0..=bytes.len() - from.len() {
        if bytes[start..].starts_with(from) {
            bytes[start..start + from.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0, "nothing to replace");
    bytes
}

#[test]
fn c1_a_request_whose_signature_is_not_its_own() {
    let sandbox = Sandbox::with_pki();
    let csr = request(&sandbox, "alice", &P256, &[]);
    let good = der(&sandbox, &csr);
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    pem(&sandbox, "flipped.csr", &flipped);
    // Another key's request with this key put in: the last 64 octets of each SPKI are the point.
    let other = der(&sandbox, &request(&sandbox, "other", &P256, &[]));
    let marker = [0x03, 0x42, 0x00, 0x04];
    let point = |bytes: &[u8]| {
        let at = bytes.windows(4).position(|window| window == marker).unwrap() + 4;
        bytes[at..at + 64].to_vec()
    };
    pem(&sandbox, "stolen.csr", &replace(&good, &point(&good), &point(&other)));
    // ecdsa-with-SHA256 claimed to be ecdsa-with-SHA384, and an algorithm that nobody knows.
    let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let sha384 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    let unknown = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x7f];
    pem(&sandbox, "wrong-hash.csr", &replace(&good, &sha256, &sha384));
    pem(&sandbox, "unknown.csr", &replace(&good, &sha256, &unknown));
    let before = Before::of(&sandbox);
    for csr in ["flipped.csr", "stolen.csr", "wrong-hash.csr"] {
        before.refused(sign(&sandbox, csr), &["signature"]);
    }
    before.refused(sign(&sandbox, "unknown.csr"), &["algorithm"]);
}

#[test]
fn c1_a_request_signed_with_md5_or_sha1() {
    let sandbox = Sandbox::with_pki();
    for digest in ["md5", "sha1"] {
        request(&sandbox, digest, &["-newkey", "rsa:2048"], &[&format!("-{digest}")]);
    }
    let before = Before::of(&sandbox);
    before.refused(sign(&sandbox, "md5.csr"), &["md5", "1.2.840.113549.1.1.4"]);
    before.refused(sign(&sandbox, "sha1.csr"), &["sha-1", "sha1", "1.2.840.113549.1.1.5"]);
}

#[test]
fn c2_what_is_too_large_is_refused_before_it_is_read() {
    let sandbox = Sandbox::with_pki();
    let good = der(&sandbox, &request(&sandbox, "alice", &P256, &[]));
    sandbox.write("ten-megabytes.csr", vec![b'A'; 10 << 20]);
    let mut trailing = good.clone();
    trailing.extend_from_slice(b"trailing");
    pem(&sandbox, "trailing.csr", &trailing);
    // SEQUENCE in SEQUENCE in SEQUENCE …, 5,000 deep.
    let mut deep = Vec::new();
    for _ in 0..5_000 {
        let mut outer = vec![0x30];
        match deep.len() {
            length @ 0..128 => outer.push(length as u8),
            length => outer.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        outer.extend(&deep);
        deep = outer;
    }
    pem(&sandbox, "deep.csr", &deep);
    // BER's indefinite length.
    let mut indefinite = good.clone();
    indefinite[1] = 0x80;
    indefinite.extend([0, 0]);
    pem(&sandbox, "indefinite.csr", &indefinite);
    pem(&sandbox, "cut.csr", &good[..good.len() / 2]);
    sandbox.write("empty.csr", "");
    sandbox.write("words.csr", "this is no request\n");
    let before = Before::of(&sandbox);
    before.refused(sign(&sandbox, "ten-megabytes.csr"), &["larger than", "65536"]);
    before.refused(sign(&sandbox, "trailing.csr"), &["follow"]);
    before.refused(sign(&sandbox, "deep.csr"), &["deep", "nest", "request"]);
    for csr in ["indefinite.csr", "cut.csr", "empty.csr", "words.csr"] {
        before.refused(sign(&sandbox, csr), &["request", "der", "pem"]);
    }
}

#[test]
fn c2_more_names_than_a_certificate_may_bear() {
    let sandbox = Sandbox::with_pki();
    let names = |count: usize| {
        let list: Vec<String> = (0..count).map(|number| format!("DNS:h{number}.example.org")).collect();
        format!("subjectAltName={}", list.join(","))
    };
    request(&sandbox, "www.example.org", &P256, &["-addext", &names(101)]);
    request(&sandbox, "most", &P256, &["-addext", &names(99)]);
    let before = Before::of(&sandbox);
    let output = sandbox.pki(["sign", "www.example.org.csr", "--profile", "server"]);
    before.refused(output, &["100"]);
    let many: Vec<String> = (0..101).map(|number| format!("--dns=h{number}.example.org")).collect();
    let words = ["issue-server".to_owned(), "many.example.org".to_owned()].into_iter().chain(many);
    before.refused(sandbox.pki(words), &["100"]);
    // One below the limit is no attack.
    sandbox.pki(["sign", "most.csr", "--profile", "server", "--name", "h0.example.org"]).success();
}

#[test]
fn c2_a_common_name_of_64_kib() {
    let sandbox = Sandbox::with_pki();
    let long = "x".repeat(64 << 10);
    let before = Before::of(&sandbox);
    before.refused(sandbox.pki(["issue-client", &long]), &["64", "long"]);
    before.refused(sandbox.pki(["issue-client", &"x".repeat(65)]), &["64", "long"]);
}

#[test]
fn c5_a_request_gets_none_of_the_powers_it_asks_for() {
    let sandbox = Sandbox::with_pki();
    sandbox.write(
        "wishes.cnf",
        "[req]\ndistinguished_name = dn\nreq_extensions = wishes\n[dn]\n[wishes]\n\
         basicConstraints = critical,CA:TRUE,pathlen:3\n\
         keyUsage = critical,keyCertSign,cRLSign,digitalSignature\n\
         extendedKeyUsage = anyExtendedKeyUsage,serverAuth,codeSigning\n\
         subjectKeyIdentifier = DE:AD:BE:EF\n\
         nameConstraints = permitted;DNS:example.org\n\
         certificatePolicies = 2.23.140.1.2.1\n\
         1.2.3.4.5 = critical,ASN1:UTF8String:wish\n",
    );
    let csr = request(&sandbox, "mallory", &P256, &["-config", "wishes.cnf"]);
    let words = ["sign", &csr, "--profile", "client", "--name", "mallory", "--out", "mallory.crt"];
    sandbox.pki(words).success();
    let text = openssl(&sandbox, ["x509", "-in", "mallory.crt", "-noout", "-text"]).success().stdout;
    assert!(text.contains("CA:FALSE") && text.contains("TLS Web Client Authentication"), "{text}");
    for wish in [
        "CA:TRUE",
        "Certificate Sign",
        "CRL Sign",
        "Any Extended",
        "Server Auth",
        "Code Signing",
        "DE:AD:BE:EF",
        "Name Constraints",
        "2.23.140",
        "1.2.3.4.5",
    ] {
        assert!(!text.contains(wish), "{wish} was granted:\n{text}");
    }
}

#[test]
fn c5_names_of_a_request_are_taken_only_where_the_user_gives_none() {
    let sandbox = Sandbox::with_pki();
    let csr = request(
        &sandbox,
        "www.example.org",
        &P256,
        &["-addext", "subjectAltName=DNS:www.example.org,DNS:bank.example"],
    );
    let words = ["sign", &csr, "--profile", "server", "--name", "www.example.org", "--out", "one.crt"];
    sandbox.pki(words).success();
    let text =
        openssl(&sandbox, ["x509", "-in", "one.crt", "-noout", "-ext", "subjectAltName"]).success().stdout;
    assert!(text.contains("www.example.org") && !text.contains("bank.example"), "{text}");
}

#[test]
fn c17_bundles_are_read_by_one_rule() {
    let sandbox = Sandbox::with_pki();
    let csr = request(&sandbox, "alice", &P256, &[]);
    let text = sandbox.read(&csr);
    sandbox.write("two.csr", format!("{text}{text}"));
    sandbox.write("with-key.csr", format!("{text}{}", sandbox.read("alice.key")));
    sandbox.write("label.csr", text.replace("CERTIFICATE REQUEST", "CERTIFICATE"));
    let before = Before::of(&sandbox);
    before.refused(sign(&sandbox, "two.csr"), &["one", "more than", "second"]);
    before.refused(sign(&sandbox, "with-key.csr"), &["private key", "one", "block"]);
    before.refused(sign(&sandbox, "label.csr"), &["request", "certificate"]);
    // Line ends of other systems and a byte order mark are no reason to refuse.
    sandbox.write("crlf.csr", format!("\u{feff}{}", text.replace('\n', "\r\n")));
    sign(&sandbox, "crlf.csr").success();
}
