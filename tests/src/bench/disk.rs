//! What a certificate costs on the disk.

use server::clock;

use super::limits::{Curve, Disk};
use super::process;
use super::row::{Row, Unit};
use super::run::Bench;
use super::site::{Site, requests_for};

/// Octets of one certificate on disk, and what was written for it, as the directory was filled.
pub fn loading(_: &mut Bench, site: &mut Site) -> Vec<Row> {
    let Some(load) = site.loads().last().copied() else { return Vec::new() };
    let count = load.count as f64;
    let of = format!("certificates {} to {}", site.loaded() - load.count + 1, site.loaded());
    let whole = site.loaded() == 1_000_000;
    let der = load.certificates as f64 / count;
    let journal = load.journal as f64 / count;
    let written = load.written as f64 / count;
    vec![
        Row::once(format!("bytes on disk each, {of}"), Unit::Bytes, load.store as f64 / count)
            .with(format!("journal {}", Unit::Bytes.show(journal)))
            .limit(der, "the certificate itself")
            .target_of(whole.then_some(2_560.0), "2.5 KiB"),
        Row::once(format!("write amplification, {of}"), Unit::Times, written / journal)
            .with(format!("{} written each", Unit::Bytes.show(written)))
            .limit(1.0, "the journal, once")
            .target_of(whole.then_some(3.0), ""),
        Row::once(
            format!("filling the directory in one process, {of}"),
            Unit::PerSecond,
            count / load.seconds,
        )
        .with("512 a commit, keys and requests made included"),
    ]
}

/// What is written for a certificate that is committed alone.
pub fn one_by_one(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(2_000, 200, 5);
    let site = Site::fresh(Curve::P256);
    let names = (0..count).map(|number| format!("client-{number}")).collect();
    let requests = requests_for(names, Curve::P256);
    let journal = site.store().join("journal");
    let before = (process::on_disk(&journal), process::written());
    let pki = site.open();
    for request in requests {
        let answer = pki.run(request, &server::peer::presented(), clock::now());
        answer.unwrap_or_else(|error| panic!("issuance: {error}"));
    }
    pki.store().close();
    drop(pki);
    let written = (process::written() - before.1) as f64 / f64::from(count);
    let journal = (process::on_disk(&journal) - before.0) as f64 / f64::from(count);
    let plain = plainly(count, journal as usize) / journal;
    vec![
        Row::once("write amplification, committed one by one", Unit::Times, written / journal)
            .with(format!(
                "{} written each, journal {}",
                Unit::Bytes.show(written),
                Unit::Bytes.show(journal)
            ))
            .limit(plain, "as many octets appended to a file as often, `fdatasync` each time")
            .target_of(Some(3.0), ""),
    ]
}

/// Octets written for each of `count` commits of `size` octets to a file that holds nothing else: a block that is
/// not full is written again with the next commit.
fn plainly(count: u32, size: usize) -> f64 {
    let mut disk = Disk::new();
    let before = process::written();
    (0..count).for_each(|_| disk.append_of(size));
    (process::written() - before) as f64 / f64::from(count)
}
