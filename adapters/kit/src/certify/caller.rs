//! Sends requests as a gateway does, and keeps a transcript of all of them.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::{Client, Method, header};
use serde_json::Value;
use tokio::sync::{Mutex as Turn, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use yizhan_contract::instant::later;
use yizhan_contract::payer::Manifest;
use yizhan_contract::protocol::{ANSWER_BYTES_MAX, Head};

use super::came::Came;
use super::exchange::{Answered, Digest, Exchange, JSON};
use super::target::{Called, Identity, TargetError};
use crate::given;

/// Past the deadline of a request, before its connection is given up.
const GRACE: Duration = Duration::from_secs(2);

/// How often a request is sent that the adapter is too busy for, and the longest it is waited in between.
const BUSY_TIMES_MAX: usize = 5;
const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Caller {
    pub(super) called: Called,
    /// How long after a request its deadline lies.
    pub(super) patience: Duration,
    client: Mutex<Client>,
    pace: Mutex<Arc<Pace>>,
    transcript: Mutex<Transcript>,
}

/// Everything that was sent and came back: a digest of all of it, and the last.
#[derive(Debug)]
struct Transcript {
    digest: Digest,
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

impl Caller {
    pub(super) fn of(called: Called, patience: Duration) -> Result<Self, TargetError> {
        let client = Mutex::new(called.client(Identity::Own, patience + GRACE)?);
        let pace = Mutex::new(Arc::new(Pace::of(1, None)));
        let transcript = Mutex::new(Transcript { digest: Digest::begin(), sent: 0, last: None });
        Ok(Self { called, patience, client, pace, transcript })
    }

    /// Connections of their own from now on: the adapter was ended under the old ones.
    pub(super) fn begin_anew(&self) -> Result<(), TargetError> {
        let client = self.called.client(Identity::Own, self.patience + GRACE)?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    /// No more at a time, and no faster, than the manifest says.
    pub(super) fn keep_to(&self, manifest: &Manifest) {
        let pace = Pace::of(manifest.concurrency_max, manifest.requests_per_second_max);
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

    /// A digest of everything that was sent and came back, in order.
    pub(super) fn digest(&self) -> String {
        self.transcript().digest.so_far()
    }

    /// A head as it is now.
    pub(super) fn head(&self) -> Value {
        let patience = SignedDuration::try_from(self.patience).unwrap_or_default();
        let deadline = later(given::now(), patience);
        serde_json::to_value(Head::until(deadline)).unwrap_or_default()
    }

    /// The bytes of a request; its head is added where it has none.
    pub(super) fn bytes(&self, body: &Value) -> Vec<u8> {
        let mut body = body.clone();
        if let Some(members) = body.as_object_mut() {
            members.entry("head").or_insert_with(|| self.head());
        }
        body.to_string().into_bytes()
    }

    /// By another client than its own.
    pub(super) async fn get_by(&self, client: &Client, path: &str) -> Came {
        self.exchange(client, "GET", path, JSON, None).await
    }

    pub(super) async fn get(&self, path: &str) -> Came {
        self.until_not_busy(|| self.send("GET", path, JSON, None)).await
    }

    /// Sends a body as it is, with a head where it has none; again where the adapter was busy.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Came {
        self.until_not_busy(|| self.post_once(path, body)).await
    }

    pub(super) async fn post_once(&self, path: &str, body: &Value) -> Came {
        let pace = self.pace();
        let _turn = pace.turn().await;
        // The deadline is set when its turn has come.
        self.exchange(&self.client(), "POST", path, JSON, Some(self.bytes(body))).await
    }

    pub(super) async fn send(
        &self,
        method: &'static str,
        path: &str,
        content_type: &'static str,
        body: Option<Vec<u8>>,
    ) -> Came {
        let pace = self.pace();
        let _turn = pace.turn().await;
        self.exchange(&self.client(), method, path, content_type, body).await
    }

    async fn until_not_busy<F: Future<Output = Came>>(&self, send: impl Fn() -> F) -> Came {
        let mut came = send().await;
        for _ in 1..BUSY_TIMES_MAX {
            let Some(wait) = came.busy_for() else { break };
            tokio::time::sleep(wait.min(BUSY_WAIT_MAX)).await;
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

    async fn exchange(
        &self,
        client: &Client,
        method: &'static str,
        path: &str,
        content_type: &'static str,
        body: Option<Vec<u8>>,
    ) -> Came {
        let began = given::steady();
        let answered = self.sent(client, method, path, content_type, body.clone()).await;
        let answered = answered.unwrap_or_else(Answered::Not);
        let micros = began.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        let exchange = Exchange { method, path: path.to_owned(), content_type, body, answered, micros };
        let exchange = Arc::new(exchange);
        let mut transcript = self.transcript();
        transcript.digest.add(exchange.line().as_bytes());
        transcript.sent += 1;
        transcript.last = Some(Arc::clone(&exchange));
        Came(exchange)
    }

    async fn sent(
        &self,
        client: &Client,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answered, String> {
        let method = if method == "GET" { Method::GET } else { Method::POST };
        let mut request = client.request(method, self.called.address(path));
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, content_type).body(body);
        }
        let mut answer = request.send().await.map_err(|why| said(&why))?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let content_type = header(header::CONTENT_TYPE).unwrap_or("(no content type)").to_owned();
        let retry_after_s = header(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|why| said(&why))? {
            body.extend_from_slice(&more);
            if ANSWER_BYTES_MAX < body.len() {
                return Err(format!("an answer longer than {ANSWER_BYTES_MAX} bytes"));
            }
        }
        Ok(Answered::With { status, content_type, retry_after_s, body })
    }
}

/// The innermost cause: what the network or the other side said.
fn said(why: &reqwest::Error) -> String {
    if why.is_timeout() {
        return "timeout".to_owned();
    }
    let mut cause: &dyn std::error::Error = why;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
