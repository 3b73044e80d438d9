//! `pki remote list|show|remove`: what this machine knows, without asking anybody.

use serde::Serialize;

use super::view::RemoteView;
use crate::{
    client::{ClientFolder, Known, RemoteName},
    context::Context,
    error::{CommandError, Outcome},
    output::{Column, Table},
};

/// List the services that are known here
#[derive(Debug, clap::Args)]
pub struct ListArgs {}

/// Show a service that is known here, and what it knows us by
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki remote show office")]
pub struct ShowArgs {
    /// What it is called
    name: String,
}

/// Forget a service; it goes on trusting us until `pki trust remove` there
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki remote remove office")]
pub struct RemoveArgs {
    /// What it is called
    name: String,
}

pub fn list(_args: &ListArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    let folder = ClientFolder::of(&context.environment)?;
    let views: Vec<RemoteView> = folder.remotes(context)?.iter().map(view).collect();
    context.output.reply(&views, |output| output.table(&table(&views)))?;
    Ok(Outcome::Done)
}

fn view(known: &Known) -> RemoteView {
    match known {
        Known::Whole(remote) => RemoteView::of(remote),
        Known::Broken(name, error) => RemoteView {
            name: name.to_string(),
            address: String::new(),
            verified_by: String::new(),
            fingerprint: None,
            not_after: None,
            broken: Some(error.message.clone()),
        },
    }
}

fn table(views: &[RemoteView]) -> Table {
    let columns = [
        Column::whole("NAME"),
        Column::whole("ADDRESS"),
        Column::text("VERIFIED BY"),
        Column::text("SERVER SHA256"),
    ];
    let mut table = Table::new(columns);
    for view in views {
        let verified = view.broken.clone().unwrap_or_else(|| view.verified_by.clone());
        table.row([
            view.name.clone().into(),
            view.address.clone().into(),
            verified.into(),
            view.fingerprint.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

pub fn show(args: &ShowArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    #[derive(Serialize)]
    struct Shown {
        #[serde(flatten)]
        remote: RemoteView,
        client_certificate: String,
        client_fingerprint: String,
    }
    let folder = ClientFolder::of(&context.environment)?;
    let remote = folder.find(&args.name, context)?;
    let identity = folder.identity(context)?;
    let shown = Shown {
        remote: RemoteView::of(&remote),
        client_certificate: folder.certificate_path().display().to_string(),
        client_fingerprint: identity.certificate().fingerprint().to_string(),
    };
    context.output.reply(&shown, |output| {
        let mut fields = shown.remote.fields();
        fields.push(("client certificate", shown.client_certificate.clone()));
        fields.push(("client sha256", shown.client_fingerprint.clone()));
        output.fields(fields)
    })?;
    Ok(Outcome::Done)
}

pub fn remove(args: &RemoveArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    #[derive(Serialize)]
    struct Removed {
        name: String,
    }
    let folder = ClientFolder::of(&context.environment)?;
    let name: RemoteName = args.name.parse()?;
    if !folder.knows(&name) {
        return Err(CommandError::not_found(format!("there is no remote {name}"))
            .hint("`pki remote list` shows those that there are"));
    }
    folder.forget(&name)?;
    context.output.reply(&Removed { name: name.to_string() }, |output| {
        output.say(&format!("{name} is forgotten here"));
        output.hint("it goes on trusting this client: `pki trust remove` there ends that");
        Ok(())
    })?;
    Ok(Outcome::Done)
}
