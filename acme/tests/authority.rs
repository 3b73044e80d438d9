//! The client against a real authority: Pebble.
//!
//! What a user sees is tested through the program (`tests/suite/acme.rs`); here is what only the library
//! can show: a crash between any two stages, and what reaches the authority after it.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/src/pebble.rs"]
#[allow(dead_code)]
mod pebble;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};

use acme::Error;
use acme::client::model::{AccountRecord, CertificateRecord, End, OrderRecord};
use acme::client::*;
use pebble::{Pebble, PebbleOptions};
use store::seal::SealingKey;
use store::{Batch, Class, Store, Table};
use time::OffsetDateTime;

/// One machine: its store and its sealing key.
struct Site {
    store: Store,
    sealing: Arc<SealingKey>,
    gate: Gate,
}

impl Site {
    fn new() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let random = aws_lc_rs::rand::SystemRandom::new();
        let sealing = SealingKey::load_or_create(&dir.path().join("store.key"), &random).unwrap();
        Site { store: Store::in_memory(), sealing: Arc::new(sealing), gate: Gate::default() }
    }

    fn client(&self) -> Client {
        #[allow(clippy::disallowed_methods)]
        let clock: Clock = Arc::new(OffsetDateTime::now_utc);
        let gate = self.gate.clone();
        Client::new(self.store.clone(), self.sealing.clone(), clock, Limits::default(), gate, "test")
    }

    fn accounts(&self) -> Vec<AccountRecord> {
        let all = Table::<AccountRecord>::list(&self.store, None, 100).unwrap();
        all.into_iter().map(|stored| stored.record).collect()
    }

    fn orders(&self) -> Vec<OrderRecord> {
        let all = Table::<OrderRecord>::list(&self.store, None, 100).unwrap();
        all.into_iter().map(|stored| stored.record).collect()
    }

    /// Stores the one account as a killed process would have left it.
    fn leave(&self, record: &AccountRecord) {
        let stored = Table::<AccountRecord>::list(&self.store, None, 2).unwrap().remove(0);
        let mut batch = Batch::new(Class::Ledger, 0, "test", "what was left");
        batch.put(stored.key, Table::<AccountRecord>::encode(record));
        self.store.commit(batch).unwrap();
    }

    fn settle(&self, obtained: &Obtained, application: &Application) {
        let leaf = obtained.certificate.leaf();
        let record = CertificateRecord {
            names: application.names.to_strings(),
            directory: application.authority.directory.to_string(),
            roots: None,
            kid: None,
            contact: None,
            http_address: None,
            out: None,
            serial: leaf.serial().to_string(),
            not_before: leaf.not_before().unix_timestamp(),
            not_after: leaf.not_after().unix_timestamp(),
            leaf: leaf.der().to_vec().into(),
            files: Vec::new(),
            revoked: None,
            failures: 0,
            last_error: None,
            next_attempt: 0,
            method: None,
            webroot: None,
            deploy: None,
        };
        self.client().settle(obtained, &record).unwrap();
    }
}

fn application(pebble: &Pebble, names: &[&str]) -> Application {
    Application {
        authority: Authority {
            directory: pebble.directory().parse().unwrap(),
            roots: Roots::Pem(std::fs::read_to_string(pebble.root()).unwrap()),
            external: None,
        },
        names: Names::parse(names, &Limits::default()).unwrap(),
        contact: Some("admin@example.org".parse().unwrap()),
        terms: Terms::Agreed,
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// One process, from start to end.
fn obtain(site: &Site, pebble: &Pebble, application: &Application) -> Ended {
    let mut notes = Vec::new();
    let outcome = run(async {
        let listener = Standalone::bind(&pebble.http_address()).await.unwrap();
        site.client().obtain(application, listener.board(), &mut |note| notes.push(note)).await
    });
    Ended { outcome, notes }
}

/// One process that is killed the moment `stage` is durable, before anything else leaves.
fn obtain_until(site: &Site, pebble: &Pebble, application: &Application, stage: Reached) {
    let mut killer = |note: Note| {
        if note == Note::Reached(stage) {
            std::panic::resume_unwind(Box::new(stage));
        }
    };
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(async {
            let listener = Standalone::bind(&pebble.http_address()).await.unwrap();
            site.client().obtain(application, listener.board(), &mut killer).await
        })
    }));
    assert_eq!(killed.unwrap_err().downcast_ref(), Some(&stage), "another panic");
}

struct Ended {
    outcome: Result<Obtained, Error>,
    notes: Vec<Note>,
}

