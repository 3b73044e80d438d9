//! One build at a time, shared: whoever asks while one is under way is served by the next.
//!
//! The build under way began before the question, so it may lack what the asker has just written;
//! the next one begins after it. A thousand askers during one build therefore cost one more.

use std::sync::{Arc, OnceLock};

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A place where wants meet and one of those who want builds for all.
///
/// `W` is what is wanted (wants add up), `R` what a build comes to.
pub struct Flight<W, R> {
    state: Mutex<State<W, R>>,
    ended: Condvar,
}

struct State<W, R> {
    under_way: UnderWay,
    wanted: W,
    /// Where the next build leaves its result, for those whose wants it takes.
    next: Slot<R>,
}

/// What one build came to; `None` if it broke down. Each asker holds the one that has its want: a later
/// build's result may know nothing of it.
type Slot<R> = Arc<OnceLock<Option<Arc<R>>>>;

#[derive(PartialEq, Eq)]
enum UnderWay {
    Nothing,
    Build,
}

impl<W: Default, R> Default for Flight<W, R> {
    fn default() -> Self {
        let state = State { under_way: UnderWay::Nothing, wanted: W::default(), next: Slot::default() };
        Flight { state: Mutex::new(state), ended: Condvar::new() }
    }
}

impl<W: Default, R> Flight<W, R> {
    /// Returns what a build came to that began after this call and had this caller's want. `want` adds it
    /// to those that wait, once more if that build broke down; `build` runs if this caller is the one to
    /// build, with all the wants.
    pub fn share(&self, want: impl Fn(&mut W), build: impl FnOnce(W) -> R) -> Arc<R> {
        let mut state = self.state();
        want(&mut state.wanted);
        let mut mine = Arc::clone(&state.next);
        loop {
            match mine.get() {
                Some(Some(result)) => return Arc::clone(result),
                Some(None) => {
                    want(&mut state.wanted);
                    mine = Arc::clone(&state.next);
                }
                None => {}
            }
            if state.under_way == UnderWay::Nothing {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Nothing is under way, so the slot is still the next one.
        state.under_way = UnderWay::Build;
        let wanted = std::mem::take(&mut state.wanted);
        state.next = Slot::default();
        drop(state);

        let landing = Landing { flight: self, slot: &mine };
        let result = Arc::new(build(wanted));
        mine.get_or_init(|| Some(Arc::clone(&result)));
        drop(landing);
        result
    }

    fn state(&self) -> MutexGuard<'_, State<W, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the next one build. If this one panicked, those who wait for it ask again.
struct Landing<'f, W: Default, R> {
    flight: &'f Flight<W, R>,
    slot: &'f Slot<R>,
}

impl<W: Default, R> Drop for Landing<'_, W, R> {
    fn drop(&mut self) {
        self.slot.get_or_init(|| None);
        self.flight.state().under_way = UnderWay::Nothing;
        self.flight.ended.notify_all();
    }
}
