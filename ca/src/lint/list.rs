//! The rules for a certificate revocation list, RFC 5280 §5: read front to back without keeping an
//! entry, so that a million of them need no memory beside the bytes themselves.

mod usual;

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, TagNumber};
use time::{Duration, OffsetDateTime};

use self::usual::Moment;
use super::{Findings, ForList, LintError, Linted, Rule, signature_algorithm, unreadable};
use crate::issuer::IssuerCertificate;

const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");

/// A list may be dated this far ahead of the clock that is asked about it.
const CLOCK_TOLERANCE: Duration = Duration::MINUTE;

/// A list may rule at most so long: no key of ours is offline for longer than a year at a time.
const LONGEST: Duration = Duration::days(400);

/// Checks a TBSCertList that `issuer` is to sign. The number must be above `previous`, the big-endian
/// number of the last list in this scope.
pub fn list(
    tbs: Vec<u8>,
    issuer: &IssuerCertificate,
    previous: Option<&[u8]>,
    now: OffsetDateTime,
) -> Result<Linted<ForList>, LintError> {
    let mut findings = Findings::default();
    let read = Lint { findings: &mut findings, issuer, previous, now };
    read.whole(&tbs).map_err(|error| unreadable(error.to_string()))?;
    findings.into_result()?;
    Ok(Linted::new(tbs, issuer.public_key(), ForList(())))
}

struct Lint<'a> {
    findings: &'a mut Findings,
    issuer: &'a IssuerCertificate,
    previous: Option<&'a [u8]>,
    now: OffsetDateTime,
}

