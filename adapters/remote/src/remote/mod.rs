//! The client of the adapter protocol: an insurer's service in any language, over HTTPS.

mod kept;
mod read;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use yizhan_contract::payer::{
    Answer, Ask, Coverage, CoverageQuestion, KEPT_BYTES_MAX, Manifest, Memo, Operation, Payer, Performed,
    PrepareError, Prepared, QuoteAnswer, StatementLine, Status, Unavailable, VisitEvent, Visited,
};
use yizhan_contract::protocol::{Description, Head, STATEMENT_LINES_MAX, Statement};
use yizhan_contract::{Text, revealing};

use self::kept::Kept;
use crate::answers::{self, Ordered};
use crate::kinds::Kind as _;
use crate::known::Known;
use crate::wire::{
    Call, Connection, Incoming, Outgoing, Said, Standing, TargetError, Trouble, Verb, Wire, told,
};

/// Pages of one day's book; with full pages a million lines.
const STATEMENT_PAGES_MAX: usize = 1_000;
/// Characters of the name of a next page.
const NEXT_CHARS_MAX: usize = 200;

/// A payer's service that speaks the protocol.
pub struct Remote {
    wire: Wire,
    manifest: Manifest,
    known: Known,
}

/// Why a payer's service cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Worth trying again.
    #[error("{}", .0.sentence())]
    NoAnswer(Trouble),
    /// What the service says of itself cannot be.
    #[error("describe：{key} {zh} | describe: {key} {en}", zh = .what.zh, en = .what.en)]
    Manifest { key: &'static str, what: Text },
}

// Requests are written from what is lent to us; the protocol's own types would want it given.
#[derive(Serialize)]
struct QuoteBody<'a> {
    head: Head,
    ask: &'a Ask,
}

#[derive(Serialize)]
struct CoverageBody<'a> {
    head: Head,
    question: &'a CoverageQuestion,
}

#[derive(Serialize)]
struct VisitBody<'a> {
    head: Head,
    event: &'a VisitEvent,
    #[serde(skip_serializing_if = "Memo::is_empty")]
    memo: &'a Memo,
}

impl Remote {
    /// Asks the service what it is, and takes it at its word.
    ///
    /// # Errors
    /// Where it cannot be asked, or says what cannot be.
    pub async fn connect(connection: &Connection, deadline: Timestamp) -> Result<Self, ConnectError> {
        let stranger = Wire::new(connection, &Manifest::cautious("", "", Vec::new()))?;
        let manifest = described(&stranger, deadline).await?;
        Self::new(connection, manifest)
    }

    /// A service whose manifest is known already: it need not be there now.
    ///
    /// # Errors
    /// Where its certificates cannot be read, or the manifest cannot be.
    pub fn new(connection: &Connection, manifest: Manifest) -> Result<Self, ConnectError> {
        checked(&manifest)?;
        let wire = Wire::new(connection, &manifest)?;
        let known = Known::new(wire.host(), manifest.coverage_valid_s);
        Ok(Self { wire, manifest, known })
    }

    /// What the service says of itself now.
    ///
    /// # Errors
    /// Where it cannot be asked, or says what cannot be.
    pub async fn describe(&self, deadline: Timestamp) -> Result<Manifest, ConnectError> {
        described(&self.wire, deadline).await
    }

    /// Whether it is called, or left alone because it does not answer.
    pub fn standing(&self) -> Standing {
        self.wire.standing()
    }

    /// It is left alone no longer: somebody knows that it is back.
    pub fn call_again(&self) {
        self.wire.call_again();
    }

