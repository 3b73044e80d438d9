//! When a request that failed is sent again.
//!
//! The policy is pure: what failed, how often, for how long, and what the authority asked for decide.
//! It refuses to wait longer than the user would: a `Retry-After` beyond the bound ends the attempt,
//! and the certificate is due again at that time.

use std::time::Duration;

use super::Limits;
use crate::wire::Problem;

/// The kinds of failure that a second try may mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The nonce was refused (RFC 8555 §6.5): nothing happened, a new one came with the answer.
    BadNonce,
    /// Nothing is to be gained by sending it again.
    Final,
    /// No answer, or none in time.
    Network,
    /// 429, `rateLimited`.
    RateLimited,
    /// 5xx.
    Server,
}

impl Trouble {
    /// What kind of failure a problem document is.
    pub fn of(problem: &Problem) -> Trouble {
        match (problem.kind.as_str(), problem.status) {
            ("badNonce", _) => Trouble::BadNonce,
            ("rateLimited", _) | (_, Some(429)) => Trouble::RateLimited,
            ("serverInternal", _) | (_, Some(500..=599)) => Trouble::Server,
            (_, _) => Trouble::Final,
        }
    }
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it again after this time.
    Again(Duration),
    /// Not in this attempt: the authority asks for more patience than we have.
    Later(Duration),
    /// Report it.
    GiveUp,
}

/// How often and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tries when nonces are refused. The library makes three requests of each; at an authority that
    /// refuses 60 % of them one request in 10^8 fails after forty of our own.
    pub nonce_tries: u32,
    /// Tries for everything else.
    pub tries: u32,
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause of our own choice.
    pub longest_pause: Duration,
    /// The longest that the authority may ask for.
    pub retry_after: Duration,
}

impl From<Limits> for Policy {
    fn from(limits: Limits) -> Policy {
        Policy {
            nonce_tries: 40,
            tries: 6,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(15),
            retry_after: limits.retry_after,
        }
    }
}

impl Policy {
    /// Decides about the `tries`-th failure in a row (from 1), `asked` being the answer's `Retry-After`.
    pub fn verdict(&self, trouble: Trouble, tries: u32, asked: Option<Duration>) -> Verdict {
        let limit = match trouble {
            Trouble::Final => return Verdict::GiveUp,
            Trouble::BadNonce => self.nonce_tries,
            Trouble::Network | Trouble::RateLimited | Trouble::Server => self.tries,
        };
        match asked {
            Some(asked) if asked > self.retry_after => Verdict::Later(asked),
            Some(_) | None if tries >= limit => Verdict::GiveUp,
            // A refused nonce costs the authority nothing: no pause, but a breath after many.
            Some(_) | None if trouble == Trouble::BadNonce => {
                Verdict::Again(if tries < 20 { Duration::ZERO } else { self.pause })
            }
            // At least our own pause, lest `Retry-After: 0` becomes a busy loop.
            Some(asked) => Verdict::Again(asked.max(self.backoff(tries))),
            None => Verdict::Again(self.backoff(tries)),
        }
    }

    /// The pause before the try after `tries` failures, or before the next look at an order that is
    /// under way.
    pub fn backoff(&self, tries: u32) -> Duration {
        self.pause.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> Policy {
        Policy::from(Limits::default())
    }

    #[test]
    fn the_pauses_grow_and_end() {
        let pauses: Vec<_> = (1..=6).map(|tries| policy().verdict(Trouble::Server, tries, None)).collect();
        let again = |millis| Verdict::Again(Duration::from_millis(millis));
        assert_eq!(pauses, [again(500), again(1000), again(2000), again(4000), again(8000), Verdict::GiveUp]);
    }

    #[test]
    fn retry_after_is_honoured_within_the_bound() {
        let verdict = |asked| policy().verdict(Trouble::RateLimited, 1, Some(asked));
        assert_eq!(verdict(20 * SECOND), Verdict::Again(20 * SECOND));
        assert_eq!(verdict(Duration::ZERO), Verdict::Again(Duration::from_millis(500)));
        let decade = 10 * 365 * 86_400 * SECOND;
        assert_eq!(verdict(decade), Verdict::Later(decade));
    }

    #[test]
    fn what_can_not_be_mended_is_not_repeated() {
        assert_eq!(policy().verdict(Trouble::Final, 1, Some(SECOND)), Verdict::GiveUp);
    }

    #[test]
    fn sixty_percent_of_refused_nonces_are_survived() {
        let tries = (1..).take_while(|n| policy().verdict(Trouble::BadNonce, *n, None) != Verdict::GiveUp);
        let single_requests = tries.count() as i32 + 1;
        assert!(0.6_f64.powi(single_requests) < 1e-8);
    }

    #[test]
    fn kinds_of_problem_are_told_apart() {
        let problem = |kind: &str, status| Problem { kind: kind.to_owned(), status, ..Problem::default() };
        assert_eq!(Trouble::of(&problem("badNonce", Some(400))), Trouble::BadNonce);
        assert_eq!(Trouble::of(&problem("", Some(429))), Trouble::RateLimited);
        assert_eq!(Trouble::of(&problem("", Some(502))), Trouble::Server);
        assert_eq!(Trouble::of(&problem("serverInternal", None)), Trouble::Server);
        assert_eq!(Trouble::of(&problem("malformed", Some(400))), Trouble::Final);
    }

    proptest! {
        #[test]
        fn no_pause_exceeds_the_bounds(tries in 1u32..1000, asked in proptest::option::of(0u64..u64::MAX)) {
            for trouble in [Trouble::BadNonce, Trouble::Network, Trouble::RateLimited, Trouble::Server] {
                if let Verdict::Again(pause) = policy().verdict(trouble, tries, asked.map(Duration::from_secs)) {
                    prop_assert!(pause <= policy().retry_after.max(policy().longest_pause));
                }
            }
        }
    }
}
