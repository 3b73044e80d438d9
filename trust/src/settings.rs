//! The settings that a decision depends on, as values.
//!
//! Where they are kept, and what they are called on the command line, is the service's business; it
//! hands them to every decision, so that a change acts at once.

use std::fmt;
use std::str::FromStr;

/// `core.pki_mode`: whether every client certificate must be signed by an authority that is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PkiMode {
    /// On once an authority was imported; then one of the imported ones must have signed.
    #[default]
    Auto,
    /// On; an imported authority or one of ours must have signed.
    On,
    /// Off: who signed a certificate neither helps nor hinders it.
    Off,
}

/// `core.trust_ca_certificates`: whether a signature by a trusted authority is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrustCa {
    /// A client needs an entry.
    #[default]
    EntryNeeded,
    /// A client signed by a trusted authority needs none.
    SignatureSuffices,
}

/// `core.crl_expired`: what becomes of an imported authority's clients once its list has run out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CrlExpired {
    /// They are refused: nobody knows which of them are revoked.
    #[default]
    Refuse,
    /// They are admitted by the old list, and the alarm stands.
    Warn,
}

/// `local.trust_first`: whether the first other user to connect becomes trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrustFirst {
    /// It does.
    #[default]
    On,
    /// Nobody does.
    Off,
}

/// `local.passphrase_remote`: from where a client certificate may be admitted by the passphrase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PassphraseRemote {
    /// From the loopback addresses alone.
    #[default]
    LoopbackOnly,
    /// From anywhere.
    Anywhere,
}

/// Why a text is not the value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not one of {expected}")]
pub struct SettingError {
    /// The text, escaped.
    pub value: String,
    /// What it may be.
    pub expected: &'static str,
}

macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $value:path),+) => {
        impl $type {
            /// The value as it is written.
            pub fn as_str(self) -> &'static str {
                match self { $($value => $word),+ }
            }
        }

        impl FromStr for $type {
            type Err = SettingError;

            fn from_str(text: &str) -> Result<$type, SettingError> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(SettingError { value: ca::cert::printable(text), expected: $expected }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(PkiMode, "auto, on, off", "auto" => PkiMode::Auto, "on" => PkiMode::On, "off" => PkiMode::Off);
words!(TrustCa, "true, false", "true" => TrustCa::SignatureSuffices, "false" => TrustCa::EntryNeeded);
words!(CrlExpired, "refuse, warn", "refuse" => CrlExpired::Refuse, "warn" => CrlExpired::Warn);
words!(TrustFirst, "true, false", "true" => TrustFirst::On, "false" => TrustFirst::Off);
words!(
    PassphraseRemote, "true, false",
    "true" => PassphraseRemote::Anywhere, "false" => PassphraseRemote::LoopbackOnly
);

/// What a decision needs of the settings. The default is what holds while nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// `core.pki_mode`
    pub pki_mode: PkiMode,
    /// `core.trust_ca_certificates`
    pub trust_ca: TrustCa,
    /// `core.crl_expired`
    pub crl_expired: CrlExpired,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else() {
        for mode in [PkiMode::Auto, PkiMode::On, PkiMode::Off] {
            assert_eq!(mode.as_str().parse::<PkiMode>().unwrap(), mode);
        }
        assert_eq!("true".parse::<TrustCa>().unwrap(), TrustCa::SignatureSuffices);
        assert_eq!("warn".parse::<CrlExpired>().unwrap(), CrlExpired::Warn);
        assert_eq!("false".parse::<TrustFirst>().unwrap(), TrustFirst::Off);
        assert_eq!("true".parse::<PassphraseRemote>().unwrap(), PassphraseRemote::Anywhere);
        for bad in ["", "ON", "yes", "1", "auto "] {
            assert!(bad.parse::<PkiMode>().is_err(), "{bad:?}");
            assert!(bad.parse::<TrustCa>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_holds_unset_admits_the_fewest() {
        let unset = Settings::default();
        assert_eq!(unset.trust_ca, TrustCa::EntryNeeded);
        assert_eq!(unset.crl_expired, CrlExpired::Refuse);
        assert_eq!(PassphraseRemote::default(), PassphraseRemote::LoopbackOnly);
    }
}
