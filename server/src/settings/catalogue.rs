//! What settings there are. The reference in `docs/` is made from this table.

use std::fmt;

use super::Error;
use super::value::{self, Span};

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// `core.public_address`
    CorePublicAddress,
    /// `core.public_url`
    CorePublicUrl,
    /// `crl.root_validity`
    CrlRootValidity,
    /// `crl.validity`
    CrlValidity,
    /// `profile.client.days`
    ProfileClientDays,
    /// `profile.issuing.days`
    ProfileIssuingDays,
    /// `profile.root.days`
    ProfileRootDays,
    /// `profile.server.days`
    ProfileServerDays,
}

/// What holds while a setting is unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Nothing: the thing is off.
    Off,
    /// This value.
    Value(&'static str),
}

impl Default {
    /// The value, if there is one.
    pub fn value(self) -> Option<&'static str> {
        match self {
            Default::Off => None,
            Default::Value(value) => Some(value),
        }
    }
}

/// The longest lifetime that can be asked for: a hundred years keeps every date below 9999.
const MOST_DAYS: u32 = 36_525;

impl Setting {
    /// Every setting, by name.
    pub const ALL: [Setting; 8] = [
        Setting::CorePublicAddress,
        Setting::CorePublicUrl,
        Setting::CrlRootValidity,
        Setting::CrlValidity,
        Setting::ProfileClientDays,
        Setting::ProfileIssuingDays,
        Setting::ProfileRootDays,
        Setting::ProfileServerDays,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Setting::CorePublicAddress => "core.public_address",
            Setting::CorePublicUrl => "core.public_url",
            Setting::CrlRootValidity => "crl.root_validity",
            Setting::CrlValidity => "crl.validity",
            Setting::ProfileClientDays => "profile.client.days",
            Setting::ProfileIssuingDays => "profile.issuing.days",
            Setting::ProfileRootDays => "profile.root.days",
            Setting::ProfileServerDays => "profile.server.days",
        }
    }

    /// What holds while it is unset.
    pub fn default(self) -> Default {
        match self {
            Setting::CorePublicAddress | Setting::CorePublicUrl => Default::Off,
            Setting::CrlRootValidity => Default::Value("365d"),
            Setting::CrlValidity => Default::Value("7d"),
            Setting::ProfileClientDays => Default::Value("365"),
            Setting::ProfileIssuingDays => Default::Value("3650"),
            Setting::ProfileRootDays => Default::Value("7300"),
            Setting::ProfileServerDays => Default::Value("397"),
        }
    }

    /// What may be written there, in a few words.
    pub fn kind(self) -> &'static str {
        match self {
            Setting::CorePublicAddress => "IP:PORT",
            Setting::CorePublicUrl => "http URL",
            Setting::CrlRootValidity | Setting::CrlValidity => "a span such as 7d, 36h, 90m",
            Setting::ProfileClientDays
            | Setting::ProfileIssuingDays
            | Setting::ProfileRootDays
            | Setting::ProfileServerDays => "days",
        }
    }

    /// What it means.
    pub fn help(self) -> &'static str {
        match self {
            Setting::CorePublicAddress => {
                "Where the service serves CA certificates and lists by plain HTTP, and answers ACME challenges."
            }
            Setting::CorePublicUrl => {
                "Base of the CRL and issuer URLs that certificates carry. Unset, they carry none."
            }
            Setting::CrlRootValidity => {
                "How long a list of the root is valid when its key is elsewhere; 30 days when it is here."
            }
            Setting::CrlValidity => {
                "How long an issuing CA's list is valid; a new one is made at half of that."
            }
            Setting::ProfileClientDays => "Lifetime of client certificates.",
            Setting::ProfileIssuingDays => "Lifetime of an issuing CA made by rotation.",
            Setting::ProfileRootDays => "Lifetime of a root made from now on.",
            Setting::ProfileServerDays => "Lifetime of server certificates.",
        }
    }

    /// Finds a setting by its exact name.
    pub fn find(name: &str) -> Result<Setting, Error> {
        Setting::ALL.into_iter().find(|setting| setting.name() == name).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            nearest: value::nearest(name, &Setting::ALL.map(Setting::name))
                .and_then(|near| Setting::ALL.into_iter().find(|setting| setting.name() == near)),
        })
    }

    /// Checks a value, and returns its canonical spelling.
    pub fn check(self, value: &str) -> Result<String, Error> {
        let refuse = |reason: String| Error::Invalid { setting: self, value: value.to_owned(), reason };
        match self {
            Setting::CorePublicAddress => {
                value::address(value).map(|found| found.to_string()).map_err(refuse)
            }
            Setting::CorePublicUrl => value::public_url(value).map_err(refuse),
            Setting::CrlValidity => Span::between(value, Span::HOUR, Span::YEAR).map_err(refuse),
            Setting::CrlRootValidity => Span::between(value, Span::HOUR, Span::TEN_YEARS).map_err(refuse),
            Setting::ProfileClientDays
            | Setting::ProfileIssuingDays
            | Setting::ProfileRootDays
            | Setting::ProfileServerDays => {
                value::days(value, MOST_DAYS).map(|found| found.to_string()).map_err(refuse)
            }
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        let near = |name| match Setting::find(name) {
            Err(Error::Unknown { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(near("core.publicurl"), Some(Setting::CorePublicUrl));
        assert_eq!(near("profile.client.day"), Some(Setting::ProfileClientDays));
        assert_eq!(near("zzz"), None);
        assert_eq!(Setting::find("crl.validity").unwrap(), Setting::CrlValidity);
    }

    #[test]
    fn all_is_sorted_by_name() {
        assert!(Setting::ALL.map(Setting::name).is_sorted());
    }

    #[test]
    fn spans_have_bounds() {
        assert!(Setting::CrlValidity.check("59m").is_err());
        assert!(Setting::CrlValidity.check("366d").is_err());
        assert_eq!(Setting::CrlRootValidity.check("730d").unwrap(), "730d");
        assert!(Setting::ProfileServerDays.check("0").is_err());
        assert!(Setting::ProfileServerDays.check("99999").is_err());
    }
}
