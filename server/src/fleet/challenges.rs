//! HTTP-01 answered by the HAProxys before us (RFC 8555 §8.3), from a map.
//!
//! What is answered is what is on the board of this process: several orders share one map, and whatever an order
//! that was killed has left in it goes with the next look. The file comes first, so that a HAProxy that starts
//! meanwhile answers too. Each look takes the board as it is while it holds its seat: none can undo a later one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;

use ::haproxy::runtime::{Bounds, Challenge, Runtime, challenges_file};
use ::haproxy::written::InstanceSpec;
use store::file::{OnExisting, Visibility, make_dir, place};

use super::{Files, files, instances};
use crate::Pki;
use crate::ops::Error;

/// What became of telling one of them.
pub(crate) struct Told {
    /// Which one.
    pub(crate) instance: InstanceSpec,
    /// Whether it answers what is on the board.
    pub(crate) outcome: Result<(), ::haproxy::Error>,
}

/// Makes every HAProxy of the settings answer what is on the board and nothing else. None is told if there are
/// none.
pub(crate) fn show(pki: &Pki) -> Result<Vec<Told>, Error> {
    let settings = pki.settings()?;
    let instances = instances(&settings)?;
    if instances.is_empty() {
        return Ok(Vec::new());
    }
    let files = files(pki, &settings)?;
    lay(pki, &files)?;
    let files = &files;
    Ok(std::thread::scope(|scope| {
        // One that does not answer holds up no other.
        let telling: Vec<_> = instances
            .into_iter()
            .map(|instance| {
                scope.spawn(move || {
                    let outcome = tell(pki, &instance, files);
                    Told { instance, outcome }
                })
            })
            .collect();
        let told = telling.into_iter().map(|one| one.join());
        told.map(|one| one.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }))
}

/// What is on the board, for a map.
fn board(pki: &Pki) -> Result<BTreeSet<Challenge>, ::haproxy::Error> {
    let all = pki.challenges().all();
    all.iter().map(|(token, answer)| Challenge::new(token, answer)).collect()
}

/// Writes the file, if it holds something else.
pub(super) fn lay(pki: &Pki, files: &Files) -> Result<(), Error> {
    let _alone = pki.fleet().challenges().lock().unwrap_or_else(PoisonError::into_inner);
    let file = files.challenges()?;
    let text = challenges_file(&board(pki)?);
    if std::fs::read(file.as_str()).ok().as_deref() != Some(text.as_bytes()) {
        make_dir(Path::new(files.folder.as_str()), Visibility::Public)?;
        place(Path::new(file.as_str()), text.as_bytes(), Visibility::Secret, OnExisting::Replace)?;
    }
    Ok(())
}

/// Tells one.
pub(super) fn tell(pki: &Pki, instance: &InstanceSpec, files: &Files) -> Result<(), ::haproxy::Error> {
    let seat = pki.fleet().seat(instance);
    let _alone = seat.challenges.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = Runtime::new(instance.admin.clone(), Bounds::STANDARD);
    let change = runtime.keep_challenges(&files.challenges()?, &board(pki)?)?;
    if change.added + change.removed > 0 {
        let (added, removed) = (change.added, change.removed);
        tracing::debug!(%instance, added, removed, "HAProxy was told the answers to challenges");
    }
    Ok(())
}
