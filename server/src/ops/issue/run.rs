//! How issuance runs: the requests become orders, the authority's desk does the rest.

use ca::cert::{Certificate, Csr, DnsName, Script};
use ca::plan::{Delivery, Order, Planned, Requester};
use ca::records::IssuedRecord;
use ca::renew::{self, SuccessorKey};
use ca::subject::{LeafKind, Subject};
use store::spread::{cores, spread};
use time::OffsetDateTime;
use trust::change::{Cause, Wish, renewal, trust_issued};
use trust::entry::Origin;
use trust::{Peer, Permit};

use super::{Issue, IssueMany, IssueTrusted, Issued, ProfileName, Renew, Renewed, RowReply};
use crate::Pki;
use crate::http::problem::problem;
use crate::ops::trust::{demand_projects, rights};
use crate::ops::view::CertificateView;
use crate::ops::{Error, project, select, shape};

impl ProfileName {
    pub(in crate::ops) fn kind(self) -> LeafKind {
        match self {
            ProfileName::Client => LeafKind::Client,
            ProfileName::Server => LeafKind::Server,
        }
    }
}

/// The order that a request comes to. Of the CSR only the key is taken, unless no name was given.
fn order(pki: &Pki, request: &Issue, permit: &Permit) -> Result<Order, Error> {
    let project = project::meant(permit, request.project.as_deref())?;
    let csr = Csr::from_pem_or_der(request.csr.as_bytes()).map_err(ca::Error::from)?;
    let kind = request.profile.kind();
    let subject = match &request.name {
        Some(name) => Subject::typed(kind, name, &request.names),
        None if request.names.is_empty() => Subject::requested(kind, &csr),
        None => return Err(Error::Nameless),
    };
    let subject = subject.map_err(ca::Error::from)?;
    let mut by = project::requester(permit, project.as_str());
    by.rests_on = project::allow(pki, project.as_str(), subject.names())?;
    Ok(Order::new(&csr, kind, subject, request.days, by))
}

pub(in crate::ops) fn reply(
    pki: &Pki,
    issued: &ca::plan::Issued,
    now: OffsetDateTime,
) -> Result<Issued, Error> {
    // What was made just now was not revoked when it was made.
    let revocation = match issued.delivery {
        Delivery::New => None,
        Delivery::Repeated => pki.revoked().find(&issued.record.issuer, &issued.record.serial)?,
    };
    let certificate = shape::read(&issued.record, Some(&issued.certificate), revocation, now);
    let warnings =
        issued.shortened.iter().map(ToString::to_string).chain(look_alikes(&certificate)).collect();
    let pem = issued.certificate.to_pem();
    Ok(Issued {
        certificate,
        chain: chain(pki, issued, &pem)?,
        pem,
        repeated: issued.delivery == Delivery::Repeated,
        warnings,
    })
}

/// What to say of names that are not what they seem to the eye: they are legal, and rarely meant.
fn look_alikes(certificate: &CertificateView) -> Vec<String> {
    let names =
        certificate.names.iter().filter_map(|name| name.strip_prefix("dns:")?.parse::<DnsName>().ok());
    names
        .filter(|name| name.script() == Script::Mixed)
        .map(|name| {
            format!(
                "{name} shows as \"{}\": it mixes letters of alphabets that look alike",
                name.to_unicode()
            )
        })
        .collect()
}

/// A leaf and the authorities between it and the root, PEM. For a repeated answer the authority that signed is
/// not always the one that signs now.
fn chain(pki: &Pki, issued: &ca::plan::Issued, pem: &str) -> Result<String, Error> {
    let current = issued.issuer.certificate();
    if current.key_id() != issued.signed_by() {
        return Ok(shape::chain(&issued.certificate, &shape::issuer(pki, &issued.signed_by())?));
    }
    let issuer = if current.is_self_issued() { "" } else { current.pem() };
    Ok([pem, issuer].concat())
}

