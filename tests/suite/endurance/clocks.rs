//! Clocks that go back, that leap ahead and return, and the years that dates have trouble with.

use std::collections::BTreeSet;

use tests::trouble::{Clock, eventually};
use tests::{Purpose, Sandbox, Service, openssl, openssl_finds_revoked};

use super::{fails_because, issue, populated};

/// What OpenSSL reads in `ca.crl`.
#[derive(Debug)]
struct List {
    number: u128,
    /// Seconds since 1970.
    this_update: i64,
    next_update: i64,
    serials: BTreeSet<String>,
}

fn list(sandbox: &Sandbox) -> List {
    let path = sandbox.dir().join("ca.crl").display().to_string();
    let words = ["crl", "-noout", "-crlnumber", "-lastupdate", "-nextupdate", "-dateopt", "iso_8601", "-in"];
    let shown = openssl(sandbox, words.into_iter().chain([path.as_str()])).success().stdout;
    let field = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let text = openssl(sandbox, ["crl", "-noout", "-text", "-in", &path]).success().stdout;
    let serials = text.lines().filter_map(|line| line.trim().strip_prefix("Serial Number: "));
    List {
        number: u128::from_str_radix(field("crlNumber=0x").as_str(), 16).unwrap(),
        this_update: seconds(&field("lastUpdate=")),
        next_update: seconds(&field("nextUpdate=")),
        serials: serials.map(str::to_owned).collect(),
    }
}

