//! `schemas/adapter.openapi.json` against the types an insurer compiles against.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use yizhan_contract::payer::{Coverage, Manifest, Performed, QuoteAnswer, Status, Visited};
use yizhan_contract::protocol::{
    BUSY, CommitRequest, CoverageRequest, DEADLINE_PASSED, Description, FAILED, MALFORMED,
    METHOD_NOT_ALLOWED, OPERATION_CONFLICT, QuoteRequest, ReverseRequest, Statement, StatusRequest,
    TOO_LARGE, UNKNOWN_VERB, UNSUPPORTED_MEDIA_TYPE, VisitRequest,
};
use yizhan_contract::revealing;

const OPENAPI: &str = include_str!("../../schemas/adapter.openapi.json");

fn description() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// What a schema of the page says of a value: every violation with its place.
fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut root = schema.clone();
    root["components"] = description()["components"].clone();
    let validator = jsonschema::validator_for(&root).unwrap();
    validator.iter_errors(value).map(|error| format!("{} {error}", error.instance_path())).collect()
}

/// One body of one operation.
struct Body {
    /// The path and `request`, or `answer` and its status.
    place: String,
    schema: Value,
    examples: Vec<(String, Value)>,
}

/// What a reference leads to; anything else is itself.
fn resolved(value: &Value) -> Value {
    match value["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
        Some(place) => description().pointer(place).unwrap_or_else(|| panic!("{place} is nowhere")).clone(),
        None => value.clone(),
    }
}

/// Every body that is sent or answered.
fn bodies() -> Vec<Body> {
    let mut found = Vec::new();
    for (path, methods) in description()["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let request = operation.get("requestBody").map(|body| ("request".to_owned(), body.clone()));
            let answers = operation["responses"].as_object().unwrap().iter();
            let answers = answers.map(|(status, answer)| (format!("answer {status}"), resolved(answer)));
            for (side, body) in request.into_iter().chain(answers) {
                for content in body["content"].as_object().unwrap().values() {
                    let examples = content["examples"].as_object().into_iter().flatten();
                    let examples = examples.map(|(name, example)| (name.clone(), example["value"].clone()));
                    let (place, schema) = (format!("{path} {side}"), content["schema"].clone());
                    found.push(Body { place, schema, examples: examples.collect() });
                }
            }
        }
    }
    found
}

/// What tells the kinds of a message apart, and the kinds there are; of one that has none, nothing.
fn kinds(schema: &Value) -> Vec<(&'static str, Value)> {
    let schema = resolved(schema);
    let answers = schema["oneOf"].as_array().into_iter().flatten();
    let answers = answers.map(|kind| ("/answer", resolved(kind)["properties"]["answer"]["const"].clone()));
    let event = resolved(&schema["properties"]["event"]);
    let events = event["properties"]["kind"]["enum"].as_array().into_iter().flatten();
    answers.chain(events.map(|kind| ("/event/kind", kind.clone()))).collect()
}

/// Every example with its schema, under the name of its operation.
fn examples() -> Vec<(String, Value, Value)> {
    let of = |body: Body| {
        let Body { place, schema, examples } = body;
        let named = move |(name, value)| (format!("{place} {name}"), schema.clone(), value);
        examples.into_iter().map(named)
    };
    bodies().into_iter().flat_map(of).collect()
}

/// A value read into its type and written again.
fn through<T: DeserializeOwned + Serialize>(value: &Value) -> Value {
    let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|why| panic!("{why}: {value}"));
    revealing(|| serde_json::to_value(&read).unwrap())
}

fn through_its_type(place: &str, value: &Value) -> Value {
    let (path, side) = place.split_once(' ').unwrap();
    if !side.starts_with("request") && !side.starts_with("answer 200") {
        // What refuses is a document of its own, which nobody reads into a type.
        return value.clone();
    }
    match (path, side.starts_with("request")) {
        ("/v1/describe", _) => through::<Description>(value),
        ("/v1/coverage", true) => through::<CoverageRequest>(value),
        ("/v1/coverage", false) => through::<Coverage>(value),
        ("/v1/visit", true) => through::<VisitRequest>(value),
        ("/v1/visit", false) => through::<Visited>(value),
        ("/v1/quote", true) => through::<QuoteRequest>(value),
        ("/v1/quote", false) => through::<QuoteAnswer>(value),
        ("/v1/commit", true) => through::<CommitRequest>(value),
        ("/v1/reverse", true) => through::<ReverseRequest>(value),
        ("/v1/commit" | "/v1/reverse", false) => through::<Performed>(value),
        ("/v1/status", true) => through::<StatusRequest>(value),
        ("/v1/status", false) => through::<Status>(value),
        ("/v1/statement", _) => through::<Statement>(value),
        _ => panic!("{place} has no type"),
    }
}

