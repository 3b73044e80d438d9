//! "I never think of the certificate again": a whole lifetime of one, by a clock that is moved.
//!
//! The service's clock is libfaketime's; the authority's, Pebble's, is right all the time, and so what it issues
//! late in that lifetime comes with most of its days behind it.

use tests::trouble::Clock;
use tests::{Pebble, Sandbox, Service};

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
