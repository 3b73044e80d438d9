//! Trusting a certificate or a local user: `pki trust add FILE`, `pki trust add --local-user NAME`.
//!
//! A certificate that no rule would let in is refused now, not at its first handshake. Adding lifts a
//! denial that an earlier removal left behind; nothing else does.

use ca::cert::Certificate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::change::{Cause, Wish, add_certificate, add_user};
use trust::entry::{EntryName, Id, Origin};
use trust::{Action, Holder, LocalUser, Permit};
use utoipa::ToSchema;

use super::view::{self, RightsWanted, TrustView};
use super::{TrustError, decided_by, demand_projects, rights, settle};
use crate::Pki;
use crate::ops::{Error, Operation};

/// Trusts a certificate.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrustAdd {
    /// The certificate, PEM; what stands behind it may help to build its path.
    pub certificate: String,
    /// What to call it; without one it gets its common name.
    pub name: Option<String>,
    /// What it may do, and where.
    pub rights: RightsWanted,
}

impl Operation for TrustAdd {
    const NAME: &'static str = "trust-add";
    const ACTION: Action = Action::Trust;
    type Reply = TrustView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TrustView, Error> {
        let mut bundle = Certificate::pem_bundle(self.certificate.as_bytes()).map_err(ca::Error::from)?;
        let intermediates = bundle.split_off(1);
        let holder = Holder::new(bundle.remove(0), intermediates);
        let name = name(self.name.as_deref())?;
        let cause = Cause::from(permit);
        settle(pki, || {
            let vetted = pki.gate().vet_again(&holder, &decided_by(pki)?, now).map_err(in_full)?;
            let state = pki.gate().set().now()?;
            let rights = rights(&self.rights, &state)?;
            let wish = Wish { name: name.clone(), rights, origin: Origin::Added };
            let mut batch = add_certificate(&state, &holder, &vetted, &wish, &cause, now)?;
            demand_projects(&mut batch, &wish.rights, &state);
            Ok((Some(batch), ()))
        })?;
        shown(pki, &Id::Certificate(*holder.fingerprint()), now)
    }
}

/// Trusts a user of this machine.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrustAddUser {
    /// The user's name, or the id of one who has none here.
    pub user: String,
    /// What the user may do, and where.
    pub rights: RightsWanted,
}

impl Operation for TrustAddUser {
    const NAME: &'static str = "trust-add-user";
    const ACTION: Action = Action::Trust;
    type Reply = TrustView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TrustView, Error> {
        let user = user(&self.user)?;
        let cause = Cause::from(permit);
        settle(pki, || {
            let state = pki.gate().set().now()?;
            let rights = rights(&self.rights, &state)?;
            let wish = Wish { name: None, rights, origin: Origin::Added };
            let mut batch = add_user(&state, &user, &wish, pki.owner(), &cause, now)?;
            demand_projects(&mut batch, &wish.rights, &state);
            Ok((Some(batch), ()))
        })?;
        shown(pki, &Id::User(user.uid), now)
    }
}

/// Whoever adds is told why, other than whoever is refused.
fn in_full(error: trust::Error) -> Error {
    match error {
        trust::Error::Refused(refusal) => TrustError::Unacceptable(refusal).into(),
        other => other.into(),
    }
}

/// The user of that name, or of that id.
fn user(word: &str) -> Result<LocalUser, Error> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let uid = trust::local::user_id_of(&users, word).or_else(|| word.parse().ok());
    let uid = uid.ok_or_else(|| TrustError::NoUser { name: ca::cert::printable(word) })?;
    Ok(crate::peer::user(uid))
}

/// A name for an entry, if there is one.
pub(super) fn name(text: Option<&str>) -> Result<Option<EntryName>, Error> {
    Ok(text.map(str::parse).transpose().map_err(TrustError::Name)?)
}

/// Shows the entry that was just written.
pub(super) fn shown(pki: &Pki, id: &Id, now: OffsetDateTime) -> Result<TrustView, Error> {
    let entry = pki.gate().set().now()?.entry(id).cloned();
    let gone = || trust::change::ChangeError::NotFound { word: "what was just written".to_owned() };
    view::entry(pki, &*entry.ok_or_else(gone)?, now)
}
