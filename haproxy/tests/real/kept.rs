//! `keep::bring`: one pass makes a running HAProxy what it should be, proves it, or says which step failed.

use std::collections::BTreeSet;
use std::sync::Arc;

use haproxy::keep::{Known, Outcome, Pass, Step, Wanted, WantedCertificate, bring};
use haproxy::plan::Bundle;
use haproxy::runtime::{Address, Bounds};
use haproxy::written::InstanceSpec;
use haproxy::{Error, FilePath, RevokedKey, bundle};

use crate::sites::file;
use crate::termination::{Stage, serial};
use crate::world::Authority;

/// 2027.
const NOW: i64 = 1_800_000_000;
const HOST: &str = "open.example.net";

struct Scene {
    stage: Stage,
    instance: InstanceSpec,
    wanted: Wanted,
    known: Known,
}

impl Scene {
    /// A HAProxy with a master that serves what is wanted of it.
    fn new() -> Scene {
        let mut stage = Stage::new(Authority::named("clients"));
        stage.start_master();
        let master = Some(Address::Unix(file(stage.folder.path(), "master.sock")));
        let https = Some(std::net::SocketAddr::from(([127, 0, 0, 1], stage.https)));
        let instance = InstanceSpec { admin: Address::Unix(stage.site.admin.clone()), master, https };
        let wanted = Wanted {
            certificates: Vec::new(),
            map: Some(stage.site.revoked.clone()),
            revoked: Arc::default(),
            lists: file(stage.folder.path(), "clients.crl"),
            lists_written: None,
            now: NOW,
        };
        let mut scene = Scene { stage, instance, wanted, known: Known::default() };
        let text = std::fs::read_to_string(scene.bundle().as_str()).unwrap();
        scene.want(&text);
        scene
    }

    fn bundle(&self) -> FilePath {
        file(self.stage.folder.path(), &format!("{HOST}.pem"))
    }

    /// Puts a bundle on the disk, as it should be served.
    fn want(&mut self, text: &str) {
        std::fs::write(self.bundle().as_str(), text).unwrap();
        let bundle = Bundle { file: self.bundle(), name: HOST.parse().unwrap() };
        self.wanted.certificates = vec![WantedCertificate::read(bundle, text).unwrap()];
    }

    fn want_new(&mut self, round: u8) {
        let new = self.stage.servers.issue(HOST, &[1, round]);
        self.want(&bundle::render(&new.certificate, &new.key).unwrap());
    }

    fn bring(&mut self, pass: Pass) -> Outcome {
        bring(&self.instance, self.instance.https, Bounds::STANDARD, &self.wanted, &mut self.known, pass)
    }

    #[track_caller]
    fn well(&mut self, pass: Pass) -> Outcome {
        let outcome = self.bring(pass);
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        outcome
    }
}

#[test]
fn a_pass_does_what_is_missing_and_the_next_one_nothing() {
    let mut scene = Scene::new();
    let first = scene.well(Pass::Whole);
    assert_eq!((first.installed.len(), first.added, first.reloaded), (0, 0, false));
    scene.want_new(1);
    let (identity, path) = scene.stage.client("client", &[0x42]);
    assert_eq!(scene.stage.ask("must.example.net", Some(&path), &[]).0, 200);
    let key = RevokedKey { issuer: scene.stage.clients.key(), serial: serial(&identity) };
    scene.wanted.revoked = Arc::new(BTreeSet::from([key]));
    let second = scene.well(Pass::Changes);
    assert_eq!((second.installed.len(), second.added, second.reloaded), (1, 1, false));
    assert_eq!(scene.stage.ask("must.example.net", Some(&path), &[]).0, 403);
    for pass in [Pass::Changes, Pass::Whole] {
        let third = scene.well(pass);
        assert_eq!((third.installed.len(), third.added, third.removed), (0, 0, 0));
    }
    scene.wanted.revoked = Arc::default();
    assert_eq!(scene.well(Pass::Changes).removed, 1);
    assert_eq!(scene.stage.ask("must.example.net", Some(&path), &[]).0, 200);
}

