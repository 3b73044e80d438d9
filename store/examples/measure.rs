//! Measures the store beside what the machine can do: rate, processor time and bytes for each
//! commit, time to open (in order, after `kill -9`, without an index), memory. Figures for
//! docs/decisions/0003-journal-and-index.md.
//!
//! `cargo run --release -p store --example measure -- DIR COMMITS [INLINE_LIMIT]`; the example starts
//! itself anew for each step, so that memory is that of one process.

#![allow(clippy::print_stdout)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::{Batch, Class, Create, Direction, Key, OpenOptions, Store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sixteen bytes that look random, the same for the same number and use.
fn noise(number: u64, use_of: u64) -> u128 {
    let mix = |seed: u64| {
        let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    let low = mix(number.wrapping_mul(31).wrapping_add(use_of));
    u128::from(mix(low)) << 64 | u128::from(low)
}

fn digest(number: u64, use_of: u64) -> String {
    format!("{:032x}{:032x}", noise(number, use_of), noise(number, use_of + 1))
}

fn serial(number: u64) -> String {
    format!("{:08x}{:032x}", number as u32 ^ 0x5a5a_5a5a, noise(number, 0))
}

/// One issuance: a record of 1 KiB and five index records beside it, as the crates above write them.
fn issuance(number: u64) -> Batch {
    let serial = serial(number);
    let time = 1_800_000_000 + number / 50;
    let mut batch = Batch::new(
        Class::Ledger,
        time as i64,
        "local:1000(anna)",
        format!("issue client web-{number} serial={serial}"),
    );
    let record: Vec<u8> = (0..64).flat_map(|at| noise(number, 100 + at).to_le_bytes()).collect();
    let mut entry = vec![1, 0x82, 0x54];
    entry.extend(noise(number, 0).to_le_bytes());
    entry.extend([0; 4]);
    entry.push(0x54);
    entry.extend(noise(0, 7).to_le_bytes());
    entry.extend([7; 4]);
    batch.expect_absent(Key::new("issued").part(&serial));
    batch.expect_absent(Key::new("issued-by-request").part(digest(number, 2)));
    batch.expect_absent(Key::new("blocked-key").part(digest(number, 6)));
    batch.put(Key::new("issued").part(&serial), record);
    batch.put(
        Key::new("issued-by-name").part(format!("web-{number}")).part(format!("{time:016x}-{serial}")),
        entry.clone(),
    );
    batch.put(
        Key::new("issued-by-expiry").part(format!("{:016x}", time + 31_536_000)).part(&serial),
        entry.clone(),
    );
    batch.put(Key::new("issued-by-fingerprint").part(digest(number, 4)), entry.clone());
    batch.put(Key::new("issued-by-key").part(digest(number, 6)).part(&serial), entry.clone());
    batch.put(Key::new("issued-by-request").part(digest(number, 2)), entry);
    batch
}

/// The bytes of keys and values that it asks for.
fn asked() -> u64 {
    let size = |(key, write): &(Key, store::Write)| {
        key.as_bytes().len() + if let store::Write::Put(value) = write { value.len() } else { 0 }
    };
    issuance(77_777).writes.iter().map(|write| size(write) as u64).sum()
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

/// A figure from a file of `/proc/self`.
fn own(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn memory() -> String {
    format!("memory {} MiB, at most {} MiB", own("status", "VmRSS:") >> 10, own("status", "VmHWM:") >> 10)
}

/// Processor time of this process, its threads that have ended included.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let words: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn median(mut times: Vec<Duration>) -> (u128, u128) {
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0, Duration::as_micros);
    (at(50), at(99))
}

/// A write of a commit's bytes and its sync, with nothing else around.
fn plain_sync(dir: &Path) -> Result<(u128, u128), Failure> {
    let path = dir.join("plain");
    let file = File::create(&path)?;
    let bytes = vec![7; 1800];
    let mut times = Vec::new();
    for number in 0..300 {
        let begun = Instant::now();
        file.write_all_at(&bytes, number * 1800)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(median(times))
}

fn load(dir: &Path, store: &Store, commits: u64) -> Result<(), Failure> {
    let alone = 300.min(commits);
    let (p50, p99) = plain_sync(dir)?;
    println!("plain write and fdatasync: p50 {p50} us, p99 {p99} us");
    let mut times = Vec::new();
    for number in 0..alone {
        let batch = issuance(number);
        let begun = Instant::now();
        store.commit(batch)?;
        times.push(begun.elapsed());
    }
    let (p50, p99) = median(times);
    println!("one commit at a time: p50 {p50} us, p99 {p99} us");

    let begun = (Instant::now(), processor());
    (0..20_000).for_each(|number| drop(std::hint::black_box(issuance(number))));
    let making = processor().saturating_sub(begun.1).as_secs_f64() / 20_000.0 * 1e6;
    println!("making a batch takes {making:.1} us, taken off below");

    let next = AtomicU64::new(alone);
    let share = ((commits - alone) / 2).min(100_000);
    let until = alone + share;
    let begun = (Instant::now(), processor());
    std::thread::scope(|scope| -> Result<(), Failure> {
        let threads: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| -> Result<(), store::Error> {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= until {
                            return Ok(());
                        }
                        store.commit(issuance(number))?;
                    }
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| Ok(thread.join().map_err(|_| "a thread broke down")??))
    })?;
    let cpu = (processor() - begun.1).as_secs_f64() / share as f64 * 1e6 - making;
    let rate = share as f64 / begun.0.elapsed().as_secs_f64();
    println!("64 threads: {rate:.0}/s, {cpu:.1} us of processor time a commit");

    let begun = (Instant::now(), processor());
    let mut waiting = std::collections::VecDeque::new();
    for number in until..commits {
        waiting.push_back(store.submit(issuance(number)));
        if waiting.len() == 64
            && let Some(first) = waiting.pop_front()
        {
            first.wait()?;
        }
    }
    waiting.into_iter().try_for_each(|pending| pending.wait().map(drop))?;
    let share = (commits - until) as f64;
    let cpu = (processor() - begun.1).as_secs_f64() / share * 1e6 - making;
    let rate = share / begun.0.elapsed().as_secs_f64();
    println!(
        "64 under way from one thread: {rate:.0}/s, {cpu:.1} us of processor time a commit; {}",
        memory()
    );
    Ok(())
}

fn read(store: &Store, commits: u64) -> Result<(), Failure> {
    let begun = (Instant::now(), processor());
    for number in 0..20_000u64 {
        let number = number * 7919 % commits;
        store.get(&Key::new("issued").part(serial(number)))?.ok_or("a record is missing")?;
    }
    let cpu = (processor() - begun.1).as_secs_f64() / 20_000.0 * 1e6;
    println!("random get: {:.0}/s, {cpu:.1} us", 20_000.0 / begun.0.elapsed().as_secs_f64());
    let begun = (Instant::now(), processor());
    for number in 0..20_000u64 {
        let range = Key::new("issued-by-key").part(digest(number * 7919 % commits, 6)).children();
        store.scan(&range, None, 2, Direction::Ascending)?.pop().ok_or("a record is missing")?;
    }
    let cpu = (processor() - begun.1).as_secs_f64() / 20_000.0 * 1e6;
    println!("scan of one name: {:.0}/s, {cpu:.1} us", 20_000.0 / begun.0.elapsed().as_secs_f64());
    let begun = Instant::now();
    let (mut after, mut count) = (None, 0);
    loop {
        let page = store.scan(
            &Key::new("issued-by-expiry").children(),
            after.as_ref(),
            1000,
            Direction::Ascending,
        )?;
        count += page.len();
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
    }
    println!("all by expiry, in pages of 1000: {count} in {:.2} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// One step, in a process of its own.
fn step(what: &str, root: &Path, commits: u64, inline: Option<usize>) -> Result<(), Failure> {
    let dir = root.join("store");
    let mut options = OpenOptions::new(Create::IfAbsent);
    options.limits.inline_value = inline.unwrap_or(options.limits.inline_value);
    if what == "gone" {
        std::fs::remove_dir_all(dir.join("index"))?;
    }
    let begun = (Instant::now(), processor());
    let (store, report) = Store::open(&dir, options)?;
    let cpu = (processor() - begun.1).as_secs_f64();
    let took = begun.0.elapsed().as_secs_f64();
    println!("{what}: opened in {took:.3} s, {cpu:.2} s of processor time, {:?}; {}", report.index, memory());
    match what {
        "load" => {
            load(root, &store, commits)?;
            // As it is: with whatever stands in front of the index.
            let written = own("io", "write_bytes:");
            println!("written {} B a commit, asked for {} B", written / commits, asked());
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        }
        "in order" => {
            std::thread::sleep(Duration::from_secs(1));
            println!("idle: {}", memory());
            read(&store, commits)?;
            println!("after reading: {}", memory());
        }
        _ => {
            let begun = Instant::now();
            store.close();
            println!("closed in {:.3} s", begun.elapsed().as_secs_f64());
        }
    }
    drop(store);
    let (journal, index) = (size(&dir.join("journal")), size(&dir.join("index")));
    println!("journal {} B a commit, index {} B a commit", journal / commits, index / commits);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, commits, rest @ ..] = arguments.as_slice() else { return Err("DIR COMMITS".into()) };
    let (root, commits) = (PathBuf::from(dir), commits.parse()?);
    let inline = rest.first().filter(|word| *word != "-").map(|word| word.parse()).transpose()?;
    if let Some(what) = rest.get(1) {
        return step(what, &root, commits, inline);
    }
    for what in ["load", "killed", "in order", "gone", "in order"] {
        let inline = rest.first().map_or("-", String::as_str);
        std::process::Command::new(std::env::current_exe()?)
            .args([dir, &commits.to_string(), inline, what])
            .status()?;
    }
    Ok(())
}
