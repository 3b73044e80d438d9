//! Profiles: what a certificate may be used for and how long it lasts.
//!
//! A profile decides every field of a certificate that is not its name or its key. Rights (key usage,
//! extended key usage, path length) belong to the kind and can't be configured; only lifetimes can,
//! within limits that each cite their rule. Refuses: a lifetime of zero days, one past its kind's limit,
//! an explicit lifetime that would outlive the issuer.

use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::cert::date;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileKind {
    /// A self-signed root CA.
    Root,
    /// A CA below the root that signs end-entity certificates and nothing else.
    Issuing,
    /// TLS client authentication.
    Client,
    /// TLS server authentication.
    Server,
}

impl ProfileKind {
    /// Its name in records, settings and views.
    pub fn as_str(self) -> &'static str {
        match self {
            ProfileKind::Root => "root",
            ProfileKind::Issuing => "issuing",
            ProfileKind::Client => "client",
            ProfileKind::Server => "server",
        }
    }

    /// Whether certificates of this kind sign others.
    pub fn is_authority(self) -> bool {
        match self {
            ProfileKind::Root | ProfileKind::Issuing => true,
            ProfileKind::Client | ProfileKind::Server => false,
        }
    }

    /// The lifetime when no setting says otherwise, in days.
    pub fn default_days(self) -> u32 {
        match self {
            // 20 years, five leap days among them.
            ProfileKind::Root => 7305,
            // 10 years, with the fewest leap days that a decade can have.
            ProfileKind::Issuing => 3652,
            ProfileKind::Client => 365,
            // One day less than the 398 that clients which follow the CA/Browser Forum tolerate.
            ProfileKind::Server => 397,
        }
    }

    /// The longest lifetime that settings or a request may ask for, in days, and why.
    pub fn limit(self) -> (u32, &'static str) {
        match self {
            ProfileKind::Root => {
                (10_958, "30 years: no algorithm of today is planned for longer (SP 800-57)")
            }
            ProfileKind::Issuing => (5479, "15 years: an issuing CA is rotated well before its root ends"),
            ProfileKind::Client => (3652, "10 years: a client certificate may not outlast its issuing CA"),
            ProfileKind::Server => (825, "825 days: Apple's clients refuse more, private roots included"),
        }
    }
}

impl fmt::Display for ProfileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What settings say of a profile, not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileConfig {
    /// Which profile.
    pub kind: ProfileKind,
    /// Lifetime in days, both ends included.
    pub days: u32,
}

impl ProfileConfig {
    /// The built-in figures of a kind.
    pub fn default_of(kind: ProfileKind) -> ProfileConfig {
        ProfileConfig { kind, days: kind.default_days() }
    }
}

/// Why a lifetime was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifetimeError {
    /// Longer than the kind allows.
    #[error("a {kind} certificate may last {limit} days at most, not {days} ({reason})")]
    AboveLimit {
        /// Which profile.
        kind: ProfileKind,
        /// What was asked for.
        days: u32,
        /// What is allowed.
        limit: u32,
        /// The rule behind the limit.
        reason: &'static str,
    },
    /// The issuer's own time has not come, or is over.
    #[error("the issuing certificate is valid from {} to {}, and it is {}", date(*not_before), date(*not_after), date(*now))]
    IssuerNotValid {
        /// Its start.
        not_before: OffsetDateTime,
        /// Its end.
        not_after: OffsetDateTime,
        /// The time of the request.
        now: OffsetDateTime,
    },
    /// An explicit lifetime reaches past the issuer's end (RFC 5280 §6.1 would refuse the path then).
    #[error(
        "{days} days reach past the end of the issuing certificate, {}; it can give {possible} days",
        date(*issuer_end)
    )]
    PastIssuer {
        /// What was asked for.
        days: u32,
        /// When the issuer ends.
        issuer_end: OffsetDateTime,
        /// How many whole days fit.
        possible: u32,
    },
    /// Beyond what a calendar can say.
    #[error("{days} days from now are past what a certificate's dates can say")]
    Unrepresentable {
        /// What was asked for.
        days: u32,
    },
    /// No days at all.
    #[error("a {kind} certificate must last one day at least")]
    Zero {
        /// Which profile.
        kind: ProfileKind,
    },
}

/// How long one certificate is asked to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As the profile says; shortened to the issuer's end if need be.
    Default,
    /// So many days, or less if the issuer ends before (a renewal keeps a lifetime once asked for).
    AtMost(u32),
    /// So many days, or refused.
    Exactly(u32),
}

/// From when to when a certificate is valid, both ends included (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: OffsetDateTime,
    /// The last second.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// Whether a moment lies within.
    pub fn contains(&self, moment: OffsetDateTime) -> bool {
        self.not_before <= moment && moment <= self.not_after
    }

    /// Its length; both ends count, so one second more than their difference (BR 6.3.2).
    pub fn length(&self) -> Duration {
        self.not_after - self.not_before + Duration::SECOND
    }
}

/// A lifetime that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// From when to when.
    pub validity: Validity,
    /// Whether it is shorter than the profile's.
    pub shortened: Option<Shortened>,
}

