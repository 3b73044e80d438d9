//! What a certificate costs on the disk.

use super::row::{Row, Unit};
use super::run::Bench;
use super::site::Site;

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
