//! The settings: what there is, what it may be, and what is in force.
//!
//! A setting is one record, `setting/NAME`, in its canonical spelling. What the catalogue does not
//! know is refused, never kept for later. Settings act at once: whoever needs one reads it when it
//! is needed, and the service follows the store. Those that decide who is let in are also expected
//! unchanged when what was decided by them is committed.

pub mod acme;
mod catalogue;
mod networks;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ::acme::client::solve::dns_01::provider::ProviderError;
use ca::distribution::PublicUrl;
use ca::followed::Followed;
use ca::records::RestsOn;
use minicbor::{Decode, Encode};
use store::seal::{SealError, SealingKey};
use store::{Batch, Class, Record, Store, Table, Version};
use trust::settings::{PassphraseRemote, TrustFirst};
use trust::token::Expiry;

pub use catalogue::{Default, Secrecy, Setting};
pub use networks::Networks;
pub use value::Span;

/// Why a setting was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret would have been stored in clear.
    #[error("{setting} is a secret, and is not stored in clear")]
    InClear {
        /// The setting.
        setting: Setting,
    },
    /// It may not have this value.
    #[error("{setting} can't be {value:?}: {reason}")]
    Invalid {
        /// The setting.
        setting: Setting,
        /// What was asked for.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody is named who changes zones.
    #[error("acme.provider is not set, and DNS-01 needs it")]
    NoProvider,
    /// What is set for the provider does not do.
    #[error("acme.provider can't be used")]
    Provider(#[source] ProviderError),
    /// A secret can't be sealed or opened.
    #[error("{setting} can't be sealed or opened")]
    Sealed {
        /// The setting.
        setting: Setting,
        /// The cause.
        #[source]
        source: SealError,
    },
    /// The store failed.
    #[error("the settings can't be read or written")]
    Store(#[source] store::Error),
    /// There is no such setting.
    #[error("there is no setting {name:?}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        nearest: Option<Setting>,
    },
}

/// One setting as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct SettingRecord {
    #[n(0)]
    value: String,
}

impl Record for SettingRecord {
    const TREE: &'static str = "setting";
    const FORMAT: store::Format = 1;
}

/// What was set, at one moment; what was not has its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    set: BTreeMap<Setting, (String, Version)>,
    /// The records of [`Setting::OF_TRUST`], which every request of a certificate's holder rests on.
    of_trust: RestsOn,
}

impl std::default::Default for Settings {
    fn default() -> Settings {
        Settings::of(BTreeMap::new())
    }
}

impl Settings {
    /// What is in force in `store` now.
    ///
    /// A record that this version does not know (a newer one wrote it) is passed over: it can have
    /// no effect here, and it must not keep the service from starting.
    pub fn load(store: &Store) -> Result<Settings, Error> {
        let mut set = BTreeMap::new();
        for setting in Setting::ALL {
            if let Some(found) = Table::<SettingRecord>::get(store, setting.name()).map_err(Error::Store)? {
                let value = match setting.secrecy() {
                    Secrecy::Open => setting.check(&found.record.value)?,
                    // Sealed: it was checked when it was set.
                    Secrecy::Secret => found.record.value,
                };
                set.insert(setting, (value, found.version));
            }
        }
        Ok(Settings::of(set))
    }

    fn of(set: BTreeMap<Setting, (String, Version)>) -> Settings {
        let of_trust = rests_on(&set, Setting::OF_TRUST);
        Settings { set, of_trust }
    }

    /// What `setting` was set to, canonical.
    pub fn stored(&self, setting: Setting) -> Option<&str> {
        self.set.get(&setting).map(|(value, _)| value.as_str())
    }

    /// What is in force: what was set, else the default.
    pub fn value(&self, setting: Setting) -> Option<&str> {
        self.stored(setting).or_else(|| setting.default().value())
    }

    /// Where the public listener binds.
    pub fn public_address(&self) -> Option<SocketAddr> {
        self.value(Setting::CorePublicAddress)?.parse().ok()
    }

