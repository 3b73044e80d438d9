//! What stands around HAProxy in a test: an authority, servers behind, clients in front.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use x509_cert::der::{Decode, Encode};

use crate::process::{PATIENCE, free_port};

/// A certificate and its key.
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// The key, PEM.
    pub key: String,
    /// The key, PKCS #8.
    pub key_der: Vec<u8>,
}

impl Identity {
    /// Writes `NAME.pem` (certificate and key) and returns the path.
    pub fn write(&self, folder: &Path, name: &str) -> String {
        let path = folder.join(format!("{name}.pem"));
        std::fs::write(&path, format!("{}{}", self.certificate, self.key)).expect("a writable folder");
        path.to_str().expect("UTF-8").to_owned()
    }
}

/// An authority of the tests' own.
pub struct Authority {
    /// Its certificate.
    pub identity: Identity,
    /// What signs.
    pub issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// One whose subject is these attributes.
    pub fn new(subject: &[(DnType, rcgen::DnValue)]) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let identity = identity(&certificate, &key);
        Authority { identity, issuer: Issuer::new(params, key) }
    }

    /// One with a common name.
    pub fn named(name: &str) -> Authority {
        Authority::new(&[(DnType::CommonName, rcgen::DnValue::from(name))])
    }

    /// This authority as HAProxy tells it.
    pub fn key(&self) -> haproxy::IssuerKey {
        haproxy::IssuerKey::of_name(&self.subject()).expect("a usual name")
    }

    /// Its name, DER.
    pub fn subject(&self) -> Vec<u8> {
        let certificate = x509_cert::Certificate::from_der(&self.identity.der).expect("a certificate");
        certificate.tbs_certificate().subject().to_der().expect("a name")
    }

    /// A list with these serial numbers, PEM.
    pub fn list(&self, revoked: &[&[u8]]) -> String {
        self.list_until(revoked, 2124)
    }

    /// The same, valid until the first day of a year.
    pub fn list_until(&self, revoked: &[&[u8]], year: i32) -> String {
        let begin = rcgen::date_time_ymd(2024, 1, 1);
        let revoked_certs = revoked
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial),
                revocation_time: begin,
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: begin,
            next_update: rcgen::date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("signed").pem().expect("PEM")
    }

    /// A certificate for a host and for a client alike, with the serial number `serial`.
    pub fn issue(&self, name: &str, serial: &[u8]) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from_slice(serial));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        identity(&certificate, &key)
    }
}

fn identity(certificate: &rcgen::Certificate, key: &KeyPair) -> Identity {
    Identity {
        certificate: certificate.pem(),
        der: certificate.der().to_vec(),
        key: key.serialize_pem(),
        key_der: key.serialize_der(),
    }
}

/// A server behind HAProxy that answers every request with its name and what it was sent.
pub struct Node {
    /// Where it listens.
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

/// How a node is spoken to.
#[derive(Clone)]
pub enum Speech {
    /// HTTP.
    Plain,
    /// HTTPS.
    Tls(Arc<rustls::ServerConfig>),
    /// HTTPS behind a PROXY protocol header of version 2.
    ProxyTls(Arc<rustls::ServerConfig>),
}

impl Node {
    /// Starts one; it ends with the test.
    pub fn start(name: &'static str, speech: Speech) -> Node {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, speech) = (Arc::clone(&log), speech.clone());
                std::thread::spawn(move || {
                    // A health check is a connection that says nothing.
                    let _ = answer(stream, name, &speech, &log);
                });
            }
        });
        Node { port, seen }
    }

    /// What it was asked so far: PROXY header's source, if any, and the request's head.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic before").clone()
    }
}

/// A server's settings with this certificate.
pub fn server_config(identity: &Identity) -> Arc<rustls::ServerConfig> {
    let chain = vec![CertificateDer::from(identity.der.clone())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key_der.clone()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    Arc::new(config)
}

fn answer(stream: TcpStream, name: &str, speech: &Speech, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    match speech {
        Speech::Plain => speak(stream, name, "", log),
        Speech::Tls(config) => speak(secured(stream, config)?, name, "", log),
        Speech::ProxyTls(config) => {
            let source = proxy_header(&stream)?;
            speak(secured(stream, config)?, name, &source, log)
        }
    }
}

fn secured(
    stream: TcpStream,
    config: &Arc<rustls::ServerConfig>,
) -> std::io::Result<rustls::StreamOwned<rustls::ServerConnection, TcpStream>> {
    let connection = rustls::ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    Ok(rustls::StreamOwned::new(connection, stream))
}

/// Reads the binary header and returns `from SOURCE`.
fn proxy_header(mut stream: &TcpStream) -> std::io::Result<String> {
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    if head[..12] != *b"\r\n\r\n\0\r\nQUIT\n" {
        return Err(std::io::Error::other("no PROXY header"));
    }
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[14], head[15]]))];
    stream.read_exact(&mut rest)?;
    match (head[12], head[13]) {
        (0x21, 0x11) => Ok(format!("from {}.{}.{}.{} ", rest[0], rest[1], rest[2], rest[3])),
        _ => Ok("from nobody ".to_owned()),
    }
}

fn speak(
    stream: impl Read + Write,
    name: &str,
    source: &str,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let said = format!("{source}{head}");
        log.lock().expect("no panic before").push(said.clone());
        let body = format!("{name}\n{said}");
        let length = body.len();
        let stream = stream.get_mut();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")?;
        stream.flush()?;
    }
}

/// What a client keeps between its connections: trust, certificate, sessions.
pub fn client_config(root: &[u8], identity: Option<&Identity>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec())).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key_der.clone()));
            let chain = vec![CertificateDer::from(identity.der.clone())];
            builder.with_client_auth_cert(chain, key).expect("a certificate")
        }
    })
}

/// An open connection of a client.
pub struct Connection(BufReader<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>);

impl Connection {
    /// Connects to a port of 127.0.0.1.
    pub fn open(config: &Arc<rustls::ClientConfig>, host: &str, port: u16) -> std::io::Result<Connection> {
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let connection = rustls::ClientConnection::new(Arc::clone(config), name);
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let connection = connection.map_err(std::io::Error::other)?;
        Ok(Connection(BufReader::new(rustls::StreamOwned::new(connection, stream))))
    }

    /// Asks, and leaves the connection open. Returns status and body.
    pub fn get(&mut self, host: &str) -> std::io::Result<(u16, String)> {
        write!(self.0.get_mut(), "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let field = |name: &str| {
            head.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned))
        };
        let length = field("content-length: ").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Whether the session is one of before.
    pub fn resumed(&self) -> bool {
        self.0.get_ref().conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }
}

/// Runs curl and returns exit code, output and what it complained about.
#[track_caller]
pub fn curl(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"])
        .args(arguments)
        .output()
        .expect("curl runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Sends `bytes` and returns everything that comes back until the other side closes.
#[track_caller]
pub fn send_raw(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(bytes).expect("written");
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    answer
}

/// The hello of a TLS client that asks for `name`.
pub fn client_hello(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).expect("a name");
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut hello = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut hello).expect("memory");
    }
    hello
}
