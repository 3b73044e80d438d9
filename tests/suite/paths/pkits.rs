//! NIST's PKITS: signatures, validity, names and their constraints, basic constraints, key usage, basic
//! lists. Its end entities are for no purpose in particular, which for a client of ours is not enough;
//! so the path is judged for any purpose, and the lists as those of imported authorities are.

use std::collections::HashMap;
use std::sync::Arc;

use ca::cert::{Certificate, Purpose, verify_path};
use server::http::problem::in_words;
use trust::Word;
use trust::authority::{Demand, Link, LoadedList, word};
use trust::entry::KeyDigest;
use trust::settings::CrlExpired;

use super::{Collection, Given};

#[test]
fn pkits_is_judged_as_nist_wants() {
    let collection = Collection::read("pkits.json");
    assert_eq!(collection.cases.len(), 161);
    collection.compare("pkits", |given| {
        let path = verify_path(&given.leaf, &given.others, &given.anchors, Purpose::Any, given.now)
            .map_err(|error| in_words(&error))?;
        unrevoked(given, &path)
    });
}

/// Whether no list speaks against a path. Every authority of it is taken for an imported one; as soon as
/// one of them has a list, all must.
pub(super) fn unrevoked(given: &Given, path: &[Certificate]) -> Result<(), String> {
    let authorities: Vec<(KeyDigest, &Certificate)> =
        path.iter().skip(1).map(|authority| (KeyDigest::of(authority), authority)).collect();
    let mut lists = HashMap::new();
    let mut refused = Vec::new();
    for list in &given.lists {
        let known = authorities.iter().map(|(key, authority)| (key, *authority));
        match LoadedList::verify(list, known, |_| None, given.now) {
            Ok(loaded) => drop(lists.insert(*loaded.authority(), Arc::new(loaded))),
            Err(error) => refused.push(in_words(&error)),
        }
    }
    let demand = if given.lists.is_empty() { Demand::None } else { Demand::Every };
    let links: Vec<Link> = path
        .windows(2)
        .map(|pair| Link { issuer: KeyDigest::of(&pair[1]), serial: pair[0].serial() })
        .collect();
    match word(&links, &lists, demand, CrlExpired::Refuse, given.now) {
        Word::Good(_) => Ok(()),
        Word::Refused(refusal) | Word::Unknown(refusal) => Err(format!("{refusal} {refused:?}")),
        Word::Nothing => Err("nobody vouches for it".to_owned()),
    }
}
