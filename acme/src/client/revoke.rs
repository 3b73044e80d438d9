//! Revocation at the authority, by the account that the certificate was issued to (RFC 8555 §7.6).

use crl::Reason;
use instant_acme::{RevocationReason, RevocationRequest};
use rustls_pki_types::CertificateDer;
use store::{Batch, Class, Table, Versioned};

use super::model::CertificateRecord;
use super::session::Session;
use super::{Authority, Client};
use crate::Error;

/// How a revocation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The authority had it as revoked before (`alreadyRevoked`).
    Before,
    /// The authority revoked it now.
    Now,
}

impl Client {
    /// Asks the authority to revoke a certificate that was obtained here, and records it.
    pub async fn revoke(
        &self,
        authority: &Authority,
        stored: &Versioned<CertificateRecord>,
        reason: Reason,
    ) -> Result<Revoked, Error> {
        let reason_code = wire_reason(reason)?;
        let session = Session::open(authority, self.limits).await?;
        let account = self.known_account(&session, authority).await?;
        let certificate = CertificateDer::from_slice(&stored.record.leaf);
        let request = RevocationRequest { certificate: &certificate, reason: Some(reason_code) };
        let revoked = match session.insist("the revocation", async || account.revoke(&request).await).await {
            Ok(()) => Revoked::Now,
            Err(Error::Authority { problem, .. }) if problem.is("alreadyRevoked") => Revoked::Before,
            Err(other) => return Err(other),
        };
        let now = (self.clock)().unix_timestamp();
        let names = stored.record.names.join(", ");
        let what =
            format!("revoke ACME certificate for {names} serial={} reason={reason}", stored.record.serial);
        let record = CertificateRecord {
            revoked: Some(stored.record.revoked.unwrap_or(now)),
            ..stored.record.clone()
        };
        let mut batch = Batch::new(Class::Ledger, now, &*self.who, what);
        batch.expect_unchanged(stored.key.clone(), stored.version);
        Table::put(&mut batch, record.names.first().cloned().unwrap_or_default(), &record);
        self.commit(batch, &names)?;
        Ok(revoked)
    }
}

/// The reasons that can hold for a certificate of another authority; the rest speak of authorities, or
/// of a hold that ACME can't lift.
fn wire_reason(reason: Reason) -> Result<RevocationReason, Error> {
    Ok(match reason {
        Reason::Unspecified => RevocationReason::Unspecified,
        Reason::KeyCompromise => RevocationReason::KeyCompromise,
        Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
        Reason::Superseded => RevocationReason::Superseded,
        Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        Reason::CaCompromise | Reason::CertificateHold | Reason::AaCompromise => {
            return Err(Error::Reason { reason });
        }
    })
}
