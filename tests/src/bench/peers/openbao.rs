//! OpenBao: a service, its records in raft on the disk, durable before it answers. One node, on loopback,
//! unsealed with one key, in a folder of its own.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::program;
use crate::bench::client::{Client, crowd};
use crate::bench::issuance::CLIENTS;
use crate::bench::limits::{Act, Curve, signing_rate};
use crate::bench::machine::{first_line, processors};
use crate::bench::measure::{Pairs, Samples};
use crate::bench::process::Memory;
use crate::bench::row::{Row, Unit};
use crate::bench::run::Bench;
use crate::bench::site::requests_for;
use crate::free_port;

/// A running server, ended with this value.
struct Server {
    child: Child,
    address: String,
    token: String,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts one and makes it ready to issue.
    fn start(bao: &Path) -> Server {
        let folder = tempfile::Builder::new().prefix("pki-bench-openbao-").tempdir().expect("a folder");
        let (port, cluster) = (free_port(), free_port());
        let (address, data) = (format!("127.0.0.1:{port}"), folder.path().join("data"));
        std::fs::create_dir(&data).expect("a new folder");
        let configuration = format!(
            "storage \"raft\" {{\n path = \"{}\"\n node_id = \"bench\"\n}}\n\
             listener \"tcp\" {{\n address = \"{address}\"\n tls_disable = true\n}}\n\
             api_addr = \"http://{address}\"\ncluster_addr = \"http://127.0.0.1:{cluster}\"\n",
            data.display()
        );
        std::fs::write(folder.path().join("server.hcl"), configuration).expect("a writable folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a writable folder");
        let mut command = program(bao, folder.path());
        command.args(["server", "-config=server.hcl"]);
        command.stdout(log.try_clone().expect("a second handle")).stderr(log).stdin(Stdio::null());
        let child = command.spawn().expect("the program starts");
        let mut server = Server { child, address, token: String::new(), folder };
        server.prepare();
        server
    }

    fn client(&self) -> std::io::Result<Client> {
        Client::to_address(&self.address, &format!("X-Vault-Token: {}\r\n", self.token))
    }

    /// Asks until it answers well, for it takes its time to wake and to lead.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        let body = serde_json::to_vec(body).expect("JSON");
        loop {
            let answer = self.client().and_then(|mut client| client.ask(method, path, &body));
            match answer {
                Ok((200..300, answer)) => return serde_json::from_slice(&answer).unwrap_or(Value::Null),
                other if Instant::now() > deadline => {
                    let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                    let last = log.lines().last().unwrap_or_default();
                    let told =
                        other.map(|(status, answer)| (status, String::from_utf8_lossy(&answer).into_owned()));
                    panic!("OpenBao, {path}: {told:?}; {last}");
                }
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn prepare(&mut self) {
        let made = self.ask("PUT", "/v1/sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.token = text(&made["root_token"]);
        self.ask("PUT", "/v1/sys/unseal", &json!({"key": text(&made["keys"][0])}));
        let lifetime = json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}});
        self.ask("POST", "/v1/sys/mounts/pki", &lifetime);
        let root = json!({"common_name": "Example", "key_type": "ec", "key_bits": 256, "ttl": "87600h"});
        self.ask("POST", "/v1/pki/root/generate/internal", &root);
        let role = json!({
            "allow_any_name": true, "enforce_hostnames": false, "key_type": "ec", "key_bits": 256,
            "no_store": false, "ttl": "720h",
        });
        self.ask("POST", "/v1/pki/roles/bench", &role);
    }
}

/// One that signs, for whoever measures something beside it.
pub struct Signing {
    server: Server,
    version: String,
}

impl Signing {
    /// Starts it.
    pub fn start(bao: &Path) -> Signing {
        Signing { version: version(bao), server: Server::start(bao) }
    }

    /// Its name and version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many P-256 requests a second so many clients have signed, of `count`.
    pub fn rate(&self, clients: usize, count: usize) -> f64 {
        let names = (0..count).map(|number| format!("client-{number}")).collect();
        crowd(clients, bodies(names), SIGN, || self.server.client()).rate
    }
}

const SIGN: &str = "/v1/pki/sign/bench";

fn version(bao: &Path) -> String {
    let words = first_line(program(bao, Path::new("/")).arg("version"));
    words.split(" (").next().unwrap_or_default().to_owned()
}

/// P-256 requests of these names.
fn bodies(names: Vec<String>) -> Vec<Vec<u8>> {
    requests_for(names, Curve::P256)
        .into_iter()
        .map(|request| json!({"common_name": request.name, "csr": request.csr}))
        .map(|body| serde_json::to_vec(&body).expect("JSON"))
        .collect()
}

/// The same P-256 requests that the service over its socket is asked to sign, and its own keys.
pub fn issuing(bench: &mut Bench) -> Vec<Row> {
    let bao = match &bench.options().openbao {
        Ok(bao) => bao.clone(),
        Err(cause) => return vec![Row::absent("OpenBao, P-256, stored", cause)],
    };
    let version = version(&bao);
    let server = Server::start(&bao);
    let time = Duration::from_millis(bench.scale().pick(1_000, 300, 5));
    let mut rows = Vec::new();
    for (path, act, word) in [
        (SIGN, Act::Both, "a P-256 CSR signed"),
        ("/v1/pki/issue/bench", Act::Sign, "key made by the server"),
    ] {
        for clients in CLIENTS {
            let count = bench.scale().pick(if clients == 1 { 500 } else { 3_000 }, 200, clients);
            let (mut pairs, mut p50, mut p99) = (Pairs::default(), Vec::new(), Vec::new());
            for round in 0..bench.scale().pick(3, 2, 1) {
                let names: Vec<String> =
                    (0..count).map(|number| format!("client-{round}-{number}")).collect();
                let bodies = match act {
                    Act::Sign => names
                        .iter()
                        .map(|name| serde_json::to_vec(&json!({ "common_name": name })).expect("JSON"))
                        .collect(),
                    _ => bodies(names),
                };
                let limit = signing_rate(Curve::P256, act, processors().min(clients), time);
                let met = crowd(clients, bodies, path, || server.client());
                pairs.push(met.rate, limit);
                p50.push(met.times.median());
                p99.push(met.times.p99());
            }
            let plural = if clients == 1 { "client" } else { "clients" };
            let show = |times: &[f64]| Unit::Milliseconds.show(Samples::new(times.to_vec()).median());
            let limit = match act {
                Act::Sign => "a P-256 signature each",
                _ => "a P-256 verification and signature each",
            };
            rows.push(
                Row::pairs(format!("{version}, {word}, {clients} {plural}"), Unit::PerSecond, &pairs, limit)
                    .with(format!("p50 {}, p99 {}", show(&p50), show(&p99))),
            );
        }
    }
    let memory = Memory::of(server.child.id());
    rows.push(
        Row::once(format!("{version}, memory after that"), Unit::Mebibytes, memory.resident)
            .with(format!("PSS {}", Unit::Mebibytes.show(memory.proportional))),
    );
    rows
}
