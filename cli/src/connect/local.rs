//! The directory itself, opened by this process.
//!
//! Only its owner may: whatever another user (root included) wrote into it could not be read by the
//! owner's service afterwards.

use std::{
    cell::RefCell,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ca::{key::Passphrase, keyring::KeyringError};
use server::{
    Pki,
    http::problem::problem,
    ops::{Error, Operation, backup::BackupRequest},
    pki::{Keys, OpenMode},
};
use store::Progress;
use trust::Action;

use crate::{
    context::{Context, span},
    environment::Environment,
    error::{CommandError, Kind},
    output::Stream,
    passphrase,
};

/// What the terminal is asked for.
const PROMPT: &str = "passphrase of the CA's keys";

/// What came of an attempt to open a directory.
pub enum Tried {
    /// Another process holds it.
    Locked {
        /// Which, if it said so.
        pid: Option<u32>,
    },
    /// It is open.
    Open(Box<Pki>),
}

/// Pauses between attempts.
pub struct Waiting {
    pause: Duration,
    told: bool,
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Waiting {
    /// Nothing was waited for yet.
    pub fn new() -> Waiting {
        Waiting { pause: FIRST_PAUSE, told: false }
    }

    /// Pauses before the next attempt.
    pub fn pause(&mut self, pid: Option<u32>, longest: Duration) {
        if self.pause >= LONGEST_PAUSE && !std::mem::replace(&mut self.told, true) {
            tracing::info!(?pid, "waiting for another process that holds the PKI");
        }
        // Many that wait together should not all come back together.
        let spread = Duration::from_micros(u64::from(std::process::id() % 64) * 50);
        std::thread::sleep(self.pause.min(longest) + spread);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// The error when the wait was in vain.
pub fn held(directory: &Path, pid: Option<u32>, waited: Duration) -> CommandError {
    let holder = pid.map_or_else(|| "another process".to_string(), |pid| format!("process {pid}"));
    CommandError::new(
        Kind::Unavailable,
        format!("{holder} holds {} (waited {})", directory.display(), span(waited)),
    )
    .hint("try again when it has ended, or wait longer with --wait")
}

/// Refuses a directory that is not there or belongs to someone else.
pub fn check_owner(directory: &Path) -> Result<(), CommandError> {
    let metadata = match std::fs::metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(absent(directory)),
        Err(error) => return Err(CommandError::file("open", directory, &error)),
    };
    if !metadata.is_dir() {
        return Err(CommandError::usage(format!("{} is not a directory", directory.display()))
            .hint("name the PKI's directory with --dir"));
    }
    if metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let owner = owner_of(directory).unwrap_or_else(|| format!("#{}", metadata.uid()));
    Err(CommandError::new(Kind::Denied, format!("{} belongs to {owner}", directory.display()))
        .hint(format!("sudo -u {owner} pki … --dir {}", directory.display())))
}

/// There is no PKI.
pub fn absent(directory: &Path) -> CommandError {
    CommandError::not_found(format!("there is no PKI in {}", directory.display()))
        .hint("`pki up` makes one and serves it, `pki init` only makes it")
        .hint("a PKI elsewhere is named with --dir or PKI_DIR")
}

/// Opens a directory for a command, unless another process holds it.
pub fn try_open(directory: &Path, context: &Context) -> Result<Tried, CommandError> {
    check_owner(directory)?;
    let passphrase = passphrase::given(context)?;
    match open(directory, passphrase, OpenMode::Command, context) {
        Ok(pki) => Ok(Tried::Open(Box::new(pki))),
        Err(Error::Store(store::Error::Locked { pid, .. })) => Ok(Tried::Locked { pid }),
        Err(error) => Err(problem(&error).into()),
    }
}

/// Opens a directory. How far an index is that has to be built again is shown meanwhile.
pub fn open(
    directory: &Path,
    passphrase: Option<Passphrase>,
    mode: OpenMode,
    context: &Context,
) -> Result<Pki, Error> {
    let progress = Progress::default();
    let seen = progress.clone();
    let _shown = context.output.watch("building the index again", move || seen.so_far());
    opened(directory, passphrase, mode, &context.environment, &progress)
}

fn opened(
    directory: &Path,
    passphrase: Option<Passphrase>,
    mode: OpenMode,
    environment: &Environment,
    progress: &Progress,
) -> Result<Pki, Error> {
    let keys = Keys { passphrase, cost: environment.scrypt };
    Pki::open_watched(directory, keys, mode, environment.whole_second(), progress)
}

/// Whether an error can be cured by asking on the terminal.
pub fn asks_for_passphrase(error: &Error, environment: &Environment) -> bool {
    environment.input != Stream::Other
        && matches!(error, Error::Ca(ca::Error::Keyring(KeyringError::Locked { .. })))
}

/// Asks for the keys' passphrase; `None` if there was no answer.
pub fn ask(environment: &Environment) -> Option<Passphrase> {
    passphrase::ask(PROMPT, environment).ok()
}

/// A PKI that this process has opened.
pub struct Here {
    directory: PathBuf,
    environment: Environment,
    pki: RefCell<Option<Pki>>,
    wait: Duration,
}

impl Here {
    /// Takes an open PKI.
    pub fn new(directory: PathBuf, pki: Pki, context: &Context) -> Here {
        Here {
            directory,
            environment: context.environment.clone(),
            pki: RefCell::new(Some(pki)),
            wait: context.global.wait,
        }
    }

    /// Runs an operation. One that signs asks for the keys' passphrase if nobody has given it.
    pub fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, CommandError> {
        let told = |error: Error| CommandError::from(problem(&error));
        let mut pki = self.pki.borrow_mut();
        if signs(O::ACTION) && self.environment.input != Stream::Other {
            let asks = pki.as_ref().map(Pki::needs_passphrase).transpose().map_err(told)?;
            if asks == Some(true) {
                // Nobody else has to wait while the user types.
                *pki = None;
                let asked = passphrase::ask(PROMPT, &self.environment)?;
                *pki = Some(self.open_again(&asked)?);
            }
        }
        let Some(pki) = pki.as_ref() else {
            return Err(CommandError::internal("the PKI was closed").hint("run the command again"));
        };
        pki.run(operation, &server::peer::presented(), self.environment.whole_second()).map_err(told)
    }
}

impl Here {
    /// Streams a backup.
    pub fn backup(&self, request: &BackupRequest, out: &mut dyn Write) -> Result<(), CommandError> {
        let pki = self.pki.borrow();
        let Some(pki) = pki.as_ref() else {
            return Err(CommandError::internal("the PKI was closed").hint("run the command again"));
        };
        pki.backup(request, out, &server::peer::presented(), self.environment.whole_second())
            .map_err(|error| problem(&error).into())
    }

    /// Opens the directory once more, waiting for whoever came in between.
    fn open_again(&self, passphrase: &Passphrase) -> Result<Pki, CommandError> {
        let began = Instant::now();
        let mut waiting = Waiting::new();
        let unseen = Progress::default();
        loop {
            let passphrase = Some(passphrase.clone());
            match opened(&self.directory, passphrase, OpenMode::Command, &self.environment, &unseen) {
                Ok(pki) => return Ok(pki),
                Err(Error::Store(store::Error::Locked { pid, .. })) if began.elapsed() < self.wait => {
                    waiting.pause(pid, self.wait);
                }
                Err(Error::Store(store::Error::Locked { pid, .. })) => {
                    return Err(held(&self.directory, pid, self.wait));
                }
                Err(error) => return Err(problem(&error).into()),
            }
        }
    }
}

/// Whether operations of this kind may need an authority's key.
fn signs(action: Action) -> bool {
    match action {
        Action::Authority | Action::Issue | Action::Publish | Action::Revoke => true,
        Action::Backup
        | Action::Configure
        | Action::Inspect
        | Action::Metrics
        | Action::Obtain
        | Action::Read
        | Action::Trust => false,
    }
}

/// The name of a directory's owner.
pub fn owner_of(directory: &Path) -> Option<String> {
    let uid = std::fs::metadata(directory).ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    trust::user_name(&users, uid)
}
