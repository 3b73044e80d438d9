//! A service under the load of several clients that is killed at a moment nobody chose, again and again.
//!
//! `client` is one of those who ask: it remembers what was acknowledged, and what was asked for without
//! an answer. `published` judges the files that others read, as the killed service left them and before
//! anything is put in order. `world` runs the rounds and holds what a restarted service says against
//! every memory: invariants I1–I5.
//!
//! What every client does follows from a seed; when the kill falls does not, so a seed repeats the
//! pressure and not the very moment.

mod client;
mod published;
mod random;
mod world;

pub use random::Random;
pub use world::{Tally, World};