impl Ended {
    #[track_caller]
    fn obtained(self) -> Obtained {
        self.outcome.unwrap()
    }

    #[track_caller]
    fn refused(self) -> Error {
        self.outcome.unwrap_err()
    }
}

#[test]
fn a_certificate_is_obtained_and_the_account_used_again() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let first = application(&pebble, &["a.example", "127.0.0.1"]);
    let obtained = obtain(&site, &pebble, &first).obtained();
    let key = ca::key::PrivateKey::from_pem(obtained.key.as_bytes(), None).unwrap();
    assert_eq!(obtained.certificate.leaf().public_key().spki_der(), key.public_key().spki_der());
    site.settle(&obtained, &first);
    assert!(site.orders().is_empty());
    let second = application(&pebble, &["b.example"]);
    obtain(&site, &pebble, &second).obtained();
    assert_eq!(pebble.accounts(), 1);
    assert_eq!(site.accounts().len(), 1);
}

#[test]
fn killed_at_any_stage_it_goes_on_with_the_same_order_and_account() {
    for stage in [Reached::Created, Reached::Answering, Reached::Finalizing, Reached::Issued] {
        let (site, pebble) = (Site::new(), Pebble::start());
        let application = application(&pebble, &["a.example", "b.example"]);
        obtain_until(&site, &pebble, &application, stage);
        let orders = site.orders();
        assert_eq!(orders.len(), 1, "{stage:?}");
        let obtained = obtain(&site, &pebble, &application).obtained();
        site.settle(&obtained, &application);
        assert_eq!((pebble.orders(), pebble.accounts()), (1, 1), "{stage:?}\n{}", pebble.log());
    }
}

#[test]
fn killed_while_the_authority_looks_it_begins_anew() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let application = application(&pebble, &["a.example"]);
    run(async {
        let told = tokio::sync::Notify::new();
        let client = site.client();
        // A board that no listener serves: the authority looks in vain.
        let board = Board::new();
        let mut note = |note| {
            if note == Note::Reached(Reached::Answering) {
                told.notify_one();
            }
        };
        let work = client.obtain(&application, &board, &mut note);
        let kill = async {
            told.notified().await;
            log_says(&pebble, "Pulled a task from the Tasks queue").await;
        };
        tokio::select! {
            () = kill => {}
            outcome = work => panic!("nobody answered: {outcome:?}"),
        }
        log_says(&pebble, " set INVALID by invalid authz ").await;
    });
    let ended = obtain(&site, &pebble, &application);
    assert!(ended.notes.contains(&Note::BegunAnew { names: "a.example".to_owned() }), "{:?}", ended.notes);
    ended.obtained();
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));
}

async fn log_says(pebble: &Pebble, words: &str) {
    while !pebble.log().contains(words) {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[test]
fn killed_while_its_key_changes_an_account_has_the_one_that_the_authority_knows() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let application = application(&pebble, &["a.example"]);
    let obtain = || site.settle(&obtain(&site, &pebble, &application).obtained(), &application);
    obtain();
    let before = site.accounts().remove(0);
    run(site.client().roll_key(&application.authority)).unwrap();
    let after = site.accounts().remove(0);
    assert_eq!((&after.url, &after.sealed_next), (&before.url, &None));
    assert_ne!(after.sealed_key, before.sealed_key);
    // It was heard, and we were killed before we knew: the next order finds out.
    let heard = AccountRecord {
        sealed_key: before.sealed_key.clone(),
        sealed_next: Some(after.sealed_key.clone()),
        ..after.clone()
    };
    site.leave(&heard);
    obtain();
    assert_eq!(site.accounts(), std::slice::from_ref(&after));
    // It never left: another change finds out, and then changes.
    site.leave(&AccountRecord { sealed_next: Some(before.sealed_key.clone()), ..after.clone() });
    run(site.client().roll_key(&application.authority)).unwrap();
    let last = site.accounts().remove(0);
    assert!(last.sealed_next.is_none() && last.sealed_key != after.sealed_key);
    obtain();
    assert_eq!(pebble.accounts(), 1);
}

#[test]
fn an_end_that_was_asked_for_is_known_to_have_come() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let application = application(&pebble, &["a.example"]);
    site.settle(&obtain(&site, &pebble, &application).obtained(), &application);
    let deactivate = || run(site.client().deactivate(&application.authority));
    deactivate().unwrap();
    let done = site.accounts().remove(0);
    assert_eq!(done.end, Some(End::Done));
    let refused = obtain(&site, &pebble, &application).refused();
    assert!(matches!(refused, Error::Deactivated { .. }), "{refused:?}");
    // We were killed before the answer came.
    site.leave(&AccountRecord { end: Some(End::Asked), ..done.clone() });
    let refused = obtain(&site, &pebble, &application).refused();
    assert!(matches!(refused, Error::Deactivating { .. }), "{refused:?}");
    deactivate().unwrap();
    assert_eq!(site.accounts(), std::slice::from_ref(&done));
    // Somebody else ended it: it is not said that we did.
    site.leave(&AccountRecord { end: None, ..done.clone() });
    let refused = deactivate().unwrap_err();
    assert!(matches!(refused, Error::Authority { .. }), "{refused:?}");
    assert_eq!(site.accounts()[0].end, None);
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
}

