//! x509-limbo. Its clients go through the whole decision. Its servers can't, as their certificates are
//! not for clients: their paths are judged by the same search, with the lists of imported authorities,
//! and their names by rustls, as our own client does it.

use ca::cert::{Purpose, verify_path};
use crl::RevokedSet;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, ServerName};
use server::http::problem::in_words;
use store::Store;
use trust::authority::{Import, Source, import};
use trust::settings::TrustCa;
use trust::{Gate, Holder, Presented, Settings};

use super::{Collection, Given, pkits};

#[test]
fn x509_limbo_is_judged_as_its_makers_want() {
    let collection = Collection::read("limbo.json");
    assert_eq!(collection.cases.len(), 208);
    collection.compare("limbo", |given| if given.client { client(given) } else { server(given) });
}

/// As a client of a service that has imported the authorities, and where a signature suffices.
fn client(given: &Given) -> Result<(), String> {
    let store = Store::in_memory();
    let revoked = RevokedSet::open(store.clone()).unwrap();
    let gate = Gate::open(store.clone(), revoked, 0).unwrap();
    for anchor in &given.anchors {
        match import(anchor, None, Source::Added, "test", given.now).unwrap() {
            Import::New(batch) => drop(store.commit(batch)),
            Import::Already => {}
        }
    }
    for list in &given.lists {
        gate.load_list(list, "test", given.now).map_err(|error| in_words(&error))?;
    }
    let settings = Settings { trust_ca: TrustCa::SignatureSuffices, ..Settings::default() };
    let shown = Presented::Certificate(Holder::new(given.leaf.clone(), given.others.clone()));
    let admitted = gate.admit(&shown, &settings, given.now);
    admitted.map(drop).map_err(|error| in_words(&error))
}

fn server(given: &Given) -> Result<(), String> {
    let path = verify_path(&given.leaf, &given.others, &given.anchors, Purpose::Server, given.now)
        .map_err(|error| in_words(&error))?;
    pkits::unrevoked(given, &path)?;
    let Some(name) = &given.name else { return Ok(()) };
    let der = CertificateDer::from(given.leaf.der());
    let parsed = ParsedCertificate::try_from(&der).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.as_str()).map_err(|error| error.to_string())?;
    verify_server_name(&parsed, &name).map_err(|error| error.to_string())
}
