//! How an operation is run: whoever asks is admitted, permitted, and held to that until the commit.
//!
//! A permit rests on records: the entry that admits a certificate, the absence of a denial and of a
//! revocation, the settings that the decision went by. An operation works on a [`Pki`] whose store
//! expects all of them in every batch, so that no operation can forget it. When one of them changes
//! under way nothing more is committed; whoever was removed is told so, and anybody else may ask again.
//!
//! Publication is not held to it: a revocation that was committed is published whatever happened since.

use ca::records::RestsOn;
use time::OffsetDateTime;
use trust::{Action, Admitted, Permit, Presented};

use super::Pki;
use crate::ops::{Error, Operation};

impl Pki {
    /// Decides whether whoever presents this may do the operation, and does it.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Forbidden`], and those of the operation.
    pub fn run<O: Operation>(
        &self,
        operation: O,
        presented: &Presented,
        now: OffsetDateTime,
    ) -> Result<O::Reply, Error> {
        let done = self.run_permitted(operation, presented, now);
        if let Err(error) = &done {
            self.note_refusal(presented, error, O::NAME, now);
        }
        done
    }

    fn run_permitted<O: Operation>(
        &self,
        operation: O,
        presented: &Presented,
        now: OffsetDateTime,
    ) -> Result<O::Reply, Error> {
        let settings = self.settings()?;
        let admitted = self.gate().admit(presented, &settings.trust(), now)?;
        for also in O::ALSO {
            admitted.permit(*also)?;
        }
        let permit = admitted.permit(O::ACTION)?;
        let held = self.held_by(permit.rests_on());
        let held = match presented {
            Presented::Certificate(_) => held.held_by(&settings.trust_rests_on()),
            Presented::InProcess | Presented::Local(_) | Presented::Nobody | Presented::Person(_) => held,
        };
        match operation.run(&held, &permit, now) {
            Err(error) if error.is_withdrawn() => {
                // Whoever is not let in any more is told that, and not what changed.
                self.permit(presented, O::ACTION, now)?;
                Err(error)
            }
            done => done,
        }
    }

    /// Counts somebody who was not let in, or not permitted what they asked for.
    pub(crate) fn count_refusal(&self, error: &Error) {
        let reason = match error {
            Error::Refused(refusal) => refusal.label(),
            Error::Forbidden(_) => "forbidden",
            Error::TooOften(_) => "too-often",
            _ => return,
        };
        self.counters().refusals.count(reason);
    }

    /// Decides by all that is durable now whether whoever presents this is let in.
    ///
    /// # Errors
    /// [`Error::Refused`], or [`Error::Trust`] if that can't be known.
    pub fn admit(&self, presented: &Presented, now: OffsetDateTime) -> Result<Admitted, Error> {
        Ok(self.gate().admit(presented, &self.settings()?.trust(), now)?)
    }

    /// The same, for whoever asks for no permit: [`Pki::admit`] takes twice as long.
    ///
    /// # Errors
    /// As [`Pki::admit`].
    pub(crate) fn judge(&self, presented: &Presented, now: OffsetDateTime) -> Result<(), Error> {
        Ok(self.gate().judge(presented, &self.settings()?.trust(), now)?)
    }

    /// Decides whether whoever presents this may do `action`.
    ///
    /// # Errors
    /// As [`Pki::admit`], and [`Error::Forbidden`].
    pub fn permit(
        &self,
        presented: &Presented,
        action: Action,
        now: OffsetDateTime,
    ) -> Result<Permit, Error> {
        Ok(self.admit(presented, now)?.permit(action)?)
    }

    /// This PKI for whoever may change it only as long as these records stand.
    pub fn held_by(&self, rests_on: &RestsOn) -> Pki {
        Pki { shared: self.shared.clone(), store: rests_on.hold(self.store()) }
    }
}

#[cfg(test)]
mod tests;
