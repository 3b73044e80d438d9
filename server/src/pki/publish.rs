//! Publication: what is placed in the directory is also what the public listener serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use ca::authority;
use ca::cert::KeyId;
use ca::hierarchy::CertificateFiles;
use ca::records::{AuthorityRecord, CurrentRecord};
use crl::{Copies, Publication, Validity, Which};
use time::{Duration, OffsetDateTime};

use super::Pki;
use crate::http::problem;
use crate::http::public::{DER_CERTIFICATE, DER_LIST, Filling, PEM, TOP};
use crate::ops::{Error, view};
use crate::settings::Setting;

/// What the certificate files hold, and what that was read from.
pub(super) struct OnRecord {
    then: OffsetDateTime,
    current: CurrentRecord,
    authorities: Vec<AuthorityRecord>,
    files: CertificateFiles,
}

impl Pki {
    /// Places the authorities' certificates as the records have them; one call at a time, so that what
    /// was read last is placed last.
    ///
    /// Which earlier generations still have certificates in force is a walk through the inventory, and
    /// they gain none: that is found out again after an hour, or when the authorities have changed.
    pub(crate) fn place_certificates(&self, now: OffsetDateTime) -> Result<(), Error> {
        let mut known = self.shared.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let current = authority::Current::load(self.store())?.pair.record;
        let authorities = authority::list(self.store())?;
        let found = known.take().filter(|found| {
            let age = now - found.then;
            let is_fresh = !age.is_negative() && age < Duration::HOUR;
            is_fresh && found.current == current && found.authorities == authorities
        });
        let found = match found {
            Some(found) => found,
            None => {
                let files = CertificateFiles::on_record(self.store(), now)?;
                OnRecord { then: now, current, authorities, files }
            }
        };
        let placed = known.insert(found).files.place(self.directory())?;
        for path in &placed.changed {
            tracing::info!(file = %path.display(), "placed a certificate");
        }
        Ok(())
    }

    /// How long lists are valid.
    pub(crate) fn list_validity(&self) -> Result<Validity, Error> {
        let settings = self.settings()?;
        Ok(Validity {
            issuing: settings.span(Setting::CrlValidity),
            root: settings.span(Setting::CrlRootValidity),
        })
    }

    /// Makes and places lists, and serves them before it returns.
    pub(crate) fn publish(&self, which: &Which, now: OffsetDateTime) -> Result<Arc<Publication>, Error> {
        let evidence = || self.checkpoint_if_moved(now);
        let publication = self.publisher().publish_beside(which, self.list_validity()?, now, &evidence)?;
        self.fill_shelf(now)?;
        Ok(publication)
    }

    /// Signs a checkpoint unless one was signed of this very entry. A failure costs evidence and nothing
    /// else: it is logged, and the periodic work tries again.
    fn checkpoint_if_moved(&self, now: OffsetDateTime) {
        let head = self.store().head().0;
        if self.shared.checkpointed.swap(head, Ordering::SeqCst) == head {
            return;
        }
        if let Err(error) = self.checkpoint(now) {
            tracing::error!(%error, causes = problem::causes(&error).join(": "), "no checkpoint could be signed");
        }
    }

    /// Publishes after a change of the revocations, which stands whatever becomes of the lists.
    pub(crate) fn publish_after(&self, issuers: BTreeSet<KeyId>, now: OffsetDateTime) -> view::Publication {
        match self.publish(&Which::Of(issuers.clone()), now) {
            Err(error) => {
                let mut causes = vec![error.to_string()];
                causes.extend(problem::causes(&error));
                view::Publication::Pending { causes }
            }
            Ok(publication) => match issuers.iter().find_map(|issuer| publication.failure(issuer)) {
                Some(error) => {
                    let mut causes = vec![error.to_string()];
                    causes.extend(problem::causes(error));
                    view::Publication::Pending { causes }
                }
                None => {
                    let ours = publication.lists.iter().filter(|list| issuers.contains(&list.issuer));
                    match ours.map(|list| self.crl_view(list)).collect() {
                        Ok(lists) => view::Publication::Published { lists },
                        Err(error) => view::Publication::Pending { causes: vec![error.to_string()] },
                    }
                }
            },
        }
    }

