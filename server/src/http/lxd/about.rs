//! What the service says of itself: `GET /` and `GET /1.0`, to strangers as well.

use std::sync::Arc;

use axum::extract::{Extension, State};
use serde_json::{Map, Value, json};
use trust::{Action, Admitted, Peer, Presented};

use super::blocking;
use super::envelope::{Failure, Reply};
use super::shapes::{About, Environment};
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
        let mut about = stranger(matches!(&*presented, Presented::Certificate(_)));
        // Whoever is refused is told no more than a stranger, and not why.
        if let Ok(admitted) = pki.admit(&presented, clock::now()) {
            trusted(pki, &presented, &admitted, &mut about)?;
        }
        Ok(Reply::done(&about))
    };
    blocking(desk, Action::Read, work).await
}

fn stranger(client_certificate: bool) -> About {
    About {
        api_extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        api_status: "stable".to_owned(),
        api_version: "1.0".to_owned(),
        auth: "untrusted".to_owned(),
        auth_methods: vec!["tls".to_owned()],
        auth_user_method: None,
        auth_user_name: None,
        client_certificate,
        config: None,
        environment: None,
        public: false,
    }
}

fn trusted(pki: &Pki, presented: &Presented, admitted: &Admitted, about: &mut About) -> Result<(), Failure> {
    let certificate = own::in_place(pki, Own::Service)?;
    let uname = rustix::system::uname();
    let machine = uname.machine().to_string_lossy().into_owned();
    about.auth = "trusted".to_owned();
    about.auth_user_method = Some("tls".to_owned());
    about.auth_user_name = Some(user(admitted.peer()));
    about.config = Some(config(pki, presented, admitted)?);
    about.environment = Some(Environment {
        addresses: reachable(pki)?.addresses,
        architectures: vec![machine.clone()],
        certificate: certificate.as_ref().map(ca::cert::Certificate::to_pem).unwrap_or_default(),
        certificate_fingerprint: certificate.map(|own| own.fingerprint().to_string()).unwrap_or_default(),
        kernel: uname.sysname().to_string_lossy().into_owned(),
        kernel_architecture: machine,
        project: "default".to_owned(),
        server: "pki".to_owned(),
        server_clustered: false,
        server_name: uname.nodename().to_string_lossy().into_owned(),
        server_pid: std::process::id(),
        server_version: VERSION.to_owned(),
    });
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
fn config(pki: &Pki, presented: &Presented, admitted: &Admitted) -> Result<Map<String, Value>, Failure> {
    if admitted.permit(Action::Configure).is_err() {
        return Ok(Map::new());
    }
    let settings = pki.run(ConfigList {}, presented, clock::now())?;
    let set = settings.into_iter().filter(|setting| setting.set);
    Ok(set.filter_map(|setting| Some((setting.key, json!(setting.value?)))).collect())
}
