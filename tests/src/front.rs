//! A real HAProxy before a site of `pki haproxy render`, with a node behind it and clients in front.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::{Ports, Sandbox, free_port, source_tree};

/// How long something may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// HAProxy with its master, on ports of its own.
pub struct Front {
    folder: PathBuf,
    config: PathBuf,
    /// Where TLS is served.
    pub https: u16,
    /// Where plain HTTP is served.
    pub http: u16,
    child: Option<Child>,
}

impl Front {
    /// Sets the settings for `domains` and one instance named `name`, and renders its configuration.
    #[track_caller]
    pub fn new(sandbox: &Sandbox, name: &str, domains: &str) -> Front {
        let front = Front::at(sandbox, name, free_port(), free_port());
        sandbox.pki(["config", "set", "haproxy.domains", domains]).success();
        front.render(sandbox, &[]);
        front
    }

    /// One that has no configuration yet, on these ports.
    #[track_caller]
    pub fn at(sandbox: &Sandbox, name: &str, http: u16, https: u16) -> Front {
        let folder = sandbox.root().join(name);
        std::fs::create_dir(&folder).expect("a new folder");
        Front { config: folder.join("haproxy.cfg"), folder, https, http, child: None }
    }

    /// Renders its configuration from the settings, and from what is said besides.
    #[track_caller]
    pub fn render(&self, sandbox: &Sandbox, more: &[&str]) {
        let (http, https) = (format!("127.0.0.1:{}", self.http), format!("127.0.0.1:{}", self.https));
        let (admin, config) = (self.admin(), self.config.display().to_string());
        let words =
            ["haproxy", "render", "--unprivileged", "--http", &http, "--https", &https, "--admin", &admin];
        sandbox.pki(words.iter().chain(&["--out", &config]).chain(more)).success();
    }

    fn admin(&self) -> String {
        self.folder.join("a.sock").display().to_string()
    }

    /// The instance as `haproxy.instances` has it.
    pub fn instance(&self) -> String {
        let master = self.folder.join("m.sock").display().to_string();
        format!("{} master={master} https=127.0.0.1:{}", self.admin(), self.https)
    }

    /// Takes the bundled configuration, in which the domain and the nodes are changed and nothing else, unless it
    /// must do without the real ports and without root.
    #[track_caller]
    pub fn bundled(&self, ports: Ports, domain: &str, node: &str) {
        let text = std::fs::read_to_string(source_tree().join("haproxy/haproxy.cfg")).expect("it is bundled");
        let kept = |line: &&str| {
            let first = line.split_whitespace().next().unwrap_or_default();
            !line.contains("server node") && (ports.own || !["chroot", "user", "group"].contains(&first))
        };
        let mut lines: Vec<String> = text.lines().filter(kept).map(str::to_owned).collect();
        for line in &mut lines {
            *line = line.replace("setenv DOMAIN lxd.example.net", &format!("setenv DOMAIN {domain}"));
            if line.contains("default-server check check-ssl") {
                line.push_str(&format!("\n  server node01 {node}"));
            }
            if !ports.own {
                *line = line
                    .replace("bind :::80 ", &format!("bind :::{} ", ports.http))
                    .replace("bind :::443 ", &format!("bind :::{} ", ports.https))
                    .replace("127.0.0.1:443 ", &format!("127.0.0.1:{} ", ports.https))
                    .replace("/run/haproxy/admin.sock", &self.admin());
            }
        }
        std::fs::write(&self.config, lines.join("\n") + "\n").expect("a writable folder");
    }

