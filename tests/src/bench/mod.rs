//! Benchmarks: what `pki` takes, beside what the machine could do at best.
//!
//! Every figure is measured in turn with the physical limit it is held against (raw signatures, raw
//! `fdatasync`, plain writing of the same bytes), so that a busy or a slow machine shifts both. A row of
//! [`TABLE`] is one function; what it needs to find (nothing, so many certificates, so many revoked) is
//! said there too. What this refuses: to compare figures of different runs, to leave a row out because
//! it failed, to print a target without saying whether it is met.

mod client;
mod commands;
mod disk;
mod document;
mod fronts;
mod https;
mod issuance;
mod limits;
mod listener;
mod lists;
mod machine;
mod measure;
mod options;
mod peers;
mod process;
mod row;
mod run;
mod site;
mod start;
mod table;

pub use options::{Options, Scale};
pub use run::main;
pub use table::TABLE;
