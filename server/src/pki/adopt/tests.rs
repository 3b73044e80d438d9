use ca::cert::Certificate;
use ca::index_txt;
use ca::key::PrivateKey;

use trust::Presented;

use super::*;
use crate::ops::crl::CrlShow;
use crate::ops::inventory::List;
use crate::ops::view::Status;
use crate::testing::{at, keys, made};

const INDEX: &str = "V\t301231235959Z\t\t4F01\tunknown\t/CN=one\n\
R\t301231235959Z\t261121000000Z,superseded\t4F02\tunknown\t/CN=two\n";

#[test]
fn inventory_and_revocations_come_along() {
    let dir = tempfile::tempdir().unwrap();
    let old = made(&dir.path().join("old"));
    let bundle = std::fs::read(old.directory().join("chain.crt")).unwrap();
    let certificates = Certificate::pem_bundle(&bundle).unwrap();
    let key = old.layout().keys().join(format!("{}.key", certificates[0].key_id()));
    let key = PrivateKey::from_pem(&std::fs::read(key).unwrap(), None).unwrap();
    let index = index_txt::parse(INDEX.as_bytes()).unwrap();
    let adopt = Adopt { certificates, key, index, issued: Vec::new() };
    let place = dir.path().join("new");
    let (pki, adopted) = Pki::adopt(&place, keys(), adopt, &Peer::InProcess, at(0)).unwrap();
    assert_eq!((adopted.imported, adopted.revoked), (2, 1));
    assert!(adopted.notes.iter().any(|note| note.contains("list")), "the root's list: {:?}", adopted.notes);
    let lists = pki.run(CrlShow {}, &Presented::InProcess, at(1)).unwrap();
    assert_eq!(lists.iter().map(|list| list.entries).sum::<u64>(), 1);
    let listed = pki.run(List { limit: 10, ..List::default() }, &Presented::InProcess, at(1)).unwrap();
    let status: Vec<Status> = listed.certificates.iter().map(|certificate| certificate.status).collect();
    assert_eq!(status, [Status::Valid, Status::Revoked]);
}
