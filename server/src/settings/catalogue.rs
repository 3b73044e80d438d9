//! What settings there are. The reference in `docs/` is made from this table.

use std::fmt;

use trust::settings::{CrlExpired, PassphraseRemote, PkiMode, TrustCa, TrustFirst};
use trust::token::Expiry;

use ::acme::client::Method;

use super::Error;
use super::acme;
use super::networks::Networks;
use super::value::{self, Span};

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// `acme.agree_tos`
    AcmeAgreeTos,
    /// `acme.ca_root`
    AcmeCaRoot,
    /// `acme.ca_url`
    AcmeCaUrl,
    /// `acme.challenge`
    AcmeChallenge,
    /// `acme.domain`
    AcmeDomain,
    /// `acme.eab.hmac`
    AcmeEabHmac,
    /// `acme.eab.kid`
    AcmeEabKid,
    /// `acme.email`
    AcmeEmail,
    /// `acme.hook`
    AcmeHook,
    /// `acme.http.port`
    AcmeHttpPort,
    /// `acme.provider`
    AcmeProvider,
    /// `acme.provider.environment`
    AcmeProviderEnvironment,
    /// `acme.provider.resolvers`
    AcmeProviderResolvers,
    /// `core.crl_expired`
    CoreCrlExpired,
    /// `core.external_address`
    CoreExternalAddress,
    /// `core.https_address`
    CoreHttpsAddress,
    /// `core.https_trusted_proxy`
    CoreHttpsTrustedProxy,
    /// `core.pki_mode`
    CorePkiMode,
    /// `core.public_address`
    CorePublicAddress,
    /// `core.public_url`
    CorePublicUrl,
    /// `core.remote_token_expiry`
    CoreRemoteTokenExpiry,
    /// `core.trust_ca_certificates`
    CoreTrustCaCertificates,
    /// `crl.root_validity`
    CrlRootValidity,
    /// `crl.validity`
    CrlValidity,
    /// `haproxy.alpn_address`
    HaproxyAlpnAddress,
    /// `haproxy.challenge_address`
    HaproxyChallengeAddress,
    /// `haproxy.directory`
    HaproxyDirectory,
    /// `haproxy.domains`
    HaproxyDomains,
    /// `haproxy.http_address`
    HaproxyHttpAddress,
    /// `haproxy.https_address`
    HaproxyHttpsAddress,
    /// `haproxy.instances`
    HaproxyInstances,
    /// `local.passphrase_remote`
    LocalPassphraseRemote,
    /// `local.socket_groups`
    LocalSocketGroups,
    /// `local.trust_first`
    LocalTrustFirst,
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

/// Whether a setting's value may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// By everybody who may look at the settings.
    Open,
    /// By nobody: it is sealed in the store and shown nowhere.
    Secret,
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

/// Where clients expect the service: LXD's port.
const HTTPS_PORT: u16 = 8443;

impl Setting {
    /// Every setting, by name.
    pub const ALL: [Setting; 38] = [
        Setting::AcmeAgreeTos,
        Setting::AcmeCaRoot,
        Setting::AcmeCaUrl,
        Setting::AcmeChallenge,
        Setting::AcmeDomain,
        Setting::AcmeEabHmac,
        Setting::AcmeEabKid,
        Setting::AcmeEmail,
        Setting::AcmeHook,
        Setting::AcmeHttpPort,
        Setting::AcmeProvider,
        Setting::AcmeProviderEnvironment,
        Setting::AcmeProviderResolvers,
        Setting::CoreCrlExpired,
        Setting::CoreExternalAddress,
        Setting::CoreHttpsAddress,
        Setting::CoreHttpsTrustedProxy,
        Setting::CorePkiMode,
        Setting::CorePublicAddress,
        Setting::CorePublicUrl,
        Setting::CoreRemoteTokenExpiry,
        Setting::CoreTrustCaCertificates,
        Setting::CrlRootValidity,
        Setting::CrlValidity,
        Setting::HaproxyAlpnAddress,
        Setting::HaproxyChallengeAddress,
        Setting::HaproxyDirectory,
        Setting::HaproxyDomains,
        Setting::HaproxyHttpAddress,
        Setting::HaproxyHttpsAddress,
        Setting::HaproxyInstances,
        Setting::LocalPassphraseRemote,
        Setting::LocalSocketGroups,
        Setting::LocalTrustFirst,
        Setting::ProfileClientDays,
        Setting::ProfileIssuingDays,
        Setting::ProfileRootDays,
        Setting::ProfileServerDays,
    ];

