//! Who changes the zone, in the words of the settings: a provider's name, and lines of `KEY=VALUE`.
//!
//! Names and keys are those that lego and Incus use, so that a configuration can be taken over.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, TSigner};
use zeroize::Zeroizing;

use super::PORT;
pub use super::exec::Hook;
pub use super::update::Updates;

/// Who changes the zone.
#[derive(Clone, Debug)]
pub enum Provider {
    /// A program: `exec`.
    Exec(Hook),
    /// A name server: `rfc2136`.
    Rfc2136(Updates),
}

/// What is wrong with a provider's settings. No value is in it: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// A line that is not `KEY=VALUE`.
    #[error("line {line} is not KEY=VALUE, with a key of A to Z, 0 to 9 and _")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// A variable by which a program could be made to do something else.
    #[error("{key} is not given to a program")]
    Forbidden {
        /// The variable.
        key: String,
    },
    /// Something is needed that is not there.
    #[error("{key} is missing in acme.provider.environment")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value can't be used.
    #[error("{key} must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// A provider that is not known.
    #[error("{name:?} is no provider; they are exec and rfc2136")]
    Unknown {
        /// Its name.
        name: String,
    },
}

/// The lines of a provider's environment.
#[derive(Clone, Default)]
pub struct Environment(Vec<(String, Zeroizing<String>)>);

impl Environment {
    /// Reads lines of `KEY=VALUE`; empty ones are passed over.
    pub fn read(text: &str) -> Result<Environment, ProviderError> {
        let mut read = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let refuse = ProviderError::Line { line: number + 1 };
            let (key, value) = line.split_once('=').ok_or_else(|| refuse.clone())?;
            let sound = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            if key.is_empty() || !key.bytes().all(sound) || value.contains(char::is_control) {
                return Err(refuse);
            }
            // What a loader or a shell would obey before the program itself does.
            if key.starts_with("LD_") || ["PATH", "BASH_ENV", "ENV", "IFS"].contains(&key) {
                return Err(ProviderError::Forbidden { key: key.to_owned() });
            }
            read.push((key.to_owned(), Zeroizing::new(value.to_owned())));
        }
        Ok(Environment(read))
    }

    fn find(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn need(&self, key: &'static str) -> Result<&str, ProviderError> {
        self.find(key).ok_or(ProviderError::Missing { key })
    }

    fn seconds(&self, key: &'static str, otherwise: u32, most: u32) -> Result<u32, ProviderError> {
        match self.find(key).map(str::parse::<u32>) {
            None => Ok(otherwise),
            Some(Ok(seconds)) if (1..=most).contains(&seconds) => Ok(seconds),
            Some(_) => Err(ProviderError::Value { key, expected: "a number of seconds" }),
        }
    }
}

/// The longest that a record may take to be everywhere.
const MOST_PATIENCE: u32 = 3_600;
/// What others wait by default.
const PATIENCE: u32 = 60;
/// For one run of a program.
const DEADLINE: Duration = Duration::from_secs(120);

impl Provider {
    /// The provider `name` with its environment.
    pub fn new(name: &str, environment: &Environment) -> Result<Provider, ProviderError> {
        match name {
            "exec" => exec(environment).map(Provider::Exec),
            "rfc2136" => rfc2136(environment).map(Provider::Rfc2136),
            other => Err(ProviderError::Unknown { name: other.chars().take(40).collect() }),
        }
    }

    /// How long a record may take to be at every server.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Provider::Exec(hook) => hook.patience,
            Provider::Rfc2136(server) => server.patience,
        }
    }
}

fn exec(environment: &Environment) -> Result<Hook, ProviderError> {
    const PROGRAM: &str = "EXEC_PATH";
    let program = PathBuf::from(environment.need(PROGRAM)?);
    if !program.is_absolute() {
        return Err(ProviderError::Value { key: PROGRAM, expected: "the whole path of a program" });
    }
    let patience = environment.seconds("EXEC_PROPAGATION_TIMEOUT", PATIENCE, MOST_PATIENCE)?;
    let patience = Duration::from_secs(patience.into());
    Ok(Hook { program, environment: environment.0.clone(), deadline: DEADLINE, patience })
}

