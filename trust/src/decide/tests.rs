use ca::cert::Serial;
use store::{Key, Sequence, Version};

use super::*;
use crate::entry::{Id, Origin};
use crate::settings::CrlExpired;
use crate::testing::*;

fn entry(rights: Rights) -> Versioned<Entry> {
    let record = Entry {
        subject: Subject::User { uid: 7, name: None },
        name: "anna".parse().unwrap(),
        rights,
        origin: Origin::Added,
        added_by: "test".to_owned(),
        added_at: 0,
    };
    Versioned { key: Entry::key(&Id::User(7)), version: Version(Sequence(1)), record }
}

fn denial() -> Versioned<Denial> {
    let record = Denial { name: "anna".to_owned(), denied_by: "test".to_owned(), denied_at: 0 };
    Versioned { key: Key::new("denied"), version: Version(Sequence(1)), record }
}

const MODES: [PkiMode; 3] = [PkiMode::Auto, PkiMode::On, PkiMode::Off];
const TRUST: [TrustCa; 2] = [TrustCa::EntryNeeded, TrustCa::SignatureSuffices];

fn words() -> Vec<Word> {
    let serial = Serial::from_hex("4f").unwrap();
    let project = Scope::project("web".parse().unwrap());
    vec![
        Word::Nothing,
        Word::Good(Some(Scope::Everything)),
        Word::Good(Some(project)),
        Word::Good(None),
        Word::Refused(Refusal::Revoked { serial }),
        Word::Unknown(Refusal::ListExpired { authority: crate::entry::KeyDigest::from_bytes([1; 32]) }),
    ]
}

/// Every combination of everything, against the rules said one by one in other words.
#[test]
fn the_whole_truth_table() {
    let certificate = stranger("anna");
    let restricted = Rights::client(Scope::project("mine".parse().unwrap()));
    let (entry, denial) = (entry(restricted.clone()), denial());
    let mut admitted = 0;
    for pki_mode in MODES {
        for trust_ca in TRUST {
            for authorities in [Imported::None, Imported::Some] {
                for ours in words() {
                    for imported in words() {
                        for entry in [None, Some(&entry)] {
                            for denial in [None, Some(&denial)] {
                                let settings =
                                    Settings { pki_mode, trust_ca, crl_expired: CrlExpired::Refuse };
                                let case = Case {
                                    who: Who::Certificate(&certificate),
                                    entry,
                                    denial,
                                    permissions: Permissions::new(),
                                    ours: ours.clone(),
                                    imported: imported.clone(),
                                    failure: None,
                                    authorities,
                                    settings,
                                    owner: OWNER,
                                };
                                let outcome = decide(&case, NOW);
                                check(&case, &outcome, &restricted);
                                admitted += usize::from(outcome.is_ok());
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(admitted > 0);
}

/// What a grant is to a certificate, which is never a person.
fn client(grant: &Grant) -> &Rights {
    match &grant.held {
        Held::Rights(rights) => rights,
        Held::Permissions(_) => panic!("a certificate is no person"),
    }
}

fn check(case: &Case<'_>, outcome: &Result<Grant, Refusal>, restricted: &Rights) {
    let good = |word: &Word| matches!(word, Word::Good(_));
    let bad = |word: &Word| matches!(word, Word::Refused(_));
    let mode = case.settings.pki_mode;
    // Deny beats everything, and so does a revocation.
    if case.denial.is_some() {
        assert!(matches!(outcome, Err(Refusal::Removed { .. })), "{case:?}");
        return;
    }
    if bad(&case.ours) || bad(&case.imported) {
        assert!(matches!(outcome, Err(Refusal::Revoked { .. })), "{case:?}");
        return;
    }
    let on = mode == PkiMode::On || (mode == PkiMode::Auto && case.authorities == Imported::Some);
    let counts = good(&case.imported) || (mode == PkiMode::On && good(&case.ours));
    let worth = |word: &Word| match word {
        Word::Good(Some(scope)) => Some(scope.clone()),
        _ => None,
    };
    let expected = if on && !counts {
        None
    } else if case.entry.is_some() {
        Some(restricted.scope.clone())
    } else if case.settings.trust_ca == TrustCa::SignatureSuffices && mode != PkiMode::Off {
        worth(&case.imported).or_else(|| worth(&case.ours))
    } else {
        None
    };
    assert_eq!(outcome.as_ref().ok().map(|grant| client(grant).scope.clone()), expected, "{case:?}");
}

#[test]
fn the_answers_are_the_words_that_clients_know() {
    assert_eq!(Refusal::Stranger.answer(), "not authorized");
    let removed = Refusal::Removed { name: "anna".into() };
    assert_eq!(removed.answer(), "not authorized: this client certificate is not trusted any more");
    assert_eq!(Refusal::Nobody.answer(), "not authorized");
    assert_eq!(
        Refusal::NotAuthenticated.answer(),
        "The client is not authenticated with the pki service.\nPlease use 'pki authenticate' before proceeding."
    );
}
