//! `/1.0/certificates`: who is trusted by a certificate.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, Path, RawQuery, Request, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::cert::{Certificate, CertificateError};
use http::header::{HeaderMap, IF_MATCH};
use serde::Deserialize;
use serde_json::json;
use trust::token::{TokenError, WireToken};
use trust::{Action, Presented};
use utoipa::ToSchema;

use super::envelope::{Failure, Reply};
use super::shapes::CertificateObject;
use super::{blocking, failure, is_recursive, operations};
use crate::http::{Desk, operation};
use crate::limits::Sender;
use crate::listen::Caller;
use crate::ops::phrase::Phrase;
use crate::ops::redeem::{Redemption, redeem};
use crate::ops::trust::add::TrustAdd;
use crate::ops::trust::edit::TrustEdit;
use crate::ops::trust::list::{Fingerprints, TrustList, TrustShow};
use crate::ops::trust::remove::TrustRemove;
use crate::ops::trust::replace;
use crate::ops::trust::token::TokenCreate;
use crate::ops::trust::view::{RightsWanted, TrustView};
use crate::ops::view::Selector;
use crate::{Pki, clock, ops};

/// What is posted. Fields that are not known are passed over, as LXD does.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Posted {
    /// Base64 over DER; empty for the certificate of the connection.
    certificate: String,
    /// What the entry is to be called.
    name: String,
    /// The token, as clients up to LXD 5.0 send it.
    password: Phrase,
    /// The projects that it is to be limited to. Clients in Go write `null` for none.
    projects: Option<Vec<String>>,
    /// Whether it is to be limited to projects.
    restricted: bool,
    /// Whether a token is wanted, for somebody else.
    token: bool,
    /// The same, as later ones do.
    trust_token: Phrase,
    /// `client` if empty, `server` or `metrics`.
    r#type: String,
}

impl Posted {
    /// The secret that somebody would be let in by.
    fn secret(&self) -> Option<&Phrase> {
        [&self.trust_token, &self.password].into_iter().find(|secret| !secret.expose().is_empty())
    }

    fn kind(&self) -> &str {
        if self.r#type.is_empty() { "client" } else { &self.r#type }
    }

    fn rights(&self) -> RightsWanted {
        RightsWanted {
            kind: self.kind().to_owned(),
            restricted: self.restricted,
            projects: self.projects.clone().unwrap_or_default(),
        }
    }
}

/// What an entry is to be.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Put {
    /// PEM; empty for the one that is there.
    certificate: Option<String>,
    /// What it is to be called.
    name: Option<String>,
    /// The projects that it is to be limited to.
    projects: Option<Vec<String>>,
    /// Whether it is to be limited to projects.
    restricted: Option<bool>,
    /// `client`, `server` or `metrics`.
    r#type: Option<String>,
}

impl Put {
    /// Whether all but the certificate stays as it is.
    fn keeps(&self, entry: &TrustView) -> bool {
        let rights = &entry.rights;
        let wanted = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        wanted(&self.name).is_none_or(|name| name == entry.name)
            && wanted(&self.r#type).is_none_or(|kind| kind == rights.kind)
            && self.restricted.is_none_or(|restricted| restricted == rights.restricted)
            && self.projects.as_ref().is_none_or(|projects| *projects == rights.projects)
    }
}

/// Whoever is trusted by a certificate, as far as whoever asks may see them.
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    RawQuery(query): RawQuery,
) -> Result<Reply, Failure> {
    if !is_recursive(query.as_deref()) {
        // A look into memory, done where the request was read: a thread for it would cost more than all of it.
        let fingerprints = desk.pki.run(Fingerprints {}, &presented, clock::now())?;
        return Ok(Reply::Done(fingerprints.iter().map(|one| json!(location(one))).collect()));
    }
    let work = move |pki: &Pki| {
        let entries = pki.run(TrustList {}, &presented, clock::now())?;
        let shown = entries.iter().filter_map(CertificateObject::of).map(|object| json!(object));
        Ok(Reply::Done(shown.collect()))
    };
    blocking(desk, Action::Read, work).await
}

