//! People: who an identity provider says somebody is.
//!
//! A person is what a verified token says: a subject, perhaps an e-mail address, perhaps groups. None of
//! it gives a right by itself; [`crate::group`] says which of it does. An address that the provider does
//! not vouch for is anybody's choice: it can take rights away, and never give one.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::entry::KeyDigest;

/// The most octets of an address (RFC 5321 §4.5.3.1.3: 256 with the brackets around it).
const LONGEST_EMAIL: usize = 254;

/// The most octets of a subject (OpenID Connect Core §2).
const LONGEST_SUBJECT: usize = 255;

/// The most octets of what a provider calls a group.
const LONGEST_GROUP: usize = 256;

/// An e-mail address, in lower case. Providers do not agree on whose letters count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// What the provider calls one of its groups, exactly as it is in the claim.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderGroup(String);

/// Whom the provider's tokens are about: never given to anybody else (OpenID Connect Core §2, `sub`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

/// Why a text names no person and no group of a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    /// It is no e-mail address.
    #[error("{text:?} is no e-mail address")]
    Email {
        /// The text, escaped.
        text: String,
    },
    /// It can't be what a provider calls a group.
    #[error("{text:?} can't be a provider's group: up to {LONGEST_GROUP} octets, and no control characters")]
    Group {
        /// The text, escaped.
        text: String,
    },
    /// It can't be a subject.
    #[error(
        "{text:?} can't be a subject: up to {LONGEST_SUBJECT} ASCII characters, none a control character"
    )]
    Subject {
        /// The text, escaped.
        text: String,
    },
}

/// The start of an escaped text: what is refused for its length is not shown whole.
fn start(text: &str) -> String {
    ca::cert::printable(&text.chars().take(64).collect::<String>())
}

impl FromStr for Email {
    type Err = PersonError;

    /// Letters of ASCII alone: one address has one spelling, whatever looks like it.
    fn from_str(text: &str) -> Result<Email, PersonError> {
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !br#""(),:;<>@[\]"#.contains(&b))
        };
        match text.split_once('@') {
            Some((user, host)) if text.len() <= LONGEST_EMAIL && plain(user) && plain(host) => {
                Ok(Email(text.to_ascii_lowercase()))
            }
            Some(_) | None => Err(PersonError::Email { text: start(text) }),
        }
    }
}

impl FromStr for ProviderGroup {
    type Err = PersonError;

    fn from_str(text: &str) -> Result<ProviderGroup, PersonError> {
        let fits = !text.is_empty() && text.len() <= LONGEST_GROUP && !text.chars().any(char::is_control);
        match fits {
            true => Ok(ProviderGroup(text.to_owned())),
            false => Err(PersonError::Group { text: start(text) }),
        }
    }
}

impl FromStr for Subject {
    type Err = PersonError;

    fn from_str(text: &str) -> Result<Subject, PersonError> {
        let fits = !text.is_empty()
            && text.len() <= LONGEST_SUBJECT
            && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        match fits {
            true => Ok(Subject(text.to_owned())),
            false => Err(PersonError::Subject { text: start(text) }),
        }
    }
}

macro_rules! texts {
    ($($type:ident),+) => {$(
        impl $type {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({:?})"), self.0)
            }
        }
    )+};
}

texts!(Email, ProviderGroup, Subject);
ca::text_cbor!(Email);
ca::text_cbor!(ProviderGroup);

/// What an address is worth.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// The provider says that it is the person's (`email_verified`).
    Verified(Email),
    /// The provider says it, and not that it is the person's.
    Claimed(Email),
    /// There is none.
    None,
}

impl Address {
    /// The address, whatever it is worth.
    pub fn email(&self) -> Option<&Email> {
        match self {
            Address::Verified(email) | Address::Claimed(email) => Some(email),
            Address::None => None,
        }
    }

    /// The address that may give rights.
    pub fn verified(&self) -> Option<&Email> {
        match self {
            Address::Verified(email) => Some(email),
            Address::Claimed(_) | Address::None => None,
        }
    }
}

/// Somebody whom the identity provider vouches for, as of their token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who it is to the provider.
    pub subject: Subject,
    /// Their e-mail address.
    pub address: Address,
    /// The provider's groups that they are in.
    pub groups: Vec<ProviderGroup>,
}

impl Person {
    /// What they are called in the audit trail: their address if the provider vouches for it, else the subject.
    pub fn name(&self) -> &str {
        self.address.verified().map_or(self.subject.as_str(), Email::as_str)
    }

    /// Every name under which they may have been denied.
    pub(crate) fn names(&self) -> impl Iterator<Item = PersonId> {
        let email = self.address.email().map(|email| PersonId::of(email.as_str()));
        [PersonId::of(self.subject.as_str())].into_iter().chain(email)
    }
}

/// What a denial of a person lies under: the digest of their address or subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(KeyDigest);

impl PersonId {
    /// Of an address or a subject, the address in any case.
    pub fn of(name: &str) -> PersonId {
        let name = name.parse::<Email>().map_or_else(|_| name.to_owned(), |email| email.0);
        let mut octets = [0; 32];
        octets.copy_from_slice(digest(&SHA256, name.as_bytes()).as_ref());
        PersonId(KeyDigest::from_bytes(octets))
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PersonId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<PersonId, hex::FromHexError> {
        Ok(PersonId(text.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!("Anna@Example.COM".parse::<Email>().unwrap().as_str(), "anna@example.com");
        for bad in [
            "",
            "anna",
            "@example.com",
            "anna@",
            "a@b@c",
            "a b@example.com",
            "anna@example.com ",
            "anna@ex\u{430}mple.com",
            "a\n@example.com",
            "<a@example.com>",
            &format!("{}@example.com", "a".repeat(250)),
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_provider_says_is_bounded() {
        assert!("Domain Admins".parse::<ProviderGroup>().is_ok());
        assert!("gr\u{fc}n".parse::<ProviderGroup>().is_ok());
        for bad in ["", "a\nb", "\u{7f}", &"a".repeat(257)] {
            assert!(bad.parse::<ProviderGroup>().is_err(), "{bad:?}");
        }
        assert!("auth0|5f7c8ec7c33c6c004bbafe82".parse::<Subject>().is_ok());
        for bad in ["", "a\tb", "\u{e4}", &"a".repeat(256)] {
            assert!(bad.parse::<Subject>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_a_verified_address_names_a_person() {
        let email: Email = "anna@example.com".parse().unwrap();
        let mut anna = Person {
            subject: "17".parse().unwrap(),
            address: Address::Verified(email.clone()),
            groups: Vec::new(),
        };
        assert_eq!(anna.name(), "anna@example.com");
        anna.address = Address::Claimed(email);
        assert_eq!(anna.name(), "17");
        // It still meets a denial of the address.
        assert!(anna.names().any(|id| id == PersonId::of("ANNA@example.com")));
    }
}
