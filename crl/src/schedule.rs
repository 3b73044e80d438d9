//! What the next list says of itself, and when it is due: pure, from the record of the last one.
//!
//! # When an entry may go
//! RFC 5280 §3.3 keeps a revoked certificate listed until a list made after its notAfter has named
//! it. One wrong clock must not empty the lists, so two observations are asked for. A list that was
//! placed is *observed* (when it was built, and up to which entry of the store); one regular period
//! (half the validity) later the observation counts as *confirmed*. A list leaves out what the
//! confirmed list named although its notAfter had passed then: notAfter before the confirmed list's
//! building, and the revocation among those that it had. A clock that falls behind an observation
//! voids it, and everything is listed again. Nothing is ever removed from the store.
//!
//! # When the clock goes back
//! thisUpdate never falls, because NSS and GnuTLS keep the list with the later one. There is one
//! exception: after a leap forward by more than a regular period (a gap that a running service never
//! leaves), a clock that returns to before the leap is believed, and the list from the future is
//! replaced by one that clients can use at once. The number rises all the same.

use minicbor::{Decode, Encode};
use store::{Format, Record, Sequence};
use time::{Duration, OffsetDateTime};

use crate::{CrlNumber, Entry, NumberError};

/// A list that was built: by the clock, and up to where in the store's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Observation {
    /// The clock at its building, in seconds since 1970.
    #[n(0)]
    pub clock: i64,
    /// It took in all that the store had committed up to this sequence.
    #[n(1)]
    pub through: u64,
}

impl Observation {
    /// Whether the list that was observed named this certificate after its end.
    pub(crate) fn covers(&self, entry: &Entry) -> bool {
        entry.not_after() < self.clock && entry.written() <= Sequence(self.through)
    }
}

/// A forward leap of thisUpdate by more than a regular period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Leap {
    /// thisUpdate of the list before it, in seconds since 1970.
    #[n(0)]
    pub from: i64,
    /// thisUpdate of the list after it.
    #[n(1)]
    pub to: i64,
}

/// The record `crl/KEYID`: the last list whose number was claimed, committed before it was signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ListRecord {
    /// Its number; after a restore the highest that lists unknown to the backup may have had.
    #[n(0)]
    pub number: CrlNumber,
    /// Its thisUpdate, in seconds since 1970.
    #[n(1)]
    pub this_update: i64,
    /// Its nextUpdate, in seconds since 1970.
    #[n(2)]
    pub next_update: i64,
    /// SHA-256 of its TBSCertList: tells whether the file in place is this list.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub digest: [u8; 32],
    /// How many certificates it names.
    #[n(4)]
    pub entries: u64,
    /// When it was built, and from what.
    #[n(5)]
    pub built: Observation,
    /// The observation that waits for its confirmation.
    #[n(6)]
    pub observed: Option<Observation>,
    /// The last confirmed observation.
    #[n(7)]
    pub confirmed: Option<Observation>,
    /// A leap of the clock that is not yet believed.
    #[n(8)]
    pub leap: Option<Leap>,
}

impl Record for ListRecord {
    const TREE: &'static str = "crl";
    const FORMAT: Format = 1;
}

/// Whether the last list that was claimed was also placed where others read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The file in place is that list.
    Yes,
    /// There is no file, or an older one.
    No,
}

/// How a list stands at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Good until half of its time has gone.
    Fresh,
    /// Half of its time has gone: the next one is to be published.
    Due,
    /// Past its nextUpdate: verifiers refuse it, and with it every certificate.
    Expired,
    /// Its thisUpdate lies ahead: the clock went back, or had gone forward.
    Ahead,
}

impl ListRecord {
    /// When the next list is to be published: after half of its validity.
    pub fn due_at(&self) -> i64 {
        self.this_update + (self.next_update - self.this_update) / 2
    }

    /// How it stands.
    pub fn standing(&self, now: OffsetDateTime) -> Standing {
        let now = now.unix_timestamp();
        if now < self.this_update {
            Standing::Ahead
        } else if now > self.next_update {
            Standing::Expired
        } else if now >= self.due_at() {
            Standing::Due
        } else {
            Standing::Fresh
        }
    }

