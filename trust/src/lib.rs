//! Decides who is let in, and whether a peer may do a thing.
//!
//! A listener turns what a peer showed into [`Presented`], once per connection, and asks
//! [`Gate::admit`] for every request. The answer is [`Admitted`], or a [`Refusal`] with the words that
//! the peer is told. [`Admitted::permit`] makes the [`Permit`] that an operation asks for; whatever is
//! committed by it expects [`Permit::rests_on`], so that a removal in between wins.
//!
//! [`decide()`] is the decision itself: pure, and one screen long. Around it: what it rests on
//! ([`TrustSet`]), who is trusted by name ([`entry`]), which authorities' signatures count
//! ([`authority`]), what people may do ([`group`]), and the ways in ([`token`], [`local`]). Every change
//! ([`change`]) is read, decided and committed; functions here return the batch.
//!
//! Whoever is not named here is refused; there is no default that permits. What this crate refuses to
//! know: HTTP, sockets, the clock, and how certificates are issued.

mod admitted;
pub mod authority;
pub mod change;
mod decide;
pub mod entry;
mod error;
mod gate;
pub mod group;
pub mod local;
mod peer;
mod permit;
pub mod person;
mod presented;
pub mod project;
pub mod rights;
pub mod role;
mod set;
pub mod settings;
pub mod token;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod testing;

pub use admitted::{Admitted, Forbidden, OtherProject};
pub use decide::{Case, Grant, Imported, Refusal, Way, Who, Word, decide, vet};
pub use error::Error;
pub use gate::{Gate, Renewer};
pub use local::user_name;
pub use peer::Peer;
pub use permit::{Action, Denied, Permit, owner_only};
pub use person::Person;
pub use presented::{Holder, LocalUser, Presented};
pub use set::{State, TrustSet};
pub use settings::Settings;
