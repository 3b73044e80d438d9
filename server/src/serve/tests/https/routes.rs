//! What the route table says of LXD's routes, which are written by hand: asked of the service, by every kind of
//! peer. Those of the operations need no such test: one and the same constant is printed and enforced.

use trust::Action;

use super::*;
use crate::http::Access;

/// A peer, and its entry.
struct Peer {
    kind: &'static str,
    client: Arc<ClientConfig>,
    issued: Issued,
}

impl Peer {
    /// One that is trusted as this, and in one project alone if it is restricted.
    fn trusted(pki: &Pki, kind: &'static str, restricted: bool) -> Peer {
        let (client, issued) = client(pki, kind);
        let projects = restricted.then(|| "default".to_owned()).into_iter().collect();
        let rights = RightsWanted { kind: kind.to_owned(), restricted, projects };
        let add = TrustAdd { certificate: issued.pem.clone(), name: None, rights };
        pki.run(add, &Presented::InProcess, crate::clock::now()).unwrap();
        Peer { kind, client, issued }
    }

    fn certificate(&self) -> ca::cert::Certificate {
        ca::cert::Certificate::from_pem(self.issued.pem.as_bytes()).unwrap()
    }

    fn may(&self, pki: &Pki, action: Action) -> bool {
        let shown = Presented::Certificate(Holder::new(self.certificate(), Vec::new()));
        pki.permit(&shown, action, crate::clock::now()).is_ok()
    }
}

#[test]
fn what_the_route_table_says_of_lxds_routes_is_what_is_enforced() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let peers = || {
        let (client, issued) = client(pki, "stranger");
        let stranger = Peer { kind: "stranger", client, issued };
        [("client", false), ("client", true), ("server", false), ("metrics", false)]
            .map(|(kind, restricted)| Peer::trusted(pki, kind, restricted))
            .into_iter()
            .chain([stranger])
    };
    let mut asked = (0, 0);
    for route in crate::http::routes().into_iter().filter(|route| route.listener == "https") {
        for method in route.methods.split(", ") {
            // Of somebody else, and of themselves.
            let themselves =
                peers().filter(|_| route.path.contains("{fingerprint}")).map(|peer| (peer, true));
            for (peer, own) in peers().map(|peer| (peer, false)).chain(themselves) {
                let other = Peer::trusted(pki, "client", true);
                let about = if own && peer.kind != "stranger" { &peer } else { &other };
                let path = route
                    .path
                    .replace("{fingerprint}", &about.certificate().fingerprint().to_string())
                    .replace("{id}", "00000000-0000-4000-8000-000000000000");
                let allowed = match route.access {
                    // A token, a passphrase or a certificate is looked at there: its own tests say how.
                    Access::Anyone => continue,
                    Access::Permitted(action) => peer.may(pki, action),
                    Access::Holder { own, .. } if std::ptr::eq(about, &peer) => peer.may(pki, own),
                    Access::Holder { other, .. } => peer.may(pki, other),
                    Access::Trusted => peer.kind != "stranger",
                };
                // A version that there never was: whoever may replace a certificate is told that it is another.
                let (_, new) = client(pki, "new");
                let body = json!({ "certificate": new.pem }).to_string();
                let mut connection = https.connect(&peer.client);
                let (status, answer) =
                    ask_with(&mut connection, method, &path, "if-match: \"1\"\r\n", &body).unwrap();
                let (kind, entry) = (peer.kind, if own { "own" } else { "another's" });
                assert_eq!(status != 403, allowed, "{kind}, {entry}: {method} {path}: {status} {answer}");
                assert!(status < 500, "{method} {path}: {status} {answer}");
                *(if allowed { &mut asked.0 } else { &mut asked.1 }) += 1;
            }
        }
    }
    assert!(asked.0 >= 20 && asked.1 >= 40, "{asked:?}");
    https.running.stop();
}
