//! Measures the store: bytes on disk for each commit, commits per second, memory, time to open and
//! to build the index again. Figures for docs/decisions/0003-journal-and-index.md.
//!
//! `cargo run -p store --example measure -- DIR COMMITS INLINE_LIMIT`

#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use store::{Batch, Class, Create, Key, Limits, OpenOptions, Store};

/// One issuance: a record of 1 KiB and five small index records beside it.
fn issuance(number: u64) -> Batch {
    let serial =
        format!("{:040x}", u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let mut batch = Batch::new(
        Class::Ledger,
        number as i64,
        "local:1000(anna)",
        format!("issue client web-{number} serial={serial}"),
    );
    let record: Vec<u8> = (0..1024u64)
        .map(|at| (at.wrapping_mul(number | 1).wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    batch.expect_absent(Key::new("issued").part(&serial));
    batch.put(Key::new("issued").part(&serial), record);
    batch.put(Key::new("issued-by-name").part(format!("web-{number}")).part(&serial), vec![1]);
    batch.put(Key::new("issued-by-request").part(format!("{number:064x}")), serial.clone().into_bytes());
    batch.put(
        Key::new("issued-by-expiry").part(format!("{:016x}", 1_800_000_000 + number)).part(&serial),
        vec![1],
    );
    batch.put(
        Key::new("issued-by-fingerprint").part(format!("{:064x}", number * 7)),
        serial.clone().into_bytes(),
    );
    batch.put(Key::new("issued-by-key").part(format!("{:064x}", number * 11)).part(&serial), vec![1]);
    batch
}

fn size(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("DIR is missing")?).join("store");
    let commits: u64 = arguments.next().ok_or("COMMITS is missing")?.parse()?;
    let mut options = OpenOptions::new(Create::IfAbsent);
    options.limits.inline_value =
        arguments.next().map_or(Ok(Limits::default().inline_value), |limit| limit.parse())?;

    let (store, report) = Store::open(&dir, options.clone())?;
    println!("opened at {}: {}", report.head, memory());
    if report.head.0 > 0 {
        // A second run on the same directory shows a process that only opened it.
        return Ok(());
    }
    let alone = 200.min(commits);
    let begun = Instant::now();
    for number in 0..alone {
        store.commit(issuance(number))?;
    }
    println!("one at a time: {:.0}/s", alone as f64 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let mut waiting = std::collections::VecDeque::new();
    for number in alone..commits {
        waiting.push_back(store.submit(issuance(number)));
        if waiting.len() == 64
            && let Some(first) = waiting.pop_front()
        {
            first.wait()?;
        }
    }
    waiting.into_iter().try_for_each(|pending| pending.wait().map(drop))?;
    println!("64 under way: {:.0}/s", (commits - alone) as f64 / begun.elapsed().as_secs_f64());
    println!("after: {}", memory());
    let begun = Instant::now();
    for number in 0..10_000u64 {
        let serial = format!(
            "{:040x}",
            u128::from(number * 7919 % commits).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        );
        store.get(&Key::new("issued").part(serial))?.ok_or("a record is missing")?;
    }
    println!("random get: {:.0}/s", 10_000.0 / begun.elapsed().as_secs_f64());
    store.close();
    drop(store);
    let (journal, index) = (size(&dir.join("journal")), size(&dir.join("index")));
    println!("journal {} B a commit, index {} B a commit", journal / commits, index / commits);

    for (name, file) in [
        ("closed in order", None),
        ("not closed in order", Some("index.clean")),
        ("index gone", Some("index")),
    ] {
        match file {
            Some("index") => std::fs::remove_dir_all(dir.join("index"))?,
            Some(file) => std::fs::remove_file(dir.join(file))?,
            None => {}
        }
        let begun = Instant::now();
        let (store, report) = Store::open(&dir, options.clone())?;
        println!("open, {name}: {:.3} s, {:?}, {}", begun.elapsed().as_secs_f64(), report.index, memory());
        let begun = Instant::now();
        if file.is_none() {
            let frames: u64 = store.verify()?.segments.iter().map(|segment| segment.frames).sum();
            println!("verify: {:.3} s, {frames} frames", begun.elapsed().as_secs_f64());
        }
        drop(store);
    }
    Ok(())
}
