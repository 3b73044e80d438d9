//! "Somebody else is at it already": one order for a certificate at a time, whoever wants one.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use tests::{Output, Pebble, Sandbox, Service};

/// Waits for what others do.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(50), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_comes_while_an_order_is_under_way_waits_for_it_and_places_none() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let service = Service::start_with(&sandbox, &["serve"], &[("PKI_LOG", "info")]);
    // An order is over when its hook is: this one takes as long as we like.
    let script = "#!/bin/sh\ncd \"${0%/*}\" && echo ran >> runs\nn=0\n\
                  while [ ! -e go ] && [ $n -lt 5500 ]; do sleep 0.01; n=$((n+1)); done\n";
    let hook = sandbox.write("hook", script);
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("our own file");
    let (url, root) = (pebble.directory(), pebble.root().display().to_string());
    let at = ["--agree-tos", "--ca-url", &url, "--ca-root", &root, "--http-address", &pebble.http_address()]
        .map(str::to_owned);
    let begin = |words: &[&str], at: &[String]| {
        let words = ["acme"].iter().chain(words).map(|word| (*word).to_owned()).chain(at.iter().cloned());
        let mut command = sandbox.command(words.collect::<Vec<_>>());
        std::thread::spawn(move || tests::run(&mut command))
    };
    let first = begin(&["issue", "a.example", "--hook", "hook"], &at);
    until("the hook runs", || sandbox.file("runs").exists());

    let waiting = || service.log().matches("waiting for the order that is under way").count();
    let likewise = [
        begin(&["renew", "a.example"], &[]),
        begin(&["renew"], &[]),
        begin(&["issue", "a.example", "--hook", "hook"], &at),
    ];
    until("three wait", || waiting() == 3);
    // Not what the first one brings: an order of its own, after all of them.
    let other = begin(&["issue", "a.example", "b.example"], &at);
    until("four wait", || waiting() == 4);
    assert_eq!(pebble.orders(), 1);
    assert_eq!(sandbox.read("runs").lines().count(), 1);
    // Another certificate is nobody's concern.
    begin(&["issue", "c.example"], &at).join().expect("no panic").success();
    assert_eq!(pebble.orders(), 2);

    sandbox.write("go", "");
    first.join().expect("no panic").success();
    let [renewed, all, same] = likewise.map(|one| one.join().expect("no panic").success());
    let other = other.join().expect("no panic").success();
    let waited = |output: &Output| output.says("no second one placed");
    assert!(waited(&same), "{same}");
    assert!(waited(&renewed), "{renewed}");
    assert!(all.says("nothing is due"), "{all}");
    assert!(!waited(&other), "{other}");
    // The hook of the first, and nobody's a second time: the one that came after it has none.
    assert_eq!((pebble.orders(), sandbox.read("runs").lines().count()), (3, 1));
    service.stop();
}
