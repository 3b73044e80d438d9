//! The passphrase by which users of this machine become trusted: `pki authenticate`, `pki set local.passphrase`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::change::Cause;
use trust::local::passphrase::{self, Cost, LocalPassphrase};
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::phrase::Phrase;
use super::{Error, Operation};
use crate::Pki;

/// Becomes trusted by the passphrase. Whoever is let in already needs none; whoever is not comes in by
/// `Pki::authenticate`, which the listeners ask in place of this.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Authenticate {
    /// The passphrase.
    pub passphrase: Phrase,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authenticated {
    /// Whether the user was trusted before.
    pub already: bool,
}

impl Operation for Authenticate {
    const NAME: &'static str = "authenticate";
    const ACTION: Action = Action::Read;
    type Reply = Authenticated;

    fn run(self, _: &Pki, _: &Permit, _: OffsetDateTime) -> Result<Authenticated, Error> {
        Ok(Authenticated { already: true })
    }
}

/// Sets the passphrase, or with `None` unsets it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PassphraseSet {
    /// The new one.
    pub passphrase: Option<Phrase>,
}

/// Whether there is a passphrase. Who may ask may set it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PassphraseShow {}

/// What is told of a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PassphraseView {
    /// Whether one is set.
    pub set: bool,
    /// Who set it.
    pub set_by: Option<String>,
}

impl Operation for PassphraseSet {
    const NAME: &'static str = "passphrase-set";
    const ACTION: Action = Action::Trust;
    // It lets in whom nobody names: `trust` alone, which gives no more than it has, is not enough.
    const ALSO: &'static [Action] = &[Action::Configure];
    type Reply = PassphraseView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<PassphraseView, Error> {
        let cause = Cause::from(permit);
        let read = LocalPassphrase::load(pki.store())?;
        let batch = match (&self.passphrase, &read) {
            (Some(text), read) => {
                let (minimum, cost) = (passphrase::MINIMUM, Cost::DEFAULT);
                let set =
                    passphrase::set(text.expose(), minimum, cost, read.as_ref(), &cause, now, pki.random());
                Some(set.map_err(trust::Error::from)?)
            }
            (None, Some(read)) => Some(passphrase::unset(read, &cause, now)),
            (None, None) => None,
        };
        if let Some(batch) = batch {
            pki.store().commit(batch)?;
        }
        view(pki)
    }
}

impl Operation for PassphraseShow {
    const NAME: &'static str = "passphrase-show";
    const ACTION: Action = Action::Trust;
    // It lets in whom nobody names: `trust` alone, which gives no more than it has, is not enough.
    const ALSO: &'static [Action] = &[Action::Configure];
    type Reply = PassphraseView;

    fn run(self, pki: &Pki, _: &Permit, _: OffsetDateTime) -> Result<PassphraseView, Error> {
        view(pki)
    }
}

fn view(pki: &Pki) -> Result<PassphraseView, Error> {
    let read = LocalPassphrase::load(pki.store())?;
    Ok(PassphraseView { set: read.is_some(), set_by: read.map(|read| read.record.set_by) })
}
