//! The certificate and the key of whoever the files are for: kept, renewed or issued. The key is made here and
//! stays here; it is durable before its CSR leaves, so that the same command finishes what was interrupted.

use std::str::FromStr;

use ca::{
    cert::{Fingerprint, Slug, SubjectAltName},
    key::KeyType,
    subject::{LeafKind, Subject},
};
use server::ops::{
    export::Exported,
    issue::{Issue, Issued, Renew, Renewed},
    view::{CertificateView, Selector, Status},
};
use zeroize::Zeroizing;

use super::{
    Named, Plan, Whose,
    decide::{KeyThere, Step, Wanted, decide},
    found::{self, Ours, There},
};
use crate::{
    connect::Connection,
    context::Context,
    error::CommandError,
    files::{Decoded, Overwrite, Place},
    issuance::{self, Request},
};

/// A certificate as it is to lie in place.
pub struct Leaf {
    /// What it is.
    pub view: CertificateView,
    /// The content of its file.
    pub pem: String,
    /// Its key, if that is a new one.
    pub key: Option<Zeroizing<String>>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    fn place(&self) -> Place {
        Place { folder: self.folder.clone(), slug: Slug::of(self.whose.stem()) }
    }

    /// What a certificate is asked for with: by the names of the one that is there, if others were not named.
    pub fn request(&self, there: Option<&CertificateView>) -> Result<Request, CommandError> {
        let (name, names) = match there.filter(|_| self.named == Named::Assumed) {
            None => self.names.clone(),
            Some(there) => {
                let further = there
                    .names
                    .iter()
                    .filter(|name| name.split_once(':').is_none_or(|(_, name)| name != there.name));
                let names: Result<Vec<_>, _> = further.map(|name| SubjectAltName::from_str(name)).collect();
                let names = names.map_err(|error| {
                    CommandError::internal(format!("the names of {} cannot be read", there.serial))
                        .because(&error)
                })?;
                (there.name.clone(), names)
            }
        };
        let there_type = there.and_then(|there| issuance::key_type(&there.key_type).ok());
        Ok(Request {
            profile: self.whose.profile(),
            name,
            names,
            days: self.days,
            key_type: self.key_type.or(there_type).unwrap_or(KeyType::P384),
            project: self.project.clone(),
            trusted: None,
        })
    }

    /// The digest by which an unfinished issuance is known again.
    fn digest(&self, request: &Request) -> String {
        Fingerprint::of(format!("export {}", request.digest()).as_bytes()).to_string()
    }

    /// The content of the certificate's file: LXD's client sends all that is in it, and its server takes
    /// whatever comes first for the client.
    fn content(&self, pem: &str, chain: &str) -> String {
        match self.whose {
            Whose::Client => pem.to_owned(),
            Whose::Server => chain.to_owned(),
        }
    }
}

/// The certificate that is to lie in place; one is issued if need be.
pub fn leaf(
    plan: &Plan,
    exported: &Exported,
    ours: &Ours,
    connection: &Connection,
    context: &Context,
) -> Result<Leaf, CommandError> {
    let place = plan.place();
    let pending = match place.look()?.pending {
        Some(Decoded::Pending(pending)) => Some(pending),
        Some(Decoded::Foreign | Decoded::Torn) | None => None,
    };
    let there = found::leaf(plan, ours, pending.as_ref().map(|pending| pending.key.as_str()), connection)?;
    let request = plan.request(there.as_ref().map(|there| &there.shown.certificate))?;
    let digest = plan.digest(&request);
    let is_unfinished = pending.as_ref().is_some_and(|pending| pending.request == digest);
    let Some(there) = there.filter(|_| !is_unfinished) else {
        return issue(plan, &request, &digest, None, connection);
    };
    match step(plan, &there, exported, context)? {
        Step::Keep => Ok(kept(plan, there)),
        Step::Renew => renew(plan, there, connection),
        Step::Reissue => issue(plan, &request, &digest, Some(&there), connection),
        Step::Replace => issue(plan, &request, &digest, None, connection),
        Step::Stuck => {
            let (signer, bound) = (&there.shown.certificate.issuer, &exported.authority.key_id);
            Err(CommandError::conflict(format!(
                "the client's certificate is one of issuing CA {signer}, and issuing CA {bound} signs no more"
            ))
            .hint("without --issuer it is bound to the issuing CA in force"))
        }
    }
}

fn step(plan: &Plan, there: &There, exported: &Exported, context: &Context) -> Result<Step, CommandError> {
    let names = match plan.named {
        Named::Assumed => None,
        Named::Asked => {
            let (name, further) = &plan.names;
            let further: Vec<String> = further.iter().map(ToString::to_string).collect();
            let kind = match plan.whose {
                Whose::Client => LeafKind::Client,
                Whose::Server => LeafKind::Server,
            };
            let subject = Subject::typed(kind, name, &further).map_err(|error| {
                CommandError::usage("no certificate can bear these names").because(&error)
            })?;
            Some((name.as_str(), subject.names().iter().map(ToString::to_string).collect()))
        }
    };
    let authorities: Vec<_> = exported.authorities.iter().map(|one| &one.view).collect();
    let wanted = Wanted {
        whose: plan.whose,
        names,
        key_type: plan.key_type,
        issuer: &exported.authority,
        authorities: &authorities,
    };
    Ok(decide(&there.shown.certificate, there.key_there(), &wanted, context.now()))
}

fn kept(plan: &Plan, there: There) -> Leaf {
    let view = there.shown.certificate;
    let mut warnings = Vec::new();
    if view.status == Status::Held {
        warnings.push(format!("certificate {} of {} is on hold", view.serial, view.name));
    }
    let pem = plan.content(&there.shown.pem, &there.shown.chain);
    Leaf { view, pem, key: None, warnings }
}

/// A successor for the same key: nothing has to be kept for the case that we are interrupted.
fn renew(plan: &Plan, there: There, connection: &Connection) -> Result<Leaf, CommandError> {
    let selector = Selector::Pem(there.shown.pem.clone());
    match connection.call(Renew { selector, csr: None, if_due: false })? {
        Renewed::NotDue(_) => Ok(kept(plan, there)),
        Renewed::Renewed(issued) => {
            issuance::genuine(&issued)?;
            Ok(made(plan, *issued, None))
        }
    }
}

/// One for a new key, or for the key that is there.
fn issue(
    plan: &Plan,
    request: &Request,
    digest: &str,
    there: Option<&There>,
    connection: &Connection,
) -> Result<Leaf, CommandError> {
    let place = plan.place();
    let key = there.filter(|there| there.key_there() == KeyThere::Ours).and_then(|there| there.key.as_ref());
    let pending = issuance::begin(&place, digest, Overwrite::Allow, || match key {
        Some(key) => issuance::prepare_for(key, &request.name, &request.names, digest.to_owned()),
        None => issuance::prepare(&request.name, &request.names, request.key_type, digest.to_owned()),
    })?;
    let operation: Issue = request.operation(pending.csr.clone(), false);
    let issued = issuance::settle(connection.call(operation), &place)?;
    issuance::belongs(&issued, &pending)?;
    Ok(made(plan, issued, Some(pending.key)))
}

fn made(plan: &Plan, issued: Issued, key: Option<Zeroizing<String>>) -> Leaf {
    let pem = plan.content(&issued.pem, &issued.chain);
    Leaf { view: issued.certificate, pem, key, warnings: issued.warnings }
}

/// Forgets the unfinished issuance, once everything lies in place.
pub fn settled(plan: &Plan) -> Result<(), CommandError> {
    Ok(store::file::remove(&plan.place().pending_path())?)
}
