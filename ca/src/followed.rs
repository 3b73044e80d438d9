//! What is made of records, kept until one of them changes: the authorities in force, the settings.
//!
//! Every issuance rests on the same few records. Instead of reading them again each time, whoever asks
//! follows the store from where the last one stood, and what was made is made anew only if a batch since
//! then touched one of its trees. Nothing older than the store's head at the question is ever handed out;
//! a decision still lists the versions it rests on, so that a change while it is made wins.

use std::sync::{Arc, PoisonError, RwLock};

use store::{Key, KeyRange, Sequence, Store};

/// Further behind than this it is cheaper to read the records again.
const FOLLOWED_AT_MOST: u64 = 1024;

/// A value made of the records of some trees.
pub struct Followed<T> {
    store: Store,
    trees: Vec<KeyRange>,
    state: RwLock<State<T>>,
}

struct State<T> {
    /// What was made holds up to here.
    seen: Sequence,
    made: Option<Arc<T>>,
}

impl<T> Followed<T> {
    /// Nothing is made before it is asked for.
    pub fn new(store: Store, trees: &[&'static str]) -> Followed<T> {
        let trees = trees.iter().map(|tree| Key::new(tree).children()).collect();
        Followed { store, trees, state: RwLock::new(State { seen: Sequence::ZERO, made: None }) }
    }

    /// What the records come to now; `make` reads them if they changed. What can't be made is tried again
    /// at the next question.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn now<E>(&self, make: impl FnOnce(&Store) -> Result<T, E>) -> Result<Arc<T>, E> {
        let head = self.store.head();
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            match &state.made {
                Some(made) if state.seen >= head => return Ok(Arc::clone(made)),
                Some(_) | None => {}
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match &state.made {
            Some(made) if state.seen >= head => return Ok(Arc::clone(made)),
            Some(made) => {
                let made = Arc::clone(made);
                if let Some(seen) = self.untouched(state.seen, head) {
                    state.seen = seen;
                    return Ok(made);
                }
            }
            None => {}
        }
        // The head first: what is committed while the records are read is looked at the next time.
        let seen = self.store.head();
        state.made = None;
        let made = Arc::new(make(&self.store)?);
        (state.seen, state.made) = (seen, Some(Arc::clone(&made)));
        Ok(made)
    }

    /// Up to where nothing has touched the trees, if that is `head` at least.
    fn untouched(&self, mut seen: Sequence, head: Sequence) -> Option<Sequence> {
        if head.0 - seen.0 > FOLLOWED_AT_MOST {
            return None;
        }
        while seen < head {
            let entries = self.store.follow(seen, FOLLOWED_AT_MOST as usize).ok()?;
            let last = entries.last()?.sequence;
            for entry in entries {
                // A body that was dropped is one that nobody can look at.
                let touches = |key: &Key| self.trees.iter().any(|tree| tree.contains(key));
                if entry.writes.as_ref()?.iter().any(|(key, _)| touches(key)) {
                    return None;
                }
            }
            seen = last;
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use store::{Batch, Class};

    use super::*;

    fn put(store: &Store, tree: &'static str, value: u8) {
        let mut batch = Batch::new(Class::Ledger, 0, "test", "put");
        batch.put(Key::new(tree).part("x"), vec![value]);
        store.commit(batch).unwrap();
    }

    #[test]
    fn it_is_made_anew_when_its_tree_changes_and_only_then() {
        let store = Store::in_memory();
        let followed: Followed<Option<u8>> = Followed::new(store.clone(), &["mine"]);
        let made = AtomicUsize::new(0);
        let now = || {
            let make = |store: &Store| -> Result<Option<u8>, store::Error> {
                made.fetch_add(1, Ordering::SeqCst);
                Ok(store.get(&Key::new("mine").part("x"))?.map(|stored| stored.value[0]))
            };
            *followed.now(make).unwrap()
        };
        assert_eq!((now(), now()), (None, None));
        put(&store, "other", 1);
        assert_eq!((now(), made.load(Ordering::SeqCst)), (None, 1));
        put(&store, "mine", 7);
        put(&store, "mineral", 2);
        assert_eq!((now(), now(), made.load(Ordering::SeqCst)), (Some(7), Some(7), 2));
        (0..=FOLLOWED_AT_MOST).for_each(|_| put(&store, "other", 3));
        assert_eq!((now(), made.load(Ordering::SeqCst)), (Some(7), 3), "too far behind to follow");
        let failed = |_: &Store| Err(store::Error::Closed);
        put(&store, "mine", 8);
        assert!(followed.now(failed).is_err());
        assert_eq!(now(), Some(8), "a failure is not remembered");
    }
}
