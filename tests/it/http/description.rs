//! `schemas/yizhan.openapi.json` against what is served.

use std::collections::BTreeSet;

use serde_json::Value;
use yizhan::http::routes::{ENDPOINTS, OPENAPI, SCHEMAS};

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

/// A shipped schema as the description holds it: references lead into its components.
fn as_component(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let moved = members.iter().map(|(key, value)| {
                let leads =
                    value.as_str().filter(|_| key == "$ref").and_then(|to| to.strip_prefix("#/$defs/"));
                let value = leads.map(|to| format!("#/components/schemas/{name}.{to}").into());
                (key.clone(), value.unwrap_or_else(|| as_component(name, &members[key])))
            });
            moved.collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(members) => members.iter().map(|value| as_component(name, value)).collect(),
        value => value.clone(),
    }
}

/// The description is read alone, so it holds the schemas themselves: whole, and as they are shipped.
#[test]
fn its_components_are_the_shipped_schemas() {
    let description = description();
    let components = description["components"]["schemas"].as_object().unwrap();
    for (name, file) in [
        ("Discharge", "discharge.schema.json"),
        ("Bill", "bill.schema.json"),
        ("Problem", "problem.schema.json"),
    ] {
        let (_, text) = SCHEMAS.into_iter().find(|(shipped, _)| *shipped == file).unwrap();
        let mut schema: Value = serde_json::from_str(text).unwrap();
        let members = schema.as_object_mut().unwrap();
        let parts = members.remove("$defs").unwrap();
        members.retain(|key, _| !["$schema", "$id"].contains(&key.as_str()));
        if name == "Problem" {
            // One document of its own cannot lead into another's; here both stand side by side.
            let quote = schema["properties"]["quote"].as_object_mut().unwrap();
            quote.remove("type");
            quote.insert("$ref".to_owned(), "#/components/schemas/Bill".into());
        }
        assert_eq!(components[name], as_component(name, &schema), "{file}");
        let parts = parts.as_object().unwrap();
        for (part, schema) in parts {
            assert_eq!(components[&format!("{name}.{part}")], as_component(name, schema), "{file}: {part}");
        }
        let held = components.keys().filter(|key| key.starts_with(&format!("{name}."))).count();
        assert_eq!(held, parts.len(), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schemas_it_names_are_served() {
    let served = served().await;
    let description = description();
    let named = description.pointer("/paths/~1schemas~1{name}/get/parameters/0/schema/enum").unwrap();
    assert_eq!(*named, SCHEMAS.iter().map(|(name, _)| *name).collect::<Value>());
    for (name, text) in SCHEMAS {
        let path = format!("/schemas/{name}");
        let answer = served.ask(Ask::get(&path)).await;
        assert_eq!((answer.status, answer.text()), (200, text), "{path}");
        let media_type =
            if name.ends_with("xsd") { "application/xml; charset=utf-8" } else { "application/schema+json" };
        assert_eq!(answer.header("content-type"), media_type, "{path}");
    }
    served.ask(Ask::get("/schemas/other.xsd")).await.is(404);
    // Every file the description speaks of is one of them.
    for word in
        OPENAPI.split(['"', ' ', '；', '，']).filter(|word| word.contains("schemas/") && !word.contains('#'))
    {
        let name = word.trim_end_matches([';', ',']).strip_prefix("/schemas/").unwrap();
        assert!(name == "{name}" || SCHEMAS.iter().any(|(shipped, _)| *shipped == name), "{word}");
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
