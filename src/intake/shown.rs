//! What is shown of the names that a document gives its members and elements. They are the sender's and may be anything,
//! a person's name too: shown are those that a schema has.

use crate::settlement::names;

/// Any name, in XPath and JSONPath; elements beside it in a place are counted, and line and column say the rest.
pub const ANY: &str = "*";
/// Elements of HL7 in XML that are neither segments nor parts of one.
const OF_HL7: &[&str] = &["HL7Message", "escape"];

/// The name itself where the normal form or HL7 has it.
pub fn shown(name: &str) -> &str {
    if names::is_word(name) || name == "discharge" || is_of_hl7(name) { name } else { ANY }
}

/// `PID`, `PID.3`, `PID.3.1`, `CX.4`, `ADT_A03`; not a group, whose name no place needs.
fn is_of_hl7(name: &str) -> bool {
    if OF_HL7.contains(&name) {
        return true;
    }
    match (name.split_once('.'), name.split_once('_')) {
        (Some((base, numbers)), _) => {
            let is_numbers = |c: char| c.is_ascii_digit() || c == '.';
            is_code(base)
                && (2..=3).contains(&base.len())
                && !numbers.is_empty()
                && numbers.chars().all(is_numbers)
        }
        (None, Some((message, event))) => {
            let is_event = event.len() == 3 && event.bytes().skip(1).all(|byte| byte.is_ascii_digit());
            is_code(message) && message.len() == 3 && is_code(event) && is_event
        }
        (None, None) => is_code(name) && name.len() == 3,
    }
}

/// Capitals and digits, a capital first.
fn is_code(text: &str) -> bool {
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    text.chars().all(is_upper) && text.starts_with(|c: char| c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_that_a_schema_has() {
        for name in ["visit", "lines", "line", "payer_settlement", "bed", "id_number", "total", "credit_of"] {
            assert_eq!(shown(name), name);
        }
        for name in ["PID", "IN1", "PID.3", "PID.3.10", "CX.4", "XPN.1", "ADT_A03", "HL7Message", "escape"] {
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn others_may_be_a_persons() {
        for name in [
            "王小明",
            "bett",
            "visit.bed",
            "ADT_王小明",
            "王小明.1",
            "PID.王",
            "WANG",
            "PID.",
            "LI",
            "ABC_王",
            "",
        ] {
            assert_eq!(shown(name), ANY, "{name}");
        }
    }
}
