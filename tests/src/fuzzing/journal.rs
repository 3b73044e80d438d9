//! The journal's bytes, as a disk may give them back.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use store::{Create, Error, OpenOptions, Store, inspect_segment};

/// Where the first frame of a segment begins.
const HEADER: usize = 128;
/// A frame's prefix: magic, checksum, length, count, first sequence.
const PREFIX: usize = 24;

/// A frame that can be taken apart is put together again to the octet, and frames lie behind each
/// other without a gap.
pub fn journal_frame(data: &[u8]) {
    let Some(bytes) = segment(data) else { return };
    let Ok(mut file) = tempfile::tempfile_in(memory()) else { return };
    if file.write_all(&bytes).is_err() {
        return;
    }
    let content = match inspect_segment(&file, 1, Path::new("1.seg")) {
        Ok(content) => content,
        Err(Error::Damaged { .. } | Error::Format { .. }) => return,
        Err(other) => panic!("bytes are not an answer of the disk: {other:?}"),
    };
    let mut end = HEADER;
    for frame in &content.frames {
        assert_eq!(frame.offset, end as u64, "a gap between frames");
        let length = u32_at(&bytes, end + 8).map_or(0, |length| length as usize);
        let written = &bytes[end..end + PREFIX + length];
        end += written.len();
        if let Ok(entries) = &frame.entries {
            assert!(entries.bytes == written, "a frame at {} put together again differs", frame.offset);
            assert!(!entries.writes.is_empty(), "a frame without an entry");
            if let Ok(tip) = entries.tip {
                assert_eq!(tip.sequence.0, frame.first.0 + entries.writes.len() as u64 - 1);
            }
        }
    }
    assert_eq!(content.end, end as u64);
    let zeros = bytes.get(end..).is_none_or(|rest| rest.iter().all(|&byte| byte == 0));
    assert_eq!(content.broken.is_none(), zeros, "{:?}", content.broken);
}

/// A store is opened on the segment, or refused with the segment's name. Opened, it has one history:
/// it verifies, takes a commit, and opens again with it.
pub fn store_open(data: &[u8]) {
    let Some(bytes) = segment(data) else { return };
    let Ok(dir) = tempfile::tempdir_in(memory()) else { return };
    let path = dir.path().join("store");
    let file = path.join("journal/00000001.seg");
    assert!(lay_out(&path, &file, &bytes).is_ok(), "the store can't be laid out");
    let options = || OpenOptions::new(Create::Refuse);
    let (store, report) = match Store::open(&path, options()) {
        Ok(opened) => opened,
        Err(Error::Damaged { file: named, .. } | Error::Format { file: named, .. }) => {
            assert_eq!(named, file, "the refusal names another file");
            assert!(fs::read(&file).ok() == Some(bytes), "the refusal changed the journal");
            return;
        }
        Err(other) => panic!("bytes are not an answer of the disk: {other:?}"),
    };
    assert_eq!(report.head, store.head());
    if let Err(error) = store.verify() {
        panic!("a store that was opened does not verify: {error:?}");
    }
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "fuzz", "one more");
    batch.put(store::Key::new("fuzz"), b"one more".to_vec());
    let after = match store.commit(batch) {
        Ok(after) => after,
        Err(error) => panic!("a store that was opened takes nothing: {error:?}"),
    };
    assert_eq!(after.0, report.head.0 + 1);
    let tip = store.tip();
    drop(store);
    match Store::open(&path, options()) {
        Ok((again, second)) => {
            assert_eq!(again.tip(), tip);
            assert!(second.dropped.is_none(), "the second open drops what the first kept");
        }
        Err(error) => panic!("a store that took a commit does not open again: {error:?}"),
    }
}

fn lay_out(path: &Path, segment: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path.join("journal"))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(segment)?;
    file.write_all(bytes)
}

/// No fuzzer guesses a checksum. The first byte chooses: even, the bytes behind it are a segment as
/// it stands; odd, the checksums of its header and of its frames are put right first.
fn segment(data: &[u8]) -> Option<Vec<u8>> {
    let (mode, bytes) = data.split_first()?;
    let mut bytes = bytes.to_vec();
    if mode % 2 == 0 {
        return Some(bytes);
    }
    if let Some(header) = bytes.get(8..HEADER) {
        let crc = crc32c::crc32c(header);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    }
    let mut at = HEADER;
    while let Some(length) = u32_at(&bytes, at + 8) {
        let Some(end) = (at + PREFIX).checked_add(length as usize).filter(|end| *end <= bytes.len()) else {
            break;
        };
        if bytes[at..at + 4] != *b"PKIF" {
            break;
        }
        let crc = crc32c::crc32c(&bytes[at + 8..end]);
        bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
    Some(bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// Memory where there is some: a fuzzer would wear out a disk.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() }
}
