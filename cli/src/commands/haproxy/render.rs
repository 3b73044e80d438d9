//! `pki haproxy render`.

use std::path::PathBuf;

use server::ops::haproxy::HaproxyRender;
use store::file::{OnExisting, Visibility, place};

use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// Write a configuration for HAProxy
///
/// From haproxy.domains and the other haproxy settings, or from what is given here instead. It is
/// printed; with --out it is written, together with the list of certificates and the maps it needs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A domain is written as names, a way, words and nodes:
  NAME[,NAME] pass [proxy] IP:PORT…
      TLS goes through to the nodes; proxy tells them the client's address (PROXY protocol).
  NAME[,NAME] terminate [verify=optional|required] [certificate=FILE] [ca=FILE name=NAME] IP:PORT…
      HAProxy has the certificate, that of `pki acme` unless a file is named. verify asks clients
      for certificates of this PKI. With ca and name the nodes are spoken to by HTTPS.

Examples:
  pki haproxy render --domain 'lxd.example.net pass proxy 192.0.2.1:8443 192.0.2.2:8443'
  pki config set haproxy.domains 'www.example.net terminate verify=optional 127.0.0.1:8080'
  pki haproxy render --out /etc/haproxy/haproxy.cfg")]
pub struct Args {
    /// A domain, instead of haproxy.domains; may be given several times
    #[arg(long = "domain", value_name = "WORDS")]
    domains: Vec<String>,

    /// Listen for plain HTTP here, instead of haproxy.http_address
    #[arg(long, value_name = "IP:PORT")]
    http: Vec<String>,

    /// Listen for TLS here, instead of haproxy.https_address
    #[arg(long, value_name = "IP:PORT")]
    https: Vec<String>,

    /// The admin socket, instead of the first of haproxy.instances
    #[arg(long, value_name = "PATH")]
    admin: Option<String>,

    /// Who answers HTTP-01 where the map does not, instead of haproxy.challenge_address
    #[arg(long, value_name = "IP:PORT")]
    challenges: Option<String>,

    /// Who answers TLS-ALPN-01, instead of haproxy.alpn_address
    #[arg(long, value_name = "IP:PORT")]
    alpn: Option<String>,

    /// HAProxy is not started by root
    #[arg(long)]
    unprivileged: bool,

    /// Write to this file, and place the files it needs
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let rendered = context.connect()?.call(HaproxyRender {
        domains: args.domains,
        http: args.http,
        https: args.https,
        admin: args.admin,
        challenges: args.challenges,
        alpn: args.alpn,
        unprivileged: args.unprivileged,
        place: args.out.is_some(),
    })?;
    if let Some(out) = &args.out {
        let path = context.resolve(out);
        place(&path, rendered.config.as_bytes(), Visibility::Public, OnExisting::Replace)?;
        context.output.say(&format!("wrote {}", path.display()));
        for file in &rendered.placed {
            context.output.say(&format!("wrote {file}"));
        }
    }
    for file in &rendered.placeholders {
        context
            .output
            .warn(&format!("{file} is a placeholder; `pki acme issue` puts a certificate in its place"));
    }
    for file in &rendered.missing {
        context.output.warn(&format!("{file} is not there yet; HAProxy does not start without it"));
    }
    let printed = args.out.is_none();
    context.output.reply(&rendered, |output| {
        match printed {
            true => output.raw(rendered.config.as_bytes())?,
            false => output.hint("haproxy -c -f FILE looks at it, systemctl reload haproxy puts it in force"),
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}
