//! The certificates that were obtained, as they are kept.

use std::time::Duration;

use store::{Batch, Class, Store, Table, Versioned};

use super::model::{CertificateRecord, Deploy, OrderRecord, WantedRecord};
use super::renew::pause;
use super::{Client, Obtained};
use crate::Error;

/// Every certificate that was obtained, by first name.
pub fn certificates(store: &Store) -> Result<Vec<Versioned<CertificateRecord>>, Error> {
    const PAGE: usize = 256;
    let mut all: Vec<Versioned<CertificateRecord>> = Vec::new();
    loop {
        let page = Table::<CertificateRecord>::list(store, all.last().map(|last| &last.key), PAGE)?;
        let done = page.len() < PAGE;
        all.extend(page);
        if done {
            return Ok(all);
        }
    }
}

/// The certificate whose first name is `domain`.
pub fn certificate(store: &Store, domain: &str) -> Result<Versioned<CertificateRecord>, Error> {
    Table::<CertificateRecord>::get(store, domain)?
        .ok_or_else(|| Error::NoCertificate { domain: domain.chars().take(80).collect() })
}

impl Client {
    /// Records that what was obtained lies in its place: the order is done, the certificate is known.
    pub fn settle(&self, obtained: &Obtained, record: &CertificateRecord) -> Result<(), Error> {
        let names = record.names.join(", ");
        let first = record.names.first().cloned().unwrap_or_default();
        let what = format!("obtain certificate for {names} serial={}", record.serial);
        let mut batch = Batch::new(Class::Ledger, (self.clock)().unix_timestamp(), &*self.who, what);
        let order = Table::<OrderRecord>::key(&obtained.order);
        batch.expect_unchanged(order.clone(), obtained.version);
        batch.delete(order);
        Table::put(&mut batch, &first, record);
        // Nobody waits for it any more.
        batch.delete(Table::<WantedRecord>::key(&first));
        self.commit(batch, &names)
    }

    /// Records how far it has come with what happens once files are placed.
    pub fn note_deploy(
        &self,
        stored: &Versioned<CertificateRecord>,
        deploy: Deploy,
        what: &str,
    ) -> Result<Versioned<CertificateRecord>, Error> {
        let record = CertificateRecord { deploy: Some(deploy), ..stored.record.clone() };
        let names = record.names.join(", ");
        let first = record.names.first().cloned().unwrap_or_default();
        let now = (self.clock)().unix_timestamp();
        let mut batch = Batch::new(Class::Ledger, now, &*self.who, format!("{what} for {names}"));
        batch.expect_unchanged(stored.key.clone(), stored.version);
        Table::put(&mut batch, &first, &record);
        self.commit(batch, &names)?;
        certificate(&self.store, &first)
    }

    /// Records that an attempt to renew failed, why, and when the next one is due: later than the
    /// authority `asked` to wait, if it did.
    pub fn note_failure(
        &self,
        stored: &Versioned<CertificateRecord>,
        words: &str,
        asked: Option<Duration>,
    ) -> Result<CertificateRecord, Error> {
        let now = (self.clock)().unix_timestamp();
        let failures = stored.record.failures.saturating_add(1);
        let wait = pause(failures, asked);
        let record = CertificateRecord {
            failures,
            last_error: Some(words.to_owned()),
            next_attempt: now.saturating_add_unsigned(wait.as_secs()),
            ..stored.record.clone()
        };
        let names = record.names.join(", ");
        let what = format!("renewing the ACME certificate for {names} failed");
        let mut batch = Batch::new(Class::Ledger, now, &*self.who, what);
        batch.expect_unchanged(stored.key.clone(), stored.version);
        Table::put(&mut batch, record.names.first().cloned().unwrap_or_default(), &record);
        self.commit(batch, &names)?;
        Ok(record)
    }
}
