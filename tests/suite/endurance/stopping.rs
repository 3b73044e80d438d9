//! Being told to stop, and being told something wrong.

use std::net::TcpListener;
use std::sync::Mutex;

use rustix::process::Signal;
use tests::socket::{Answer, call};
use tests::trouble::{Injection, eventually};
use tests::{Sandbox, Service};

use super::{Orders, populated, socket};

/// Stops a service with forty requests under way, on a slow disk, and looks at who was told what.
fn stopped_by(signal: Signal) {
    const CLIENTS: usize = 40;
    let sandbox = populated();
    let service = Service::start(&sandbox);
    let (path, orders) = (socket(&sandbox), Orders::new());
    let segment = sandbox.dir().join("store/journal/00000001.seg");
    let slow = Injection::into(service.pid(), "fdatasync", "delay_enter=300000", Some(&segment));
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (answers, path, orders) = (&answers, &path, &orders);
            scope.spawn(move || {
                let name = format!("client-{number}");
                let answer = call(path, &orders.of(&name));
                answers.lock().unwrap().push((name, answer));
            });
        }
        eventually("the first is answered", || !answers.lock().unwrap().is_empty());
        service.signal(signal);
        // It ends, in order: `stop` waits for it.
        let ended = service.stop();
        assert_eq!(ended.code, 0, "{ended}");
        assert!(ended.says("stopped") && !ended.says("panicked"), "{ended}");
    });
    drop(slow);
    let service = Service::start(&sandbox);
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), CLIENTS);
    let mut done = 0;
    for (name, answer) in answers {
        let made = listed(&sandbox, &name);
        match answer {
            Answer::Done(issued) => {
                assert_eq!(made, [issued.certificate.serial], "{name} was acknowledged");
                done += 1;
            }
            // Nothing, or the whole of it, which the same request finds again.
            Answer::Refused { .. } | Answer::Silent => {
                let again = call(&path, &orders.of(&name)).done();
                assert!(made.is_empty() || made == [again.certificate.serial], "{name}: {made:?}");
            }
        }
    }
    assert!(done > 0);
    assert_eq!(service.stop().code, 0);
}

fn listed(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let ask = server::ops::inventory::List { name: Some(name.into()), limit: 10, ..Default::default() };
    let page = call(&socket(sandbox), &ask).done();
    page.certificates.into_iter().map(|one| one.serial).collect()
}

#[test]
fn sigterm_lets_requests_under_way_finish_and_loses_none_that_was_answered() {
    stopped_by(Signal::TERM);
}

#[test]
fn a_terminal_that_is_closed_stops_it_in_order_too() {
    stopped_by(Signal::HUP);
}

#[test]
fn a_wrong_setting_leaves_the_old_one_in_force() {
    let sandbox = populated();
    let service = Service::start(&sandbox);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap().to_string();
    for (key, value) in [
        ("core.public_address", busy.as_str()),
        ("core.public_address", "nowhere"),
        ("core.public_url", "ftp://example.org"),
        ("crl.validity", "0d"),
        ("profile.client.days", "0"),
    ] {
        let before = sandbox.pki(["config", "list", "--json"]).success().stdout;
        let refused = sandbox.pki(["config", "set", key, value]);
        assert!(refused.code != 0 && refused.says("hint:"), "{refused}");
        assert_eq!(sandbox.pki(["config", "list", "--json"]).success().stdout, before);
        assert_eq!(service.ask("/ca.crl").status, 200, "{key}: it is served where it was");
    }
    assert_eq!(service.stop().code, 0);
}
