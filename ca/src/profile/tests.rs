use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00:00.5 UTC);

fn client() -> Profile {
    Profile::new(ProfileConfig::default_of(ProfileKind::Client)).unwrap()
}

#[test]
fn days_count_both_ends() {
    let decided = client().validity(Lifetime::Exactly(1), None, NOW).unwrap();
    assert_eq!(decided.validity.not_before, datetime!(2026-11-21 11:59:00 UTC));
    assert_eq!(decided.validity.not_after, datetime!(2026-11-22 11:58:59 UTC));
    assert_eq!(decided.validity.length(), Duration::DAY);
}

#[test]
fn a_default_is_shortened_and_an_explicit_lifetime_refused() {
    let issuer =
        Validity { not_before: datetime!(2026-01-01 00:00 UTC), not_after: datetime!(2026-12-01 00:00 UTC) };
    let decided = client().validity(Lifetime::Default, Some(issuer), NOW).unwrap();
    assert_eq!(decided.validity.not_after, issuer.not_after);
    assert_eq!(decided.shortened, Some(Shortened { days: 365, not_after: issuer.not_after }));
    let decided = client().validity(Lifetime::AtMost(30), Some(issuer), NOW).unwrap();
    assert!(decided.shortened.is_some());
    assert_eq!(
        client().validity(Lifetime::Exactly(30), Some(issuer), NOW),
        Err(LifetimeError::PastIssuer { days: 30, issuer_end: issuer.not_after, possible: 9 })
    );
    let decided = client().validity(Lifetime::Exactly(9), Some(issuer), NOW).unwrap();
    assert_eq!(decided.shortened, None);
}

#[test]
fn not_before_stays_within_the_issuer() {
    let issuer = Validity {
        not_before: datetime!(2026-11-21 11:59:30 UTC),
        not_after: datetime!(2036-01-01 0:00 UTC),
    };
    let decided = client().validity(Lifetime::Default, Some(issuer), NOW).unwrap();
    assert_eq!(decided.validity.not_before, issuer.not_before);
}

#[test]
fn an_issuer_out_of_date_signs_nothing() {
    for (from, to) in [
        (datetime!(2020-01-01 0:00 UTC), datetime!(2026-11-21 11:59:59 UTC)),
        (datetime!(2026-11-21 12:00:01 UTC), datetime!(2036-01-01 0:00 UTC)),
    ] {
        let issuer = Validity { not_before: from, not_after: to };
        let refused = client().validity(Lifetime::Default, Some(issuer), NOW).unwrap_err();
        assert!(matches!(refused, LifetimeError::IssuerNotValid { .. }), "{refused}");
    }
}

#[test]
fn limits_hold_for_settings_and_requests() {
    let table = [
        (ProfileKind::Root, 10_958),
        (ProfileKind::Issuing, 5479),
        (ProfileKind::Client, 3652),
        (ProfileKind::Server, 825),
    ];
    for (kind, limit) in table {
        assert!(Profile::new(ProfileConfig { kind, days: limit }).is_ok(), "{kind}");
        let above = Profile::new(ProfileConfig { kind, days: limit + 1 }).unwrap_err();
        assert!(matches!(above, LifetimeError::AboveLimit { .. }), "{above}");
        let zero = Profile::new(ProfileConfig { kind, days: 0 }).unwrap_err();
        assert_eq!(zero, LifetimeError::Zero { kind });
    }
    let refused = client().validity(Lifetime::Exactly(4000), None, NOW).unwrap_err();
    assert!(matches!(refused, LifetimeError::AboveLimit { .. }), "{refused}");
}

#[test]
fn settings_of_all_four_are_checked() {
    assert_eq!(Profiles::new(7305, 3652, 365, 397), Ok(Profiles::default()));
    assert!(Profiles::new(0, 3652, 365, 397).is_err());
    assert!(Profiles::new(7305, 0, 365, 397).is_err());
    assert!(Profiles::new(7305, 3652, 0, 397).is_err());
    assert!(Profiles::new(7305, 3652, 365, 0).is_err());
}
