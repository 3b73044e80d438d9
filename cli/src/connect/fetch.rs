//! What is no operation: an enrolment is asked for in the way of one, a public file is fetched.

use std::time::Duration;

use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};

use super::socket::Service;
use crate::error::{CommandError, Kind};

/// How long a service may say nothing while it issues one certificate.
const SILENCE: Duration = Duration::from_secs(60);

impl Service {
    /// Asks for something that is no operation.
    pub fn ask<Q: Serialize, R: DeserializeOwned>(&self, path: &str, asked: &Q) -> Result<R, CommandError> {
        self.post(path, asked, SILENCE)
    }

    /// Fetches a file that anybody may have, like `/chain.crl`.
    pub fn fetch(&self, path: &str) -> Result<Vec<u8>, CommandError> {
        let answer = self.request(Method::GET, path, Vec::new())?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(CommandError::new(Kind::External, format!("{} has no {path} ({})", self.way, answer.status))
            .hint("try again in a moment: a service that starts serves it last"))
    }
}
