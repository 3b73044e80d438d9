//! One PKI, open: what every operation works on.
//!
//! A clone is the same PKI. Whoever holds one may do everything to it: who is let near is decided by
//! [`Pki::run`], which is how every listener and the command in process come in. What an operation gets
//! to work on is the PKI for as long as its permit holds: nothing is committed through it after that.

mod admission;
mod adopt;
mod clients;
pub(crate) mod directory;
mod local;
mod open;
mod passphrase;
mod publish;
mod redemption;
mod refusals;
mod run;
mod trusted;
mod way;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use acme::client::TlsBoard;
use arc_swap::{ArcSwap, ArcSwapOption};
use aws_lc_rs::rand::SystemRandom;
use ca::authority::Current;
use ca::distribution::Distribution;
use ca::followed::Followed;
use ca::issue::Desk;
use ca::key::{Passphrase, ScryptCost};
use ca::keyring::Keyring;
use ca::plan::Policy;
use ca::profile::Profiles;
use ca::tally::Tally;
use crl::{Publisher, RevokedSet};
use store::checkpoint::{AuditKey, LogName};
use store::seal::SealingKey;
use store::{OpenReport, Sequence, Store};
use time::OffsetDateTime;
use tokio::sync::watch;
use trust::Gate;
use trust::local::throttle::{Pace, Slots, Throttle};

use crate::challenge::ChallengeBoard;
use crate::counters::Counters;
use crate::fleet::Fleet;
use crate::http::public::Shelf;
use crate::jobs::Failures;
use crate::layout::Layout;
use crate::listen::Stop;
use crate::ops::Error;
use crate::ops::acme::Turns;
use crate::serve::ListenerState;
use crate::settings::{self, Setting, Settings};
use crate::tls::Served;

pub use adopt::Adopted;
pub use directory::DirectoryError;
pub use open::OpenMode;
pub(crate) use passphrase::Ends;
use passphrase::Guesser;
use redemption::Redemptions;
use refusals::Refusals;
pub use way::HttpsWay;

/// How private keys are protected on disk.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The passphrase that encrypts them, if there is one.
    pub passphrase: Option<Passphrase>,
    /// What trying a passphrase costs.
    pub cost: ScryptCost,
}

/// An open PKI.
#[derive(Clone)]
pub struct Pki {
    shared: Arc<Shared>,
    /// What this holder may change it through.
    store: Store,
}

struct Shared {
    layout: Layout,
    owner: u32,
    gate: Gate,
    current: Followed<Current>,
    settings: Followed<Settings>,
    policy: Followed<Policy>,
    tally: Tally,
    report: Option<OpenReport>,
    keyring: Arc<Keyring>,
    revoked: RevokedSet,
    publisher: Publisher,
    random: SystemRandom,
    /// The entry of the newest checkpoint of this process.
    checkpointed: AtomicU64,
    sealing: OnceLock<Arc<SealingKey>>,
    challenges: ChallengeBoard,
    tls_challenges: TlsBoard,
    acme_served: ArcSwapOption<Served>,
    settings_moved: watch::Sender<u64>,
    failures: Failures,
    counters: Arc<Counters>,
    shelf: Shelf,
    public: ArcSwap<ListenerState>,
    https: ArcSwap<ListenerState>,
    stop: ArcSwap<Stop>,
    acme_gate: acme::client::Gate,
    acme_turns: Turns,
    certificates: Mutex<Option<publish::OnRecord>>,
    trusted: Mutex<trusted::Seen>,
    clients: Mutex<clients::Clients>,
    fleet: Fleet,
    refusals: Refusals,
    redemptions: Redemptions,
    /// How far the journal was followed.
    heads: watch::Sender<Sequence>,
    /// Whether the socket was open to everybody in the life of this process.
    socket_opened: AtomicBool,
    throttle: Throttle<Guesser>,
    slots: Slots,
}

