//! Certificates, requests, keys and names as values: parsed once, checked once, never raw bytes or
//! strings inside the program.
//!
//! It is pure: no store, no clock, no file, no network. It refuses what RFC 5280 forbids and what no
//! careful authority signs: malformed DER, weak keys, names that mean something else than they seem
//! to. It decides no policy: whether a wildcard or a key type is wanted says a profile.

mod algorithm;
mod certificate;
mod csr;
pub(crate) mod der;
mod digest;
mod names;
mod parsing;
mod path;
pub(crate) mod pem;
mod public_key;
mod requested;
mod serial;
#[cfg(test)]
pub(crate) mod testing;
mod weak;

pub use algorithm::{SignatureAlgorithm, SignatureError, SignedData};
pub use certificate::{Certificate, CertificateError, ExtendedKeyUsage, KeyUsage};
pub use csr::{Csr, CsrError, CsrLimits};
pub use der::{DerError, MAX_DER_DEPTH};
pub(crate) use digest::lower_hex;
pub use digest::{Fingerprint, KeyId};
pub use names::{
    CommonName, DnsName, EmailAddress, NameError, Script, Slug, SubjectAltName, UriName, printable,
};
pub(crate) use parsing::Fields;
pub use path::{MAX_CANDIDATES, MAX_INTERMEDIATES, PathError, Purpose, date, verify_path};
pub use pem::PemError;
pub use public_key::{KeyError, PublicKey};
pub use requested::RequestedName;
pub use serial::{HexError, Serial, SerialError};
pub use weak::WeakKey;
