//! Drives one order from stage to stage.

use std::fmt;

use ca::key::{KeyType, PrivateKey};
use instant_acme::{Account, NewOrder, Order, OrderStatus};
use store::{Table, Versioned};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::account::{Replace, aad, is_lost};
use super::adopt::open_order;
use super::authorize::{Published, Told, authorizations, look_again, tell};
use super::check::{Checked, check};
use super::model::{OrderRecord, Stage};
use super::order::{Step, next};
use super::orders::{order_name, public};
use super::session::{Fault, Session};
use super::solve::{Challenges, Method};
use super::{Application, Client, Names, Note, Reached};
use crate::Error;
use crate::error::Invalid;

/// A certificate that was obtained, checked and not yet placed.
pub struct Obtained {
    /// The certificate and what was read from it.
    pub certificate: Checked,
    /// Its private key, PKCS#8 PEM.
    pub key: Zeroizing<String>,
    pub(super) order: String,
    pub(super) version: store::Version,
}

impl fmt::Debug for Obtained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Obtained").field("order", &self.order).finish_non_exhaustive()
    }
}

/// One order on its way.
struct Run<'a> {
    client: &'a Client,
    session: &'a Session,
    names: &'a Names,
    id: String,
    stored: Versioned<OrderRecord>,
    order: Order,
    origin: Origin,
    /// When the authority last moved.
    moved: Instant,
}

/// Where the order comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This run placed it.
    Placed,
    /// An earlier run did, and was interrupted.
    Stored,
}

/// How the talk about one order ended.
enum Outcome {
    Obtained(Box<Obtained>),
    BeginAnew,
}

impl Client {
    /// Obtains a certificate: continues the order that is stored for these names, or places one.
    ///
    /// `challenges` is told what to answer; whoever serves it must be up. Everything up to the checked
    /// certificate is stored; after placing it call [`Client::settle`].
    pub async fn obtain(
        &self,
        application: &Application,
        challenges: &dyn Challenges,
        note: &mut dyn FnMut(Note),
    ) -> Result<Obtained, Error> {
        let id = order_name(application);
        let names = &application.names;
        names.provable_by(challenges.method())?;
        if let Some(stored) = Table::<OrderRecord>::get(&self.store, &id)? {
            match self.take(&id, &stored, names) {
                Some(Ok(obtained)) => return Ok(obtained),
                // What was good when it came is not any more (it expired meanwhile): another one.
                Some(Err(Error::Certificate(reason))) => {
                    tracing::info!(%reason, "a stored certificate is of no use");
                    self.forget(&id, &stored, "drop a stale ACME order")?;
                }
                Some(Err(other)) => return Err(other),
                None => {}
            }
        }
        let session = Session::open(&application.authority, self.limits).await?;
        let mut replace = Replace::No;
        // An order may turn out dead, and the account lost, once each.
        for _ in 0..3 {
            let account = self.account(&session, application, replace, note).await?;
            replace = Replace::No;
            match self.talk(&session, &account, application, &id, challenges, note).await {
                Ok(Outcome::Obtained(obtained)) => return Ok(*obtained),
                Ok(Outcome::BeginAnew) => note(Note::BegunAnew { names: names.to_string() }),
                Err(error) if is_lost(&error) => replace = Replace::Lost(account.id().to_owned()),
                Err(error) => return Err(error),
            }
        }
        Err(Error::AccountLost { directory: session.url.to_string() })
    }

    async fn talk(
        &self,
        session: &Session,
        account: &Account,
        application: &Application,
        id: &str,
        challenges: &dyn Challenges,
        note: &mut dyn FnMut(Note),
    ) -> Result<Outcome, Error> {
        let names = &application.names;
        let stored = Table::<OrderRecord>::get(&self.store, id)?;
        let begun = stored
            .as_ref()
            .filter(|stored| stored.record.stage == Stage::Placing && stored.record.account == account.id());
        let begun = begun.map(|stored| stored.version);
        let stored = stored.filter(|_| begun.is_none());
        let (stored, order, origin) = match self.stored_order(session, account, stored, id).await? {
            Some((stored, order)) => (stored, order, Origin::Stored),
            None => {
                let (stored, order) = self.place(session, account, application, id, begun).await?;
                note(Note::Reached(Reached::Created));
                (stored, order, Origin::Placed)
            }
        };
        let run = Run {
            client: self,
            session,
            names,
            id: id.to_owned(),
            stored,
            order,
            origin,
            moved: Instant::now(),
        };
        run.drive(challenges, note).await
    }

