//! `pki info`.

use server::ops::info::Info;

use super::view;
use crate::{
    context::{Context, moment},
    error::{CommandError, Outcome},
};

/// Show who we are: authorities, fingerprints, lists, where everything lies
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki info
  pki info --json | jq -r .authorities[0].fingerprint")]
pub struct Args {}

pub fn run(_args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let info = context.connect()?.call(Info {})?;
    context.output.reply(&info, |output| {
        let answered = if info.service {
            format!("the service, process {}", info.pid)
        } else {
            "this command (no service is running)".to_string()
        };
        let mut fields = vec![
            ("version", info.version.clone()),
            ("directory", info.directory.clone()),
            ("answered by", answered),
            ("https listener", info.https_address.clone().unwrap_or_else(|| "none".to_string())),
            ("public listener", info.public_address.clone().unwrap_or_else(|| "none".to_string())),
            ("public url", info.public_url.clone().unwrap_or_else(|| "not set".to_string())),
            ("issued", info.issued.to_string()),
            ("journal", format!("{} entries", info.sequence)),
        ];
        // Right below the address: whoever adds this service as a remote compares it.
        let shown = info.https_fingerprint.iter().map(|shown| ("https sha256", shown.clone()));
        for one in &info.haproxy {
            let since = one.in_step_since.map_or_else(
                || "not in step".to_string(),
                |since| format!("in step since {}", moment(since)),
            );
            fields.push(("haproxy", format!("{} {since}", one.instance)));
        }
        fields.splice(4..4, shown);
        output.fields(fields)?;
        output.line("")?;
        output.table(&view::authorities(&info.authorities, now))?;
        output.line("")?;
        output.fields(info.authorities.iter().map(|authority| {
            let name = if authority.role == "root" { "root sha256" } else { "issuing sha256" };
            (name, authority.fingerprint.clone())
        }))?;
        output.line("")?;
        output.table(&view::lists(&info.lists, now))
    })?;
    Ok(Outcome::Done)
}
