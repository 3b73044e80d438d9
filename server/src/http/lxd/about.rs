//! What the service says of itself: `GET /` and `GET /1.0`, to strangers as well.

use std::sync::Arc;

use axum::extract::{Extension, State};
use serde_json::{Map, Value, json};
use trust::{Action, Admitted, Peer, Presented};

use super::blocking;
use super::envelope::{Failure, Reply};
use crate::http::{Desk, VERSION};
use crate::ops::config::ConfigList;
use crate::ops::trust::reachable::reachable;
use crate::own::{self, Own};
use crate::{Pki, clock};

/// What clients may count on besides the API as it was at first. Not `projects`: a client that reads it
/// asks for those of LXD.
const EXTENSIONS: [&str; 3] = ["certificate_token", "certificate_update", "explicit_trust_token"];

/// The versions of the API.
pub(super) async fn root() -> Reply {
    Reply::Done(json!(["/1.0"]))
}

/// The service, as far as whoever asks may know it.
pub(super) async fn server(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
) -> Result<Reply, Failure> {
    let work = move |pki: &Pki| {
        let mut about = json!({
            "api_extensions": EXTENSIONS,
            "api_status": "stable",
            "api_version": "1.0",
            "auth": "untrusted",
            "auth_methods": ["tls"],
            "client_certificate": matches!(&*presented, Presented::Certificate(_)),
            "config": null,
            "public": false,
        });
        // Whoever is refused is told no more than a stranger, and not why.
        if let (Ok(admitted), Some(about)) = (pki.admit(&presented, clock::now()), about.as_object_mut()) {
            trusted(pki, &presented, &admitted, about)?;
        }
        Ok(Reply::Done(about))
    };
    blocking(desk, Action::Read, work).await
}

fn trusted(
    pki: &Pki,
    presented: &Presented,
    admitted: &Admitted,
    about: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let certificate = own::in_place(pki, Own::Service)?;
    let uname = rustix::system::uname();
    about.insert("auth".to_owned(), json!("trusted"));
    about.insert("auth_user_method".to_owned(), json!("tls"));
    about.insert("auth_user_name".to_owned(), json!(user(admitted.peer())));
    about.insert("config".to_owned(), config(pki, presented, admitted)?);
    about.insert(
        "environment".to_owned(),
        json!({
            "addresses": reachable(pki)?.addresses,
            "architectures": [uname.machine().to_string_lossy()],
            "certificate": certificate.as_ref().map(ca::cert::Certificate::to_pem).unwrap_or_default(),
            "certificate_fingerprint": certificate.map(|own| own.fingerprint().to_string()).unwrap_or_default(),
            "kernel": uname.sysname().to_string_lossy(),
            "kernel_architecture": uname.machine().to_string_lossy(),
            "project": "default",
            "server": "pki",
            "server_clustered": false,
            "server_name": uname.nodename().to_string_lossy(),
            "server_pid": std::process::id(),
            "server_version": VERSION,
        }),
    );
    Ok(())
}

/// By LXD's word: the fingerprint.
fn user(peer: &Peer) -> String {
    match peer {
        Peer::Certificate { fingerprint, .. } => fingerprint.to_string(),
        other => other.to_string(),
    }
}

/// What was set, for those whom nothing limits.
fn config(pki: &Pki, presented: &Presented, admitted: &Admitted) -> Result<Value, Failure> {
    if admitted.permit(Action::Configure).is_err() {
        return Ok(json!({}));
    }
    let settings = pki.run(ConfigList {}, presented, clock::now())?;
    let set = settings.into_iter().filter(|setting| setting.set);
    Ok(Value::Object(set.filter_map(|setting| Some((setting.key, json!(setting.value?)))).collect()))
}
