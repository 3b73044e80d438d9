//! The table: which benchmarks there are, and what each needs to find. To add one, write its function
//! and name it here.

use super::row::Row;
use super::run::Bench;
use super::site::Site;
use super::{commands, disk, fronts, https, issuance, limits, listener, lists, peers, start};

/// What a benchmark needs to find.
#[derive(Clone, Copy)]
pub(super) enum Work {
    /// Nothing: it makes what it needs.
    Alone(fn(&mut Bench) -> Vec<Row>),
    /// A PKI with so many certificates: it runs once at every size.
    AtSize(fn(&mut Bench, &mut Site) -> Vec<Row>),
    /// All of them, and so many revoked: it runs once at every step.
    AtRevoked(fn(&mut Bench, &mut Site) -> Vec<Row>),
}

/// One function, which makes some rows of the document.
pub struct Benchmark {
    /// What `--only` asks for.
    pub name: &'static str,
    /// The heading its rows stand under.
    pub group: &'static str,
    pub(super) work: Work,
}

const LIMITS: &str = "The machine's limits";
const ISSUANCE: &str = "Issuance";
const COMMANDS: &str = "Whole processes";
const LISTS: &str = "Lists";
const DISK: &str = "Disk";
const SERVICE: &str = "The service";
const HTTPS: &str = "The HTTPS listener";
const FRONTS: &str = "ACME and HAProxy";
const PEERS: &str = "Peers";

const fn alone(name: &'static str, group: &'static str, work: fn(&mut Bench) -> Vec<Row>) -> Benchmark {
    Benchmark { name, group, work: Work::Alone(work) }
}

const fn at_size(
    name: &'static str,
    group: &'static str,
    work: fn(&mut Bench, &mut Site) -> Vec<Row>,
) -> Benchmark {
    Benchmark { name, group, work: Work::AtSize(work) }
}

const fn at_revoked(
    name: &'static str,
    group: &'static str,
    work: fn(&mut Bench, &mut Site) -> Vec<Row>,
) -> Benchmark {
    Benchmark { name, group, work: Work::AtRevoked(work) }
}

/// All of them, in the order of the document.
pub const TABLE: &[Benchmark] = &[
    alone("limits-keys", LIMITS, limits::keys),
    alone("limits-disk", LIMITS, limits::disk),
    alone("issue-at-once", ISSUANCE, issuance::at_once),
    alone("issue-one-by-one", ISSUANCE, issuance::one_by_one),
    alone("issue-socket", ISSUANCE, issuance::over_the_socket),
    alone("issue-https", ISSUANCE, https::signing),
    alone("command-start", COMMANDS, commands::starting),
    alone("command-issue-new", COMMANDS, commands::issue_fresh),
    at_size("command-issue-sizes", COMMANDS, commands::issue_at_size),
    alone("list-make", LISTS, lists::making),
    at_revoked("list-revoke", LISTS, commands::revoke),
    at_revoked("list-beside-issuance", LISTS, lists::beside_issuance),
    at_revoked("list-mass-revocation", LISTS, commands::revoke_fleet),
    at_size("bytes", DISK, disk::loading),
    alone("bytes-one-by-one", DISK, disk::one_by_one),
    at_size("start", SERVICE, start::starting),
    alone("memory-new", SERVICE, start::memory_fresh),
    at_size("memory-sizes", SERVICE, start::memory_at_size),
    at_revoked("memory-revoked", SERVICE, start::memory_at_revoked),
    at_size("rebuild", SERVICE, start::rebuilding),
    at_revoked("listener", SERVICE, listener::fetching),
    at_revoked("https-handshakes", HTTPS, https::with_revoked),
    alone("https-requests", HTTPS, https::keep_alive),
    alone("https-refusal", HTTPS, https::revoked_while_open),
    alone("memory-https", HTTPS, start::memory_https),
    alone("acme-served", FRONTS, fronts::serving),
    alone("acme-parallel", FRONTS, fronts::at_once),
    alone("haproxy-swap", FRONTS, fronts::swapping),
    alone("haproxy-refusal", FRONTS, fronts::refusing),
    alone("peers-openssl", PEERS, peers::openssl::fresh),
    at_size("peers-openssl-rows", PEERS, peers::openssl::with_rows),
    alone("peers-easyrsa", PEERS, peers::easyrsa::issuing),
    alone("peers-openbao", PEERS, peers::openbao::issuing),
    alone("peers-openbao-https", PEERS, https::sign_beside_openbao),
];