#[test]
fn an_issued_certificate_that_was_not_placed_needs_no_authority() {
    let (site, mut pebble) = (Site::new(), Pebble::start());
    let application = application(&pebble, &["a.example"]);
    let first = obtain(&site, &pebble, &application).obtained();
    pebble.stop();
    let again = obtain(&site, &pebble, &application).obtained();
    assert_eq!(first.certificate.chain_pem(), again.certificate.chain_pem());
    assert_eq!(*first.key, *again.key);
}

#[test]
fn an_authority_that_forgot_us_gets_a_new_account() {
    let (site, mut pebble) = (Site::new(), Pebble::start());
    let application = application(&pebble, &["a.example"]);
    let obtained = obtain(&site, &pebble, &application).obtained();
    site.settle(&obtained, &application);
    let before = site.accounts();
    // Once between orders, once with an order under way.
    for die_at in [None, Some(Reached::Answering)] {
        if let Some(stage) = die_at {
            obtain_until(&site, &pebble, &application, stage);
            assert_eq!(site.orders().len(), 1);
        }
        pebble.restart();
        let ended = obtain(&site, &pebble, &application);
        let lost = Note::AccountLost { directory: pebble.directory() };
        assert!(ended.notes.contains(&lost), "{:?}", ended.notes);
        site.settle(&ended.obtained(), &application);
        assert_eq!(site.accounts().len(), 1);
        assert_ne!(site.accounts(), before);
    }
}

#[test]
fn two_that_come_at_once_make_one_account() {
    let (site, mut pebble) = (Site::new(), Pebble::start());
    for _ in 0..2 {
        let applications: Vec<Application> =
            (0..8).map(|n| application(&pebble, &[&format!("n{n}.example")])).collect();
        run(async {
            let listener = Standalone::bind(&pebble.http_address()).await.unwrap();
            let client = site.client();
            let obtain = async |application: &Application| {
                let obtained = client.obtain(application, listener.board(), &mut |_| ()).await.unwrap();
                site.settle(&obtained, application);
            };
            let [a, b, c, d, e, f, g, h] = &applications[..] else { unreachable!() };
            tokio::join!(
                obtain(a),
                obtain(b),
                obtain(c),
                obtain(d),
                obtain(e),
                obtain(f),
                obtain(g),
                obtain(h)
            );
        });
        assert_eq!((pebble.accounts(), pebble.orders()), (1, 8));
        assert_eq!(pebble.log().matches("POST /sign-me-up").count(), 1);
        assert_eq!(site.accounts().len(), 1);
        // Again, with the account lost to all of them at once.
        pebble.restart();
    }
}

#[test]
fn a_hundred_names_are_no_trouble() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let names: Vec<String> = (0..100).map(|n| format!("n{n}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let obtained = obtain(&site, &pebble, &application(&pebble, &names)).obtained();
    assert_eq!(obtained.certificate.leaf().names().len(), 100);
}

#[test]
fn nonces_refused_at_sixty_percent_are_survived() {
    for nonce_reject in [5, 60] {
        let pebble = Pebble::start_with(PebbleOptions { nonce_reject, ..PebbleOptions::default() });
        let site = Site::new();
        let application = application(&pebble, &["a.example", "b.example", "c.example"]);
        obtain(&site, &pebble, &application).obtained();
        assert_eq!((pebble.orders(), pebble.accounts()), (1, 1));
    }
}

#[test]
fn the_name_that_fails_is_told_with_the_reason() {
    let (site, pebble) = (Site::new(), Pebble::start());
    pebble.resolve("lost.example", "127.0.0.77");
    let application = application(&pebble, &["a.example", "lost.example"]);
    let refusal = obtain(&site, &pebble, &application).refused();
    let Error::Validation { failures } = &refusal else { panic!("{refusal:?}") };
    let names: Vec<&str> = failures.iter().map(|failure| failure.name.as_str()).collect();
    assert_eq!(names, ["lost.example"]);
    assert!(
        refusal.to_string().contains("lost.example: ") && refusal.to_string().contains("refused"),
        "{refusal}"
    );
    assert!(refusal.advice().is_some());
    // A dead order is not continued.
    assert!(site.orders().is_empty());
}

/// A board that remembers what is up and how much ever was.
struct Remembering<'a> {
    board: &'a Board,
    up: Mutex<(BTreeSet<Token>, usize)>,
}

