//! What it means to revoke: the record, and the decision what a request does to it.
//!
//! A revocation is for ever but for three cases: a hold can be released; a hold can become a
//! revocation, which then keeps the hold's date; and when a key turns out to be compromised, that
//! replaces a lesser reason. Every other change of what was once published is refused.

use ca::cert::{KeyId, Serial};
use minicbor::{Decode, Encode};
use store::{Key, Record};
use time::OffsetDateTime;

use crate::{Error, Reason};

/// The record `revoked/KEYID/SERIAL`: one certificate is revoked or on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Revocation {
    /// When it was revoked, in seconds since 1970: the entry's revocationDate.
    #[n(0)]
    pub at: i64,
    /// Why.
    #[n(1)]
    pub reason: Reason,
    /// The certificate's notAfter, in seconds since 1970: until then it is listed at least.
    #[n(2)]
    pub not_after: i64,
    /// Since when it is believed to be invalid, if that was said (RFC 5280 §5.3.2).
    #[n(3)]
    pub invalidity: Option<i64>,
}

impl Record for Revocation {
    const TREE: &'static str = "revoked";
    const FORMAT: store::Format = 1;
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Why.
    pub reason: Reason,
    /// Since when it is believed to be invalid, if that is known.
    pub invalidity: Option<OffsetDateTime>,
    /// The time of the request.
    pub now: OffsetDateTime,
}

/// What a request for revocation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is revoked as asked, or for something that includes it: nothing is written.
    Already(Revocation),
    /// This is written.
    Write(Revocation),
}

/// Why what is recorded stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is revoked for another reason, and this one does not outweigh it.
    #[error("certificate {serial} is already revoked ({recorded}); its reason can't become {asked}")]
    ReasonStands {
        /// Whose revocation.
        serial: Serial,
        /// The reason on record.
        recorded: Reason,
        /// The reason asked for.
        asked: Reason,
    },
    /// It is not on hold but revoked for good.
    #[error("certificate {serial} is revoked for good ({recorded}); only a certificateHold can be released")]
    NotHeld {
        /// Whose revocation.
        serial: Serial,
        /// The reason on record.
        recorded: Reason,
    },
    /// It is not revoked at all.
    #[error("certificate {serial} is not revoked")]
    NotRevoked {
        /// The certificate.
        serial: Serial,
    },
    /// The invalidity date lies ahead (RFC 5280 §5.3.2 speaks of a past suspicion).
    #[error("certificate {serial} can't be known to be invalid since a time that is still to come")]
    InvalidityAhead {
        /// The certificate.
        serial: Serial,
    },
}

impl Revocation {
    /// Where the revocation of a certificate is recorded.
    pub fn key(issuer: &KeyId, serial: &Serial) -> Key {
        Key::new(Self::TREE).part(issuer.to_string()).part(serial.to_string())
    }

    /// The certificate that a key of the tree names.
    pub(crate) fn named_by(key: &Key) -> Result<(KeyId, Serial), Error> {
        let stray = || Error::StrayRecord { key: key.clone() };
        let path = std::str::from_utf8(key.as_bytes()).map_err(|_| stray())?;
        let (issuer, serial) = path
            .strip_prefix(Self::TREE)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(stray)?;
        let issuer: KeyId = issuer.parse().map_err(|_| stray())?;
        let serial: Serial = serial.parse().map_err(|_| stray())?;
        // One certificate has one key: no other spelling of it may exist.
        if Self::key(&issuer, &serial) == *key { Ok((issuer, serial)) } else { Err(stray()) }
    }

    /// What `request` does to a certificate that ends at `not_after` and has `recorded` on record.
    ///
    /// # Errors
    /// [`Refusal::ReasonStands`], [`Refusal::InvalidityAhead`].
    pub fn decide(
        recorded: Option<Revocation>,
        serial: Serial,
        not_after: OffsetDateTime,
        request: &Request,
    ) -> Result<Decision, Refusal> {
        if request.invalidity.is_some_and(|since| since > request.now) {
            return Err(Refusal::InvalidityAhead { serial });
        }
        let invalidity = request.invalidity.map(OffsetDateTime::unix_timestamp);
        let asked = request.reason;
        let Some(recorded) = recorded else {
            return Ok(Decision::Write(Revocation {
                at: request.now.unix_timestamp(),
                reason: asked,
                not_after: not_after.unix_timestamp(),
                invalidity,
            }));
        };
        let replaced =
            Revocation { reason: asked, invalidity: invalidity.or(recorded.invalidity), ..recorded };
        if recorded.reason == asked {
            Ok(Decision::Already(recorded))
        } else if recorded.reason == Reason::CertificateHold {
            Ok(Decision::Write(replaced))
        } else if asked == Reason::Unspecified {
            // Whoever names no reason wants it revoked, and it is.
            Ok(Decision::Already(recorded))
        } else if asked.is_compromise() && !recorded.reason.is_compromise() {
            Ok(Decision::Write(replaced))
        } else {
            Err(Refusal::ReasonStands { serial, recorded: recorded.reason, asked })
        }
    }