pub(super) fn issue(
    request: &Issue,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Issued, Error> {
    let order = order(pki, request, permit)?;
    let policy = pki.policy()?;
    let desk = pki.desk(&policy);
    if !request.dry_run {
        return reply(pki, &desk.issue(&order, now)?, now);
    }
    match desk.plan(&order, now)? {
        Planned::Repeated(issued) => reply(pki, &issued, now),
        Planned::New(plan) => {
            let csr = Csr::from_pem_or_der(request.csr.as_bytes()).map_err(ca::Error::from)?;
            let mut certificate = shape::planned(plan.record(), None, now)?;
            certificate.key_type = csr.public_key().key_type().to_string();
            // The number that it was planned with is never used.
            certificate.serial.clear();
            let warnings =
                plan.shortened().iter().map(ToString::to_string).chain(look_alikes(&certificate)).collect();
            Ok(Issued { certificate, pem: String::new(), chain: String::new(), repeated: false, warnings })
        }
    }
}

/// Issues, and adds the entry in the batch that records the certificate.
pub(super) fn issue_trusted(
    request: &IssueTrusted,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Issued, Error> {
    let order = order(pki, &request.issue, permit)?;
    let cause = Cause::from(permit);
    let policy = pki.policy()?;
    let issued = pki.desk(&policy).issue_joined(&order, now, |certificate, batch| {
        let state = pki.gate().set().now()?;
        let rights = rights(&request.rights, &state)?;
        demand_projects(batch, &rights, &state);
        let wish = Wish { name: None, rights, origin: Origin::Issued };
        trust_issued(batch, &state, certificate, &wish, &cause, now).map_err(Error::from)
    })?;
    let mut reply = reply(pki, &issued, now)?;
    // An order that was answered before joined nothing: what became of the entry since is left alone.
    if pki.gate().set().now()?.entry_of(&issued.certificate.fingerprint()).is_none() {
        reply.warnings.push(format!(
            "certificate {} was issued before and is not trusted: `pki trust add` its file",
            reply.certificate.serial
        ));
    }
    Ok(reply)
}

pub(super) fn issue_many(
    request: IssueMany,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Vec<RowReply>, Error> {
    let count = request.requests.len();
    if count > IssueMany::LIMIT {
        return Err(Error::Limit { what: "requests", count, limit: IssueMany::LIMIT });
    }
    let policy = pki.policy()?;
    let desk = pki.desk(&policy);
    // Checking a request's signature costs more than making a certificate's: it is done on every core.
    let parsed = in_parallel(&request.requests, |row| order(pki, row, permit));
    let mut orders = Vec::with_capacity(count);
    let mut places = Vec::with_capacity(count);
    let mut replies: Vec<Option<RowReply>> = Vec::with_capacity(count);
    for (place, (row, parsed)) in request.requests.iter().zip(parsed).enumerate() {
        match parsed {
            Ok(_) if row.dry_run => {
                let planned = issue(row, pki, permit, now);
                replies.push(Some(row_reply(planned)));
            }
            Ok(order) => {
                orders.push(order);
                places.push(place);
                replies.push(None);
            }
            Err(error) => replies.push(Some(RowReply::Failed(problem(&error)))),
        }
    }
    let issued = desk.issue_many(&orders, now);
    for (place, issued) in places.into_iter().zip(issued) {
        let answer = issued.map_err(Error::from).and_then(|issued| reply(pki, &issued, now));
        replies[place] = Some(row_reply(answer));
    }
    // Where no service runs, nobody else keeps count; what is not kept is counted again.
    if let Err(error) = pki.tally().keep(now) {
        tracing::warn!(%error, "the count of certificates could not be kept");
    }
    Ok(replies.into_iter().flatten().collect())
}

fn row_reply(issued: Result<Issued, Error>) -> RowReply {
    match issued {
        Ok(issued) => RowReply::Issued(Box::new(issued)),
        Err(error) => RowReply::Failed(problem(&error)),
    }
}

pub(super) fn renew(
    request: &Renew,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Renewed, Error> {
    let predecessor = select::one_valid(pki, permit, &request.selector, now)?;
    if request.if_due && now < renew::due(&predecessor) {
        return Ok(Renewed::NotDue(Box::new(shape::certificate(pki, &predecessor, now)?)));
    }
    let csr = request.csr.as_deref().map(|csr| Csr::from_pem_or_der(csr.as_bytes())).transpose();
    let csr = csr.map_err(ca::Error::from)?;
    let by = project::requester(permit, &predecessor.project);
    let (peer, cause) = (permit.peer(), Cause::from(permit));
    let issued = succeed(pki, &predecessor, csr.as_ref(), by, peer, &cause, now)?;
    Ok(Renewed::Renewed(Box::new(issued)))
}

/// Issues the successor of a certificate. Whoever is let in by the predecessor is let in by the successor,
/// and no further.
pub(in crate::ops) fn succeed(
    pki: &Pki,
    predecessor: &IssuedRecord,
    csr: Option<&Csr>,
    by: Requester,
    peer: &Peer,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Issued, Error> {
    let key = csr.map_or(SuccessorKey::Kept, SuccessorKey::Of);
    let order = renew::order(pki.store(), predecessor, key, by, now)?;
    let rests_on = project::allow(pki, &predecessor.project, order.subject().names())?;
    let policy = pki.policy()?;
    let desk = pki.desk(&policy);
    let old = predecessor.der.as_deref().map(Certificate::from_der).transpose().map_err(ca::Error::from)?;
    let issued = desk.issue_joined(&order, now, |successor, batch| {
        rests_on.demand(batch);
        match &old {
            Some(old) => {
                let state = pki.gate().set().now()?;
                renewal::carry(batch, &state, old, successor, peer, cause, now).map_err(Error::from)
            }
            None => Ok(()),
        }
    })?;
    reply(pki, &issued, now)
}

/// Applies `work` to every item, on every core, and keeps the order.
pub(in crate::ops) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    spread(items.iter().collect(), cores(), work)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
