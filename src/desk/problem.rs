//! A refusal as a problem document (RFC 9457), in JSON and XML; `schemas/problem.schema.json`.
//!
//! Every one says whether money moved. `title` and `detail` are one text in both languages, as the RFC
//! wants them; `next` and the parts of `errors` keep the languages apart.

use serde::{Deserialize, Serialize, Serializer};
use yizhan_contract::Text;

use super::markup::Markup;
use super::xml::{BILL_NAMESPACE, bill, text};
use crate::refusal::{Code, Money, Refusal};
use crate::settlement::bill::Bill;

pub const JSON_MEDIA_TYPE: &str = "application/problem+json";
pub const XML_MEDIA_TYPE: &str = "application/problem+xml";
/// RFC 9457 appendix B.
const XML_NAMESPACE: &str = "urn:ietf:rfc:7807";
const TYPE_PREFIX: &str = "urn:yizhan:problem:";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Told")]
pub struct Problem {
    /// `urn:yizhan:problem:total_differs`
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(serialize_with = "in_both_languages")]
    pub title: Text,
    pub status: u16,
    #[serde(serialize_with = "in_both_languages")]
    pub detail: Text,
    pub place: Option<String>,
    pub money: Money,
    pub next: Text,
    /// Everything that is wrong, the first included.
    pub errors: Vec<Part>,
    pub trace_id: Option<String>,
    /// The new quote, where an old one was to be committed; the bill, where it was committed for another share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Box<Bill>>,
}

/// One of the things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub code: Code,
    pub title: Text,
    pub detail: Text,
    pub place: Option<String>,
    pub next: Text,
}

/// A problem as it is read: `title` and `detail` are one text, and apart only in the first of `errors`.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    status: u16,
    place: Option<String>,
    money: Money,
    next: Text,
    errors: Vec<Part>,
    trace_id: Option<String>,
    quote: Option<Box<Bill>>,
}

impl TryFrom<Told> for Problem {
    type Error = &'static str;

    fn try_from(told: Told) -> Result<Self, Self::Error> {
        let Told { kind, status, place, money, next, errors, trace_id, quote } = told;
        let Part { title, detail, .. } = errors.first().cloned().ok_or("a problem of nothing")?;
        Ok(Self { kind, title, status, detail, place, money, next, errors, trace_id, quote })
    }
}

impl Problem {
    /// The first refusal speaks for all; the money is where the worst of them leaves it. Without any
    /// refusal the fault is the gateway's own.
    pub fn new(refusals: &[Refusal], trace_id: Option<&str>) -> Self {
        let ours;
        let refusals = match refusals {
            [] => {
                ours = [Refusal::new(Code::Internal, "未说明原因", "no reason was given")];
                &ours[..]
            }
            refusals => refusals,
        };
        let first = &refusals[0];
        let money = refusals.iter().map(|refusal| refusal.money).max_by_key(|money| gravity(*money));
        let money = money.unwrap_or(first.money);
        Self {
            kind: format!("{TYPE_PREFIX}{}", first.code.slug()),
            title: first.code.title(),
            status: first.code.http_status(),
            detail: first.detail.clone(),
            place: first.place.as_deref().map(str::to_owned),
            money,
            next: first.code.next_step(money),
            errors: refusals.iter().map(|refusal| Part::new(refusal, money)).collect(),
            trace_id: trace_id.map(str::to_owned),
            quote: None,
        }
    }

    #[must_use]
    pub fn with_quote(self, quote: Option<Box<Bill>>) -> Self {
        Self { quote, ..self }
    }

    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    pub fn to_xml(&self) -> String {
        Markup::document("problem", XML_NAMESPACE, |xml| {
            xml.leaf("type", &self.kind);
            xml.leaf("title", joined(&self.title));
            xml.leaf("status", self.status);
            xml.leaf("detail", joined(&self.detail));
            xml.optional("place", self.place.as_ref());
            xml.leaf("money", self.money.word());
            text(xml, "next", &self.next);
            // RFC 9457 appendix B names the members of an array `i`.
            xml.element("errors", |xml| {
                for part in &self.errors {
                    xml.element("i", |xml| part.write(xml));
                }
            });
            xml.optional("trace_id", self.trace_id.as_ref());
            if let Some(quote) = &self.quote {
                xml.element_in("quote", BILL_NAMESPACE, |xml| bill(xml, quote));
            }
        })
    }
}

impl Part {
    /// `money` is where the worst of all refusals leaves it.
    fn new(refusal: &Refusal, money: Money) -> Self {
        Self {
            code: refusal.code,
            title: refusal.code.title(),
            detail: refusal.detail.clone(),
            place: refusal.place.as_deref().map(str::to_owned),
            next: refusal.code.next_step(money),
        }
    }

    fn write(&self, xml: &mut Markup) {
        xml.leaf("code", self.code.slug());
        text(xml, "title", &self.title);
        text(xml, "detail", &self.detail);
        xml.optional("place", self.place.as_ref());
        text(xml, "next", &self.next);
    }
}

/// Unconfirmed is worse than moved: nobody knows yet what to undo.
fn gravity(money: Money) -> u8 {
    match money {
        Money::NotMoved => 0,
        Money::Moved => 1,
        Money::BeingConfirmed => 2,
    }
}

fn joined(text: &Text) -> String {
    format!("{} / {}", text.zh, text.en)
}

fn in_both_languages<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&joined(text))
}
