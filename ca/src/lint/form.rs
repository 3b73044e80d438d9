//! The form of a certificate's bytes: strict DER, each field in its place, nothing that DER leaves out.
//!
//! The rules read the bytes by x509-parser, which takes more than DER has: a BOOLEAN of any octet, a default
//! that is written out. This is the second reader, and one of our own: it takes the one form that each field
//! has, looks into the extensions' values as well, and knows nothing of what they mean.

use super::{Findings, LintError, Rule, unreadable};
use crate::cert::der;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, around the version.
const CONTEXT_0: u8 = 0xa0;
/// `[3]`, around the extensions.
const CONTEXT_3: u8 = 0xa3;

/// Walks the bytes of a TBSCertificate (RFC 5280 §4.1); returns its signature's AlgorithmIdentifier, DER.
pub(super) fn read<'a>(tbs: &'a [u8], findings: &mut Findings) -> Result<&'a [u8], LintError> {
    der::check(tbs).map_err(|error| unreadable(error.to_string()))?;
    let mut outer = Values(tbs);
    let mut fields = outer.inside(SEQUENCE, "a TBSCertificate")?;
    let mut version = fields.inside(CONTEXT_0, "a version")?;
    version.value(INTEGER, "a version")?;
    version.end("a version")?;
    fields.value(INTEGER, "a serialNumber")?;
    let algorithm = fields.value(SEQUENCE, "a signature algorithm")?.whole;
    name(fields.inside(SEQUENCE, "an issuer")?, findings)?;
    let mut validity = fields.inside(SEQUENCE, "a validity")?;
    time(&mut validity, findings)?;
    time(&mut validity, findings)?;
    validity.end("a validity")?;
    name(fields.inside(SEQUENCE, "a subject")?, findings)?;
    fields.value(SEQUENCE, "a subjectPublicKeyInfo")?;
    // The unique identifiers of §4.1.2.8 would stand here: nobody has them.
    let mut wrapped = fields.inside(CONTEXT_3, "extensions")?;
    fields.end("a TBSCertificate")?;
    let mut extensions = wrapped.inside(SEQUENCE, "extensions")?;
    wrapped.end("extensions")?;
    while !extensions.0.is_empty() {
        extension(extensions.inside(SEQUENCE, "an extension")?, findings)?;
    }
    Ok(algorithm)
}

/// RDNSequence: each part a SET of attributes in the order of their octets (X.690 §11.6).
fn name(mut parts: Values<'_>, findings: &mut Findings) -> Result<(), LintError> {
    while !parts.0.is_empty() {
        let mut attributes = parts.inside(SET, "a part of a name")?;
        let mut last: &[u8] = &[];
        while !attributes.0.is_empty() {
            let attribute = attributes.value(SEQUENCE, "an attribute of a name")?;
            findings.demand(Rule::Encoding, last < attribute.whole, || {
                "a part of a name is not in order".to_owned()
            });
            last = attribute.whole;
            let mut inside = Values(attribute.content);
            inside.value(OBJECT_IDENTIFIER, "the type of an attribute")?;
            inside.any("the value of an attribute")?;
            inside.end("an attribute of a name")?;
        }
        findings.demand(Rule::Encoding, !last.is_empty(), || "a part of a name is empty".to_owned());
    }
    Ok(())
}

/// Time: whole seconds, Zulu, UTCTime through 2049 (RFC 5280 §4.1.2.5).
fn time(validity: &mut Values<'_>, findings: &mut Findings) -> Result<(), LintError> {
    let Value { tag, content, .. } = validity.any("a time")?;
    let right = match (tag, content) {
        (UTC_TIME, [digits @ .., b'Z']) => digits.len() == 12 && digits.iter().all(u8::is_ascii_digit),
        (GENERALIZED_TIME, [digits @ .., b'Z']) => {
            let is_utc_time = (b"1950".as_slice()..b"2050").contains(&&digits[..digits.len().min(4)]);
            digits.len() == 14 && digits.iter().all(u8::is_ascii_digit) && !is_utc_time
        }
        _ => false,
    };
    findings.demand(Rule::Encoding, right, || "a time is not in its only form".to_owned());
    Ok(())
}

/// `critical` is TRUE or absent (X.690 §11.5); the value is DER too.
fn extension(mut fields: Values<'_>, findings: &mut Findings) -> Result<(), LintError> {
    fields.value(OBJECT_IDENTIFIER, "the type of an extension")?;
    if fields.0.first() == Some(&BOOLEAN) {
        let critical = fields.value(BOOLEAN, "critical")?;
        findings.demand(Rule::Encoding, critical.content == [0xff], || {
            "an extension says that it is not critical, which DER says by saying nothing".to_owned()
        });
    }
    let value = fields.value(OCTET_STRING, "the value of an extension")?;
    fields.end("an extension")?;
    der::check(value.content).map_err(|error| unreadable(format!("in an extension: {error}")))
}

/// Values that stand one behind the other, of bytes that passed [`der::check`].
struct Values<'a>(&'a [u8]);

struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// Tag and length too.
    whole: &'a [u8],
}

