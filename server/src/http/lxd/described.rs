//! LXD's endpoints in the description of the API.

use serde_json::{Map, Value, json};
use trust::Action;

use super::REPLACING;
use super::certificates::{Posted, Put};
use super::envelope::Envelope;
use super::shapes::{About, CertificateObject, OperationObject};
use crate::http::Access;
use crate::http::openapi::{Document, in_path};

const READ: Access = Access::Permitted(Action::Read);
const TRUST: Access = Access::Permitted(Action::Trust);
const CERTIFICATE: &str = "/1.0/certificates/{fingerprint}";
const OPERATION: &str = "/1.0/operations/{id}";

const WAIT: &str = "Waits until a token can't be redeemed any more. When the time runs out the answer is how \
                    it stands then.";

/// Adds them.
pub(in crate::http) fn describe(document: &mut Document) {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    about(document, &texts);
    certificates(document, &texts);
    certificate(document);
    operations(document, &texts);
    events(document);
}

fn about(document: &mut Document, texts: &Value) {
    let versions = answers(document, "200", "The versions of the API.", texts);
    let text = "The versions of the API.";
    let described = document.endpoint("api-versions", "lxd", Access::Anyone, text, versions);
    document.add("get", "/", described);
    let about = document.schema::<About>();
    let about = answers(document, "200", "The service.", &about);
    let text = "The service, as far as whoever asks may know it. A stranger learns what it takes to become \
                trusted, and nothing else.";
    let described = document.endpoint("service", "lxd", Access::Anyone, text, about);
    document.add("get", "/1.0", described);
}

fn certificates(document: &mut Document, texts: &Value) {
    let certificate = document.schema::<CertificateObject<'_>>();
    let either = json!({"anyOf": [texts, {"type": "array", "items": certificate}]});
    let list = answers(document, "200", "Their addresses, or themselves.", &either);
    let text = "Lists who is trusted by a certificate, as far as whoever asks may see them.";
    let mut described = document.endpoint("certificates", "lxd", READ, text, list);
    described.insert("parameters".to_owned(), json!([recursion()]));
    document.add("get", "/1.0/certificates", described);

    let operation = document.schema::<OperationObject<'_>>();
    let mut added = answers(document, "202", "There is a token now.", &operation);
    added["201"] = json!({
        "description": "It is trusted from now on.",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "Where the entry is."}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Envelope"}}},
    });
    let text = "Adds a certificate, makes a token, or redeems one. Whoever is not let in may redeem a token \
                with the certificate of the connection, and nothing else; all else takes the right to \
                change who is trusted.";
    let mut described = document.endpoint("certificate-add", "lxd", Access::Anyone, text, added);
    body(document.schema::<Posted>(), &mut described);
    document.add("post", "/1.0/certificates", described);
}

fn certificate(document: &mut Document) {
    let which = in_path("fingerprint", "The entry: a fingerprint, the beginning of one, or a name.");
    let certificate = document.schema::<CertificateObject<'_>>();
    let mut shown = answers(document, "200", "The entry.", &certificate);
    shown["200"]["headers"] = json!({"ETag": {
        "schema": {"type": "string"},
        "description": "Its version, for If-Match.",
    }});
    let mut described = document.endpoint("certificate", "lxd", READ, "Shows who is trusted.", shown);
    described.insert("parameters".to_owned(), which.clone());
    document.add("get", CERTIFICATE, described);

    let done = answers(document, "200", "Done.", &json!({"type": "object"}));
    let put = document.schema::<Put>();
    let changes = [
        (
            "put",
            "certificate-replace",
            "Changes an entry. Its holder may put another certificate in the place of the one that this \
             connection shows, and change nothing else.",
        ),
        (
            "patch",
            "certificate-update",
            "Changes what is named of an entry. Its holder may name another certificate in the place of the \
             one that this connection shows, and nothing else.",
        ),
    ];
    for (method, id, text) in changes {
        let mut described = document.endpoint(id, "lxd", REPLACING, text, done.clone());
        let mut parameters = which.clone();
        if let Some(parameters) = parameters.as_array_mut() {
            let text = "The version that is to be changed; another is answered with 412.";
            let schema = json!({"type": "string"});
            parameters
                .push(json!({"name": "If-Match", "in": "header", "description": text, "schema": schema}));
        }
        described.insert("parameters".to_owned(), parameters);
        body(put.clone(), &mut described);
        document.add(method, CERTIFICATE, described);
    }
    let text = "Removes an entry. Its certificate is denied from then on.";
    let mut described = document.endpoint("certificate-remove", "lxd", TRUST, text, done);
    described.insert("parameters".to_owned(), which);
    document.add("delete", CERTIFICATE, described);
}

