//! First contact: a server that nobody here knows shows a certificate, and somebody decides.
//!
//! Nothing is sent to it before. Authorities decide if they can: those of `client.ca`, then those of the
//! system. Else the user does, who is shown the fingerprint; without a terminal the answer is no.

use server::{
    dial::{Address, Shown, look},
    tls::Versions,
};

use crate::{
    client::{ClientFolder, VerifiedBy, system_authorities},
    connect::not_reached,
    context::Context,
    error::{CommandError, Kind},
    output::Stream,
};

/// How often a question is asked before no answer is an answer.
const TIMES: usize = 3;

/// Whether a certificate is accepted unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// The user decides.
    Ask,
    /// `--accept-certificate`.
    Unseen,
}

impl From<bool> for Accept {
    fn from(given: bool) -> Accept {
        if given { Accept::Unseen } else { Accept::Ask }
    }
}

/// Looks what a server shows.
pub fn look_at(address: &Address, versions: Versions, remote: &str) -> Result<Shown, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandError::internal("cannot talk to the service").because(&error))?;
    runtime.block_on(look(address, versions)).map_err(|error| not_reached(&error, remote))
}

/// What verifies a server without anybody being asked; `None` if nothing does.
pub fn verified(
    shown: &Shown,
    address: &Address,
    folder: &ClientFolder,
    context: &Context,
) -> Result<Option<VerifiedBy>, CommandError> {
    let now = context.now();
    if folder.authorities(context)?.is_some_and(|own| shown.is_verified(&own, address, now)) {
        return Ok(Some(VerifiedBy::ClientCa));
    }
    let system = system_authorities(context)?;
    let is_known = system.is_some_and(|system| shown.is_verified(&system, address, now));
    Ok(is_known.then_some(VerifiedBy::System))
}

/// What shall verify a server from now on: authorities if they do, else what the user says.
pub fn judge(
    shown: &Shown,
    address: &Address,
    accept: Accept,
    folder: &ClientFolder,
    context: &mut Context,
) -> Result<VerifiedBy, CommandError> {
    if let Some(verified) = verified(shown, address, folder, context)? {
        return Ok(verified);
    }
    let fingerprint = shown.fingerprint().to_string();
    if accept == Accept::Ask {
        ask(&fingerprint, address, context)?;
    }
    Ok(VerifiedBy::Pin(Box::new(shown.certificate().clone())))
}

fn ask(fingerprint: &str, address: &Address, context: &mut Context) -> Result<(), CommandError> {
    let refused = |message: String| {
        CommandError::new(Kind::Denied, message)
            .hint("compare the fingerprint with `pki info` on the server, over a way that you trust")
    };
    if context.environment.input == Stream::Other {
        return Err(refused(format!(
            "nothing here verifies the server at {address}, whose certificate has the fingerprint {fingerprint}"
        ))
        .hint("then run this on a terminal and say yes, or with --accept-certificate")
        .hint("a token (`pki trust add NAME` on the server) names the right fingerprint itself"));
    }
    // Asked for, so it is told also under --quiet: on the stream of the question.
    context.output.warn(&format!("nothing here verifies the server at {address}"));
    context.output.warn(&format!("certificate fingerprint: {fingerprint}"));
    for _ in 0..TIMES {
        let answer = context.ask("is it what `pki info` shows on the server? (yes/no/[fingerprint])")?;
        let answer = answer.trim().to_ascii_lowercase();
        match answer.as_str() {
            "y" | "yes" => return Ok(()),
            "n" | "no" => return Err(refused(format!("the server at {address} was not accepted"))),
            given if given.replace(':', "") == fingerprint => return Ok(()),
            // As long as one, and another: whoever compares has found a difference.
            given if given.replace(':', "").len() == fingerprint.len() => {
                return Err(refused(format!(
                    "the server at {address} has another fingerprint, {fingerprint}"
                )));
            }
            _ => {}
        }
    }
    Err(refused(format!("the server at {address} was not accepted: there was no answer")))
}
