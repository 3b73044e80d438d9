//! DNS-01 with a real name server, Knot DNS, whose zones are changed by RFC 2136 and by a program.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/src/knot.rs"]
mod knot;
#[path = "../../tests/src/pebble.rs"]
#[allow(dead_code)]
mod pebble;

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use acme::Error;
use acme::client::solve::dns_01::provider::{Environment, Provider};
use acme::client::*;
use knot::{Knot, SECRET};
use pebble::{Pebble, PebbleOptions};
use store::Store;
use store::seal::SealingKey;
use time::OffsetDateTime;

impl Knot {
    fn pebble(&self) -> Pebble {
        let resolver = Some(self.address.to_string());
        Pebble::start_with(PebbleOptions { resolver, ..PebbleOptions::default() })
    }

    fn updates(&self, key: &str, more: &str) -> Dns {
        self.dns("rfc2136", &format!("{}{more}", self.environment(key)))
    }

    fn dns(&self, provider: &str, lines: &str) -> Dns {
        let provider = Provider::new(provider, &Environment::read(lines).unwrap()).unwrap();
        Dns::new(provider, vec![self.address], self.address.port(), clock()).unwrap()
    }
}

#[allow(clippy::disallowed_methods)]
fn clock() -> Clock {
    Arc::new(OffsetDateTime::now_utc)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn obtain(pebble: &Pebble, dns: &Dns, names: &[&str]) -> Result<Vec<String>, Error> {
    let dir = tempfile::tempdir().unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let sealing = SealingKey::load_or_create(&dir.path().join("store.key"), &random).unwrap();
    let limits = Limits::default();
    let client = Client::new(Store::in_memory(), Arc::new(sealing), clock(), limits, Gate::default(), "test");
    let application = Application {
        authority: Authority {
            directory: pebble.directory().parse().unwrap(),
            roots: Roots::Pem(std::fs::read_to_string(pebble.root()).unwrap()),
            external: None,
        },
        names: Names::parse(names, &limits).unwrap(),
        contact: None,
        terms: Terms::Agreed,
    };
    let obtained = run(client.obtain(&application, dns, &mut |_| ()))?;
    Ok(obtained.certificate.leaf().names().iter().map(ToString::to_string).collect())
}

#[track_caller]
fn cause(refused: Result<Vec<String>, Error>) -> String {
    let refused = refused.unwrap_err();
    let source = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
    format!("{refused}: {source}")
}

#[test]
fn a_wildcard_and_its_parent_are_proved_by_two_records_of_one_name() {
    let knot = Knot::start();
    let pebble = knot.pebble();
    let names = obtain(&pebble, &knot.updates("acme", ""), &["a.example", "*.a.example"]).unwrap();
    assert!(names.contains(&"dns:*.a.example".to_owned()), "{names:?}");
    assert_eq!(knot.texts("_acme-challenge.a.example"), "", "and taken away again");
}

#[test]
fn the_record_is_put_where_the_name_leads() {
    let knot = Knot::start();
    let pebble = knot.pebble();
    obtain(&pebble, &knot.updates("acme", ""), &["www.example"]).unwrap();
    assert_eq!(knot.texts("www.delegated.example"), "");
    // A zone that is not ours to change.
    let refused = cause(obtain(&pebble, &knot.updates("acme", ""), &["b.static.test"]));
    assert!(refused.contains("static.test") && refused.contains("refuses"), "{refused}");
    assert_eq!(pebble.log().matches("POST /chalZ/").count(), 1, "the authority was not told to look");
}

#[test]
fn a_key_that_the_server_does_not_know_is_told() {
    let knot = Knot::start();
    let pebble = knot.pebble();
    let refused = cause(obtain(&pebble, &knot.updates("other", ""), &["a.example"]));
    assert!(refused.contains("refuses to change the zone example."), "{refused}");
}

fn script(folder: &Path, text: &str) -> String {
    let path = folder.join("hook");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("EXEC_PATH={}\nEXEC_PROPAGATION_TIMEOUT=2\n", path.display())
}

#[test]
fn a_program_changes_the_zone_and_what_it_did_not_do_is_found_out() {
    let knot = Knot::start();
    let pebble = knot.pebble();
    let text = format!(
        "#!/bin/sh\ncase $1 in present) how=add;; cleanup) how=del;; esac\n\
         printf 'server 127.0.0.1 {}\\nzone example\\n%s %s 1 TXT \"%s\"\\nsend\\n' $how \"$2\" \"$3\" \
         | knsupdate -y hmac-sha256:acme:$SECRET\n",
        knot.address.port()
    );
    let folder = tempfile::tempdir().unwrap();
    let lines = format!("{}SECRET={SECRET}\n", script(folder.path(), &text));
    obtain(&pebble, &knot.dns("exec", &lines), &["*.b.example"]).unwrap();
    assert_eq!(knot.texts("_acme-challenge.b.example"), "");

    let lines = script(folder.path(), "#!/bin/sh\nexit 0\n");
    let refused = cause(obtain(&pebble, &knot.dns("exec", &lines), &["c.example"]));
    assert!(refused.contains("_acme-challenge.c.example. is not at 127.0.0.1:"), "{refused}");
    assert_eq!(pebble.log().matches("POST /chalZ/").count(), 1, "the authority was not told to look");
}
