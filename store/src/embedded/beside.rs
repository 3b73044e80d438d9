//! The digest of a whole segment, made beside the work that checks its frames.
//!
//! A segment that is opened is hashed twice: entry by entry, as the chain wants it, and whole, for the seal that
//! it gets one day. Neither waits for the other, so a large one is hashed on two cores. What this module
//! refuses: to read by itself. What is digested are the very bytes that were checked, never a second look
//! at the file.
//!
//! Thread and channel are the standard library's in the unit tests too: how far the digest is can be seen by
//! nobody before it is whole.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

use aws_lc_rs::digest::{Context, SHA256};

use crate::Error;

/// A segment below this is hashed by whoever reads it: a thread would take as long to begin.
const WORTH_A_THREAD: u64 = 1 << 20;
/// How many bytes are handed over at once.
const PIECE: usize = 256 << 10;
/// So many pieces may lie between the two; then the quicker one waits.
const BETWEEN: usize = 4;

/// Takes a segment's bytes, in their order.
pub(crate) enum Digest {
    /// Digests them at once.
    Here(Context),
    /// Hands them over.
    Beside {
        /// To the thread that digests them.
        to: SyncSender<Vec<u8>>,
        /// What is not handed over yet.
        piece: Vec<u8>,
    },
}

impl Digest {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Digest::Here(context) => context.update(bytes),
            Digest::Beside { to, piece } => {
                piece.extend_from_slice(bytes);
                if piece.len() >= PIECE {
                    // Nobody takes it only if the thread broke down; whoever joins it hears of that.
                    let _ = to.send(std::mem::replace(piece, Vec::with_capacity(PIECE)));
                }
            }
        }
    }

    /// The digest so far, of which `beside` has made what was handed over.
    fn finish(self, beside: impl FnOnce() -> Context) -> Context {
        match self {
            Digest::Here(context) => context,
            Digest::Beside { to, piece } => {
                let _ = to.send(piece);
                drop(to);
                beside()
            }
        }
    }
}

/// Does `work`, which reads a segment of `length` bytes and gives them to the digest.
pub(crate) fn digested<T>(
    length: u64,
    work: impl FnOnce(&mut Digest) -> Result<T, Error>,
) -> Result<(T, Context), Error> {
    std::thread::scope(|scope| {
        let (to, pieces) = sync_channel::<Vec<u8>>(BETWEEN);
        let beside = move || {
            let mut context = Context::new(&SHA256);
            pieces.iter().for_each(|piece| context.update(&piece));
            context
        };
        let thread = match length < WORTH_A_THREAD {
            true => None,
            // Where there is no thread to be had it takes longer, that is all.
            false => Builder::new().name("store-digest".to_owned()).spawn_scoped(scope, beside).ok(),
        };
        let mut digest = match &thread {
            None => Digest::Here(Context::new(&SHA256)),
            Some(_) => Digest::Beside { to, piece: Vec::with_capacity(PIECE) },
        };
        let done = work(&mut digest);
        let context = digest.finish(|| match thread.map(|thread| thread.join()) {
            Some(Ok(context)) => context,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Context::new(&SHA256),
        });
        Ok((done?, context))
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;

    use super::*;

    #[test]
    fn both_ways_make_the_digest_of_the_bytes() {
        for length in [0, 1, PIECE, 3 * PIECE + 1, 12 * PIECE + 5] {
            let bytes: Vec<u8> = (0..length).map(|at| ((at * 7) >> 3) as u8).collect();
            let (said, context) = digested(length as u64, |digest| {
                bytes.chunks(100_003).for_each(|some| digest.update(some));
                Ok(length)
            })
            .unwrap();
            assert_eq!(said, length);
            assert_eq!(context.finish().as_ref(), digest(&SHA256, &bytes).as_ref(), "{length}");
        }
    }

    #[test]
    fn work_that_fails_says_why() {
        for length in [0, WORTH_A_THREAD] {
            let failed = digested::<()>(length, |digest| {
                digest.update(&[1; 3 * PIECE]);
                Err(Error::Closed)
            });
            assert!(matches!(failed, Err(Error::Closed)), "{length}");
        }
    }
}