impl Pki {
    /// Where things lie.
    pub fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.shared.layout.root()
    }

    /// The user id that owns the directory.
    pub fn owner(&self) -> u32 {
        self.shared.owner
    }

    /// What is kept. What an operation commits through it rests on its permit.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Who is let in.
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// What opening the store found; `None` for one in memory.
    pub fn store_report(&self) -> Option<&OpenReport> {
        self.shared.report.as_ref()
    }

    /// The authorities' private keys.
    pub fn keyring(&self) -> &Keyring {
        &self.shared.keyring
    }

    /// Everything revoked.
    pub fn revoked(&self) -> &RevokedSet {
        &self.shared.revoked
    }

    /// Makes and places lists. [`Pki::publish`] is the way to it that also serves them.
    pub(crate) fn publisher(&self) -> &Publisher {
        &self.shared.publisher
    }

    /// Where random octets come from.
    pub fn random(&self) -> &SystemRandom {
        &self.shared.random
    }

    /// The key that seals secrets in records; made when it is first needed.
    pub fn sealing(&self) -> Result<&Arc<SealingKey>, Error> {
        if let Some(key) = self.shared.sealing.get() {
            return Ok(key);
        }
        let key = SealingKey::load_or_create(&self.shared.layout.store_key(), &self.shared.random)?;
        Ok(self.shared.sealing.get_or_init(|| Arc::new(key)))
    }

    /// The key that signs checkpoints; made when it is first needed.
    pub fn audit_key(&self) -> Result<AuditKey, Error> {
        let key = AuditKey::load_or_create(&self.shared.layout.audit_key(), &self.shared.random);
        Ok(key.map_err(store::Error::from)?)
    }

    /// The name under which checkpoints are signed: the root's, which never changes.
    pub fn log_name(&self) -> Result<LogName, Error> {
        let root = Current::load(self.store())?.root.record.key_id;
        Ok(LogName::new(&format!("pki/{root}")).map_err(store::Error::from)?)
    }

    /// Signs a checkpoint of the journal as it is now, keeps it, and returns it.
    pub fn checkpoint(&self, now: OffsetDateTime) -> Result<String, Error> {
        let note = self.store().checkpoint(&self.audit_key()?, &self.log_name()?, now.unix_timestamp())?;
        Ok(note)
    }

    /// The settings in force now.
    pub fn settings(&self) -> Result<Arc<Settings>, Error> {
        Ok(self.shared.settings.now(Settings::load)?)
    }

    /// What certificates are issued under now.
    pub fn policy(&self) -> Result<Arc<Policy>, Error> {
        self.shared.policy.now(|store| {
            let settings = Settings::load(store)?;
            let days = |setting| settings.days(setting);
            let profiles = Profiles::new(
                days(Setting::ProfileRootDays),
                days(Setting::ProfileIssuingDays),
                days(Setting::ProfileClientDays),
                days(Setting::ProfileServerDays),
            );
            let profiles = profiles.map_err(ca::Error::from)?;
            Ok(Policy { profiles, distribution: Distribution { base: settings.public_url() } })
        })
    }

    /// How many certificates there are.
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// What certificates are issued with, under `policy`.
    pub(crate) fn desk<'a>(&'a self, policy: &'a Policy) -> Desk<'a> {
        Desk {
            store: self.store(),
            current: &self.shared.current,
            keyring: self.keyring(),
            policy,
            random: self.random(),
        }
    }

    /// The TLS-ALPN-01 answers of the HTTPS listener.
    pub(crate) fn tls_challenges(&self) -> &TlsBoard {
        &self.shared.tls_challenges
    }

    /// The certificate that whoever asks for a name of `acme.domain` gets.
    pub(crate) fn acme_served(&self) -> arc_swap::Guard<Option<Arc<Served>>> {
        self.shared.acme_served.load()
    }

    /// Reads that certificate again. One that can't be read leaves the last good one in service.
    pub(crate) fn follow_acme_certificate(&self) {
        match crate::tls::in_place(self) {
            Ok(found) => self.shared.acme_served.store(found.map(Arc::new)),
            Err(error) => {
                let error = crate::http::problem::in_words(&error);
                tracing::error!(error, "the certificate of acme.domain can't be used");
            }
        }
    }

    /// Moves whenever settings were changed.
    pub(crate) fn settings_moved(&self) -> watch::Receiver<u64> {
        self.shared.settings_moved.subscribe()
    }

    /// Tells that settings were changed.
    pub(crate) fn tell_settings_moved(&self) {
        self.shared.settings_moved.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The HTTP-01 answers of the public listener and of the HTTPS listener.
    pub fn challenges(&self) -> &ChallengeBoard {
        &self.shared.challenges
    }

    /// The periodic work that fails at the moment.
    pub fn job_failures(&self) -> &Failures {
        &self.shared.failures
    }

    /// What is counted for the metrics.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// What has become of the public listener; off unless a service runs in this process.
    pub fn public_state(&self) -> ListenerState {
        (**self.shared.public.load()).clone()
    }

    pub(crate) fn set_public_state(&self, state: ListenerState) {
        self.shared.public.store(Arc::new(state));
    }

    /// What has become of the HTTPS listener; off unless a service runs in this process.
    pub fn https_state(&self) -> ListenerState {
        (**self.shared.https.load()).clone()
    }

    pub(crate) fn set_https_state(&self, state: ListenerState) {
        self.shared.https.store(Arc::new(state));
    }

    /// What is known of the HAProxys before us.
    pub fn fleet(&self) -> &Fleet {
        &self.shared.fleet
    }

    /// Lets one operation at a time make an ACME account.
    pub(crate) fn acme_gate(&self) -> &acme::client::Gate {
        &self.shared.acme_gate
    }

    /// Who is at work on which ACME certificate.
    pub(crate) fn acme_turns(&self) -> &Turns {
        &self.shared.acme_turns
    }

    /// Tells when the service ends; never, if none runs in this process. For what waits long.
    pub(crate) fn stop(&self) -> Stop {
        (**self.shared.stop.load()).clone()
    }

    pub(crate) fn set_stop(&self, stop: Stop) {
        self.shared.stop.store(Arc::new(stop));
    }

    /// Moves whenever something was committed, where a service runs in this process.
    pub(crate) fn heads(&self) -> watch::Receiver<Sequence> {
        self.shared.heads.subscribe()
    }

    pub(crate) fn note_head(&self, head: Sequence) {
        self.shared.heads.send_replace(head);
    }

    /// Whether a service runs in this process, rather than one command.
    pub fn is_service(&self) -> bool {
        self.shared.shelf.is_open()
    }

    /// What the public listener serves.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shared.shelf
    }

    /// Puts an open PKI together.
    pub(crate) fn assemble(
        layout: Layout,
        owner: u32,
        store: Store,
        report: Option<OpenReport>,
        keys: Keys,
    ) -> Result<Pki, Error> {
        let keyring = Arc::new(Keyring::new(layout.keys(), keys.passphrase, keys.cost));
        let revoked = RevokedSet::of(store.clone());
        let gate = Gate::open(store.clone(), revoked.clone(), owner)?;
        let publisher = Publisher::new(layout.root(), store.clone(), Arc::clone(&keyring), revoked.clone());
        Ok(Pki {
            shared: Arc::new(Shared {
                layout,
                owner,
                gate,
                current: Current::followed(&store),
                settings: settings::followed(&store),
                policy: settings::followed(&store),
                tally: Tally::new(store.clone()),
                report,
                keyring,
                revoked,
                publisher,
                random: SystemRandom::new(),
                checkpointed: AtomicU64::new(0),
                sealing: OnceLock::new(),
                challenges: ChallengeBoard::default(),
                tls_challenges: TlsBoard::default(),
                acme_served: ArcSwapOption::empty(),
                settings_moved: watch::Sender::new(0),
                failures: Failures::default(),
                counters: Arc::default(),
                shelf: Shelf::default(),
                public: ArcSwap::from_pointee(ListenerState::Off),
                https: ArcSwap::from_pointee(ListenerState::Off),
                stop: ArcSwap::from_pointee(Stop::new()),
                acme_gate: acme::client::Gate::default(),
                acme_turns: Turns::default(),
                certificates: Mutex::default(),
                trusted: Mutex::default(),
                clients: Mutex::default(),
                fleet: Fleet::default(),
                refusals: Refusals::default(),
                redemptions: Redemptions::default(),
                heads: watch::Sender::new(Sequence(0)),
                socket_opened: AtomicBool::new(false),
                throttle: Throttle::new(Pace::DEFAULT),
                slots: Slots::default(),
            }),
            store,
        })
    }

    /// A PKI whose store has no disk below it: for unit tests of operations.
    pub fn in_memory(directory: &Path, owner: u32) -> Result<Pki, Error> {
        let keys = Keys { passphrase: None, cost: ScryptCost::CHEAP };
        Pki::assemble(Layout::new(directory), owner, Store::in_memory(), None, keys)
    }
}
