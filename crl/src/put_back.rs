//! Records that are older than what was published: a restored backup, a store that was copied back.
//!
//! What such records lack can't be known here, and is not invented. But no list may carry a number again
//! that readers have seen (RFC 5280 §5.2.3), and whoever runs the PKI must be told.

use ca::authority;
use ca::cert::KeyId;
use store::{Batch, Store, Table};
use time::{Duration, OffsetDateTime};

use crate::{CrlNumber, Error, ListRecord, Publisher, build};

/// More lists than an authority can make in a second: each takes a commit and six files.
const LISTS_A_SECOND: u64 = 1_000;

/// An authority whose list in place is newer than the one that the records name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken {
    /// The authority.
    pub issuer: KeyId,
    /// The number of the list in place.
    pub in_place: CrlNumber,
    /// The number of the last list that the records know of.
    pub on_record: Option<CrlNumber>,
}

impl Publisher {
    /// The authorities whose list in place carries a number above that on record: their records were put
    /// back, and may lack revocations.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Authorities`].
    pub fn overtaken(&self, now: OffsetDateTime) -> Result<Vec<Overtaken>, Error> {
        let mut overtaken = Vec::new();
        for authority in self.kept(now)?.iter() {
            let issuer = authority.key_id;
            let last = build::last(self.store(), &issuer)?.map(|last| last.record.number);
            let in_place = self.number_in_place(authority);
            if let Some(in_place) = in_place.filter(|number| last.is_none_or(|last| *number > last)) {
                overtaken.push(Overtaken { issuer, in_place, on_record: last });
            }
        }
        Ok(overtaken)
    }
}

/// Adds to the batch that restores a backup what keeps every next list's number above all that were made
/// since, `unknown` being the time between the backup and now.
///
/// # Errors
/// [`Error::Store`]; [`Error::Number`] if the numbers have run out.
pub fn raise_numbers(store: &Store, batch: &mut Batch, unknown: Duration) -> Result<(), Error> {
    let seconds = u64::try_from(unknown.whole_seconds()).unwrap_or(0).saturating_add(1);
    let by = seconds.saturating_mul(LISTS_A_SECOND);
    for authority in authority::list(store).map_err(Error::Authorities)? {
        let issuer = authority.key_id;
        let Some(found) = build::last(store, &issuer)? else { continue };
        let number = found.record.number.plus(by).map_err(|source| Error::Number { issuer, source })?;
        batch.expect(found.key.clone(), Some(found.version));
        batch.put(found.key, Table::encode(&ListRecord { number, ..found.record }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_raised_with_its_carry_and_never_beyond_the_last() {
        let number = |value: u64| CrlNumber::from(value);
        assert_eq!(number(1_795_300_000).plus(1_000).unwrap(), number(1_795_301_000));
        assert_eq!(number(u64::MAX).plus(1).unwrap().der_content(), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(number(u64::MAX).plus(u64::MAX).unwrap().to_string(), "36893488147419103230");
        let mut bytes = [0xff; 20];
        bytes[0] = 0x7f;
        let last = CrlNumber::from_be_bytes(&bytes).unwrap();
        assert_eq!(last.plus(0).unwrap(), last);
        assert_eq!(last.plus(1), Err(crate::NumberError::Exhausted { last }));
    }
}