    /// The stored order as the authority sees it now; `None`, and forgotten, if it can't go on.
    async fn stored_order(
        &self,
        session: &Session,
        account: &Account,
        stored: Option<Versioned<OrderRecord>>,
        id: &str,
    ) -> Result<Option<(Versioned<OrderRecord>, Order)>, Error> {
        let Some(stored) = stored else { return Ok(None) };
        if stored.record.account != account.id() {
            self.forget(id, &stored, "drop an ACME order of another account")?;
            return Ok(None);
        }
        let url = stored.record.url.clone();
        match session.insist("looking at the order", async || account.order(url.clone()).await).await {
            Ok(order) => Ok(Some((stored, order))),
            Err(Error::Authority { problem, .. }) if !problem.is("accountDoesNotExist") => {
                tracing::info!(%problem, "the stored order is gone");
                self.forget(id, &stored, "drop a lost ACME order")?;
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Places an order. That one is about to be sent is durable before it is; whoever finds it so, or has sent
    /// one and got no answer, looks for it first.
    async fn place(
        &self,
        session: &Session,
        account: &Account,
        application: &Application,
        id: &str,
        begun: Option<store::Version>,
    ) -> Result<(Versioned<OrderRecord>, Order), Error> {
        let names = &application.names;
        let identifiers = names.identifiers();
        let mut sent = begun.is_some();
        let record = OrderRecord {
            names: names.to_strings(),
            account: account.id().to_owned(),
            url: String::new(),
            stage: Stage::Placing,
            began: (self.clock)().unix_timestamp(),
        };
        let placing = self.put_order(id, record.clone(), begun, "place an ACME order")?;
        let key = self.account_key(session, &application.authority)?;
        let placed = session
            .insist("the order", async || {
                if sent && let Some(url) = open_order(session, &key, account.id(), names).await? {
                    tracing::info!(%names, "an order that was sent before is continued");
                    return Ok::<_, Fault>(account.order(url).await?);
                }
                let placed = account.new_order(&NewOrder::new(&identifiers)).await.map_err(Fault::from);
                sent = placed.as_ref().is_err_and(Fault::may_have_been_heard);
                placed
            })
            .await;
        let order = match placed {
            Ok(order) => order,
            // It refused: there is no order.
            Err(refused @ Error::Authority { .. }) if !sent => {
                self.forget(id, &placing, "drop an ACME order that was not taken")?;
                return Err(refused);
            }
            Err(other) => return Err(other),
        };
        let record = OrderRecord { url: order.url().to_owned(), stage: Stage::Created, ..record };
        let stored = self.put_order(id, record, Some(placing.version), "an ACME order is placed")?;
        Ok((stored, order))
    }
}

impl Run<'_> {
    async fn drive(
        mut self,
        challenges: &dyn Challenges,
        note: &mut dyn FnMut(Note),
    ) -> Result<Outcome, Error> {
        loop {
            let status = self.order.state().status;
            match next(&self.stored.record.stage, status) {
                Step::Authorize => {
                    self.authorize(challenges, note).await?;
                    self.moved = Instant::now();
                }
                Step::Prepare => {
                    self.prepare()?;
                    note(Note::Reached(Reached::Finalizing));
                }
                Step::Finalize => self.finalize().await?,
                Step::Wait => self.wait("the certificate", OrderStatus::Processing).await?,
                Step::Download => {
                    self.download().await?;
                    note(Note::Reached(Reached::Issued));
                }
                Step::Take => {
                    let taken = self.client.take(&self.id, &self.stored, self.names);
                    return match taken {
                        Some(obtained) => Ok(Outcome::Obtained(Box::new(obtained?))),
                        None => Ok(Outcome::BeginAnew),
                    };
                }
                Step::BeginAnew => {
                    self.client.forget(&self.id, &self.stored, "drop a dead ACME order")?;
                    return Ok(Outcome::BeginAnew);
                }
                // The authority looked while nobody answered: that says nothing about the names.
                Step::Fail if self.origin == Origin::Stored => {
                    self.client.forget(&self.id, &self.stored, "drop an interrupted ACME order")?;
                    return Ok(Outcome::BeginAnew);
                }
                Step::Fail => {
                    let failures = self.failures(challenges.method()).await?;
                    self.client.forget(&self.id, &self.stored, "drop a refused ACME order")?;
                    return Err(failures);
                }
            }
        }
    }

    /// Answers what is still to be proved, and waits for the authority to look.
    async fn authorize(
        &mut self,
        challenges: &dyn Challenges,
        note: &mut dyn FnMut(Note),
    ) -> Result<(), Error> {
        let method = challenges.method();
        let found = authorizations(self.session, &mut self.order, method).await?;
        let mut published = Published::new(challenges);
        for one in &found {
            if let Some(pending) = &one.pending {
                published.publish(&one.name, pending).await?;
            }
        }
        published.seen(&self.names.to_string()).await?;
        self.advance(Stage::Answering, "answer challenges")?;
        note(Note::Reached(Reached::Answering));
        for (index, one) in found.iter().enumerate() {
            if one.pending.as_ref().is_some_and(|pending| pending.told == Told::No) {
                tell(self.session, &mut self.order, index, method).await?;
            }
        }
        self.moved = Instant::now();
        self.wait("validating the names", OrderStatus::Pending).await
    }

    /// Makes key and request, and stores both before the request leaves (RFC 8555 §7.4): a lost answer
    /// must not leave a certificate whose key nobody has.
    fn prepare(&mut self) -> Result<(), Error> {
        let key = PrivateKey::generate(KEY_TYPE).map_err(Error::Key)?;
        let csr = super::check::request(&key, self.names)?;
        let sealed_key = self
            .client
            .sealing
            .seal(key.to_pem().map_err(Error::Key)?.as_bytes(), &aad(&self.id, "certificate key"))?;
        let stage = Stage::Finalizing { sealed_key: sealed_key.into(), csr: csr.into() };
        self.advance(stage, "make a certificate key")
    }

    async fn finalize(&mut self) -> Result<(), Error> {
        let Stage::Finalizing { csr, .. } = &self.stored.record.stage else { return Ok(()) };
        let order = &mut self.order;
        match self.session.insist("the request", async || order.finalize_csr(csr).await).await {
            Ok(()) => {
                self.moved = Instant::now();
                Ok(())
            }
            // The answer to an earlier try was lost: the order tells how it went on.
            Err(Error::Authority { problem, .. }) if problem.is("orderNotReady") => {
                self.wait("the certificate", OrderStatus::Ready).await
            }
            Err(other) => Err(other),
        }
    }

    async fn download(&mut self) -> Result<(), Error> {
        let Stage::Finalizing { sealed_key, .. } = &self.stored.record.stage else { return Ok(()) };
        let sealed_key = sealed_key.clone();
        let key = self.client.unseal(&self.id, &sealed_key)?;
        let order = &mut self.order;
        let chain =
            self.session.insist("fetching the certificate", async || order.certificate().await).await?;
        let chain = chain.unwrap_or_default();
        let now = (self.client.clock)();
        let limits = &self.client.limits;
        if let Err(refusal) = check(&chain, &public(&key)?, self.names, now, limits) {
            // This order will never bring another one: the next attempt places one of its own.
            self.client.forget(
                &self.id,
                &self.stored,
                "drop an ACME order that brought no good certificate",
            )?;
            return Err(Error::Certificate(refusal));
        }
        self.advance(Stage::Issued { sealed_key, chain }, "keep a new certificate")
    }

    /// Looks again until the status is another than `status`.
    async fn wait(&mut self, doing: &'static str, status: OrderStatus) -> Result<(), Error> {
        let (order, patience) = (&mut self.order, self.client.limits.patience);
        look_again(self.session, order, doing, status, self.moved, patience).await
    }

    /// Who could not be validated, and why.
    async fn failures(&mut self, method: Method) -> Result<Error, Error> {
        let names = authorizations(self.session, &mut self.order, method).await?;
        let failures: Vec<Invalid> = names.into_iter().filter_map(|found| found.failure).collect();
        let own = self.order.state().error.as_ref().map(crate::wire::Problem::from);
        Ok(match (failures.is_empty(), own) {
            (true, Some(problem)) => Error::Authority { doing: "the order", problem },
            (true, None) => {
                let problem = crate::wire::Problem {
                    detail: Some("the order became invalid".to_owned()),
                    ..Default::default()
                };
                Error::Authority { doing: "the order", problem }
            }
            (false, _) => Error::Validation { failures },
        })
    }

    fn advance(&mut self, stage: Stage, what: &str) -> Result<(), Error> {
        let record = OrderRecord { stage, ..self.stored.record.clone() };
        self.stored = self.client.put_order(&self.id, record, Some(self.stored.version), what)?;
        Ok(())
    }
}

/// What public authorities take from everybody and every TLS client verifies; theirs is the weakest
/// link, so a larger curve would only cost time.
const KEY_TYPE: KeyType = KeyType::P256;
