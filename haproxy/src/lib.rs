//! What HAProxy in front of us needs: the files it reads, and the words it is told while it runs.
//!
//! `haproxy.cfg` beside the sources is the small configuration for one domain, to be edited by hand.
//! [`render()`] writes larger ones from a [`Site`], which a [`plan::Plan`] makes of what an administrator wrote;
//! [`check`] finds what is wrong with somebody else's; [`bundle`] writes the file with a certificate and its key,
//! [`placeholder`] what lies there before.
//! [`runtime`] talks to the running process.
//!
//! What this crate refuses: to know how certificates are issued, and to commit a CA or a CRL to a running
//! HAProxy. 2.6 then loses later updates of certificates while it answers "Success!", and crashes
//! (haproxy issue 3165). A revocation is in force by the map of [`RevokedKey`]s instead.

pub mod bundle;
pub mod check;
mod error;
pub mod keep;
pub mod placeholder;
pub mod plan;
mod render;
mod revoked;
pub mod runtime;
mod site;
pub mod written;

pub use error::Error;
pub use render::{Rendered, render};
pub use revoked::{IssuerKey, RevokedKey};
pub use site::{
    Clients, Demand, Domain, FilePath, Label, Limits, Node, Privileges, ProxyHeader, Responder, Route, Site,
    Speech,
};
