//! Deciding again while others change what a decision rests on.
//!
//! Who is told [`Error::Conflict`] has read what is not there any more: it reads again, decides again and
//! commits that. [`Error::Withdrawn`] is no conflict: no decision brings back what allowed it.

use crate::Error;

/// How often a change is decided anew: far more often than writers of one record meet.
const ATTEMPTS: u32 = 32;

/// An error of those who decide and commit.
pub trait Contention: Sized {
    /// The store's part in it, if the store refused the batch itself.
    fn of_commit(&self) -> Option<&Error>;

    /// That others changed the same records this often.
    fn contended(attempts: u32) -> Self;
}

/// Reads, decides and commits by `attempt`, and again for as long as that meets [`Error::Conflict`].
///
/// # Errors
/// Those of `attempt`; [`Contention::contended`] after 32 conflicts.
pub fn again<T, E: Contention>(mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Err(error) if matches!(error.of_commit(), Some(Error::Conflict { .. })) => {}
            outcome => return outcome,
        }
    }
    Err(E::contended(ATTEMPTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[derive(Debug)]
    enum Failed {
        Commit(Error),
        Contended(u32),
    }

    impl From<Error> for Failed {
        fn from(error: Error) -> Failed {
            Failed::Commit(error)
        }
    }

    impl Contention for Failed {
        fn of_commit(&self) -> Option<&Error> {
            match self {
                Failed::Commit(error) => Some(error),
                Failed::Contended(_) => None,
            }
        }

        fn contended(attempts: u32) -> Failed {
            Failed::Contended(attempts)
        }
    }

    #[test]
    fn a_conflict_is_decided_anew_and_nothing_else_is() {
        let key = || Key::new("t");
        let mut tries = 0;
        let third: Result<u32, Failed> = again(|| {
            tries += 1;
            if tries < 3 { Err(Error::Conflict { key: key() }.into()) } else { Ok(tries) }
        });
        assert_eq!(third.unwrap(), 3);
        let mut tries = 0;
        let withdrawn: Result<(), Failed> = again(|| {
            tries += 1;
            Err(Error::Withdrawn { key: key() }.into())
        });
        assert!(matches!(withdrawn, Err(Failed::Commit(Error::Withdrawn { .. }))));
        assert_eq!(tries, 1);
        let mut tries = 0;
        let never: Result<(), Failed> = again(|| {
            tries += 1;
            Err(Error::Conflict { key: key() }.into())
        });
        assert!(matches!(never, Err(Failed::Contended(ATTEMPTS))));
        assert_eq!(tries, ATTEMPTS);
    }
}
