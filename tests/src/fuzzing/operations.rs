//! What comes in over the socket: JSON that is meant for an operation.

use ca::constraints::NameConstraints;
use ca::hierarchy::{Init, RootKeyPlace};
use ca::key::{KeyType, ScryptCost};
use server::Pki;
use server::ops::haproxy::HaproxyRender;
use server::ops::issue::{Issue, IssueMany, Renew};
use server::ops::revoke::{Release, Revoke};
use server::ops::{Operation, acme, audit, authority, config, crl, doctor, export, info, inventory};
use server::pki::Keys;
use server::problem::ProblemKind;
use trust::Presented;

use super::now;

/// The octets that a request may have here: the service allows more, a fuzzer needs no more.
const LIMIT: usize = 64 * 1024;

/// JSON that an operation accepts is written and read again as itself. Those that write nothing are
/// run: none answers that it is our fault, and the store stays as it was.
pub fn json(data: &[u8]) {
    if data.len() > LIMIT {
        return;
    }
    read::<acme::AcmeIssue>(data);
    read::<acme::AcmeList>(data);
    read::<acme::AcmeRenew>(data);
    read::<acme::AcmeRevoke>(data);
    read::<audit::AuditVerify>(data);
    read::<authority::CaInstall>(data);
    read::<authority::CaRevoke>(data);
    read::<authority::CaRootOffline>(data);
    read::<authority::CaRotate>(data);
    read::<config::ConfigSet>(data);
    read::<crl::CrlPublish>(data);
    read::<crl::RootCrlDraft>(data);
    read::<crl::RootCrlInstall>(data);
    read::<doctor::Doctor>(data);
    read::<HaproxyRender>(data);
    read::<info::Info>(data);
    read::<Release>(data);
    read::<Renew>(data);
    run(read::<audit::Audit>(data));
    run(read::<authority::CaList>(data));
    run(read::<config::ConfigList>(data));
    run(read::<crl::CrlShow>(data));
    run(read::<export::Export>(data));
    run(read::<inventory::List>(data));
    run(read::<inventory::Show>(data));
    run(read::<inventory::Verify>(data));
    run(read::<Issue>(data).map(|issue| Issue { dry_run: true, ..issue }));
    run(read::<IssueMany>(data).map(|many| IssueMany {
        requests: many.requests.into_iter().map(|issue| Issue { dry_run: true, ..issue }).collect(),
    }));
    run(read::<Revoke>(data).map(|revoke| Revoke { dry_run: true, ..revoke }));
}

fn read<O: Operation>(data: &[u8]) -> Option<O> {
    let operation: O = serde_json::from_slice(data).ok()?;
    let Ok(written) = serde_json::to_vec(&operation) else { panic!("{} can't be written", O::NAME) };
    let Ok(again) = serde_json::from_slice::<O>(&written) else {
        panic!("{} can't be read again: {}", O::NAME, String::from_utf8_lossy(&written))
    };
    assert!(serde_json::to_vec(&again).ok() == Some(written), "{} written again differs", O::NAME);
    Some(operation)
}

fn run<O: Operation>(operation: Option<O>) {
    let Some(operation) = operation else { return };
    MADE.with(|(pki, _)| run_in(pki, operation));
}

fn run_in<O: Operation>(pki: &Pki, operation: O) {
    let head = pki.store().head();
    match pki.run(operation, &Presented::InProcess, now()) {
        Ok(reply) => assert!(serde_json::to_vec(&reply).is_ok(), "the reply of {} can't be written", O::NAME),
        Err(error) => {
            let problem = server::http::problem::problem(&error);
            assert!(problem.kind != ProblemKind::Internal, "{} says it is our fault: {problem:?}", O::NAME);
            assert!(!problem.message.is_empty());
        }
    }
    assert_eq!(pki.store().head(), head, "{} wrote something", O::NAME);
}

thread_local! {
    /// One PKI for all inputs, for nothing here changes it. Its directory goes with its thread.
    static MADE: (Pki, tempfile::TempDir) = made();
}

fn made() -> (Pki, tempfile::TempDir) {
    let Ok(dir) = tempfile::tempdir() else { panic!("no directory for a PKI") };
    let Ok(organization) = "Fuzz".parse() else { panic!("no organization") };
    let init = Init {
        organization,
        key_type: KeyType::P256,
        constraints: NameConstraints::default(),
        root_key: RootKeyPlace::Beside,
    };
    let keys = Keys { passphrase: None, cost: ScryptCost::CHEAP };
    match Pki::init(&dir.path().join("pki"), keys, &init, &server::peer::own(), now()) {
        Ok(pki) => (pki, dir),
        Err(error) => panic!("no PKI: {error}"),
    }
}
