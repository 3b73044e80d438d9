//! Let's Encrypt's test authority, Pebble, with its test resolver, on ports of their own.
//!
//! Both are Debian's (`pebble`). The authority's memory is its only state: a restart forgets accounts
//! and orders. Every name resolves to 127.0.0.1 unless a test says otherwise. This file needs nothing
//! of the crate around it, so that the `acme` crate's own tests use it too.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How an authority behaves.
#[derive(Clone, Debug)]
pub struct PebbleOptions {
    /// Per cent of good nonces that are refused.
    pub nonce_reject: u8,
    /// Per cent of valid authorizations that are used again; at 0 it is one.
    pub authorization_reuse: u8,
    /// External accounts: key identifier and base64url key. If there are any, one is required.
    pub external: Vec<(String, String)>,
    /// Whether it is strict: it refuses what it is lenient with otherwise.
    pub strict: bool,
    /// Lifetime of certificates, in seconds.
    pub lifetime: u32,
    /// Seconds that validation sleeps at most; 0 for not at all.
    pub sleep: u32,
    /// Another server of DNS than its test resolver, `IP:PORT`.
    pub resolver: Option<String>,
    /// The ports at which it looks for answers, of HTTP and of TLS; two of its own otherwise.
    pub validation: Option<(u16, u16)>,
}

impl Default for PebbleOptions {
    fn default() -> PebbleOptions {
        PebbleOptions {
            nonce_reject: 0,
            authorization_reuse: 0,
            external: Vec::new(),
            strict: false,
            lifetime: 7_776_000,
            sleep: 0,
            resolver: None,
            validation: None,
        }
    }
}

/// A running authority, ended when it is dropped.
pub struct Pebble {
    folder: tempfile::TempDir,
    options: PebbleOptions,
    ports: Ports,
    authority: Child,
    resolver: Child,
}

struct Ports {
    acme: u16,
    management: u16,
    http: u16,
    tls: u16,
    dns: u16,
    resolver: u16,
}

impl Pebble {
    /// Starts one that refuses nothing.
    #[track_caller]
    pub fn start() -> Pebble {
        Pebble::start_with(PebbleOptions::default())
    }

    /// Starts one.
    #[track_caller]
    pub fn start_with(options: PebbleOptions) -> Pebble {
        let folder = tempfile::Builder::new().prefix("pki-pebble-").tempdir().expect("a temporary folder");
        let [acme, management, http, tls, dns, resolver] = free_ports();
        let (http, tls) = options.validation.unwrap_or((http, tls));
        let ports = Ports { acme, management, http, tls, dns, resolver };
        certify(folder.path());
        let resolver = launch_resolver(folder.path(), &ports);
        let authority = launch_authority(folder.path(), &ports, &options);
        Pebble { folder, options, ports, authority, resolver }
    }

