//! "Put HAProxy in front, and never think of it again."

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tests::{Front, Sandbox, Service, TlsClient, free_port, node, source_tree, witness};

#[test]
fn the_documented_configuration_is_told_fault_by_fault_and_ours_are_clean() {
    let sandbox = Sandbox::with_pki();
    let documented = source_tree().join("tests/fixtures/documented-haproxy.cfg").display().to_string();
    let told = sandbox.pki(["haproxy", "check", &documented]);
    assert_eq!(told.code, 1, "{told}");
    let report = sandbox.pki(["haproxy", "check", &documented, "--json"]).json();
    assert_eq!(report["valid"], true, "haproxy itself finds nothing wrong: {report}");
    let found = report["findings"].as_array().unwrap();
    for fault in [
        "too-many-files",
        "host-with-port",
        "redirect-keeps-port",
        "challenge-unanswered",
        "plain-answer",
        "misleading",
        "held-open",
        "challenge-scattered",
        "bare-check",
        "nothing-logged",
    ] {
        let one =
            found.iter().find(|one| one["fault"] == fault).unwrap_or_else(|| panic!("{fault}: {report}"));
        assert!(one["line"].as_u64().unwrap() > 0 && !one["mend"].as_str().unwrap().is_empty(), "{one}");
        assert!(told.says(fault), "{fault}: {told}");
    }

    let bundled = source_tree().join("haproxy/haproxy.cfg").display().to_string();
    assert!(sandbox.pki(["haproxy", "check", &bundled]).success().says("no fault was found"));

    let out = sandbox.file("haproxy.cfg").display().to_string();
    let passed = "lxd.example.net pass proxy 192.0.2.1:8443 192.0.2.2:8443";
    sandbox.pki(["haproxy", "render", "--domain", passed, "--out", &out]).success();
    assert!(sandbox.pki(["haproxy", "check", &out]).success().says("no fault was found"));
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("send-proxy-v2") && text.contains("192.0.2.2:8443"), "{text}");
    let printed = sandbox.pki(["haproxy", "render", "--domain", passed]).success();
    assert_eq!(printed.stdout, text);
}

#[test]
fn what_haproxy_refuses_is_told_in_its_words_and_a_missing_program_has_a_hint() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("haproxy.cfg", "frontend f\n  bind :80\n  nonsense here\n");
    let file = file.display().to_string();
    let told = sandbox.pki(["haproxy", "check", &file]);
    assert!(told.code == 1 && told.says("nonsense") && told.says("haproxy refuses"), "{told}");
    let told = sandbox.pki(["haproxy", "check", &file, "--haproxy", "/nowhere/haproxy"]);
    assert!(told.code == 3 && told.says("apt-get install haproxy"), "{told}");
}

#[test]
fn a_site_is_rendered_from_the_settings() {
    let sandbox = Sandbox::with_pki();
    let none = sandbox.pki(["haproxy", "render"]);
    assert!(none.code == 2 && none.says("haproxy.domains"), "{none}");
    let domains = "a.example.net terminate verify=required 127.0.0.1:8080; b.example.net pass 192.0.2.1:443";
    sandbox.pki(["config", "set", "haproxy.domains", domains]).success();
    sandbox.pki(["config", "set", "haproxy.http_address", "127.0.0.1:8088,[::1]:8088"]).success();
    sandbox.pki(["config", "set", "haproxy.instances", "/run/one.sock master=/run/two.sock"]).success();
    let rendered = sandbox.pki(["haproxy", "render", "--json"]).success().json();
    let config = rendered["config"].as_str().unwrap();
    for part in
        ["bind [::1]:8088 v6only", "stats socket /run/one.sock ", "nodes-a-example-net", "192.0.2.1:443"]
    {
        assert!(config.contains(part), "{part}: {config}");
    }
    let list = rendered["crt_list"].as_str().unwrap();
    let folder = sandbox.dir().display().to_string();
    assert_eq!(
        list,
        format!(
            "{folder}/acme/a.example.net/haproxy.pem \
             [ca-file {folder}/chain.crt crl-file {folder}/chain.crl verify required] a.example.net\n"
        )
    );
    assert!(!sandbox.dir().join("haproxy").exists(), "printing places nothing");
    for (setting, bad) in [
        ("haproxy.domains", "a.example.net"),
        ("haproxy.domains", ""),
        ("haproxy.instances", "relative.sock"),
        ("haproxy.http_address", "80"),
        ("haproxy.directory", "relative"),
    ] {
        assert_eq!(sandbox.pki(["config", "set", setting, bad]).code, 2, "{setting} {bad}");
    }
    let wild = sandbox.pki(["haproxy", "render", "--domain", "*.example.net pass 192.0.2.1:443"]);
    assert!(wild.code == 2 && wild.says("name every host"), "{wild}");
}