    /// Whether a certificate with `recorded` on record may be released.
    ///
    /// # Errors
    /// [`Refusal::NotRevoked`], [`Refusal::NotHeld`].
    pub fn decide_release(recorded: Option<Revocation>, serial: Serial) -> Result<(), Refusal> {
        match recorded {
            None => Err(Refusal::NotRevoked { serial }),
            Some(Revocation { reason: Reason::CertificateHold, .. }) => Ok(()),
            Some(Revocation { reason: recorded, .. }) => Err(Refusal::NotHeld { serial, recorded }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn serial() -> Serial {
        Serial::from_bytes(&[0x4f, 1]).unwrap()
    }

    fn recorded(reason: Reason) -> Revocation {
        Revocation { at: 100, reason, not_after: 900, invalidity: None }
    }

    fn ask(recorded: Option<Revocation>, reason: Reason) -> Result<Decision, Refusal> {
        let request = Request { reason, invalidity: None, now: at(500) };
        Revocation::decide(recorded, serial(), at(900), &request)
    }

    #[test]
    fn the_first_request_is_written_and_the_second_changes_nothing() {
        let written = Revocation { at: 500, reason: Reason::Superseded, not_after: 900, invalidity: None };
        assert_eq!(ask(None, Reason::Superseded), Ok(Decision::Write(written)));
        assert_eq!(ask(Some(written), Reason::Superseded), Ok(Decision::Already(written)));
        assert_eq!(ask(Some(written), Reason::Unspecified), Ok(Decision::Already(written)));
    }

    #[test]
    fn every_change_of_reason_is_allowed_or_refused_on_purpose() {
        for from in Reason::ALL {
            for to in Reason::ALL {
                let outcome = ask(Some(recorded(from)), to);
                let kept = Decision::Already(recorded(from));
                let replaced = Decision::Write(Revocation { reason: to, ..recorded(from) });
                use Reason::{CaCompromise, CertificateHold, KeyCompromise, Unspecified};
                let expected = match (from, to) {
                    (from, to) if from == to => Ok(kept),
                    (CertificateHold, _) => Ok(replaced),
                    (_, Unspecified) => Ok(kept),
                    (KeyCompromise, CaCompromise) | (CaCompromise, KeyCompromise) => Err(()),
                    (_, KeyCompromise | CaCompromise) => Ok(replaced),
                    _ => Err(()),
                };
                assert_eq!(outcome.map_err(|_| ()), expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn only_a_hold_is_released() {
        for reason in Reason::ALL {
            let released = Revocation::decide_release(Some(recorded(reason)), serial());
            assert_eq!(released.is_ok(), reason == Reason::CertificateHold, "{reason}");
        }
        let absent = Revocation::decide_release(None, serial());
        assert_eq!(absent, Err(Refusal::NotRevoked { serial: serial() }));
    }

    #[test]
    fn invalidity_lies_in_the_past() {
        let request = Request { reason: Reason::KeyCompromise, invalidity: Some(at(501)), now: at(500) };
        let ahead = Revocation::decide(None, serial(), at(900), &request);
        assert_eq!(ahead, Err(Refusal::InvalidityAhead { serial: serial() }));
    }

    #[test]
    fn a_key_names_one_certificate_in_one_spelling() {
        let issuer = KeyId::from_bytes([0xab; 20]);
        let key = Revocation::key(&issuer, &serial());
        assert_eq!(Revocation::named_by(&key).unwrap(), (issuer, serial()));
        for stray in ["4F01", "004f01", "4f:01", "", "zz"] {
            let key = Key::new("revoked").part(issuer.to_string()).part(stray);
            assert!(Revocation::named_by(&key).is_err(), "{stray}");
        }
        assert!(Revocation::named_by(&Key::new("revoked").part("4f01")).is_err());
    }
}
