//! The description of the API, OpenAPI 3.1: what `GET /1.0/openapi.json` answers.
//!
//! It is made from the code: from the table of operations with the types of their requests and replies, and
//! from the types that LXD's endpoints speak in. A route without a description fails a test, and so does a
//! description without a route. What it refuses: endpoints that a listener does not answer.

mod public;

use std::any::type_name;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};
use trust::{Action, Presented};
use utoipa::ToSchema;

use super::{Access, BACKUP_PATH, Desk, VERSION, lxd, metrics, operation, path, problem};
use crate::clock;
use crate::ops::Operation;
use crate::ops::backup::BackupRequest;
use crate::ops::enroll::{Enroll, Enrolled, RenewSelf, SelfRenewed};
use crate::ops::local::{Authenticate, Authenticated};
use crate::problem::Problem;

pub(crate) use self::public::in_path;

/// Where it is served.
pub(crate) const PATH: &str = "/1.0/openapi.json";

/// The document while it is being put together.
#[derive(Default)]
pub(crate) struct Document {
    paths: BTreeMap<String, Map<String, Value>>,
    schemas: BTreeMap<String, Value>,
    /// Names that two different schemas have: a test sees to it that there are none.
    clashes: Vec<String>,
}

impl Document {
    /// An operation of the table.
    pub(crate) fn operation<O: Operation>(&mut self) {
        let request = self.schema::<O>();
        let reply = self.schema::<O::Reply>();
        let described = self.described(&request);
        let answers =
            json!({"200": {"description": "Done.", "content": {"application/json": {"schema": reply}}}});
        self.ours(O::NAME, &path::<O>(), Access::Permitted(O::ACTION), &described, &request, answers);
    }

    /// One of ours that is not in the table.
    fn ours(
        &mut self,
        id: &str,
        path: &str,
        access: Access,
        text: &str,
        request: &Value,
        mut answers: Value,
    ) {
        if let Some(answers) = answers.as_object_mut() {
            answers.insert("default".to_owned(), json!({"$ref": "#/components/responses/Problem"}));
        }
        let body = json!({"required": true, "content": {"application/json": {"schema": request}}});
        let mut described = self.endpoint(id, "pki", access, text, answers);
        described.insert("requestBody".to_owned(), body);
        self.add("post", path, described);
    }

    /// What every endpoint has.
    pub(crate) fn endpoint(
        &self,
        id: &str,
        tag: &str,
        access: Access,
        text: &str,
        responses: Value,
    ) -> Map<String, Value> {
        let mut described = Map::new();
        described.insert("operationId".to_owned(), json!(id));
        described.insert("tags".to_owned(), json!([tag]));
        described.insert("summary".to_owned(), json!(first_sentence(text)));
        described.insert("description".to_owned(), json!(text));
        described.insert("responses".to_owned(), responses);
        let security = match access {
            Access::Permitted(action) => {
                let permission = format!("Whoever may {action}.");
                described.insert("x-pki-permission".to_owned(), json!(permission));
                json!([{"clientCertificate": []}])
            }
            Access::Holder { own, other } => {
                let permission = format!("Whoever may {other}; of their own certificate, whoever may {own}.");
                described.insert("x-pki-permission".to_owned(), json!(permission));
                json!([{"clientCertificate": []}])
            }
            Access::Trusted => json!([{"clientCertificate": []}]),
            // An empty object: a certificate is of use, and not needed.
            Access::Anyone => json!([{}, {"clientCertificate": []}]),
        };
        described.insert("security".to_owned(), security);
        described
    }

    /// Adds an endpoint.
    pub(crate) fn add(&mut self, method: &str, path: &str, described: Map<String, Value>) {
        let methods = self.paths.entry(path.to_owned()).or_default();
        methods.insert(method.to_owned(), Value::Object(described));
    }

    /// A type as a schema: by its name if it is one of ours.
    pub(crate) fn schema<T: ToSchema>(&mut self) -> Value {
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        for (name, schema) in nested {
            self.keep(name, json!(schema));
        }
        let mut schema = json!(T::schema());
        let whole = type_name::<T>();
        match whole.strip_prefix("alloc::vec::Vec<").and_then(|rest| rest.strip_suffix('>')) {
            Some(item) => {
                let items = self.named(item, schema["items"].take());
                schema["items"] = items;
                schema
            }
            None => self.named(whole, schema),
        }
    }

    fn named(&mut self, full_name: &str, schema: Value) -> Value {
        match full_name.strip_prefix("server::") {
            Some(rest) => {
                let rest = rest.split('<').next().unwrap_or(rest);
                let name = rest.rsplit("::").next().unwrap_or(rest).to_owned();
                let reference = json!({"$ref": format!("#/components/schemas/{name}")});
                self.keep(name, schema);
                reference
            }
            None => schema,
        }
    }