const HOST: &str = "www.example.net";

/// Waits for what takes milliseconds.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A new server certificate of the PKI as a bundle in `www.pem`; returns the leaf, DER.
#[track_caller]
fn new_bundle(sandbox: &Sandbox) -> Vec<u8> {
    let out = sandbox.file("server");
    let _ = std::fs::remove_dir_all(&out);
    std::fs::create_dir(&out).unwrap();
    sandbox.pki(["issue-server", HOST, "--out", "server"]).success();
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let chain = read(&format!("{HOST}-chain.crt"));
    sandbox.write("www.pem", format!("{chain}{}", read(&format!("{HOST}.key"))));
    CertificateDer::from_pem_slice(chain.as_bytes()).unwrap().to_vec()
}

/// A service, and a HAProxy before a node that asks clients for certificates of the PKI.
fn stage() -> (Sandbox, Service, Front, Vec<u8>) {
    let sandbox = Sandbox::with_pki();
    let leaf = new_bundle(&sandbox);
    let domains = format!(
        "{HOST} terminate verify=required certificate={} 127.0.0.1:{}",
        sandbox.file("www.pem").display(),
        node()
    );
    let mut front = Front::new(&sandbox, "one", &domains);
    front.start();
    let service = Service::start(&sandbox);
    sandbox.pki(["config", "set", "haproxy.instances", &front.instance()]).success();
    until("the service has looked at HAProxy", || in_step(&sandbox));
    (sandbox, service, front, leaf)
}

fn in_step(sandbox: &Sandbox) -> bool {
    let info = sandbox.pki(["info", "--json"]).success().json();
    let all = info["haproxy"].as_array().unwrap();
    !all.is_empty() && all.iter().all(|one| one["in_step_since"].is_string())
}

#[track_caller]
fn client(sandbox: &Sandbox, name: &str) -> TlsClient {
    sandbox.pki(["issue-client", name]).success();
    TlsClient::new(sandbox, Some(name))
}

const REVOKED: &str = "client certificate refused: revoked\n";

