//! How often somebody may be wrong about tokens.
//!
//! No secret of 256 bits is ever guessed: this keeps whoever tries all the same from filling the log and from
//! taking the places of others. Failures count for the network that they come from, and for the user where
//! that is this machine; nobody else waits for them. A certificate that is refused, a token that has run out, and
//! one that somebody else has just redeemed are no guesses.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use trust::local::throttle::{Pace, Throttle};
use trust::token::{self, Secret, TokenError};

use super::{Ends, Pki};
use crate::listen::{neighbour, network};
use crate::ops::Error;

/// How many tokens that were right lately are remembered.
const RIGHT: usize = 1024;

/// Whose failures are counted together: a network, and on this machine a user.
type Redeemer = (IpAddr, Option<u32>);

/// Who has been wrong about tokens lately, and which were right.
#[derive(Debug)]
pub(super) struct Redemptions {
    throttle: Throttle<Redeemer>,
    right: Mutex<Right>,
}

impl Default for Redemptions {
    fn default() -> Redemptions {
        Redemptions { throttle: Throttle::new(Pace::TOKENS), right: Mutex::default() }
    }
}

/// The ids of the tokens that were there when somebody asked, the newest last.
#[derive(Debug, Default)]
struct Right {
    ids: BTreeSet<String>,
    order: VecDeque<String>,
}

impl Right {
    fn note(&mut self, id: String) {
        if !self.ids.insert(id.clone()) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > RIGHT
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

impl Pki {
    /// Redeems a token by `work`, for whoever is at the other end of a connection. `None` is what can't be
    /// a token at all.
    ///
    /// # Errors
    /// [`Error::TooOften`], and those of `work`.
    pub(crate) fn redeeming<T>(
        &self,
        ends: &Ends,
        secret: Option<&Secret>,
        clock: Instant,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let tries = &self.shared.redemptions;
        let redeemer = (network(ends.remote.ip()), neighbour(ends.remote, ends.local));
        tries.throttle.may_try(&redeemer, clock)?;
        // Noted before it is taken: whoever comes too late for it finds it here.
        if let Some(secret) = secret
            && token::is_known(self.store(), secret)?
        {
            tries.right().note(secret.id().to_string());
        }
        let done = work();
        if done.as_ref().is_err_and(is_wrong) && !secret.is_some_and(|secret| tries.was_right(secret)) {
            tries.throttle.failed(redeemer, clock);
        }
        done
    }
}

impl Redemptions {
    fn was_right(&self, secret: &Secret) -> bool {
        self.right().ids.contains(&secret.id().to_string())
    }

    fn right(&self) -> std::sync::MutexGuard<'_, Right> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it failed because there is no such token.
fn is_wrong(error: &Error) -> bool {
    matches!(error, Error::Trust(error) if matches!(**error, trust::Error::Token(TokenError::NoMatch)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ends(remote: &str) -> Ends {
        Ends { remote: format!("{remote}:4711").parse().unwrap(), local: "192.0.2.9:8443".parse().unwrap() }
    }

    fn wrong() -> Result<(), Error> {
        Err(trust::Error::from(TokenError::NoMatch).into())
    }

    #[test]
    fn wrong_tokens_slow_down_whoever_tries_them_and_nobody_else() {
        let pki = Pki::in_memory(std::path::Path::new("/nowhere"), 0).unwrap();
        let mut clock = Instant::now();
        let guess = |remote: &str, clock| {
            let secret = Secret::presented("guess");
            match pki.redeeming(&ends(remote), Some(&secret), clock, wrong) {
                Err(Error::TooOften(too_often)) => Some(too_often.wait),
                _ => None,
            }
        };
        for _ in 0..=Pace::TOKENS.free {
            assert_eq!(guess("192.0.2.1", clock), None);
        }
        assert_eq!(guess("192.0.2.1", clock), Some(Duration::from_secs(1)));
        let unasked = || -> Result<(), Error> { panic!("it is not even looked at") };
        assert!(pki.redeeming(&ends("192.0.2.1"), None, clock, unasked).is_err());
        assert_eq!(guess("192.0.2.2", clock), None);
        clock += Duration::from_secs(1);
        assert!(pki.redeeming(&ends("192.0.2.1"), None, clock, || Ok(())).is_ok());
    }

    #[test]
    fn only_what_is_wrong_counts() {
        let pki = Pki::in_memory(std::path::Path::new("/nowhere"), 0).unwrap();
        let clock = Instant::now();
        let secret = Secret::presented("late");
        pki.shared.redemptions.right().note(secret.id().to_string());
        for _ in 0..100 {
            let expired = TokenError::Expired { at: time::OffsetDateTime::UNIX_EPOCH };
            let expired = || -> Result<(), Error> { Err(trust::Error::from(expired).into()) };
            let here = ends("192.0.2.1");
            assert!(matches!(pki.redeeming(&here, None, clock, expired), Err(Error::Trust(_))));
            assert!(matches!(pki.redeeming(&here, Some(&secret), clock, wrong), Err(Error::Trust(_))));
        }
        assert!(pki.shared.redemptions.throttle.is_empty());
        for n in 0..2 * RIGHT {
            pki.shared.redemptions.right().note(format!("{n}"));
        }
        assert_eq!(pki.shared.redemptions.right().ids.len(), RIGHT);
        assert!(!pki.shared.redemptions.was_right(&secret));
    }
}