    /// Where the service listens for clients.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.value(Setting::CoreHttpsAddress)?.parse().ok()
    }

    /// Where clients reach the service from outside, as `HOST:PORT`.
    pub fn external_address(&self) -> Option<&str> {
        self.value(Setting::CoreExternalAddress)
    }

    /// What the decision who is let in goes by.
    pub fn trust(&self) -> trust::Settings {
        trust::Settings {
            pki_mode: self.word(Setting::CorePkiMode),
            trust_ca: self.word(Setting::CoreTrustCaCertificates),
            crl_expired: self.word(Setting::CoreCrlExpired),
        }
    }

    /// The records of what [`Settings::trust`] returns.
    pub fn trust_rests_on(&self) -> RestsOn {
        self.of_trust.clone()
    }

    /// The records of these settings.
    pub fn rests_on(&self, settings: impl IntoIterator<Item = Setting>) -> RestsOn {
        rests_on(&self.set, settings)
    }

    /// How long tokens live.
    pub fn remote_token_expiry(&self) -> Expiry {
        self.word(Setting::CoreRemoteTokenExpiry)
    }

    /// From where a client certificate is admitted by the passphrase.
    pub fn passphrase_remote(&self) -> PassphraseRemote {
        self.word(Setting::LocalPassphraseRemote)
    }

    /// Whether the first other user becomes trusted.
    pub fn trust_first(&self) -> TrustFirst {
        self.word(Setting::LocalTrustFirst)
    }

    /// The groups of which the first that exists may reach the socket.
    pub fn socket_groups(&self) -> impl Iterator<Item = &str> {
        self.value(Setting::LocalSocketGroups).into_iter().flat_map(|groups| groups.split(','))
    }

    /// The value of a setting that has a default and was checked: what its type holds by itself stands
    /// for a setting that is none of it.
    fn word<T: std::str::FromStr + std::default::Default>(&self, setting: Setting) -> T {
        self.value(setting).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// The proxies before HTTPS that say where clients come from.
    pub fn trusted_proxies(&self) -> Networks {
        self.word(Setting::CoreHttpsTrustedProxy)
    }

    /// Where HAProxy listens for plain HTTP, or for TLS.
    pub fn haproxy_addresses(&self, setting: Setting) -> Vec<SocketAddr> {
        self.value(setting).into_iter().flat_map(|all| all.split(',')).flat_map(str::parse).collect()
    }

    /// The base of distribution points.
    pub fn public_url(&self) -> Option<PublicUrl> {
        self.value(Setting::CorePublicUrl)?.parse().ok()
    }

    /// A profile's lifetime in days.
    ///
    /// Every such setting has a default, and what is stored was checked: 0, which no profile takes,
    /// stands for a setting that is no lifetime.
    pub fn days(&self, setting: Setting) -> u32 {
        self.value(setting).and_then(|days| days.parse().ok()).unwrap_or(0)
    }

    /// A span of time; zero for a setting that is none.
    pub fn span(&self, setting: Setting) -> time::Duration {
        self.value(setting)
            .and_then(|span| span.parse::<Span>().ok())
            .map_or(time::Duration::ZERO, Span::duration)
    }
}

/// What is made of the settings in `store` once, and again when they change.
pub(crate) fn followed<T>(store: &Store) -> Followed<T> {
    Followed::new(store.clone(), &[SettingRecord::TREE])
}

/// Sets a secret setting, sealed. The journal says that it was set, and no more.
pub fn set_secret(
    store: &Store,
    sealing: &SealingKey,
    setting: Setting,
    value: &str,
    who: &str,
    now: i64,
) -> Result<(), Error> {
    let value = acme::seal(setting, &setting.check(value)?, sealing)?;
    let mut batch = Batch::new(Class::Ledger, now, who, format!("set {setting}"));
    Table::put(&mut batch, setting.name(), &SettingRecord { value });
    store.commit(batch).map_err(Error::Store)?;
    Ok(())
}

/// Sets `setting` to `value`, or with `None` unsets it, durably. `now` in seconds since 1970. A secret is set
/// by [`set_secret`] alone.
pub fn set(store: &Store, setting: Setting, value: Option<&str>, who: &str, now: i64) -> Result<(), Error> {
    let key = Table::<SettingRecord>::key(setting.name());
    let what = match value {
        Some(_) => format!("set {setting}"),
        None => format!("unset {setting}"),
    };
    let mut batch = Batch::new(Class::Ledger, now, who, what);
    match value {
        Some(_) if setting.secrecy() == Secrecy::Secret => return Err(Error::InClear { setting }),
        Some(value) => {
            let value = setting.check(value)?;
            batch.what = format!("set {setting}={value}");
            Table::put(&mut batch, setting.name(), &SettingRecord { value });
        }
        None => batch.delete(key),
    }
    store.commit(batch).map_err(Error::Store)?;
    Ok(())
}

