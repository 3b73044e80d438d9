//! `pki export lxd-server|lxd-client`: the files by which LXD holds its clients to one of our issuing CAs.
//!
//! LXD builds no path: whoever signed a client's certificate must itself be the one certificate in
//! `server.ca`, and `ca.crl` must be its list. So each export is bound to one issuing CA, and certificate and
//! list are replaced together. Of what lies in the directory only what is ours is ever replaced unasked.

use std::{path::PathBuf, str::FromStr};

use ca::{
    cert::{CommonName, DnsName, SubjectAltName},
    key::KeyType,
};
use clap::Subcommand;
use server::ops::issue::ProfileName;

use super::issue;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
    files::{self, Overwrite},
    issuance,
};

mod decide;
mod found;
mod lay;
mod leaf;
mod watch;

/// Lay down the files that other programs read, and keep them fresh
///
/// Here --dir names the directory of those files; the PKI's own is named by --pki-dir, by --dir before
/// the word `export`, or by PKI_DIR.
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    /// The PKI's directory: what --dir names for other commands
    // It has the name of the global option, whose place it takes below this command.
    #[arg(id = "dir", long = "pki-dir", global = true, value_name = "DIR", help_heading = "Global options")]
    _pki: Option<PathBuf>,

    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    LxdClient(Client),
    LxdServer(Server),
}

/// For LXD's server: server.ca, server.crt, server.key and ca.crl
///
/// server.ca is the issuing CA, ca.crl its list, and server.crt a certificate of the server with the
/// issuing CA behind it. Again, the command replaces what has changed and keeps what is still good: key
/// and certificate for two thirds of the certificate's life. Files that are not ours stay unless --force
/// is given. LXD reads them when it starts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki export lxd-server --dir /var/lib/lxd
  pki export lxd-server lxd1.example.org --ip 10.0.0.7 --dir /var/lib/lxd
  pki export lxd-server --dir /var/lib/lxd --watch --exec 'systemctl restart lxd'")]
struct Server {
    /// The server's first DNS name or IP address; without it this machine's name, 127.0.0.1 and ::1
    name: Option<String>,

    /// A further DNS name (repeatable)
    #[arg(long, value_name = "NAME", requires = "name")]
    dns: Vec<String>,

    /// A further IP address (repeatable)
    #[arg(long, value_name = "ADDRESS", requires = "name")]
    ip: Vec<String>,

    #[command(flatten)]
    options: Options,
}

/// For LXD's client: client.ca, client.crt and client.key
///
/// client.ca is the root, by which the client knows the server without asking, and client.crt its
/// certificate alone, as LXD wants it. Again, the command keeps what is still good: key and certificate for
/// two thirds of the certificate's life, and as long as the issuing CA is the one that signed it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki export lxd-client --dir ~/.config/lxc
  pki export lxd-client alice --dir /home/alice/.config/lxc
  pki export lxd-client --dir ~/.config/lxc --watch")]
struct Client {
    /// The client's name; without it USER@HOST
    name: Option<String>,

    #[command(flatten)]
    options: Options,
}

/// The options of both.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
struct Options {
    /// Directory for the files; made if missing, for its owner alone
    #[arg(id = "folder", long = "dir", value_name = "DIR")]
    folder: PathBuf,

    /// Lifetime of a certificate that is issued, in days; without it the profile's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,

    /// Type of the key: p256, p384, ed25519 or rsa4096; without it that of the key there, or p384
    #[arg(long, value_name = "TYPE", value_parser = issuance::key_type)]
    key_type: Option<KeyType>,

    /// Project that a certificate which is issued belongs to
    #[arg(long, value_name = "NAME")]
    project: Option<String>,

    /// Stay with this issuing CA, by its key identifier, instead of the one in force
    #[arg(long, value_name = "KEYID")]
    issuer: Option<String>,

    /// Replace files that are not ours
    #[arg(long)]
    force: bool,

    /// Keep the files fresh until Ctrl-C or SIGTERM
    #[arg(long)]
    watch: bool,

    /// Command for the shell, run after files have changed and run again until it succeeds
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
}

/// Whose files they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// LXD's client's.
    Client,
    /// LXD's server's.
    Server,
}

