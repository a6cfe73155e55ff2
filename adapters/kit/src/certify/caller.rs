//! Sends requests as a gateway does, and keeps a transcript of all of them.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, header};
use serde_json::Value;
use tokio::sync::{Mutex as Turn, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use yizhan_contract::instant::later;
use yizhan_contract::payer::{ASK_DEADLINE, COMMIT_DEADLINE, COVER_DEADLINE, Manifest};
use yizhan_contract::protocol::{ANSWER_BYTES_MAX, Head};

use super::came::Came;
use super::exchange::{Answered, Asked, Exchange, Over, line, sha256};
use super::target::{Called, Identity, TargetError};
use crate::given;

/// Past the deadline of a request, before its connection is given up.
const GRACE: Duration = Duration::from_secs(2);

/// How long a request is sent again that the adapter is too busy for, and how long it is waited in between.
const BUSY_FOR_MAX: Duration = Duration::from_secs(30);
const BUSY_WAIT_MIN: Duration = Duration::from_millis(50);
const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);

/// Requests at a time, though a manifest allows fewer: what is never tried side by side shows nothing of what happens then. An
/// adapter that takes one at a time says to the others that it is busy.
const AT_ONCE_MIN: u16 = 4;

/// Of what is said in another language than the protocol's.
const SAID_BYTES_SHOWN: usize = 200;

#[derive(Debug)]
pub(super) struct Caller {
    pub(super) called: Called,
    /// How long after a request its deadline lies.
    pub(super) patience: Duration,
    client: Mutex<Client>,
    pace: Mutex<Arc<Pace>>,
    transcript: Mutex<Transcript>,
}

/// Everything that was sent and came back, a line for each, and the last.
#[derive(Debug, Default)]
struct Transcript {
    lines: String,
    sent: usize,
    last: Option<Arc<Exchange>>,
}

/// What the adapter asks of whoever calls it.
#[derive(Debug)]
struct Pace {
    places: Semaphore,
    /// Between the beginnings of two requests.
    apart: Duration,
    next: Turn<Instant>,
}

impl Pace {
    fn of(concurrency_max: u16, per_second_max: Option<u16>) -> Self {
        let apart = per_second_max.map(|rate| Duration::from_secs(1) / u32::from(rate.max(1)));
        Self {
            places: Semaphore::new(usize::from(concurrency_max.max(1))),
            apart: apart.unwrap_or_default(),
            next: Turn::new(Instant::now()),
        }
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.ok();
        if !self.apart.is_zero() {
            let mut next = self.next.lock().await;
            tokio::time::sleep_until(*next).await;
            *next = Instant::now() + self.apart;
        }
        place
    }
}

/// Requests that are sent side by side.
pub(super) fn at_once(manifest: &Manifest) -> u16 {
    manifest.concurrency_max.max(AT_ONCE_MIN)
}

impl Caller {
    pub(super) fn of(called: Called, patience: Duration) -> Result<Self, TargetError> {
        let client = Mutex::new(called.client(Identity::Own, patience + GRACE)?);
        let pace = Mutex::new(Arc::new(Pace::of(1, None)));
        Ok(Self { called, patience, client, pace, transcript: Mutex::default() })
    }

    /// Connections of their own from now on: the adapter was ended under the old ones.
    pub(super) fn begin_anew(&self) -> Result<(), TargetError> {
        let client = self.called.client(Identity::Own, self.patience + GRACE)?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    /// No more at a time (but for a few), and no faster, than the manifest says.
    pub(super) fn keep_to(&self, manifest: &Manifest) {
        let pace = Pace::of(at_once(manifest), manifest.requests_per_second_max);
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(pace);
    }

    fn transcript(&self) -> MutexGuard<'_, Transcript> {
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests were sent.
    pub(super) fn sent_so_far(&self) -> usize {
        self.transcript().sent
    }

    /// The last request since so many were sent.
    pub(super) fn last_since(&self, sent: usize) -> Option<Arc<Exchange>> {
        let transcript = self.transcript();
        transcript.last.clone().filter(|_| sent < transcript.sent)
    }

    /// A line for everything that was sent and what came back, in order, and the digest of all of them.
    pub(super) fn transcribed(&self) -> (String, String) {
        let lines = self.transcript().lines.clone();
        let digest = sha256(lines.as_bytes());
        (lines, digest)
    }

    /// A line for what was done with a connection by hand.
    pub(super) fn note(&self, what: &str, path: &str, sent: &[u8], came: &[u8]) {
        self.transcript().lines.push_str(&line(what, path, sent, "-", came));
    }

    /// A head as it is now.
    pub(super) fn head(&self) -> Value {
        head_within(self.patience)
    }

    /// How long after a request its deadline lies: no later than a gateway's.
    fn patience_of(&self, path: &str) -> Duration {
        self.patience.min(gateways_patience(path))
    }

    /// How long an answer is waited for that a gateway does not hear past the deadline: a quote, and what it asks before one.
    /// Absent: as long as whoever sends it waits, since what becomes of an operation is for its trials to see.
    fn waits_for(&self, path: &str) -> Option<Duration> {
        let is_heard_in_time = matches!(path, "/v1/coverage" | "/v1/visit" | "/v1/quote");
        is_heard_in_time.then(|| self.patience_of(path))
    }

    /// A request with a deadline of its own.
    pub(super) fn with_deadline(&self, mut body: Value, deadline: Timestamp) -> Value {
        body["head"] = self.head();
        body["head"]["deadline"] = deadline.to_string().into();
        body
    }

    /// The bytes of a request; its head is added where it has none.
    pub(super) fn bytes(&self, body: &Value) -> Vec<u8> {
        bytes_within(body, self.patience)
    }

    /// By somebody else, over a connection of its own.
    pub(super) async fn get_as(
        &self,
        identity: Identity,
        path: &str,
        within: Duration,
    ) -> Result<Came, TargetError> {
        let client = self.called.client(identity, within)?;
        Ok(self.get_by(&client, identity, path).await)
    }

    /// By somebody's client, over the connection that it has.
    pub(super) async fn get_by(&self, client: &Client, identity: Identity, path: &str) -> Came {
        self.exchange(client, Asked::get(identity, path)).await
    }

    pub(super) async fn get(&self, path: &str) -> Came {
        self.until_not_busy(|| self.send(Asked::get(Identity::Own, path))).await
    }

    /// Sends a body as it is, with a head where it has none; again where the adapter was busy.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Came {
        self.until_not_busy(|| self.post_once(path, body)).await
    }

