//! Answers of the protocol as they came, into its types.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use yizhan_contract::money::{EXACT_DECIMALS_MAX, MONEY_DECIMALS, RATIO_DECIMALS_MAX};
use yizhan_contract::protocol::{DEADLINE_PASSED, MALFORMED, OPERATION_CONFLICT, TOO_LARGE};

use yizhan_contract::step::PayerCodeError;
use yizhan_contract::{NumberError, Text};

use crate::answers::another_operations;
use crate::wire::{Incoming, Trouble};

/// Characters of a problem document's `place` that are told.
const PLACE_CHARS_MAX: usize = 60;

/// An answer is 200 and JSON of its type; everything else says that nothing is known.
pub(super) fn answer<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, Trouble> {
    if incoming.status != 200 {
        return Err(incoming.refusal(problem(&incoming.body)));
    }
    if let Some(other) = incoming.media_type().filter(|media_type| !is_json(media_type)) {
        return Err(incoming.of_another_type(&other));
    }
    // The types would take a list for their members in order as well.
    if incoming.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Trouble::Unreadable(misfit("a list, expected an object")));
    }
    serde_json::from_slice(&incoming.body).map_err(|why| {
        if why.is_data() {
            Trouble::Unreadable(misfit(&why.to_string()))
        } else {
            incoming.unreadable("JSON", Some(format!("line {}, column {}", why.line(), why.column())))
        }
    })
}

/// Where nothing is said of it, its bytes will tell.
fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// An answer need not repeat the operation it belongs to; one that names another belongs to that one.
///
/// # Errors
/// What is odd about it.
pub(super) fn of_operation(incoming: &Incoming, operation_id: &str) -> Result<(), Text> {
    #[derive(Deserialize)]
    struct Named {
        operation_id: Option<serde_json::Value>,
    }
    let named: Option<Named> = serde_json::from_slice(&incoming.body).ok();
    match named.and_then(|named| named.operation_id) {
        Some(named) if named != operation_id => Err(another_operations()),
        _ => Ok(()),
    }
}

/// JSON that is not the answer it should be. What the answer holds is told nowhere: it may be a person's.
fn misfit(said: &str) -> Text {
    let (said, _) = said.rsplit_once(" at line ").unwrap_or((said, ""));
    let what = without_values(said);
    Text::new(format!("应答不符合协议（{what}）"), format!("the answer does not follow the protocol: {what}"))
}

/// Of the parser's remark, what is ours and not the payer's.
fn without_values(said: &str) -> String {
    if said.starts_with("missing field ") || said.starts_with("duplicate field ") {
        return said.to_owned();
    }
    let is_serdes = ["invalid type", "invalid value", "invalid length", "unknown variant", "a list"];
    if let Some((begin, expected)) = said.split_once(", expected ")
        && is_serdes.iter().any(|known| begin.starts_with(known))
    {
        let what = if begin.starts_with("unknown variant") { "unknown kind" } else { "wrong type" };
        return format!("{what}, expected {expected}");
    }
    // A remark of the contract's own types comes behind the text it is about.
    let ours = remarks().into_iter().find(|remark| said.ends_with(remark.as_str()));
    ours.map_or_else(
        || "a value is not one of those allowed".to_owned(),
        |remark| format!("a value {remark}"),
    )
}

fn remarks() -> Vec<String> {
    let decimals = [MONEY_DECIMALS, RATIO_DECIMALS_MAX, EXACT_DECIMALS_MAX];
    let mut remarks = vec![PayerCodeError.to_string()];
    remarks.extend(decimals.map(|most| NumberError::TooManyDecimals(most).to_string()));
    let numbers =
        [NumberError::NotANumber, NumberError::TooLarge, NumberError::Negative, NumberError::NotARatio];
    remarks.extend(numbers.map(|why| why.to_string()));
    remarks
}

/// Type and place of a problem document (RFC 9457); its `detail` is in the payer's hands and stays out of logs.
fn problem(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(rename = "type")]
        kind: String,
        place: Option<String>,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    let known = [MALFORMED, DEADLINE_PASSED, OPERATION_CONFLICT, TOO_LARGE];
    let kind = known.into_iter().find(|known| problem.kind == *known)?;
    let is_path =
        |c: char| c.is_ascii_alphabetic() || matches!(c, '$' | '.' | '_' | '[' | ']') || c.is_ascii_digit();
    let place = problem.place.filter(|place| place.len() <= PLACE_CHARS_MAX && place.chars().all(is_path));
    // A long number is a person's more likely than a line's.
    let place = place.filter(|place| !has_long_number(place));
    Some(place.map_or_else(|| kind.to_owned(), |place| format!("{kind} {place}")))
}

fn has_long_number(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 6)
}

#[cfg(test)]
mod tests {
    use yizhan_contract::payer::{Coverage, Performed, QuoteAnswer};

    use super::*;