    /// Those that a decision who is let in goes by.
    pub(crate) const OF_TRUST: [Setting; 3] =
        [Setting::CoreCrlExpired, Setting::CorePkiMode, Setting::CoreTrustCaCertificates];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Setting::AcmeAgreeTos => "acme.agree_tos",
            Setting::AcmeCaRoot => "acme.ca_root",
            Setting::AcmeCaUrl => "acme.ca_url",
            Setting::AcmeChallenge => "acme.challenge",
            Setting::AcmeDomain => "acme.domain",
            Setting::AcmeEabHmac => "acme.eab.hmac",
            Setting::AcmeEabKid => "acme.eab.kid",
            Setting::AcmeEmail => "acme.email",
            Setting::AcmeHook => "acme.hook",
            Setting::AcmeHttpPort => "acme.http.port",
            Setting::AcmeProvider => "acme.provider",
            Setting::AcmeProviderEnvironment => "acme.provider.environment",
            Setting::AcmeProviderResolvers => "acme.provider.resolvers",
            Setting::CoreCrlExpired => "core.crl_expired",
            Setting::CoreExternalAddress => "core.external_address",
            Setting::CoreHttpsAddress => "core.https_address",
            Setting::CoreHttpsTrustedProxy => "core.https_trusted_proxy",
            Setting::CorePkiMode => "core.pki_mode",
            Setting::CorePublicAddress => "core.public_address",
            Setting::CorePublicUrl => "core.public_url",
            Setting::CoreRemoteTokenExpiry => "core.remote_token_expiry",
            Setting::CoreTrustCaCertificates => "core.trust_ca_certificates",
            Setting::CrlRootValidity => "crl.root_validity",
            Setting::CrlValidity => "crl.validity",
            Setting::HaproxyAlpnAddress => "haproxy.alpn_address",
            Setting::HaproxyChallengeAddress => "haproxy.challenge_address",
            Setting::HaproxyDirectory => "haproxy.directory",
            Setting::HaproxyDomains => "haproxy.domains",
            Setting::HaproxyHttpAddress => "haproxy.http_address",
            Setting::HaproxyHttpsAddress => "haproxy.https_address",
            Setting::HaproxyInstances => "haproxy.instances",
            Setting::LocalPassphraseRemote => "local.passphrase_remote",
            Setting::LocalSocketGroups => "local.socket_groups",
            Setting::LocalTrustFirst => "local.trust_first",
            Setting::ProfileClientDays => "profile.client.days",
            Setting::ProfileIssuingDays => "profile.issuing.days",
            Setting::ProfileRootDays => "profile.root.days",
            Setting::ProfileServerDays => "profile.server.days",
        }
    }

    /// What holds while it is unset.
    pub fn default(self) -> Default {
        match self {
            Setting::AcmeAgreeTos => Default::Value("false"),
            Setting::AcmeCaUrl => Default::Value("https://acme-v02.api.letsencrypt.org/directory"),
            Setting::AcmeChallenge => Default::Value("HTTP-01"),
            Setting::AcmeCaRoot
            | Setting::AcmeDomain
            | Setting::AcmeEabHmac
            | Setting::AcmeEabKid
            | Setting::AcmeEmail
            | Setting::AcmeHook
            | Setting::AcmeHttpPort
            | Setting::AcmeProvider
            | Setting::AcmeProviderEnvironment
            | Setting::AcmeProviderResolvers
            | Setting::CoreExternalAddress
            | Setting::CoreHttpsAddress
            | Setting::CoreHttpsTrustedProxy
            | Setting::CorePublicAddress
            | Setting::CorePublicUrl
            | Setting::HaproxyAlpnAddress
            | Setting::HaproxyChallengeAddress
            | Setting::HaproxyDirectory
            | Setting::HaproxyDomains
            | Setting::HaproxyInstances => Default::Off,
            Setting::HaproxyHttpAddress => Default::Value("0.0.0.0:80,[::]:80"),
            Setting::HaproxyHttpsAddress => Default::Value("0.0.0.0:443,[::]:443"),
            Setting::CoreCrlExpired => Default::Value("refuse"),
            Setting::CorePkiMode => Default::Value("auto"),
            Setting::CoreRemoteTokenExpiry => Default::Value("15d"),
            Setting::CoreTrustCaCertificates => Default::Value("false"),
            Setting::LocalPassphraseRemote => Default::Value("false"),
            Setting::LocalSocketGroups => Default::Value("sudo,admin,wheel"),
            Setting::LocalTrustFirst => Default::Value("true"),
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
            Setting::AcmeCaRoot | Setting::AcmeHook => "file, absolute",
            Setting::AcmeCaUrl => "https URL",
            Setting::AcmeChallenge => "HTTP-01, TLS-ALPN-01 or DNS-01",
            Setting::AcmeDomain => "names, separated by commas",
            Setting::AcmeEabHmac => "base64url, secret",
            Setting::AcmeEabKid => "key identifier",
            Setting::AcmeEmail => "e-mail address",
            Setting::AcmeHttpPort => "[IP]:PORT",
            Setting::AcmeProvider => "exec or rfc2136",
            Setting::AcmeProviderEnvironment => "lines of KEY=VALUE, secret",
            Setting::AcmeProviderResolvers => "IP[:PORT], separated by commas",
            Setting::CoreCrlExpired => "refuse or warn",
            Setting::CoreExternalAddress => "HOST[:PORT]",
            Setting::CoreHttpsAddress => "IP[:PORT]",
            Setting::CoreHttpsTrustedProxy => "IP or IP/BITS, separated by commas",
            Setting::CorePkiMode => "auto, on or off",
            Setting::CorePublicAddress => "IP:PORT",
            Setting::CoreRemoteTokenExpiry => "a span such as 15d or 2d 3H",
            Setting::AcmeAgreeTos
            | Setting::CoreTrustCaCertificates
            | Setting::LocalPassphraseRemote
            | Setting::LocalTrustFirst => "true or false",
            Setting::HaproxyAlpnAddress | Setting::HaproxyChallengeAddress => "IP:PORT",
            Setting::HaproxyDirectory => "a path",
            Setting::HaproxyDomains => "NAME[,NAME] pass|terminate [WORD] IP:PORT, separated by semicolons",
            Setting::HaproxyHttpAddress | Setting::HaproxyHttpsAddress => "IP:PORT, separated by commas",
            Setting::HaproxyInstances => "SOCKET [master=SOCKET] [https=IP:PORT], separated by semicolons",
            Setting::LocalSocketGroups => "groups, separated by commas",
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
            Setting::AcmeAgreeTos => "Whether you agree to the terms of service of the ACME authority.",
            Setting::AcmeCaRoot => {
                "PEM file with the only roots to trust for the ACME authority's own HTTPS; unset, those of this system."
            }
            Setting::AcmeCaUrl => "Directory of the ACME authority.",
            Setting::AcmeChallenge => "How the names of acme.domain are proved to the authority.",
            Setting::AcmeDomain => {
                "Names for which the service obtains a certificate of its own from an ACME authority and shows it to clients that ask for them."
            }
            Setting::AcmeEabHmac => {
                "HMAC key of the external account, where the authority demands one; never shown again."
            }
            Setting::AcmeEabKid => "Key identifier of the external account, where the authority demands one.",
            Setting::AcmeEmail => "Where the authority may write to.",
            Setting::AcmeHook => "Program that is run once a certificate of acme.domain was placed.",
            Setting::AcmeHttpPort => {
                "Where a listener for HTTP-01 is opened during an order; unset, the listeners that are there answer, or port 80 if it is free."
            }
            Setting::AcmeProvider => {
                "Who changes the zone for DNS-01: a program, or a name server by RFC 2136."
            }
            Setting::AcmeProviderEnvironment => {
                "What the provider needs, as lego names it: EXEC_PATH, RFC2136_NAMESERVER and so on; never shown again."
            }
            Setting::AcmeProviderResolvers => {
                "Resolvers that are asked for zones and aliases of DNS-01; unset, those of this system."
            }
            Setting::CoreCrlExpired => {
                "What becomes of the clients of an imported authority once its list has run out."
            }
            Setting::CoreExternalAddress => {
                "Where clients reach the service from outside, behind NAT or a proxy; it goes into tokens."
            }
            Setting::CoreHttpsAddress => {
                "Where the service listens for clients by HTTPS. The port is 8443 unless given."
            }
            Setting::CoreHttpsTrustedProxy => {
                "The proxies before HTTPS that say where clients come from, by the PROXY protocol; they must always say it."
            }
            Setting::CorePkiMode => {
                "Whether every client certificate must be signed by a trusted authority; auto: once one was imported."
            }
            Setting::CoreRemoteTokenExpiry => {
                "How long a token lives, in S, M, H, d, w, m and y; empty is for ever."
            }
            Setting::CoreTrustCaCertificates => {
                "Whether a client that a trusted authority signed needs no entry of its own."
            }
            Setting::HaproxyAlpnAddress => "Who answers TLS-ALPN-01 challenges behind HAProxy.",
            Setting::HaproxyChallengeAddress => {
                "Who answers HTTP-01 challenges behind HAProxy that are not in its map: a web server, or core.public_address."
            }
            Setting::HaproxyDirectory => {
                "Where the maps and the list of certificates for HAProxy lie; haproxy/ in the directory unless set."
            }
            Setting::HaproxyDomains => {
                "What HAProxy serves: names, how they are served, and the nodes behind. `pki haproxy render --help` has the words."
            }
            Setting::HaproxyHttpAddress => "Where HAProxy listens for plain HTTP.",
            Setting::HaproxyHttpsAddress => "Where HAProxy listens for TLS.",
            Setting::HaproxyInstances => {
                "The running HAProxys that are told of certificates and revocations, by their admin sockets."
            }
            Setting::LocalPassphraseRemote => {
                "Whether the passphrase admits a client certificate from other machines too, not from this one alone."
            }
            Setting::LocalSocketGroups => {
                "Who may reach the socket until the first other user has connected: the first of these groups that exists."
            }
            Setting::LocalTrustFirst => {
                "Whether the first other user of this machine to connect becomes trusted."
            }
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

    /// Whether its value may be seen.
    pub fn secrecy(self) -> Secrecy {
        match self {
            Setting::AcmeEabHmac | Setting::AcmeProviderEnvironment => Secrecy::Secret,
            _ => Secrecy::Open,
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
        let shown = match self.secrecy() {
            Secrecy::Open => value,
            Secrecy::Secret => "what was given",
        };
        let refuse = |reason: String| Error::Invalid { setting: self, value: shown.to_owned(), reason };
        match self {
            Setting::AcmeAgreeTos => value::truth(value).map_err(refuse),
            Setting::AcmeCaRoot | Setting::AcmeHook => value::file(value).map_err(refuse),
            Setting::AcmeCaUrl => acme::directory(value).map_err(refuse),
            Setting::AcmeChallenge => value::word::<Method>(value).map_err(refuse),
            Setting::AcmeDomain => acme::domains(value).map_err(refuse),
            Setting::AcmeEabHmac => acme::hmac(value).map_err(refuse),
            Setting::AcmeEabKid => acme::kid(value).map_err(refuse),
            Setting::AcmeEmail => acme::email(value).map_err(refuse),
            Setting::AcmeHttpPort => value::port(value).map(|found| found.to_string()).map_err(refuse),
            Setting::AcmeProvider => acme::provider(value).map_err(refuse),
            Setting::AcmeProviderEnvironment => acme::environment(value).map_err(refuse),
            Setting::AcmeProviderResolvers => acme::resolvers(value).map_err(refuse),
            Setting::CoreCrlExpired => value::word::<CrlExpired>(value).map_err(refuse),
            Setting::CoreExternalAddress => value::host_and_port(value, HTTPS_PORT).map_err(refuse),
            Setting::CoreHttpsAddress => {
                value::address_or_host(value, HTTPS_PORT).map(|found| found.to_string()).map_err(refuse)
            }
            Setting::CoreHttpsTrustedProxy => value::word::<Networks>(value).map_err(refuse),
            Setting::CorePkiMode => value::word::<PkiMode>(value).map_err(refuse),
            Setting::CoreRemoteTokenExpiry => value::word::<Expiry>(value).map_err(refuse),
            Setting::CoreTrustCaCertificates => value::word::<TrustCa>(value).map_err(refuse),
            Setting::LocalPassphraseRemote => value::word::<PassphraseRemote>(value).map_err(refuse),
            Setting::HaproxyAlpnAddress | Setting::HaproxyChallengeAddress => {
                value::address(value).map(|found| found.to_string()).map_err(refuse)
            }
            Setting::HaproxyDirectory => value::word::<haproxy::FilePath>(value).map_err(refuse),
            Setting::HaproxyDomains => value::several::<haproxy::written::DomainSpec>(value).map_err(refuse),
            Setting::HaproxyHttpAddress | Setting::HaproxyHttpsAddress => {
                value::addresses(value).map_err(refuse)
            }
            Setting::HaproxyInstances => {
                value::several::<haproxy::written::InstanceSpec>(value).map_err(refuse)
            }
            Setting::LocalSocketGroups => value::groups(value).map_err(refuse),
            Setting::LocalTrustFirst => value::word::<TrustFirst>(value).map_err(refuse),
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
mod tests;