fn events(document: &mut Document) {
    const INSPECT: Access = Access::Permitted(Action::Inspect);
    let text = "Tells what happens, as it happens, over a WebSocket (RFC 6455): each message is an event of \
                LXD's, of the type lifecycle, logging or operation.";
    let switched = json!({"101": {"description": "What follows are events."}});
    let mut described = document.endpoint("events", "lxd", INSPECT, text, switched);
    let text = "Which types, with commas between them; all without it.";
    let parameter = json!({"name": "type", "in": "query", "description": text, "schema": {"type": "string"}});
    described.insert("parameters".to_owned(), json!([parameter]));
    document.add("get", "/1.0/events", described);
}

fn operations(document: &mut Document, texts: &Value) {
    let operation = document.schema::<OperationObject<'_>>();
    let by_status = json!({
        "type": "object",
        "additionalProperties": {"anyOf": [texts, {"type": "array", "items": operation}]},
    });
    let list = answers(document, "200", "Their addresses, or themselves, by their status.", &by_status);
    let text = "Lists the tokens that wait, which LXD has as operations.";
    let mut described = document.endpoint("operations", "lxd", TRUST, text, list);
    described.insert("parameters".to_owned(), json!([recursion()]));
    document.add("get", "/1.0/operations", described);

    let which = in_path("id", "The operation's UUID.");
    let shown = answers(document, "200", "The operation.", &operation);
    let mut wait = document.endpoint("operation-wait", "lxd", TRUST, WAIT, shown.clone());
    let mut parameters = which.clone();
    if let Some(parameters) = parameters.as_array_mut() {
        let text = "Seconds; for ever if negative or absent.";
        let schema = json!({"type": "integer"});
        parameters.push(json!({"name": "timeout", "in": "query", "description": text, "schema": schema}));
    }
    wait.insert("parameters".to_owned(), parameters);
    document.add("get", &format!("{OPERATION}/wait"), wait);
    let mut described = document.endpoint("operation", "lxd", TRUST, "Shows a token that waits.", shown);
    described.insert("parameters".to_owned(), which.clone());
    document.add("get", OPERATION, described);
    let done = answers(document, "200", "Done.", &json!({"type": "object"}));
    let text = "Takes a token back. Nobody is let in by it any more.";
    let mut described = document.endpoint("operation-cancel", "lxd", TRUST, text, done);
    described.insert("parameters".to_owned(), which);
    document.add("delete", OPERATION, described);
}

fn recursion() -> Value {
    let text = "1 for the objects themselves, not only where they are.";
    json!({"name": "recursion", "in": "query", "description": text, "schema": {"type": "integer"}})
}

fn body(schema: Value, described: &mut Map<String, Value>) {
    let body = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    described.insert("requestBody".to_owned(), body);
}

/// The usual answers: an envelope around `metadata`, and an envelope with an error.
fn answers(document: &mut Document, status: &str, text: &str, metadata: &Value) -> Value {
    let envelope = document.schema::<Envelope<'_>>();
    let around = json!({"allOf": [envelope, {"type": "object", "properties": {"metadata": metadata}}]});
    json!({
        status: {"description": text, "content": {"application/json": {"schema": around}}},
        "default": {
            "description": "It failed, or was refused.",
            "content": {"application/json": {"schema": envelope}},
        },
    })
}
