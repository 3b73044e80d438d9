//! The other way to this machine's service: whom the socket refuses by their user id may be trusted by their
//! client certificate, over HTTPS. It is Multipass's own way out where nobody can authenticate: an administrator
//! appends `client.crt` to `authenticated-certs/clients.pem`.
//!
//! The socket tells where the listener is and which certificate it shows: nothing is asked, and nothing is
//! pinned for later. Who is not trusted there either goes on with the socket, and hears what that says.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use server::{
    dial::{Address, AddressError, Dialer, Verification},
    ops::info::Info,
    pki::HttpsWay,
};

use super::Service;
use crate::{
    client::{self, ClientFolder},
    context::Context,
    error::{CommandError, Kind},
};

/// The service by the way that lets us in: the socket, if neither does.
pub(super) fn nearest(
    service: Service,
    socket: &Path,
    context: &mut Context,
) -> Result<Service, CommandError> {
    let own = rustix::process::geteuid();
    let is_owner = fs::symlink_metadata(socket).is_ok_and(|found| found.uid() == own.as_raw());
    // Whom it never refuses need not ask.
    if own.is_root() || is_owner {
        return Ok(service);
    }
    let Some(way) = service.turned_away()? else { return Ok(service) };
    match trusted(&way, context) {
        Ok(Some(https)) => Ok(https),
        Ok(None) => Ok(service),
        Err(error) => {
            tracing::info!(%way, error = error.message, causes = error.causes.join(": "), "not by HTTPS either");
            Ok(service)
        }
    }
}

/// The service over HTTPS, if it lets our certificate in.
fn trusted(way: &HttpsWay, context: &mut Context) -> Result<Option<Service>, CommandError> {
    let folder = ClientFolder::of(&context.environment)?;
    let identity = folder.quiet_identity(context)?;
    let address: Address = way.address.to_string().parse().map_err(|error: AddressError| {
        CommandError::internal(format!("{} is no address", way.address)).because(&error)
    })?;
    let pin = Verification::Pin(way.fingerprint);
    let dialer = Dialer::new(address, Some(identity), pin, client::versions(context));
    let https = Service::over_https(dialer, None, context)?;
    match https.call(Info {}) {
        Ok(_) => Ok(Some(https)),
        Err(error) if error.kind == Kind::Denied => Ok(None),
        Err(error) => Err(error),
    }
}
