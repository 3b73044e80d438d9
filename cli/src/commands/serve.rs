//! `pki serve`.

use std::path::{Path, PathBuf};

use server::{
    Pki,
    serve::{Early, ServeOptions, Serving},
    tls::Versions,
};

use store::spread::{cores, room_for};

use crate::{
    connect,
    context::Context,
    error::{CommandError, Kind, Outcome},
    signals::Signals,
};

/// Run the service: the local socket, HTTPS and the public listener
///
/// Commands of the directory's owner and of root go through the service while it runs. The HTTPS
/// listener (setting core.https_address) answers clients that are trusted by their certificates; it
/// speaks TLS 1.3, and with PKI_INSECURE_TLS=1 in the environment TLS 1.2 as well. The public listener
/// (setting core.public_address) serves the CA certificates and the revocation lists by plain HTTP and
/// answers ACME challenges. Ctrl-C, SIGTERM and SIGHUP stop it; requests under way are finished.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki serve
  pki serve --dir /var/lib/pki --socket /run/pki/pki.socket
  pki config set core.public_address 0.0.0.0:80      acts at once, also while it runs")]
pub struct Args {
    #[command(flatten)]
    pub options: Options,
}

/// Threads that a service can't do without, beside one for each core: those that follow what changes, that do
/// what is asked, and that serve the files until the store is open.
const BESIDE: usize = 6;

/// The options of `serve` and `up`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Listen on this socket as well (repeatable)
    #[arg(long, value_name = "PATH")]
    pub socket: Vec<PathBuf>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let directory = context.directory()?;
    let (pki, early) = connect::open_to_serve(&directory, context)?;
    serve(pki, early, &directory, &args.options, context, |_, _| Ok(()))
}

/// Serves an open PKI until a signal comes; `early` is what has served its files until now. `ready` is told once
/// every door is open.
pub fn serve(
    pki: Pki,
    early: Option<Early>,
    directory: &Path,
    options: &Options,
    context: &mut Context,
    ready: impl FnOnce(&Serving, &mut Context) -> Result<(), CommandError>,
) -> Result<Outcome, CommandError> {
    let mut sockets = vec![directory.join("pki.socket")];
    sockets.extend(options.socket.iter().map(|path| context.resolve(path)));
    let notify = context.environment.variable("NOTIFY_SOCKET").map(ToOwned::to_owned);
    let asked = context.environment.variable(Versions::VARIABLE).map(|value| value.to_string_lossy());
    let versions = Versions::asked(asked.as_deref());
    if versions == Versions::Insecure {
        context.output.warn("INSECURE: PKI_INSECURE_TLS=1 lets clients speak TLS 1.2 with this service");
    }
    let options = ServeOptions { sockets, notify, versions, early, ..ServeOptions::default() };
    let failed = |error: std::io::Error| {
        CommandError::new(Kind::Unavailable, "cannot start the service")
            .because(&error)
            .hint("check the limits of this user: `ulimit -a`, or TasksMax= of the unit")
    };
    // tokio panics where it gets none.
    room_for(cores() + BESIDE).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let served = runtime.block_on(async {
        let signals = Signals::listen()?;
        server::serve::serve(pki, options, signals.come(), |serving| {
            tell(serving, context);
            // What is said at the start is talk: nobody who listens to it may end the service.
            if let Err(error) = ready(serving, context) {
                tracing::warn!(message = error.message, "the start could not be told");
            }
            let _ = context.output.flush();
        })
        .await
        .map_err(|error| refused(&error))
    });
    // Whatever still blocks has had its time.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    served?;
    context.output.say("stopped");
    Ok(Outcome::Done)
}

fn tell(serving: &Serving, context: &mut Context) {
    for socket in &serving.sockets {
        context.output.say(&format!("serving {}", socket.display()));
    }
    if let Some(address) = &serving.https {
        context.output.say(&format!("serving https://{address}/ (trusted clients)"));
    }
    match &serving.public {
        Some(address) => context.output.say(&format!("serving http://{address}/ (certificates and lists)")),
        None => {
            context.output.say("no public listener: nobody else can fetch the lists from here");
            context.output.hint("`pki config set core.public_address 0.0.0.0:80` opens one");
        }
    }
}

fn refused(error: &server::serve::Error) -> CommandError {
    use server::listen;
    let problem =
        |kind, hint: &str| CommandError::new(kind, error.to_string()).because_source(error).hint(hint);
    match error {
        server::serve::Error::Listen(listen::Error::Busy { .. }) => problem(
            Kind::Unavailable,
            "choose another address: `pki config set core.public_address 127.0.0.1:PORT`, or core.https_address",
        ),
        server::serve::Error::Listen(listen::Error::SocketBusy { .. }) => {
            problem(Kind::Conflict, "another service runs already: `pki info` says which")
        }
        server::serve::Error::Listen(_) => {
            problem(Kind::Internal, "check the address, the path and their permissions")
        }
        server::serve::Error::Notify { .. } => problem(Kind::Internal, "check NOTIFY_SOCKET"),
        server::serve::Error::Operation(error) => server::http::problem::problem(error).into(),
    }
}