    /// Whether the next list may begin before this one did: it came out of a leap that was undone.
    pub fn is_from_the_future(&self, now: OffsetDateTime) -> bool {
        let now = now.unix_timestamp();
        now < self.this_update && self.leap.is_some_and(|leap| leap.from <= now && now < leap.to)
    }
}

/// What the next list says of itself, and what it may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its number.
    pub number: CrlNumber,
    /// Its thisUpdate, in seconds since 1970.
    pub this_update: i64,
    /// Its nextUpdate, in seconds since 1970.
    pub next_update: i64,
    clock: i64,
    observed: Option<Observation>,
    confirmed: Option<Observation>,
    leap: Option<Leap>,
}

impl Plan {
    /// Plans the list after `previous`, to be valid for `validity`.
    ///
    /// # Errors
    /// [`NumberError::Exhausted`].
    pub fn after(
        previous: Option<&ListRecord>,
        placed: Placed,
        now: OffsetDateTime,
        validity: Duration,
    ) -> Result<Plan, NumberError> {
        let number = CrlNumber::next(previous.map(|previous| previous.number), now)?;
        let clock = now.unix_timestamp();
        let period = validity.whole_seconds() / 2;
        let (this_update, leap) = match previous {
            None => (clock, None),
            Some(previous) if previous.is_from_the_future(now) => (clock, None),
            Some(previous) if clock < previous.this_update => (previous.this_update, previous.leap),
            Some(previous) if clock - previous.this_update > period => {
                (clock, Some(Leap { from: previous.this_update, to: clock }))
            }
            // A leap is believed once the clock has gone on from it for two lists' time.
            Some(previous) => (clock, previous.leap.filter(|leap| clock - leap.to <= 4 * period)),
        };
        let (observed, confirmed) = observations(previous, placed, clock, period);
        let next_update = this_update + validity.whole_seconds();
        Ok(Plan { number, this_update, next_update, clock, observed, confirmed, leap })
    }

    /// The same list with a number above this one too.
    ///
    /// # Errors
    /// [`NumberError::Exhausted`].
    pub fn above(self, number: Option<CrlNumber>) -> Result<Plan, NumberError> {
        match number {
            Some(other) if other >= self.number => Ok(Plan { number: other.successor()?, ..self }),
            Some(_) | None => Ok(self),
        }
    }

    /// Describes a list that was signed elsewhere, with its own number and dates.
    pub fn of_signed(
        previous: Option<&ListRecord>,
        placed: Placed,
        number: CrlNumber,
        (this_update, next_update): (OffsetDateTime, OffsetDateTime),
    ) -> Plan {
        let clock = this_update.unix_timestamp();
        let period = (next_update.unix_timestamp() - clock) / 2;
        let (observed, confirmed) = observations(previous, placed, clock, period);
        let next_update = next_update.unix_timestamp();
        Plan { number, this_update: clock, next_update, clock, observed, confirmed, leap: None }
    }

    /// Whether the list must name this revoked certificate.
    pub fn names(&self, entry: &Entry) -> bool {
        !self.confirmed.is_some_and(|seen| seen.covers(entry))
    }

    /// The record to commit before the list is signed.
    pub fn record(&self, through: Sequence, entries: u64, digest: [u8; 32]) -> ListRecord {
        ListRecord {
            number: self.number,
            this_update: self.this_update,
            next_update: self.next_update,
            digest,
            entries,
            built: Observation { clock: self.clock, through: through.0 },
            observed: self.observed,
            confirmed: self.confirmed,
            leap: self.leap,
        }
    }
}

/// What has been observed and what is confirmed, for a list that is built at `clock`.
fn observations(
    previous: Option<&ListRecord>,
    placed: Placed,
    clock: i64,
    period: i64,
) -> (Option<Observation>, Option<Observation>) {
    let last = previous.filter(|_| placed == Placed::Yes).map(|previous| previous.built);
    let still = |seen: &Observation| seen.clock <= clock;
    let last = last.filter(still);
    let observed = previous.and_then(|previous| previous.observed).filter(still);
    let confirmed = previous.and_then(|previous| previous.confirmed).filter(still);
    match observed {
        Some(seen) if clock - seen.clock >= period => (last, Some(seen)),
        Some(seen) => (Some(seen), confirmed),
        None => (last, confirmed),
    }
}

#[cfg(test)]
mod tests;
