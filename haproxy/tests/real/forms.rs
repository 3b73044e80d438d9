//! Every form that is rendered is one that HAProxy takes, without a warning; and sites that would not do
//! what they say are refused.

use std::net::SocketAddr;
use std::path::Path;

use haproxy::{Error, Privileges, ProxyHeader, Rendered, Route, Site, render};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::process::check;
use crate::sites::{any_site, domain, empty, furnish, label};

/// Writes what was rendered to the site's files, the configuration to `rendered.cfg`.
pub fn put(folder: &Path, site: &Site, rendered: &Rendered) -> std::path::PathBuf {
    if let Some(list) = &rendered.crt_list {
        std::fs::write(site.crt_list.as_str(), list).unwrap();
    }
    let config = folder.join("rendered.cfg");
    std::fs::write(&config, &rendered.config).unwrap();
    config
}

#[test]
fn haproxy_takes_whatever_is_rendered() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = furnish(folder.path());
    let strategy = any_site(folder.path(), issuer);
    let mut runner = TestRunner::new(Config::with_cases(40));
    for _ in 0..40 {
        let site = strategy.new_tree(&mut runner).unwrap().current();
        let rendered = render(&site).unwrap();
        assert_eq!(render(&site).unwrap(), rendered);
        let config = put(folder.path(), &site, &rendered);
        check(&config).unwrap_or_else(|said| panic!("{said}\n{}", rendered.config));
    }
}

#[test]
fn the_largest_site_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = furnish(folder.path());
    let mut runner = TestRunner::deterministic();
    let mut site = any_site(folder.path(), issuer).new_tree(&mut runner).unwrap().current();
    site.privileges = Privileges::Keep;
    let long = format!("{0}.{0}.{0}", "a".repeat(63));
    let names = |d: usize| (0..100).map(move |n| format!("n{n}.d{d}.{long}").parse().unwrap());
    let mut first = site.domains.remove(0);
    first.route = crate::sites::asked(folder.path(), issuer);
    site.domains = (0..500)
        .map(|d| {
            let mut one = first.clone();
            one.label = label(&format!("d{d}"));
            // All names of the first; of the others one, or the check takes a minute.
            let names = names.clone()(d);
            one.names = if d == 0 { names.collect() } else { names.take(1).collect() };
            one
        })
        .collect();
    let rendered = render(&site).unwrap();
    check(&put(folder.path(), &site, &rendered)).unwrap();
}

proptest! {
    /// No word that came from outside ends up at the beginning of a line.
    #[test]
    fn a_line_begins_with_a_word_of_ours(seed in any::<[u8; 32]>()) {
        let folder = Path::new("/nowhere");
        let rng = proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let issuer = haproxy::IssuerKey::of_name(&[0x30, 0]).unwrap();
        let site = any_site(folder, issuer).new_tree(&mut runner).unwrap().current();
        let rendered = render(&site).unwrap();
        for line in rendered.config.lines() {
            let word = line.split_whitespace().next().unwrap_or("#");
            prop_assert!(WORDS.contains(&word), "{line}");
            prop_assert!(line.len() < 2048 && line.split_whitespace().count() < 64, "{line}");
        }
        let names: usize = site.domains.iter().map(|one| one.names.len()).sum();
        let nodes: usize = site.domains.iter().map(|one| one.nodes.len()).sum();
        let count = |word: &str| rendered.config.lines().filter(|line| line.trim_start().starts_with(word)).count();
        prop_assert_eq!(count("acl ours "), names);
        let inner = usize::from(rendered.crt_list.is_some());
        let responders = usize::from(site.http_responder.is_some()) + usize::from(site.alpn_responder.is_some());
        prop_assert_eq!(count("server "), nodes + inner + responders);
        prop_assert_eq!(count("bind "), site.http.len() + site.https.len() + inner);
    }
}

const WORDS: [&str; 27] = [
    "#",
    "acl",
    "backend",
    "balance",
    "bind",
    "chroot",
    "default-server",
    "default_backend",
    "defaults",
    "frontend",
    "global",
    "group",
    "hard-stop-after",
    "http-request",
    "log",
    "mode",
    "option",
    "server",
    "ssl-default-bind-ciphers",
    "ssl-default-bind-ciphersuites",
    "ssl-default-bind-options",
    "stats",
    "tcp-request",
    "timeout",
    "tune.ssl.cachesize",
    "use_backend",
    "user",
];

#[test]
fn a_site_that_would_not_do_what_it_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mut good = empty(folder.path(), at(80), at(443));
    good.domains.push(domain("a.example", 8443, Route::Passthrough(ProxyHeader::None)));
    render(&good).unwrap();
    let refused = |change: &dyn Fn(&mut Site)| {
        let mut site = good.clone();
        change(&mut site);
        render(&site).expect_err("refused")
    };

    let twice = |what: &'static str| move |error: Error| matches!(error, Error::Twice { what: found, .. } if found == what);
    assert!(twice("the domain")(refused(&|site| site.domains.push(site.domains[0].clone()))));
    assert!(twice("the name")(refused(&|site| {
        let mut other = site.domains[0].clone();
        other.label = label("other");
        site.domains.push(other);
    })));
    assert!(twice("the node")(refused(&|site| {
        let mut node = site.domains[0].nodes[0].clone();
        node.address = at(1);
        site.domains[0].nodes.push(node);
    })));
    assert!(twice("the listener")(refused(&|site| site.http = site.https.clone())));
    assert!(twice("the file")(refused(&|site| site.revoked = site.challenges.clone())));

    let missing = |error: Error| matches!(error, Error::Missing { .. });
    assert!(missing(refused(&|site| site.domains.clear())));
    assert!(missing(refused(&|site| site.domains[0].names.clear())));
    assert!(missing(refused(&|site| site.domains[0].nodes.clear())));
    assert!(missing(refused(&|site| site.http.clear())));

    let wild = refused(&|site| site.domains[0].names = vec!["*.a.example".parse().unwrap()]);
    assert!(matches!(wild, Error::Wildcard { .. }));
    for text in ["0.0.0.0:1", "127.0.0.1:0", "[fe80::1%2]:443", "[::ffff:1.2.3.4]:1", "239.1.1.1:1", "[::]:1"]
    {
        let error = refused(&|site| site.domains[0].nodes[0].address = text.parse().unwrap());
        assert!(matches!(error, Error::Address { .. }), "{text}");
    }
    let many = refused(&|site| {
        let names = (0..101).map(|n| format!("n{n}.example").parse().unwrap());
        site.domains[0].names = names.collect();
    });
    assert!(matches!(many, Error::TooMany { found: 101, limit: 100, .. }));
    let long = format!("/{}", "a".repeat(90));
    assert!(matches!(refused(&|site| site.admin = long.parse().unwrap()), Error::Word { .. }));
}