fn rfc2136(environment: &Environment) -> Result<Updates, ProviderError> {
    const SERVER: &str = "RFC2136_NAMESERVER";
    const KEY: &str = "RFC2136_TSIG_KEY";
    const SECRET: &str = "RFC2136_TSIG_SECRET";
    const ALGORITHM: &str = "RFC2136_TSIG_ALGORITHM";
    let server = address(environment.need(SERVER)?)
        .ok_or(ProviderError::Value { key: SERVER, expected: "an address, and a port unless it is 53" })?;
    let patience = environment.seconds("RFC2136_PROPAGATION_TIMEOUT", PATIENCE, MOST_PATIENCE)?;
    let ttl = environment.seconds("RFC2136_TTL", 120, 86_400)?;
    let key = match environment.find(KEY) {
        None => None,
        Some(name) => {
            let wrong = |key, expected| ProviderError::Value { key, expected };
            let name = Name::from_ascii(name).map_err(|_| wrong(KEY, "the name of a key"))?;
            let secret = STANDARD.decode(environment.need(SECRET)?.trim());
            let secret = secret.map_err(|_| wrong(SECRET, "base64"))?;
            let algorithm = match environment.find(ALGORITHM).unwrap_or("hmac-sha256").trim_end_matches('.') {
                "hmac-sha256" => TsigAlgorithm::HmacSha256,
                "hmac-sha384" => TsigAlgorithm::HmacSha384,
                "hmac-sha512" => TsigAlgorithm::HmacSha512,
                _ => return Err(wrong(ALGORITHM, "hmac-sha256, hmac-sha384 or hmac-sha512")),
            };
            // The clocks may be five minutes apart (RFC 8945 §10).
            let signer = TSigner::new(secret, algorithm, name, 300);
            Some(signer.map_err(|_| wrong(SECRET, "a key of that algorithm"))?)
        }
    };
    Ok(Updates { server, key, ttl, patience: Duration::from_secs(patience.into()) })
}

/// An address of a server of DNS, with its port unless it is the usual one.
pub fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(host) => Some(SocketAddr::new(host, PORT)),
        Err(_with_a_port) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, lines: &str) -> Result<Provider, ProviderError> {
        Provider::new(name, &Environment::read(lines).unwrap())
    }

    #[test]
    fn a_server_is_named_with_its_key() {
        let lines = "RFC2136_NAMESERVER=192.0.2.1\n\nRFC2136_TSIG_KEY=acme.\nRFC2136_TSIG_SECRET=AAEC/w==\n\
                     RFC2136_TSIG_ALGORITHM=hmac-sha512.\nRFC2136_TTL=30\n";
        let Ok(Provider::Rfc2136(server)) = provider("rfc2136", lines) else { panic!("refused") };
        assert_eq!((server.server.to_string().as_str(), server.ttl), ("192.0.2.1:53", 30));
        assert_eq!(server.key.unwrap().key(), [0, 1, 2, 255]);
        for (lines, key) in [
            ("", "RFC2136_NAMESERVER"),
            ("RFC2136_NAMESERVER=ns.example", "RFC2136_NAMESERVER"),
            ("RFC2136_NAMESERVER=::1\nRFC2136_TSIG_KEY=k", "RFC2136_TSIG_SECRET"),
            ("RFC2136_NAMESERVER=::1\nRFC2136_TSIG_KEY=k\nRFC2136_TSIG_SECRET=?", "RFC2136_TSIG_SECRET"),
            ("RFC2136_NAMESERVER=::1\nRFC2136_TTL=0", "RFC2136_TTL"),
        ] {
            let refused = provider("rfc2136", lines).unwrap_err().to_string();
            assert!(refused.contains(key), "{refused}");
        }
    }

    #[test]
    fn a_program_gets_its_own_environment_and_no_loaders() {
        assert!(matches!(provider("exec", "EXEC_PATH=/bin/true\nA_1=x=y"), Ok(Provider::Exec(_))));
        assert!(provider("exec", "EXEC_PATH=true").is_err());
        assert!(matches!(provider("route53", ""), Err(ProviderError::Unknown { .. })));
        for bad in ["a", "a=b", "LD_PRELOAD=/tmp/x.so", "PATH=/tmp", "=x", "A B=c"] {
            assert!(Environment::read(bad).is_err(), "{bad}");
        }
    }
}