    /// A list as it is shown.
    pub(crate) fn crl_view(&self, list: &crl::Published) -> Result<view::CrlView, Error> {
        let authority = authority::find(self.store(), &list.issuer)?;
        Ok(view::CrlView {
            issuer: list.issuer.to_string(),
            role: authority.map_or("issuing", |found| found.record.role.as_str()).to_owned(),
            number: list.number.to_string(),
            this_update: list.this_update,
            next_update: list.next_update,
            entries: list.entries,
            size: list.size,
            path: list.path.to_string_lossy().into_owned(),
        })
    }

    /// Compares what lies in the directory with the records, and places anew what differs.
    fn put_in_order(&self, now: OffsetDateTime) -> Result<Copies, Error> {
        let copies = self.publisher().put_in_order(now)?;
        for name in &copies.mended {
            tracing::warn!(file = %name.display(), "it was missing or not the list on record: placed anew");
        }
        Ok(copies)
    }

    /// Puts in order what lies in the directory, and takes it onto the shelf if somebody is served from it.
    /// A list that is not the one on record is not served: what was served before stays. Where nothing was
    /// served yet, an earlier list of ours is, as an interrupted publication leaves it: readers have it
    /// already, and without any list they refuse everybody.
    pub(crate) fn fill_shelf(&self, now: OffsetDateTime) -> Result<(), Error> {
        let copies = self.put_in_order(now)?;
        self.shelf().fill(|shelf| {
            let authorities = authority::list(self.store())?;
            let lists: BTreeMap<KeyId, OffsetDateTime> =
                self.publisher().lists(now)?.iter().map(|list| (list.issuer, list.next_update)).collect();
            let current = authority::Current::find(self.store())?;
            let of = |key_id: Option<KeyId>| key_id.and_then(|key_id| lists.get(&key_id).copied());
            for name in TOP {
                let next_update = match name {
                    "ca.crl" => of(current.as_ref().map(|current| current.issuing.record.key_id)),
                    "root.crl" => of(current.as_ref().map(|current| current.root.record.key_id)),
                    "chain.crl" => lists.values().min().copied(),
                    _ => None,
                };
                let place = Place { path: format!("/{name}"), name: Path::new(name), media: PEM };
                self.shelve(shelf, place, &copies, next_update, now)?;
            }
            for authority in authorities {
                let key_id = authority.key_id;
                if let Some(der) = authority.certificate {
                    let made = OffsetDateTime::from_unix_timestamp(authority.created_at).ok();
                    shelf.bytes(format!("/ca/{key_id}.crt"), der, DER_CERTIFICATE, made);
                }
                let file = self.layout().authorities().join(format!("{key_id}.crl"));
                let name = file.strip_prefix(self.directory()).unwrap_or(&file);
                let place = Place { path: format!("/crl/{key_id}/0.crl"), name, media: DER_LIST };
                self.shelve(shelf, place, &copies, of(Some(key_id)), now)?;
            }
            Ok(())
        })
    }

    fn shelve(
        &self,
        shelf: &mut Filling<'_>,
        place: Place<'_>,
        copies: &Copies,
        next_update: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let file = self.directory().join(place.name);
        // Between a list's record and its placing, the one before it counts: whoever was told that it is
        // published must find it, and not the one that is on the shelf since earlier still.
        if !copies.wrong.contains(place.name) || copies.awaiting.contains(place.name) {
            return shelf.file(place.path, &file, place.media, next_update);
        }
        if shelf.keep(&place.path) || !copies.earlier.contains(place.name) {
            return Ok(());
        }
        tracing::warn!(file = %file.display(), "an earlier list is served until the newest is in place");
        // The newest is overdue: nobody may keep this one.
        shelf.file(place.path, &file, place.media, Some(now))
    }
}

/// Where a file is served, and where it lies in the directory.
struct Place<'a> {
    path: String,
    name: &'a Path,
    media: &'static str,
}
