//! The HTTPS listener, as a door.

use std::net::SocketAddr;

use axum::Router;
use tokio::sync::{OnceCell, watch};

use super::Door;
use crate::clock;
use crate::counters::{Gauge, Listener};
use crate::http::{Desk, https_router};
use crate::limits::Limits;
use crate::listen::{self, HttpsListener, Terms};
use crate::serve::ListenerState;
use crate::tls::{Tls, Versions};

/// TLS, for whoever shows a certificate.
pub(crate) struct HttpsDoor {
    desk: Desk,
    versions: Versions,
    changes: watch::Receiver<u64>,
    /// Opened when the listener is first bound: a service without one needs no certificate.
    tls: OnceCell<Tls>,
}

impl HttpsDoor {
    /// A door to `desk`; `changes` moves whenever somebody may have lost what let them in.
    pub(crate) fn new(desk: Desk, versions: Versions, changes: watch::Receiver<u64>) -> HttpsDoor {
        HttpsDoor { desk, versions, changes, tls: OnceCell::new() }
    }

    async fn tls(&self) -> Result<&Tls, crate::tls::Error> {
        let open = async || {
            let (pki, versions) = (self.desk.pki.clone(), self.versions);
            let opened = tokio::task::spawn_blocking(move || Tls::open(pki, versions, clock::now())).await;
            opened.unwrap_or(Err(crate::tls::Error::Stopped))
        };
        self.tls.get_or_try_init(open).await
    }
}

impl Door for HttpsDoor {
    type Listener = HttpsListener;
    const NAME: &'static str = "HTTPS listener";

    async fn bind(&self, address: SocketAddr) -> Result<HttpsListener, listen::Error> {
        let tls =
            self.tls().await.map_err(|error| listen::Error::Tls { address, source: Box::new(error) })?;
        if self.versions == Versions::Insecure {
            tracing::warn!(
                %address,
                "INSECURE: {}=1 lets clients speak TLS 1.2 with this service",
                Versions::VARIABLE
            );
        }
        let (pki, changes) = (self.desk.pki.clone(), self.changes.clone());
        HttpsListener::bind(address, pki, tls.clone(), changes, self.desk.limits.https_connections_of_one)
            .await
    }

    fn address(listener: &HttpsListener) -> SocketAddr {
        listener.address()
    }

    fn router(&self) -> Router {
        https_router(self.desk.clone())
    }

    fn terms(limits: &Limits) -> Terms {
        Terms {
            connections: limits.https_connections,
            of_one_origin: limits.https_connections_of_one,
            lifetime: Some(limits.lifetime),
        }
    }

    fn open(&self) -> Gauge {
        self.desk.pki.counters().open(Listener::Https).clone()
    }

    fn tell(&self, state: ListenerState) {
        self.desk.pki.set_https_state(state);
    }
}
