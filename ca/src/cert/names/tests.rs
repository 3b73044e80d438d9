//! The rules C6 to C11 and what they refuse.

use proptest::prelude::*;

use super::*;

fn dns(text: &str) -> Result<String, NameError> {
    text.parse::<DnsName>().map(|name| name.to_string())
}

#[test]
fn host_names_have_one_spelling() {
    let longest_label = format!("{}.example", "a".repeat(63));
    let longest_name =
        format!("{}.{}", format!("{}.", "a".repeat(63)).repeat(3), "b".repeat(60)).replace("..", ".");
    assert_eq!(longest_name.len(), 252);
    for (text, name) in [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("localhost", "localhost"),
        ("a-b.c1", "a-b.c1"),
        ("1a.example", "1a.example"),
        ("123.example", "123.example"),
        ("0xyz", "0xyz"),
        ("*.example.org", "*.example.org"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("bu\u{308}cher.example", "xn--bcher-kva.example"),
        ("XN--bcher-KVA.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("example.中国", "example.xn--fiqs8s"),
        (&longest_label, &longest_label),
        (&longest_name, &longest_name),
    ] {
        assert_eq!(dns(text).as_deref(), Ok(name), "{text}");
    }
}

#[test]
fn host_names_that_break_a_rule_name_it() {
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = ["a".repeat(63).as_str(); 4].join(".");
    let long_u_label = "ü".repeat(60);
    use NameError as E;
    type Rule<'a> = (&'a str, fn(&E) -> bool);
    let rules: Vec<Rule<'_>> = vec![
        ("", |e| matches!(e, E::Empty { .. })),
        (".", |e| matches!(e, E::EmptyLabel { .. })),
        ("a..b", |e| matches!(e, E::EmptyLabel { .. })),
        (".a", |e| matches!(e, E::EmptyLabel { .. })),
        ("a..", |e| matches!(e, E::EmptyLabel { .. })),
        ("ü..b", |e| matches!(e, E::EmptyLabel { .. } | E::BadIdn { .. })),
        (&long_label, |e| matches!(e, E::LabelTooLong { octets: 64, limit: 63, .. })),
        (&long_u_label, |e| matches!(e, E::LabelTooLong { .. } | E::BadIdn { .. })),
        (&long_name, |e| matches!(e, E::TooLong { length: 255, limit: 253, .. })),
        ("a_b.example", |e| matches!(e, E::Underscore { .. })),
        ("_dmarc.example", |e| matches!(e, E::Underscore { .. })),
        (" example", |e| matches!(e, E::Character { .. })),
        ("example ", |e| matches!(e, E::Character { .. })),
        ("good\0.evil", |e| matches!(e, E::Character { .. })),
        ("a\nb", |e| matches!(e, E::Character { .. })),
        ("a\u{7f}b", |e| matches!(e, E::Character { .. })),
        ("a\u{a0}b", |e| matches!(e, E::Character { .. })),
        ("a/b", |e| matches!(e, E::Character { .. })),
        ("a@b", |e| matches!(e, E::Character { .. })),
        ("-a.example", |e| matches!(e, E::Hyphen { .. })),
        ("a-.example", |e| matches!(e, E::Hyphen { .. })),
        ("ab--c.example", |e| matches!(e, E::Hyphen { .. })),
        ("xn--a.example", |e| matches!(e, E::BadIdn { .. })),
        ("xn--.example", |e| matches!(e, E::BadIdn { .. } | E::Hyphen { .. })),
        ("xn--example-.example", |e| matches!(e, E::BadIdn { .. } | E::Hyphen { .. })),
        // What "bÜcher", a decomposed "bücher" and a direction mark would be if one encoded them as they are.
        ("xn--bcher-2pa.example", |e| matches!(e, E::BadIdn { .. })),
        ("xn--bucher-xyd.example", |e| matches!(e, E::BadIdn { .. })),
        ("xn--ab-g4t.example", |e| matches!(e, E::BadIdn { .. })),
        ("a\u{202e}b.example", |e| matches!(e, E::BadIdn { .. })),
        ("a\u{200b}\u{fffd}.example", |e| matches!(e, E::BadIdn { .. })),
        ("٣.example\u{627}1a", |e| matches!(e, E::BadIdn { .. })),
        ("*", |e| matches!(e, E::Wildcard { .. })),
        ("*.", |e| matches!(e, E::EmptyLabel { .. } | E::Wildcard { .. })),
        ("*.com", |e| matches!(e, E::Wildcard { .. })),
        ("*.com.", |e| matches!(e, E::Wildcard { .. })),
        ("*.*.example.org", |e| matches!(e, E::Wildcard { .. })),
        ("a*.example.org", |e| matches!(e, E::Wildcard { .. })),
        ("*a.example.org", |e| matches!(e, E::Wildcard { .. })),
        ("a.*.example.org", |e| matches!(e, E::Wildcard { .. })),
        ("1.2.3.4", |e| matches!(e, E::Numeric { .. })),
        ("1.2.3.4.", |e| matches!(e, E::Numeric { .. })),
        ("*.2.3.4", |e| matches!(e, E::Numeric { .. })),
        ("010.0.0.1", |e| matches!(e, E::Numeric { .. })),
        ("0x7f.1", |e| matches!(e, E::Numeric { .. })),
        ("0x7f000001", |e| matches!(e, E::Numeric { .. })),
        ("a.0X7F", |e| matches!(e, E::Numeric { .. })),
        ("0x", |e| matches!(e, E::Numeric { .. })),
        ("2130706433", |e| matches!(e, E::Numeric { .. })),
        ("017700000001", |e| matches!(e, E::Numeric { .. })),
        ("example.1", |e| matches!(e, E::Numeric { .. })),
        ("１.２.３.４", |e| matches!(e, E::Numeric { .. })),
        ("::1", |e| matches!(e, E::Numeric { .. })),
    ];
    for (text, is_expected) in rules {
        match dns(text) {
            Ok(name) => panic!("{text:?} was taken as {name}"),
            Err(error) => assert!(is_expected(&error), "{text:?}: {error:?}"),
        }
    }
}

