//! The certificates that the PKI issues to itself: the service's and the operator's.
//!
//! The key is made once and kept; a renewal replaces the certificate alone, in one step, so that no
//! reader ever finds a key and a certificate that don't belong together. One that was revoked stays
//! revoked: nothing here overrules that.

use std::io;
use std::path::{Path, PathBuf};

use ca::authority::Current;
use ca::cert::{Certificate, CommonName, DnsName};
use ca::key::{KeyType, PrivateKey, make_csr};
use ca::keyring::issuer_certificate;
use ca::profile::{ProfileKind, Validity};
use ca::records::RestsOn;
use ca::renew;
use store::again;
use store::file::{FileError, OnExisting, Part, Visibility, make_dir, place, place_together, read_secret};
use time::{Duration, OffsetDateTime};
use trust::change::{Cause, ChangeError, Wish, add_certificate};
use trust::entry::{KeyDigest, Origin, Subject};
use trust::rights::Rights;
use trust::{Admitted, Holder, Presented};

use crate::Pki;
use crate::ops::Error;
use crate::ops::issue::{Issue, Issued, ProfileName, Renew, Renewed};
use crate::ops::view::Selector;

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The client certificate of whoever runs the PKI.
    Operator,
    /// The server certificate of the service.
    Service,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was there and is good for some time.
    Current,
    /// There was none, or none that could be used.
    Made,
    /// It was due and has a successor.
    Renewed,
    /// It is revoked or on hold, and stays so.
    Revoked,
}

impl Own {
    /// Both.
    pub const ALL: [Own; 2] = [Own::Operator, Own::Service];

    fn folder(self, pki: &Pki) -> PathBuf {
        match self {
            Own::Operator => pki.layout().operator(),
            Own::Service => pki.layout().service(),
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Own::Operator => "operator",
            Own::Service => "server",
        }
    }

    /// Where the key lies.
    pub fn key_path(self, pki: &Pki) -> PathBuf {
        self.folder(pki).join(format!("{}.key", self.stem()))
    }

    /// Where the certificate lies.
    pub fn certificate_path(self, pki: &Pki) -> PathBuf {
        self.folder(pki).join(format!("{}.crt", self.stem()))
    }

    /// Where the certificate lies with those that lead to the root.
    pub fn chain_path(self, pki: &Pki) -> PathBuf {
        self.folder(pki).join(format!("{}-chain.crt", self.stem()))
    }

    /// How long it is to last, `None` for the profile's own time. Clients that pinned the service's go by the
    /// certificate itself, so it lasts as long as one may: each new one is a stranger to them.
    fn days(self, pki: &Pki, now: OffsetDateTime) -> Result<Option<u32>, Error> {
        match self {
            Own::Operator => Ok(None),
            Own::Service => {
                let (longest, _) = ProfileKind::Server.limit();
                let issuing = Current::load(pki.store())?.issuing.record;
                let end = issuer_certificate(&issuing).map_err(ca::Error::from)?.certificate().not_after();
                // A day to spare. One that would outlive its issuing CA is cut to that by default.
                let fits = end - now > Duration::days(i64::from(longest) + 1);
                Ok(fits.then_some(longest))
            }
        }
    }

    /// What its request asks for; `host` is this machine's name.
    fn request(self, csr: String, host: &str, days: Option<u32>) -> Issue {
        let (profile, name, names) = match self {
            Own::Operator => (ProfileName::Client, "operator", Vec::new()),
            Own::Service => {
                let mut names = vec!["ip:127.0.0.1".to_owned(), "ip:::1".to_owned()];
                // A host name that no certificate can carry is left out: localhost remains.
                if let Ok(host) = host.parse::<DnsName>() {
                    names.insert(0, format!("dns:{host}"));
                }
                (ProfileName::Server, "localhost", names)
            }
        };
        Issue { profile, csr, name: Some(name.to_owned()), names, days, dry_run: false, project: None }
    }
}

/// The certificate that lies in place, if it is there and belongs to the key.
pub(crate) fn in_place(pki: &Pki, own: Own) -> Result<Option<Certificate>, Error> {
    match read(&own.certificate_path(pki))? {
        Some(pem) => Ok(Some(Certificate::from_pem(&pem).map_err(ca::Error::from)?)),
        None => Ok(None),
    }
}

