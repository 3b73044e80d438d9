//! "Nothing is there yet, and it has to start": the first certificate of a site, behind HAProxy.

use tests::{Front, Pebble, PebbleOptions, Sandbox, Service, free_port, in_own_network, node};

use crate::acme_front::{LOOKS, answered, issue, options, set, shown, until};

#[test]
fn haproxy_starts_with_a_placeholder_and_serves_the_first_certificate_without_a_restart() {
    let name =
        "acme_first::haproxy_starts_with_a_placeholder_and_serves_the_first_certificate_without_a_restart";
    in_own_network(name, "", |ports| {
        let pebble = Pebble::start_with(options(ports));
        let sandbox = Sandbox::with_pki();
        set(&sandbox, "haproxy.domains", &format!("www.example,example.net terminate 127.0.0.1:{}", node()));
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        set(&sandbox, "haproxy.instances", &front.instance());
        let service = Service::start(&sandbox);
        let file = sandbox.dir().join("acme/www.example/haproxy.pem");
        let lies = || std::fs::read(&file).unwrap();
        let served = || shown(&sandbox, ports.https, "www.example", "127.0.0.1");
        let is_placeholder = |shown: &str| shown.contains("placeholder of pki");
        let deployment = || sandbox.pki(["acme", "list", "--json"]).success().json()[0]["deployment"].clone();

        front.render(&sandbox, &[]);
        front.start();
        assert!(is_placeholder(&served()) && served().contains("DNS:example.net"), "{}", served());
        let listed = sandbox.pki(["acme", "list"]).success();
        assert!(listed.says("www.example, example.net") && listed.says("placed: placeholder"), "{listed}");
        assert_eq!(deployment(), "placeholder");
        let status = sandbox.pki(["haproxy", "status"]);
        assert!(status.code == 1 && status.says("placeholder"), "{status}");
        assert!(sandbox.pki(["doctor"]).says("a placeholder lies in the place"));
        let first = lies();
        front.render(&sandbox, &[]);
        assert_eq!(lies(), first);

        // Where the service is asked for the name, it shows its own certificate and no placeholder.
        let https = free_port();
        for (key, value) in [
            ("core.https_address", &*format!("127.0.0.1:{https}")),
            ("acme.ca_url", &pebble.directory()),
            ("acme.ca_root", &pebble.root().display().to_string()),
            ("acme.domain", "www.example,example.net"),
        ] {
            set(&sandbox, key, value);
        }
        until(service.log(), || sandbox.pki(["acme", "list"]).success().says("must be agreed to"));
        let own = || shown(&sandbox, https, "www.example", "127.0.0.1");
        until(service.log(), || !own().is_empty());
        assert!(!is_placeholder(&own()), "{}", own());
        sandbox.pki(["config", "unset", "acme.domain"]).success();

        // The authority finds us through it, and the running process is told of what has come.
        issue(&sandbox, &pebble, &["www.example", "example.net"], &[]).success();
        until(service.log(), || !is_placeholder(&served()));
        assert!(served().contains("Pebble Intermediate"), "{}", served());
        answered(&front, " 200 ", 2 * LOOKS);
        assert_ne!(deployment(), "placeholder");
        sandbox.pki(["haproxy", "sync"]).success();
        let status = sandbox.pki(["haproxy", "status"]).success();
        assert!(!status.says("placeholder"), "{status}");

        // A real one stays, whoever looks.
        let (real, shown) = (lies(), served());
        front.render(&sandbox, &[]);
        sandbox.pki(["haproxy", "sync"]).success();
        assert_eq!((lies(), served()), (real, shown.clone()));
        // A lost one is replaced for the next start alone: the running process goes on with what it has.
        std::fs::remove_file(&file).unwrap();
        sandbox.pki(["haproxy", "sync"]).success();
        until("one is laid there", || file.exists());
        assert!(sandbox.pki(["haproxy", "sync"]).success().says("is a placeholder"));
        assert_eq!(served(), shown);
        assert!(!front.log().contains("exited with code"), "{}", front.log());
        front.kill();
        front.start();
        assert!(is_placeholder(&served()));
        issue(&sandbox, &pebble, &["www.example", "example.net"], &[]).success();
        until(service.log(), || !is_placeholder(&served()));
        service.stop();
    });
}

