//! Requests into the protocol's types, answers into JSON.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Method;
use jiff::civil::Date;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use yizhan_contract::protocol::{
    CommitRequest, CoverageRequest, Description, Head, QuoteRequest, ReverseRequest, StatusRequest, Version,
    VisitRequest,
};

use super::door::{Asked, Handler, Reply};
use super::problem::{Problem, ProblemKind, malformed};
use super::verbs::{Refusal, Verbs};

/// Requests in hand at once; the next one is told to come again.
const IN_HAND_MAX: usize = 512;
/// Characters of an operation id (`schemas/adapter.openapi.json`).
const OPERATION_ID_CHARS_MAX: usize = 64;

/// Speaks the protocol for whoever answers its verbs.
#[derive(Debug)]
pub struct Desk<V> {
    verbs: V,
    in_hand: Semaphore,
}

/// No answer of the verb: a problem document, or nothing at all.
struct Unanswered(Option<Problem>);

impl From<Problem> for Unanswered {
    fn from(problem: Problem) -> Self {
        Self(Some(problem))
    }
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self(match refusal {
            Refusal::Silence => None,
            Refusal::Conflict => Some(Problem::of(ProblemKind::OperationConflict)),
            Refusal::Failed => Some(Problem::of(ProblemKind::Failed)),
            Refusal::Busy { retry_after_s } => {
                Some(Problem { retry_after_s: Some(retry_after_s), ..Problem::of(ProblemKind::Busy) })
            }
        })
    }
}

impl<V: Verbs> Handler for Desk<V> {
    fn handle(self: Arc<Self>, asked: Asked) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send>> {
        Box::pin(async move {
            let answered = match self.in_hand.try_acquire() {
                Ok(_place) => self.answer(&asked).await,
                Err(_) => Err(Refusal::Busy { retry_after_s: 1 }.into()),
            };
            match answered {
                Ok(reply) => Some(reply),
                Err(Unanswered(problem)) => problem.map(|problem| problem.reply()),
            }
        })
    }
}

impl<V: Verbs> Desk<V> {
    pub fn of(verbs: V) -> Self {
        Self { verbs, in_hand: Semaphore::new(IN_HAND_MAX) }
    }

    async fn answer(&self, asked: &Asked) -> Result<Reply, Unanswered> {
        let (verbs, at) = (&self.verbs, asked.at);
        match asked.path.as_str() {
            "/v1/describe" => {
                asked_by(asked, &Method::GET, "GET")?;
                said(&Description { protocol: Version::One, manifest: verbs.manifest().clone() })
            }
            "/v1/statement" => {
                asked_by(asked, &Method::GET, "GET")?;
                let (day, after) = day_and_after(asked.query.as_deref().unwrap_or_default())?;
                said(&verbs.statement(day, after, at).await?)
            }
            "/v1/coverage" => said(&verbs.coverage(&read(asked)?, at).await?),
            "/v1/visit" => said(&verbs.visit(&read(asked)?, at).await?),
            "/v1/quote" => said(&verbs.quote(&read(asked)?, at).await?),
            "/v1/commit" => said(&verbs.commit(&read(asked)?, at).await?),
            "/v1/reverse" => said(&verbs.reverse(&read(asked)?, at).await?),
            "/v1/status" => said(&verbs.status(&read(asked)?, at).await?),
            _ => Err(Problem::of(ProblemKind::UnknownVerb).into()),
        }
    }
}

fn asked_by(asked: &Asked, method: &Method, allow: &'static str) -> Result<(), Problem> {
    if asked.method == method {
        return Ok(());
    }
    Err(Problem { allow: Some(allow), ..Problem::of(ProblemKind::MethodNotAllowed) })
}

fn said(answer: &impl Serialize) -> Result<Reply, Unanswered> {
    let body = serde_json::to_vec(answer).map_err(|_| Refusal::Failed)?;
    Ok(Reply::of(200, "application/json", body))
}

/// A request of the protocol: what it says first, and what its type cannot say of it.
trait Body: DeserializeOwned {
    fn head(&self) -> &Head;

    /// Members that are of their type and yet cannot be meant, with their places.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Body for CoverageRequest {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Body for VisitRequest {
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Body for QuoteRequest {
    fn head(&self) -> &Head {
        &self.head
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.ask.legs.is_empty() { Err("$.ask.legs") } else { Ok(()) }
    }
}

impl Body for CommitRequest {
    fn head(&self) -> &Head {
        &self.head
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.amounts.iter().any(|(_, amount)| amount.is_negative()) {
            return Err("$.amounts");
        }
        usable(&self.operation_id, "$.operation_id")
    }
}

impl Body for ReverseRequest {
    fn head(&self) -> &Head {
        &self.head
    }

    fn check(&self) -> Result<(), &'static str> {
        usable(&self.operation_id, "$.operation_id")?;
        usable(&self.original_operation_id, "$.original_operation_id")
    }
}

impl Body for StatusRequest {
    fn head(&self) -> &Head {
        &self.head
    }

    fn check(&self) -> Result<(), &'static str> {
        usable(&self.operation_id, "$.operation_id")
    }
}

fn usable(operation_id: &str, place: &'static str) -> Result<(), &'static str> {
    if (1..=OPERATION_ID_CHARS_MAX).contains(&operation_id.chars().count()) { Ok(()) } else { Err(place) }
}

/// A body that can be read and is in time.
fn read<T: Body>(asked: &Asked) -> Result<T, Problem> {
    asked_by(asked, &Method::POST, "POST")?;
    let content_type = asked.content_type.as_deref().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::of(ProblemKind::UnsupportedMediaType));
    }
    let mut json = serde_json::Deserializer::from_slice(&asked.body);
    let request: T = serde_path_to_error::deserialize(&mut json).map_err(|why| malformed(&why))?;
    let unreadable = |detail: &str, place| Problem::of(ProblemKind::Malformed).because(detail).at(place);
    json.end().map_err(|_| unreadable("more follows the document", "$"))?;
    if request.head().deadline <= asked.at {
        return Err(Problem::of(ProblemKind::DeadlinePassed).at("$.head.deadline"));
    }
    request
        .check()
        .map_err(|place| unreadable("is not what schemas/adapter.openapi.json says of this place", place))?;
    Ok(request)
}

fn day_and_after(query: &str) -> Result<(Date, Option<&str>), Problem> {
    let named = |name: &str| {
        let mut members = query.split('&').filter_map(|member| member.split_once('='));
        members.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let day = named("day").and_then(|day| day.parse().ok());
    let day =
        day.ok_or_else(|| Problem::of(ProblemKind::Malformed).because("expected day=YYYY-MM-DD").at("day"))?;
    Ok((day, named("after")))
}
