//! `pki acme account show|contact|roll-key|deactivate|forget`.

use std::path::PathBuf;

use clap::Subcommand;
use server::ops::acme::account::{
    AccountChange, AccountState, AcmeAccountChange, AcmeAccountView, AcmeAccounts,
};

use super::issue::ROOTS_LIMIT;
use crate::{
    context::{Context, moment},
    error::{CommandError, Outcome},
    output::{Cell, Column, Style, Table},
};

/// Look after the accounts at ACME authorities
///
/// The first order at an authority opens an account there, and the later ones use it. Its key is sealed in
/// the PKI.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  pki acme account show
  pki acme account contact admin@example.org
  pki acme account roll-key --ca-url https://acme-v02.api.letsencrypt.org/directory"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Show the accounts
    Show,
    /// Have the authority write to another address
    ///
    /// The account of the service's own certificate follows acme.email by itself.
    Contact {
        /// The e-mail address
        email: String,
        #[command(flatten)]
        which: Which,
    },
    /// Give an account another key
    ///
    /// Both keys are kept until the authority has answered. If that fails, the next order asks which of them
    /// it knows.
    RollKey {
        #[command(flatten)]
        which: Which,
    },
    /// End an account at its authority
    ///
    /// It can't be taken back: nothing is obtained, renewed or revoked by this account any more.
    Deactivate {
        #[command(flatten)]
        which: Which,
    },
    /// Make room for another account, after deactivate
    Forget {
        #[command(flatten)]
        which: Which,
    },
}

/// Which account is meant.
#[derive(Debug, clap::Args)]
struct Which {
    /// Directory URL of the authority; may be left out while there is one account
    #[arg(long, value_name = "URL")]
    ca_url: Option<String>,

    /// Key id of the external account it is bound to
    #[arg(long, value_name = "ID")]
    eab_kid: Option<String>,

    /// Trust only the roots in this file for the authority's own HTTPS; as for the last order if not given
    #[arg(long, value_name = "FILE")]
    ca_root: Option<PathBuf>,
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Sub::Show => show(context),
        Sub::Contact { email, which } => change(which, AccountChange::Contact(email), context),
        Sub::RollKey { which } => change(which, AccountChange::RollKey, context),
        Sub::Deactivate { which } => change(which, AccountChange::Deactivate, context),
        Sub::Forget { which } => change(which, AccountChange::Forget, context),
    }
}

fn show(context: &mut Context) -> Result<Outcome, CommandError> {
    let found = context.connect()?.call(AcmeAccounts {})?;
    context.output.reply(&found, |output| {
        if found.is_empty() {
            return Ok(());
        }
        let mut table = Table::new([
            Column::text("AUTHORITY"),
            Column::whole("STATE"),
            Column::text("CONTACT"),
            Column::text("KEY"),
            Column::text("ACCOUNT"),
        ]);
        for view in &found {
            let style = match view.state {
                AccountState::Valid => Style::Good,
                AccountState::ChangingKey | AccountState::Deactivating | AccountState::Opening => Style::Warn,
                AccountState::Deactivated => Style::Faint,
            };
            table.row([
                view.ca_url.clone().into(),
                Cell::styled(view.state.name(), style),
                view.contact.clone().unwrap_or_else(|| "-".to_owned()).into(),
                view.key.clone().into(),
                view.url.clone().unwrap_or_else(|| "-".to_owned()).into(),
            ]);
        }
        output.table(&table)
    })?;
    if found.is_empty() {
        context.output.say("there is no account yet; the first order opens one");
    }
    Ok(Outcome::Done)
}

fn change(which: Which, change: AccountChange, context: &mut Context) -> Result<Outcome, CommandError> {
    let ca_root = match &which.ca_root {
        Some(path) => Some(context.read_text(path, ROOTS_LIMIT)?),
        None => None,
    };
    let forgotten = matches!(change, AccountChange::Forget);
    let Which { ca_url, eab_kid, .. } = which;
    let view = context.connect()?.call(AcmeAccountChange { ca_url, eab_kid, ca_root, change })?;
    context.output.reply(&view, |output| output.fields(fields(&view)))?;
    if forgotten {
        context.output.say("forgotten; the next order opens another account");
    }
    Ok(Outcome::Done)
}

fn fields(view: &AcmeAccountView) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("authority", view.ca_url.clone()),
        ("state", view.state.name().to_owned()),
        ("account", view.url.clone().unwrap_or_default()),
        ("contact", view.contact.clone().unwrap_or_default()),
        ("key", view.key.clone()),
        ("terms agreed to", moment(view.agreed)),
    ];
    if let Some(kid) = &view.eab_kid {
        fields.push(("external account", kid.clone()));
    }
    fields
}
