//! `pki man`.

use std::path::PathBuf;

use clap::CommandFactory;
use store::file::{OnExisting, Visibility};

use crate::{
    args::Cli,
    context::Context,
    error::{CommandError, Outcome},
    files,
};

/// Print the manual page, or write one page per command
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki man | man -l -
  pki man --out /usr/local/share/man/man1")]
pub struct Args {
    /// Write pki.1, pki-init.1 and so on into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let mut tree = Cli::command();
    tree.build();
    let Some(directory) = &args.out else {
        context.output.raw(&page(&tree)?)?;
        return Ok(Outcome::Done);
    };
    let directory = context.resolve(directory);
    store::file::make_dir(&directory, Visibility::Public)?;
    let mut written = 0;
    let mut waiting = vec![(tree, "pki".to_string())];
    while let Some((command, name)) = waiting.pop() {
        let path = directory.join(format!("{name}.1"));
        files::write(&path, &page(&command)?, Visibility::Public, OnExisting::Replace)?;
        written += 1;
        for child in
            command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
        {
            waiting.push((child.clone(), format!("{name}-{}", child.get_name())));
        }
    }
    context.output.say(&format!("wrote {written} pages to {}", directory.display()));
    Ok(Outcome::Done)
}

fn page(command: &clap::Command) -> Result<Vec<u8>, CommandError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| CommandError::internal("cannot render the manual page").because(&error))?;
    Ok(page)
}
