//! One request: who asks, in what form the answer is wanted, and how a refusal is said.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;
use uuid::Uuid;

use super::accept::{self, Form};
use super::caller::{Caller, bearer};
use super::pass;
use super::server::{Reading, Shared};
use crate::desk::pages;
use crate::desk::problem::{self, Problem};
use crate::desk::words::Lang;
use crate::intake::reception::Reception;
use crate::refusal::{Code, Refusal};
use crate::settlement::gateway::no_such_settlement;
use crate::settlement::outcome::Refused;
use crate::telemetry::{self, Channel};

const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Of a query that is refused, shown as its place.
const QUERY_NAMES_MAX: usize = 8;
const QUERY_NAME_CHARS_MAX: usize = 32;
/// The measure is requests per second.
const RETRY_AFTER_REFUSED_SECONDS: &str = "1";
/// A store or a payer that is away is seldom back at once.
const RETRY_AFTER_OUTAGE_SECONDS: &str = "5";

/// A request's answer, or why there is none.
pub(super) type Answered = Result<HttpResponse, Refused>;

/// The request, as every handler takes it.
pub(super) struct Asked {
    pub shared: web::Data<Shared>,
    pub request: HttpRequest,
    pub trace_id: Uuid,
}

/// The form an answer is wanted in, and how long it is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub form: Form,
    pub lang: Lang,
    pub patience: Duration,
}

#[derive(Clone, Copy)]
struct TraceId(Uuid);

#[derive(Deserialize)]
struct Passed {
    pass: Option<String>,
}

impl FromRequest for Asked {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let shared = request.app_data::<web::Data<Shared>>();
        let trace_id = request.extensions().get::<TraceId>().copied();
        ready(match (shared, trace_id) {
            (Some(shared), Some(TraceId(trace_id))) => {
                Ok(Self { shared: shared.clone(), request: request.clone(), trace_id })
            }
            _ => Err(ErrorInternalServerError("the request is not traced")),
        })
    }
}

/// Around every request: gives it its trace id, and tells how it ended.
pub(super) async fn traced(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(shared) = request.app_data::<web::Data<Shared>>().cloned() else {
        return Err(ErrorInternalServerError("the interface has no state"));
    };
    let runtime = shared.given.reception.gateway().runtime();
    let (began, trace_id) = (runtime.now(), runtime.next_id());
    request.extensions_mut().insert(TraceId(trace_id));
    let span = tracing::info_span!("request", %trace_id);
    let mut response = next.call(request).instrument(span.clone()).await?;
    let header = HeaderValue::from_str(&trace_id.to_string()).map_err(ErrorInternalServerError)?;
    response.headers_mut().insert(TRACE_ID, header);
    let took = Duration::try_from(runtime.now().duration_since(began)).unwrap_or_default();
    // The pattern, not the path: people paste anything into an address.
    let route = response.request().match_pattern();
    let status = response.status().as_u16();
    span.in_scope(|| telemetry::request_answered(route.as_deref().unwrap_or("-"), status, took));
    Ok(response)
}

pub(super) async fn nothing_here(asked: Asked) -> HttpResponse {
    asked.refuse(&Refusal::new(Code::NotFound, "该地址不存在", "no such address").into())
}

