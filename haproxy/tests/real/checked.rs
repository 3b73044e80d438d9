//! `check`: the documented configuration is named fault by fault, ours has none.

use std::path::Path;

use haproxy::check::{Fault, Surroundings, check};
use haproxy::render;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::sites::{any_site, furnish};
use crate::world::Authority;

const BUNDLED: &str = include_str!("../../haproxy.cfg");
const DOCUMENTED: &str = include_str!("../../../tests/fixtures/documented-haproxy.cfg");

/// Long after every list's begin, long before its end.
const NOW: i64 = 1_800_000_000;

fn faults(text: &str, folder: &Path, now: i64) -> Vec<(usize, Fault)> {
    let file = |name: &str| std::fs::read(folder.join(name)).ok();
    let around = Surroundings { open_files: Some(20_000), file: &file, now };
    check(text, &around).into_iter().map(|finding| (finding.line, finding.fault)).collect()
}

#[test]
fn the_documented_configuration_is_named_fault_by_fault() {
    let found = faults(DOCUMENTED, Path::new("/"), NOW);
    let line = |text: &str| DOCUMENTED.lines().position(|line| line.trim() == text).unwrap() + 1;
    let wanted = [
        (line("stats socket /run/haproxy/admin.sock mode 660 level admin"), Fault::ListenersNotHanded),
        (line("ssl-default-bind-options ssl-min-ver TLSv1.2"), Fault::NoEffect),
        (line("tune.ssl.default-dh-param 2048"), Fault::NoEffect),
        (line("maxconn 100000"), Fault::TooManyFiles),
        (line("redirect scheme https code 301"), Fault::RedirectKeepsPort),
        (line("frontend http-dispatcher"), Fault::ChallengeUnanswered),
        (line("frontend http-dispatcher"), Fault::NothingLogged),
        (line("bind :80"), Fault::OnlyIpv4),
        (line("tcp-request inspect-delay 5s"), Fault::NoEffect),
        (line("default_backend http-403"), Fault::Misleading),
        (line("use_backend http-301 if { hdr(host) -i lxd.example.net }"), Fault::HostWithPort),
        (line("bind :443"), Fault::OnlyIpv4),
        (line("tcp-request content reject unless { req.ssl_hello_type 1 }"), Fault::HeldOpen),
        (line("use_backend lxd-nodes if { req.ssl_sni -i lxd.example.net }") - 1, Fault::Misleading),
        (line("use_backend lxd-nodes if { req.ssl_sni -i lxd.example.net }") - 1, Fault::PlainAnswer),
        (line("backend lxd-nodes"), Fault::ChallengeScattered),
        (line("option tcp-check"), Fault::NoEffect),
        (line("server lxd-node01 1.2.3.4:8443 check"), Fault::BareCheck),
    ];
    let mut wanted = wanted.to_vec();
    wanted.sort();
    assert_eq!(found, wanted);
}

#[test]
fn ours_have_none_whatever_they_are_rendered_from() {
    assert_eq!(faults(BUNDLED, Path::new("/"), NOW), []);
    let folder = tempfile::tempdir().unwrap();
    let issuer = furnish(folder.path());
    let cases = Config { cases: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(cases)
        .run(&any_site(folder.path(), issuer), |mut site| {
            site.http.push("[::]:80".parse().unwrap());
            site.https.push("[::]:443".parse().unwrap());
            let rendered = render(&site).unwrap();
            std::fs::write(site.crt_list.as_str(), rendered.crt_list.unwrap_or_default()).unwrap();
            prop_assert_eq!(faults(&rendered.config, folder.path(), NOW), []);
            Ok(())
        })
        .unwrap();
}

/// A terminated domain for clients with certificates, and what is taken out of it.
#[test]
fn what_is_missing_where_clients_are_verified_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = furnish(folder.path());
    let mut site =
        crate::sites::empty(folder.path(), "[::]:80".parse().unwrap(), "[::]:443".parse().unwrap());
    let route = crate::sites::asked(folder.path(), issuer);
    site.domains.push(crate::sites::domain("www.example.net", 8080, route));
    let rendered = render(&site).unwrap();
    std::fs::write(site.crt_list.as_str(), rendered.crt_list.unwrap()).unwrap();
    let of =
        |text: &str| faults(text, folder.path(), NOW).into_iter().map(|(_, fault)| fault).collect::<Vec<_>>();
    let without = |part: &str| {
        let kept = rendered.config.lines().filter(|line| !line.contains(part)).collect::<Vec<_>>().join("\n");
        assert_ne!(kept.len() + 1, rendered.config.len(), "{part}");
        of(&kept)
    };
    assert_eq!(of(&rendered.config), []);
    assert_eq!(without("tune.ssl.cachesize"), [Fault::Resumption]);
    assert_eq!(of(&rendered.config.replace(" no-tls-tickets", "")), [Fault::Resumption]);
    assert_eq!(without("ssl_c_serial"), [Fault::RevokedLate]);
    assert_eq!(without("ssl_c_verify"), [Fault::BadLetIn]);
    assert!(without("ssl_fc_sni").contains(&Fault::OtherHost));
    assert!(without("del-header").contains(&Fault::Forged));

    // The lists: run out, another's, none.
    let config = &rendered.config;
    let late = faults(config, folder.path(), 5_000_000_000);
    assert_eq!(late.iter().map(|(_, fault)| *fault).collect::<Vec<_>>(), [Fault::ListRunOut]);
    let list = folder.path().join("ca.crl");
    std::fs::write(&list, Authority::named("another").list(&[])).unwrap();
    assert_eq!(of(config), [Fault::ListMissing]);
    std::fs::write(&list, "").unwrap();
    assert_eq!(of(config), [Fault::ListRunOut]);
    let bare = std::fs::read_to_string(site.crt_list.as_str())
        .unwrap()
        .replace(&format!("crl-file {}", list.display()), "");
    std::fs::write(site.crt_list.as_str(), bare).unwrap();
    assert_eq!(of(config), [Fault::NoList]);
}
