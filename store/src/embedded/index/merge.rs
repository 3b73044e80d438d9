//! Several runs, and the changes in front of them, as one: of each key only the newest is seen.

use super::change::{Change, Keyed};
use crate::{Direction, Error};

/// One of the things that are merged: records in the order of keys.
pub(crate) type Source<'s> = Box<dyn Iterator<Item = Result<Keyed, Error>> + 's>;

/// What becomes of removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removals {
    /// They are needed: something older may lie behind what is merged.
    Keep,
    /// Nothing lies behind.
    Drop,
}

/// The merged records in order.
pub(crate) struct Merge<'s> {
    /// Newest first.
    sources: Vec<(Option<Keyed>, Source<'s>)>,
    direction: Direction,
    removals: Removals,
    failed: Option<Error>,
}

impl<'s> Merge<'s> {
    /// Merges sources, the newest first.
    pub(crate) fn new(sources: Vec<Source<'s>>, direction: Direction, removals: Removals) -> Merge<'s> {
        let mut merge = Merge { sources: Vec::new(), direction, removals, failed: None };
        for mut source in sources {
            let head = merge.advance(&mut source);
            if head.is_some() {
                merge.sources.push((head, source));
            }
        }
        merge
    }

    fn advance(&mut self, source: &mut Source<'s>) -> Option<Keyed> {
        match source.next()? {
            Ok(keyed) => Some(keyed),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    fn next_any(&mut self) -> Option<Result<Keyed, Error>> {
        if let Some(error) = self.failed.take() {
            self.sources.clear();
            return Some(Err(error));
        }
        let mut best = 0;
        let mut same = false;
        for at in 1..self.sources.len() {
            let (Some((one, _)), Some((other, _))) = (&self.sources[best].0, &self.sources[at].0) else {
                continue;
            };
            let order = match self.direction {
                Direction::Ascending => other.cmp(one),
                Direction::Descending => one.cmp(other),
            };
            match order {
                std::cmp::Ordering::Less => (best, same) = (at, false),
                std::cmp::Ordering::Equal => same = true,
                std::cmp::Ordering::Greater => {}
            }
        }
        let found = self.sources.get_mut(best)?.0.take()?;
        for at in (0..self.sources.len()).rev() {
            let older = same && self.sources[at].0.as_ref().is_some_and(|(key, _)| *key == found.0);
            if at == best || older {
                match self.sources[at].1.next() {
                    Some(Ok(keyed)) => self.sources[at].0 = Some(keyed),
                    Some(Err(error)) => {
                        self.failed.get_or_insert(error);
                    }
                    None => drop(self.sources.remove(at)),
                }
            }
        }
        Some(Ok(found))
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Keyed, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_any()? {
                Ok((_, Change::Delete)) if self.removals == Removals::Drop => {}
                other => return Some(other),
            }
        }
    }
}
