//! What the settings say of the service's own certificate from an ACME authority.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use acme::client::solve::dns_01::provider::{self, Environment, Provider};
use acme::client::{DirectoryUrl, ExternalAccount, Limits, Method, Names};
use zeroize::Zeroizing;

use super::{Error, Setting, Settings};
use store::seal::SealingKey;

/// What is asked for with the settings of ACME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The names, the first one first.
    pub domains: Vec<String>,
    /// The account's contact.
    pub email: Option<String>,
    /// Whether the terms of service were agreed to.
    pub agreed: bool,
    /// The authority's directory.
    pub ca_url: String,
    /// The file with the only roots that are trusted for the authority's own HTTPS.
    pub ca_root: Option<PathBuf>,
    /// How the names are proved.
    pub method: Method,
    /// Where an HTTP-01 listener of its own binds.
    pub http_address: Option<String>,
    /// The program that is run once a certificate was placed.
    pub hook: Option<PathBuf>,
    /// The external account's key identifier.
    pub kid: Option<String>,
    /// What all of this comes to: another text once anything of it was set again.
    pub asked: String,
}

impl Settings {
    /// What certificate the service wants for itself; `None` unless `acme.domain` is set.
    pub fn acme(&self) -> Option<Wish> {
        let value = |setting| self.value(setting).map(str::to_owned);
        let domains = self.value(Setting::AcmeDomain)?.split(',').map(str::to_owned).collect();
        let ours = Setting::ALL.into_iter().filter(|setting| setting.to_string().starts_with("acme."));
        let versions: Vec<_> =
            ours.map(|setting| self.set.get(&setting).map(|(_, version)| *version)).collect();
        Some(Wish {
            domains,
            email: value(Setting::AcmeEmail),
            agreed: self.value(Setting::AcmeAgreeTos) == Some("true"),
            ca_url: value(Setting::AcmeCaUrl).unwrap_or_default(),
            ca_root: value(Setting::AcmeCaRoot).map(PathBuf::from),
            method: self.word(Setting::AcmeChallenge),
            http_address: value(Setting::AcmeHttpPort),
            hook: value(Setting::AcmeHook).map(PathBuf::from),
            kid: value(Setting::AcmeEabKid),
            asked: format!("{versions:?}"),
        })
    }

    /// Who changes zones for DNS-01, and the resolvers to ask.
    pub fn acme_provider(&self, sealing: &SealingKey) -> Result<(Provider, Vec<SocketAddr>), Error> {
        let name = self.value(Setting::AcmeProvider).ok_or(Error::NoProvider)?;
        let lines = self.secret(Setting::AcmeProviderEnvironment, sealing)?;
        let lines = lines.as_ref().map_or("", |lines| lines.as_str());
        let environment = Environment::read(lines).map_err(Error::Provider)?;
        let provider = Provider::new(name, &environment).map_err(Error::Provider)?;
        let resolvers = self.value(Setting::AcmeProviderResolvers).into_iter();
        let resolvers = resolvers.flat_map(|list| list.split(',').filter_map(provider::address));
        Ok((provider, resolvers.collect()))
    }

    /// What a secret setting was set to.
    pub fn secret(&self, setting: Setting, sealing: &SealingKey) -> Result<Option<Zeroizing<String>>, Error> {
        use base64::Engine as _;
        let Some(stored) = self.stored(setting) else { return Ok(None) };
        let refuse = |source| Error::Sealed { setting, source };
        let sealed = base64::engine::general_purpose::STANDARD.decode(stored);
        let sealed = sealed.map_err(|_| refuse(store::seal::SealError::Format))?;
        let plain = sealing.open(&sealed, &place(setting)).map_err(refuse)?;
        let text = String::from_utf8(plain.to_vec()).map_err(|_| refuse(store::seal::SealError::Format))?;
        Ok(Some(Zeroizing::new(text)))
    }
}

/// A secret setting's value as it is stored.
pub(super) fn seal(setting: Setting, value: &str, sealing: &SealingKey) -> Result<String, Error> {
    use base64::Engine as _;
    let refuse = |source| Error::Sealed { setting, source };
    let sealed = sealing.seal(value.as_bytes(), &place(setting)).map_err(refuse)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(sealed))
}

fn place(setting: Setting) -> Vec<u8> {
    format!("setting/{setting}").into_bytes()
}

/// Names, separated by commas.
pub(super) fn domains(value: &str) -> Result<String, String> {
    let names: Vec<&str> = value.split(',').map(str::trim).collect();
    let names = Names::parse(&names, &Limits::default()).map_err(|error| in_words(&error))?;
    Ok(names.to_strings().join(","))
}

/// The name of a provider.
pub(super) fn provider(value: &str) -> Result<String, String> {
    match value {
        "exec" | "rfc2136" => Ok(value.to_owned()),
        _ => Err("the providers are exec and rfc2136".to_owned()),
    }
}

/// The lines of a provider's environment.
pub(super) fn environment(value: &str) -> Result<String, String> {
    Environment::read(value).map_err(|error| error.to_string())?;
    Ok(value.trim_end().to_owned())
}

/// Resolvers, separated by commas.
pub(super) fn resolvers(value: &str) -> Result<String, String> {
    let found = value.split(',').map(|one| provider::address(one.trim()).map(|found| found.to_string()));
    let found: Option<Vec<String>> = found.collect();
    found.map(|found| found.join(",")).ok_or_else(|| "addresses are needed, such as 192.0.2.1".to_owned())
}

/// The URL of a directory.
pub(super) fn directory(value: &str) -> Result<String, String> {
    DirectoryUrl::from_str(value).map(|url| url.to_string()).map_err(|error| in_words(&error))
}

/// An HMAC key, as authorities hand it out.
pub(super) fn hmac(value: &str) -> Result<String, String> {
    let value = value.trim();
    match ExternalAccount::new("it", value) {
        Ok(_key) => Ok(value.to_owned()),
        Err(_) => Err("it is not base64url".to_owned()),
    }
}

/// A key identifier: whatever the authority handed out, on one line.
pub(super) fn kid(value: &str) -> Result<String, String> {
    match value.len() {
        1..=500 if !value.contains(char::is_control) => Ok(value.to_owned()),
        _ => Err("a key identifier of 1 to 500 characters on one line is needed".to_owned()),
    }
}

/// An e-mail address.
pub(super) fn email(value: &str) -> Result<String, String> {
    let address = value.parse::<ca::cert::EmailAddress>().map_err(|error| error.to_string())?;
    Ok(address.to_string())
}

fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
