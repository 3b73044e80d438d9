//! Whole processes, as a user starts them: from `exec` to their end.

use super::limits::{Curve, Disk};
use super::measure::{Samples, timed};
use super::peers::whole_process;
use super::row::{Row, Unit};
use super::run::Bench;
use super::site::{FLEET, Site};

/// Octets of a key or a certificate in PEM, about.
const PEM: usize = 900;
/// What `pki issue-client NAME` places: certificate, key, chain.
const PLACED: usize = 3;

/// `pki issue-client NAME` with its key, so often; beside one `fdatasync` and the replacements it makes.
fn issue_client(site: &Site, disk: &mut Disk, round: &str, count: usize) -> (Samples, Samples) {
    let (mut figures, mut limits) = (Vec::new(), Vec::new());
    for number in 0..count {
        limits.push(disk.append() + disk.replace(PLACED, PEM));
        let name = format!("{round}-{number}");
        figures.push(whole_process(&mut site.sandbox().command(["issue-client", &name])));
    }
    (Samples::new(figures), Samples::new(limits))
}

const LIMIT: &str = "`fdatasync` and 3 files replaced";

/// The program that does nothing but say its version: what starting it costs.
pub fn starting(bench: &mut Bench) -> Vec<Row> {
    let site = Site::fresh(Curve::P256);
    let count = bench.scale().pick(100, 30, 2);
    let times: Samples =
        (0..count).map(|_| whole_process(&mut site.sandbox().command(["--version"]))).collect();
    vec![Row::distribution("`pki --version`, the bare start of the program", &times)]
}

/// With a new PKI, with and without a service.
pub fn issue_fresh(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(60, 20, 2);
    let (site, mut disk) = (Site::fresh(Curve::P256), Disk::new());
    let (here, here_limit) = issue_client(&site, &mut disk, "here", count);
    let (_, serving) = site.serve();
    let (served, limit) = issue_client(&site, &mut disk, "served", count);
    drop(serving);
    bench.note_fresh_issue(served.median());
    vec![
        Row::distribution("`pki issue-client`, service running, new CA", &served)
            .limit(limit.median(), LIMIT)
            .target_of(Some(limit.median() + 6.0), "6 ms + the limit"),
        Row::distribution("`pki issue-client`, no service, new CA", &here).limit(here_limit.median(), LIMIT),
    ]
}

/// With so many certificates, with and without a service.
pub fn issue_at_size(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let (count, size) = (bench.scale().pick(60, 20, 2), site.loaded());
    let mut disk = Disk::new();
    let (served, limit) = {
        let (_, serving) = site.serve();
        let measured = issue_client(site, &mut disk, &format!("served-{size}"), count);
        drop(serving);
        measured
    };
    let (here, here_limit) = issue_client(site, &mut disk, &format!("here-{size}"), count.div_ceil(4));
    let fresh = bench.fresh_issue().filter(|_| size == 1_000_000);
    vec![
        Row::distribution(format!("`pki issue-client`, service running, {size} certificates"), &served)
            .limit(limit.median(), LIMIT)
            .target_of(fresh.map(|fresh| fresh * 1.1), "1.1 × that of a new CA"),
        Row::distribution(format!("`pki issue-client`, no service, {size} certificates"), &here)
            .limit(here_limit.median(), LIMIT)
            .target_of((size == 100_000).then_some(150.0), ""),
    ]
}

/// `pki revoke NAME`, service running, to the new lists in place.
///
/// The limit is to encode, hash and sign a list of that length, and to write the bytes of every file
/// that the command replaced, plainly.
pub fn revoke(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let count = bench.scale().pick(10, 5, 1);
    let revoked = site.revoked();
    let spares = site.spares(count);
    let (_, serving) = site.serve();
    let disk = Disk::new();
    let (mut figures, mut plain, mut made, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for name in &spares {
        let before = files(site);
        figures.push(whole_process(&mut site.sandbox().command(["revoke", name])));
        let after = files(site);
        let sizes: Vec<u64> =
            after.iter().filter(|file| !before.contains(file)).map(|(_, _, size)| *size).collect();
        bytes = sizes.iter().sum();
        plain.push(disk.write_plainly(&sizes));
        made.push(super::lists::made(revoked.max(1)).bare());
    }
    drop(serving);
    let (plain, made) = (Samples::new(plain).median(), Samples::new(made).median());
    let row = Row::distribution(
        format!("`pki revoke` to the lists in place, {revoked} revoked"),
        &Samples::new(figures),
    )
    .with(format!("{:.1} MB placed", bytes as f64 / 1e6))
    .limit(
        made + plain,
        format!(
            "list made {}, the same bytes written {}",
            Unit::Milliseconds.show(made),
            Unit::Milliseconds.show(plain)
        ),
    )
    .target_of(Some(made + 1.3 * plain), "list made + 1.3 × written");
    vec![row]
}

/// Every published file: its name, its inode, its size.
fn files(site: &Site) -> Vec<(std::path::PathBuf, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let folders = [site.sandbox().dir(), site.sandbox().dir().join("cas")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    entries
        .filter_map(|entry| {
            let found = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((entry.path(), found.ino(), found.len()))
        })
        .collect()
}

/// One command that revokes the whole fleet. It brings the directory to the next number of revoked, so
/// it stands behind the other rows.
pub fn revoke_fleet(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let fleet = bench.scale().fleet();
    if bench.step() != Some(0) {
        return Vec::new();
    }
    let (_, serving) = site.serve();
    let (time, output) = timed(|| site.sandbox().pki(["revoke", FLEET, "--all"]));
    output.success();
    drop(serving);
    site.fleet_is_revoked(fleet);
    let row =
        Row::once(format!("`pki revoke {FLEET} --all`: {fleet} in one command"), Unit::Seconds, time / 1e3)
            .target_of((fleet == 100_000).then_some(5.0), "");
    vec![row]
}
