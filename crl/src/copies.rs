//! Compares the files that are put together from lists with the lists that the records name.
//!
//! `ca.crl`, `ca.crl.der`, `root.crl` and `chain.crl` are copies. Somebody may write over one, or put an
//! older one back, and whoever reads an older list lets in what was revoked since. The truth is the digest
//! in the records: a list counts only if it has that digest and its authority's signature, wherever it
//! lies. A copy that differs is placed anew; nothing is signed here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use ca::cert::{KeyId, SignedData};
use ca::records::AuthorityRecord;
use time::OffsetDateTime;

use crate::build;
use crate::files::{Files, Stamp, number_of, pem, sha256};
use crate::kept::Kept;
use crate::{CrlNumber, Error, Publisher};

/// How the files compare with the records, by their names in the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Those that hold what the records name.
    pub right: BTreeSet<PathBuf>,
    /// Those that are missing or hold something else.
    pub wrong: BTreeSet<PathBuf>,
    /// Those among the wrong that hold earlier lists of ours, whole: what readers had until now.
    pub earlier: BTreeSet<PathBuf>,
    /// Those among the wrong that are still as this process placed or last found them: a newer list is on
    /// record and on its way, and they are the newest that anybody can have.
    pub awaiting: BTreeSet<PathBuf>,
    /// Those that were wrong and have been placed anew.
    pub mended: Vec<PathBuf>,
}

/// What a file was when it was found right or was placed, and the digests of the lists in it: while it is
/// the same file and the records name the same lists, it is right.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Known {
    stamp: Stamp,
    lists: Vec<[u8; 32]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deal {
    Look,
    Mend,
}

/// The files that hold one list or several under another name.
pub(crate) const ROOT: &str = "root.crl";
pub(crate) const CA: &str = "ca.crl";
pub(crate) const CHAIN: &str = "chain.crl";
pub(crate) const CA_DER: &str = "ca.crl.der";
const COPIES: [&str; 4] = [ROOT, CA, CHAIN, CA_DER];

/// How the lists stand in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Der,
    Pem,
}

/// A file, the lists it is to hold, in this order, and whether it may be placed anew.
struct Wanted {
    name: PathBuf,
    lists: Vec<(KeyId, [u8; 32])>,
    form: Form,
}

impl Publisher {
    /// Compares the files with the records, and touches nothing.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Authorities`].
    pub fn inspect(&self, now: OffsetDateTime) -> Result<Copies, Error> {
        self.compare(now, Deal::Look)
    }

    /// Compares the files with the records, and places anew what differs. What can't be placed stays wrong.
    ///
    /// # Errors
    /// As for [`Publisher::inspect`].
    pub fn put_in_order(&self, now: OffsetDateTime) -> Result<Copies, Error> {
        self.compare(now, Deal::Mend)
    }

    fn compare(&self, now: OffsetDateTime, deal: Deal) -> Result<Copies, Error> {
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.kept(now)?;
        let mut copies = Copies::default();
        let mut unknown = Vec::new();
        for wanted in self.wanted_files(&kept)? {
            let lists: Vec<[u8; 32]> = wanted.lists.iter().map(|(_, digest)| *digest).collect();
            match self.knows(&wanted.name, &lists) {
                true => {
                    copies.right.insert(wanted.name);
                }
                false => unknown.push((wanted, lists)),
            }
        }
        // Each list is read once, and only if a file has to be looked at.
        let mut found: BTreeMap<KeyId, Option<Vec<u8>>> = BTreeMap::new();
        for (wanted, lists) in unknown {
            let name = &wanted.name;
            let before = self.files.stamp(name);
            // A list that can't be found anywhere is made anew: until then its files are left alone.
            let content = self.content(&kept, &wanted, &mut found);
            let is_right =
                !self.doubts(name) && content.as_ref().is_some_and(|content| self.files.holds(name, content));
            if is_right && let Some(stamp) = before {
                self.lock_known().insert(name.clone(), Known { stamp, lists });
                copies.right.insert(wanted.name);
                continue;
            }
            let mended = match (content, deal) {
                (Some(content), Deal::Mend) => self.files.place_bytes(name, &content).is_ok(),
                (Some(_) | None, _) => false,
            };
            if mended {
                self.trust([name.as_path()]);
                self.know(name, lists);
                copies.mended.push(name.clone());
                copies.right.insert(wanted.name);
                continue;
            }
            if self.is_untouched(name) {
                copies.awaiting.insert(name.clone());
            }
            if self.is_earlier(name, &kept) {
                copies.earlier.insert(name.clone());
            }
            copies.wrong.insert(wanted.name);
        }
        Ok(copies)
    }

    /// Every file that holds lists. Each authority's own comes last, as when they are published.
    fn wanted_files(&self, kept: &Kept) -> Result<Vec<Wanted>, Error> {
        let mut on_record = Vec::new();
        for authority in kept.iter() {
            if let Some(last) = build::last(self.store(), &authority.key_id)? {
                on_record.push((authority.key_id, last.record.digest));
            }
        }
        let of = |issuer: &KeyId| on_record.iter().copied().filter(|(found, _)| found == issuer).collect();
        let mut files = vec![
            Wanted { name: CHAIN.into(), lists: on_record.clone(), form: Form::Pem },
            Wanted { name: ROOT.into(), lists: of(&kept.root), form: Form::Pem },
            Wanted { name: CA.into(), lists: of(&kept.issuing), form: Form::Pem },
            Wanted { name: CA_DER.into(), lists: of(&kept.issuing), form: Form::Der },
        ];
        files.extend(on_record.iter().map(|(issuer, digest)| Wanted {
            name: Files::own_name(issuer),
            lists: vec![(*issuer, *digest)],
            form: Form::Der,
        }));
        Ok(files)
    }