/// `methods` as the `Allow` header lists them.
pub(super) fn other_method(asked: &Asked, methods: &str) -> HttpResponse {
    let zh = format!("该地址只接受 {methods}");
    let refusal = Refusal::new(Code::MethodNotAllowed, zh, format!("this address takes {methods} only"));
    let mut response = asked.refuse(&refusal.into());
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

impl Asked {
    pub(super) fn reception(&self) -> &Reception {
        &self.shared.given.reception
    }

    /// The hospital that asks, within its measure.
    pub(super) fn caller(&self) -> Result<Caller, Refusal> {
        let token = self.header(&AUTHORIZATION).and_then(bearer);
        let caller = token.and_then(|token| Caller::of_token(token, self.reception().profiles()));
        let caller = caller.ok_or_else(unauthorized)?;
        self.admit(&caller.hospital)?;
        Ok(caller)
    }

    /// Who reads; `None`: anybody may, and nobody said who.
    pub(super) fn reader(&self) -> Result<Option<Caller>, Refusal> {
        let is_named = self.request.headers().contains_key(AUTHORIZATION);
        match self.shared.given.reading {
            Reading::Open if !is_named => Ok(None),
            Reading::Open | Reading::Token => self.caller().map(Some),
        }
    }

    /// What the answer shall be like; asked before anything is done.
    pub(super) fn wish(&self, offered: &[Form], lang: Option<&str>) -> Result<Wish, Refusal> {
        let form = Form::wanted(&self.headers(&ACCEPT), offered).ok_or_else(not_acceptable)?;
        let lang = lang.map(Lang::from_query).unwrap_or_default();
        Ok(Wish { form, lang, patience: accept::wait(&self.headers(&PREFER)) })
    }

    /// A misspelt parameter is refused: `?mod=quote` must not settle.
    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let read = web::Query::<T>::from_query(self.request.query_string());
        read.map(web::Query::into_inner).map_err(|_| {
            let (zh, en) = ("查询参数未知或取值无效", "a query parameter is unknown or has an invalid value");
            Refusal::new(Code::BadValue, zh, en).at(format!("?{}", self.query_names()))
        })
    }

    /// The letters of the names alone: values may hold anything, and so may a name that is none.
    fn query_names(&self) -> String {
        let names = self.request.query_string().split('&').map(|pair| pair.split('=').next().unwrap_or(pair));
        let is_letter = |c: &char| c.is_ascii_lowercase() || *c == '_';
        let letters =
            |name: &str| -> String { name.chars().filter(is_letter).take(QUERY_NAME_CHARS_MAX).collect() };
        names.map(letters).take(QUERY_NAMES_MAX).collect::<Vec<_>>().join("&")
    }

    /// What stands in the address where its pattern says `{part}`.
    pub(super) fn named(&self, part: &str) -> Option<&str> {
        self.request.match_info().get(part)
    }

    /// The settlement of the address.
    pub(super) fn settlement_id(&self) -> Result<Uuid, Refusal> {
        let id = self.named("id").and_then(|id| id.parse().ok());
        id.ok_or_else(no_such_settlement)
    }

    /// Within its measure, a hospital whose sheet somebody opens by a pass.
    pub(super) fn admit(&self, hospital: &Arc<str>) -> Result<(), Refusal> {
        if self.shared.limiter.admits(hospital) { Ok(()) } else { Err(too_many_requests()) }
    }

    pub(super) fn is_opened_by(&self, pass: &str, settlement: Uuid) -> bool {
        let now = self.reception().gateway().runtime().now();
        self.shared.given.passes.opens(pass, settlement, now)
    }

    /// Where a browser finds a settlement's sheet; who came by a pass gets no longer one.
    pub(super) fn sheet_link(&self, settlement: Uuid) -> String {
        let own = web::Query::<Passed>::from_query(self.request.query_string()).ok();
        let own =
            own.and_then(|own| own.into_inner().pass).filter(|pass| self.is_opened_by(pass, settlement));
        let now = self.reception().gateway().runtime().now();
        let pass = own.unwrap_or_else(|| self.shared.given.passes.pass(settlement, now));
        pass::link(settlement, &pass)
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// A header that may be given several times, as one list.
    fn headers(&self, name: &HeaderName) -> String {
        let values = self.request.headers().get_all(name).filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    }

    pub(super) fn answer(&self, answered: Answered) -> HttpResponse {
        answered.unwrap_or_else(|refused| self.refuse(&refused))
    }

    /// A refusal that was not told before.
    pub(super) fn refuse(&self, refused: &Refused) -> HttpResponse {
        let trace_id = self.trace_id.to_string();
        for refusal in &refused.refusals {
            telemetry::refused(Channel::Http, &trace_id, refusal.code.slug(), refusal.place.as_deref());
        }
        self.problem(refused)
    }

    /// The problem document, in the form that was asked for where it has one, else JSON.
    pub(super) fn problem(&self, refused: &Refused) -> HttpResponse {
        let form = Form::wanted(&self.headers(&ACCEPT), Form::OF_PROBLEMS).unwrap_or(Form::Json);
        let problem = Problem::new(&refused.refusals, Some(&self.trace_id.to_string()))
            .with_quote(refused.quote.clone());
        let mut response = respond(problem.status, refused.refusals.first().map(|refusal| refusal.code));
        match form {
            Form::Xml => response.content_type(problem::XML_MEDIA_TYPE).body(problem.to_xml()),
            Form::Html => {
                response.content_type(super::answer::HTML).body(pages::problem(&problem).unwrap_or_default())
            }
            Form::Json | Form::Hl7 => {
                response.content_type(problem::JSON_MEDIA_TYPE).body(problem.to_json().unwrap_or_default())
            }
        }
    }
}

/// The head of a refusal's answer.
pub(super) fn respond(status: u16, code: Option<Code>) -> actix_web::HttpResponseBuilder {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    match code {
        Some(Code::Unauthorized) => {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"yizhan\""));
        }
        Some(Code::TooManyRequests) => {
            response.insert_header((RETRY_AFTER, RETRY_AFTER_REFUSED_SECONDS));
        }
        Some(Code::StoreUnavailable | Code::PayerUnavailable) => {
            response.insert_header((RETRY_AFTER, RETRY_AFTER_OUTAGE_SECONDS));
        }
        _ => {}
    }
    response
}

fn unauthorized() -> Refusal {
    Refusal::new(
        Code::Unauthorized,
        "缺少访问令牌，或令牌无效",
        "the bearer token is missing or belongs to no hospital",
    )
}

fn too_many_requests() -> Refusal {
    Refusal::new(Code::TooManyRequests, "该医院每秒请求数超限", "the hospital asks more often than it may")
}

fn not_acceptable() -> Refusal {
    Refusal::new(Code::NotAcceptable, "Accept 中没有可用的格式", "Accept names no form there is here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_there_again_says_when_to_ask() {
        for code in Code::ALL {
            let response = respond(code.http_status(), Some(*code)).finish();
            let says_when = response.headers().contains_key(RETRY_AFTER);
            assert_eq!(says_when, matches!(code.http_status(), 429 | 503), "{code:?}");
        }
    }
}