    fn ordered<'k>(&self, kept: &'k Kept) -> Ordered<'k> {
        kept.ordered(self.manifest.quotes_are_firm)
    }

    async fn performed(&self, prepared: &Prepared, deadline: Timestamp) -> Result<Performed, Trouble> {
        let kept = Kept::read(prepared)?;
        let call = Call { verb: kept.verb(), operation_id: Some(&kept.operation_id), deadline };
        let body = || kept.request(Head::until(told(deadline)));
        post(&self.wire, &call, body, |answer: &mut Performed| {
            answers::performed(answer, self.ordered(&kept))?;
            Ok(answer.kind())
        })
        .await
    }

    async fn asked(&self, prepared: &Prepared, deadline: Timestamp) -> Result<Status, Trouble> {
        let kept = Kept::read(prepared)?;
        let call = Call { verb: Verb::Status, operation_id: Some(&kept.operation_id), deadline };
        let body = || kept.status_request(Head::until(told(deadline)));
        post(&self.wire, &call, body, |answer: &mut Status| {
            answers::status(answer, self.ordered(&kept))?;
            Ok(answer.kind())
        })
        .await
    }

    async fn covered(&self, question: &CoverageQuestion, deadline: Timestamp) -> Result<Coverage, Trouble> {
        if let Some(known) = self.known.look_up(question, self.wire.host().steady()) {
            return Ok(known);
        }
        let call = Call { verb: Verb::Coverage, operation_id: None, deadline };
        let body = || serde_json::to_vec(&CoverageBody { head: Head::until(told(deadline)), question });
        let answer = post(&self.wire, &call, body, |answer: &mut Coverage| {
            answers::coverage(answer, question)?;
            Ok(answer.kind())
        });
        let answer = answer.await?;
        self.known.keep(question, &answer, self.wire.host().steady());
        Ok(answer)
    }

    async fn quoted(&self, ask: &Ask, deadline: Timestamp) -> Result<QuoteAnswer, Trouble> {
        let call = Call { verb: Verb::Quote, operation_id: None, deadline };
        let body = || serde_json::to_vec(&QuoteBody { head: Head::until(told(deadline)), ask });
        post(&self.wire, &call, body, |answer: &mut QuoteAnswer| {
            answers::quote(answer, ask, self.wire.host().now())?;
            Ok(answer.kind())
        })
        .await
    }

    async fn noted(&self, event: &VisitEvent, memo: &Memo, deadline: Timestamp) -> Result<Visited, Trouble> {
        let call = Call { verb: Verb::Visit, operation_id: None, deadline };
        let body = || serde_json::to_vec(&VisitBody { head: Head::until(told(deadline)), event, memo });
        post(&self.wire, &call, body, |answer: &mut Visited| {
            answers::visited(answer, KEPT_BYTES_MAX)?;
            Ok(answer.kind())
        })
        .await
    }

    async fn book(&self, day: Date, deadline: Timestamp) -> Result<Vec<StatementLine>, Trouble> {
        let (mut lines, mut after) = (Vec::new(), None::<String>);
        for _ in 0..STATEMENT_PAGES_MAX {
            let call = Call { verb: Verb::Statement, operation_id: None, deadline };
            let mut url = self.wire.url("/v1/statement")?;
            url.query_pairs_mut().append_pair("day", &day.to_string());
            if let Some(after) = &after {
                url.query_pairs_mut().append_pair("after", after);
            }
            let write = || {
                Ok(Outgoing {
                    method: Method::GET,
                    url: url.clone(),
                    headers: accepted(),
                    body: Bytes::new(),
                })
            };
            let read = |incoming: &Incoming| {
                let mut page: Statement = read::answer(incoming)?;
                self.check_page(&mut page, day, after.as_deref()).map_err(Trouble::Odd)?;
                Ok(Said { kind: "page", answer: page })
            };
            let page = self.wire.call(&call, write, read).await?;
            lines.extend(page.lines);
            after = page.next;
            if after.is_none() {
                return Ok(lines);
            }
        }
        Err(Trouble::Odd(Text::new(
            format!("对账单超过 {STATEMENT_PAGES_MAX} 页"),
            format!("the day's book has more than {STATEMENT_PAGES_MAX} pages"),
        )))
    }

    fn check_page(&self, page: &mut Statement, day: Date, after: Option<&str>) -> Result<(), Text> {
        if page.day != day {
            let other = page.day;
            return Err(Text::new(
                format!("问 {day} 的账，答的是 {other}"),
                format!("the book of {other} came where {day} was asked for"),
            ));
        }
        if page.lines.len() > STATEMENT_LINES_MAX {
            return Err(Text::new(
                format!("一页超过 {STATEMENT_LINES_MAX} 行"),
                format!("a page has more than {STATEMENT_LINES_MAX} lines"),
            ));
        }
        let next = page.next.as_deref();
        if next.is_some_and(|next| next.chars().count() > NEXT_CHARS_MAX) || (next.is_some() && next == after)
        {
            return Err(Text::new("对账单的下一页无法到达", "the next page of the book leads nowhere"));
        }
        page.lines.iter_mut().try_for_each(|line| answers::statement_line(line, &self.manifest.serves))
    }
}