    /// Takes the documented configuration, in which the domain and the node are changed and nothing else, unless it
    /// must do without the real ports and without root. It asks for more files than most machines give.
    #[track_caller]
    pub fn documented(&self, ports: Ports, domain: &str, node: &str) {
        let file = source_tree().join("tests/fixtures/documented-haproxy.cfg");
        let text = std::fs::read_to_string(file).expect("a fixture");
        let left_out = |line: &&str| {
            let first = line.split_whitespace().next().unwrap_or_default();
            let later = line.contains("server lxd-node02") || line.contains("server lxd-node03");
            !later && !["maxconn", "daemon", "chroot", "user", "group"].contains(&first)
        };
        let lines = text.lines().filter(left_out).map(|line| {
            line.replace("lxd.example.net", domain)
                .replace("1.2.3.4:8443", node)
                .replace("bind :80", &format!("bind :{}", ports.http))
                .replace("bind :443", &format!("bind :{}", ports.https))
                .replace("/run/haproxy/admin.sock", &self.admin())
        });
        std::fs::write(&self.config, lines.collect::<Vec<_>>().join("\n") + "\n").expect("a writable folder");
    }

    /// Its configuration.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// What it has logged since it last started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Starts it and waits until it serves.
    #[track_caller]
    pub fn start(&mut self) {
        let log = std::fs::File::create(self.folder.join("log")).expect("a writable folder");
        let child = Command::new("haproxy")
            .args(["-W", "-S"])
            .arg(self.folder.join("m.sock"))
            .arg("-f")
            .arg(&self.config)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("haproxy starts: tests/run installs it");
        self.child = Some(child);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.https)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "haproxy does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it without a word: the master and its workers are killed.
    #[track_caller]
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let master = child.id();
        let listed =
            std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        let workers = listed.split_whitespace().filter_map(|pid| pid.parse().ok());
        for pid in workers.chain(i32::try_from(master)).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = child.wait();
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.https)).is_ok() {
            assert!(begin.elapsed() < PATIENCE, "haproxy does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Answers every HTTP request with 200 and the request's head, on every connection, until the test ends.
pub fn node() -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if stream.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// A client that trusts the root of a PKI and may have a certificate.
#[derive(Clone)]
pub struct TlsClient(Arc<rustls::ClientConfig>);

impl TlsClient {
    /// `name` is the stem of the certificate's files in the sandbox.
    #[track_caller]
    pub fn new(sandbox: &Sandbox, name: Option<&str>) -> TlsClient {
        TlsClient::trusting(sandbox, &sandbox.dir().join("root.crt"), name)
    }

    /// The same, with another root that servers must be under.
    #[track_caller]
    pub fn trusting(sandbox: &Sandbox, root: &Path, name: Option<&str>) -> TlsClient {
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_file(root).expect("a root");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        TlsClient(Arc::new(match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::pem_file_iter(sandbox.file(&format!("{name}-chain.crt")));
                let chain = chain.expect("a chain").collect::<Result<Vec<_>, _>>().expect("PEM");
                let key = PrivateKeyDer::from_pem_file(sandbox.file(&format!("{name}.key"))).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a certificate")
            }
        }))
    }

    /// Connects to a port of this machine for `host`.
    pub fn open(&self, host: &str, port: u16) -> std::io::Result<TlsConnection> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let connection =
            rustls::ClientConnection::new(self.0.clone(), name).map_err(std::io::Error::other)?;
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(TlsConnection(BufReader::new(rustls::StreamOwned::new(connection, stream)), host.to_owned()))
    }

    /// Connects, asks, and returns status and body.
    pub fn get(&self, host: &str, port: u16) -> std::io::Result<(u16, String)> {
        self.open(host, port)?.get()
    }
}

/// An open connection.
pub struct TlsConnection(BufReader<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>, String);

impl TlsConnection {
    /// Asks, and leaves the connection open. Returns status and body.
    pub fn get(&mut self) -> std::io::Result<(u16, String)> {
        self.ask("/")
    }

    /// Asks for a path, and leaves the connection open. Returns status and body.
    pub fn ask(&mut self, path: &str) -> std::io::Result<(u16, String)> {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.1)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let length = head.lines().find_map(|line| {
            line.to_lowercase().strip_prefix("content-length: ").and_then(|text| text.parse().ok())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The certificate that was shown, DER.
    pub fn served(&self) -> Vec<u8> {
        let shown = self.0.get_ref().conn.peer_certificates();
        shown.and_then(|chain| chain.first()).map(|leaf| leaf.to_vec()).unwrap_or_default()
    }
}
