//! `--watch`: follows what is published. Looks are cheap: a few files are looked at for whether they are still
//! the same, and only then the PKI is asked; one on another machine is asked every few seconds. What fails is
//! told once and tried again, ever more rarely.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    Plan,
    lay::{self, Laid, State},
};
use crate::{
    context::Context,
    error::{CommandError, Kind, Outcome},
    files::Overwrite,
    signals::Signals,
};

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(1);
/// How often the PKI is asked although nothing has changed: certificates become due.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How often it is asked where its files can't be looked at: they are on another machine.
const BLINDLY: Duration = Duration::from_secs(10);
/// The longest pause after a failure.
const LONGEST: Duration = Duration::from_secs(60);

/// What tells a file from the one that takes its place; `None` for one that is not there.
type Stamp = Option<(u64, i64, i64, u64)>;

fn stamp(path: &Path) -> Stamp {
    let found = path.symlink_metadata().ok()?;
    Some((found.ino(), found.ctime(), found.ctime_nsec(), found.size()))
}

/// Files, and what they were when they were last looked at.
#[derive(Default)]
struct Looked(Vec<(PathBuf, Stamp)>);

impl Looked {
    fn at(paths: impl IntoIterator<Item = PathBuf>) -> Looked {
        Looked(
            paths
                .into_iter()
                .map(|path| {
                    let now = stamp(&path);
                    (path, now)
                })
                .collect(),
        )
    }

    fn again(&self) -> Looked {
        Looked::at(self.0.iter().map(|(path, _)| path.clone()))
    }

    fn has_changed(&self) -> bool {
        self.0.iter().any(|(path, then)| stamp(path) != *then)
    }
}

/// How it goes.
struct Watching {
    plan: Plan,
    /// What is published.
    published: Looked,
    /// What was laid down: what somebody takes away is laid down again.
    laid: Looked,
    /// When to ask at the latest.
    ask_at: Instant,
    /// What was last complained of, and how long to wait after it.
    failure: Option<(String, Duration)>,
}

impl Watching {
    /// Asks, if there is a reason to.
    fn round(&mut self, context: &mut Context) -> Result<(), CommandError> {
        let now = Instant::now();
        let is_changed = self.failure.is_none() && (self.published.has_changed() || self.laid.has_changed());
        if now < self.ask_at && !is_changed {
            return Ok(());
        }
        // Looked at before the PKI is asked: what changes meanwhile is seen in the next round.
        let published = self.published.again();
        let laid = lay::lay(&self.plan, context)?;
        self.published = match published.0.iter().map(|(path, _)| path).eq(laid.published.iter()) {
            true => published,
            // Of another authority now: as they are found after the answer, one round is made for nothing.
            false => Looked(laid.published.iter().map(|path| (path.clone(), None)).collect()),
        };
        self.laid = Looked::at(laid.files.iter().map(|file| self.plan.folder.join(&file.name)));
        let is_blind =
            context.global.remote.is_some() || laid.published.iter().any(|path| stamp(path).is_none());
        self.ask_at = now + if is_blind { BLINDLY } else { HOUR };
        if laid.changed {
            tell(&laid, &self.plan, context)?;
        }
        // Only the first time: what comes later is not what the user meant.
        self.plan.overwrite = Overwrite::Refuse;
        lay::exec(&self.plan)?;
        self.failure = None;
        Ok(())
    }

    /// Complains once of what fails, and tries again later.
    fn failed(&mut self, error: &CommandError, context: &mut Context) {
        let before = self.failure.take();
        let pause = before.as_ref().map_or(POLL, |(_, pause)| (*pause * 2).min(LONGEST));
        if before.is_none_or(|(told, _)| told != error.message) {
            let causes: String = error.causes.iter().map(|cause| format!(": {cause}")).collect();
            context.output.warn(&format!("{}{causes}", error.message));
        }
        self.ask_at = Instant::now() + pause;
        self.failure = Some((error.message.clone(), pause));
    }
}

/// Keeps the files fresh until a signal comes.
pub fn run(plan: Plan, context: &mut Context) -> Result<Outcome, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::internal("cannot wait for signals").because(&error))?;
    let mut stop = {
        let _within = runtime.enter();
        Box::pin(Signals::listen()?.come())
    };
    let mut watching = Watching {
        plan,
        published: Looked::default(),
        laid: Looked::default(),
        ask_at: Instant::now(),
        failure: None,
    };
    let mut is_first = true;
    loop {
        match watching.round(context) {
            Ok(()) => {}
            Err(error) if is_first && is_lasting(&error) => return Err(error),
            Err(error) => watching.failed(&error, context),
        }
        is_first = false;
        let stopped = runtime.block_on(async { tokio::time::timeout(POLL, stop.as_mut()).await.is_ok() });
        if stopped {
            return Ok(Outcome::Done);
        }
    }
}

/// Whether only the user can do something about it.
fn is_lasting(error: &CommandError) -> bool {
    match error.kind {
        Kind::Conflict | Kind::Denied | Kind::NotFound | Kind::Usage | Kind::BrokenPipe => true,
        Kind::External | Kind::Internal | Kind::Unavailable => false,
    }
}

fn tell(laid: &Laid, plan: &Plan, context: &mut Context) -> Result<(), CommandError> {
    if !context.output.is_human() {
        return lay::report(laid, plan, context);
    }
    for warning in &laid.warnings {
        context.output.warn(warning);
    }
    let names: Vec<&str> = lay::named(laid, State::Written).collect();
    context.output.say(&format!("wrote {} in {}", names.join(", "), laid.directory.display()));
    Ok(())
}
