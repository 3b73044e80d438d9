//! "Anyone can fetch our certificates and lists, fresh and with the right types."

use tests::{Sandbox, Service, openssl};

#[test]
fn every_file_has_its_media_type_its_tag_and_a_short_life() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    let info = sandbox.pki(["info", "--json"]).success().json();
    let mut paths: Vec<(String, &str, &str)> = vec![
        ("/ca.crt".into(), "application/x-pem-file", "-----BEGIN CERTIFICATE-----"),
        ("/root.crt".into(), "application/x-pem-file", "-----BEGIN CERTIFICATE-----"),
        ("/chain.crt".into(), "application/x-pem-file", "-----BEGIN CERTIFICATE-----"),
        ("/ca.crl".into(), "application/x-pem-file", "-----BEGIN X509 CRL-----"),
        ("/root.crl".into(), "application/x-pem-file", "-----BEGIN X509 CRL-----"),
        ("/chain.crl".into(), "application/x-pem-file", "-----BEGIN X509 CRL-----"),
    ];
    for authority in info["authorities"].as_array().unwrap() {
        let key_id = authority["key_id"].as_str().unwrap();
        // RFC 2585 §4.1 and §4.2.
        paths.push((format!("/crl/{key_id}/0.crl"), "application/pkix-crl", ""));
        paths.push((format!("/ca/{key_id}.crt"), "application/pkix-cert", ""));
    }
    for (path, media_type, begin) in paths {
        let answer = service.ask(&path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), media_type, "{path}");
        assert!(answer.text().starts_with(begin), "{path}: {}", answer.text());
        if begin.is_empty() {
            assert_eq!(answer.body.first(), Some(&0x30), "{path} is DER");
        }
        let life: u32 = answer
            .header("cache-control")
            .split(',')
            .find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok())
            .unwrap_or_else(|| panic!("{path}: no max-age in {:?}", answer.headers));
        assert!(life <= 60, "{path}: {life}");
        let tag = answer.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
        let again = service.ask_with(&path, &[("If-None-Match", &tag)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), tag, "{path}");
        assert_eq!(service.ask_with(&path, &[("If-None-Match", "\"other\"")]).status, 200, "{path}");
    }
}

#[test]
fn what_is_served_is_what_is_on_disk() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    for name in ["ca.crt", "root.crt", "chain.crt", "ca.crl", "root.crl", "chain.crl"] {
        assert_eq!(
            service.ask(&format!("/{name}")).body,
            std::fs::read(sandbox.dir().join(name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn nothing_else_is_served() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    for path in [
        "/keys/root.key",
        "/../keys/root.key",
        "/%2e%2e/keys/root.key",
        "/crl/../keys/root.key",
        "/crl/0000000000000000000000000000000000000000/0.crl",
        "/ca/..%2fkeys%2froot.crt",
        "/store",
        "/1.0/pki/list",
        "/pki.socket",
        "/.well-known/acme-challenge/unknown",
    ] {
        let answer = service.ask(path);
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("PRIVATE KEY"), "{path}");
    }
    assert!((200..500).contains(&service.ask("/").status));
}

#[test]
fn a_busy_port_names_its_holder() {
    let sandbox = Sandbox::with_pki();
    let port = tests::free_port();
    let holder = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    sandbox.pki(["config", "set", "core.public_address", &format!("127.0.0.1:{port}")]).success();
    let refused = sandbox.pki(["serve"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.says(&port.to_string()), "{refused}");
    assert!(refused.says(&std::process::id().to_string()), "the holder is this process: {refused}");
    assert!(refused.says("hint:") && refused.says("core.public_address"), "{refused}");
    drop(holder);
}

#[test]
fn the_pointers_in_a_certificate_lead_somewhere() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    let base = format!("http://{}", service.address());
    sandbox.pki(["config", "set", "core.public_url", &base]).success();
    sandbox.pki(["issue-client", "alice"]).success();
    let text = openssl(&sandbox, ["x509", "-in", "alice.crt", "-noout", "-text"]).success().stdout;
    let urls: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("URI:")).map(|(_, url)| url.trim()).collect();
    assert_eq!(urls.len(), 2, "{text}");
    for url in urls {
        let path = url.strip_prefix(&base).unwrap();
        assert_eq!(service.ask(path).status, 200, "{url}");
    }
}

#[test]
fn a_slow_client_holds_up_nobody() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    let idle: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(service.address()).unwrap()).collect();
    assert_eq!(service.ask("/ca.crl").status, 200);
    drop(idle);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn sigterm_and_ctrl_c_stop_it_cleanly_and_it_starts_again() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    let first = service.stop();
    assert_eq!(first.code, 0, "{first}");
    assert!(!sandbox.dir().join("pki.socket").exists(), "a service that stopped takes its socket along");
    let service = Service::start(&sandbox);
    service.signal(rustix::process::Signal::INT);
    let second = service.stop();
    assert_eq!(second.code, 0, "{second}");
}
