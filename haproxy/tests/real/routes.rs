//! Where a rendered site sends what arrives.

use std::net::SocketAddr;

use haproxy::{ProxyHeader, Route, render};

use crate::process::{Haproxy, free_port};
use crate::sites::{domain, empty, empty_maps};
use crate::world::{Authority, Node, Speech, client_hello, curl, send_raw, server_config};

#[test]
fn passthrough_reaches_the_nodes_with_and_without_the_proxy_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::named("root");
    let ca = authority.identity.write(folder.path(), "root");
    let tls = |name| server_config(&authority.issue(name, &[7]));
    let plain = Node::start("plain", Speech::Tls(tls("plain.example.net")));
    let told = Node::start("told", Speech::ProxyTls(tls("told.example.net")));
    let (http, https) = (free_port(), free_port());
    let at = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let mut site = empty(folder.path(), at(http), at(https));
    empty_maps(folder.path());
    site.domains = vec![
        domain("plain.example.net", plain.port, Route::Passthrough(ProxyHeader::None)),
        domain("told.example.net", told.port, Route::Passthrough(ProxyHeader::V2)),
    ];
    let _haproxy = Haproxy::start(folder.path(), &render(&site).unwrap().config, https);
    let ask = |host: &str, from: &str| {
        let (code, said, complaint) = curl(&[
            "--cacert",
            &ca,
            "--interface",
            from,
            "--resolve",
            &format!("{host}:{https}:127.0.0.1"),
            &format!("https://{host}:{https}/1.0"),
        ]);
        assert_eq!(code, 0, "{host}: {complaint}");
        said
    };

    assert!(ask("plain.example.net", "127.0.0.9").starts_with("plain\nGET /1.0 "));
    assert!(ask("PLAIN.example.net", "127.0.0.9").starts_with("plain\nGET /1.0 "));
    assert!(ask("told.example.net", "127.0.0.9").starts_with("told\nfrom 127.0.0.9 GET /1.0 "));
    assert!(ask("told.example.net", "127.0.0.1").starts_with("told\nfrom 127.0.0.1 GET /1.0 "));

    assert_eq!(send_raw(https, &client_hello("other.example.net")), b"");
    assert_eq!(send_raw(https, b"GET / HTTP/1.1\r\n\r\n"), b"");
}

#[test]
fn port_80_sends_to_https_and_refuses_other_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let (http, https) = (free_port(), free_port());
    let at = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let mut site = empty(folder.path(), at(http), at(https));
    empty_maps(folder.path());
    site.domains = vec![domain("a.example.net", free_port(), Route::Passthrough(ProxyHeader::None))];
    let _haproxy = Haproxy::start(folder.path(), &render(&site).unwrap().config, http);
    let ask = |host: &str, path: &str| {
        let format = " %{http_code} %{redirect_url}";
        let host = format!("Host: {host}");
        let url = format!("http://127.0.0.1:{http}{path}");
        let (_, said, _) = curl(&["--path-as-is", "--header", &host, "--write-out", format, &url]);
        said.trim().to_owned()
    };

    assert_eq!(ask("a.example.net:80", "/x/y?z=1&w"), "308 https://a.example.net/x/y?z=1&w");
    assert_eq!(ask("A.Example.Net", "/"), "308 https://a.example.net/");
    let challenge = "/.well-known/acme-challenge/none";
    assert_eq!(ask("a.example.net", challenge), format!("308 https://a.example.net{challenge}"));
    for host in ["b.example.net", "a.example.net.evil.example", "xa.example.net", ""] {
        assert!(ask(host, "/").contains("403"), "{host}");
    }
}
