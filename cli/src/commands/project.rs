//! `pki project create|list|show|remove`.

use clap::Subcommand;
use server::ops::trust::project::{ProjectCreate, ProjectList, ProjectRemove, ProjectShow, ProjectView};

use crate::{
    context::{Context, moment},
    error::{CommandError, Outcome},
    output::{Column, Table},
};

/// Look after projects, which certificates and restricted clients belong to
///
/// A client that is restricted to projects issues, lists, renews and revokes only within them.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  pki project create web --allow-dns '*.web.internal'
  pki trust add web-team --restricted --projects web
  pki issue-server shop.web.internal --project web"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Make a project
    Create {
        /// Its name
        name: String,

        /// DNS name that its certificates may carry, like `web.internal`, or `*.web.internal` for all
        /// below it (repeatable); without any they may carry every name
        #[arg(long, value_name = "PATTERN")]
        allow_dns: Vec<String>,
    },
    /// List the projects
    List,
    /// Show a project, and who is limited to it
    Show {
        /// Its name
        name: String,
    },
    /// Remove a project that nobody is limited to
    Remove {
        /// Its name
        name: String,
    },
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let connection = context.connect()?;
    match args.command {
        Sub::Create { name, allow_dns } => {
            let project = connection.call(ProjectCreate { name, allow_dns })?;
            context.output.reply(&project, |output| output.fields(fields(&project)))?;
        }
        Sub::List => {
            let projects = connection.call(ProjectList {})?;
            context.output.reply(&projects, |output| output.table(&table(&projects)))?;
        }
        Sub::Show { name } => {
            let project = connection.call(ProjectShow { name })?;
            context.output.reply(&project, |output| output.fields(fields(&project)))?;
        }
        Sub::Remove { name } => {
            let project = connection.call(ProjectRemove { name })?;
            context.output.reply(&project, |output| {
                output.say(&format!("the project {} is gone", project.name));
                Ok(())
            })?;
        }
    }
    Ok(Outcome::Done)
}

fn allowed(project: &ProjectView) -> String {
    match project.allow_dns.as_slice() {
        [] => "every name".to_string(),
        patterns => patterns.join(" "),
    }
}

fn table(projects: &[ProjectView]) -> Table {
    let mut table =
        Table::new([Column::whole("NAME"), Column::text("ALLOWS"), Column::text("LIMITED TO IT")]);
    for project in projects {
        table.row([project.name.clone().into(), allowed(project).into(), project.used_by.join(", ").into()]);
    }
    table
}

fn fields(project: &ProjectView) -> Vec<(&'static str, String)> {
    let mut fields = vec![("name", project.name.clone()), ("allows", allowed(project))];
    if let (Some(by), Some(at)) = (&project.created_by, project.created_at) {
        fields.push(("created", format!("{} by {by}", moment(at))));
    }
    fields.extend(project.used_by.iter().map(|user| ("limited to it", user.clone())));
    fields
}
