//! The commands, one a file: its arguments, whose comments are its help, and what it does.

use clap::Subcommand;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

mod acme;
mod audit;
mod authenticate;
mod backup;
mod ca;
mod completions;
mod config;
mod crl;
mod doctor;
mod enroll;
mod export;
mod group;
mod haproxy;
mod info;
pub mod init;
pub mod issue;
mod issue_client;
mod issue_server;
mod list;
mod man;
mod metrics;
mod passwd;
mod project;
mod reference;
mod release;
mod remote;
mod renew;
mod restore;
mod revoke;
pub mod selector;
mod serve;
mod set;
mod show;
mod sign;
mod trust;
mod up;
mod verify;
pub mod view;

/// What `pki` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Up(up::Args),
    Init(init::Args),
    Serve(serve::Args),
    IssueClient(issue_client::Args),
    IssueServer(issue_server::Args),
    Sign(sign::Args),
    Enroll(enroll::Args),
    Renew(renew::Args),
    Revoke(revoke::Args),
    Release(release::Args),
    List(list::Args),
    Show(show::Args),
    Verify(verify::Args),
    Info(info::Args),
    Crl(crl::Args),
    Audit(audit::Args),
    Ca(ca::Args),
    Trust(trust::Args),
    Project(project::Args),
    Group(group::Args),
    Remote(remote::Args),
    Passwd(passwd::Args),
    Doctor(doctor::Args),
    Export(export::Args),
    Metrics(metrics::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Config(config::Args),
    Set(set::SetArgs),
    Get(set::GetArgs),
    Authenticate(authenticate::Args),
    Acme(acme::Args),
    Haproxy(haproxy::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    Reference(reference::Args),
}

impl Command {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Outcome, CommandError> {
        match self {
            Command::Up(args) => up::run(&args, context),
            Command::Init(args) => init::run(&args, context),
            Command::Serve(args) => serve::run(&args, context),
            Command::IssueClient(args) => issue_client::run(args, context),
            Command::IssueServer(args) => issue_server::run(args, context),
            Command::Sign(args) => sign::run(&args, context),
            Command::Enroll(args) => enroll::run(&args, context),
            Command::Renew(args) => renew::run(&args, context),
            Command::Revoke(args) => revoke::run(&args, context),
            Command::Release(args) => release::run(&args, context),
            Command::List(args) => list::run(&args, context),
            Command::Show(args) => show::run(&args, context),
            Command::Verify(args) => verify::run(&args, context),
            Command::Info(args) => info::run(&args, context),
            Command::Crl(args) => crl::run(args, context),
            Command::Audit(args) => audit::run(args, context),
            Command::Ca(args) => ca::run(args, context),
            Command::Trust(args) => trust::run(args, context),
            Command::Project(args) => project::run(args, context),
            Command::Group(args) => group::run(args, context),
            Command::Remote(args) => remote::run(args, context),
            Command::Passwd(args) => passwd::run(&args, context),
            Command::Backup(args) => backup::run(&args, context),
            Command::Restore(args) => restore::run(&args, context),
            Command::Doctor(args) => doctor::run(&args, context),
            Command::Export(args) => export::run(args, context),
            Command::Metrics(args) => metrics::run(&args, context),
            Command::Config(args) => config::run(args, context),
            Command::Set(args) => set::set(&args, context),
            Command::Get(args) => set::get(&args, context),
            Command::Authenticate(args) => authenticate::run(&args, context),
            Command::Acme(args) => acme::run(args, context),
            Command::Haproxy(args) => haproxy::run(args, context),
            Command::Completions(args) => completions::run(&args, context),
            Command::Man(args) => man::run(&args, context),
            Command::Reference(args) => reference::run(&args, context),
        }
    }
}