#[test]
fn an_authority_that_serves_known_accounts_alone_is_told_which_one_this_is() {
    let name = "acme_first::an_authority_that_serves_known_accounts_alone_is_told_which_one_this_is";
    in_own_network(name, "", |ports| {
        let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
        let external = vec![("kid-1".to_owned(), key.to_owned())];
        let pebble = Pebble::start_with(PebbleOptions { external, strict: true, ..options(ports) });
        let sandbox = Sandbox::with_pki();
        let https = format!("127.0.0.1:{}", free_port());
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        for (key, value) in [
            ("core.https_address", &*https),
            ("acme.ca_url", &pebble.directory()),
            ("acme.ca_root", &pebble.root().display().to_string()),
            ("acme.agree_tos", "true"),
            ("haproxy.domains", &format!("www.example pass {https}")),
            ("haproxy.instances", &front.instance()),
        ] {
            set(&sandbox, key, value);
        }
        let service = Service::start(&sandbox);
        front.render(&sandbox, &[]);
        front.start();
        let secret = |key: &str| {
            let words = ["config", "set", "acme.eab.hmac", "-"];
            sandbox.pki_reading(words, &format!("{key}\n")).success();
        };
        let listed = || sandbox.pki(["acme", "list"]).success();
        // No account, no order: it says what is wanted. A key that is not theirs is refused by them.
        set(&sandbox, "acme.domain", "www.example");
        until(service.log(), || listed().says("only serves external accounts that it knows"));
        secret("d3Jvbmc");
        set(&sandbox, "acme.eab.kid", "kid-1");
        until(service.log(), || listed().says("the authority refused"));
        assert_eq!((pebble.accounts(), pebble.orders()), (0, 0));

        secret(key);
        let served = || shown(&sandbox, ports.https, "www.example", "127.0.0.1");
        until(service.log(), || served().contains("DNS:www.example") && served().contains("Pebble"));
        answered(&front, " 200 ", LOOKS);
        let first = served();
        sandbox.pki(["acme", "renew", "www.example"]).success();
        until(service.log(), || served() != first);
        assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));
        service.stop();
    });
}

#[test]
fn where_the_documented_configuration_gets_no_certificate_ours_does() {
    let name = "acme_first::where_the_documented_configuration_gets_no_certificate_ours_does";
    in_own_network(name, "", |ports| {
        let pebble = Pebble::start_with(options(ports));
        let sandbox = Sandbox::with_pki();
        let https = format!("127.0.0.1:{}", free_port());
        for (key, value) in [
            ("core.https_address", &*https),
            ("acme.ca_url", &pebble.directory()),
            ("acme.ca_root", &pebble.root().display().to_string()),
            ("acme.agree_tos", "true"),
        ] {
            set(&sandbox, key, value);
        }
        let service = Service::start(&sandbox);
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        front.documented(ports, "pki.example", &https);
        front.start();
        set(&sandbox, "acme.domain", "pki.example");
        let listed = || sandbox.pki(["acme", "list"]).success();
        until(service.log(), || listed().says("Non-200 status code") || listed().says("403"));
        assert_eq!(pebble.orders(), 1);
        // The same site, the same authority.
        front.kill();
        front.bundled(ports, "pki.example", &https);
        front.start();
        set(&sandbox, "acme.email", "admin@example.org");
        until(service.log(), || {
            shown(&sandbox, ports.https, "pki.example", "127.0.0.1").contains("DNS:pki.example")
        });
        answered(&front, " challenge/sni-dispatcher ", LOOKS);
        service.stop();
    });
}
