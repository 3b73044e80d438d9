//! What other programs need to hold clients and servers to one of our authorities: `pki export`.
//!
//! Certificate and list are those of one authority, in one answer: whoever lays them down side by side
//! never puts one beside the other's successor. An earlier list is not handed out for a newer one that
//! is missing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::authority::{self, Current};
use ca::keyring::issuer_certificate;
use ca::records::{AuthorityRecord, AuthorityState};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{Error, Operation, shape, view::AuthorityView};
use crate::Pki;

/// Asks for an authority with its newest list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Export {
    /// Its key identifier, or a unique prefix of ≥ 8 hex digits; `None` for the issuing CA in force.
    pub issuer: Option<String>,
}

/// An authority, what leads to it, and its newest list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Exported {
    /// The authority.
    pub authority: AuthorityView,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The root's certificate, PEM; the same again where the authority is its own root.
    pub root: String,
    /// The number of its list, decimal.
    pub number: String,
    /// Its list, base64 of DER.
    pub list: String,
    /// Every authority of ours: by these, files are known to be ours.
    pub authorities: Vec<ExportedAuthority>,
    /// Absolute paths of the published files that change when this answer does.
    pub published: Vec<String>,
}

/// One of our authorities.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportedAuthority {
    /// What is known of it.
    pub view: AuthorityView,
    /// Its certificate, PEM.
    pub certificate: String,
}

impl Operation for Export {
    const NAME: &'static str = "export";
    const ACTION: Action = Action::Read;
    type Reply = Exported;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Exported, Error> {
        let authority = match &self.issuer {
            Some(word) => signing(authority::resolve(pki.store(), word)?.record)?,
            None => Current::load(pki.store())?.issuing.record,
        };
        let root = match authority.role.is_root() {
            true => authority.clone(),
            false => {
                let parent = authority::find(pki.store(), &authority.parent)?;
                parent.ok_or_else(|| ca::Error::NotFound { word: authority.parent.to_string() })?.record
            }
        };
        let issuer = authority.key_id;
        let (number, list) = pki.publisher().newest(&authority)?.ok_or(Error::NoList { issuer })?;
        let mut authorities = Vec::new();
        for record in shape::records(pki)?.iter().filter(|record| record.certificate.is_some()) {
            let view = shape::authority(pki, record, now)?;
            authorities.push(ExportedAuthority { view, certificate: pem(record)? });
        }
        let published = ["ca.crt".to_owned(), format!("cas/{issuer}.crl")];
        let published = published.map(|name| pki.directory().join(name).to_string_lossy().into_owned());
        Ok(Exported {
            authority: shape::authority(pki, &authority, now)?,
            certificate: pem(&authority)?,
            root: pem(&root)?,
            number: number.to_string(),
            list: STANDARD.encode(list),
            authorities,
            published: published.into(),
        })
    }
}

/// An authority that others may be held to.
fn signing(authority: AuthorityRecord) -> Result<AuthorityRecord, Error> {
    match authority.state {
        AuthorityState::Current | AuthorityState::Retired => Ok(authority),
        AuthorityState::AwaitingCertificate | AuthorityState::Revoked => Err(Error::Word {
            word: authority.key_id.to_string(),
            expected: "an authority with a certificate that is not revoked",
        }),
    }
}

fn pem(authority: &AuthorityRecord) -> Result<String, Error> {
    Ok(issuer_certificate(authority).map_err(ca::Error::from)?.certificate().to_pem())
}

#[cfg(test)]
mod tests {
    use ca::cert::Certificate;
    use crl::ParsedList;
    use trust::Presented;

    use super::*;
    use crate::ops::authority::{CaRotate, Rotated};
    use crate::testing::{at, made};

    fn ask(pki: &Pki, issuer: Option<String>) -> Exported {
        pki.run(Export { issuer }, &Presented::InProcess, at(20)).unwrap()
    }

    /// The list, which its authority must have signed.
    fn list(exported: &Exported) -> Vec<u8> {
        let der = STANDARD.decode(&exported.list).unwrap();
        let list = ParsedList::read(&der).unwrap();
        let authority = Certificate::from_pem(exported.certificate.as_bytes()).unwrap();
        assert_eq!(list.report(Some(&authority), at(20)).unwrap().findings.len(), 0);
        der
    }

    #[test]
    fn an_authority_comes_with_its_own_list_also_after_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let before = ask(&pki, None);
        assert_eq!(before.authority.state, "current");
        let first = list(&before);
        let rotate = CaRotate { key_type: None, csr_only: false };
        let rotated = pki.run(rotate, &Presented::InProcess, at(10)).unwrap();
        let Rotated::Rotated { current, previous, .. } = rotated else { panic!("{rotated:?}") };
        let after = ask(&pki, None);
        assert_eq!(after.authority.key_id, current.key_id);
        assert_ne!(list(&after), first);
        assert_eq!(after.root, before.root);
        let earlier = ask(&pki, Some(previous.key_id[..8].to_owned()));
        assert_eq!((earlier.certificate.as_str(), list(&earlier)), (before.certificate.as_str(), first));
        assert_eq!(earlier.authorities.len(), 3);
        for path in after.published.iter().chain(&earlier.published) {
            assert!(std::path::Path::new(path).is_file(), "{path}");
        }
        // What is missing is not made up for by another one.
        std::fs::remove_file(&after.published[1]).unwrap();
        for copy in ["ca.crl", "ca.crl.der", "chain.crl"] {
            std::fs::remove_file(pki.directory().join(copy)).unwrap();
        }
        let missing = pki.run(Export { issuer: None }, &Presented::InProcess, at(20));
        assert!(matches!(missing, Err(Error::NoList { .. })), "{missing:?}");
    }
}