impl Whose {
    /// The file of the authority.
    fn authority(self) -> &'static str {
        match self {
            Whose::Client => "client.ca",
            Whose::Server => "server.ca",
        }
    }

    /// What certificate and key are called.
    fn stem(self) -> &'static str {
        match self {
            Whose::Client => "client",
            Whose::Server => "server",
        }
    }

    /// The file of the list; LXD's client goes by none.
    fn list(self) -> Option<&'static str> {
        match self {
            Whose::Client => None,
            Whose::Server => Some("ca.crl"),
        }
    }

    fn profile(self) -> ProfileName {
        match self {
            Whose::Client => ProfileName::Client,
            Whose::Server => ProfileName::Server,
        }
    }
}

/// What is to lie where.
#[derive(Clone, Debug)]
struct Plan {
    whose: Whose,
    /// The directory, absolute.
    folder: PathBuf,
    /// The names of a certificate that is issued: the name and the further ones.
    names: (String, Vec<SubjectAltName>),
    /// Whether somebody asked for just these names; others are then no good.
    named: Named,
    days: Option<u32>,
    key_type: Option<KeyType>,
    project: Option<String>,
    issuer: Option<String>,
    overwrite: Overwrite,
    exec: Option<String>,
}

/// Where the names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// The command line.
    Asked,
    /// This machine, for want of others.
    Assumed,
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let (whose, names, named, options) = match args.command {
        Sub::LxdClient(client) => {
            let name = client.name.clone().unwrap_or_else(user_at_host);
            let name = CommonName::from_str(&name).map_err(|error| issue::bad_name("name", &name, &error))?;
            (Whose::Client, (name.to_string(), Vec::new()), asked(client.name.as_ref()), client.options)
        }
        Sub::LxdServer(server) => {
            let names = server_names(&server)?;
            (Whose::Server, names, asked(server.name.as_ref()), server.options)
        }
    };
    let plan = Plan {
        whose,
        folder: files::folder(&context.resolve(&options.folder))?,
        names,
        named,
        days: options.days,
        key_type: options.key_type,
        project: options.project,
        issuer: options.issuer,
        overwrite: if options.force { Overwrite::Allow } else { Overwrite::Refuse },
        exec: options.exec,
    };
    plan.request(None)?.check()?;
    files::tidy(&plan.folder);
    if options.watch {
        return watch::run(plan, context);
    }
    let laid = lay::lay(&plan, context)?;
    lay::report(&laid, &plan, context)?;
    match lay::exec(&plan) {
        Ok(lay::Executed::Nothing) if laid.changed && plan.whose == Whose::Server => {
            context.output.hint("LXD reads them when it starts: `systemctl restart lxd`, or --exec");
            Ok(Outcome::Done)
        }
        Ok(_) => Ok(Outcome::Done),
        Err(error) => Err(error.hint("the same command again runs it again")),
    }
}

fn asked(name: Option<&String>) -> Named {
    if name.is_some() { Named::Asked } else { Named::Assumed }
}

/// The server's names, as `issue-server` takes them; LXD's own certificate has this machine's.
fn server_names(server: &Server) -> Result<(String, Vec<SubjectAltName>), CommandError> {
    let Some(name) = &server.name else {
        let here = issue::ip_address("127.0.0.1")?;
        let here_too = issue::ip_address("::1")?;
        return match host().parse::<DnsName>() {
            Ok(host) => Ok((host.to_string(), vec![here, here_too])),
            // A name that no certificate can carry: the addresses remain.
            Err(_) => Ok(("127.0.0.1".to_owned(), vec![here_too])),
        };
    };
    let (name, first) = issue::server_name(name)?;
    let mut names = vec![first];
    for dns in &server.dns {
        names.push(issue::dns_name(dns)?);
    }
    for ip in &server.ip {
        names.push(issue::ip_address(ip)?);
    }
    Ok((name, issue::without_repeats(names).split_off(1)))
}

/// As LXD's client names itself.
fn user_at_host() -> String {
    let user = server::peer::user(rustix::process::geteuid().as_raw());
    let user = user.name.unwrap_or_else(|| format!("uid{}", user.uid));
    let whole = format!("{user}@{}", host());
    whole.chars().take(CommonName::MAX_CHARACTERS).collect()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
