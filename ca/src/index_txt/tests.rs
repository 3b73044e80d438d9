use proptest::prelude::*;
use time::macros::datetime;

use super::*;

fn one(line: &str) -> Result<Row, Problem> {
    match parse(line.as_bytes()) {
        Ok(rows) => Ok(rows.into_iter().next().unwrap()),
        Err(error) => {
            assert_eq!(error.line, 1);
            Err(error.problem)
        }
    }
}

#[test]
fn rows_as_openssl_and_easy_rsa_write_them() {
    let index = "V\t271231235959Z\t\t01\tunknown\t/C=DE/O=Example/CN=web-1\n\
                 R\t20500101000000Z\t260102030405Z,keyCompromise\t4F0A\tunknown\t/CN=anna\r\n\
                 # a comment\n\
                 \n\
                 E\t991231235959Z\t\t02\t02.pem\t/CN=old";
    let rows = parse(index.as_bytes()).unwrap();
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 2, 5]);
    assert_eq!(rows[0].ends, datetime!(2027-12-31 23:59:59 UTC));
    assert_eq!((rows[0].name(), rows[0].revocation), ("web-1".to_owned(), None));
    assert_eq!(rows[1].ends, datetime!(2050-01-01 0:00 UTC));
    assert_eq!(rows[1].serial.to_string(), "4f0a");
    let revocation = rows[1].revocation.unwrap();
    assert_eq!(revocation.at, datetime!(2026-01-02 3:04:05 UTC));
    assert_eq!(revocation.reason.as_str(), "keyCompromise");
    assert_eq!(rows[2].ends, datetime!(1999-12-31 23:59:59 UTC));
    assert_eq!(parse(b""), Ok(vec![]));
}

#[test]
fn every_reason_that_openssl_writes() {
    let reason = |field: &str| {
        one(&format!("R\t271231235959Z\t{field}\t01\tunknown\t/CN=x")).map(|row| row.revocation.unwrap())
    };
    let at = "260102030405Z";
    let table = [
        ("", RowReason::Unspecified),
        (",unspecified", RowReason::Unspecified),
        (",keyCompromise", RowReason::KeyCompromise),
        (",CACompromise", RowReason::CaCompromise),
        (",affiliationChanged", RowReason::AffiliationChanged),
        (",superseded", RowReason::Superseded),
        (",cessationOfOperation", RowReason::CessationOfOperation),
        (",certificateHold", RowReason::CertificateHold),
        (",holdInstruction,1.2.840.10040.2.1", RowReason::CertificateHold),
        (",keyTime,20251231000000Z", RowReason::KeyCompromise),
        (",CAkeyTime,20251231000000Z", RowReason::CaCompromise),
    ];
    for (suffix, expected) in table {
        let found = reason(&format!("{at}{suffix}")).unwrap();
        assert_eq!(found.reason, expected, "{suffix}");
        let since = suffix.contains("Time").then_some(datetime!(2025-12-31 0:00 UTC));
        assert_eq!(found.invalid_since, since, "{suffix}");
    }
    for bad in ["removeFromCRL", "", "KEYCOMPROMISE", "keyTime", "keyTime,yesterday"] {
        assert!(reason(&format!("{at},{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    type Check = fn(&Problem) -> bool;
    let table: [(&str, Check); 13] = [
        ("X\t271231235959Z\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Status { .. })),
        ("v\t271231235959Z\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Status { .. })),
        ("V\t271231235959Z\t\t01\tunknown", |p| matches!(p, Problem::Fields { found: 5 })),
        ("V\t271231235959Z\t\t01\tunknown\t/CN=x\ty", |p| matches!(p, Problem::Fields { found: 7 })),
        ("V 271231235959Z  01 unknown /CN=x", |p| matches!(p, Problem::Fields { found: 1 })),
        ("V\t2712312359Z\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Date { .. })),
        ("V\t271331235959Z\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Date { .. })),
        ("V\t270229000000Z\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Date { .. })),
        ("V\t271231235959\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Date { .. })),
        ("V\t+71231235959Z\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Date { .. })),
        ("R\t271231235959Z\t\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Mismatch)),
        ("V\t271231235959Z\t260102030405Z\t01\tunknown\t/CN=x", |p| matches!(p, Problem::Mismatch)),
        ("V\t271231235959Z\t\t0x01\tunknown\t/CN=x", |p| matches!(p, Problem::Serial { .. })),
    ];
    for (line, check) in table {
        let problem = one(line).unwrap_err();
        assert!(check(&problem), "{line:?}: {problem}");
        let later = format!("V\t271231235959Z\t\tAA\tunknown\t/CN=y\n{line}\n");
        assert_eq!(parse(later.as_bytes()).unwrap_err().line, 2);
    }
    assert_eq!(one("\u{fffd}").unwrap_err(), Problem::Fields { found: 1 });
    assert_eq!(parse(b"V\xff").unwrap_err().problem, Problem::Text);
    assert_eq!(
        parse(&vec![b'V'; limits::LINE + 1]).unwrap_err().problem,
        Problem::Length { limit: limits::LINE }
    );
    let twice = "V\t271231235959Z\t\t0A\tunknown\t/CN=x\nV\t271231235959Z\t\t000a\tunknown\t/CN=y";
    let error = parse(twice.as_bytes()).unwrap_err();
    assert!(
        matches!(error, IndexError { line: 2, problem: Problem::Duplicate { earlier: 1, .. } }),
        "{error}"
    );
}

#[test]
fn names_from_subjects() {
    let name = |subject: &str| one(&format!("V\t271231235959Z\t\t01\tunknown\t{subject}")).unwrap().name();
    assert_eq!(name("/CN=web-1"), "web-1");
    assert_eq!(name("/C=DE/CN=web-1/emailAddress=a@b.c"), "web-1");
    assert_eq!(name("/CN=first/CN=second"), "second");
    assert_eq!(name("/CN=HTTP/web-1.example.com"), "HTTP/web-1.example.com");
    assert_eq!(name("/CN=m\\xC3\\xBCller"), "müller");
    assert_eq!(name("/O=Example"), "/O=Example");
    assert_eq!(name("/CN=a\\\tb"), printable("a\tb"));
    assert_eq!(name("/CN=\\xZZ\\x"), printable("\\xZZ\\x"));
}

proptest! {
    #[test]
    fn any_octets_are_answered(file in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&file);
    }

    #[test]
    fn any_line_of_six_fields_is_answered(fields in proptest::collection::vec("[VRE0-9Z,a-zA-Z/=\\\\x\u{e4}]{0,30}", 6)) {
        if let Ok(rows) = parse(fields.join("\t").as_bytes()) {
            rows.iter().for_each(|row| drop(row.name()));
        }
    }
}