/// Makes what is missing and renews what is due.
pub(crate) fn keep(pki: &Pki, own: Own, now: OffsetDateTime) -> Result<Kept, Error> {
    make_dir(&own.folder(pki), Visibility::Public)?;
    let key = key(&own.key_path(pki))?;
    // What can't be read as a certificate is replaced like one that is missing; without its chain it is
    // of no use to the listener.
    let found = in_place(pki, own).ok().flatten().filter(|_| own.chain_path(pki).exists());
    let usable = found.filter(|found| found.public_key() == key.public_key() && found.not_after() > now);
    let Some(certificate) = usable else {
        let issued = issue(pki, own, &key, now)?;
        put_in_place(pki, own, &issued)?;
        return Ok(Kept::Made);
    };
    if is_revoked(pki, &certificate)? {
        return Ok(Kept::Revoked);
    }
    let validity = Validity { not_before: certificate.not_before(), not_after: certificate.not_after() };
    if now < renew::due_at(validity) {
        return Ok(Kept::Current);
    }
    // One of a time when it was made for less has a successor as long as one is made now, for the same key.
    if let Some(days) = own.days(pki, now)?
        && validity.length() + Duration::DAY < Duration::days(i64::from(days))
    {
        put_in_place(pki, own, &issue(pki, own, &key, now)?)?;
        return Ok(Kept::Renewed);
    }
    let selector = Selector::Pem(certificate.to_pem());
    let renewed = pki.run(Renew { selector, csr: None, if_due: false }, &Presented::InProcess, now)?;
    match renewed {
        Renewed::NotDue(_) => Ok(Kept::Current),
        Renewed::Renewed(issued) => {
            put_in_place(pki, own, &issued)?;
            Ok(Kept::Renewed)
        }
    }
}

/// Trusts the operator's certificate, which may do everything, or what another of its key may; what renews
/// it is trusted instead of it. One that was removed or revoked, or that PKI mode refuses, stays out.
pub(crate) fn trust_operator(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let Some(certificate) = in_place(pki, Own::Operator)? else { return Ok(()) };
    let key = KeyDigest::of(&certificate);
    let holder = Holder::new(certificate, Vec::new());
    let admitted = Admitted::in_process();
    let who = admitted.peer().to_string();
    let cause = Cause { who, may_give: admitted.held().clone(), rests_on: RestsOn::nothing() };
    again(|| {
        let vetted = match pki.gate().vet(&holder, &pki.settings()?.trust(), now) {
            Err(trust::Error::Refused(refusal)) => {
                tracing::warn!(%refusal, "the operator is not trusted on HTTPS");
                return Ok(());
            }
            vetted => vetted?,
        };
        let batch = {
            let state = pki.gate().set().now()?;
            let entries = state.entries();
            let before = entries.iter().find(|entry| match &entry.record.subject {
                Subject::Certificate { key: found, .. } => *found == key,
                Subject::User { .. } => false,
            });
            let rights = before.map_or(Rights::FULL, |before| before.record.rights.clone());
            let wish = Wish { name: None, rights, origin: Origin::Operator };
            add_certificate(&state, &holder, &vetted, &wish, &cause, now)
        };
        match batch {
            Err(ChangeError::Already { .. }) => Ok(()),
            batch => {
                pki.store().commit(batch?)?;
                Ok(())
            }
        }
    })
}

/// Whether any of our authorities has revoked it.
pub(crate) fn is_revoked(pki: &Pki, certificate: &Certificate) -> Result<bool, Error> {
    let serial = certificate.serial();
    match ca::inventory::by_serial(pki.store(), &serial)? {
        Some(found) => Ok(pki.revoked().find(&found.record.issuer, &serial)?.is_some()),
        None => Ok(false),
    }
}

fn issue(pki: &Pki, own: Own, key: &PrivateKey, now: OffsetDateTime) -> Result<Issued, Error> {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let name: CommonName = own.stem().parse().map_err(|_never| Error::Nameless)?;
    let csr = make_csr(key, &name, &[]).map_err(ca::Error::from)?;
    pki.run(own.request(csr, &host, own.days(pki, now)?), &Presented::InProcess, now)
}

