//! A listener that answers HTTP-01 challenges (RFC 8555 §8.3) for the length of one order, where no
//! other listener of ours does.
//!
//! It answers what is on its [`Board`] and 404 to all else, reads no body, keeps no connection and
//! drops whoever is slow. A port that is taken or not allowed is an error before any order is placed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Board;
use crate::Error;

/// Where a standalone listener binds unless told otherwise: the port is RFC 8555 §8.3's.
pub const DEFAULT_ADDRESS: &str = "0.0.0.0:80";

/// A listener that is up until it is dropped.
pub struct Standalone {
    address: SocketAddr,
    board: Board,
    task: JoinHandle<()>,
}

impl Standalone {
    /// Binds `address`, e.g. `0.0.0.0:80`, and begins to answer.
    pub async fn bind(address: &str) -> Result<Standalone, Error> {
        let refuse = |source| Error::Listener { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let bound = listener.local_addr().map_err(refuse)?;
        let board = Board::new();
        let task = tokio::spawn(accept(listener, board.clone()));
        Ok(Standalone { address: bound, board, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers.
    pub fn board(&self) -> &Board {
        &self.board
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, board: Board) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let board = board.clone();
                tokio::spawn(async move {
                    answer(stream, board).await;
                    drop(permit);
                });
            }
            // Out of descriptors, or the peer left before we looked: the next one may do better.
            Err(cause) => {
                tracing::debug!(%cause, "a connection to the challenge listener failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, board: Board) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&board, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => tracing::debug!(%cause, "a request to the challenge listener failed"),
        Err(_elapsed) => tracing::debug!("a peer of the challenge listener was too slow"),
    }
}

fn respond(board: &Board, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let (status, body) = match (method == Method::GET || method == Method::HEAD, board.answer(path)) {
        (true, Some(authorization)) => (StatusCode::OK, Bytes::from(authorization)),
        (true, None) => (StatusCode::NOT_FOUND, Bytes::new()),
        (false, _) => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
    };
    tracing::debug!(%method, path, %status, "challenge request");
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// Connections at once; an authority validates from a handful of places.
const CONNECTIONS: usize = 64;

/// For one connection, all in all.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::{Answer, Challenges, Proof, Token};
    use super::*;

    async fn request(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{line} HTTP/1.1\r\nHost: a.example\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_answers_its_board_and_nothing_else() {
        let listener = Standalone::bind("127.0.0.1:0").await.unwrap();
        let token = Token::new("tok").unwrap();
        let answer = Answer::Http { token, key_authorization: "tok.thumbprint".to_owned() };
        let proof = Proof { name: "a.example".to_owned(), answer };
        listener.board().publish(&proof).await.unwrap();
        let good = request(listener.address(), "GET /.well-known/acme-challenge/tok").await;
        assert!(good.starts_with("HTTP/1.1 200 OK\r\n"), "{good}");
        assert!(good.ends_with("\r\n\r\ntok.thumbprint"), "{good}");
        let other = request(listener.address(), "GET /").await;
        assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
        let post = request(listener.address(), "POST /.well-known/acme-challenge/tok").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = Standalone::bind("127.0.0.1:0").await.unwrap();
        let address = first.address().to_string();
        let refusal = Standalone::bind(&address).await.err().unwrap();
        assert_eq!(refusal.to_string(), format!("can't listen for the challenge on {address}"));
        drop(first);
    }
}