#[test]
fn long_input_is_refused_before_it_is_converted() {
    let started = std::time::Instant::now();
    assert!(matches!(dns(&"ü.".repeat(1 << 20)), Err(NameError::TooLong { .. })));
    assert!(started.elapsed().as_millis() < 500);
}

#[test]
fn wildcards_and_look_alikes_can_be_told() {
    let name = |text: &str| text.parse::<DnsName>().unwrap();
    assert!(name("*.example.org").is_wildcard());
    assert!(!name("example.org").is_wildcard());
    assert_eq!(name("bücher.example").to_unicode(), "bücher.example");
    assert_eq!(name("p\u{430}ypal.example").script(), Script::Mixed);
    assert_eq!(name("почта.example").script(), Script::Plain);
    assert_eq!(name("bücher.example").script(), Script::Plain);
}

#[test]
fn common_names_are_short_and_visible() {
    let name = |text: &str| text.parse::<CommonName>();
    for good in ["a", "Jürgen / Büro; \"x\" & 'y'", "../../etc/passwd", "*.example.org", &"ü".repeat(64)] {
        assert_eq!(name(good).unwrap().as_str(), good);
    }
    assert!(matches!(name(""), Err(NameError::Empty { .. })));
    assert!(matches!(name(&"ü".repeat(65)), Err(NameError::TooLong { length: 65, limit: 64, .. })));
    for bad in ["a\nb", "a\0b", "\u{1b}[31mred", "a\u{7f}", "a\u{85}b"] {
        assert!(matches!(name(bad), Err(NameError::Character { .. })), "{bad:?}");
    }
    for bad in
        ['\u{202e}', '\u{200f}', '\u{2066}', '\u{61c}', '\u{200b}', '\u{feff}', '\u{2028}', '\u{e0041}']
    {
        let error = name(&format!("a{bad}b")).unwrap_err();
        assert!(matches!(error, NameError::Character { .. }), "{bad:?}");
        assert!(!error.to_string().contains(bad), "{error}");
    }
    for bad in [" a", "a ", "\u{a0}a", "a\u{3000}"] {
        assert!(matches!(name(bad), Err(NameError::Space { .. })), "{bad:?}");
    }
}

