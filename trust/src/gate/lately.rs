//! What was found out lately about certificates, for those who show the same one again.
//!
//! A client that begins a connection for each request, and a list of all who are trusted, would have the same
//! signatures checked each time. Only what was found good is kept: whoever none of our own authorities and none
//! that was imported vouches for takes no room here. It holds under the authorities that it was found under,
//! and for a minute: what depended on the hour is then looked at again. Revocations, dates and lists are looked
//! up for every decision, whatever is kept here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ca::cert::{Certificate, Fingerprint};
use store::Sequence;
use time::{Duration, OffsetDateTime};

use crate::presented::{Evidence, Holder};

/// How many are kept.
const MOST: usize = 1024;
/// For how long.
const WHILE: Duration = Duration::minutes(1);

/// The certificate and what came with it: the path may lead over that.
type Shown = Box<[Fingerprint]>;

/// A clone keeps the same.
#[derive(Clone, Default)]
pub(super) struct Lately(Arc<RwLock<Kept>>);

#[derive(Default)]
struct Kept {
    /// The authorities that all of it was found under.
    generation: Sequence,
    found: HashMap<Shown, (OffsetDateTime, Arc<Evidence>)>,
}

fn is_fresh(found_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    found_at <= now && now - found_at < WHILE
}

fn shown(holder: &Holder) -> Shown {
    let others = holder.intermediates().iter().map(Certificate::fingerprint);
    std::iter::once(*holder.fingerprint()).chain(others).collect()
}

impl Lately {
    /// What was found out about what this holder shows, under these authorities.
    pub(super) fn find(
        &self,
        holder: &Holder,
        generation: Sequence,
        now: OffsetDateTime,
    ) -> Option<Arc<Evidence>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if kept.generation != generation {
            return None;
        }
        let (found_at, evidence) = kept.found.get(&shown(holder))?;
        is_fresh(*found_at, now).then(|| Arc::clone(evidence))
    }

    /// Keeps what was found out, if it speaks for the holder.
    pub(super) fn keep(&self, holder: &Holder, evidence: &Arc<Evidence>, now: OffsetDateTime) {
        self.keep_of(MOST, holder, evidence, now);
    }

    fn keep_of(&self, most: usize, holder: &Holder, evidence: &Arc<Evidence>, now: OffsetDateTime) {
        // A certificate of ours that the inventory does not know may be in it a moment later.
        let is_ours = evidence.ours.is_some() && evidence.issued.is_some();
        if !is_ours && (evidence.ours.is_some() || evidence.imported.is_none()) {
            return;
        }
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.generation != evidence.generation {
            kept.generation = evidence.generation;
            kept.found.clear();
        }
        if kept.found.len() >= most {
            kept.found.retain(|_, (found_at, _)| is_fresh(*found_at, now));
        }
        if kept.found.len() >= most {
            kept.found.clear();
        }
        kept.found.insert(shown(holder), (now, Arc::clone(evidence)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::decide::Refusal;
    use crate::rights::Rights;
    use crate::testing::*;

    #[test]
    fn it_holds_for_a_minute_for_those_who_show_the_same_under_the_same_authorities() {
        let pki = Pki::new();
        let (ours, stranger, foreign) = (pki.client("anna"), stranger("bert"), Foreign::root("Foreign"));
        let settings = Settings::default();
        let generation = || pki.gate.set().now().unwrap().signers().generation;
        let kept = |certificate: &Certificate, chain: &[&Foreign], now| {
            let chain = chain.iter().map(|authority| authority.certificate.clone()).collect();
            let holder = Holder::new(certificate.clone(), chain);
            pki.gate.lately.find(&holder, generation(), now).is_some()
        };
        for certificate in [&ours, &stranger] {
            pki.trust(certificate, Rights::FULL);
            assert!(!kept(certificate, &[], NOW));
            assert!(pki.admit(certificate, &settings).is_ok());
        }
        assert!(kept(&ours, &[], NOW));
        assert!(!kept(&stranger, &[], NOW), "nobody vouches for it");
        assert!(!kept(&ours, &[&foreign], NOW), "something else came with it");
        assert!(kept(&ours, &[], NOW + WHILE - Duration::SECOND));
        assert!(!kept(&ours, &[], NOW + WHILE));
        assert!(!kept(&ours, &[], NOW - Duration::SECOND));
        // Another connection, and another authority: it is looked into anew.
        assert!(pki.admit(&ours, &settings).is_ok());
        pki.import(&foreign);
        assert!(!kept(&ours, &[], NOW));
        assert!(matches!(refusal(pki.admit(&ours, &settings)), Refusal::NotSigned { .. }));
        assert!(kept(&ours, &[], NOW));
        pki.revoke(&ours);
        assert_eq!(refusal(pki.admit(&ours, &settings)), Refusal::Revoked { serial: ours.serial() });
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let pki = Pki::new();
        let ours = pki.client("anna");
        pki.trust(&ours, Rights::FULL);
        let evidence = {
            let holder = Holder::new(ours.clone(), Vec::new());
            let state = pki.gate.set().now().unwrap().signers().clone();
            Arc::new(holder.examine(&state, pki.gate.issued(&holder).unwrap(), NOW))
        };
        let lately = Lately::default();
        let other = Foreign::root("Foreign").certificate;
        for count in 0..10 {
            let holder = Holder::new(ours.clone(), vec![other.clone(); count]);
            lately.keep_of(4, &holder, &evidence, NOW + Duration::seconds(count as i64));
            let size = lately.0.read().unwrap().found.len();
            assert!((1..=4).contains(&size), "{size}");
            assert!(lately.find(&holder, evidence.generation, NOW + Duration::seconds(10)).is_some());
        }
        // A minute later only the newest are there.
        let holder = Holder::new(ours, Vec::new());
        lately.keep_of(2, &holder, &evidence, NOW + WHILE + Duration::minutes(1));
        assert_eq!(lately.0.read().unwrap().found.len(), 1);
    }
}