impl Lint<'_> {
    fn whole(mut self, tbs: &[u8]) -> der::Result<()> {
        let mut reader = SliceReader::new(tbs)?;
        reader.sequence(|reader| self.fields(reader))?;
        reader.finish()
    }

    fn fields(&mut self, reader: &mut SliceReader<'_>) -> der::Result<()> {
        let version = u8::decode(reader)?;
        self.findings.demand(Rule::Version, version == 1, || format!("{version} does not mean version 2"));
        let algorithm = reader.tlv_bytes()?;
        let expected = signature_algorithm(self.issuer.public_key().key_type());
        self.findings.demand(Rule::SignatureAlgorithm, algorithm == expected, || {
            format!("{} is not what the issuer's key signs with", hex::encode(algorithm))
        });
        let name = reader.tlv_bytes()?;
        self.findings.demand(Rule::Issuer, name == self.issuer.certificate().subject_raw(), || {
            "not the issuer's subject, byte for byte".to_owned()
        });
        let this_update = self.date(reader, "thisUpdate")?;
        match Tag::peek(reader) {
            Ok(Tag::UtcTime | Tag::GeneralizedTime) => {
                let next_update = self.date(reader, "nextUpdate")?;
                self.dates(this_update, next_update);
            }
            Ok(_) | Err(_) => self.findings.add(Rule::Validity, "there is no nextUpdate (§5.1.2.5)"),
        }
        if Tag::peek(reader).is_ok_and(|tag| tag == Tag::Sequence) {
            self.entries(AnyRef::decode(reader)?.value(), this_update)?;
        }
        let extensions = AnyRef::decode(reader)?;
        let wrapped = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
        if der::Tagged::tag(&extensions) != wrapped {
            self.findings.add(Rule::Extensions, "there are none");
            return Ok(());
        }
        let mut reader = SliceReader::new(extensions.value())?;
        reader.sequence(|reader| self.extensions(reader))?;
        reader.finish()
    }

    /// UTCTime through 2049, GeneralizedTime from 2050 on (§5.1.2.4 to §5.1.2.6).
    fn date(&mut self, reader: &mut SliceReader<'_>, name: &str) -> der::Result<OffsetDateTime> {
        let utc = Tag::peek(reader)? == Tag::UtcTime;
        let since = if utc {
            UtcTime::decode(reader)?.to_unix_duration()
        } else {
            GeneralizedTime::decode(reader)?.to_unix_duration()
        };
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let date = crate::records::moment(seconds);
        self.findings.demand(Rule::Validity, utc == (date.year() < 2050), || {
            format!("{name} has the wrong form for its year")
        });
        Ok(date)
    }

    fn dates(&mut self, this_update: OffsetDateTime, next_update: OffsetDateTime) {
        let (now, issuer) = (self.now, self.issuer.validity());
        let mut demand = |holds, detail: String| self.findings.demand(Rule::Validity, holds, || detail);
        demand(
            this_update < next_update,
            format!("nextUpdate {next_update} is not after thisUpdate {this_update}"),
        );
        demand(this_update <= now + CLOCK_TOLERANCE, format!("thisUpdate {this_update} lies ahead of {now}"));
        demand(next_update > now, format!("nextUpdate {next_update} is over at {now}"));
        demand(
            next_update - this_update <= LONGEST,
            format!("it would rule for more than {} days", LONGEST.whole_days()),
        );
        demand(issuer.contains(now), format!("its issuer is not valid at {now}"));
    }

    fn entries(&mut self, mut rest: &[u8], this_update: OffsetDateTime) -> der::Result<()> {
        if rest.is_empty() {
            self.findings.add(Rule::Entries, "an empty list of entries must be absent");
        }
        let latest = Moment::of(this_update);
        let mut last: &[u8] = &[];
        while !rest.is_empty() {
            if let Some(usual) = usual::first(rest)
                && usual.date <= latest
                && (last.len(), last) < (usual.serial.len(), usual.serial)
            {
                (last, rest) = (usual.serial, usual.rest);
                continue;
            }
            let mut reader = SliceReader::new(rest)?;
            // Thousands of findings of one kind say no more than one.
            if !self.findings.0.is_empty() {
                reader.tlv_bytes()?;
                rest = after(&reader, rest);
                continue;
            }
            let (serial, date) = reader.sequence(|reader| -> der::Result<_> {
                let serial = integer(reader)?;
                let date = self.date(reader, "revocationDate")?;
                if !reader.is_finished() {
                    reader.sequence(|reader| self.entry_extensions(reader))?;
                }
                Ok((serial, date))
            })?;
            let shown = || hex::encode(serial);
            self.findings
                .demand(Rule::Entries, is_serial(serial), || format!("{} is no serial number", shown()));
            self.findings.demand(Rule::Entries, (last.len(), last) < (serial.len(), serial), || {
                format!("{} does not come after {}", shown(), hex::encode(last))
            });
            self.findings.demand(Rule::Entries, date <= this_update, || {
                format!("{} is revoked at {date}, after thisUpdate", shown())
            });
            last = serial;
            rest = after(&reader, rest);
        }
        Ok(())
    }

    fn entry_extensions(&mut self, reader: &mut SliceReader<'_>) -> der::Result<()> {
        let mut seen: Vec<ObjectIdentifier> = Vec::new();
        while !reader.is_finished() {
            let (oid, critical, value) = extension(reader)?;
            self.findings.demand(Rule::Entries, !critical, || format!("{oid} is critical (§5.3)"));
            self.findings.demand(Rule::Entries, !seen.contains(&oid), || format!("{oid} stands there twice"));
            seen.push(oid);
            match oid {
                REASON => {
                    let reason = AnyRef::from_der(value)?;
                    // 0 says nothing and 8 belongs into delta lists; 7 is unused (§5.3.1).
                    let right = der::Tagged::tag(&reason) == Tag::Enumerated
                        && matches!(reason.value(), [1..=6 | 9 | 10]);
                    self.findings.demand(Rule::Entries, right, || format!("reason {}", hex::encode(value)));
                }
                INVALIDITY_DATE => {
                    GeneralizedTime::from_der(value)?;
                }
                other => self.findings.add(Rule::Entries, format!("{other} has no place in an entry")),
            }
        }
        self.findings.demand(Rule::Entries, !seen.is_empty(), || "an empty list of extensions".to_owned());
        Ok(())
    }

    fn extensions(&mut self, reader: &mut SliceReader<'_>) -> der::Result<()> {
        let (mut key_ids, mut numbers) = (0, 0);
        while !reader.is_finished() {
            let (oid, critical, value) = extension(reader)?;
            self.findings.demand(Rule::Extensions, !critical, || format!("{oid} must not be critical"));
            match oid {
                AUTHORITY_KEY_IDENTIFIER => {
                    key_ids += 1;
                    self.authority_key(value);
                }
                CRL_NUMBER => {
                    numbers += 1;
                    let mut reader = SliceReader::new(value)?;
                    let number = integer(&mut reader)?;
                    reader.finish()?;
                    self.number(number);
                }
                other => {
                    self.findings.add(Rule::Extensions, format!("{other} has no place in a list of ours"))
                }
            }
        }
        self.findings.demand(Rule::AuthorityKeyIdentifier, key_ids == 1, || format!("{key_ids} of them"));
        self.findings.demand(Rule::CrlNumber, numbers == 1, || format!("{numbers} of them"));
        Ok(())
    }

    fn authority_key(&mut self, value: &[u8]) {
        let expected = self.issuer.key_identifier();
        let found = x509_cert::ext::pkix::AuthorityKeyIdentifier::from_der(value);
        let right = found.as_ref().is_ok_and(|found| {
            found.key_identifier.as_ref().is_some_and(|id| id.as_bytes() == expected)
                && found.authority_cert_issuer.is_none()
                && found.authority_cert_serial_number.is_none()
        });
        self.findings.demand(Rule::AuthorityKeyIdentifier, right, || {
            format!("it is not the issuer's {} alone", hex::encode(expected))
        });
    }

    fn number(&mut self, number: &[u8]) {
        let positive = number.first().is_some_and(|first| first & 0x80 == 0);
        self.findings.demand(Rule::CrlNumber, positive && number.len() <= 20, || {
            format!("{} is negative or has more than 20 octets", hex::encode(number))
        });
        let magnitude = significant(number);
        let previous = self.previous.map(significant);
        let rises = previous.is_none_or(|previous| (previous.len(), previous) < (magnitude.len(), magnitude));
        self.findings.demand(Rule::CrlNumber, rises, || {
            format!("{} is not above {}", hex::encode(number), hex::encode(previous.unwrap_or_default()))
        });
    }
}

