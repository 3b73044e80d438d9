//! `haproxy.cfg`: what fails with the documented configuration works with it.

use std::path::Path;

use crate::process::{Haproxy, check, free_port};
use crate::world::{Authority, Node, Speech, client_hello, curl, send_raw, server_config};

const BUNDLED: &str = include_str!("../../haproxy.cfg");

/// The configuration on ports of the test's own. What only root may do is left out; nothing else.
pub fn adapted(folder: &Path, http: u16, https: u16, nodes: &[&Node]) -> String {
    let socket = folder.join("admin.sock").display().to_string();
    let mut lines = Vec::new();
    let mut nodes = nodes.iter();
    for line in BUNDLED.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.first().copied() {
            Some("chroot" | "user" | "group") => {}
            Some("server") if words[1].starts_with("node") => {
                if let Some(node) = nodes.next() {
                    lines.push(format!("  server {} 127.0.0.1:{}", words[1], node.port));
                }
            }
            _ => lines.push(
                line.replace("bind :::80 ", &format!("bind :::{http} "))
                    .replace("bind :::443 ", &format!("bind :::{https} "))
                    .replace("127.0.0.1:443 ", &format!("127.0.0.1:{https} "))
                    .replace("/run/haproxy/admin.sock", &socket),
            ),
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn it_is_valid_as_it_stands_without_a_warning() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("haproxy.cfg")).unwrap();
}

#[test]
fn a_warning_is_not_overlooked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, BUNDLED.replace("  timeout client 30s\n", "")).unwrap();
    assert!(check(&file).unwrap_err().contains("missing timeouts for frontend"));
}

#[test]
fn each_fault_of_the_documented_one_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::named("root");
    let ca = authority.identity.write(folder.path(), "root");
    let tls = server_config(&authority.issue("lxd.example.net", &[7]));
    let nodes = [
        Node::start("one", Speech::Tls(tls.clone())),
        Node::start("two", Speech::Tls(tls.clone())),
        Node::start("three", Speech::Tls(tls)),
    ];
    let (http, https) = (free_port(), free_port());
    let text = adapted(folder.path(), http, https, &[&nodes[0], &nodes[1], &nodes[2]]);
    let _haproxy = Haproxy::start(folder.path(), &text, https);
    let plain = |host: &str, path: &str, format: &str| {
        let host = format!("Host: {host}");
        let (_, said, _) =
            curl(&["--header", &host, "--write-out", format, &format!("http://127.0.0.1:{http}{path}")]);
        said
    };

    // 2 and 3: the port of the Host header neither hides the host nor survives in the redirect.
    let location = "%{http_code} %{redirect_url}";
    assert_eq!(plain("LXD.example.net:80", "/1.0?a=b", location), "308 https://lxd.example.net/1.0?a=b");
    assert_eq!(plain("lxd.example.net", "/", location), "308 https://lxd.example.net/");
    assert!(plain("other.example.net", "/", " %{http_code}").ends_with(" 403"));
    assert!(plain("other.example.net", "/.well-known/acme-challenge/t", " %{http_code}").ends_with(" 403"));

    // 4 and 8: the challenge is answered at once, and every time by the same node.
    let answers: Vec<_> = (0..6)
        .map(|_| plain("lxd.example.net:80", "/.well-known/acme-challenge/token", "%{http_code}"))
        .collect();
    assert!(answers[0].contains("GET /.well-known/acme-challenge/token HTTP/1.1\r\n"), "{}", answers[0]);
    assert!(answers[0].ends_with("200"), "{}", answers[0]);
    assert!(answers.iter().all(|one| one == &answers[0]), "{answers:?}");
    assert_eq!(nodes.iter().filter(|node| !node.seen().is_empty()).count(), 1);

    // 5 and 7: no plain HTTP on the TLS port, whoever asks for whatever.
    assert_eq!(send_raw(https, &client_hello("other.example.net")), b"");
    assert_eq!(send_raw(https, b"GET / HTTP/1.1\r\nHost: lxd.example.net\r\n\r\n"), b"");

    // 9: over IPv6 too.
    for address in ["127.0.0.1", "[::1]"] {
        let (code, said, complaint) = curl(&[
            "--cacert",
            &ca,
            "--resolve",
            &format!("lxd.example.net:{https}:{address}"),
            &format!("https://lxd.example.net:{https}/1.0"),
        ]);
        assert_eq!(code, 0, "{complaint}");
        assert!(said.contains("GET /1.0 HTTP/1.1\r\n"), "{said}");
    }
}
