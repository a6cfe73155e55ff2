//! What is about the gateway itself: whether it is well, its figures, its description, its pages.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use yizhan_contract::Text;

use super::accept::Form;
use super::answer::{self, HTML, JSON};
use super::asked::{Answered, Asked, nothing_here};
use crate::desk::pages::{self, Listed};
use crate::intake::xml::DISCHARGE_XSD;
use crate::refusal::{Code, Refusal};
use crate::settlement::gateway::store_refusal;

/// The interface, described; the same file that is shipped.
pub const OPENAPI: &str = include_str!("../../schemas/yizhan.openapi.json");
/// The documents that come in and go out, described: the same files that are shipped.
pub const SCHEMAS: [(&str, &str); 5] = [
    ("discharge.schema.json", include_str!("../../schemas/discharge.schema.json")),
    ("discharge.xsd", DISCHARGE_XSD),
    ("bill.schema.json", include_str!("../../schemas/bill.schema.json")),
    ("bill.xsd", include_str!("../../schemas/bill.xsd")),
    ("problem.schema.json", include_str!("../../schemas/problem.schema.json")),
];
const JSON_SCHEMA_MEDIA_TYPE: &str = "application/schema+json";
const XSD_MEDIA_TYPE: &str = "application/xml; charset=utf-8";
/// Prometheus' text form.
const METRICS_MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    lang: Option<String>,
}

/// The process answers; says nothing of the store.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type(JSON).body(r#"{"status":"ok"}"#)
}

/// The store answers, too: messages can be taken in.
pub(super) async fn ready(asked: Asked) -> HttpResponse {
    match asked.reception().gateway().store().ping().await {
        Ok(()) => HttpResponse::Ok().json(Ready { status: "ready", adapters: notes(&asked) }),
        Err(error) => asked.refuse(&store_refusal(&error).into()),
    }
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    /// What an operator should know of them; a gateway is ready all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    adapters: Vec<Text>,
}

fn notes(asked: &Asked) -> Vec<Text> {
    asked.reception().gateway().directory().notes()
}

pub(super) async fn metrics(asked: Asked) -> HttpResponse {
    HttpResponse::Ok().content_type(METRICS_MEDIA_TYPE).body(asked.shared.given.metrics.render())
}

pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type(JSON).body(OPENAPI)
}

/// A schema by its file name.
pub(super) async fn schema(asked: Asked) -> HttpResponse {
    let wanted = asked.named("name");
    let Some((name, text)) = SCHEMAS.into_iter().find(|(name, _)| wanted == Some(name)) else {
        return nothing_here(asked).await;
    };
    let media_type = if name.ends_with(".xsd") { XSD_MEDIA_TYPE } else { JSON_SCHEMA_MEDIA_TYPE };
    HttpResponse::Ok().content_type(media_type).body(text)
}

/// The demonstration's list of bills.
pub(super) async fn index(asked: Asked) -> HttpResponse {
    asked.answer(list(&asked).await)
}

async fn list(asked: &Asked) -> Answered {
    let Query { lang } = asked.query()?;
    let wish = asked.wish(&[Form::Html], lang.as_deref())?;
    let gateway = asked.reception().gateway();
    let mut rows = Vec::new();
    for id in asked.shared.given.recent.newest_first() {
        let found = gateway.settlement(id).await.map_err(|error| store_refusal(&error))?;
        let Some(found) = found else { continue };
        let bill = found.settlement.bill;
        let name = answer::hospital_name(asked, wish, &bill.hospital);
        rows.push((bill, name, answer::address(id)));
    }
    let listed: Vec<Listed<'_>> =
        rows.iter().map(|(bill, name, href)| Listed { bill, hospital_name: name, href }).collect();
    let page = pages::index(&listed, wish.lang).map_err(|_| page_broken())?;
    Ok(HttpResponse::Ok().content_type(HTML).body(page))
}

fn page_broken() -> Refusal {
    Refusal::new(Code::Internal, "页面无法生成", "the page cannot be made")
}