/// One of them.
pub(super) async fn show(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    Path(word): Path<String>,
) -> Result<Reply, Failure> {
    let work = move |pki: &Pki| {
        let entry = one(pki, &presented, word)?;
        let metadata = json!(CertificateObject::of(&entry).ok_or_else(nobody)?);
        Ok(Reply::Shown { metadata, tag: format!("\"{}\"", entry.version) })
    };
    blocking(desk, Action::Read, work).await
}

/// Adds a certificate, makes a token, or redeems one: what it is depends on who asks.
pub(super) async fn add(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Reply, Failure> {
    // A certificate or a token, and whoever brings one may be anybody.
    let posted: Posted = operation::parse(request, &desk.limits, Sender::Anyone).await?;
    let work = move |pki: &Pki| {
        let presented = &*caller.presented;
        match (pki.admit(presented, clock::now()), posted.secret()) {
            (Ok(_), _) if posted.token => token(pki, presented, &posted),
            (Ok(_), _) if !posted.certificate.is_empty() => certificate(pki, presented, &posted),
            (Ok(_) | Err(ops::Error::Refused(_)), Some(secret)) => let_in(pki, &caller, secret),
            (Ok(_), None) => Err(Failure::invalid("Client is already trusted")),
            (Err(error), _) => {
                pki.note_refusal(presented, &error, ADD, clock::now());
                Err(error.into())
            }
        }
    };
    blocking(desk, Action::Trust, work).await
}

/// What the journal calls it when somebody asks to be let in.
const ADD: &str = "POST /1.0/certificates";

/// Replaces what can be changed of an entry.
pub(super) async fn replace(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    Path(word): Path<String>,
    request: Request,
) -> Result<Reply, Failure> {
    change(desk, presented, word, request).await
}

/// The same for the fields that are named.
pub(super) async fn update(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    Path(word): Path<String>,
    request: Request,
) -> Result<Reply, Failure> {
    change(desk, presented, word, request).await
}

/// Removes an entry; its certificate is denied from then on.
pub(super) async fn remove(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    Path(word): Path<String>,
) -> Result<Reply, Failure> {
    let work = move |pki: &Pki| {
        let entry = one(pki, &presented, word)?;
        let which = Selector::Word(entry.fingerprint.ok_or_else(nobody)?);
        pki.run(TrustRemove { which, revoke: false, reason: None }, &presented, clock::now())?;
        Ok(Reply::Done(json!({})))
    };
    blocking(desk, Action::Trust, work).await
}

async fn change(
    desk: Desk,
    presented: Arc<Presented>,
    word: String,
    request: Request,
) -> Result<Reply, Failure> {
    let expected = expected(request.headers())?;
    let put: Put = operation::parse(request, &desk.limits, Sender::Admitted).await?;
    let work = move |pki: &Pki| {
        let entry = one(pki, &presented, word)?;
        let fingerprint = entry.fingerprint.clone().ok_or_else(nobody)?;
        if let Some(pem) = put.certificate.as_deref().filter(|pem| !pem.trim().is_empty()) {
            let new = Certificate::from_pem(pem.as_bytes()).map_err(unreadable)?;
            if new.fingerprint().to_string() != fingerprint {
                // One thing after the other: each is committed whole, and rests on what was read.
                if !put.keeps(&entry) {
                    return Err(Failure::forbidden("Only the certificate can be changed"));
                }
                replace::replace(pki, &presented, &fingerprint, &new, expected, clock::now())?;
                return Ok(Reply::Done(json!({})));
            }
        }
        let edit = TrustEdit {
            word: fingerprint,
            name: put.name.filter(|name| !name.is_empty()),
            kind: put.r#type.filter(|kind| !kind.is_empty()),
            restricted: put.restricted,
            projects: put.projects,
            version: expected,
        };
        pki.run(edit, &presented, clock::now())?;
        Ok(Reply::Done(json!({})))
    };
    blocking(desk, Action::Trust, work).await
}

/// The version that `If-Match` names (RFC 9110 §13.1.1); `*` and nothing are any.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(tag) = headers.get(IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" || tag.is_empty() {
        return Ok(None);
    }
    let version = tag.trim_matches('"').parse::<u64>();
    // What is no tag of ours fits nothing that there is.
    Ok(Some(version.unwrap_or(u64::MAX)))
}