#[test]
#[expect(clippy::print_stdout, reason = "the figure is what one runs it for")]
fn fifty_certificates_and_fifty_revocations_under_load_fail_nobody() {
    let (sandbox, _service, front, _) = stage();
    let good = client(&sandbox, "good");
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..2)
        .map(|kept| {
            let (stop, asked, good, port) = (stop.clone(), asked.clone(), good.clone(), front.https);
            std::thread::spawn(move || {
                let mut open = good.open(HOST, port).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let answer = if kept == 0 { open.get() } else { good.get(HOST, port) };
                    assert_eq!(answer.expect("an answer").0, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        })
        .collect();
    let mut delays = Vec::new();
    for round in 0..50 {
        let name = format!("client-{round}");
        let one = client(&sandbox, &name);
        let mut open = one.open(HOST, front.https).unwrap();
        assert_eq!(open.get().unwrap().0, 200);
        sandbox.pki(["revoke", &name]).success();
        let answered = Instant::now();
        until("the revocation is in force on the open connection", || open.get().unwrap().0 == 403);
        delays.push(answered.elapsed());
        assert_eq!(open.get().unwrap(), (403, REVOKED.to_owned()));
        assert_eq!(one.get(HOST, front.https).unwrap(), (403, REVOKED.to_owned()), "on a new one");

        let leaf = new_bundle(&sandbox);
        sandbox.pki(["haproxy", "sync"]).success();
        assert_eq!(
            good.open(HOST, front.https).and_then(|mut one| one.get().map(|_| one.served())).unwrap(),
            leaf
        );
    }
    stop.store(true, Ordering::Relaxed);
    for one in load {
        one.join().expect("no request failed");
    }
    assert!(asked.load(Ordering::Relaxed) > 100);
    delays.sort();
    let told = |part: usize| delays[(delays.len() * part).div_ceil(100) - 1];
    println!("revoke's answer to refusal: median {:?}, p99 {:?}, most {:?}", told(50), told(99), told(100));
    let status = sandbox.pki(["haproxy", "status", "--json"]).success().json();
    assert_eq!(
        (status[0]["revoked_loaded"].as_u64(), status[0]["certificates"][0]["not_served"].as_str()),
        (Some(50), None)
    );
    assert!(!front.log().contains("exited with code"), "{}", front.log());
}

#[test]
fn whoever_was_away_is_caught_up_and_the_doctor_says_what_is_wrong() {
    let (sandbox, service, mut front, _) = stage();
    let (one, two) = (client(&sandbox, "one"), client(&sandbox, "two"));
    assert_eq!(one.get(HOST, front.https).unwrap().0, 200);
    front.kill();
    sandbox.pki(["revoke", "one"]).success();
    until("the doctor knows", || {
        let doctor = sandbox.pki(["doctor"]);
        doctor.code == 1 && doctor.says("reaching it failed")
    });
    assert_eq!(sandbox.pki(["haproxy", "status"]).code, 1);
    let failed = sandbox.pki(["haproxy", "sync"]);
    assert!(failed.code == 1 && failed.says("reaching it failed"), "{failed}");
    // It starts with what was placed while it was away: refused from the first request.
    front.start();
    assert_eq!(one.get(HOST, front.https).unwrap(), (403, REVOKED.to_owned()));
    assert_eq!(two.get(HOST, front.https).unwrap().0, 200);
    until("it is in step again", || in_step(&sandbox));

    // Without a service, and with a map of before: a sync by hand catches it up too.
    service.stop();
    front.kill();
    sandbox.pki(["revoke", "two"]).success();
    front.start();
    assert_eq!(two.get(HOST, front.https).unwrap(), (403, REVOKED.to_owned()), "by the list");
    let synced = sandbox.pki(["haproxy", "sync", "--json"]).success().json();
    assert_eq!(synced[0]["added"], 1);
    assert_eq!(two.get(HOST, front.https).unwrap(), (403, REVOKED.to_owned()));
    let metrics = sandbox.pki(["haproxy", "status"]).success();
    assert!(metrics.says("2 of 2"), "{metrics}");
}

#[test]
fn a_new_certificate_is_served_without_a_word_from_anybody_and_the_metrics_tell() {
    let (sandbox, service, front, first) = stage();
    let good = client(&sandbox, "good");
    let served = || good.open(HOST, front.https).and_then(|mut one| one.get().map(|_| one.served())).unwrap();
    assert_eq!(served(), first);
    let leaf = new_bundle(&sandbox);
    // Whatever is committed that concerns HAProxy makes it look.
    sandbox.pki(["config", "set", "haproxy.http_address", "127.0.0.1:1"]).success();
    until("the new one is served", || served() == leaf);
    let metrics = sandbox.pki(["metrics"]).success();
    for line in
        ["pki_haproxy_in_step{instance=", "pki_haproxy_revoked_entries{", "pki_haproxy_reloads_total{"]
    {
        assert!(metrics.says(line), "{line}: {metrics}");
    }
    assert!(sandbox.pki(["doctor"]).says("is in step since"));
    service.stop();
    sandbox.pki(["config", "unset", "haproxy.instances"]).success();
    assert!(sandbox.pki(["haproxy", "sync"]).success().says("haproxy.instances is not set"));
}

/// curl's status, and whether it got that far: 0 where the connection was refused or the handshake failed.
fn curl(sandbox: &Sandbox, from: &str, more: &[&str]) -> u16 {
    let words = ["--silent", "--insecure", "--noproxy", "*", "--max-time", "20", "--output", "/dev/null"];
    let words = words.into_iter().chain(["--write-out", "%{http_code}", "--interface", from]);
    let said = witness(sandbox, "curl", words.chain(more.iter().copied()));
    said.stdout.trim().parse().unwrap_or(0)
}

#[test]
fn a_client_behind_passthrough_has_its_own_address_and_a_forged_one_is_refused() {
    let sandbox = Sandbox::with_pki();
    let address = format!("127.0.0.1:{}", free_port());
    let mut front = Front::new(&sandbox, "one", &format!("pki.example.net pass proxy {address}"));
    sandbox.pki(["config", "set", "core.https_address", &address]).success();
    sandbox.pki(["config", "set", "core.https_trusted_proxy", "127.0.0.1"]).success();
    // At this level every request is logged with where it comes from.
    let service = Service::start_with(&sandbox, &["serve", "-v"], &[]);
    front.start();
    let resolve = format!("pki.example.net:{}:127.0.0.1", front.https);
    let url = format!("https://pki.example.net:{}/1.0", front.https);
    let through =
        |from, more: &[&str]| curl(&sandbox, from, &[&["--resolve", &resolve, &url][..], more].concat());
    until("the node is up", || through("127.0.0.9", &[]) == 200);
    sandbox.pki(["issue-client", "anna", "--trust"]).success();
    let fingerprint =
        ca::cert::Certificate::from_pem(sandbox.read("anna.crt").as_bytes()).unwrap().fingerprint();
    let (certificate, key) = (sandbox.file("anna.crt"), sandbox.file("anna.key"));
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let shown = ["--cert", &certificate, "--key", &key, "--data", "{}"];
    assert_ne!(through("127.0.0.9", &shown), 0);
    until("the log has the client's own address", || service.log().contains("from 127.0.0.9:"));
    assert!(!service.log().contains("from 127.0.0.1:"), "{}", service.log());
    // What she changes is in the journal with her address.
    let create = format!("https://pki.example.net:{}/1.0/pki/project-create", front.https);
    let json = ["--header", "Content-Type: application/json", "--data", r#"{"name":"web","allow_dns":[]}"#];
    let shown = [&shown[..4], &json].concat();
    let asked = [&["--resolve", &resolve, &create][..], &shown].concat();
    assert_eq!(curl(&sandbox, "127.0.0.9", &asked), 200, "{}", service.log());
    let trail = sandbox.pki(["audit", "--json"]).success().json();
    let hers = trail
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["what"].as_str().unwrap().contains("project create"));
    let who = hers.unwrap()["who"].as_str().unwrap();
    assert_eq!(who, format!("tls:{fingerprint}@127.0.0.9(anna)"));

    // Straight to the service: a header from elsewhere is no TLS, and from the proxy it must come.
    let straight = format!("https://{address}/1.0");
    for (from, header, expected) in
        [("127.0.0.8", false, 200), ("127.0.0.8", true, 0), ("127.0.0.1", true, 200), ("127.0.0.1", false, 0)]
    {
        let header: &[&str] = if header { &["--haproxy-protocol"] } else { &[] };
        assert_eq!(
            curl(&sandbox, from, &[&[straight.as_str()][..], header].concat()),
            expected,
            "{from} {header:?}"
        );
    }
    // A proxy that is trusted no more is anybody.
    sandbox.pki(["config", "unset", "core.https_trusted_proxy"]).success();
    until("the setting acts", || curl(&sandbox, "127.0.0.1", &[&straight]) == 200);
    assert_eq!(through("127.0.0.9", &[]), 0);
    assert!(sandbox.pki(["metrics"]).success().says("result=\"proxy-header\""));
    for bad in ["", "proxy.example.net", "192.0.2.1/24", "0.0.0.0/0"] {
        assert_eq!(sandbox.pki(["config", "set", "core.https_trusted_proxy", bad]).code, 2, "{bad:?}");
    }
}
