//! The public files in the description of the API.

use serde_json::{Value, json};

use super::Document;
use crate::http::{Access, public};

/// Adds them.
pub(super) fn describe(document: &mut Document) {
    for (path, media, text) in public::described() {
        let file = json!({
            "200": {"description": "The file.", "content": {media: {}}},
            "304": {"description": "Whoever asks has it: see If-None-Match and If-Modified-Since."},
            "404": {"description": "There is none.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            "503": {"description": "It is about to be replaced, or the service is starting: try again."},
        });
        let id = path.trim_start_matches(['/', '.']).replace(['{', '}'], "").replace(['/', '.'], "-");
        for method in ["get", "head"] {
            let id = format!("{method}-{id}");
            let mut described = document.endpoint(&id, "public", Access::Anyone, text, file.clone());
            if let Some(name) = parameter(&path) {
                described.insert("parameters".to_owned(), in_path(name, "As in the path."));
            }
            document.add(method, &path, described);
        }
    }
}

/// The one parameter of a path.
fn parameter(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once('{')?;
    Some(rest.split_once('}')?.0)
}

/// A parameter in the path, as the only one.
pub(crate) fn in_path(name: &str, text: &str) -> Value {
    json!([{"name": name, "in": "path", "required": true, "description": text, "schema": {"type": "string"}}])
}
