//! Private keys: made, read, written, used for signing.
//!
//! Where a key lies, and with which mode, is the caller's affair. A key that is weak, or of a kind
//! that is not accepted, is never used; secret octets are wiped when they are dropped.

mod encryption;
mod key_type;
mod passphrase;
mod private;
mod reading;
mod request;
mod self_signed;

pub use encryption::ScryptCost;
pub use key_type::{KeyType, UnknownKeyType};
pub use passphrase::{Passphrase, PassphraseError};
pub use private::{PrivateKey, PrivateKeyError};
pub use request::{RequestError, make_csr};
pub use self_signed::self_signed_client;

#[cfg(test)]
mod tests;
