//! One of those who ask, and what it knows: what was acknowledged, and what was asked for without an
//! answer.

use std::collections::BTreeMap;
use std::path::Path;

use ca::cert::CommonName;
use ca::key::{KeyType, PrivateKey, make_csr};
use server::ops::crl::CrlPublish;
use server::ops::inventory::List;
use server::ops::issue::{Issue, Issued, ProfileName};
use server::ops::revoke::{Release, Revoke};
use server::ops::view::{CertificateView, CrlView, Publication, Selector, Status};

use crate::socket::{Answer, call};

use super::Random;

/// A certificate whose issue was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) serial: String,
    pub(super) fingerprint: String,
    pub(super) pem: String,
    /// Its last acknowledged status.
    pub(super) status: Status,
    /// Whether the lists were in place with that status when it was acknowledged.
    pub(super) is_published: bool,
    /// A status that was asked for, without an answer: it may hold, or the one before.
    pub(super) asked: Option<Status>,
}

/// A client of the service.
#[derive(Debug)]
pub(super) struct Client {
    number: usize,
    random: Random,
    csr: String,
    pub(super) known: Vec<Known>,
    /// Names that a certificate was asked for, without an answer.
    pub(super) asked: Vec<String>,
    next_name: usize,
    /// The highest number of a list that was acknowledged as in place.
    pub(super) floor: u128,
    pub(super) acknowledged: usize,
}

/// Whether the service goes on.
pub(super) enum Goes {
    On,
    /// It does not answer any more.
    Gone,
}

impl Client {
    pub(super) fn new(number: usize, random: Random) -> Client {
        let key = PrivateKey::generate(KeyType::P256).expect("a key");
        let name: CommonName = "load".parse().expect("a name");
        let csr = make_csr(&key, &name, &[]).expect("a request");
        Client {
            number,
            random,
            csr,
            known: Vec::new(),
            asked: Vec::new(),
            next_name: 0,
            floor: 0,
            acknowledged: 0,
        }
    }

    /// Asks for one thing. A refusal is an error: nothing here may be refused.
    pub(super) fn act(&mut self, socket: &Path) -> Result<Goes, String> {
        let goes = match self.random.below(100) {
            0..45 => {
                self.next_name += 1;
                let name = format!("client-{}-{}", self.number, self.next_name);
                self.issue(socket, &name)
            }
            45..60 => self.revoke(socket, "superseded", Status::Revoked),
            60..75 => self.revoke(socket, "certificateHold", Status::Held),
            75..85 => self.release(socket),
            85..93 => {
                let publish = CrlPublish { root: self.random.below(4) == 0 };
                self.heard(call(socket, &publish))?.map_or(Ok(Goes::Gone), |lists| {
                    self.has_seen(&lists);
                    Ok(Goes::On)
                })
            }
            _ => {
                let some = List { limit: 10, ..List::default() };
                Ok(self.heard(call(socket, &some))?.map_or(Goes::Gone, |_page| Goes::On))
            }
        }?;
        if matches!(goes, Goes::On) {
            self.acknowledged += 1;
        }
        Ok(goes)
    }

    /// The acknowledgement; `None` if the service is gone.
    fn heard<R>(&self, answer: Answer<R>) -> Result<Option<R>, String> {
        match answer {
            Answer::Done(reply) => Ok(Some(reply)),
            Answer::Silent => Ok(None),
            Answer::Refused { problem, response } => {
                Err(format!("client {} was refused: {} {problem:?}", self.number, response.status))
            }
        }
    }

    fn issue(&mut self, socket: &Path, name: &str) -> Result<Goes, String> {
        match self.heard(call(socket, &self.order(name)))? {
            Some(issued) => {
                self.take(issued);
                Ok(Goes::On)
            }
            None => {
                self.asked.push(name.to_owned());
                Ok(Goes::Gone)
            }
        }
    }

    fn order(&self, name: &str) -> Issue {
        Issue {
            profile: ProfileName::Client,
            csr: self.csr.clone(),
            name: Some(name.to_owned()),
            names: Vec::new(),
            days: None,
            dry_run: false,
            project: None,
        }
    }

    fn take(&mut self, issued: Issued) {
        let Issued { certificate, pem, .. } = issued;
        let CertificateView { serial, fingerprint, .. } = certificate;
        let (status, is_published, asked) = (Status::Valid, true, None);
        self.known.push(Known { serial, fingerprint, pem, status, is_published, asked });
    }