/// A lifetime was cut to the issuer's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortened {
    /// What the profile gives, in days.
    pub days: u32,
    /// Where it ends instead: the issuer's own end.
    pub not_after: OffsetDateTime,
}

impl fmt::Display for Shortened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it ends with its issuing CA on {}, before its {} days are over",
            self.not_after.date(),
            self.days
        )
    }
}

/// A checked profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    kind: ProfileKind,
    days: u32,
}

impl Profile {
    /// How far back notBefore lies, for clients whose clock is late.
    pub const BACKDATE: Duration = Duration::MINUTE;

    /// Checks what settings say.
    pub fn new(config: ProfileConfig) -> Result<Profile, LifetimeError> {
        check_days(config.kind, config.days)?;
        Ok(Profile { kind: config.kind, days: config.days })
    }

    /// What certificates of this profile are for.
    pub fn kind(&self) -> ProfileKind {
        self.kind
    }

    /// The lifetime it gives, in days.
    pub fn days(&self) -> u32 {
        self.days
    }

    /// Decides the dates of a certificate that `issuer` would sign; `None` for a self-signed one.
    ///
    /// notBefore is one minute back, but not before the issuer's. N days last from notBefore to
    /// notBefore + N days − 1 s, because notAfter itself is still valid (RFC 5280 §4.1.2.5: "inclusive").
    pub fn validity(
        &self,
        lifetime: Lifetime,
        issuer: Option<Validity>,
        now: OffsetDateTime,
    ) -> Result<Decided, LifetimeError> {
        let days = match lifetime {
            Lifetime::Default => self.days,
            Lifetime::AtMost(days) | Lifetime::Exactly(days) => days,
        };
        check_days(self.kind, days)?;
        let now = whole_seconds(now);
        let mut not_before =
            now.checked_sub(Self::BACKDATE).ok_or(LifetimeError::Unrepresentable { days })?;
        if let Some(issuer) = issuer {
            if !issuer.contains(now) {
                let Validity { not_before, not_after } = issuer;
                return Err(LifetimeError::IssuerNotValid { not_before, not_after, now });
            }
            not_before = not_before.max(issuer.not_before);
        }
        let not_after = not_before
            .checked_add(Duration::days(i64::from(days)) - Duration::SECOND)
            .filter(|end| end.year() <= 9999)
            .ok_or(LifetimeError::Unrepresentable { days })?;
        let whole = Decided { validity: Validity { not_before, not_after }, shortened: None };
        let Some(issuer) = issuer.filter(|issuer| issuer.not_after < not_after) else {
            return Ok(whole);
        };
        match lifetime {
            Lifetime::Default | Lifetime::AtMost(_) => Ok(Decided {
                validity: Validity { not_before, not_after: issuer.not_after },
                shortened: Some(Shortened { days, not_after: issuer.not_after }),
            }),
            Lifetime::Exactly(days) => {
                let length = Validity { not_before, not_after: issuer.not_after }.length();
                let possible = u32::try_from(length.whole_days()).unwrap_or(0);
                Err(LifetimeError::PastIssuer { days, issuer_end: issuer.not_after, possible })
            }
        }
    }
}

/// The four profiles that are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profiles {
    root: Profile,
    issuing: Profile,
    client: Profile,
    server: Profile,
}

impl Profiles {
    /// Checks the lifetimes that settings give, in days.
    pub fn new(root: u32, issuing: u32, client: u32, server: u32) -> Result<Profiles, LifetimeError> {
        let profile = |kind, days| Profile::new(ProfileConfig { kind, days });
        Ok(Profiles {
            root: profile(ProfileKind::Root, root)?,
            issuing: profile(ProfileKind::Issuing, issuing)?,
            client: profile(ProfileKind::Client, client)?,
            server: profile(ProfileKind::Server, server)?,
        })
    }

    /// The profile of a kind.
    pub fn of(&self, kind: ProfileKind) -> &Profile {
        match kind {
            ProfileKind::Root => &self.root,
            ProfileKind::Issuing => &self.issuing,
            ProfileKind::Client => &self.client,
            ProfileKind::Server => &self.server,
        }
    }
}

impl Default for Profiles {
    /// The built-in lifetimes.
    fn default() -> Profiles {
        let profile = |kind: ProfileKind| Profile { kind, days: kind.default_days() };
        Profiles {
            root: profile(ProfileKind::Root),
            issuing: profile(ProfileKind::Issuing),
            client: profile(ProfileKind::Client),
            server: profile(ProfileKind::Server),
        }
    }
}

fn check_days(kind: ProfileKind, days: u32) -> Result<(), LifetimeError> {
    let (limit, reason) = kind.limit();
    match days {
        0 => Err(LifetimeError::Zero { kind }),
        days if days > limit => Err(LifetimeError::AboveLimit { kind, days, limit, reason }),
        _ => Ok(()),
    }
}

/// RFC 5280 §4.1.2.5 knows no fractions of a second; leaving them in would make the dates that were
/// decided differ from the dates that were written.
fn whole_seconds(moment: OffsetDateTime) -> OffsetDateTime {
    let moment = moment.to_offset(time::UtcOffset::UTC);
    moment - Duration::nanoseconds(i64::from(moment.nanosecond()))
}

#[cfg(test)]
mod tests;
