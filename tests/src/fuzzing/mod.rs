//! What the fuzz targets do: one function a kind of input, which takes any bytes and panics if a
//! promise about them is broken.
//!
//! `fuzz/` calls them with what the fuzzer invents, the suite with what `fuzz/corpus/` keeps. Every
//! one says more than "it does not crash": what was accepted is read back the same, and what must
//! never be accepted is not.

mod imports;
mod journal;
mod operations;
mod text;

pub use imports::{certificate, crl, csr, private_key_pem};
pub use journal::{journal_frame, store_open};
pub use operations::json;
pub use text::{csv, index_txt, names};

use time::OffsetDateTime;

/// A target: any bytes, and a panic if a promise is broken.
pub type Target = fn(&[u8]);

/// All targets, by the names of their files in `fuzz/fuzz_targets/` and folders in `fuzz/corpus/`.
pub const TARGETS: [(&str, Target); 10] = [
    ("certificate", certificate),
    ("crl", crl),
    ("csr", csr),
    ("csv", csv),
    ("index_txt", index_txt),
    ("journal_frame", journal_frame),
    ("json", json),
    ("names", names),
    ("private_key_pem", private_key_pem),
    ("store_open", store_open),
];

/// The same moment in every run, so that a finding is found again.
fn now() -> OffsetDateTime {
    time::macros::datetime!(2027-01-15 08:00 UTC)
}
