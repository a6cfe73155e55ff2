//! XML in: our own discharge document, and any other through the paths of a profile.
//!
//! [`tree`] reads any document once, cheaply, and refuses what could hurt; [`discharge`] and [`map`]
//! give its text the names of the normal form. Strict types decide what is accepted; the schema is for
//! those who write documents: [`check`] names the lines it finds fault with.

pub mod discharge;
pub mod map;
pub mod tree;

/// The schema of the discharge document, as shipped.
pub const DISCHARGE_XSD: &str = include_str!("../../../schemas/discharge.xsd");

/// A fault found by the schema. The sentence is the validator's and may quote the document, so it is
/// for the document's author only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    pub line: Option<usize>,
    pub message: String,
}

/// Holds a document against `schemas/discharge.xsd`; empty: valid. A second opinion: it never refuses
/// what the types accept.
pub fn check(document: &str) -> Vec<SchemaFault> {
    let fault = |message: String| vec![SchemaFault { line: None, message }];
    let schema = match uppsala::parse(DISCHARGE_XSD) {
        Ok(schema) => schema,
        Err(why) => return fault(why.to_string()),
    };
    let validator = match uppsala::XsdValidator::from_schema(&schema) {
        Ok(validator) => validator,
        Err(why) => return fault(why.to_string()),
    };
    match uppsala::parse(document) {
        Ok(document) => validator
            .validate(&document)
            .into_iter()
            .map(|why| SchemaFault { line: why.line, message: why.message })
            .collect(),
        Err(why) => fault(why.to_string()),
    }
}