impl<'a> Values<'a> {
    fn any(&mut self, what: &str) -> Result<Value<'a>, LintError> {
        let (tag, start, length) =
            der::header(self.0, 0, self.0.len()).map_err(|_| unreadable(format!("{what} is missing")))?;
        let (whole, rest) = self.0.split_at(start + length);
        self.0 = rest;
        Ok(Value { tag, content: &whole[start..], whole })
    }

    fn value(&mut self, tag: u8, what: &str) -> Result<Value<'a>, LintError> {
        let found = self.any(what)?;
        if found.tag == tag {
            Ok(found)
        } else {
            Err(unreadable(format!("the tag {:#04x} stands where {what} belongs", found.tag)))
        }
    }

    fn inside(&mut self, tag: u8, what: &str) -> Result<Values<'a>, LintError> {
        Ok(Values(self.value(tag, what)?.content))
    }

    fn end(&self, what: &str) -> Result<(), LintError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(unreadable(format!("{} octets too many in {what}", self.0.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).unwrap();
        let mut octets = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        octets.extend(content);
        octets
    }

    /// The fields that vary.
    #[derive(Clone)]
    struct Parts {
        issuer: Vec<u8>,
        not_after: Vec<u8>,
        extension: Vec<u8>,
    }

    const USAGE: &[u8] = &[OBJECT_IDENTIFIER, 3, 0x55, 0x1d, 0x0f];
    const BITS: &[u8] = &[0x03, 2, 7, 0x80];
    const ALGORITHM: &[u8] = &[SEQUENCE, 3, OBJECT_IDENTIFIER, 1, 0x2a];

    fn attribute(kind: u8, value: &str) -> Vec<u8> {
        tlv(SEQUENCE, &[&[OBJECT_IDENTIFIER, 3, 0x55, 0x04, kind], &tlv(0x0c, &[value.as_bytes()])])
    }

    fn right() -> Parts {
        Parts {
            issuer: tlv(SEQUENCE, &[&tlv(SET, &[&attribute(3, "CA")])]),
            not_after: tlv(UTC_TIME, &[b"491231235959Z"]),
            extension: tlv(SEQUENCE, &[USAGE, &[BOOLEAN, 1, 0xff], &tlv(OCTET_STRING, &[BITS])]),
        }
    }

    /// What is found, in words; nothing if it is right.
    fn judged(parts: &Parts) -> String {
        let validity = tlv(SEQUENCE, &[&tlv(UTC_TIME, &[b"251231235959Z"]), &parts.not_after]);
        let tbs = tlv(
            SEQUENCE,
            &[
                &tlv(CONTEXT_0, &[&[INTEGER, 1, 2]]),
                &[INTEGER, 1, 7],
                ALGORITHM,
                &parts.issuer,
                &validity,
                &tlv(SEQUENCE, &[]),
                &tlv(SEQUENCE, &[ALGORITHM, BITS]),
                &tlv(CONTEXT_3, &[&tlv(SEQUENCE, &[&parts.extension])]),
            ],
        );
        let mut findings = Findings::default();
        match read(&tbs, &mut findings) {
            Err(error) => error.to_string(),
            Ok(algorithm) => {
                assert_eq!(algorithm, ALGORITHM);
                findings.into_result().map_or_else(|error| error.to_string(), |()| String::new())
            }
        }
    }

    #[test]
    fn every_field_has_one_form() {
        assert_eq!(judged(&right()), "");
        let two = |first: &[u8], second: &[u8]| tlv(SEQUENCE, &[&tlv(SET, &[first, second])]);
        let (name, organization) = (attribute(3, "CA"), attribute(10, "Example"));
        assert_eq!(judged(&Parts { issuer: two(&name, &organization), ..right() }), "");
        let bent: [(Parts, &str); 8] = [
            (Parts { issuer: two(&organization, &name), ..right() }, "not in order"),
            (Parts { issuer: tlv(SEQUENCE, &[&tlv(SET, &[])]), ..right() }, "is empty"),
            (Parts { not_after: tlv(GENERALIZED_TIME, &[b"20491231235959Z"]), ..right() }, "only form"),
            (Parts { not_after: tlv(UTC_TIME, &[b"4912312359Z"]), ..right() }, "only form"),
            (Parts { not_after: tlv(GENERALIZED_TIME, &[b"20500101000000.5Z"]), ..right() }, "only form"),
            (
                Parts {
                    extension: tlv(SEQUENCE, &[USAGE, &[BOOLEAN, 1, 0], &tlv(OCTET_STRING, &[BITS])]),
                    ..right()
                },
                "not critical",
            ),
            (
                // A BIT STRING whose unused bits are not zero, inside.
                Parts {
                    extension: tlv(SEQUENCE, &[USAGE, &tlv(OCTET_STRING, &[&[3, 2, 7, 0xff]])]),
                    ..right()
                },
                "in an extension",
            ),
            (Parts { extension: tlv(SEQUENCE, &[USAGE, BITS]), ..right() }, "belongs"),
        ];
        for (parts, expected) in bent {
            let found = judged(&parts);
            assert!(found.contains(expected), "{found:?} instead of {expected:?}");
        }
        let late = Parts { not_after: tlv(GENERALIZED_TIME, &[b"20500101000000Z"]), ..right() };
        assert_eq!(judged(&late), "");
    }
}