fn rests_on(
    set: &BTreeMap<Setting, (String, Version)>,
    settings: impl IntoIterator<Item = Setting>,
) -> RestsOn {
    let version = |setting| set.get(&setting).map(|(_, version)| *version);
    let key = |setting: Setting| Table::<SettingRecord>::key(setting.name());
    settings.into_iter().fold(RestsOn::nothing(), |all, setting| all.and(key(setting), version(setting)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_until_something_is_set_and_again_after() {
        let store = Store::in_memory();
        let days = |store: &Store| Settings::load(store).unwrap().days(Setting::ProfileClientDays);
        assert_eq!(days(&store), 365);
        set(&store, Setting::ProfileClientDays, Some("90"), "test", 1).unwrap();
        assert_eq!(days(&store), 90);
        set(&store, Setting::ProfileClientDays, None, "test", 2).unwrap();
        assert_eq!(days(&store), 365);
    }

    #[test]
    fn a_refused_value_writes_nothing() {
        let store = Store::in_memory();
        let refused = set(&store, Setting::ProfileClientDays, Some("never"), "test", 1);
        assert!(matches!(refused, Err(Error::Invalid { setting: Setting::ProfileClientDays, .. })));
        assert_eq!(store.head(), store::Sequence::ZERO);
    }

    #[test]
    fn every_default_is_a_value_that_could_be_set() {
        let settings = Settings::default();
        for setting in Setting::ALL {
            if let Some(default) = setting.default().value() {
                assert_eq!(setting.check(default).unwrap(), default);
            }
        }
        assert_eq!(settings.span(Setting::CrlValidity), time::Duration::days(7));
        assert_eq!(settings.public_address(), None);
        assert_eq!(settings.trust(), trust::Settings::default());
        assert_eq!(settings.remote_token_expiry().to_string(), "15d");
    }

    #[test]
    fn what_was_decided_by_a_setting_rests_on_it() {
        let store = Store::in_memory();
        set(&store, Setting::CorePkiMode, Some("on"), "test", 1).unwrap();
        let view = Settings::load(&store).unwrap().trust_rests_on().hold(&store);
        set(&view, Setting::CrlValidity, Some("2d"), "test", 2).unwrap();
        set(&store, Setting::CoreTrustCaCertificates, Some("true"), "test", 3).unwrap();
        let late = set(&view, Setting::CrlValidity, None, "test", 4);
        assert!(matches!(late, Err(Error::Store(store::Error::Withdrawn { .. }))), "{late:?}");
    }

    #[test]
    fn a_secret_is_sealed_and_stands_nowhere_in_clear() {
        let (store, dir) = (Store::in_memory(), tempfile::tempdir().unwrap());
        let random = aws_lc_rs::rand::SystemRandom::new();
        let sealing = SealingKey::load_or_create(&dir.path().join("store.key"), &random).unwrap();
        let clear = set(&store, Setting::AcmeEabHmac, Some("AAEC_w"), "test", 1);
        assert!(matches!(clear, Err(Error::InClear { .. })));
        set_secret(&store, &sealing, Setting::AcmeEabHmac, "AAEC_w", "test", 1).unwrap();
        let settings = Settings::load(&store).unwrap();
        assert!(!settings.stored(Setting::AcmeEabHmac).unwrap().contains("AAEC_w"));
        let opened = settings.secret(Setting::AcmeEabHmac, &sealing).unwrap().unwrap();
        assert_eq!(opened.as_str(), "AAEC_w");
        let entry = store.follow(store::Sequence::ZERO, 1).unwrap().remove(0);
        assert_eq!(entry.what, "set acme.eab.hmac");
    }

    #[test]
    fn the_wish_for_a_certificate_changes_with_every_setting_of_it() {
        let store = Store::in_memory();
        let wish = || Settings::load(&store).unwrap().acme();
        set(&store, Setting::AcmeEmail, Some("admin@example.org"), "test", 1).unwrap();
        assert_eq!(wish(), None);
        set(&store, Setting::AcmeDomain, Some("a.example,b.example"), "test", 1).unwrap();
        let first = wish().unwrap();
        assert_eq!(first.domains, ["a.example", "b.example"]);
        assert!(!first.agreed);
        set(&store, Setting::CrlValidity, Some("2d"), "test", 2).unwrap();
        assert_eq!(wish(), Some(first.clone()));
        set(&store, Setting::AcmeAgreeTos, Some("true"), "test", 3).unwrap();
        let second = wish().unwrap();
        assert!(second.agreed && second.asked != first.asked);
    }

    #[test]
    fn the_journal_says_what_was_set() {
        let store = Store::in_memory();
        set(&store, Setting::CorePublicUrl, Some("http://PKI.example/"), "local:0(root)", 1).unwrap();
        let entry = store.follow(store::Sequence::ZERO, 1).unwrap().remove(0);
        assert_eq!(entry.what, "set core.public_url=http://pki.example");
        assert_eq!(entry.who, "local:0(root)");
    }
}
