//! Issues: reads what a decision rests on, decides, signs, commits; again if something changed meanwhile.
//!
//! A certificate is durable before anyone sees it, and its serial unique. The same order again, however
//! often and however many at once, gets the same certificate.

use aws_lc_rs::rand::SecureRandom;
use store::spread::{cores, spread};
use store::{Batch, Store, Table};
use time::OffsetDateTime;

use crate::authority::Current;
use crate::blocked;
use crate::cert::{Certificate, Serial};
use crate::error::Error;
use crate::followed::Followed;
use crate::keyring::Keyring;
use crate::plan::{self, Issued, Order, PendingIssue, Planned, Policy, State};
use crate::records::{IndexRecord, IssuedRecord, index, revocation};

/// How often a decision is made anew before giving up: each time, someone else got on.
pub const ATTEMPTS: u32 = 16;

/// What issuance works with.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// The records.
    pub store: &'a Store,
    /// The authorities in force.
    pub current: &'a Followed<Current>,
    /// The authorities' keys.
    pub keyring: &'a Keyring,
    /// The settings in force.
    pub policy: &'a Policy,
    /// Where serial numbers come from.
    pub random: &'a (dyn SecureRandom + Sync),
}

impl Desk<'_> {
    /// Decides what an order comes to now, without doing it.
    pub fn plan(&self, order: &Order, now: OffsetDateTime) -> Result<Planned, Error> {
        let state = self.load(order)?;
        plan::decide(state, order, self.policy, now, Serial::random(self.random)?)
    }

    /// Issues what was ordered.
    pub fn issue(&self, order: &Order, now: OffsetDateTime) -> Result<Issued, Error> {
        self.issue_joined(order, now, |_, _| Ok(()))
    }

    /// Issues what was ordered, and lets the caller's own changes join the batch that records it: what
    /// names a new certificate by its fingerprint is written with it or not at all. `join` is asked
    /// again whenever the decision is made anew, and not for an order that was answered before.
    pub fn issue_joined<E: From<Error>>(
        &self,
        order: &Order,
        now: OffsetDateTime,
        join: impl Fn(&Certificate, &mut Batch) -> Result<(), E>,
    ) -> Result<Issued, E> {
        for _ in 0..ATTEMPTS {
            let plan = match self.plan(order, now)? {
                Planned::Repeated(issued) => return Ok(*issued),
                Planned::New(plan) => plan,
            };
            let mut signed = plan.sign()?;
            signed.join(&join)?;
            match signed.submit(self.store).wait() {
                Ok(issued) => return Ok(issued),
                // To decide anew would not bring back a permission: whoever checked it must check again.
                Err(store::Error::Conflict { key }) if order.rests_on.contains(&key) => {
                    return Err(Error::Withdrawn { key }.into());
                }
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::from(error).into()),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS }.into())
    }

    /// Issues many, each for itself: signed on every core, submitted before any is waited for.
    ///
    /// The answers come in the order of the orders.
    pub fn issue_many(&self, orders: &[Order], now: OffsetDateTime) -> Vec<Result<Issued, Error>> {
        let share = orders.len().div_ceil(cores()).max(1);
        let shares = orders.chunks(share).collect();
        spread(shares, cores(), |orders| self.issue_share(orders, now)).into_iter().flatten().collect()
    }

    fn issue_share(&self, orders: &[Order], now: OffsetDateTime) -> Vec<Result<Issued, Error>> {
        enum Begun {
            Answered(Box<Issued>),
            Submitted(Box<PendingIssue>),
        }
        let begin = |order| match self.plan(order, now)? {
            Planned::Repeated(issued) => Ok(Begun::Answered(issued)),
            Planned::New(plan) => Ok(Begun::Submitted(Box::new(plan.sign()?.submit(self.store)))),
        };
        let begun: Vec<Result<Begun, Error>> = orders.iter().map(begin).collect();
        let finish = |(order, begun): (&Order, Result<Begun, Error>)| match begun? {
            Begun::Answered(issued) => Ok(*issued),
            Begun::Submitted(pending) => match pending.wait() {
                Ok(issued) => Ok(issued),
                Err(store::Error::Conflict { .. }) => self.issue(order, now),
                Err(error) => Err(error.into()),
            },
        };
        orders.iter().zip(begun).map(finish).collect()
    }

    fn load(&self, order: &Order) -> Result<State, Error> {
        let (issuer, rests_on) = self.current.now(Current::load)?.issuer(self.keyring)?;
        let entry = self.store.get(&index::by_request(&order.digest))?;
        let answered_version = entry.as_ref().map(|entry| entry.version);
        let mut answered = None;
        let mut answer_revoked = None;
        if let Some(entry) = entry {
            let found = Table::<IndexRecord>::decode(entry)?.record;
            answered = Table::<IssuedRecord>::get(self.store, found.serial.to_string())?;
            answer_revoked = revocation(self.store, &found.issuer, &found.serial)?;
        }
        Ok(State {
            issuer,
            rests_on,
            answered_version,
            answered: answered.map(|versioned| versioned.record),
            answer_revoked,
            blocked: blocked::find(self.store, &order.public_key)?.map(|versioned| versioned.record),
        })
    }
}
