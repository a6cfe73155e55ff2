//! `schemas/yizhan.openapi.json` against what is served.

use std::collections::BTreeSet;

use serde_json::Value;
use yizhan::http::routes::{ENDPOINTS, OPENAPI};

use super::client::Ask;
use super::served::{YISHUI, served};

fn description() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Every operation with its method and path.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((method.to_ascii_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

#[test]
fn every_address_is_described_and_every_description_is_served() {
    let described: BTreeSet<_> =
        operations(&description()).into_iter().map(|(method, path, _)| (method, path)).collect();
    let served: BTreeSet<_> =
        ENDPOINTS.iter().map(|endpoint| (endpoint.method.to_owned(), endpoint.path.to_owned())).collect();
    assert_eq!(described, served);
}

#[test]
fn every_operation_is_said_in_both_languages_and_every_reference_leads_somewhere() {
    let description = description();
    for (method, path, operation) in operations(&description) {
        let summary = operation["summary"].as_str().unwrap();
        assert!(summary.contains(" | ") && !summary.is_ascii(), "{method} {path}: {summary}");
        let is_post = method == "POST";
        assert_eq!(operation["requestBody"].is_object(), is_post, "{method} {path}");
    }
    let mut open = vec![&description];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(description.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                open.extend(members.values());
            }
            Value::Array(members) => open.extend(members),
            _ => {}
        }
    }
}

#[test]
fn the_example_bill_is_a_bill() {
    let schema = std::fs::read_to_string(crate::project("schemas/bill.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let bill = description()["components"]["examples"]["Bill"]["value"].clone();
    let faults: Vec<String> = schema.iter_errors(&bill).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, [""; 0]);
}

/// What an operation takes, written out: every example of its body with its media type.
fn examples(operation: &Value) -> Vec<(String, Vec<u8>)> {
    let mut examples = Vec::new();
    for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        for example in content["examples"].as_object().into_iter().flatten().map(|(_, example)| example) {
            let body = match &example["value"] {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            examples.push((media_type.clone(), body.into_bytes()));
        }
    }
    examples
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_bodies_are_taken() {
    let served = served().await;
    let (mut taken, mut settlement) = (0, String::new());
    for (_, path, operation) in operations(&description()) {
        for (media_type, body) in examples(&operation) {
            let token = if media_type == "application/xml" { "token-of-H37132302" } else { YISHUI };
            let path = path.replace("{id}", &settlement);
            let ask = Ask::post(&path, body).with("content-type", &media_type).token(token);
            let answer = served.ask(ask).await.is(200);
            if media_type == "application/json" && path == "/v1/discharges" {
                settlement = answer["settlement_id"].as_str().unwrap().to_owned();
            }
            taken += 1;
        }
    }
    assert_eq!(taken, 6);
    assert_eq!(served.ask(Ask::get("/openapi.json")).await.is(200), description());
}
