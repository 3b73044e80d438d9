//! A filter that says of most keys that a run does not hold them, without a read.
//!
//! A Bloom filter whose bits for one key lie in one line of the processor's cache. Beside the keys
//! it holds their beginnings up to each `/`, so that a scan of everything below one key asks only
//! the runs that may have something there. About one answer in fifty is "perhaps" for nothing.

use std::hash::{BuildHasherDefault, Hasher};

/// Bits for each thing in it.
const BITS: usize = 10;
/// Bits that are set for each, in one line.
const SET: u32 = 6;
/// 64-bit words in a line.
const LINE: usize = 8;

/// A filter, full or under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    words: Vec<u64>,
}

/// Hashes keys in memory by [`digest`]. Whoever chooses names could have some of them meet in one place of a
/// table; a table is as large as one group commit, or holds no more than the digests themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyHasher(u64);

/// Makes them.
pub(crate) type KeyHash = BuildHasherDefault<KeyHasher>;

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= digest(bytes);
    }

    /// A digest that was made before.
    fn write_u64(&mut self, digest: u64) {
        self.0 ^= digest;
    }

    /// A length: [`digest`] knows it.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a filter remembers of a key or a beginning.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    const ONE: u64 = 0x9e37_79b9_7f4a_7c15;
    const TWO: u64 = 0xd6e8_feb8_6659_fd93;
    let mix = |state: u64, word: u64| {
        let wide = u128::from(state ^ word) * u128::from(TWO);
        (wide as u64) ^ ((wide >> 64) as u64) ^ ONE.rotate_left((word & 31) as u32)
    };
    let mut state = ONE ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        state = mix(state, u64::from_le_bytes(word));
    }
    mix(mix(state, ONE), TWO)
}

impl Filter {
    /// A filter for this many things.
    pub(crate) fn new(things: usize) -> Filter {
        let lines = (things * BITS).div_ceil(LINE * 64).max(1);
        Filter { words: vec![0; lines * LINE] }
    }

    /// The line of a thing, and its bits there.
    fn place(&self, digest: u64) -> (usize, [u64; LINE]) {
        let lines = (self.words.len() / LINE) as u64;
        let line = ((u128::from(digest) * u128::from(lines)) >> 64) as usize;
        let mut bits = [0; LINE];
        // The upper bits chose the line; the lower 54 choose six places of 512.
        for turn in 0..SET {
            let at = (digest >> (turn * 9)) & 511;
            bits[(at >> 6) as usize] |= 1 << (at & 63);
        }
        (line * LINE, bits)
    }

    /// Adds a thing by its digest.
    pub(crate) fn add(&mut self, digest: u64) {
        let (line, bits) = self.place(digest);
        for (word, bit) in self.words[line..line + LINE].iter_mut().zip(bits) {
            *word |= bit;
        }
    }

    /// Whether a thing may have been added; if not, it has not.
    pub(crate) fn may_hold(&self, digest: u64) -> bool {
        let (line, bits) = self.place(digest);
        self.words[line..line + LINE].iter().zip(bits).all(|(word, bit)| word & bit == bit)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Filter> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(LINE * 8) {
            return None;
        }
        let words =
            bytes.chunks_exact(8).map(|word| word.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)));
        Some(Filter { words: words.collect() })
    }
}

/// The digests that keys in order put into a filter: each key and its new beginnings.
#[derive(Default)]
pub(crate) struct Digests {
    before: Vec<u8>,
    found: Vec<u64>,
}

impl Digests {
    pub(crate) fn push(&mut self, key: &[u8]) {
        let same = self.before.iter().zip(key).take_while(|(a, b)| a == b).count();
        let slashes = key.iter().enumerate().skip(same).filter(|(_, byte)| **byte == b'/');
        self.found.extend(slashes.map(|(at, _)| digest(&key[..=at])));
        self.found.push(digest(key));
        self.before.clear();
        self.before.extend_from_slice(key);
    }

    pub(crate) fn finish(self) -> Filter {
        let mut filter = Filter::new(self.found.len());
        self.found.into_iter().for_each(|digest| filter.add(digest));
        filter
    }
}

/// What a scan from `start` to before `end` can ask a filter for: the beginning that every key in it
/// has, if that is one that filters hold.
pub(crate) fn beginning(start: &[u8], end: &[u8]) -> Option<u64> {
    let same = start.iter().zip(end).take_while(|(a, b)| a == b).count();
    // `a/…` to `a0`: everything below `a`, or a part of it.
    let below = end.len() == same + 1 && end[same] == b'/' + 1 && start.get(same) == Some(&b'/');
    let at = if below { same } else { start[..same].iter().rposition(|&byte| byte == b'/')? };
    Some(digest(&start[..=at]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn filled(count: u64) -> Filter {
        let mut digests = Digests::default();
        (0..count).for_each(|number| digests.push(format!("tree/{number:08}/part").as_bytes()));
        digests.finish()
    }

    #[test]
    fn what_is_in_it_is_found_and_little_else() {
        let filter = Filter::from_bytes(&filled(10_000).to_bytes()).unwrap();
        assert_eq!(filter, filled(10_000));
        let holds = |key: String| filter.may_hold(digest(key.as_bytes()));
        assert!((0..10_000).all(|number| holds(format!("tree/{number:08}/part"))));
        assert!((0..10_000).all(|number| holds(format!("tree/{number:08}/"))));
        assert!(holds("tree/".to_owned()));
        let wrong = (10_000..60_000).filter(|number| holds(format!("tree/{number:08}/part"))).count();
        assert!(wrong < 2_000, "{wrong} of 50000");
    }

    #[test]
    fn a_scan_below_a_key_asks_for_its_beginning() {
        let below = |start: &str, end: &str| beginning(start.as_bytes(), end.as_bytes());
        let expected = |text: &str| Some(digest(text.as_bytes()));
        assert_eq!(below("a/b/", "a/b0"), expected("a/b/"));
        assert_eq!(below("a/b/c\0", "a/b0"), expected("a/b/"));
        assert_eq!(below("a/b/", "a/b/c"), expected("a/b/"));
        assert_eq!(below("a/b", "a/c"), expected("a/"));
        assert_eq!(below("a/", "a0"), expected("a/"));
        assert_eq!(below("a", "b"), None);
        assert_eq!(below("\u{1}", "\u{7f}"), None);
    }

    /// Filters lie on disks: what they hold of a key may not change.
    #[test]
    fn a_digest_stays_what_it_is() {
        let known: [(&[u8], u64); 4] = [
            (b"", 0x7264_6398_f8e0_673b),
            (b"issued", 0x50d5_4147_5faf_e50f),
            (b"revoked/", 0xc25d_54eb_8b43_1d88),
            (b"issued-by-name/anna", 0xa431_4489_8959_8123),
        ];
        for (bytes, expected) in known {
            assert_eq!(digest(bytes), expected, "{bytes:?}");
        }
    }
}
