//! Why a certificate was revoked: the CRL reasons of RFC 5280 §5.3.1.
//!
//! The names are RFC 5280's; kebab-case is understood on the way in, for hands at a keyboard.
//! `removeFromCRL` belongs into delta lists alone and is refused, as is the unassigned code 7.

use std::fmt;
use std::str::FromStr;

/// A reason for revocation, RFC 5280 §5.3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No reason given; the entry then carries no reason extension (RFC 5280 §5.3.1).
    #[default]
    Unspecified,
    /// The subject's private key is known or suspected to be in other hands.
    KeyCompromise,
    /// The same of an authority's key.
    CaCompromise,
    /// The subject's name or other contents no longer hold.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// The subject no longer needs it.
    CessationOfOperation,
    /// On hold: the one reason that can be lifted.
    CertificateHold,
    /// A privilege in it was withdrawn.
    PrivilegeWithdrawn,
    /// An attribute authority was compromised.
    AaCompromise,
}

/// Why a word is not a reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// It is none of the RFC's.
    #[error("{given:?} is not a reason for revocation; the reasons are {}", names())]
    Unknown {
        /// The word as it was given.
        given: String,
    },
    /// It is one that a full list must not carry.
    #[error("removeFromCRL is for delta lists only; to lift a certificateHold, release the certificate")]
    RemoveFromCrl,
    /// It is a code that RFC 5280 does not assign.
    #[error("{code} is not a reason code of RFC 5280")]
    UnknownCode {
        /// The code as it was found.
        code: u8,
    },
}

impl Reason {
    /// Every reason that can be given, in the order of the codes.
    pub const ALL: [Reason; 9] = [
        Reason::Unspecified,
        Reason::KeyCompromise,
        Reason::CaCompromise,
        Reason::AffiliationChanged,
        Reason::Superseded,
        Reason::CessationOfOperation,
        Reason::CertificateHold,
        Reason::PrivilegeWithdrawn,
        Reason::AaCompromise,
    ];

    /// The code of the `CRLReason` enumeration.
    pub const fn code(self) -> u8 {
        match self {
            Reason::Unspecified => 0,
            Reason::KeyCompromise => 1,
            Reason::CaCompromise => 2,
            Reason::AffiliationChanged => 3,
            Reason::Superseded => 4,
            Reason::CessationOfOperation => 5,
            Reason::CertificateHold => 6,
            Reason::PrivilegeWithdrawn => 9,
            Reason::AaCompromise => 10,
        }
    }

    /// The reason with this code.
    ///
    /// # Errors
    /// [`ReasonError::RemoveFromCrl`] for 8, [`ReasonError::UnknownCode`] for one that is not assigned.
    pub fn from_code(code: u8) -> Result<Reason, ReasonError> {
        match Reason::ALL.into_iter().find(|reason| reason.code() == code) {
            Some(reason) => Ok(reason),
            None if code == 8 => Err(ReasonError::RemoveFromCrl),
            None => Err(ReasonError::UnknownCode { code }),
        }
    }

    /// RFC 5280's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Unspecified => "unspecified",
            Reason::KeyCompromise => "keyCompromise",
            Reason::CaCompromise => "cACompromise",
            Reason::AffiliationChanged => "affiliationChanged",
            Reason::Superseded => "superseded",
            Reason::CessationOfOperation => "cessationOfOperation",
            Reason::CertificateHold => "certificateHold",
            Reason::PrivilegeWithdrawn => "privilegeWithdrawn",
            Reason::AaCompromise => "aACompromise",
        }
    }

    /// Whether the key itself is lost: such a key is blocked for ever.
    pub const fn is_compromise(self) -> bool {
        match self {
            Reason::KeyCompromise | Reason::CaCompromise => true,
            Reason::Unspecified
            | Reason::AffiliationChanged
            | Reason::Superseded
            | Reason::CessationOfOperation
            | Reason::CertificateHold
            | Reason::PrivilegeWithdrawn
            | Reason::AaCompromise => false,
        }
    }
}

fn names() -> String {
    Reason::ALL.map(Reason::name).join(", ")
}

/// Letters only, in lower case: `keyCompromise`, `key-compromise` and `KEY_COMPROMISE` are one word.
fn folded(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(given: &str) -> Result<Reason, ReasonError> {
        let word = folded(given);
        match Reason::ALL.into_iter().find(|reason| folded(reason.name()) == word) {
            Some(reason) => Ok(reason),
            None if word == "removefromcrl" => Err(ReasonError::RemoveFromCrl),
            None => Err(ReasonError::Unknown { given: given.to_owned() }),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<C> minicbor::Encode<C> for Reason {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(self.code())?;
        Ok(())
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Reason {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Reason::from_code(d.u8()?).map_err(minicbor::decode::Error::message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_the_rfcs_is_written() {
        for (word, reason) in [
            ("keyCompromise", Reason::KeyCompromise),
            ("key-compromise", Reason::KeyCompromise),
            ("cACompromise", Reason::CaCompromise),
            ("ca-compromise", Reason::CaCompromise),
            ("certificate-hold", Reason::CertificateHold),
            ("aACompromise", Reason::AaCompromise),
            ("cessation-of-operation", Reason::CessationOfOperation),
        ] {
            assert_eq!(word.parse::<Reason>(), Ok(reason), "{word}");
        }
        for reason in Reason::ALL {
            assert_eq!(reason.to_string().parse::<Reason>(), Ok(reason));
            assert_eq!(Reason::from_code(reason.code()), Ok(reason));
        }
    }

    #[test]
    fn remove_from_crl_and_unassigned_codes_are_refused() {
        assert_eq!("removeFromCRL".parse::<Reason>(), Err(ReasonError::RemoveFromCrl));
        assert_eq!(Reason::from_code(8), Err(ReasonError::RemoveFromCrl));
        assert_eq!(Reason::from_code(7), Err(ReasonError::UnknownCode { code: 7 }));
        let unknown = "lost".parse::<Reason>().unwrap_err().to_string();
        assert!(unknown.contains("\"lost\"") && unknown.contains("keyCompromise"), "{unknown}");
    }
}
