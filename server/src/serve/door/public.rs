//! The public listener, as a door.

use std::net::SocketAddr;

use axum::Router;

use super::Door;
use crate::Pki;
use crate::counters::{Gauge, Listener};
use crate::http::public;
use crate::limits::Limits;
use crate::listen::{self, PublicListener, Terms};
use crate::serve::ListenerState;

/// Plain HTTP, for what anyone may fetch.
pub(crate) struct PublicDoor(pub(crate) Pki);

impl Door for PublicDoor {
    type Listener = PublicListener;
    const NAME: &'static str = "public listener";

    async fn bind(&self, address: SocketAddr) -> Result<PublicListener, listen::Error> {
        PublicListener::bind(address).await
    }

    fn address(listener: &PublicListener) -> SocketAddr {
        listener.address()
    }

    fn router(&self) -> Router {
        public::router(self.0.clone())
    }

    fn terms(limits: &Limits) -> Terms {
        Terms {
            connections: limits.public_connections,
            of_one_origin: limits.public_connections_of_one,
            lifetime: Some(limits.lifetime),
        }
    }

    fn open(&self) -> Gauge {
        self.0.counters().open(Listener::Public).clone()
    }

    fn tell(&self, state: ListenerState) {
        self.0.set_public_state(state);
    }
}
