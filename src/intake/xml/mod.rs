//! XML in: our own discharge document, and any other through the paths of a profile.
//!
//! [`tree`] reads any document once, cheaply, and refuses what could hurt; [`discharge`] and [`map`]
//! give its text the names of the normal form. Strict types decide what is accepted; the schema is for
//! those who write documents: [`check`] names the lines it finds fault with.

pub mod discharge;
pub mod map;
pub mod tree;

use std::borrow::Cow;

/// The schema of the discharge document, as shipped.
pub const DISCHARGE_XSD: &str = include_str!("../../../schemas/discharge.xsd");

/// A fault found by the schema. The sentence is the validator's and may quote the document, so it is
/// for the document's author only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    pub line: Option<usize>,
    pub message: String,
}

/// The root as the schema declares it, and as its comment says to declare it for the repeated form.
const ROOT: &str = "name=\"discharge\" type=\"discharge\"";
const REPEATED_ROOT: &str = "name=\"discharge\" type=\"repeated_discharge\"";

/// Holds a document against `schemas/discharge.xsd`, in whichever of its two forms it is written; empty: valid. A
/// second opinion: it never refuses what the types accept.
pub fn check(document: &str) -> Vec<SchemaFault> {
    let fault = |message: String| vec![SchemaFault { line: None, message }];
    let document = match uppsala::parse(document) {
        Ok(document) => document,
        Err(why) => return fault(why.to_string()),
    };
    let text = if is_repeated_form(&document) {
        Cow::Owned(DISCHARGE_XSD.replace(ROOT, REPEATED_ROOT))
    } else {
        Cow::Borrowed(DISCHARGE_XSD)
    };
    let schema = match uppsala::parse(&text) {
        Ok(schema) => schema,
        Err(why) => return fault(why.to_string()),
    };
    let validator = match uppsala::XsdValidator::from_schema(&schema) {
        Ok(validator) => validator,
        Err(why) => return fault(why.to_string()),
    };
    let faults = validator.validate(&document).into_iter();
    faults.map(|why| SchemaFault { line: why.line, message: why.message }).collect()
}

/// Whether a list of the document is itself its one entry: no element of the entry's own name stands in it.
fn is_repeated_form(document: &uppsala::Document<'_>) -> bool {
    let name = |node| document.element(node).map(|element| element.name.local_name.as_ref());
    let lists = document.document_element().into_iter().flat_map(|root| document.children(root));
    lists.into_iter().any(|list| {
        let entry = match name(list) {
            Some("lines") => "line",
            Some("diagnoses") => "diagnosis",
            Some("settled_elsewhere") => "payer_settlement",
            _ => return false,
        };
        let mut members = document.children(list).into_iter().filter_map(name).peekable();
        members.peek().is_some() && members.all(|member| member != entry)
    })
}
