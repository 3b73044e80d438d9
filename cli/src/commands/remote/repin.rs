//! `pki remote repin`.

use store::file::OnExisting;

use super::{
    contact::{self, Accept},
    view::RemoteView,
};
use crate::{
    client::{self, ClientFolder, Remote, RemoteName, VerifiedBy},
    context::Context,
    error::{CommandError, Outcome},
};

/// Trust the certificate that a service shows now, after it was replaced
///
/// Compare the fingerprint with what `pki info` shows on the server. Where the new certificate has the key
/// of the old one, or client.ca or the system's authorities verify it, there is nothing to compare.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki remote repin office")]
pub struct Args {
    /// What it is called
    name: String,

    /// Accept whatever certificate the service shows
    #[arg(long)]
    accept_certificate: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let folder = ClientFolder::of(&context.environment)?;
    let name: RemoteName = args.name.parse()?;
    if !folder.knows(&name) {
        return Err(CommandError::not_found(format!("there is no remote {name}"))
            .hint("`pki remote list` shows those that there are, `pki remote add` adds one"));
    }
    // A pin that is lost or broken is no reason not to get a new one.
    let address = folder.address(&name, context)?;
    let before = folder.find(&args.name, context).ok().map(|remote| remote.verified_by);
    let versions = client::versions(context);
    let shown = contact::look_at(&address, versions, &args.name)?;
    let pinned = match &before {
        Some(VerifiedBy::Pin(pinned)) => Some(pinned),
        Some(VerifiedBy::ClientCa | VerifiedBy::System) | None => None,
    };
    let same_key = pinned.is_some_and(|pinned| pinned.public_key() == shown.certificate().public_key());
    if let Some(pinned) = pinned
        && !same_key
    {
        context.output.say(&format!("the pinned certificate's fingerprint is {}", pinned.fingerprint()));
    }
    let verified_by = match same_key {
        // The server has just proven that it holds the key that was trusted.
        true => match contact::verified(&shown, &address, &folder, context)? {
            Some(verified) => verified,
            None => VerifiedBy::Pin(Box::new(shown.certificate().clone())),
        },
        false => contact::judge(&shown, &address, Accept::from(args.accept_certificate), &folder, context)?,
    };
    let remote = Remote { name, address, verified_by };
    folder.remember(&remote, OnExisting::Replace)?;
    let view = RemoteView::of(&remote);
    context.output.reply(&view, |output| output.fields(view.fields()))?;
    Ok(Outcome::Done)
}