fn put_in_place(pki: &Pki, own: Own, issued: &Issued) -> Result<(), Error> {
    let (leaf, chain) = (format!("{}.crt", own.stem()), format!("{}-chain.crt", own.stem()));
    let parts = [
        Part { name: &chain, bytes: issued.chain.as_bytes(), visibility: Visibility::Public },
        Part { name: &leaf, bytes: issued.pem.as_bytes(), visibility: Visibility::Public },
    ];
    Ok(place_together(&own.folder(pki), &parts)?)
}

/// The key at `path`; a new one if there is none.
fn key(path: &Path) -> Result<PrivateKey, Error> {
    if path.symlink_metadata().is_ok() {
        let pem = read_secret(path)?;
        return Ok(PrivateKey::from_pem(&pem, None).map_err(ca::Error::from)?);
    }
    let key = PrivateKey::generate(KeyType::P384).map_err(ca::Error::from)?;
    let pem = key.to_pem().map_err(ca::Error::from)?;
    place(path, pem.as_bytes(), Visibility::Secret, OnExisting::Refuse)?;
    Ok(key)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File(FileError::Io { operation: "read", path: path.to_owned(), source })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::revoke::Revoke;
    use crate::testing::{at, made};

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn the_services_own_is_renewed_for_as_long_as_one_is_made_now() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        make_dir(&Own::Service.folder(&pki), Visibility::Public).unwrap();
        let made_key = key(&Own::Service.key_path(&pki)).unwrap();
        let csr = make_csr(&made_key, &"server".parse().unwrap(), &[]).unwrap();
        let short = Own::Service.request(csr, "host", Some(397));
        let short = pki.run(short, &Presented::InProcess, at(0)).unwrap();
        put_in_place(&pki, Own::Service, &short).unwrap();
        assert_eq!(keep(&pki, Own::Service, at(264 * DAY)).unwrap(), Kept::Current);
        assert_eq!(keep(&pki, Own::Service, at(265 * DAY)).unwrap(), Kept::Renewed);
        let now = in_place(&pki, Own::Service).unwrap().unwrap();
        assert!((now.not_after() - now.not_before()).whole_days() >= 824);
        assert_eq!(now.public_key(), made_key.public_key());
        assert_eq!(keep(&pki, Own::Service, at(266 * DAY)).unwrap(), Kept::Current);
    }

    #[test]
    fn they_are_made_once_renewed_with_their_key_and_left_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        // Two thirds of 365 days, and of 825: what others pin lasts as long as it may.
        for (own, good_until, due) in [(Own::Operator, 243, 244), (Own::Service, 549, 551)] {
            assert_eq!(keep(&pki, own, at(0)).unwrap(), Kept::Made);
            assert_eq!(keep(&pki, own, at(good_until * DAY)).unwrap(), Kept::Current);
            let first = in_place(&pki, own).unwrap().unwrap();
            let key = std::fs::read(own.key_path(&pki)).unwrap();
            assert_eq!(keep(&pki, own, at(due * DAY)).unwrap(), Kept::Renewed);
            let second = in_place(&pki, own).unwrap().unwrap();
            assert_eq!(std::fs::read(own.key_path(&pki)).unwrap(), key);
            assert_eq!(second.public_key(), first.public_key());
            assert_ne!(second.serial(), first.serial());
            // The successor lasts as long.
            assert_eq!(second.not_after() - second.not_before(), first.not_after() - first.not_before());
        }
        let names: Vec<String> =
            in_place(&pki, Own::Service).unwrap().unwrap().names().iter().map(ToString::to_string).collect();
        for name in ["dns:localhost", "ip:127.0.0.1", "ip:::1"] {
            assert!(names.iter().any(|found| found == name), "{names:?}");
        }
        let selectors = vec![Selector::Pem(in_place(&pki, Own::Operator).unwrap().unwrap().to_pem())];
        let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
        pki.run(revoke, &Presented::InProcess, at(301 * DAY)).unwrap();
        assert_eq!(keep(&pki, Own::Operator, at(302 * DAY)).unwrap(), Kept::Revoked);
    }
}
