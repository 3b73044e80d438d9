//! Compares the files that are put together from lists with the lists that the records name.
//!
//! `ca.crl`, `ca.crl.der`, `root.crl` and `chain.crl` are copies. Somebody may write over one, or put an
//! older one back, and whoever reads an older list lets in what was revoked since. The truth is the digest
//! in the records: a list counts only if it has that digest and its authority's signature, wherever it
//! lies. A copy that differs is placed anew; nothing is signed here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use ca::cert::{KeyId, SignedData};
use ca::records::AuthorityRecord;
use time::OffsetDateTime;

use crate::build;
use crate::files::{Files, Stamp, number_of, pem, sha256};
use crate::kept::Kept;
use crate::{Error, Publisher};

/// How the files compare with the records, by their names in the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Those that hold what the records name.
    pub right: BTreeSet<PathBuf>,
    /// Those that are missing or hold something else.
    pub wrong: BTreeSet<PathBuf>,
    /// Those among the wrong that hold earlier lists of ours, whole: what readers had until now.
    pub earlier: BTreeSet<PathBuf>,
    /// Those that were wrong and have been placed anew.
    pub mended: Vec<PathBuf>,
}

/// What a comparison rested on: while that is the same, so is its outcome.
#[derive(PartialEq, Eq)]
pub(crate) struct Ground {
    digests: Vec<(KeyId, [u8; 32])>,
    stamps: Vec<Option<Stamp>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deal {
    Look,
    Mend,
}

/// The copies that hold one list or several, PEM.
const COPIES: [&str; 4] = ["root.crl", "ca.crl", "chain.crl", "ca.crl.der"];

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
        let mut digests = Vec::new();
        for authority in kept.iter() {
            if let Some(last) = build::last(self.store(), &authority.key_id)? {
                digests.push((authority.key_id, last.record.digest));
            }
        }
        let stamps = || {
            let own = digests.iter().map(|(issuer, _)| Files::own_name(issuer));
            own.chain(COPIES.map(PathBuf::from)).map(|name| self.files.stamp(&name)).collect()
        };
        let ground = Ground { digests: digests.clone(), stamps: stamps() };
        let known = self.compared.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((then, copies)) = known
            && then == ground
        {
            *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some((then, copies.clone()));
            return Ok(copies);
        }
        let copies = self.compare_all(&kept, &digests.iter().copied().collect(), deal)?;
        if copies.wrong.is_empty() {
            let ground = Ground { stamps: stamps(), digests };
            let quiet = Copies { mended: Vec::new(), ..copies.clone() };
            *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some((ground, quiet));
        }
        Ok(copies)
    }

    fn compare_all(
        &self,
        kept: &Kept,
        digests: &BTreeMap<KeyId, [u8; 32]>,
        deal: Deal,
    ) -> Result<Copies, Error> {
        let mut lists: Vec<(KeyId, Vec<u8>)> = Vec::new();
        for authority in kept.iter() {
            let digest = digests.get(&authority.key_id);
            if let Some(list) = digest.and_then(|digest| self.list(authority, digest)) {
                lists.push((authority.key_id, list));
            }
        }
        let of = |issuer: &KeyId| lists.iter().find(|(found, _)| found == issuer).map(|(_, der)| der);
        // A list that is being placed at this moment is not found yet: then the chain is left alone.
        let all = lists.len() == digests.len();
        let chain: Vec<u8> = lists.iter().flat_map(|(_, der)| pem(&[der])).collect();
        let one = |issuer: &KeyId| of(issuer).map(|der| pem(&[der]));
        let mut wanted: Vec<(PathBuf, Option<Vec<u8>>, Deal)> = vec![
            ("chain.crl".into(), Some(chain), if all { deal } else { Deal::Look }),
            ("root.crl".into(), one(&kept.root), deal),
            ("ca.crl".into(), one(&kept.issuing), deal),
            ("ca.crl.der".into(), of(&kept.issuing).cloned(), deal),
        ];
        // Each one's own file last, as when they are published.
        wanted.extend(digests.keys().map(|issuer| (Files::own_name(issuer), of(issuer).cloned(), deal)));
        let mut copies = Copies::default();
        for (name, content, deal) in wanted {
            let is_right = content.as_ref().is_some_and(|content| self.files.holds(&name, content));
            let mended = match (is_right, content, deal) {
                (false, Some(content), Deal::Mend) => self.files.place_bytes(&name, &content).is_ok(),
                _ => false,
            };
            if mended {
                copies.mended.push(name.clone());
            }
            if is_right || mended {
                copies.right.insert(name);
                continue;
            }
            if self.is_earlier(&name, kept) {
                copies.earlier.insert(name.clone());
            }
            copies.wrong.insert(name);
        }
        Ok(copies)
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
            Some("chain.crl") => true,
            Some("root.crl") => authority.key_id == kept.root,
            Some("ca.crl" | "ca.crl.der") => authority.key_id == kept.issuing,
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

    /// The list of an authority that the records name, from its own file or from any copy.
    pub(crate) fn list(&self, authority: &AuthorityRecord, digest: &[u8; 32]) -> Option<Vec<u8>> {
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