/// Of `2049-12-31 23:59:59Z`.
fn seconds(iso: &str) -> i64 {
    let form = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    time::PrimitiveDateTime::parse(iso, form)
        .unwrap_or_else(|error| panic!("{iso}: {error}"))
        .assume_utc()
        .unix_timestamp()
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

const DAY: i64 = 24 * 60 * 60;
const YEAR: i64 = 365 * DAY;

/// UTC as computers count it has no second 60: the last one of the day comes twice, so the clock falls by one.
#[test]
fn a_leap_second_is_lived_through_twice() {
    const LAST: &str = "@2016-12-31 23:59:59";
    let sandbox = Sandbox::new();
    let clock = Clock::new(&sandbox);
    let at = |time: &str, words: &[&str]| {
        clock.set(time);
        clock.pki(&sandbox, words).success()
    };
    at("@2016-12-31 23:59:50", &["init", "--name", "Example", "--key-type", "p256"]);
    at(LAST, &["issue-client", "alice", "--key-type", "p256"]);
    at(LAST, &["crl", "publish"]);
    let first = list(&sandbox);
    at(LAST, &["revoke", "alice"]);
    let second = list(&sandbox);
    at(LAST, &["issue-client", "bob", "--key-type", "p256"]);
    at("@2017-01-01 00:00:00", &["crl", "publish"]);
    let third = list(&sandbox);
    for (before, after) in [(&first, &second), (&second, &third)] {
        assert!(after.number > before.number, "{after:?} after {before:?}");
        assert!(after.this_update >= before.this_update, "{after:?} after {before:?}");
    }
    assert_eq!((first.serials.len(), third.serials.len()), (0, 1), "{third:?}");
    let at_that_time = third.this_update.to_string();
    let words = ["verify", "-attime", &at_that_time, "-crl_check_all", "-CRLfile", "../pki/chain.crl"];
    let further = ["-CAfile", "../pki/root.crt", "-untrusted", "../pki/ca.crt"];
    let verdict = |file| openssl(&sandbox, words.iter().chain(&further).chain(&[file]));
    verdict("bob.crt").success();
    let revoked = verdict("alice.crt");
    assert!(revoked.code != 0 && revoked.says("certificate revoked"), "{revoked}");
}

#[test]
fn a_clock_that_falls_while_it_runs_takes_no_number_and_no_date_back() {
    for back in ["-3600", "-365d"] {
        let sandbox = populated();
        let clock = Clock::new(&sandbox);
        let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
        sandbox.pki(["crl", "publish"]).success();
        let before = list(&sandbox);
        clock.set(back);
        sandbox.pki(["revoke", "bob"]).success();
        let after = list(&sandbox);
        assert!(after.number > before.number, "{after:?} after {before:?}");
        assert!(after.this_update >= before.this_update, "{after:?} after {before:?}");
        assert!(after.next_update > now(), "it is good now: {after:?}");
        assert_eq!(after.serials.len(), 2, "{after:?}");
        openssl_finds_revoked(&sandbox, Purpose::Client, "bob");
        let doctor = sandbox.pki(["doctor"]);
        assert!(doctor.says("clock"), "{doctor}");
        // It is right again, and nothing is left of it.
        clock.set("+0");
        sandbox.pki(["crl", "publish"]).success();
        let right = list(&sandbox);
        assert!(right.number > after.number && right.this_update >= after.this_update, "{right:?}");
        assert_eq!(service.stop().code, 0);
    }
}

#[test]
fn a_service_that_starts_with_its_clock_a_year_back_keeps_its_lists() {
    let sandbox = populated();
    let before = list(&sandbox);
    let clock = Clock::new(&sandbox);
    clock.set("-365d");
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    sandbox.pki(["crl", "publish"]).success();
    let after = list(&sandbox);
    assert!(after.number > before.number && after.this_update >= before.this_update, "{after:?}");
    assert!(after.next_update > now(), "{after:?}");
    assert_eq!(after.serials, before.serials);
    openssl_finds_revoked(&sandbox, Purpose::Client, "mallory");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_clock_that_leaps_ten_years_ahead_and_returns_prunes_nothing_and_its_list_is_replaced() {
    let sandbox = populated();
    let clock = Clock::new(&sandbox);
    let before = list(&sandbox);
    clock.set("+3640d");
    // By that clock all that was issued has expired, and the issuing CA soon will have.
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    eventually("the lists are made anew", || list(&sandbox).this_update > now() + 9 * YEAR);
    let ahead = list(&sandbox);
    assert!(ahead.number > before.number, "{ahead:?}");
    assert_eq!(ahead.serials, before.serials, "one look at a wrong clock prunes nothing");
    sandbox.pki(["crl", "publish"]).success();
    assert_eq!(list(&sandbox).serials, before.serials, "nor do two");
    assert_eq!(service.stop().code, 0);
    // The clock is put right, and the service started again: at once there is a list that is good now.
    clock.set("+0");
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    eventually("the list from the future is replaced", || list(&sandbox).this_update <= now());
    let after = list(&sandbox);
    assert!(after.number > ahead.number, "{after:?}");
    assert!(after.next_update > now() + 6 * DAY, "{after:?}");
    assert_eq!(after.serials, before.serials);
    openssl_finds_revoked(&sandbox, Purpose::Client, "mallory");
    tests::openssl_accepts(&sandbox, Purpose::Client, "bob");
    issue(&sandbox, "alice").success();
    tests::openssl_accepts(&sandbox, Purpose::Client, "alice");
    let listed = sandbox.pki(["list"]).success();
    assert!(listed.says("bob") && listed.says("mallory"), "{listed}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_clock_beyond_the_authoritys_end_signs_nothing_and_spoils_nothing() {
    let sandbox = populated();
    let clock = Clock::new(&sandbox);
    let before = list(&sandbox);
    clock.set("+3700d");
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    let refused = sandbox.pki(["crl", "publish"]);
    assert!(refused.code != 0 && refused.code <= 9 && !refused.says("panicked"), "{refused}");
    fails_because(&issue(&sandbox, "alice"), "");
    let kept = list(&sandbox);
    assert_eq!((kept.number, kept.this_update), (before.number, before.this_update));
    clock.set("+0");
    // The root lives on by that clock, and has signed a list; within a minute it would be replaced.
    sandbox.pki(["crl", "publish", "--root"]).success();
    let after = list(&sandbox);
    assert!(after.number > before.number && after.this_update <= now(), "{after:?}");
    assert_eq!(after.serials, before.serials);
    issue(&sandbox, "alice").success();
    tests::openssl_accepts(&sandbox, Purpose::Client, "alice");
    assert_eq!(service.stop().code, 0);
}

/// The dates of a certificate or a list as they are encoded.
fn dates(sandbox: &Sandbox, file: &str) -> Vec<String> {
    let parsed = openssl(sandbox, ["asn1parse", "-in", file]).success().stdout;
    let dates = parsed.lines().filter(|line| line.contains("UTCTIME") || line.contains("GENERALIZEDTIME"));
    dates
        .map(|line| {
            let kind = if line.contains("UTCTIME") { "UTC" } else { "Generalized" };
            let (_, value) = line.rsplit_once(':').unwrap();
            format!("{kind} {value}")
        })
        .collect()
}

#[test]
fn the_years_2038_and_2050_are_years_like_others_and_rightly_encoded() {
    let sandbox = Sandbox::new();
    let clock = Clock::new(&sandbox);
    let pki = |words: &[&str]| clock.pki(&sandbox, words);
    // Two days before the 32-bit end of time, 2038-01-19 03:14:07.
    clock.set("@2038-01-17 03:14:00");
    pki(&["init", "--name", "Example", "--key-type", "p256"]).success();
    pki(&["issue-client", "early", "--key-type", "p256", "--days", "4"]).success();
    clock.set("@2038-01-20 00:00:00");
    pki(&["revoke", "early"]).success();
    pki(&["verify", "early.crt"]).failure(1);
    pki(&["issue-client", "late", "--key-type", "p256"]).success();
    pki(&["verify", "late.crt"]).success();
    // The last minutes of UTCTime (RFC 5280 §4.1.2.5): the issuing CA of ten years has gone.
    clock.set("@2047-12-31 23:59:00");
    pki(&["ca", "rotate", "--key-type", "p256"]).success();
    clock.set("@2049-12-31 23:59:30");
    let service = Service::start_with(&sandbox, &["serve"], &clock.environment());
    pki(&["issue-client", "alice", "--key-type", "p256", "--days", "2"]).success();
    let encoded = dates(&sandbox, "alice.crt");
    assert!(encoded[0].starts_with("UTC 491231"), "{encoded:?}");
    assert!(encoded[1].starts_with("Generalized 20500102"), "{encoded:?}");
    pki(&["crl", "publish"]).success();
    let encoded = dates(&sandbox, sandbox.dir().join("ca.crl").to_str().unwrap());
    assert!(encoded[0].starts_with("UTC 4912312359"), "{encoded:?}");
    assert!(encoded[1].starts_with("Generalized 205001"), "{encoded:?}");
    clock.set("@2050-01-01 00:00:30");
    pki(&["issue-client", "bob", "--key-type", "p256"]).success();
    pki(&["revoke", "alice"]).success();
    let encoded = dates(&sandbox, sandbox.dir().join("ca.crl").to_str().unwrap());
    assert!(encoded.iter().all(|date| date.starts_with("Generalized 2050")), "{encoded:?}");
    // OpenSSL's word for it, at that time.
    let at = seconds("2050-01-01 01:00:00Z").to_string();
    let of = |name: &str| sandbox.dir().join(name).display().to_string();
    let (root, chain, lists) = (of("root.crt"), of("chain.crt"), of("chain.crl"));
    let words = ["verify", "-x509_strict", "-attime", &at, "-crl_check_all", "-CRLfile", &lists];
    let rest = ["-CAfile", &root, "-untrusted", &chain, "bob.crt", "alice.crt"];
    let verdict = openssl(&sandbox, words.into_iter().chain(rest)).failure(2);
    assert!(verdict.says("bob.crt: OK") && verdict.says("error 23"), "{verdict}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn where_the_calendar_ends_it_is_refused_and_nothing_is_made() {
    let sandbox = Sandbox::new();
    let clock = Clock::new(&sandbox);
    // A root of twenty years would end after 9999, which no date can say.
    clock.set("@9990-01-01 00:00:00");
    let refused = clock.pki(&sandbox, &["init", "--name", "Example", "--key-type", "p256"]);
    assert!(refused.code != 0 && refused.code <= 9, "{refused}");
    assert!(!refused.says("panicked") && !sandbox.dir().join("root.crt").exists(), "{refused}");
    // And in a year that has no number here, nothing breaks.
    let sandbox = populated();
    let clock = Clock::new(&sandbox);
    clock.set("@9999-12-31 23:59:58");
    let refused = clock.pki(&sandbox, &["issue-client", "alice", "--key-type", "p256"]);
    fails_because(&refused, "");
    assert!(!sandbox.file("alice.crt").exists());
    issue(&sandbox, "alice").success();
}