    fn keep(&mut self, name: String, schema: Value) {
        match self.schemas.get(&name) {
            Some(known) if *known != schema => self.clashes.push(name),
            Some(_same) => {}
            None => drop(self.schemas.insert(name, schema)),
        }
    }

    /// What a schema says of itself.
    fn described(&self, reference: &Value) -> String {
        let name = reference["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        let schema = name.and_then(|name| self.schemas.get(name));
        schema.and_then(|schema| schema["description"].as_str()).unwrap_or_default().to_owned()
    }

    fn into_value(mut self) -> Value {
        let problem = self.schema::<Problem>();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "pki",
                "version": VERSION,
                "license": {"name": "MIT OR Apache-2.0"},
                "description": DESCRIPTION,
            },
            "servers": [{"url": "https://localhost:8443", "description": "The default of `core.https_address`."}],
            "tags": [
                {"name": "pki", "description": "The operations of this program, as its commands ask for them."},
                {"name": "lxd", "description": "What LXD's clients ask for, as LXD answers them."},
                {"name": "service", "description": "The service about itself."},
                {"name": "public", "description": "Certificates and lists, for everybody."},
            ],
            "paths": self.paths,
            "components": {
                "securitySchemes": {
                    "clientCertificate": {
                        "type": "mutualTLS",
                        "description": "A certificate that is trusted: see docs/guide/trust.md.",
                    },
                },
                "responses": {
                    "Problem": {
                        "description": "It failed, or was refused.",
                        "content": {"application/json": {"schema": problem}},
                    },
                },
                "schemas": self.schemas,
            },
        })
    }
}

const DESCRIPTION: &str = "What the HTTPS listener answers. The operations below /1.0/pki/, the metrics and \
    this document are answered on the service's Unix socket as well.";

/// The whole document.
fn document() -> Value {
    let mut document = Document::default();
    fill(&mut document);
    document.into_value()
}

fn fill(document: &mut Document) {
    super::describe_operations(document);
    let asked = document.schema::<BackupRequest>();
    let archive = json!({"200": {
        "description": "The archive, in the age format. An answer that breaks off is no backup.",
        "content": {"application/octet-stream": {}},
    }});
    let text = "Takes a backup. The archive is sent while it is made.";
    document.ours("backup", BACKUP_PATH, Access::Permitted(Action::Backup), text, &asked, archive);
    let (asked, reply) = (document.schema::<Authenticate>(), document.schema::<Authenticated>());
    let answers =
        json!({"200": {"description": "Done.", "content": {"application/json": {"schema": reply}}}});
    let text = "Becomes trusted by the passphrase: a user of this machine over the socket, over HTTPS the \
                certificate of the connection.";
    document.ours(Authenticate::NAME, &path::<Authenticate>(), Access::Anyone, text, &asked, answers);
    enrolment(document);
    lxd::describe(document);
    let itself = json!({"200": {
        "description": "The document.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }});
    let described = document.endpoint("openapi", "service", Access::Trusted, "This document.", itself);
    document.add("get", PATH, described);
    metrics::describe(document);
    public::describe(document);
}

fn enrolment(document: &mut Document) {
    let (asked, reply) = (document.schema::<Enroll>(), document.schema::<Enrolled>());
    let answers =
        json!({"200": {"description": "Done.", "content": {"application/json": {"schema": reply}}}});
    let text = "Redeems a token for enrolment with a key. The token decides all else. The same key again gets the \
                same certificate.";
    document.ours("enroll", Enroll::PATH, Access::Anyone, text, &asked, answers);
    let (asked, reply) = (document.schema::<RenewSelf>(), document.schema::<SelfRenewed>());
    let answers =
        json!({"200": {"description": "Done.", "content": {"application/json": {"schema": reply}}}});
    let text = "Renews the certificate of the connection. It needs not be trusted, and may do this alone.";
    document.ours("renew-self", RenewSelf::PATH, Access::Anyone, text, &asked, answers);
}

/// The document as it is served and checked in: indented, with a newline at its end.
pub fn text() -> String {
    // It is made of text, numbers and maps by text: writing it can't fail.
    format!("{:#}\n", document())
}

/// Answers with it, whoever is let in.
pub(crate) async fn answer(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
) -> Response {
    if let Err(error) = desk.pki.admit(&presented, clock::now()) {
        return operation::failed(&problem::problem(&error));
    }
    let mut response = text().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    operation::with_version(response)
}

fn first_sentence(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    let end = line.find(": ").or_else(|| line.find(". ")).unwrap_or(line.len());
    line[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests;
