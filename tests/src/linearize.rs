//! Whether what many did at once could have been done one after the other.
//!
//! A history is linearizable if each act can be given one moment between its call and its answer so
//! that, in the order of these moments, every answer is the one the plain specification gives
//! (Herlihy and Wing 1990). The search follows the history in time and keeps every state that the
//! acts answered so far allow: an act that is under way may have happened already or not. It knows
//! nothing of certificates; the specification is the caller's.

use std::collections::HashSet;
use std::hash::Hash;

/// What the acts act on, in its plainest form.
pub trait Specification: Clone + Eq + Hash {
    /// What was asked, with its answer.
    type Act;

    /// The state after the act; `None` if here it would have been answered otherwise.
    fn after(&self, act: &Self::Act) -> Option<Self>;
}

/// An act that was answered.
#[derive(Clone, Debug)]
pub struct Done<A> {
    /// When it was called, by a clock that only goes forward.
    pub begun: u64,
    /// When it was answered.
    pub ended: u64,
    /// What was asked, with its answer.
    pub act: A,
}

/// The most acts that may be under way at once.
pub const AT_ONCE: usize = 64;

/// Looks for an order.
///
/// # Errors
/// The first act, by the time of its answer, that has no place in any order.
///
/// # Panics
/// If more than [`AT_ONCE`] acts are under way at once: then the test asks too much.
pub fn linearize<S: Specification>(start: S, history: &[Done<S::Act>]) -> Result<(), usize> {
    let begins = history.iter().enumerate().map(|(act, done)| (done.begun, false, act));
    let ends = history.iter().enumerate().map(|(act, done)| (done.ended, true, act));
    // At the same instant calls come first: then the two were under way together.
    let mut events: Vec<(u64, bool, usize)> = begins.chain(ends).collect();
    events.sort_unstable();
    // Which act holds which bit while it is under way.
    let mut places: [Option<usize>; AT_ONCE] = [None; AT_ONCE];
    let mut states: HashSet<(u64, S)> = HashSet::from([(0, start)]);
    for (_, ended, act) in events {
        if !ended {
            let free = places.iter().position(Option::is_none).expect("too many acts at once");
            places[free] = Some(act);
            continue;
        }
        let bit = places.iter().position(|place| *place == Some(act)).expect("it was begun");
        states = all_with(bit, states, &places, history);
        if states.is_empty() {
            return Err(act);
        }
        places[bit] = None;
    }
    Ok(())
}

/// The states in which the act at `bit` has happened, which then need not be told any more.
fn all_with<S: Specification>(
    bit: usize,
    states: HashSet<(u64, S)>,
    places: &[Option<usize>; AT_ONCE],
    history: &[Done<S::Act>],
) -> HashSet<(u64, S)> {
    let mut found = HashSet::new();
    let mut seen = states.clone();
    let mut left: Vec<(u64, S)> = states.into_iter().collect();
    while let Some((happened, state)) = left.pop() {
        if happened & 1 << bit != 0 {
            found.insert((happened & !(1 << bit), state));
            continue;
        }
        for (other, place) in places.iter().enumerate() {
            let Some(act) = place.filter(|_| happened & 1 << other == 0) else { continue };
            if let Some(after) = state.after(&history[act].act) {
                let next = (happened | 1 << other, after);
                if seen.insert(next.clone()) {
                    left.push(next);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One register.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    struct Register(u8);

    #[derive(Clone, Copy)]
    enum Act {
        Write(u8),
        Read(u8),
    }
    use Act::{Read, Write};

    impl Specification for Register {
        type Act = Act;

        fn after(&self, act: &Act) -> Option<Register> {
            match *act {
                Write(value) => Some(Register(value)),
                Read(value) => (value == self.0).then_some(*self),
            }
        }
    }

    fn check(acts: &[(u64, u64, Act)]) -> Result<(), usize> {
        let history: Vec<_> = acts.iter().map(|&(begun, ended, act)| Done { begun, ended, act }).collect();
        linearize(Register(0), &history)
    }

    #[test]
    fn what_overlaps_may_have_any_order() {
        assert_eq!(check(&[(0, 9, Write(1)), (1, 2, Read(0)), (3, 4, Read(1))]), Ok(()));
        assert_eq!(check(&[(0, 9, Write(1)), (0, 9, Write(2)), (1, 2, Read(2)), (3, 4, Read(1))]), Ok(()));
        assert_eq!(check(&[(0, 1, Write(1)), (1, 2, Read(0))]), Ok(()), "the same instant");
    }

    #[test]
    fn what_was_answered_is_not_forgotten_nor_foreseen() {
        assert_eq!(check(&[(0, 1, Write(1)), (2, 3, Read(0))]), Err(1), "a stale read");
        assert_eq!(check(&[(0, 1, Read(1)), (2, 3, Write(1))]), Err(0), "a read before the write");
        assert_eq!(check(&[(0, 9, Write(1)), (1, 2, Read(1)), (3, 4, Read(0))]), Err(2), "there and back");
        let crossed = [(0, 9, Write(1)), (0, 9, Write(2)), (1, 2, Read(1)), (3, 4, Read(2)), (5, 6, Read(1))];
        assert_eq!(check(&crossed), Err(4), "each is written once");
    }
}
