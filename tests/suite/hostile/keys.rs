//! C3, C4, C16: keys that must not be certified, and serials that cannot be guessed.

use tests::{Sandbox, openssl, source_tree};

use super::{Before, request};

fn sign(sandbox: &Sandbox, csr: &str) -> tests::Output {
    sandbox.pki(["sign", csr, "--profile", "client", "--name", "mallory"])
}

/// A request for a key that OpenSSL made with these words of `genpkey`.
fn request_for(sandbox: &Sandbox, name: &str, genpkey: &[&str]) {
    let key = format!("{name}.key");
    openssl(sandbox, ["genpkey", "-out", &key].iter().chain(genpkey)).success();
    let (csr, subject) = (format!("{name}.csr"), format!("/CN={name}"));
    openssl(sandbox, ["req", "-new", "-key", &key, "-subj", &subject, "-out", &csr]).success();
}

#[test]
fn c3_rsa_keys_that_are_too_small_or_have_a_bad_exponent() {
    let sandbox = Sandbox::with_pki();
    request_for(&sandbox, "rsa1024", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    request_for(&sandbox, "rsa2047", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2047"]);
    let three = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"];
    request_for(&sandbox, "exponent3", &three);
    let before = Before::of(&sandbox);
    before.refused(sign(&sandbox, "rsa1024.csr"), &["1024"]);
    before.refused(sign(&sandbox, "rsa2047.csr"), &["2047"]);
    before.refused(sign(&sandbox, "exponent3.csr"), &["exponent"]);
}

#[test]
fn c3_rsa_keys_that_can_be_factored() {
    let sandbox = Sandbox::with_pki();
    for name in ["fermat-close", "roca", "small-factor"] {
        let file = format!("{name}.csr");
        std::fs::copy(source_tree().join("tests/fixtures/weak-keys").join(&file), sandbox.file(&file))
            .unwrap();
    }
    let before = Before::of(&sandbox);
    before.refused(sign(&sandbox, "fermat-close.csr"), &["fermat", "close"]);
    before.refused(sign(&sandbox, "roca.csr"), &["roca", "CVE-2017-15361"]);
    before.refused(sign(&sandbox, "small-factor.csr"), &["751", "factor"]);
}

#[test]
fn c4_curves_and_encodings_that_are_not_ours() {
    let sandbox = Sandbox::with_pki();
    for curve in ["secp224r1", "secp256k1", "brainpoolP256r1"] {
        let option = format!("ec_paramgen_curve:{curve}");
        request_for(&sandbox, curve, &["-algorithm", "EC", "-pkeyopt", &option]);
    }
    let explicit =
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"];
    request_for(&sandbox, "explicit", &explicit);
    request_for(&sandbox, "ed448", &["-algorithm", "ED448"]);
    openssl(
        &sandbox,
        [
            "genpkey",
            "-genparam",
            "-algorithm",
            "DSA",
            "-pkeyopt",
            "dsa_paramgen_bits:2048",
            "-out",
            "dsa.par",
        ],
    )
    .success();
    openssl(&sandbox, ["genpkey", "-paramfile", "dsa.par", "-out", "dsa.key"]).success();
    openssl(&sandbox, ["req", "-new", "-key", "dsa.key", "-subj", "/CN=dsa", "-out", "dsa.csr"]).success();
    openssl(
        &sandbox,
        [
            "ec",
            "-in",
            "explicit.key",
            "-conv_form",
            "compressed",
            "-param_enc",
            "named_curve",
            "-out",
            "compressed.key",
        ],
    )
    .success();
    openssl(&sandbox, ["req", "-new", "-key", "compressed.key", "-subj", "/CN=c", "-out", "compressed.csr"])
        .success();
    let before = Before::of(&sandbox);
    for curve in ["secp224r1", "secp256k1", "brainpoolP256r1"] {
        before.refused(sign(&sandbox, &format!("{curve}.csr")), &["curve"]);
    }
    before.refused(sign(&sandbox, "explicit.csr"), &["explicit", "curve", "parameters"]);
    before.refused(sign(&sandbox, "compressed.csr"), &["compressed", "point"]);
    before.refused(sign(&sandbox, "ed448.csr"), &["ed448", "algorithm", "key type", "1.3.101.113"]);
    before.refused(sign(&sandbox, "dsa.csr"), &["dsa", "algorithm", "key type", "1.2.840.10040"]);
}

#[test]
fn c4_a_point_that_is_not_on_the_curve() {
    let sandbox = Sandbox::with_pki();
    let csr = request(&sandbox, "alice", &super::P256, &[]);
    openssl(&sandbox, ["req", "-in", &csr, "-outform", "DER", "-out", "off.der"]).success();
    let mut der = std::fs::read(sandbox.file("off.der")).unwrap();
    let at = der.windows(4).position(|window| window == [0x03, 0x42, 0x00, 0x04]).unwrap();
    der[at + 40] ^= 1;
    sandbox.write("off.der", &der);
    let encoded = openssl(&sandbox, ["base64", "-in", "off.der"]).success().stdout;
    let text = format!("-----BEGIN CERTIFICATE REQUEST-----\n{encoded}-----END CERTIFICATE REQUEST-----\n");
    sandbox.write("off.csr", text);
    let before = Before::of(&sandbox);
    before.refused(sign(&sandbox, "off.csr"), &["curve", "point"]);
}

#[test]
fn c16_serials_are_twenty_octets_that_nobody_can_guess() {
    let sandbox = Sandbox::with_pki();
    let rows: String = (0..200).map(|number| format!("client-{number}\n")).collect();
    sandbox.write("many.csv", format!("name\n{rows}"));
    sandbox.pki(["issue-client", "--from", "many.csv", "--key-type", "p256", "--out", "many"]).success();
    let listed = sandbox.pki(["list", "--json"]).success().json();
    let serials: std::collections::BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|one| one["serial"].as_str().unwrap()).collect();
    assert!(serials.len() >= 200);
    assert!(
        serials
            .iter()
            .all(|serial| serial.len() == 40 && ('4'..='7').contains(&serial.chars().next().unwrap()))
    );
    // Every bit after the fixed ones is set in about half of them.
    let numbers: Vec<Vec<u8>> = serials.iter().map(|serial| hex::decode(serial).unwrap()).collect();
    for bit in 4..160 {
        let set = numbers.iter().filter(|number| number[bit / 8] >> (7 - bit % 8) & 1 == 1).count();
        // Seven standard deviations: it fails once in 10 ** 11 runs.
        assert!(set.abs_diff(numbers.len() / 2) < 52, "bit {bit} is set in {set} of {}", numbers.len());
    }
}
