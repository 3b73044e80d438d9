//! Knot DNS, a real name server, for zones that are changed by RFC 2136.
//!
//! This file needs nothing of the crate around it, so that the `acme` crate's own tests use it too.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};

/// The secret of the key `acme`, by which the zone `example.` may be changed.
pub const SECRET: &str = "c2l4dGVlbiBvY3RldHMgYW5kIHNpeHRlZW4gbW9yZSE=";

/// A name server for `example.`, which may be changed, and `static.test.`, which may not.
pub struct Knot {
    folder: tempfile::TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    server: Child,
}

impl Knot {
    /// One on a port of its own.
    #[track_caller]
    pub fn start() -> Knot {
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a free port");
            if UdpSocket::bind(tcp).is_ok() {
                return Knot::start_at(tcp);
            }
        }
    }

    /// One at this address of this machine.
    #[track_caller]
    pub fn start_at(address: SocketAddr) -> Knot {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).expect("a writable folder");
        };
        let (path, port) = (folder.path().display(), address.port());
        let config = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  rundir: {path}\n  pidfile: {path}/pid\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n  storage: {path}/db\n\
             key:\n  - id: acme\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             acl:\n  - id: updates\n    key: acme\n    action: update\n\
             template:\n  - id: default\n    storage: {path}\n    file: \"%s.zone\"\n\
             zone:\n  - domain: example.\n    acl: updates\n  - domain: static.test.\n"
        );
        write("knot.conf", config);
        let zone = |origin: &str, more: &str| {
            let text = format!(
                "$ORIGIN {origin}\n$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n{more}"
            );
            write(&format!("{origin}zone"), text);
        };
        zone("example.", "_acme-challenge.www CNAME www.delegated\n");
        zone("static.test.", "");
        std::fs::create_dir(folder.path().join("db")).expect("a writable folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a writable folder");
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.path().join("knot.conf")).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        let server = command.spawn().expect("knotd runs: tests/run installs the package knot");
        let mut knot = Knot { folder, address, server };
        for _ in 0..1_000 {
            if TcpStream::connect(address).is_ok() {
                return knot;
            }
            assert!(knot.server.try_wait().expect("our own child").is_none(), "{}", knot.log());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("it does not listen: {}", knot.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What `acme.provider.environment` needs for it, with this key's name.
    pub fn environment(&self, key: &str) -> String {
        let address = self.address;
        format!("RFC2136_NAMESERVER={address}\nRFC2136_TSIG_KEY={key}\nRFC2136_TSIG_SECRET={SECRET}\n")
    }

    /// The TXT records that are there.
    #[track_caller]
    pub fn texts(&self, name: &str) -> String {
        let port = self.address.port().to_string();
        let output = Command::new("kdig").args(["@127.0.0.1", "-p", &port, "+short", name, "TXT"]).output();
        let output = output.expect("kdig runs: tests/run installs the package knot-dnsutils");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