    fn incoming(status: u16, body: &str) -> Incoming {
        Incoming { status, headers: reqwest::header::HeaderMap::new(), body: body.into() }
    }

    /// What a person's data looks like must not come out again.
    const PERSON: &str = "王小明11010519491231002X";

    fn check<T: DeserializeOwned + std::fmt::Debug>(body: &str, expected: &str) {
        let trouble = answer::<T>(&incoming(200, body)).unwrap_err();
        let told = trouble.sentence();
        assert!(told.contains(expected), "{body}: {told}");
        assert!(!told.contains("王小明") && !told.contains("1101051949"), "{body}: {told}");
        assert!(trouble.is_transport(), "{body}");
    }

    #[test]
    fn what_is_wrong_is_named_and_what_was_said_is_not() {
        check::<QuoteAnswer>("{", "JSON (line 1, column 1)");
        check::<QuoteAnswer>("", "empty");
        check::<QuoteAnswer>("  <html><body>502</body></html>", "a web page, not JSON");
        check::<QuoteAnswer>(PERSON, "no JSON");
        check::<QuoteAnswer>(r#"["not_covered"]"#, "wrong type, expected an object");
        check::<QuoteAnswer>(
            r#"{"answer":"refused","code":"a","code":"b","message":"c"}"#,
            "duplicate field `code`",
        );
        check::<QuoteAnswer>("{}", "missing field `answer`");
        check::<QuoteAnswer>(&format!(r#"{{"answer":"{PERSON}"}}"#), "unknown kind, expected one of `quote`");
        check::<QuoteAnswer>(r#"{"answer":"refused","code":"x"}"#, "missing field `message`");
        let amounts = |amount: &str| {
            format!(
                r#"{{"answer":"done","reference":"r","amounts":[{{"payer":"basic","amount":{amount}}}]}}"#
            )
        };
        check::<Performed>(&amounts("155.07"), "expected a decimal number written as text");
        check::<Performed>(&amounts("11010519491231002"), "expected a decimal number written as text");
        check::<Performed>(&amounts("\"155.075\""), "has more than 2 decimals");
        check::<Performed>(&amounts(&format!("\"{PERSON}\"")), "is not a plain decimal number");
        check::<Performed>(
            &format!(
                r#"{{"answer":"done","reference":"r","amounts":[{{"payer":"{PERSON}","amount":"1.00"}}]}}"#
            ),
            "is no payer code",
        );
        let on = format!(
            r#"{{"answer":"covers","covers":[{{"payer":"basic","in_force":true,"from":"{PERSON}"}}]}}"#
        );
        check::<Coverage>(&on, "a value");
    }

    #[test]
    fn members_nobody_knows_are_ignored() {
        let read = answer::<QuoteAnswer>(&incoming(200, r#"{"answer":"not_covered","note":[1],"x":{}}"#));
        assert_eq!(read.unwrap(), QuoteAnswer::NotCovered);
    }

    #[test]
    fn another_status_is_no_answer_whatever_its_body() {
        for (status, body, expected) in [
            (500, r#"{"answer":"not_covered"}"#, "HTTP 500"),
            (201, r#"{"answer":"not_covered"}"#, "HTTP 201"),
            (302, "", "HTTP 302"),
            (404, "<html>", "HTTP 404"),
            (409, r#"{"type":"operation_conflict","title":"x","status":409}"#, "HTTP 409 operation_conflict"),
            (
                400,
                r#"{"type":"malformed","place":"$.ask.legs[0].payer"}"#,
                "HTTP 400 malformed $.ask.legs[0].payer",
            ),
            (400, r#"{"type":"malformed","place":"11010519491231002"}"#, "HTTP 400 malformed"),
            (400, r#"{"type":"王小明","place":"王小明"}"#, "HTTP 400"),
        ] {
            let trouble = answer::<QuoteAnswer>(&incoming(status, body)).unwrap_err();
            assert!(trouble.sentence().ends_with(expected), "{}", trouble.sentence());
            assert_eq!(trouble.is_transport(), status >= 500, "{status}");
        }
    }

    #[test]
    fn a_busy_payer_says_until_when() {
        for (status, header, later) in [
            (429, Some("7"), Some(7)),
            (503, Some("7"), Some(7)),
            (503, Some("99999999"), Some(3_600)),
            (429, None, None),
            (429, Some("Fri, 27 Nov 2026 00:00:00 GMT"), None),
        ] {
            let mut busy = incoming(status, "");
            if let Some(header) = header {
                busy.headers.insert("retry-after", header.parse().unwrap());
            }
            let trouble = answer::<QuoteAnswer>(&busy).unwrap_err();
            let later = later.map(std::time::Duration::from_secs);
            assert_eq!(trouble, Trouble::Busy { status, later });
            assert!(!trouble.is_transport());
        }
        assert!(answer::<QuoteAnswer>(&incoming(503, "")).unwrap_err().is_transport());
    }
}