    /// What a file is to hold; `None` if one of its lists can't be found, or there is none yet.
    fn content(
        &self,
        kept: &Kept,
        wanted: &Wanted,
        found: &mut BTreeMap<KeyId, Option<Vec<u8>>>,
    ) -> Option<Vec<u8>> {
        for (issuer, digest) in &wanted.lists {
            let read = || kept.find(issuer).and_then(|authority| self.list(authority, digest));
            found.entry(*issuer).or_insert_with(read).as_ref()?;
        }
        let lists = || wanted.lists.iter().filter_map(|(issuer, _)| found.get(issuer)?.as_deref());
        match (wanted.form, wanted.lists.is_empty()) {
            (_, true) => None,
            (Form::Der, false) => lists().next().map(<[u8]>::to_vec),
            (Form::Pem, false) => Some(pem(&lists().collect::<Vec<_>>())),
        }
    }

    /// Whether a file holds whole lists of the authorities it is for, and nothing else: what an interrupted
    /// publication leaves, or one that failed.
    fn is_earlier(&self, name: &Path, kept: &Kept) -> bool {
        let lists = self.files.lists_in(name);
        let parts: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
        let is_whole = match parts.as_slice() {
            [] => false,
            [only] if self.files.holds(name, only) => true,
            parts => self.files.holds(name, &pem(parts)),
        };
        let is_for = |authority: &AuthorityRecord| match name.to_str() {
            Some(CHAIN) => true,
            Some(ROOT) => authority.key_id == kept.root,
            Some(CA | CA_DER) => authority.key_id == kept.issuing,
            _ => name == Files::own_name(&authority.key_id),
        };
        let is_ours = |der: &[u8]| {
            let mut signers = kept.iter().filter(|authority| is_for(authority));
            signers.any(|authority| {
                let certificate = build::certificate_of(authority).ok();
                certificate.is_some_and(|signer| number_of(der, signer.public_key()).is_some())
            })
        };
        is_whole && lists.iter().all(|der| is_ours(der))
    }

    fn lock_known(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_unsynced(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that the placing of files failed: whatever they hold, a power cut may take it back.
    pub(crate) fn doubt(&self, names: impl Iterator<Item = PathBuf>) {
        self.lock_unsynced().extend(names);
    }

    /// Forgets that, once they have been placed.
    pub(crate) fn trust<'a>(&self, names: impl IntoIterator<Item = &'a Path>) {
        let mut unsynced = self.lock_unsynced();
        for name in names {
            unsynced.remove(name);
        }
    }

    fn doubts(&self, name: &Path) -> bool {
        self.lock_unsynced().contains(name)
    }

    /// Remembers that a file, as it is now, holds these lists.
    pub(crate) fn know(&self, name: &Path, lists: Vec<[u8; 32]>) {
        if let Some(stamp) = self.files.stamp(name) {
            self.lock_known().insert(name.to_owned(), Known { stamp, lists });
        }
    }

    /// Whether a file is still one that is known to hold these lists.
    fn knows(&self, name: &Path, lists: &[[u8; 32]]) -> bool {
        let stamp = self.files.stamp(name);
        let known = self.lock_known();
        known.get(name).is_some_and(|known| Some(known.stamp) == stamp && known.lists == lists)
    }

    /// Whether nobody but this process has touched a file since it was found right or was placed.
    fn is_untouched(&self, name: &Path) -> bool {
        let stamp = self.files.stamp(name);
        self.lock_known().get(name).is_some_and(|known| Some(known.stamp) == stamp)
    }

    /// The newest list of an authority, DER, and its number: the one that the records name, wherever it lies.
    /// `None` if there is none yet or it can't be found: an earlier one does not stand in for it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn newest(&self, authority: &AuthorityRecord) -> Result<Option<(CrlNumber, Vec<u8>)>, Error> {
        let Some(last) = build::last(self.store(), &authority.key_id)? else { return Ok(None) };
        let found = self.list(authority, &last.record.digest);
        Ok(found.map(|der| (last.record.number, der)))
    }

    /// The list of an authority that the records name, from its own file or from any copy.
    pub(crate) fn list(&self, authority: &AuthorityRecord, digest: &[u8; 32]) -> Option<Vec<u8>> {
        if self.knows(&Files::own_name(&authority.key_id), &[*digest]) {
            return self.files.own(&authority.key_id).ok().flatten();
        }
        let certificate = build::certificate_of(authority).ok()?;
        let is_it = |der: &[u8]| {
            let signed = SignedData::from_der(der).ok();
            signed.is_some_and(|signed| {
                sha256(signed.tbs) == *digest && signed.verify(certificate.public_key()).is_ok()
            })
        };
        let own = self.files.own(&authority.key_id).ok().flatten().filter(|der| is_it(der));
        own.or_else(|| {
            let mut copies = COPIES.iter().flat_map(|name| self.files.lists_in(Path::new(name)));
            copies.find(|der| is_it(der))
        })
    }
}
