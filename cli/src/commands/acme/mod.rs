//! `pki acme issue|list|renew|revoke|account`.

use clap::Subcommand;
use server::ops::acme::{AcmeList, AcmeRenew, AcmeRevoke, AcmeView, Deployment};

use crate::{
    context::{Context, distance},
    error::{CommandError, Outcome},
    output::{Cell, Column, Style, Table},
};

mod account;
mod issue;

/// Obtain certificates from an ACME authority, such as Let's Encrypt
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Account(account::Args),
    Issue(issue::Args),
    /// List what was obtained
    List,
    /// Renew what is due, or one certificate now
    #[command(after_help = "\
Examples:
  pki acme renew                  all that are due
  pki acme renew www.example.org  this one, due or not")]
    Renew {
        /// The certificate's first domain; without it all that are due
        domain: Option<String>,
    },
    /// Ask the authority to revoke a certificate
    Revoke {
        /// The certificate's first domain
        domain: String,
        /// Why, in the words of RFC 5280
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
    },
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Sub::Account(args) => account::run(args, context),
        Sub::Issue(args) => issue::run(args, context),
        Sub::List => {
            let found = context.connect()?.call(AcmeList {})?;
            table(&found, context)?;
            if found.is_empty() {
                context.output.say("nothing was obtained yet; `pki acme issue DOMAIN` does");
            }
            Ok(Outcome::Done)
        }
        Sub::Renew { domain } => {
            let renewed = context.connect()?.call(AcmeRenew { domain })?;
            for view in &renewed {
                notes(view, context);
            }
            table(&renewed, context)?;
            if renewed.is_empty() {
                context.output.say("nothing is due");
            }
            let failed = renewed.iter().any(|view| view.last_error.is_some());
            Ok(if failed { Outcome::No } else { Outcome::Done })
        }
        Sub::Revoke { domain, reason } => {
            let revoked = context.connect()?.call(AcmeRevoke { domain, reason })?;
            notes(&revoked, context);
            context.output.reply(&revoked, |output| output.fields(fields(&revoked)))?;
            Ok(Outcome::Done)
        }
    }
}

fn table(views: &[AcmeView], context: &mut Context) -> Result<(), CommandError> {
    let now = context.now();
    context.output.reply(views, |output| {
        if views.is_empty() {
            return Ok(());
        }
        let mut table = Table::new([
            Column::text("DOMAINS"),
            Column::whole("STATUS"),
            Column::whole("EXPIRES"),
            Column::whole("NEXT TRY"),
            Column::text("AUTHORITY"),
        ]);
        for view in views {
            let status = if view.revoked {
                Cell::styled("revoked", Style::Bad)
            } else if view.deployment == Some(Deployment::Placeholder) {
                Cell::styled("placeholder", Style::Warn)
            } else if view.not_after.is_some_and(|end| end < now) {
                Cell::styled("expired", Style::Faint)
            } else if view.last_error.is_some() {
                Cell::styled("failing", Style::Warn)
            } else if view.deploy_error.is_some() {
                Cell::styled("not served", Style::Warn)
            } else {
                Cell::styled("valid", Style::Good)
            };
            table.row([
                view.domains.join(", ").into(),
                status,
                view.not_after.map_or_else(|| "-".to_string(), |end| distance(end, now)).into(),
                view.renew_at.map_or_else(|| "-".to_string(), |next| distance(next, now)).into(),
                if view.ca_url.is_empty() { "-".to_string() } else { view.ca_url.clone() }.into(),
            ]);
        }
        output.table(&table)?;
        for view in views {
            if let Some(error) = &view.last_error {
                output.warn(&format!("{}: {error}", view.domains.join(", ")));
            }
            if let (Some(error), Some(deployment)) = (&view.deploy_error, view.deployment) {
                output.warn(&format!("{}: {}: {error}", view.domains.join(", "), deployment.name()));
            }
            if view.deployment == Some(Deployment::Placeholder) {
                let (names, state) = (view.domains.join(", "), Deployment::Placeholder.name());
                output.warn(&format!("{names}: {state}: HAProxy starts with it, no client trusts it"));
            }
        }
        Ok(())
    })
}

/// Tells what is worth knowing besides the outcome.
fn notes(view: &AcmeView, context: &mut Context) {
    for note in &view.notes {
        context.output.warn(note);
    }
    if let (Some(error), Some(deployment)) = (&view.deploy_error, view.deployment) {
        context.output.warn(&format!("{}: {error}", deployment.name()));
    }
}

/// One certificate, a name and a value a line.
fn fields(view: &AcmeView) -> Vec<(&'static str, String)> {
    let mut fields: Vec<(&'static str, String)> =
        view.domains.iter().map(|domain| ("domain", domain.clone())).collect();
    fields.extend([
        ("authority", view.ca_url.clone()),
        ("serial", view.serial.clone().unwrap_or_default()),
        ("valid until", view.not_after.map(crate::context::moment).unwrap_or_default()),
        ("renewal", view.renew_at.map(crate::context::moment).unwrap_or_default()),
    ]);
    if let Some(deployment) = view.deployment {
        fields.push(("state", deployment.name().to_string()));
    }
    if view.own {
        fields.push(("shown by", "this service".to_string()));
    }
    if view.revoked {
        fields.push(("revoked", "yes".to_string()));
    }
    fields.extend(view.files.iter().map(|file| ("file", file.clone())));
    fields
}
