//! What a published file holds: in memory while it is small, else in the file itself.
//!
//! A list of a million entries is fifty megabytes under each of its names. Of such a file nothing is held in
//! memory but the piece that a client is about to be sent. The file stays open: when a new list takes its name,
//! downloads under way go on with the one they began. Written over where it lies, as nothing here ever does, it
//! is not served any more, and downloads of it break off.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use rustix::io::{Errno, ReadWriteFlags};

/// A file that is larger is not held in memory.
pub(crate) const LARGE: u64 = 256 * 1024;
/// How much of it is read at once: what a client costs.
const PIECE: usize = 16 * 1024;

/// The octets of a published file.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    File(Arc<Held>),
    Memory(Bytes),
}

/// A large file, held open.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
    then: Stamp,
    tag: String,
}

/// What a file was when it was opened: writing to it changes that, giving its name to another does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Stamp {
        Stamp { length: found.len(), modified: (found.mtime(), found.mtime_nsec()) }
    }
}

impl From<Vec<u8>> for Content {
    fn from(octets: Vec<u8>) -> Content {
        Content::Memory(octets.into())
    }
}

impl Content {
    /// A large file, from now on open.
    pub(crate) fn held(file: File, found: &Metadata) -> Content {
        let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
        let tag = format!("{:x}-{:x}-{seconds:x}-{nanoseconds:x}", found.ino(), found.len());
        Content::File(Arc::new(Held { file, then: Stamp::of(found), tag }))
    }

    /// What tells it from every other file under its name: its digest, or which file it is.
    pub(crate) fn tag(&self) -> String {
        match self {
            Content::File(held) => held.tag.clone(),
            Content::Memory(octets) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
                hex::encode(digest.as_ref())
            }
        }
    }

    /// How many octets there are.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Content::File(held) => held.then.length,
            Content::Memory(octets) => octets.len() as u64,
        }
    }

    /// Whether it still is what it was.
    pub(crate) fn is_intact(&self) -> bool {
        match self {
            Content::File(held) => held.check().is_ok(),
            Content::Memory(_) => true,
        }
    }

    /// All of it, as an answer.
    pub(crate) fn body(&self) -> Body {
        match self {
            Content::Memory(octets) => Body::from(octets.clone()),
            Content::File(held) => {
                Body::from_stream(stream::try_unfold((Arc::clone(held), 0), |(held, at)| async move {
                    if at >= held.then.length {
                        return Ok::<_, io::Error>(None);
                    }
                    let piece = held.piece(at).await?;
                    let next = at + piece.len() as u64;
                    Ok(Some((piece, (held, next))))
                }))
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn whole(&self) -> io::Result<Vec<u8>> {
        match self {
            Content::Memory(octets) => Ok(octets.to_vec()),
            Content::File(held) => {
                let mut octets = vec![0; usize::try_from(held.then.length).map_err(io::Error::other)?];
                held.file.read_exact_at(&mut octets, 0)?;
                Ok(octets)
            }
        }
    }
}

impl Held {
    /// The octets from `at` on. What lies in the page cache is taken from there, which is nearly always all;
    /// nobody else is kept waiting for a disk.
    async fn piece(self: &Arc<Held>, at: u64) -> io::Result<Bytes> {
        let left = usize::try_from(self.then.length - at).unwrap_or(usize::MAX);
        let mut octets = vec![0; left.min(PIECE)];
        let read = {
            let into = &mut [io::IoSliceMut::new(&mut octets)];
            rustix::io::preadv2(&self.file, into, at, ReadWriteFlags::NOWAIT)
        };
        match read {
            Ok(read) if read > 0 => octets.truncate(read),
            Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
                let held = Arc::clone(self);
                let read = move || held.file.read_exact_at(&mut octets, at).map(|()| octets);
                octets = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
            }
            Err(error) => return Err(error.into()),
        }
        self.check()?;
        Ok(octets.into())
    }

    fn check(&self) -> io::Result<()> {
        match Stamp::of(&self.file.metadata()?) == self.then {
            true => Ok(()),
            false => Err(io::Error::other("the file was written over")),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn held(path: &std::path::Path) -> Content {
        let file = File::open(path).unwrap();
        let found = file.metadata().unwrap();
        Content::held(file, &found)
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_is_sent_as_it_was_and_one_that_is_written_over_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.crl");
        let old: Vec<u8> = (0..100_000u32).flat_map(u32::to_be_bytes).collect();
        std::fs::write(&path, &old).unwrap();
        let content = held(&path);
        let mut body = content.body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), content.length()), (PIECE, 400_000));
        std::fs::write(dir.path().join("new"), "new").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        let rest = body.collect().await.unwrap().to_bytes();
        assert!(first.iter().chain(&rest).eq(&old), "the download under way");
        assert!(content.is_intact());
        assert_ne!(held(&path).tag(), content.tag());

        std::fs::write(&path, &old).unwrap();
        let content = held(&path);
        let mut body = content.body();
        body.frame().await.unwrap().unwrap();
        std::fs::write(&path, &old[..1000]).unwrap();
        assert!(body.collect().await.is_err());
        assert!(!content.is_intact());
    }
}