    fn revoke(&mut self, socket: &Path, reason: &str, status: Status) -> Result<Goes, String> {
        let from: &[Status] = match status {
            // A hold may become a revocation, and never the other way round.
            Status::Revoked => &[Status::Valid, Status::Held],
            _ => &[Status::Valid],
        };
        let Some(place) = self.one_with(from) else { return Ok(Goes::On) };
        let selectors = vec![Selector::Word(self.known[place].serial.clone())];
        let ask = Revoke { selectors, reason: Some(reason.to_owned()), all: false, dry_run: false };
        let reply = self.heard(call(socket, &ask))?;
        Ok(self.changed(place, status, reply.map(|reply| reply.publication)))
    }

    fn release(&mut self, socket: &Path) -> Result<Goes, String> {
        let Some(place) = self.one_with(&[Status::Held]) else { return Ok(Goes::On) };
        let ask = Release { selector: Selector::Word(self.known[place].serial.clone()) };
        let reply = self.heard(call(socket, &ask))?;
        Ok(self.changed(place, Status::Valid, reply.map(|reply| reply.publication)))
    }

    fn one_with(&mut self, statuses: &[Status]) -> Option<usize> {
        let places: Vec<usize> =
            (0..self.known.len()).filter(|place| statuses.contains(&self.known[*place].status)).collect();
        self.random.one_of(&places).copied()
    }

    fn changed(&mut self, place: usize, status: Status, publication: Option<Publication>) -> Goes {
        let known = &mut self.known[place];
        match publication {
            None => {
                known.asked = Some(status);
                Goes::Gone
            }
            Some(publication) => {
                known.status = status;
                known.is_published = matches!(publication, Publication::Published { .. });
                if let Publication::Published { lists } = publication {
                    self.has_seen(&lists);
                }
                Goes::On
            }
        }
    }

    /// Only the issuing CA's lists are counted: the root has numbers of its own.
    fn has_seen(&mut self, lists: &[CrlView]) {
        let issuing = lists.iter().filter(|list| list.role == "issuing");
        let highest = issuing.filter_map(|list| list.number.parse().ok()).max();
        self.floor = self.floor.max(highest.unwrap_or(0));
    }

    /// Holds what the restarted service lists against this client's memory, and resolves what was open.
    pub(super) fn compare(&mut self, socket: &Path, listed: &Listed) -> Result<(), String> {
        for known in &mut self.known {
            let Some(found) = listed.by_serial.get(&known.serial) else {
                return Err(format!("an acknowledged certificate is lost: {}", known.serial));
            };
            if found.fingerprint != known.fingerprint {
                return Err(format!("serial {} has become another certificate", known.serial));
            }
            match known.asked.take() {
                _ if found.status == known.status => {}
                Some(asked) if found.status == asked => {
                    // Nobody was told of the lists.
                    (known.status, known.is_published) = (asked, false);
                }
                asked => {
                    let (then, now) = (known.status, found.status);
                    return Err(format!("{}: {then:?}, asked {asked:?}, is {now:?}", known.serial));
                }
            }
        }
        for name in std::mem::take(&mut self.asked) {
            let made = listed.by_name.get(&name).map_or(&[][..], Vec::as_slice);
            let before = self.known.len();
            if matches!(self.issue(socket, &name)?, Goes::Gone) {
                return Err("the service went away while it was looked at".to_owned());
            }
            match made {
                [] => {}
                [serial] if *serial == self.known[before].serial => {}
                _ => {
                    return Err(format!("{name} has the certificates {made:?} after the same request again"));
                }
            }
        }
        Ok(())
    }
}

/// Every client certificate that a service lists.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) by_serial: BTreeMap<String, CertificateView>,
    pub(super) by_name: BTreeMap<String, Vec<String>>,
}

impl Listed {
    pub(super) fn by(socket: &Path) -> Result<Listed, String> {
        let mut listed = Listed::default();
        let mut after = None;
        loop {
            let ask = List { after, limit: List::LIMIT, ..List::default() };
            let Answer::Done(page) = call(socket, &ask) else {
                return Err("the restarted service does not list".to_owned());
            };
            for one in page.certificates.into_iter().filter(|one| one.profile == "client") {
                listed.by_name.entry(one.name.clone()).or_default().push(one.serial.clone());
                if let Some(twice) = listed.by_serial.insert(one.serial.clone(), one) {
                    return Err(format!("two certificates have the serial {}", twice.serial));
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(listed),
            }
        }
    }
}
