//! Whether somebody is let in at this moment: for connections that are open.

use time::OffsetDateTime;
use trust::Presented;

use super::Pki;
use crate::ops::Error;

impl Pki {
    /// Whether a peer is let in. What can't be known lets nobody in.
    pub(crate) fn lets_in(&self, presented: &Presented, now: OffsetDateTime) -> bool {
        match self.judge(presented, now) {
            Ok(()) => true,
            Err(Error::Refused(_)) => false,
            Err(error) => {
                tracing::error!(%error, "nobody knows who is let in");
                false
            }
        }
    }
}