/// What is left of `bytes` when a reader has read its part.
fn after<'a>(reader: &SliceReader<'_>, bytes: &'a [u8]) -> &'a [u8] {
    let left = usize::try_from(reader.remaining_len()).unwrap_or(0);
    &bytes[bytes.len() - left..]
}

/// An Extension (§4.1): its identifier, whether it is critical, its content.
fn extension<'a>(reader: &mut SliceReader<'a>) -> der::Result<(ObjectIdentifier, bool, &'a [u8])> {
    reader.sequence(|reader| -> der::Result<_> {
        let oid = ObjectIdentifier::decode(reader)?;
        // DEFAULT FALSE: written out it is not DER (X.690 §11.5).
        let critical = match Tag::peek(reader)? {
            Tag::Boolean => match bool::decode(reader)? {
                true => true,
                false => return Err(der::Error::from(der::ErrorKind::Noncanonical { tag: Tag::Boolean })),
            },
            _ => false,
        };
        let value: &OctetStringRef = Decode::decode(reader)?;
        Ok((oid, critical, value.as_bytes()))
    })
}

/// The content octets of an INTEGER of the shortest form.
fn integer<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let any = AnyRef::decode(reader)?;
    let tag = der::Tagged::tag(&any);
    tag.assert_eq(Tag::Integer)?;
    match any.value() {
        [] => Err(der::Error::from(der::ErrorKind::Length { tag })),
        [0, next, ..] if next & 0x80 == 0 => Err(der::Error::from(der::ErrorKind::Noncanonical { tag })),
        [0xff, next, ..] if next & 0x80 != 0 => Err(der::Error::from(der::ErrorKind::Noncanonical { tag })),
        content => Ok(content),
    }
}

/// Not negative and at most 20 octets (§4.1.2.2); an adopted CA may have given out a zero.
fn is_serial(content: &[u8]) -> bool {
    content.len() <= 20 && content.first().is_some_and(|first| first & 0x80 == 0)
}

/// A number's octets without leading zeros.
fn significant(number: &[u8]) -> &[u8] {
    &number[number.iter().position(|&octet| octet != 0).unwrap_or(number.len())..]
}

#[cfg(test)]
mod tests;
