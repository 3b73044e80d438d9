//! One revoked certificate as the set keeps it in memory: 42 octets, so that a million fit in 40 MiB.

use ca::cert::Serial;
use store::Sequence;
use time::OffsetDateTime;

use crate::{Reason, Revocation};

/// Seconds since 1970 in five octets: to the year 36812, with no room for what lies before 1970.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seconds([u8; 5]);

impl Seconds {
    const MAX: u64 = (1 << 40) - 1;

    fn new(seconds: i64) -> Seconds {
        let bytes = u64::try_from(seconds).unwrap_or(0).min(Self::MAX).to_be_bytes();
        Seconds([bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
    }

    fn as_i64(self) -> i64 {
        self.0.iter().fold(0, |value, &byte| value << 8 | i64::from(byte))
    }
}

/// One revoked certificate, packed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    serial: Serial,
    at: Seconds,
    not_after: Seconds,
    /// `Seconds::MAX` stands for none.
    invalidity: Seconds,
    /// The sequence that wrote the record, in six octets.
    written: [u8; 6],
    reason: Reason,
}

impl Entry {
    /// Packs a record as it was read.
    pub fn new(serial: Serial, revocation: &Revocation, written: Sequence) -> Entry {
        let sequence = written.0.to_be_bytes();
        let mut packed = [0; 6];
        packed.copy_from_slice(&sequence[2..]);
        Entry {
            serial,
            at: Seconds::new(revocation.at),
            not_after: Seconds::new(revocation.not_after),
            invalidity: Seconds::new(revocation.invalidity.unwrap_or(i64::MAX)),
            written: packed,
            reason: revocation.reason,
        }
    }

    /// Whose it is.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// When it was revoked, in seconds since 1970.
    pub fn at(&self) -> i64 {
        self.at.as_i64()
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after.as_i64()
    }

    /// Since when it is believed to be invalid, if that was said (RFC 5280 §5.3.2).
    pub fn invalidity(&self) -> Option<i64> {
        Some(self.invalidity.as_i64()).filter(|&seconds| seconds != Seconds::MAX as i64)
    }

    /// Why it was revoked.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The sequence of the store's entry that wrote the record.
    pub fn written(&self) -> Sequence {
        Sequence(self.written.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// The record again.
    pub fn revocation(&self) -> Revocation {
        Revocation {
            at: self.at(),
            reason: self.reason,
            not_after: self.not_after(),
            invalidity: self.invalidity(),
        }
    }

    /// When it was revoked.
    pub fn revoked_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.at()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("serial", &self.serial)
            .field("revocation", &self.revocation())
            .field("written", &self.written())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_packs_into_42_octets_and_comes_back_whole() {
        assert_eq!(size_of::<Entry>(), 42);
        for invalidity in [None, Some(0), Some(253_402_300_799)] {
            let revocation = Revocation {
                at: 1_763_750_000,
                reason: Reason::Superseded,
                not_after: 253_402_300_799, // 9999-12-31T23:59:59Z
                invalidity,
            };
            let serial = Serial::from_bytes(&[0, 0x80, 1]).unwrap();
            let entry = Entry::new(serial, &revocation, Sequence(1 << 40));
            assert_eq!(entry.revocation(), revocation);
            assert_eq!(entry.written(), Sequence(1 << 40));
            assert_eq!(entry.serial().as_bytes(), [0x80, 1]);
        }
    }
}
