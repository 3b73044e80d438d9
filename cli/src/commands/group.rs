//! `pki group create|list|show|grant|withdraw|map|unmap|remove|deny|allow`.

use clap::Subcommand;
use server::ops::trust::group::{
    GroupCreate, GroupEdit, GroupList, GroupRemove, GroupShow, GroupView, Groups, PersonAllow, PersonDeny,
};

use crate::{
    context::{Context, moment},
    error::{CommandError, Outcome},
    output::{Column, Table},
};

/// Look after groups: what people may do who sign in through an identity provider
///
/// Somebody who signs in may do nothing until a group has them, by their e-mail address or by a group that
/// the provider says they are in.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Permissions:
  view             look at everything, and change nothing
  issue:PROJECT    issue, look up, renew and revoke in one project, like a client restricted to it
  revoke           look certificates up, and revoke and release them, in every project
  trust            change who is trusted: nobody gives or takes more than they have
  everything       all there is

Examples:
  pki group create web-team
  pki group grant web-team issue:web
  pki group map web-team anna@example.com
  pki group map auditors --provider-group security"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Make a group, which permits nothing and has nobody in it
    Create {
        /// Its name
        name: String,
    },
    /// List the groups, and who is denied
    List,
    /// Show a group
    Show {
        /// Its name
        name: String,
    },
    /// Let the members of a group do something
    Grant {
        /// The group
        name: String,

        /// view, issue:PROJECT, revoke, trust or everything
        #[arg(required = true, value_name = "PERMISSION")]
        permissions: Vec<String>,
    },
    /// Take something away from the members of a group, at once
    Withdraw {
        /// The group
        name: String,

        /// view, issue:PROJECT, revoke, trust or everything
        #[arg(required = true, value_name = "PERMISSION")]
        permissions: Vec<String>,
    },
    /// Add people to a group
    Map(Members),
    /// Take people out of a group, at once
    Unmap(Members),
    /// Remove a group: its members lose what it permitted, at once
    Remove {
        /// Its name
        name: String,
    },
    /// Deny somebody at once, whatever their groups permit
    Deny {
        /// Their e-mail address, or the subject by which the provider knows them
        person: String,
    },
    /// Let the groups of somebody who was denied count again
    Allow {
        /// Their e-mail address, or the subject by which the provider knows them
        person: String,
    },
}

#[derive(Debug, clap::Args)]
struct Members {
    /// The group
    name: String,

    /// E-mail address of a member; the provider must say that it is theirs
    #[arg(required_unless_present = "provider_group", value_name = "EMAIL")]
    emails: Vec<String>,

    /// Everybody whom the provider has in this group of its own, as its claim spells it (repeatable)
    #[arg(long, value_name = "GROUP")]
    provider_group: Vec<String>,
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let connection = context.connect()?;
    let edit = match args.command {
        Sub::Create { name } => {
            let group = connection.call(GroupCreate { name })?;
            context.output.reply(&group, |output| output.fields(fields(&group)))?;
            return Ok(Outcome::Done);
        }
        Sub::List => {
            let groups = connection.call(GroupList {})?;
            context.output.reply(&groups, |output| {
                output.table(&table(&groups.groups))?;
                match groups.denied.is_empty() {
                    true => Ok(()),
                    false => output.table(&denied(&groups)),
                }
            })?;
            return Ok(Outcome::Done);
        }
        Sub::Show { name } => {
            let group = connection.call(GroupShow { name })?;
            context.output.reply(&group, |output| output.fields(fields(&group)))?;
            return Ok(Outcome::Done);
        }
        Sub::Remove { name } => {
            let group = connection.call(GroupRemove { name })?;
            context.output.reply(&group, |output| {
                output.say(&format!("the group {} is gone", group.name));
                Ok(())
            })?;
            return Ok(Outcome::Done);
        }
        Sub::Deny { person } => {
            let denied = connection.call(PersonDeny { person })?;
            context.output.reply(&denied, |output| {
                output.say(&format!("{} is denied", denied.person));
                Ok(())
            })?;
            return Ok(Outcome::Done);
        }
        Sub::Allow { person } => {
            let allowed = connection.call(PersonAllow { person })?;
            context.output.reply(&allowed, |output| {
                output.say(&format!("the groups of {} count again", allowed.person));
                Ok(())
            })?;
            return Ok(Outcome::Done);
        }
        Sub::Grant { name, permissions } => GroupEdit { name, grant: permissions, ..GroupEdit::default() },
        Sub::Withdraw { name, permissions } => {
            GroupEdit { name, withdraw: permissions, ..GroupEdit::default() }
        }
        Sub::Map(Members { name, emails, provider_group }) => {
            GroupEdit { name, map: emails, map_provider_groups: provider_group, ..GroupEdit::default() }
        }
        Sub::Unmap(Members { name, emails, provider_group }) => {
            GroupEdit { name, unmap: emails, unmap_provider_groups: provider_group, ..GroupEdit::default() }
        }
    };
    let group = connection.call(edit)?;
    context.output.reply(&group, |output| output.fields(fields(&group)))?;
    Ok(Outcome::Done)
}

fn permitted(group: &GroupView) -> String {
    match group.permissions.as_slice() {
        [] => "nothing".to_string(),
        permissions => permissions.join(" "),
    }
}

fn table(groups: &[GroupView]) -> Table {
    let mut table = Table::new([
        Column::whole("NAME"),
        Column::text("PERMITS"),
        Column::text("PEOPLE"),
        Column::text("PROVIDER'S GROUPS"),
    ]);
    for group in groups {
        table.row([
            group.name.clone().into(),
            permitted(group).into(),
            group.emails.join(", ").into(),
            group.provider_groups.join(", ").into(),
        ]);
    }
    table
}

fn denied(groups: &Groups) -> Table {
    let mut table = Table::new([Column::text("DENIED"), Column::text("SINCE"), Column::text("BY")]);
    for one in &groups.denied {
        table.row([one.person.clone().into(), moment(one.denied_at).into(), one.denied_by.clone().into()]);
    }
    table
}

fn fields(group: &GroupView) -> Vec<(&'static str, String)> {
    let mut fields = vec![("name", group.name.clone()), ("permits", permitted(group))];
    fields.extend(group.emails.iter().map(|email| ("member", email.clone())));
    fields.extend(group.provider_groups.iter().map(|name| ("provider's group", name.clone())));
    fields.push(("created", format!("{} by {}", moment(group.created_at), group.created_by)));
    fields
}
