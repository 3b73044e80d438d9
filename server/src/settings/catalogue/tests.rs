use super::*;

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let near = |name| match Setting::find(name) {
        Err(Error::Unknown { nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(near("core.publicurl"), Some(Setting::CorePublicUrl));
    assert_eq!(near("profile.client.day"), Some(Setting::ProfileClientDays));
    assert_eq!(near("zzz"), None);
    assert_eq!(Setting::find("crl.validity").unwrap(), Setting::CrlValidity);
}

#[test]
fn all_is_sorted_by_name() {
    assert!(Setting::ALL.map(Setting::name).is_sorted());
}

#[test]
fn a_host_alone_gets_the_port_of_https() {
    let https = |value: &str| Setting::CoreHttpsAddress.check(value).ok();
    assert_eq!(https("127.0.0.1").as_deref(), Some("127.0.0.1:8443"));
    assert_eq!(https("::1").as_deref(), Some("[::1]:8443"));
    assert_eq!(https("[::]").as_deref(), Some("[::]:8443"));
    assert_eq!(https("[::1]:9443").as_deref(), Some("[::1]:9443"));
    for bad in ["", "localhost", "127.0.0.1:0", ":8443", "1.2.3.4:99999"] {
        assert_eq!(https(bad), None, "{bad}");
    }
    let external = |value: &str| Setting::CoreExternalAddress.check(value).ok();
    assert_eq!(external("Pki.Example").as_deref(), Some("pki.example:8443"));
    assert_eq!(external("pki.example:443").as_deref(), Some("pki.example:443"));
    assert_eq!(external("2001:db8::1").as_deref(), Some("[2001:db8::1]:8443"));
    for bad in ["", "a b", "https://a", "a:0", "a:b", ":443", "-a"] {
        assert_eq!(external(bad), None, "{bad}");
    }
}

#[test]
fn words_and_groups_are_these_and_no_others() {
    assert_eq!(Setting::CorePkiMode.check("on").unwrap(), "on");
    assert_eq!(Setting::CoreRemoteTokenExpiry.check("3H 2d").unwrap(), "2d 3H");
    assert_eq!(Setting::LocalSocketGroups.check("wheel, pki").unwrap(), "wheel,pki");
    for (setting, bad) in [
        (Setting::CorePkiMode, "yes"),
        (Setting::CoreTrustCaCertificates, "1"),
        (Setting::CoreRemoteTokenExpiry, "15"),
        (Setting::LocalSocketGroups, ""),
        (Setting::LocalSocketGroups, "a b"),
        (Setting::LocalSocketGroups, "a,,b"),
    ] {
        assert!(setting.check(bad).is_err(), "{setting} {bad:?}");
    }
}

#[test]
fn what_acme_is_told_is_checked() {
    for (setting, value, stored) in [
        (Setting::AcmeDomain, "WWW.example.org, example.org", "www.example.org,example.org"),
        (Setting::AcmeDomain, "192.0.2.1", "192.0.2.1"),
        (Setting::AcmeHttpPort, ":80", "0.0.0.0:80"),
        (Setting::AcmeHttpPort, "8080", "0.0.0.0:8080"),
        (Setting::AcmeHttpPort, "[::1]:8080", "[::1]:8080"),
        (Setting::AcmeChallenge, "tls-alpn-01", "TLS-ALPN-01"),
        (Setting::AcmeEmail, "admin@example.org", "admin@example.org"),
        (Setting::AcmeEabHmac, " AAEC_w\n", "AAEC_w"),
    ] {
        assert_eq!(setting.check(value).ok().as_deref(), Some(stored), "{setting} {value}");
    }
    for (setting, bad) in [
        (Setting::AcmeAgreeTos, "yes"),
        (Setting::AcmeCaRoot, "root.pem"),
        (Setting::AcmeCaUrl, "http://ca.example/dir"),
        (Setting::AcmeChallenge, "HTTP"),
        (Setting::AcmeDomain, ""),
        (Setting::AcmeDomain, "a b"),
        (Setting::AcmeEabKid, "a\nb"),
        (Setting::AcmeEmail, "nobody"),
        (Setting::AcmeHttpPort, ":0"),
        (Setting::AcmeProvider, "route53"),
        (Setting::AcmeProviderEnvironment, "LD_PRELOAD=x"),
        (Setting::AcmeProviderResolvers, "ns.example"),
    ] {
        assert!(setting.check(bad).is_err(), "{setting} {bad:?}");
    }
    let refused = Setting::AcmeEabHmac.check("no base64!").unwrap_err().to_string();
    assert!(!refused.contains("no base64"), "{refused}");
}

#[test]
fn spans_have_bounds() {
    assert!(Setting::CrlValidity.check("59m").is_err());
    assert!(Setting::CrlValidity.check("366d").is_err());
    assert_eq!(Setting::CrlRootValidity.check("730d").unwrap(), "730d");
    assert!(Setting::ProfileServerDays.check("0").is_err());
    assert!(Setting::ProfileServerDays.check("99999").is_err());
}
