use std::collections::BTreeSet;

use super::*;
use crate::http::routes;

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let routed: BTreeSet<(String, String)> = routes()
        .iter()
        .flat_map(|route| route.methods.split(", ").map(|method| (route.path.clone(), method.to_owned())))
        .collect();
    assert_eq!(described, routed);
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}")), "nothing refers to {name}");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.insert(reference.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn no_two_types_share_a_name() {
    let mut document = Document::default();
    let schema = document.schema::<Problem>();
    let again = document.schema::<Problem>();
    assert_eq!(schema, again);
    assert!(document.clashes.is_empty());
    document.named("server::somewhere::else::Problem", json!({"type": "string"}));
    assert_eq!(document.clashes, ["Problem"]);
    let mut whole = Document::default();
    fill(&mut whole);
    assert!(whole.clashes.is_empty(), "{:?}", whole.clashes);
}

#[test]
fn every_endpoint_says_what_it_is_for_and_has_a_name_of_its_own() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, endpoint) in methods.as_object().unwrap() {
            assert!(!endpoint["summary"].as_str().unwrap().is_empty(), "{method} {path}");
            assert!(names.insert(endpoint["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        }
    }
    assert!(names.len() > 60, "only {}", names.len());
}

#[test]
fn a_summary_is_the_first_sentence() {
    assert_eq!(first_sentence("Revokes: now. And then.\n\nMore."), "Revokes");
    assert_eq!(first_sentence("Lists every generation."), "Lists every generation");
    assert_eq!(first_sentence("Reads it, oldest first. Ends."), "Reads it, oldest first");
    assert_eq!(first_sentence(""), "");
}