    /// Ends it and starts it again on the same ports: it has forgotten everything.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.authority = launch_authority(self.folder.path(), &self.ports, &self.options);
    }

    /// The same, and from now on it behaves otherwise.
    #[track_caller]
    pub fn restart_with(&mut self, options: PebbleOptions) {
        self.options = options;
        self.restart();
    }

    /// Ends it; [`Pebble::restart`] brings it back.
    pub fn stop(&mut self) {
        end(&mut self.authority);
    }

    /// URL of the directory.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.ports.acme)
    }

    /// The root of its HTTPS, PEM: not the root of what it issues.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// Where it looks for HTTP-01 answers.
    pub fn http_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.http)
    }

    /// Where it looks for TLS-ALPN-01 answers.
    pub fn tls_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.tls)
    }

    /// Makes `name` resolve to `address`.
    #[track_caller]
    pub fn resolve(&self, name: &str, address: &str) {
        self.tell_resolver("/clear-a", &format!(r#"{{"host":"{name}."}}"#));
        self.tell_resolver("/add-a", &format!(r#"{{"host":"{name}.","addresses":["{address}"]}}"#));
    }

    #[track_caller]
    fn tell_resolver(&self, path: &str, body: &str) {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.ports.resolver)).expect("the resolver listens");
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the resolver reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the resolver answers");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// What it wrote since it was last started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The file it writes that to.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("pebble.log")
    }

    /// How many accounts it has made since it was last started.
    pub fn accounts(&self) -> usize {
        self.log().matches(" accounts in memory").count()
    }

    /// How many orders it has taken since it was last started.
    pub fn orders(&self) -> usize {
        self.log().lines().filter(|line| line.contains("Added order ")).count()
    }

    /// How many names it was told to look at since it was last started, where no nonce was refused. With
    /// `authorization_reuse` at 0 it still takes one valid authorization in a hundred again, by lot.
    pub fn validations(&self) -> usize {
        self.log().matches("POST /chalZ/ ").count()
    }

    /// What the management interface says at `path`, e.g. `/roots/0`.
    #[track_caller]
    pub fn manage(&self, path: &str) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--cacert"])
            .arg(self.root())
            .arg(format!("https://127.0.0.1:{}{path}", self.ports.management))
            .output()
            .expect("curl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        end(&mut self.authority);
        end(&mut self.resolver);
    }
}

/// A listener's certificate under a root of its own: `root.pem`, `listener.pem`, `listener.key`.
pub fn certify(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let names = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n";
    std::fs::write(folder.join("names"), names).expect("a writable folder");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -keyout root.key -out root.pem -subj /CN=listener-root -days 3650"));
    openssl(&format!("req {key} -keyout listener.key -out listener.csr -subj /CN=localhost"));
    openssl(
        "x509 -req -in listener.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3650 -extfile names -out listener.pem",
    );
}

fn launch_resolver(folder: &Path, ports: &Ports) -> Child {
    let log = std::fs::File::create(folder.join("resolver.log")).expect("a writable folder");
    let child = Command::new("pebble-challtestsrv")
        .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
        .args(["-defaultIPv4", "127.0.0.1"])
        .args(["-dns01", &format!("127.0.0.1:{}", ports.dns)])
        .args(["-management", &format!("127.0.0.1:{}", ports.resolver)])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("pebble-challtestsrv runs: tests/run installs the package pebble");
    wait_for(child, ports.resolver, &folder.join("resolver.log"))
}

fn launch_authority(folder: &Path, ports: &Ports, options: &PebbleOptions) -> Child {
    let mut keys = String::new();
    for (kid, key) in &options.external {
        let comma = if keys.is_empty() { "" } else { "," };
        let _ = write!(keys, r#"{comma}"{kid}":"{key}""#);
    }
    let (acme, management, http, tls) = (ports.acme, ports.management, ports.http, ports.tls);
    let (required, lifetime) = (!options.external.is_empty(), options.lifetime);
    let config = format!(
        r#"{{"pebble":{{"listenAddress":"127.0.0.1:{acme}","managementListenAddress":"127.0.0.1:{management}",
 "certificate":"listener.pem","privateKey":"listener.key","httpPort":{http},"tlsPort":{tls},
 "ocspResponderURL":"","externalAccountBindingRequired":{required},"externalAccountMACKeys":{{{keys}}},
 "certificateValidityPeriod":{lifetime}}}}}"#
    );
    std::fs::write(folder.join("pebble.json"), config).expect("a writable folder");
    let log = std::fs::File::create(folder.join("pebble.log")).expect("a writable folder");
    let mut command = Command::new("pebble");
    match options.sleep {
        0 => command.env("PEBBLE_VA_NOSLEEP", "1"),
        seconds => command.env("PEBBLE_VA_SLEEPTIME", seconds.to_string()),
    };
    let resolver = options.resolver.clone().unwrap_or_else(|| format!("127.0.0.1:{}", ports.dns));
    let child = command
        .args(options.strict.then_some("-strict"))
        .args(["-config", "pebble.json", "-dnsserver", &resolver])
        .env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject.to_string())
        .env("PEBBLE_AUTHZREUSE", options.authorization_reuse.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("pebble runs: tests/run installs the package pebble");
    wait_for(child, acme, &folder.join("pebble.log"))
}

fn wait_for(mut child: Child, port: u16, log: &Path) -> Child {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return child;
        }
        let ended = child.try_wait().expect("our own child");
        if ended.is_some() || Instant::now() > deadline {
            end(&mut child);
            panic!("it does not listen:\n{}", std::fs::read_to_string(log).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Ports that are free for TCP and UDP now, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let mut held = Vec::new();
    std::array::from_fn(|_| {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = listener.local_addr().expect("a bound address").port();
            if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
                held.push(listener);
                return port;
            }
        }
    })
}