    pub(super) async fn post_once(&self, path: &str, body: &Value) -> Came {
        let pace = self.pace();
        let _turn = pace.turn().await;
        // The deadline is set when its turn has come.
        self.exchange(&self.client(), Asked::post(path, bytes_within(body, self.patience_of(path)))).await
    }

    pub(super) async fn send(&self, asked: Asked) -> Came {
        let pace = self.pace();
        let _turn = pace.turn().await;
        self.exchange(&self.client(), asked).await
    }

    async fn until_not_busy<F: Future<Output = Came>>(&self, send: impl Fn() -> F) -> Came {
        let mut came = send().await;
        let until = Instant::now() + BUSY_FOR_MAX;
        while let Some(wait) = came.busy_for().filter(|_| Instant::now() < until) {
            tokio::time::sleep(wait.clamp(BUSY_WAIT_MIN, BUSY_WAIT_MAX)).await;
            came = send().await;
        }
        came
    }

    fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn exchange(&self, client: &Client, asked: Asked) -> Came {
        let (at, began) = (given::now(), given::steady());
        let answered = self.sent(client, &asked).await.unwrap_or_else(Answered::Not);
        let micros = began.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        self.keep(Exchange { asked, at, answered, micros })
    }

    /// What was asked for over plain HTTP, by hand.
    pub(super) fn keep_plain(&self, path: &str, said: &[u8]) -> Came {
        let asked = Asked { over: Over::PlainText, ..Asked::get(Identity::Nobody, path) };
        let said = String::from_utf8_lossy(said.get(..SAID_BYTES_SHOWN).unwrap_or(said)).into_owned();
        let answered = Answered::Not(if said.is_empty() { "nothing was said".to_owned() } else { said });
        self.keep(Exchange { asked, at: given::now(), answered, micros: 0 })
    }

    fn keep(&self, exchange: Exchange) -> Came {
        let exchange = Arc::new(exchange);
        let mut transcript = self.transcript();
        transcript.lines.push_str(&exchange.line());
        transcript.sent += 1;
        transcript.last = Some(Arc::clone(&exchange));
        Came(exchange)
    }

    async fn sent(&self, client: &Client, asked: &Asked) -> Result<Answered, String> {
        let method = if asked.method == "GET" { Method::GET } else { Method::POST };
        let within = self.waits_for(&asked.path);
        let mut request = client.request(method, self.called.address(&asked.path));
        if let Some(within) = within {
            request = request.timeout(within);
        }
        if let Some(body) = &asked.body {
            request = request.header(header::CONTENT_TYPE, asked.content_type).body(body.clone());
        }
        let mut answer = request.send().await.map_err(|why| said(&why, within))?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let content_type = header(header::CONTENT_TYPE).unwrap_or("(no content type)").to_owned();
        let retry_after_s = header(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|why| said(&why, within))? {
            body.extend_from_slice(&more);
            if ANSWER_BYTES_MAX < body.len() {
                return Err(format!("an answer longer than {ANSWER_BYTES_MAX} bytes"));
            }
        }
        Ok(Answered::With { status, content_type, retry_after_s, body })
    }
}

fn gateways_patience(path: &str) -> Duration {
    let deadline = match path {
        "/v1/coverage" => COVER_DEADLINE,
        "/v1/commit" | "/v1/reverse" => COMMIT_DEADLINE,
        _ => ASK_DEADLINE,
    };
    deadline.unsigned_abs()
}

fn head_within(patience: Duration) -> Value {
    let patience = SignedDuration::try_from(patience).unwrap_or_default();
    serde_json::to_value(Head::until(later(given::now(), patience))).unwrap_or_default()
}

fn bytes_within(body: &Value, patience: Duration) -> Vec<u8> {
    let mut body = body.clone();
    if let Some(members) = body.as_object_mut() {
        members.entry("head").or_insert_with(|| head_within(patience));
    }
    body.to_string().into_bytes()
}

/// The innermost cause: what the network or the other side said.
fn said(why: &reqwest::Error, within: Option<Duration>) -> String {
    if why.is_timeout() {
        return within
            .map_or_else(|| "timeout".to_owned(), |within| format!("timeout, {} ms", within.as_millis()));
    }
    let mut cause: &dyn std::error::Error = why;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
