//! The certificates that are wanted and not there yet: why not, and when it is tried again.

use std::time::Duration;

use store::{Batch, Class, Store, Table, Versioned};

use super::model::WantedRecord;
use super::renew::pause;
use super::{Application, Client};
use crate::Error;

/// How many are read at most: the service wants one, and leaves one behind when its first name changes.
const MOST: usize = 16;

/// Every certificate that is wanted and not there yet.
pub fn wanted(store: &Store) -> Result<Vec<Versioned<WantedRecord>>, Error> {
    Ok(Table::<WantedRecord>::list(store, None, MOST)?)
}

impl Client {
    /// Records that a first certificate could not be obtained, why, and when the next attempt is due.
    /// `asked` is what everything it was asked with comes to: if it is another than before, the failures
    /// are counted anew.
    pub fn note_wanted(
        &self,
        application: &Application,
        asked: &str,
        words: &str,
        wait: Option<Duration>,
    ) -> Result<WantedRecord, Error> {
        let first = application.names.first();
        let before = Table::<WantedRecord>::get(&self.store, &first)?;
        let failures = before.as_ref().filter(|before| before.record.asked == asked);
        let failures = failures.map_or(0, |before| before.record.failures).saturating_add(1);
        let now = (self.clock)().unix_timestamp();
        let record = WantedRecord {
            names: application.names.to_strings(),
            directory: application.authority.directory.to_string(),
            asked: asked.to_owned(),
            failures,
            last_error: words.to_owned(),
            next_attempt: now.saturating_add_unsigned(pause(failures, wait).as_secs()),
        };
        let what = format!("obtaining the ACME certificate for {} failed", application.names);
        let mut batch = Batch::new(Class::State, now, &*self.who, what);
        batch.expect(Table::<WantedRecord>::key(&first), before.map(|before| before.version));
        Table::put(&mut batch, &first, &record);
        self.commit(batch, &application.names.to_string())?;
        Ok(record)
    }

    /// Forgets what is not wanted any more.
    pub fn forget_wanted(&self, stored: &Versioned<WantedRecord>) -> Result<(), Error> {
        let names = stored.record.names.join(", ");
        let now = (self.clock)().unix_timestamp();
        let what = format!("no ACME certificate for {names} is wanted any more");
        let mut batch = Batch::new(Class::State, now, &*self.who, what);
        batch.expect_unchanged(stored.key.clone(), stored.version);
        batch.delete(stored.key.clone());
        self.commit(batch, &names)
    }
}
