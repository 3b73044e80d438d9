//! The documented configuration, run as it stands beside ours: what is said of its faults is seen.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::bundled::adapted;
use crate::process::{Haproxy, PATIENCE, free_port};
use crate::world::{Authority, Node, Speech, client_hello, curl, send_raw, server_config};

const DOCUMENTED: &str = include_str!("../../../tests/fixtures/documented-haproxy.cfg");

/// The documented configuration on ports of the test's own, before these nodes. What only root may do is left out,
/// and the number of connections that many a machine has no files for; nothing else.
fn documented(folder: &Path, http: u16, https: u16, nodes: &[Node; 3]) -> String {
    let socket = folder.join("admin.sock").display().to_string();
    let left_out = ["chroot", "user", "group", "daemon", "maxconn"];
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let kept = DOCUMENTED.lines().filter(|line| !left_out.contains(&&*first(line)));
    let mut text = String::new();
    for line in kept {
        let line = line
            .replace("bind :80", &format!("bind :{http}"))
            .replace("bind :443", &format!("bind :{https}"))
            .replace("/run/haproxy/admin.sock", &socket)
            .replace("1.2.3.4:8443", &format!("127.0.0.1:{}", nodes[0].port))
            .replace("1.2.3.5:8443", &format!("127.0.0.1:{}", nodes[1].port))
            .replace("1.2.3.6:8443", &format!("127.0.0.1:{}", nodes[2].port));
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What a client sees of a configuration that is run.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Status and redirect for the host with its port, as authorities ask.
    with_port: String,
    /// Status of a challenge at port 80.
    challenge: String,
    /// What a TLS client hears that asks for another name.
    other_name: Vec<u8>,
    /// Whether it is found by IPv6.
    by_ipv6: bool,
    /// How many nodes six challenges reach, once those are routed to where they lead.
    nodes: usize,
}

fn see(text: impl Fn(&Path, u16, u16, &[Node; 3]) -> String, way: &str) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::named("root");
    let tls = server_config(&authority.issue("lxd.example.net", &[7]));
    let nodes = ["one", "two", "three"].map(|name| Node::start(name, Speech::Tls(tls.clone())));
    let (http, https) = (free_port(), free_port());
    let _haproxy = Haproxy::start(folder.path(), &text(folder.path(), http, https, &nodes), https);
    let plain = |host: &str, path: &str, format: &str| {
        let (host, url) = (format!("Host: {host}"), format!("http://127.0.0.1:{http}{path}"));
        let (_, said, _) = curl(&["--header", &host, "--output", "/dev/null", "--write-out", format, &url]);
        said
    };
    let with_port = plain("lxd.example.net:80", "/1.0", "%{http_code} %{redirect_url}");
    let challenge = plain("lxd.example.net", "/.well-known/acme-challenge/token", "%{http_code}");
    let other_name = send_raw(https, &client_hello("other.example.net"));
    let (by_ipv6, _, _) = curl(&["--insecure", "--output", "/dev/null", &format!("http://[::1]:{http}/")]);
    for _ in 0..6 {
        let (url, name) = match way {
            "http" => (format!("http://lxd.example.net:{http}"), format!("lxd.example.net:{http}:127.0.0.1")),
            _ => (format!("https://lxd.example.net:{https}"), format!("lxd.example.net:{https}:127.0.0.1")),
        };
        let url = format!("{url}/.well-known/acme-challenge/token");
        let (code, _, said) = curl(&["--insecure", "--resolve", &name, &url]);
        assert_eq!(code, 0, "{said}");
    }
    let nodes = nodes.iter().filter(|node| !node.seen().is_empty()).count();
    Seen { with_port, challenge, other_name, by_ipv6: by_ipv6 == 0, nodes }
}

#[test]
fn what_fails_with_the_documented_one_works_with_ours() {
    // An authority that follows redirects comes to the nodes by TLS; with ours it need not.
    let theirs = see(documented, "https");
    let ours = see(|folder, http, https, [a, b, c]| adapted(folder, http, https, &[a, b, c]), "http");
    assert_eq!(theirs.with_port, "403 ", "the host with its port is none of its hosts");
    assert_eq!(ours.with_port, "308 https://lxd.example.net/1.0");
    assert_eq!((theirs.challenge.as_str(), ours.challenge.as_str()), ("301", "200"));
    let said = String::from_utf8_lossy(&theirs.other_name).into_owned();
    assert!(said.starts_with("HTTP/1."), "plain HTTP to a TLS client: {said:?}");
    assert_eq!(ours.other_name, b"");
    assert_eq!((theirs.by_ipv6, ours.by_ipv6), (false, true));
    assert_eq!((theirs.nodes, ours.nodes), (3, 1), "the nodes that an authority's looks reach");
}

#[test]
fn its_redirect_keeps_the_port_of_http() {
    // Hidden by the fault before it: that one alone is mended.
    let mended = |folder: &Path, http, https, nodes: &[Node; 3]| {
        let text = documented(folder, http, https, nodes);
        assert!(text.contains("{ hdr(host) -i lxd.example.net }"));
        text.replace("{ hdr(host) -i", "{ req.hdr(host),host_only -i")
    };
    assert_eq!(see(mended, "https").with_port, "301 https://lxd.example.net:80/1.0");
}

#[test]
fn it_does_not_start_where_there_are_too_few_files() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::named("root");
    let tls = server_config(&authority.issue("lxd.example.net", &[7]));
    let nodes = ["one", "two", "three"].map(|name| Node::start(name, Speech::Tls(tls.clone())));
    let (http, https) = (free_port(), free_port());
    let text =
        documented(folder.path(), http, https, &nodes).replace("global\n", "global\n  maxconn 100000\n");
    let config = folder.path().join("haproxy.cfg");
    std::fs::write(&config, text).unwrap();
    // Root may have more than the limit: this one may not.
    let line = "ulimit -n 20000 && exec haproxy -db -f \"$0\"";
    let mut child = Command::new("setpriv")
        .args(["--bounding-set", "-sys_resource", "sh", "-c", line])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("setpriv runs: util-linux has it");
    let begun = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it has started");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = child.wait_with_output().expect("its words");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("limit"), "{said}");
}
