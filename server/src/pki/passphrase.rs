//! Being let in by the passphrase: a user of this machine, or over HTTPS whoever holds a client certificate.
//!
//! Whoever was removed stays out, and whoever shows a certificate that would not be let in anyway, PKI mode
//! and revocation included, is told so before the passphrase is looked at. Over HTTPS it counts from this
//! machine alone, unless a setting says otherwise. Guessing is slowed down for whoever guesses and for nobody
//! else: a user of this machine by their id, on the socket and over loopback alike, others by their network.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use store::again;
use time::OffsetDateTime;
use trust::change::ChangeError;
use trust::local::passphrase::{
    LocalPassphrase, PassphraseError, Verified, admit_holder, admit_user, may_try, verify,
};
use trust::local::throttle::Asked;
use trust::{Holder, LocalUser, Presented, Refusal};

use super::Pki;
use crate::listen::{neighbour, network};
use crate::ops::Error;
use crate::ops::local::Authenticated;
use crate::ops::phrase::Phrase;
use crate::settings::Setting;

/// Whose tries are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Guesser {
    /// A user of this machine.
    User(u32),
    /// Whoever comes from there: certificates cost nothing, networks do.
    Network(IpAddr),
}

/// The ends of a connection over HTTPS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// Where it comes from.
    pub(crate) remote: SocketAddr,
    /// Where it was accepted.
    pub(crate) local: SocketAddr,
}

impl Ends {
    fn guesser(&self) -> Guesser {
        match neighbour(self.remote, self.local) {
            Some(uid) => Guesser::User(uid),
            None => Guesser::Network(network(self.remote.ip())),
        }
    }

    fn asked(&self) -> Asked {
        match self.remote.ip().to_canonical().is_loopback() {
            true => Asked::Here,
            false => Asked::Elsewhere,
        }
    }
}

impl Pki {
    /// Trusts a user of this machine who knows the passphrase.
    ///
    /// # Errors
    /// [`PassphraseError`] inside, [`Error::TooOften`], [`Error::Crowded`] if too many ask at once.
    pub(crate) fn authenticate(
        &self,
        presented: &Presented,
        passphrase: &Phrase,
        clock: Instant,
        now: OffsetDateTime,
    ) -> Result<Authenticated, Error> {
        let user = match (self.admit(presented, now), presented) {
            (Ok(_), _) => return Ok(Authenticated { already: true }),
            (Err(Error::Refused(Refusal::NotAuthenticated)), Presented::Local(user)) => user,
            (Err(error), _) => return Err(error),
        };
        let verified = self.try_passphrase(passphrase, Guesser::User(user.uid), Asked::Here, clock)?;
        self.trust_by_passphrase(user, &verified, now)
    }

    fn trust_by_passphrase(
        &self,
        user: &LocalUser,
        verified: &Verified,
        now: OffsetDateTime,
    ) -> Result<Authenticated, Error> {
        again(|| {
            let batch = admit_user(&*self.gate().set().now()?, user, verified, now)?;
            let Some(batch) = batch else { return Ok(Authenticated { already: true }) };
            self.store().commit(batch)?;
            Ok(Authenticated { already: false })
        })
    }

    /// Trusts the certificate of whoever knows the passphrase and comes from where it counts.
    ///
    /// # Errors
    /// As [`Pki::authenticate`], and [`Error::Refused`] if the certificate would not be let in anyway.
    pub(crate) fn authenticate_holder(
        &self,
        holder: &Holder,
        ends: &Ends,
        passphrase: &Phrase,
        clock: Instant,
        now: OffsetDateTime,
    ) -> Result<Authenticated, Error> {
        let settings = self.settings()?;
        self.gate().vet(holder, &settings.trust(), now)?;
        if self.gate().set().now()?.entry_of(holder.fingerprint()).is_some() {
            return Ok(Authenticated { already: true });
        }
        may_try(ends.remote.ip(), settings.passphrase_remote()).map_err(refused)?;
        let verified = self.try_passphrase(passphrase, ends.guesser(), ends.asked(), clock)?;
        again(|| {
            let settings = self.settings()?;
            let vetted = self.gate().vet(holder, &settings.trust(), now)?;
            may_try(ends.remote.ip(), settings.passphrase_remote()).map_err(refused)?;
            let batch = {
                let state = self.gate().set().now()?;
                admit_holder(&state, holder, &vetted, &verified, now)
            };
            let mut batch = match batch {
                Err(ChangeError::Already { .. }) => return Ok(Authenticated { already: true }),
                batch => batch?,
            };
            settings.trust_rests_on().demand(&mut batch);
            settings.rests_on([Setting::LocalPassphraseRemote]).demand(&mut batch);
            self.store().commit(batch)?;
            Ok(Authenticated { already: false })
        })
    }

    /// Compares a passphrase with the one that is set, as often as the guesser may.
    fn try_passphrase(
        &self,
        passphrase: &Phrase,
        guesser: Guesser,
        asked: Asked,
        clock: Instant,
    ) -> Result<Verified, Error> {
        let set = LocalPassphrase::load(self.store())?;
        if set.is_none() {
            return Err(refused(PassphraseError::NotSet));
        }
        let attempt = self.shared.throttle.begin(guesser, clock)?;
        let Some(slot) = self.shared.slots.take(asked) else {
            attempt.put_off();
            return Err(Error::Crowded);
        };
        let verified = verify(passphrase.expose(), set.as_ref()).map_err(refused)?;
        drop(slot);
        attempt.succeeded();
        Ok(verified)
    }
}

fn refused(error: PassphraseError) -> Error {
    trust::Error::from(error).into()
}

#[cfg(test)]
mod tests;
