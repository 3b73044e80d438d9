//! The orders under way, as they are stored: put, taken, forgotten.

use ca::key::PrivateKey;
use store::{Batch, Class, Table, Versioned};
use zeroize::Zeroizing;

use super::account::{aad, account_name, hex_digest};
use super::check::check;
use super::model::{OrderRecord, Stage};
use super::obtain::Obtained;
use super::{Application, Client, Names};
use crate::Error;

impl Client {
    pub(super) fn put_order(
        &self,
        id: &str,
        record: OrderRecord,
        version: Option<store::Version>,
        what: &str,
    ) -> Result<Versioned<OrderRecord>, Error> {
        let names = record.names.join(", ");
        let what = format!("{what} for {names}");
        let mut batch = Batch::new(Class::State, (self.clock)().unix_timestamp(), &*self.who, what);
        batch.expect(Table::<OrderRecord>::key(id), version);
        Table::put(&mut batch, id, &record);
        self.commit(batch, &names)?;
        match Table::<OrderRecord>::get(&self.store, id)? {
            Some(stored) if stored.record == record => Ok(stored),
            Some(_) | None => Err(Error::Busy { names }),
        }
    }

    pub(super) fn forget(&self, id: &str, stored: &Versioned<OrderRecord>, what: &str) -> Result<(), Error> {
        let names = stored.record.names.join(", ");
        let what = format!("{what} for {names}");
        let mut batch = Batch::new(Class::State, (self.clock)().unix_timestamp(), &*self.who, what);
        batch.expect_unchanged(stored.key.clone(), stored.version);
        batch.delete(Table::<OrderRecord>::key(id));
        self.commit(batch, &names)
    }

    /// A certificate that was issued and not settled.
    pub(super) fn take(
        &self,
        id: &str,
        stored: &Versioned<OrderRecord>,
        names: &Names,
    ) -> Option<Result<Obtained, Error>> {
        match &stored.record.stage {
            Stage::Issued { sealed_key, chain } => Some(self.unseal(id, sealed_key).and_then(|key| {
                let certificate = check(chain, &public(&key)?, names, (self.clock)(), &self.limits)
                    .map_err(Error::Certificate)?;
                Ok(Obtained { certificate, key, order: id.to_owned(), version: stored.version })
            })),
            Stage::Placing | Stage::Created | Stage::Answering | Stage::Finalizing { .. } => None,
        }
    }

    pub(super) fn unseal(&self, id: &str, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
        let plain = self.sealing.open(sealed, &aad(id, "certificate key"))?;
        Ok(Zeroizing::new(String::from_utf8_lossy(&plain).into_owned()))
    }
}

/// The record's name: a digest of what makes the order one of its own.
pub(super) fn order_name(application: &Application) -> String {
    let account = account_name(&application.authority);
    let names: Vec<String> = application.names.sorted().iter().map(ToString::to_string).collect();
    let mut parts = vec![account.as_str()];
    parts.extend(names.iter().map(String::as_str));
    hex_digest(&parts)
}

pub(super) fn public(key: &Zeroizing<String>) -> Result<ca::cert::PublicKey, Error> {
    let key = PrivateKey::from_pem(key.as_bytes(), None).map_err(Error::Key)?;
    Ok(key.public_key().clone())
}