#[test]
fn who_was_away_is_told_everything_when_it_is_back() {
    let mut scene = Scene::new();
    scene.well(Pass::Whole);
    scene.stage.stop();
    let away = scene.bring(Pass::Changes);
    assert!(matches!(&away.failures[..], [(Step::Reach, Error::Exchange { .. })]), "{:?}", away.failures);
    let (identity, path) = scene.stage.client("client", &[0x42]);
    let key = RevokedKey { issuer: scene.stage.clients.key(), serial: serial(&identity) };
    scene.wanted.revoked = Arc::new(BTreeSet::from([key]));
    // It starts with files of before.
    scene.stage.start_master();
    assert_eq!(scene.stage.ask("must.example.net", Some(&path), &[]).0, 200);
    // Whatever sort of pass comes next.
    assert_eq!(scene.well(Pass::Changes).added, 1);
    assert_eq!(scene.stage.ask("must.example.net", Some(&path), &[]).0, 403);
}

#[test]
fn a_reload_that_fails_is_told_and_not_tried_again_for_the_same() {
    let mut scene = Scene::new();
    scene.well(Pass::Whole);
    // A chain that is too large for the socket, and a configuration that no worker starts with.
    let new = scene.stage.servers.issue(HOST, &[7]);
    let text = bundle::render(&new.certificate.repeat(60), &new.key).unwrap();
    scene.want(&text);
    let config = scene.stage.folder.path().join("haproxy.cfg");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{good}broken\n")).unwrap();
    let steps = |outcome: &Outcome| outcome.failures.iter().map(|(step, _)| *step).collect::<Vec<_>>();
    let failed = scene.bring(Pass::Changes);
    assert_eq!(steps(&failed), [Step::Install, Step::Reload]);
    assert!(
        matches!(&failed.failures[..], [(_, Error::CommandTooLong { .. }), (_, Error::NotReloaded { .. })]),
        "{failed:?}"
    );
    assert_eq!(steps(&scene.bring(Pass::Whole)), [Step::Install]);
    assert_eq!(scene.stage.ask(HOST, None, &[]).0, 200, "the old worker goes on");
    // Another certificate is another matter.
    std::fs::write(&config, &good).unwrap();
    let new = scene.stage.servers.issue(HOST, &[8]);
    scene.want(&bundle::render(&new.certificate.repeat(60), &new.key).unwrap());
    assert!(scene.well(Pass::Changes).reloaded);
}

#[test]
fn lists_that_run_out_are_read_again_by_a_reload() {
    let mut scene = Scene::new();
    let (_, path) = scene.stage.client("client", &[0x42]);
    let list = scene.wanted.lists.to_string();
    std::fs::write(&list, scene.stage.clients.list_until(&[], 2025)).unwrap();
    scene.stage.stop();
    scene.stage.start_master();
    let refused = "client certificate refused: the revocation list has run out\n";
    assert_eq!(scene.stage.ask("must.example.net", Some(&path), &[]), (403, refused.to_owned()));
    std::fs::write(&list, scene.stage.clients.list(&[])).unwrap();
    scene.wanted.lists_written = std::fs::metadata(&list).unwrap().modified().ok();
    assert!(scene.well(Pass::Whole).reloaded);
    assert_eq!(scene.stage.ask("must.example.net", Some(&path), &[]).0, 200);
    assert!(!scene.well(Pass::Whole).reloaded);

    // Nobody to reload it: that is said.
    scene.wanted.now = 4_890_000_000;
    scene.wanted.lists_written = None;
    scene.instance.master = None;
    let outcome = scene.bring(Pass::Whole);
    assert!(
        matches!(&outcome.failures[..], [(Step::Reload, Error::ListsOld { .. })]),
        "{:?}",
        outcome.failures
    );
}

#[test]
fn how_it_stands_is_read() {
    let scene = Scene::new();
    let runtime = haproxy::runtime::Runtime::new(scene.instance.admin.clone(), Bounds::STANDARD);
    assert!(runtime.worker().unwrap().version.starts_with("2."));
    assert_eq!(runtime.map_size(&scene.stage.site.revoked).unwrap(), 0);
    let lists = runtime.lists(&scene.wanted.lists).unwrap();
    assert_eq!(
        lists.iter().map(|list| (list.last_update, list.next_update)).collect::<Vec<_>>(),
        [(1_704_067_200, 4_859_740_800)]
    );
    assert_eq!(runtime.lists(&file(scene.stage.folder.path(), "none.crl")).unwrap(), []);
    let health = runtime.health().unwrap();
    assert!(
        health.iter().any(|one| one.backend == "nodes-open" && one.server.as_deref() == Some("one")),
        "{health:?}"
    );
}