fn token(proof: &Proof) -> Token {
    match &proof.answer {
        Answer::Http { token, .. } => token.clone(),
        other => panic!("{other:?}"),
    }
}

impl Challenges for Remembering<'_> {
    fn method(&self) -> Method {
        Method::Http01
    }

    fn publish<'a>(&'a self, proof: &'a Proof) -> Doing<'a> {
        let mut up = self.up.lock().unwrap();
        up.0.insert(token(proof));
        up.1 += 1;
        self.board.publish(proof)
    }

    fn withdraw(&self, proof: &Proof) {
        self.up.lock().unwrap().0.remove(&token(proof));
        self.board.withdraw(proof);
    }
}

#[test]
fn what_was_published_is_withdrawn_however_it_ends() {
    let (site, pebble) = (Site::new(), Pebble::start());
    pebble.resolve("lost.example", "127.0.0.77");
    for (names, good) in [(["a.example", "b.example"], true), (["c.example", "lost.example"], false)] {
        run(async {
            let listener = Standalone::bind(&pebble.http_address()).await.unwrap();
            let board = Remembering { board: listener.board(), up: Mutex::default() };
            let application = application(&pebble, &names);
            let outcome = site.client().obtain(&application, &board, &mut |_| ()).await;
            assert_eq!(outcome.is_ok(), good, "{outcome:?}");
            let up = board.up.lock().unwrap();
            assert_eq!((up.0.len(), up.1), (0, 2));
        });
    }
}

#[test]
fn no_account_without_agreement() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let application = Application { terms: Terms::NotAgreed, ..application(&pebble, &["a.example"]) };
    let refusal = obtain(&site, &pebble, &application).refused();
    assert!(matches!(&refusal, Error::Agreement { terms: Some(_), .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("Do%20what%20thou%20wilt"), "{refusal}");
    assert_eq!(pebble.accounts(), 0);
}

#[test]
fn external_accounts_are_bound() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let external = vec![("kid-1".to_owned(), key.to_owned())];
    let mut pebble = Pebble::start_with(PebbleOptions { external, ..PebbleOptions::default() });
    let site = Site::new();
    let plain = application(&pebble, &["a.example"]);
    let with = |key: Option<&str>| {
        let mut application = plain.clone();
        application.authority.external = key.map(|key| ExternalAccount::new("kid-1", key).unwrap());
        application
    };
    let missing = obtain(&site, &pebble, &with(None)).refused();
    assert!(matches!(missing, Error::ExternalAccountRequired { .. }), "{missing:?}");
    assert!(site.accounts().is_empty(), "no key for an account that can't be");
    let wrong = obtain(&site, &pebble, &with(Some("AAAA"))).refused();
    assert!(matches!(wrong, Error::Authority { doing: "a new account", .. }), "{wrong:?}");
    let begun = site.accounts()[0].clone();
    assert_eq!(begun.url, None);
    let obtained = obtain(&site, &pebble, &with(Some(key))).obtained();
    site.settle(&obtained, &with(Some(key)));
    assert_eq!(pebble.accounts(), 1);
    assert_eq!(site.accounts()[0].sealed_key, begun.sealed_key, "the stored key is the account's");
    // The key that was right is the one that is kept, for a time when nobody is there to give it.
    pebble.restart();
    let mut alone = with(None);
    let authority = alone.authority.clone();
    alone.authority.external = site.client().stored_external(&authority, "kid-1").unwrap();
    obtain(&site, &pebble, &alone).obtained();
}

#[test]
fn an_unknown_root_is_not_spoken_to() {
    let (site, pebble) = (Site::new(), Pebble::start());
    let mut application = application(&pebble, &["a.example"]);
    application.authority.roots = Roots::System;
    let begun = std::time::Instant::now();
    let refusal = obtain(&site, &pebble, &application).refused();
    assert!(matches!(refusal, Error::Http { .. }), "{refusal:?}");
    assert!(refusal.advice().is_some_and(|advice| advice.contains("--ca-root")), "{refusal:?}");
    assert!(begun.elapsed().as_secs() < 5, "a bad certificate is not retried");
}