#[test]
fn errors_show_nothing_that_a_terminal_obeys() {
    let error = dns("\u{1b}[2J\u{202e}\r\n").unwrap_err().to_string();
    assert!(!error.chars().any(|c| c.is_control() || is_invisible(c)), "{error:?}");
    assert!(dns(&"x".repeat(900)).unwrap_err().to_string().len() < 250);
    assert_eq!(printable("a\u{3164}b\u{ad}"), "a\\u{3164}b\\u{ad}");
    assert_eq!(printable("it's \"ü\" \\ \u{202e}"), "it's \"ü\" \\\\ \\u{202e}");
}

#[test]
fn mail_addresses_are_simple() {
    let email = |text: &str| text.parse::<EmailAddress>().map(|name| name.to_string());
    assert_eq!(email("Jon.Doe+x@Example.ORG").unwrap(), "Jon.Doe+x@example.org");
    assert_eq!(email("root@localhost").unwrap(), "root@localhost");
    assert_eq!(email("a@bücher.example").unwrap(), "a@xn--bcher-kva.example");
    let long_local = format!("{}@example.org", "a".repeat(65));
    for bad in [
        "",
        "a",
        "@b",
        "a@",
        "a@@b",
        "a b@c",
        ".a@b",
        "a.@b",
        "a..b@c",
        "\"a\"@b",
        "ü@b",
        "a@*.example.org",
        "a@1.2.3.4",
        "a@[1.2.3.4]",
        "<a@b>",
        "a@b c",
        "a\n@b",
        "a\0@b",
        "a@b\0",
        &long_local,
    ] {
        assert!(email(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn addresses_are_canonical() {
    let ip = |text: &str| SubjectAltName::parse_ip(text).map(|name| name.to_string());
    assert_eq!(ip("127.0.0.1").unwrap(), "ip:127.0.0.1");
    assert_eq!(ip("2001:DB8:0::1").unwrap(), "ip:2001:db8::1");
    assert_eq!(ip("::1").unwrap(), "ip:::1");
    for bad in
        ["", "010.0.0.1", "1.2.3", "0x7f.1", "2130706433", "1.2.3.4 ", "[::1]", "localhost", "1.2.3.4/8"]
    {
        assert!(matches!(ip(bad), Err(NameError::NotIp { .. })), "{bad:?}");
    }
    assert!(matches!(ip("fe80::1%eth0"), Err(NameError::IpZone { .. })));
    assert!(matches!(ip("::ffff:127.0.0.1"), Err(NameError::Ipv4Mapped { .. })));
}

#[test]
fn uris_are_absolute() {
    let uri = |text: &str| text.parse::<UriName>().map(|name| name.to_string());
    for (text, name) in [
        ("SPIFFE://Example.org/ns/A", "spiffe://example.org/ns/A"),
        ("https://example.org:8443/a%20b?c#d", "https://example.org:8443/a%20b?c#d"),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]/"),
        ("https://127.0.0.1", "https://127.0.0.1"),
    ] {
        assert_eq!(uri(text).as_deref(), Ok(name));
    }
    assert!(uri("http://a:b@c/").unwrap_err().to_string().contains("published"));
    let long = format!("https://a/{}", "a".repeat(2048));
    for bad in [
        "",
        "a",
        "/a",
        "//a/b",
        "mailto:a@b",
        "urn:x:y",
        "://a",
        "1http://a",
        "http:///a",
        "http://",
        "http://a:b@c/",
        "http://*.example.org/",
        "http://ü/",
        "http://a/\u{202e}",
        "http://a/b c",
        "http://a/b\nc",
        "http://a/%0d%0a",
        "http://a/%00",
        "http://a/%zz",
        "http://a/%4",
        "http://a:99999/",
        "http://a:/",
        "http://[::1",
        "http://a]/",
        "http://a_b/",
        "http://1.2.3/",
        "http://a/#b#c",
        "http://a/\"",
        &long,
    ] {
        assert!(uri(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn alternative_names_say_what_they_are() {
    let san = |text: &str| text.parse::<SubjectAltName>();
    for text in ["dns:a.example", "ip:10.0.0.1", "ip:::1", "email:a@b", "uri:spiffe://a/b"] {
        assert_eq!(san(text).unwrap().to_string(), text);
    }
    assert!(matches!(san("a.example"), Err(NameError::UnknownKind { .. })));
    assert!(matches!(san("DNS:a.example"), Err(NameError::UnknownKind { .. })));
    assert!(matches!(san("dns:10.0.0.1"), Err(NameError::Numeric { .. })));
    assert!(matches!(san("ip:a.example"), Err(NameError::NotIp { .. })));
}

#[test]
fn slugs_are_plain_and_never_meet() {
    for plain in ["a", "web1.example.org", "Jon_Doe-2"] {
        assert_eq!(Slug::of(plain).as_str(), plain);
    }
    let long = "x".repeat(500);
    let texts = [
        "",
        ".",
        "..",
        "-",
        "-rf",
        ".ssh",
        "a/b",
        "a\\b",
        "a_b",
        "a b",
        "../../etc/passwd",
        "a\0b",
        "ü",
        "Ü",
        "*.example.org",
        "\u{202e}",
        &long,
        &format!("{long}y"),
    ];
    let slugs: std::collections::BTreeSet<_> = texts.iter().map(|text| Slug::of(text)).collect();
    assert_eq!(slugs.len(), texts.len());
    // A text that looks like another's slug doesn't get that slug.
    let slug = Slug::of("a/b");
    assert_ne!(Slug::of(slug.as_str()), slug);
}

proptest! {
    #[test]
    fn dns_display_and_parse_are_inverse(text in "(\\*\\.)?([a-zA-Z0-9üßс中-]{1,9}\\.){0,4}[a-zA-Zü-]{1,9}\\.?") {
        if let Ok(name) = text.parse::<DnsName>() {
            prop_assert_eq!(name.as_str().parse::<DnsName>().unwrap(), name.clone());
            prop_assert!(name.as_str().is_ascii() && name.as_str().len() <= 253);
            let cbor = minicbor::to_vec(&name).unwrap();
            prop_assert_eq!(minicbor::decode::<DnsName>(&cbor).unwrap(), name);
        }
    }

    #[test]
    fn san_display_and_parse_are_inverse(text in "(dns|ip|email|uri):[a-z0-9.:/@*-]{1,20}") {
        if let Ok(name) = text.parse::<SubjectAltName>() {
            prop_assert_eq!(name.to_string().parse::<SubjectAltName>().unwrap(), name);
        }
    }

    #[test]
    fn every_address_round_trips(octets: [u8; 16], short: [u8; 4]) {
        for address in [IpAddr::from(octets), IpAddr::from(short)] {
            if let Ok(name) = SubjectAltName::ip(address) {
                prop_assert_eq!(name.to_string().parse::<SubjectAltName>().unwrap(), name);
            }
        }
    }

    #[test]
    fn any_text_is_judged(text in "\\PC{0,80}|[\\x00-\\x7f]{0,80}") {
        if let Ok(name) = text.parse::<DnsName>() {
            prop_assert_eq!(name.as_str().parse::<DnsName>().unwrap(), name);
        }
        if let Ok(name) = text.parse::<CommonName>() {
            prop_assert_eq!(name.as_str(), &text);
        }
        if let Ok(name) = text.parse::<EmailAddress>() {
            prop_assert_eq!(name.as_str().parse::<EmailAddress>().unwrap(), name);
        }
        if let Ok(name) = text.parse::<UriName>() {
            prop_assert_eq!(name.as_str().parse::<UriName>().unwrap(), name);
        }
    }

    #[test]
    fn slugs_are_always_safe(text in "\\PC{0,200}|[\\x00-\\x7f]{0,200}") {
        let slug = Slug::of(&text).to_string();
        prop_assert!(!slug.is_empty() && slug.len() <= Slug::MAX_OCTETS);
        prop_assert!(!slug.starts_with(['.', '-']));
        prop_assert!(slug.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
    }
}