async fn described(wire: &Wire, deadline: Timestamp) -> Result<Manifest, ConnectError> {
    let call = Call { verb: Verb::Describe, operation_id: None, deadline };
    let url = wire.url("/v1/describe").map_err(ConnectError::NoAnswer)?;
    let write =
        || Ok(Outgoing { method: Method::GET, url: url.clone(), headers: accepted(), body: Bytes::new() });
    let read = |incoming: &Incoming| {
        let answer: Description = read::answer(incoming)?;
        Ok(Said { kind: "description", answer })
    };
    let Description { manifest, .. } = wire.call(&call, write, read).await.map_err(ConnectError::NoAnswer)?;
    checked(&manifest)?;
    Ok(manifest)
}

fn checked(manifest: &Manifest) -> Result<(), ConnectError> {
    manifest.check().map_err(|(key, what)| ConnectError::Manifest { key, what })
}

fn accepted() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}

/// Sends a body of the protocol; `check` holds the answer to what was asked, and says of which kind it is.
async fn post<T: DeserializeOwned>(
    wire: &Wire,
    call: &Call<'_>,
    body: impl Fn() -> serde_json::Result<Vec<u8>>,
    check: impl Fn(&mut T) -> Result<&'static str, Text>,
) -> Result<T, Trouble> {
    let url = wire.url(&format!("/v1/{}", call.verb))?;
    let write = || {
        let mut headers = accepted();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // What a payer needs to know of a person is told to it, and to nobody else.
        let body = revealing(&body)
            .map_err(|_| Trouble::NotWritten(Text::new("请求无法写成 JSON", "cannot be written as JSON")))?;
        Ok(Outgoing { method: Method::POST, url: url.clone(), headers, body: body.into() })
    };
    let read = |incoming: &Incoming| {
        let mut answer: T = read::answer(incoming)?;
        if let Some(operation_id) = call.operation_id {
            read::of_operation(incoming, operation_id).map_err(Trouble::Odd)?;
        }
        let kind = check(&mut answer).map_err(Trouble::Odd)?;
        Ok(Said { kind, answer })
    };
    wire.call(call, write, read).await
}

impl Payer for Remote {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn visit<'a>(&'a self, event: &'a VisitEvent, memo: Memo, deadline: Timestamp) -> Answer<'a, Visited> {
        Box::pin(async move {
            let answer = self.noted(event, &memo, deadline).await;
            answer.unwrap_or_else(|trouble| trouble.untold())
        })
    }

    fn coverage<'a>(&'a self, question: &'a CoverageQuestion, deadline: Timestamp) -> Answer<'a, Coverage> {
        Box::pin(async move {
            if !self.known.is_asked() {
                return Coverage::NotSaid;
            }
            let answer = self.covered(question, deadline).await;
            answer.unwrap_or_else(|trouble| Coverage::Unavailable(trouble.unavailable()))
        })
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(async move {
            let answer = self.quoted(ask, deadline).await;
            answer.unwrap_or_else(|trouble| QuoteAnswer::Unavailable(trouble.unavailable()))
        })
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        Kept::of(operation).written()
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        Box::pin(async move {
            self.performed(prepared, deadline).await.unwrap_or_else(|trouble| trouble.unknown())
        })
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Status> {
        Box::pin(async move {
            let answer = self.asked(prepared, deadline).await;
            answer.unwrap_or_else(|trouble| Status::Unavailable(trouble.unavailable()))
        })
    }

    fn statement(
        &self,
        day: Date,
        deadline: Timestamp,
    ) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        Box::pin(async move { self.book(day, deadline).await.map_err(|trouble| trouble.unavailable()) })
    }
}
