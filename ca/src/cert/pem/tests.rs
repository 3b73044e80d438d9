//! The rule of the module, case by case (C17).

use super::*;

const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";

fn one_certificate(pem: &str) -> Result<Vec<u8>, PemError> {
    one(pem.as_bytes(), &["CERTIFICATE"]).map(|block| block.der.to_vec())
}

#[test]
fn one_block_is_read_in_every_tolerated_form() {
    let forms = [
        BLOCK.to_owned(),
        BLOCK.replace('\n', "\r\n"),
        BLOCK.replace('\n', "\r"),
        format!("\u{feff}{BLOCK}"),
        format!("subject: CN=x\nissuer: CN=y\n{BLOCK}\n  \n"),
        BLOCK.trim_end().to_owned(),
        BLOCK.replace("AAEC", "AA\nEC  "),
    ];
    for form in forms {
        assert_eq!(one_certificate(&form).unwrap(), [0, 1, 2], "{form:?}");
    }
}

#[test]
fn anything_else_is_refused_with_its_reason() {
    let label = || "CERTIFICATE".to_owned();
    let expected = "CERTIFICATE";
    let cases = [
        (String::new(), PemError::Empty { expected }),
        ("hello\n".to_owned(), PemError::Empty { expected }),
        (BLOCK.repeat(2), PemError::Several { expected, count: 2 }),
        (format!("{BLOCK}rest"), PemError::Trailing { label: label() }),
        (BLOCK.replace("-----END", "----END"), PemError::Unfinished { label: label() }),
        (BLOCK.replace("END CERTIFICATE", "END KEY"), PemError::Unfinished { label: label() }),
        (BLOCK.replace("-----END CERTIFICATE-----\n", ""), PemError::Unfinished { label: label() }),
        (BLOCK.replace("AAEC", "AA!C"), PemError::Base64 { label: label() }),
        (BLOCK.replace("AAEC", "AAE"), PemError::Base64 { label: label() }),
        (BLOCK.replace("AAEC", "AB=="), PemError::Base64 { label: label() }),
        (BLOCK.replace("AAEC", "Proc-Type: 4,ENCRYPTED\nAAEC"), PemError::Headers { label: label() }),
        (
            BLOCK.replace("CERTIFICATE", "PRIVATE KEY"),
            PemError::WrongLabel { expected, found: "PRIVATE KEY".to_owned() },
        ),
        (
            BLOCK.replace("CERTIFICATE", "\u{1b}[31m"),
            PemError::WrongLabel { expected, found: "\\u{1b}[31m".to_owned() },
        ),
    ];
    for (pem, error) in cases {
        assert_eq!(one_certificate(&pem), Err(error), "{pem:?}");
    }
    let utf16: Vec<u8> = BLOCK.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(one(&utf16, &["CERTIFICATE"]).map(|_| ()), Err(PemError::Empty { expected }));
}

#[test]
fn a_bundle_may_have_text_between_its_blocks() {
    let bundle = format!("# first\n{BLOCK}\n# second\n{BLOCK}# end\n");
    assert_eq!(many(bundle.as_bytes(), "CERTIFICATE").unwrap().len(), 2);
    let mixed = format!("{BLOCK}{}", BLOCK.replace("CERTIFICATE", "PRIVATE KEY"));
    assert!(matches!(many(mixed.as_bytes(), "CERTIFICATE"), Err(PemError::WrongLabel { .. })));
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read(der in proptest::collection::vec(0u8.., 0..300)) {
        let pem = write("X", &der);
        proptest::prop_assert!(pem.lines().all(|line| line.len() <= 64));
        proptest::prop_assert_eq!(one(pem.as_bytes(), &["X"]).unwrap().der.to_vec(), der);
    }

    #[test]
    fn any_text_is_judged(text in "(-----(BEGIN|END) [AB]-----\n|[A-Za-z0-9+/=:\r\n -]{0,9}){0,9}") {
        let _ = one(text.as_bytes(), &["A"]);
        let _ = many(text.as_bytes(), "A");
    }
}
