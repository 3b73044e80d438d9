//! Puts signed lists where others read them: first the files that several authorities share, then each one's
//! own, so that whoever finds an authority's own list in place finds the others in place too. All are written
//! beside their places at the same time; then they get their names in that order, and each directory is
//! synced once.
//!
//! What was placed is remembered with the lists it holds: nobody reads it again to see that it is right.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;

use ca::cert::KeyId;
use ca::records::AuthorityRecord;
use store::file::{Aside, Draft, FileError, Pace, put_in_place, write_aside};

use crate::build::{self, SignedList};
use crate::copies::{CA, CA_DER, CHAIN, Form, ROOT};
use crate::files::{Files, tbs_digest};
use crate::kept::Kept;
use crate::publication::{Publication, Published};
use crate::{Error, Publisher};

/// A list in place, of an authority that gets no new one now.
struct Other {
    der: Vec<u8>,
    /// The digest in the records, if this is that list.
    digest: Option<[u8; 32]>,
}

/// A file that holds one list or several under another name than their authority's own.
struct Shared<'a> {
    name: &'static Path,
    lists: Vec<&'a [u8]>,
    /// Their digests in the records; `None` if one of them is not the list on record.
    digests: Option<Vec<[u8; 32]>>,
    form: Form,
}

impl Publisher {
    /// Places what was signed.
    pub(crate) fn place(
        &self,
        kept: &Kept,
        signed: BTreeMap<KeyId, SignedList>,
        pace: Pace<'_>,
        publication: &mut Publication,
    ) {
        if signed.is_empty() {
            return;
        }
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let others = match self.others(kept, &signed, publication) {
            Ok(others) => others,
            Err(error) => return publication.failures.push((None, error)),
        };
        let shared = shared(kept, &signed, &others);
        let own_folder = self.files.make_own_folder();
        let mut drafts: Vec<_> = shared.iter().map(|file| self.draft(file)).collect();
        if own_folder.is_ok() {
            let own = signed.iter();
            drafts
                .extend(own.map(|(issuer, list)| self.files.der_draft(&Files::own_name(issuer), &list.der)));
        }
        // All at once; what fails for want of room has failed before anything is replaced.
        let mut written = write_aside(drafts, pace).into_iter();
        let placed =
            written.by_ref().take(shared.len()).collect::<Result<Vec<_>, _>>().and_then(put_in_place);
        if let Err(error) = placed {
            // Some may have their names already. Nobody is told of a list that a power cut could take back.
            self.doubt(shared.iter().map(|file| file.name.to_owned()));
            publication.failures.push((None, error.into()));
            return;
        }
        self.trust(shared.iter().map(|file| file.name));
        for file in &shared {
            if let Some(digests) = file.digests.clone() {
                self.know(file.name, digests);
            }
        }
        if let Err(error) = own_folder {
            publication.failures.push((None, error));
            return;
        }
        self.place_own(&signed, written, publication);
    }

    /// Puts each authority's own list in its place. One that could not be written costs the others nothing.
    fn place_own(
        &self,
        signed: &BTreeMap<KeyId, SignedList>,
        written: impl Iterator<Item = Result<Aside, FileError>>,
        publication: &mut Publication,
    ) {
        let mut whole = Vec::new();
        let mut asides = Vec::new();
        for ((issuer, list), written) in signed.iter().zip(written) {
            match written {
                Ok(aside) => {
                    asides.push(aside);
                    whole.push((issuer, list));
                }
                Err(error) => publication.failures.push((Some(*issuer), error.into())),
            }
        }
        if let Err(error) = put_in_place(asides) {
            self.doubt(whole.iter().map(|(issuer, _)| Files::own_name(issuer)));
            publication.failures.push((None, error.into()));
            return;
        }
        for (issuer, list) in whole {
            let name = Files::own_name(issuer);
            self.trust([name.as_path()]);
            if let Some(stamp) = self.files.stamp(&name) {
                let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
                placed.insert(*issuer, (list.record.digest, stamp));
            }
            self.know(&name, vec![list.record.digest]);
            publication.lists.push(Published::new(*issuer, &list.record, list.der.len() as u64));
        }
    }

    fn draft<'a>(&self, file: &Shared<'a>) -> Draft<'a> {
        match (file.form, file.lists.first()) {
            (Form::Der, Some(der)) => self.files.der_draft(file.name, der),
            (Form::Der, None) | (Form::Pem, _) => self.files.pem_draft(file.name, file.lists.clone()),
        }
    }

    /// The lists in place of the authorities that get no new one now.
    fn others(
        &self,
        kept: &Kept,
        signed: &BTreeMap<KeyId, SignedList>,
        publication: &mut Publication,
    ) -> Result<BTreeMap<KeyId, Other>, Error> {
        let mut others = BTreeMap::new();
        for authority in kept.iter().filter(|authority| !signed.contains_key(&authority.key_id)) {
            let issuer = authority.key_id;
            let path = || self.files.path(Files::own_name(&issuer));
            // The one on record, wherever it lies; an older one only where that is lost.
            let last = build::last(self.store(), &issuer)?;
            if let Some(digest) = last.map(|last| last.record.digest)
                && let Some(der) = self.list(authority, &digest)
            {
                others.insert(issuer, Other { der, digest: Some(digest) });
                continue;
            }
            match self.files.own(&issuer)? {
                Some(der) if tbs_digest(&der).is_some() => {
                    others.insert(issuer, Other { der, digest: None });
                }
                Some(_) => {
                    publication.failures.push((Some(issuer), Error::NotAList { issuer, path: path() }))
                }
                None => {
                    let path = self.files.path(Path::new(CHAIN));
                    publication.failures.push((Some(issuer), Error::MissingList { issuer, path }));
                }
            }
        }
        Ok(others)
    }
}

/// The files that hold lists under another name, in the order in which they are placed.
fn shared<'a>(
    kept: &Kept,
    signed: &'a BTreeMap<KeyId, SignedList>,
    others: &'a BTreeMap<KeyId, Other>,
) -> Vec<Shared<'a>> {
    let found = |authority: &AuthorityRecord| {
        let new = signed.get(&authority.key_id).map(|list| (list.der.as_slice(), Some(list.record.digest)));
        new.or_else(|| others.get(&authority.key_id).map(|other| (other.der.as_slice(), other.digest)))
    };
    let found: Vec<(&[u8], Option<[u8; 32]>)> = kept.iter().filter_map(found).collect();
    let mut files = vec![Shared {
        name: Path::new(CHAIN),
        lists: found.iter().map(|(der, _)| *der).collect(),
        digests: found.iter().map(|(_, digest)| *digest).collect(),
        form: Form::Pem,
    }];
    let mut add = |name: &'static str, issuer: &KeyId, form| {
        files.extend(signed.get(issuer).map(|list| Shared {
            name: Path::new(name),
            lists: vec![list.der.as_slice()],
            digests: Some(vec![list.record.digest]),
            form,
        }));
    };
    // An adopted CA that is its own root has one list under both names.
    add(ROOT, &kept.root, Form::Pem);
    add(CA_DER, &kept.issuing, Form::Der);
    add(CA, &kept.issuing, Form::Pem);
    files
}
