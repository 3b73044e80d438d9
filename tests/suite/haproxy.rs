//! "Put HAProxy in front, and never think of it again."

use tests::{Sandbox, source_tree};

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
