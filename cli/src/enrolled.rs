//! A machine that was enrolled: what it keeps beside its certificate, and how it finds the service again.
//!
//! `NAME.enrolled` says where the service is and how it is known. The server is looked at before anything is
//! sent, and what follows is pinned to the very certificate that was looked at: at first the token's, later
//! that one, one with the same key, or one that our root verifies for the address. Any other gets nothing.

pub mod lists;

use ca::cert::{Certificate, Fingerprint, Purpose, Slug, printable, verify_path};
use serde::{Deserialize, Serialize};
use server::{
    dial::{self, Address, Authorities, Dialer, Identity, Shown, Verification},
    ops::enroll::Enrolled,
};
use time::OffsetDateTime;

use crate::{
    client,
    connect::Service,
    context::Context,
    error::{CommandError, Kind},
    files::{FileNames, Folder},
};

/// The ending of the file.
const ENDING: &str = ".enrolled";

/// What is kept of an enrolment. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The certificate's name.
    pub name: String,
    /// Where the service was found, as `HOST:PORT`.
    pub addresses: Vec<String>,
    /// SHA-256 of the certificate that it showed last.
    pub server: String,
    /// SHA-256 of that certificate's key.
    pub server_key: String,
    /// Whether the command of `--exec` has still to be run for the certificate that is here.
    #[serde(default)]
    pub exec_due: bool,
}

impl Enrolment {
    /// The file's content.
    pub fn encode(&self) -> Result<Vec<u8>, CommandError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| CommandError::internal("cannot write down the enrolment").because(&error))?;
        text.push(b'\n');
        Ok(text)
    }

    /// With what the server showed this time.
    pub fn seen(self, shown: &Shown) -> Enrolment {
        Enrolment { server: shown.fingerprint().to_string(), server_key: digest(shown.certificate()), ..self }
    }

    /// Whether this is the server that we know.
    pub fn knows(
        &self,
        root: Option<&Authorities>,
        address: &Address,
        shown: &Shown,
        now: OffsetDateTime,
    ) -> bool {
        shown.fingerprint().to_string() == self.server
            || digest(shown.certificate()) == self.server_key
            || root.is_some_and(|root| shown.is_verified(root, address, now))
    }
}

/// SHA-256 over a certificate's key, in hex.
pub fn digest(certificate: &Certificate) -> String {
    Fingerprint::from_bytes(certificate.public_key().digest()).to_string()
}

/// The enrolment in a folder: that of a name, or the only one.
pub fn find(folder: &Folder, named: Option<&str>) -> Result<(Slug, Enrolment), CommandError> {
    let slug = match named {
        Some(name) => Slug::of(name),
        None => only(folder)?,
    };
    let file = FileNames::of(&slug).enrolled;
    let path = folder.path().join(&file);
    let bytes = folder.read(&file)?.ok_or_else(|| {
        CommandError::not_found(format!("{} is not there", path.display()))
            .hint("`pki enroll TOKEN` enrols; --out names the directory")
    })?;
    let enrolment = serde_json::from_slice(&bytes).map_err(|error| {
        CommandError::conflict(format!("{} is not one of our files", path.display()))
            .because(&error)
            .hint("restore it, or enrol again with another token and --force")
    })?;
    Ok((slug, enrolment))
}

fn only(folder: &Folder) -> Result<Slug, CommandError> {
    let path = folder.path();
    let failed = |error: std::io::Error| CommandError::file("read", path, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(ENDING)).map(str::to_string));
    }
    names.sort();
    match names.as_slice() {
        [one] => Ok(Slug::of(one)),
        [] => Err(CommandError::not_found(format!("nothing in {} was enrolled", path.display()))
            .hint("`pki enroll TOKEN` enrols; --out names the directory")),
        several => {
            let mut error = CommandError::conflict(format!("{} holds several", path.display()))
                .hint("`pki renew --self NAME` names one");
            error.causes = several.iter().map(|name| printable(name)).collect();
            Err(error)
        }
    }
}

/// The service, and what it showed.
pub struct Server {
    /// Where it was found.
    pub address: Address,
    /// The certificate that is pinned from here on.
    pub shown: Shown,
}

impl Server {
    /// Looks for the service where it may be, and sends nothing to any that is not right.
    pub fn find(
        addresses: &[String],
        context: &mut Context,
        is_right: impl Fn(&Address, &Shown) -> bool,
    ) -> Result<Server, CommandError> {
        let versions = client::versions(context);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CommandError::internal("cannot talk to the service").because(&error))?;
        let mut wrong = None;
        let mut absent = None;
        for text in addresses {
            let address: Address = match text.parse() {
                Ok(address) => address,
                Err(error) => {
                    absent = Some(CommandError::usage("the token names no address").because(&error));
                    continue;
                }
            };
            match runtime.block_on(dial::look(&address, versions)) {
                Ok(shown) if is_right(&address, &shown) => return Ok(Server { address, shown }),
                Ok(shown) => wrong = Some(impostor(&address, &shown)),
                Err(error) => {
                    absent = Some(
                        CommandError::new(Kind::External, error.to_string())
                            .because_source(&error)
                            .hint(format!("the service should be at {}", addresses.join(", ")))
                            .hint("is it up, and can it be reached from here? nothing was sent"),
                    );
                }
            }
        }
        let nowhere = || CommandError::usage("it is not said where the service is");
        Err(wrong.or(absent).unwrap_or_else(nowhere))
    }

    /// The way to it, as whoever `identity` is.
    pub fn service(
        &self,
        identity: Option<Identity>,
        context: &mut Context,
    ) -> Result<Service, CommandError> {
        let versions = client::versions(context);
        let pin = Verification::Pin(self.shown.fingerprint());
        Service::over_https(Dialer::new(self.address.clone(), identity, pin, versions), None, context)
    }
}

fn impostor(address: &Address, shown: &Shown) -> CommandError {
    CommandError::new(Kind::External, format!("{address} is not the service that is meant"))
        .hint(format!("it shows the certificate {}; nothing was sent to it", shown.fingerprint()))
        .hint("`pki info` on the server shows what it should be; a new token names the present one")
}

/// What a service answered is what it must be: the key's own certificate, and a path to the root.
pub fn check(enrolled: &Enrolled, now: OffsetDateTime) -> Result<(), CommandError> {
    let failed = |error: &dyn std::error::Error| {
        CommandError::internal("the service's answer cannot be verified").because(error)
    };
    let chain = Certificate::pem_bundle(enrolled.issued.chain.as_bytes()).map_err(|error| failed(&error))?;
    let root = Certificate::from_pem(enrolled.root.as_bytes()).map_err(|error| failed(&error))?;
    let Some((leaf, between)) = chain.split_first() else {
        return Err(CommandError::internal("the service's answer holds no certificate"));
    };
    let purpose = match enrolled.issued.certificate.profile.as_str() {
        "server" => Purpose::Server,
        _ => Purpose::Client,
    };
    // A clock that is a little wrong here is no reason to throw the certificate away.
    let at = now.max(leaf.not_before()).min(leaf.not_after());
    verify_path(leaf, between, &[root], purpose, at).map_err(|error| failed(&error))?;
    Ok(())
}

/// What to do about a refusal: whoever is refused here has nothing but a token or a certificate.
pub fn refused(mut error: CommandError) -> CommandError {
    if matches!(error.kind, Kind::Denied | Kind::Conflict) {
        error.hints = vec![
            "a token is good once and for a limited time: `pki trust add NAME --enroll`, on the server, makes another"
                .to_string(),
        ];
    }
    error
}