fn token(pki: &Pki, presented: &Presented, posted: &Posted) -> Result<Reply, Failure> {
    if !posted.certificate.is_empty() {
        return Err(Failure::invalid("Can't use certificate if token is requested"));
    }
    if posted.kind() != "client" {
        return Err(Failure::invalid("Tokens can only be issued for client certificates"));
    }
    let create = TokenCreate { name: posted.name.clone(), rights: posted.rights() };
    operations::started(&pki.run(create, presented, clock::now())?)
}

fn certificate(pki: &Pki, presented: &Presented, posted: &Posted) -> Result<Reply, Failure> {
    let no_base64 = |_| Failure::invalid("the certificate can't be read: it must be base64 over DER");
    let der = STANDARD.decode(&posted.certificate).map_err(no_base64)?;
    let certificate = Certificate::from_der(&der).map_err(unreadable)?;
    let add = TrustAdd {
        certificate: certificate.to_pem(),
        name: Some(posted.name.clone()).filter(|name| !name.is_empty()),
        rights: posted.rights(),
    };
    pki.run(add, presented, clock::now())?;
    Ok(Reply::Created { location: location(&certificate.fingerprint().to_string()) })
}

/// Lets the holder of this connection's certificate in by a token.
fn let_in(pki: &Pki, caller: &Caller, text: &Phrase) -> Result<Reply, Failure> {
    let Presented::Certificate(holder) = &*caller.presented else {
        return Err(Failure::invalid("No client certificate provided"));
    };
    let (remote, fingerprint) = (caller.remote, holder.fingerprint());
    // What is no token at all is taken for a password, and there is none.
    let token = WireToken::decode(text.expose()).ok();
    let secret = token.as_ref().map(|token| &token.secret);
    let redeemed = pki.redeeming(&caller.ends(), secret, Instant::now(), || match secret {
        Some(secret) => redeem(pki, holder, secret, clock::now()),
        None => Err(trust::Error::from(TokenError::NoMatch).into()),
    });
    match redeemed {
        Ok(Redemption::Trusted { name }) => {
            tracing::info!(%remote, %fingerprint, %name, "let in by a token");
            Ok(Reply::Created { location: location(&fingerprint.to_string()) })
        }
        Ok(Redemption::AlreadyTrusted) => {
            Err(Failure::new(http::StatusCode::CONFLICT, "Client is already trusted"))
        }
        Err(error) => {
            pki.note_refusal(&caller.presented, &error, ADD, clock::now());
            let reason = crate::http::problem::in_words(&error);
            tracing::warn!(%remote, %fingerprint, reason, "no token for it");
            // Whoever proved the key of a certificate may know that its time is over.
            if let ops::Error::Refused(refusal) = &error
                && let Some(told) = failure::out_of_date(refusal)
            {
                return Err(Failure::invalid(told));
            }
            match (error, secret) {
                (ops::Error::Trust(_), None) => Err(Failure::forbidden("not authorized")),
                (error, _) => Err(error.into()),
            }
        }
    }
}

fn one(pki: &Pki, presented: &Presented, word: String) -> Result<TrustView, Failure> {
    Ok(pki.run(TrustShow { word }, presented, clock::now())?)
}

fn unreadable(error: CertificateError) -> Failure {
    ops::Error::from(ca::Error::from(error)).into()
}

fn nobody() -> Failure {
    Failure::not_found("Certificate not found")
}

fn location(fingerprint: &str) -> String {
    format!("/1.0/certificates/{fingerprint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_posted_is_shown_by_nothing() {
        for field in ["password", "trust_token"] {
            let posted: Posted = serde_json::from_value(json!({ field: "swordfish" })).unwrap();
            let secret = posted.secret().unwrap();
            assert_eq!(secret.expose(), "swordfish");
            assert_eq!(format!("{secret:?}"), "Phrase(…)");
        }
        assert!(Posted::default().secret().is_none());
    }
}
