//! "I never think of the certificate again": a whole lifetime of one, by a clock that is moved.
//!
//! The service's clock is libfaketime's; the authority's, Pebble's, is right all the time, and so what it issues
//! late in that lifetime comes with most of its days behind it.

use std::time::{Duration, Instant};

use tests::trouble::Clock;
use tests::{Pebble, Sandbox, Service, free_port};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

struct Site {
    sandbox: Sandbox,
    pebble: Pebble,
    clock: Clock,
}

impl Site {
    /// Lets the service look whether anything is due, as it does every minute, so many seconds after the
    /// beginning. Returns how many orders the authority has seen by then.
    fn looks(&self, seconds: i64) -> usize {
        self.clock.set(&format!("+{seconds}"));
        // What fails to renew says so by its exit code.
        let said = self.sandbox.pki(["acme", "renew", "--json"]);
        assert!([0, 1].contains(&said.code), "{said}");
        self.pebble.orders()
    }

    fn serial(&self) -> String {
        self.sandbox.pki(["acme", "list", "--json"]).success().json()[0]["serial"].to_string()
    }
}

#[test]
fn a_certificate_is_renewed_in_its_window_and_an_authority_that_fails_is_not_pestered() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let clock = Clock::new(&sandbox);
    let root = pebble.root().display().to_string();
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    let words = ["acme", "issue", "a.example", "--agree-tos", "--http-address", &pebble.http_address()];
    let at = ["--ca-url", &pebble.directory(), "--ca-root", &root];
    sandbox.pki(words.iter().chain(&at)).success();
    let site = Site { sandbox, pebble, clock };
    let (first, life) = (site.serial(), 90 * DAY);

    // Before its window nothing is asked for; at its end it was.
    let (opens, closes) = (life * 6 / 10, life * 2 / 3);
    for day in (1..opens / DAY).step_by(6) {
        assert_eq!(site.looks(day * DAY), 1, "day {day}");
    }
    // From here on the name leads nowhere: each attempt is an order, which the authority refuses. What it has found
    // valid it might take again, and a new account has nothing of that.
    site.pebble.resolve("a.example", "127.0.0.77");
    for end in ["deactivate", "forget"] {
        site.sandbox.pki(["acme", "account", end]).success();
    }
    let mut attempts: Vec<i64> = Vec::new();
    let mut orders = 1;
    let mut now = opens;
    while now < closes + 9 * DAY {
        let seen = site.looks(now);
        // The service looks once a minute by itself: the two may meet.
        attempts.extend(std::iter::repeat_n(now, seen - orders));
        orders = seen;
        now += if attempts.is_empty() { 6 * HOUR } else { 2 * HOUR };
    }
    assert!(attempts[0] <= closes + 6 * HOUR, "it was not renewed in its window: {attempts:?}");
    let weeks = |attempts: &[i64]| {
        let within =
            |at: usize| attempts[at..].iter().take_while(|late| **late < attempts[at] + 7 * DAY).count();
        (0..attempts.len()).map(within).max()
    };
    assert!(weeks(&attempts).is_some_and(|most| (6..12).contains(&most)), "{attempts:?}");
    assert_eq!(site.serial(), first, "the one before stays");

    // It leads here again: within a day there is another, weeks before the end of the first.
    site.pebble.resolve("a.example", "127.0.0.1");
    let back = now;
    while site.serial() == first {
        assert!(now <= back + DAY, "{}", service.log());
        now += 2 * HOUR;
        site.looks(now);
    }
    assert!(now < life);
    // That one was due for renewal as it came, the authority's clock being what it is: no reason to ask for
    // one after the other.
    let (begin, before) = (now, site.pebble.orders());
    while now < begin + 7 * DAY {
        now += 3 * HOUR;
        site.looks(now);
    }
    assert!(site.pebble.orders() - before < 12, "{}", site.pebble.orders() - before);
    service.stop();
}

/// Waits for what the service does by itself.
#[track_caller]
fn until(service: &Service, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_becomes_due_while_the_service_runs_is_ordered_once_and_not_before() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let clock = Clock::new(&sandbox);
    for (key, value) in [
        ("core.https_address", &*format!("127.0.0.1:{}", free_port())),
        ("acme.ca_url", &pebble.directory()),
        ("acme.ca_root", &pebble.root().display().to_string()),
        ("acme.agree_tos", "true"),
        ("acme.http.port", &pebble.http_address()),
    ] {
        sandbox.pki(["config", "set", key, value]).success();
    }
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    let set = |key: &str, value: &str| sandbox.pki(["config", "set", key, value]).success();
    let serial = || sandbox.pki(["acme", "list", "--json"]).success().json()[0]["serial"].to_string();
    set("acme.domain", "a.example");
    until(&service, || pebble.orders() == 1 && serial() != "null");
    let first = serial();
    // A setting wakes the job before its minute is over. That it has looked is seen by what it does besides: the
    // authority is told where to write to.
    let looks = |seconds: i64| {
        clock.set(&format!("+{seconds}"));
        let email = format!("at-{seconds}@example.org");
        set("acme.email", &email);
        let contact =
            || sandbox.pki(["acme", "account", "show", "--json"]).success().json()[0]["contact"].clone();
        until(&service, || contact() == email);
        pebble.orders()
    };
    for day in [1, 30, 53] {
        assert_eq!(looks(day * DAY), 1, "day {day}");
        assert_eq!(serial(), first, "day {day}");
    }
    looks(61 * DAY);
    until(&service, || serial() != first);
    assert_eq!(pebble.orders(), 2);
    let second = serial();
    for seconds in [1, 61, 300] {
        assert_eq!(looks(61 * DAY + seconds), 2, "{seconds} s later");
    }
    assert_eq!(serial(), second);
    service.stop();
}

#[test]
#[ignore = "tests/full: it waits for the minute to come round four times"]
fn the_minutes_job_renews_what_has_become_due_and_nothing_else() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let clock = Clock::new(&sandbox);
    let root = pebble.root().display().to_string();
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    let words = ["acme", "issue", "a.example", "--agree-tos", "--http-address", &pebble.http_address()];
    let at = ["--ca-url", &pebble.directory(), "--ca-root", &root];
    sandbox.pki(words.iter().chain(&at)).success();
    let serial = || sandbox.pki(["acme", "list", "--json"]).success().json()[0]["serial"].to_string();
    let first = serial();
    let minute = || std::thread::sleep(Duration::from_secs(65));
    clock.set(&format!("+{}", 53 * DAY));
    minute();
    assert_eq!((pebble.orders(), serial()), (1, first.clone()));
    clock.set(&format!("+{}", 61 * DAY));
    until(&service, || serial() != first);
    assert_eq!(pebble.orders(), 2);
    // It was due as it came, by this clock: for ten minutes of that no other is asked for.
    minute();
    minute();
    assert_eq!(pebble.orders(), 2);
    service.stop();
}
