//! One operation over the service's socket, asked by hand: one request, one connection, and the answer as
//! it came. The shipped client retries and explains; here it matters what was answered and what was not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use server::ops::Operation;
use server::problem::Problem;

use crate::Response;

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Answer<R> {
    /// It was done: this is the acknowledgement.
    Done(R),
    /// It was refused, or it failed.
    Refused {
        /// What the service says of it.
        problem: Problem,
        /// The whole answer.
        response: Response,
    },
    /// No whole answer came: nobody knows what became of it.
    Silent,
}

impl<R> Answer<R> {
    /// The acknowledgement; fails the test if there is none.
    #[track_caller]
    pub fn done(self) -> R {
        match self {
            Answer::Done(reply) => reply,
            Answer::Refused { problem, response } => panic!("{}: {problem:?}", response.status),
            Answer::Silent => panic!("no answer"),
        }
    }
}

/// Asks for an operation and waits for its answer.
pub fn call<O: Operation>(socket: &Path, operation: &O) -> Answer<O::Reply> {
    let body = serde_json::to_vec(operation).expect("an operation is JSON");
    let path = server::http::path::<O>();
    match exchange(socket, &path, &body) {
        Err(_broken) => Answer::Silent,
        Ok(response) if response.status == 200 => match serde_json::from_slice(&response.body) {
            Ok(reply) => Answer::Done(reply),
            Err(_cut) => Answer::Silent,
        },
        Ok(response) => match serde_json::from_slice(&response.body) {
            Ok(problem) => Answer::Refused { problem, response },
            Err(_cut) => Answer::Silent,
        },
    }
}

fn exchange(socket: &Path, path: &str, body: &[u8]) -> std::io::Result<Response> {
    let mut stream = UnixStream::connect(socket)?;
    // Far beyond anything a working service needs, and an end for one that hangs.
    stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: pki\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Response::parse(&bytes).ok_or_else(|| std::io::Error::other("not a whole HTTP answer"))
}
