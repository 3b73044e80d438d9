//! Who was refused: journalled if we know them, counted if not.
//!
//! Whoever we let in and then refuse a thing, and whoever we knew and let in no more, is in the journal, each
//! thing once a minute. Strangers are counted by the reason, and the counts become one line a minute, and one
//! when the service stops: nobody fills a disk by knocking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::{Batch, Class};
use time::OffsetDateTime;
use trust::local::passphrase::PassphraseError;
use trust::{Peer, Presented, Refusal};

use super::Pki;
use crate::ops::Error;

/// The most refusals that are journalled by themselves between two sums.
const SINGLE: usize = 64;
/// The most octets of what was asked for that the journal keeps.
const ASKED: usize = 128;

/// The refusals since the last sum.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    /// How often strangers were refused, by the reason.
    counts: BTreeMap<&'static str, u64>,
    /// What was journalled by itself: who, and what.
    told: BTreeSet<(String, String)>,
}

/// Whom a refusal is about.
#[derive(Debug, PartialEq, Eq)]
enum About {
    /// Somebody we know, and why.
    Known(String, String),
    /// Somebody we don't, by the reason in one word.
    Stranger(&'static str),
}

/// What is counted where somebody known is refused the same again, or too many are.
const FURTHER: &str = "further";

impl Pki {
    /// Takes note of a refusal; of any other failure nothing. `asked` is what was asked for.
    pub(crate) fn note_refusal(
        &self,
        presented: &Presented,
        error: &Error,
        asked: &str,
        now: OffsetDateTime,
    ) {
        // The service itself is nobody to be journalled for what it may not do.
        if matches!(presented, Presented::InProcess) {
            return;
        }
        self.count_refusal(error);
        let Some(about) = about(presented, error) else { return };
        let Some((who, what)) = self.shared.refusals.note(about, asked) else { return };
        tracing::debug!(who, what, "refused");
        let batch = Batch::new(Class::State, now.unix_timestamp(), who, what);
        // Whoever is refused does not wait for the disk.
        drop(self.gate().store().submit(batch));
    }

    /// Writes down how many strangers were refused since the last time, and why.
    ///
    /// # Errors
    /// [`Error::Store`]; the counts are kept for the next time.
    pub(crate) fn sum_up_refusals(&self, now: OffsetDateTime) -> Result<(), Error> {
        let counts = self.shared.refusals.take();
        if counts.is_empty() {
            return Ok(());
        }
        let words: Vec<String> = counts.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
        let what = format!("refused {}", words.join(" "));
        tracing::info!(what, "refusals");
        let batch = Batch::new(Class::State, now.unix_timestamp(), "service", what);
        if let Err(error) = self.gate().store().commit(batch) {
            self.shared.refusals.put_back(counts);
            return Err(error.into());
        }
        Ok(())
    }
}

impl Refusals {
    /// What is to be journalled now, if anything is: who, and what.
    fn note(&self, about: About, asked: &str) -> Option<(String, String)> {
        let mut recent = self.recent();
        let reason = match about {
            About::Stranger(reason) => reason,
            About::Known(who, why) => {
                let asked: String = ca::cert::printable(asked).chars().take(ASKED).collect();
                let told = (who, format!("refused {asked}: {why}"));
                if recent.told.len() < SINGLE && recent.told.insert(told.clone()) {
                    return Some(told);
                }
                FURTHER
            }
        };
        *recent.counts.entry(reason).or_default() += 1;
        None
    }

    fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.recent()).counts
    }

    fn put_back(&self, counts: BTreeMap<&'static str, u64>) {
        let mut recent = self.recent();
        for (reason, count) in counts {
            *recent.counts.entry(reason).or_default() += count;
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a failure refuses; `None` if it refuses nobody.
fn about(presented: &Presented, error: &Error) -> Option<About> {
    let known = |why: String| Some(About::Known(shown(presented), why));
    match error {
        Error::Refused(refusal) => match refusal {
            Refusal::Removed { .. } | Refusal::Revoked { .. } | Refusal::UserRemoved { .. } => {
                known(refusal.to_string())
            }
            stranger => Some(About::Stranger(stranger.label())),
        },
        Error::Forbidden(forbidden) => Some(About::Known(
            forbidden.peer.to_string(),
            format!("may not {}, is trusted as {}", forbidden.action, forbidden.held),
        )),
        Error::Denied(denied) => {
            Some(About::Known(denied.peer.to_string(), format!("may not {}", denied.action)))
        }
        Error::OtherProject(other) => {
            Some(About::Known(other.peer.clone(), format!("no rights in project {}", other.project)))
        }
        Error::NameNotAllowed(refused) => known(refused.to_string()),
        Error::TooOften(_) => Some(About::Stranger("too-often")),
        Error::Trust(error) => match &**error {
            trust::Error::Passphrase(PassphraseError::NotSet) => Some(About::Stranger("no-passphrase-set")),
            trust::Error::Passphrase(PassphraseError::Remote) => Some(About::Stranger("remote-passphrase")),
            trust::Error::Passphrase(PassphraseError::Wrong) => Some(About::Stranger("wrong-passphrase")),
            trust::Error::Token(trust::token::TokenError::Expired { .. }) => {
                Some(About::Stranger("expired-token"))
            }
            trust::Error::Token(trust::token::TokenError::NoMatch) => Some(About::Stranger("unknown-token")),
            _ => None,
        },
        _ => None,
    }
}

/// Whoever presents this, as the journal names them.
fn shown(presented: &Presented) -> String {
    let peer = match presented {
        Presented::Certificate(holder) => Peer::Certificate {
            fingerprint: *holder.fingerprint(),
            name: holder.certificate().common_name().map(ca::cert::printable),
            from: holder.from(),
        },
        Presented::InProcess => Peer::InProcess,
        Presented::Local(user) => Peer::Local { uid: user.uid, name: user.name.clone() },
        Presented::Nobody => Peer::Nobody,
        Presented::Person(person) => Peer::Person { name: ca::cert::printable(person.name()) },
    };
    peer.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use store::Sequence;
    use trust::LocalUser;

    use super::*;
    use crate::testing::at;

    fn journal(pki: &Pki) -> Vec<(String, String)> {
        let entries = pki.store().follow(Sequence::ZERO, 1_000).unwrap();
        entries.iter().map(|entry| (entry.who.clone(), entry.what.clone())).collect()
    }

    fn settled(pki: &Pki) -> Vec<(String, String)> {
        // What was handed in before is committed before this.
        crate::settings::set(pki.store(), crate::settings::Setting::CrlValidity, None, "t", 1).unwrap();
        journal(pki).into_iter().filter(|(_, what)| what.starts_with("refused")).collect()
    }

    #[test]
    fn strangers_are_counted_and_summed_up_by_the_reason() {
        let pki = Pki::in_memory(Path::new("/nowhere"), 7).unwrap();
        pki.sum_up_refusals(at(0)).unwrap();
        assert_eq!(journal(&pki), [], "nothing is said of nothing");
        let note = |error: Error| pki.note_refusal(&Presented::Nobody, &error, "GET /", at(1));
        for _ in 0..3 {
            note(Error::Refused(Refusal::Nobody));
        }
        note(Error::Refused(Refusal::Stranger));
        note(trust::Error::from(PassphraseError::Wrong).into());
        note(Error::Nameless);
        assert_eq!(journal(&pki), []);
        pki.sum_up_refusals(at(2)).unwrap();
        let sum = "refused no-certificate=3 stranger=1 wrong-passphrase=1";
        assert_eq!(journal(&pki), [("service".to_owned(), sum.to_owned())]);
        pki.sum_up_refusals(at(3)).unwrap();
        assert_eq!(journal(&pki).len(), 1);
    }

    #[test]
    fn whoever_we_know_is_journalled_by_name_and_the_same_once_a_minute() {
        let pki = Pki::in_memory(Path::new("/nowhere"), 7).unwrap();
        let anna = Presented::Local(LocalUser { uid: 1001, name: Some("anna".to_owned()) });
        let removed = || Error::Refused(Refusal::UserRemoved { name: "anna".to_owned() });
        for _ in 0..5 {
            pki.note_refusal(&anna, &removed(), "list", at(1));
        }
        pki.note_refusal(&anna, &removed(), "issue\n", at(1));
        let said = |what: &str| {
            let why = "the user anna was removed and is denied until added again";
            ("local:1001(anna)".to_owned(), format!("refused {what}: {why}"))
        };
        assert_eq!(settled(&pki), [said("list"), said("issue\\n")]);
        pki.sum_up_refusals(at(60)).unwrap();
        pki.note_refusal(&anna, &removed(), "list", at(61));
        let sum = ("service".to_owned(), "refused further=4".to_owned());
        assert_eq!(settled(&pki)[2..], [sum, said("list")]);
        // However many names somebody takes, the journal is not theirs to fill.
        for n in 0..1_000 {
            pki.note_refusal(&anna, &removed(), &format!("{n}"), at(62));
        }
        assert_eq!(settled(&pki).len(), 3 + SINGLE);
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_said_the_next_time() {
        let refusals = Refusals::default();
        refusals.note(About::Stranger("stranger"), "");
        let counts = refusals.take();
        refusals.note(About::Stranger("stranger"), "");
        refusals.put_back(counts);
        assert_eq!(refusals.take(), BTreeMap::from([("stranger", 2)]));
    }
}