#[test]
fn every_example_is_what_its_schema_and_its_type_say() {
    for (place, schema, value) in examples() {
        assert_eq!(violations(&schema, &value), Vec::<String>::new(), "{place}");
        let written = through_its_type(&place, &value);
        assert_eq!(violations(&schema, &written), Vec::<String>::new(), "{place}");
        assert_eq!(through_its_type(&place, &written), written, "{place}");
        let lost: Vec<_> = missing(&value, &written, "$");
        assert!(lost.is_empty(), "{place}: {lost:?}");
    }
}

/// Each body has an example, and one of each of its kinds: every answer, every event, every reason to refuse.
#[test]
fn there_is_an_example_of_every_kind_of_every_message() {
    let mut refusals = BTreeSet::new();
    for Body { place, schema, examples } in bodies() {
        assert!(!examples.is_empty(), "{place} has no example");
        let kinds = kinds(&schema);
        // A book and a description are answered in one way.
        let has_kinds =
            place.ends_with(" 200") && !place.contains("/describe") && !place.contains("/statement");
        assert!(!has_kinds || 1 < kinds.len(), "{place} has {kinds:?}");
        for (member, kind) in kinds {
            let is_there = examples.iter().any(|(_, value)| value.pointer(member) == Some(&kind));
            assert!(is_there, "{place} has no example of {kind}");
        }
        if schema["$ref"] == "#/components/schemas/Problem" {
            refusals.extend(examples.iter().map(|(_, value)| value["type"].as_str().unwrap().to_owned()));
        }
    }
    let problem = resolved(&json!({"$ref": "#/components/schemas/Problem"}));
    let known = problem["properties"]["type"]["enum"].as_array().unwrap().iter();
    let known: BTreeSet<String> = known.map(|kind| kind.as_str().unwrap().to_owned()).collect();
    assert_eq!(refusals, known);
    let sent = [
        MALFORMED,
        DEADLINE_PASSED,
        OPERATION_CONFLICT,
        TOO_LARGE,
        UNKNOWN_VERB,
        METHOD_NOT_ALLOWED,
        UNSUPPORTED_MEDIA_TYPE,
        BUSY,
        FAILED,
    ];
    assert_eq!(known, sent.map(str::to_owned).into());
}

/// Members of an example that its type does not write as they were.
fn missing(of: &Value, within: &Value, at: &str) -> Vec<String> {
    match (of, within) {
        (Value::Object(of), Value::Object(within)) => of
            .iter()
            .flat_map(|(name, value)| {
                let at = format!("{at}.{name}");
                within.get(name).map_or_else(|| vec![at.clone()], |within| missing(value, within, &at))
            })
            .collect(),
        (Value::Array(of), Value::Array(within)) if of.len() == within.len() => {
            of.iter().zip(within).flat_map(|(of, within)| missing(of, within, at)).collect()
        }
        // A type may leave out what says nothing.
        _ if of == within || (of.is_null() && within.is_null()) => Vec::new(),
        _ => vec![format!("{at}: {of} written as {within}")],
    }
}

#[test]
fn an_answer_of_no_kind_is_no_answer() {
    for body in [
        json!({}),
        json!({"answer": "ok", "amounts": [], "reference": "R1"}),
        json!({"answer": "done", "amounts": [], "reference": null}),
        json!({"answer": "done", "amounts": [{"payer": "basic", "amount": 1.5}], "reference": "R1"}),
        json!({"answer": "done", "amounts": [{"payer": "basic", "amount": "1.555"}], "reference": "R1"}),
        json!({"answer": "done", "amounts": [{"payer": "Basic", "amount": "1.50"}], "reference": "R1"}),
        json!({"answer": "done", "amounts": {"basic": "1.50"}, "reference": "R1"}),
        json!("done"),
    ] {
        assert!(serde_json::from_value::<Performed>(body.clone()).is_err(), "{body}");
    }
    let with_more = json!({"answer": "refused", "code": "no", "message": "不赔", "trace": "T1"});
    assert!(serde_json::from_value::<Performed>(with_more).is_ok(), "what nobody knows is passed over");
}

#[test]
fn a_cautious_manifest_promises_nothing() {
    let manifest = Manifest::cautious("acme", "1", vec!["supplementary".parse().unwrap()]);
    let written = serde_json::to_value(&manifest).unwrap();
    let schema = &description()["components"]["schemas"]["Manifest"];
    assert_eq!(violations(schema, &written), Vec::<String>::new());
    let promises = ["quotes_are_firm", "commits_are_idempotent", "optional", "commits_zero", "sees_visits"];
    assert!(promises.iter().all(|promise| written[promise] == json!(false)), "{written}");
    assert_eq!((&written["reverse_window_s"], &written["needs"]), (&Value::Null, &json!([])));
}
