//! What the machine does at best: bare signatures and verifications, bare `fdatasync`, bare replacement
//! of a file, bare writing. No part of `pki` is in here.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, KeyPair,
    UnparsedPublicKey,
};

use super::machine::processors;
use super::measure::{Samples, rate, timed};
use super::row::{Row, Unit};
use super::run::Bench;

/// Octets of a request's signed part, and of a certificate's, about.
const REQUEST: [u8; 220] = [0x5a; 220];
const CERTIFICATE: [u8; 520] = [0xa5; 520];
/// Octets of a commit that holds one certificate, about.
const COMMIT: usize = 2048;

/// A curve to sign on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// P-256 with SHA-256.
    P256,
    /// P-384 with SHA-384.
    P384,
}

impl Curve {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
        }
    }

    /// As `pki` takes it.
    pub fn word(self) -> &'static str {
        match self {
            Curve::P256 => "p256",
            Curve::P384 => "p384",
        }
    }

    fn algorithms(self) -> (&'static EcdsaSigningAlgorithm, &'static EcdsaVerificationAlgorithm) {
        match self {
            Curve::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_ASN1),
            Curve::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1),
        }
    }
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sign what a certificate holds.
    Sign,
    /// Verify what a request holds, by a key that was never seen before.
    Verify,
    /// Both, as for one certificate.
    Both,
}

/// How often a second `threads` threads do it together.
pub fn signing_rate(curve: Curve, act: Act, threads: usize, time: Duration) -> f64 {
    rate(threads, time, || {
        let (signing, verifying) = curve.algorithms();
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate(signing).expect("a key");
        let signed = key.sign(&random, &REQUEST).expect("a signature");
        let public = key.public_key().as_ref().to_vec();
        move || {
            if act != Act::Sign {
                // The key comes with the request: reading it is part of the verification.
                let key = UnparsedPublicKey::new(verifying, &public);
                key.verify(&REQUEST, signed.as_ref()).expect("its own signature");
            }
            if act != Act::Verify {
                std::hint::black_box(key.sign(&random, &CERTIFICATE).expect("a signature"));
            }
        }
    })
}

/// A folder to write into, on the file system that everything else is measured on.
pub struct Disk {
    folder: tempfile::TempDir,
    journal: File,
    end: u64,
}

impl Disk {
    /// A new one, below the folder for temporary files.
    pub fn new() -> Disk {
        let folder = tempfile::Builder::new().prefix("pki-bench-disk-").tempdir().expect("a folder");
        let journal = File::create(folder.path().join("journal")).expect("a new file");
        Disk { folder, journal, end: 0 }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Milliseconds to append one commit's bytes and `fdatasync` them.
    pub fn append(&mut self) -> f64 {
        timed(|| self.append_of(COMMIT)).0
    }

    /// Appends so many octets and `fdatasync`s them.
    pub fn append_of(&mut self, size: usize) {
        self.journal.write_all_at(&vec![0x5a; size], self.end).expect("room to write");
        self.journal.sync_data().expect("a disk that syncs");
        self.end += size as u64;
    }

    /// Milliseconds to overwrite the same bytes of a file whose room is laid out, and `fdatasync` them.
    pub fn overwrite(&mut self, place: u64) -> f64 {
        const ROOM: u64 = 1 << 20;
        let path = self.path().join("laid-out");
        if !path.exists() {
            let file = File::create(&path).expect("a new file");
            (&file).write_all(&vec![0; ROOM as usize]).and_then(|()| file.sync_all()).expect("room to write");
        }
        let file = File::options().write(true).open(&path).expect("the file just made");
        timed(|| {
            file.write_all_at(&[0x5a; COMMIT], place * COMMIT as u64 % ROOM).expect("room to write");
            file.sync_data().expect("a disk that syncs");
        })
        .0
    }

    /// Milliseconds to replace `count` files of `size` octets one after another, each in one step: a new
    /// file, its `fsync`, a rename, the folder's `fsync`.
    pub fn replace(&self, count: usize, size: usize) -> f64 {
        let bytes = vec![0x5a; size];
        let folder = File::open(self.path()).expect("our folder");
        timed(|| {
            for number in 0..count {
                let (new, place) = (self.path().join("new"), self.path().join(format!("file-{number}")));
                let mut file = File::create(&new).expect("a new file");
                file.write_all(&bytes).and_then(|()| file.sync_all()).expect("room to write");
                std::fs::rename(&new, &place).expect("a rename");
                folder.sync_all().expect("a disk that syncs");
            }
        })
        .0
    }

    /// Milliseconds to write files of these sizes plainly, a write and an `fdatasync` each.
    pub fn write_plainly(&self, sizes: &[u64]) -> f64 {
        let longest = sizes.iter().copied().max().unwrap_or(0);
        let bytes = vec![0x5a; usize::try_from(longest).expect("a file that fits")];
        let paths: Vec<PathBuf> =
            (0..sizes.len()).map(|number| self.path().join(format!("plain-{number}"))).collect();
        let (time, ()) = timed(|| {
            for (path, size) in paths.iter().zip(sizes) {
                let mut file = File::create(path).expect("a new file");
                file.write_all(&bytes[..*size as usize]).expect("room to write");
                file.sync_data().expect("a disk that syncs");
            }
        });
        paths.iter().for_each(|path| std::fs::remove_file(path).expect("our own file"));
        time
    }
}

/// The table's first rows: the limits by themselves.
pub fn keys(bench: &mut Bench) -> Vec<Row> {
    let time = bench.scale().pick(1_000, 200, 5);
    let rounds = bench.scale().pick(5, 3, 1);
    let mut rows = Vec::new();
    for curve in [Curve::P256, Curve::P384] {
        for (act, word) in [(Act::Verify, "verifications"), (Act::Sign, "signatures")] {
            let mut threads = vec![1, processors()];
            threads.dedup();
            for threads in threads {
                let runs: Samples = (0..rounds)
                    .map(|_| signing_rate(curve, act, threads, Duration::from_millis(time)))
                    .collect();
                let plural = if threads == 1 { "thread" } else { "threads" };
                let work = format!("{} {word}, {threads} {plural}", curve.name());
                rows.push(Row::median(work, Unit::PerSecond, &runs));
            }
        }
    }
    rows
}

/// The limits of the disk.
pub fn disk(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(1_000, 100, 5);
    let mut disk = Disk::new();
    let (mut append, mut overwrite, mut replace) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        append.push(disk.append());
        overwrite.push(disk.overwrite(number));
        if number % 2 == 0 {
            replace.push(disk.replace(1, COMMIT));
        }
    }
    let sizes: &[u64] = bench.scale().pick(&[5_300_000, 53_000_000], &[530_000], &[5_300]);
    let rounds = bench.scale().pick(7, 3, 1);
    let mut rows = vec![
        Row::distribution("append 2 KiB, `fdatasync`", &Samples::new(append)),
        Row::distribution(
            "overwrite 2 KiB of a file that is laid out, `fdatasync`",
            &Samples::new(overwrite),
        ),
        Row::distribution("replace a file of 2 KiB in one step", &Samples::new(replace)),
    ];
    for &size in sizes {
        let runs: Samples = (0..rounds).map(|_| disk.write_plainly(&[size])).collect();
        let work = format!("write {:.1} MB plainly, `fdatasync`", size as f64 / 1e6);
        rows.push(Row::median(work, Unit::Milliseconds, &runs));
    }
    rows
}
