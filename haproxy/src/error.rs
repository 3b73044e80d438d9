//! What can go wrong with HAProxy's files.

use store::file::FileError;

/// Why a bundle was refused or could not be placed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part holds no PEM of the kind it should.
    #[error("the {part} of the bundle holds no PEM block of the kind {label}")]
    Absent {
        /// Which part.
        part: &'static str,
        /// The label it should have.
        label: &'static str,
    },
    /// The file could not be placed.
    #[error("the bundle could not be placed")]
    File(#[source] FileError),
    /// A part holds what does not belong there.
    #[error("the {part} of the bundle holds a {label}, which does not belong there")]
    Foreign {
        /// Which part.
        part: &'static str,
        /// The label that was found.
        label: String,
    },
}
