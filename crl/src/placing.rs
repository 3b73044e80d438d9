//! Puts signed lists where others read them: first the files that several authorities share, then each one's
//! own, so that whoever finds an authority's own list in place finds the others in place too.
//!
//! What was placed is remembered with the lists it holds: nobody reads it again to see that it is right.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;

use ca::cert::KeyId;
use ca::records::AuthorityRecord;

use crate::build::{self, SignedList};
use crate::copies::{CA, CA_DER, CHAIN, ROOT};
use crate::files::{Files, tbs_digest};
use crate::kept::Kept;
use crate::publication::{Publication, Published};
use crate::{Error, Publisher};

/// Lists that together are larger than this are encoded and written on two threads.
const LARGE: usize = 1 << 20;

/// A list in place, of an authority that gets no new one now.
struct Other {
    der: Vec<u8>,
    /// The digest in the records, if this is that list.
    digest: Option<[u8; 32]>,
}

/// The lists that `chain.crl` is made of.
struct Chain<'a> {
    lists: Vec<&'a [u8]>,
    /// Their digests in the records; `None` if one of them is not the list on record.
    digests: Option<Vec<[u8; 32]>>,
}

impl Publisher {
    /// Places what was signed.
    pub(crate) fn place(
        &self,
        kept: &Kept,
        signed: BTreeMap<KeyId, SignedList>,
        publication: &mut Publication,
    ) {
        if signed.is_empty() {
            return;
        }
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.place_shared(kept, &signed, publication) {
            publication.failures.push((None, error));
            return;
        }
        for (issuer, list) in signed {
            match self.files.place_own(&issuer, &list.der) {
                Ok(()) => {
                    let name = Files::own_name(&issuer);
                    if let Some(stamp) = self.files.stamp(&name) {
                        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
                        placed.insert(issuer, (list.record.digest, stamp));
                    }
                    self.know(&name, vec![list.record.digest]);
                    publication.lists.push(Published::new(issuer, &list.record, list.der.len() as u64));
                }
                Err(error) => publication.failures.push((Some(issuer), error)),
            }
        }
    }

    fn place_shared(
        &self,
        kept: &Kept,
        signed: &BTreeMap<KeyId, SignedList>,
        publication: &mut Publication,
    ) -> Result<(), Error> {
        let others = self.others(kept, signed, publication)?;
        let chain = chain(kept, signed, &others);
        let place_chain = || -> Result<(), Error> {
            self.files.place_pem(CHAIN, &chain.lists)?;
            if let Some(digests) = chain.digests.clone() {
                self.know(Path::new(CHAIN), digests);
            }
            Ok(())
        };
        if chain.lists.iter().map(|list| list.len()).sum::<usize>() <= LARGE {
            place_chain()?;
            return self.place_single(kept, signed);
        }
        std::thread::scope(|scope| {
            let single = scope.spawn(|| self.place_single(kept, signed));
            let chain = place_chain();
            match single.join() {
                Ok(single) => chain.and(single),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The files of the root and of the issuing CA alone.
    fn place_single(&self, kept: &Kept, signed: &BTreeMap<KeyId, SignedList>) -> Result<(), Error> {
        if let Some(list) = signed.get(&kept.root) {
            self.files.place_pem(ROOT, &[&list.der])?;
            self.know(Path::new(ROOT), vec![list.record.digest]);
        }
        // An adopted CA that is its own root has one list under both names.
        if let Some(list) = signed.get(&kept.issuing) {
            self.files.place_der(CA_DER, &list.der)?;
            self.know(Path::new(CA_DER), vec![list.record.digest]);
            self.files.place_pem(CA, &[&list.der])?;
            self.know(Path::new(CA), vec![list.record.digest]);
        }
        Ok(())
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

fn chain<'a>(
    kept: &Kept,
    signed: &'a BTreeMap<KeyId, SignedList>,
    others: &'a BTreeMap<KeyId, Other>,
) -> Chain<'a> {
    let found = |authority: &AuthorityRecord| {
        let new = signed.get(&authority.key_id).map(|list| (list.der.as_slice(), Some(list.record.digest)));
        new.or_else(|| others.get(&authority.key_id).map(|other| (other.der.as_slice(), other.digest)))
    };
    let found: Vec<(&[u8], Option<[u8; 32]>)> = kept.iter().filter_map(found).collect();
    Chain {
        lists: found.iter().map(|(der, _)| *der).collect(),
        digests: found.iter().map(|(_, digest)| *digest).collect(),
    }
}
