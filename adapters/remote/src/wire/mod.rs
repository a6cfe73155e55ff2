//! The one way out: a call with its deadline, limits, breaker, rate, identity and record.

mod breaker;
mod broke;
mod gate;
mod journal;
pub(crate) mod keyed;
mod target;
mod trouble;
mod under_way;
mod verb;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Url, redirect, retry};
use yizhan_contract::Text;
use yizhan_contract::payer::Manifest;
use yizhan_contract::protocol::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX};

use self::breaker::Breaker;
use self::gate::Gate;
use crate::host::Host;

pub use self::breaker::{REST_FIRST, REST_MAX, Standing, TROUBLES_MAX};
pub(crate) use self::journal::Entry;
pub use self::journal::{CallRecord, Class, Journal, RECORDS_WAITING_MAX};
pub use self::keyed::Digest;
pub use self::target::{Target, TargetError, TlsFiles};
pub(crate) use self::trouble::LATER_S_MAX;
pub use self::trouble::{Trouble, Unreachable};
pub use self::under_way::Ended;
pub(crate) use self::under_way::{Pace, UnderWay};
pub use self::verb::Verb;

/// Longest wait for a connection.
const CONNECT_MS_MAX: u64 = 3_000;
/// A connection nothing was said on for so long is not used again.
const IDLE_S_MAX: u64 = 30;
/// How often a connection is asked whether it still is one, and how long that answer may take.
const ALIVE_EVERY_S: u64 = 5;
const ALIVE_WITHIN_S: u64 = 5;
/// Characters of a media type that is told.
const MEDIA_TYPE_CHARS_MAX: usize = 60;
/// The host waits until the deadline itself: a call ends a little earlier, so that it can say why.
const MARGIN: Duration = Duration::from_millis(10);

/// What an adapter shares with its host.
#[derive(Clone)]
pub struct Connection {
    pub target: Target,
    pub host: Arc<dyn Host>,
    pub journal: Journal,
}

/// A request as it leaves.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer as it came.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// An answer of the kinds there are, and which.
pub(crate) struct Said<T> {
    pub(crate) kind: &'static str,
    pub(crate) answer: T,
}

pub(crate) struct Call<'c> {
    pub(crate) verb: Verb,
    pub(crate) operation_id: Option<&'c Arc<str>>,
    pub(crate) deadline: Timestamp,
}

/// The deadline as it is told: to the millisecond, which every language reads, and not later than it is.
pub(crate) fn told(deadline: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(deadline.as_millisecond()).unwrap_or(deadline)
}

/// The way to one payer.
pub(crate) struct Wire {
    adapter: Arc<str>,
    base: Url,
    client: Client,
    host: Arc<dyn Host>,
    journal: Journal,
    gate: Gate,
    breaker: Breaker,
    pace: Pace,
}

impl Wire {
    pub(crate) fn new(connection: &Connection, manifest: &Manifest) -> Result<Self, TargetError> {
        let Connection { target, host, journal } = connection;
        let base = target.base()?;
        Ok(Self {
            adapter: Arc::clone(&target.adapter),
            base,
            client: client(target)?,
            gate: Gate::new(manifest, host),
            breaker: Breaker::new(),
            host: Arc::clone(host),
            journal: journal.clone(),
            pace: Pace::of(manifest),
        })
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.host
    }

    pub(crate) fn standing(&self) -> Standing {
        self.breaker.standing(self.host.steady())
    }

    pub(crate) fn call_again(&self) {
        self.breaker.close();
    }

    /// The address of `path`, which begins with a slash and may hold a query.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Trouble> {
        let whole = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        whole.parse().map_err(|_| Trouble::NotWritten(target::no_address()))
    }

    /// Calls, and once more where a question's connection broke before the answer. `write` is asked for each attempt
    /// anew, because a signature holds for one; `read` says which of the kinds the answer is.
    pub(crate) async fn call<T>(
        &self,
        call: &Call<'_>,
        write: impl Fn() -> Result<Outgoing, Trouble>,
        read: impl Fn(&Incoming) -> Result<Said<T>, Trouble>,
    ) -> Result<T, Trouble> {
        let mut under_way = UnderWay::begin(self.host(), call.verb, call.deadline, self.pace);
        let ended = self.attempts(call, &mut under_way, write, read).await;
        under_way.ended(ended.as_ref().map(|said| said.kind));
        ended.map(|said| said.answer)
    }

    async fn attempts<T>(
        &self,
        call: &Call<'_>,
        under_way: &mut UnderWay<'_>,
        write: impl Fn() -> Result<Outgoing, Trouble>,
        read: impl Fn(&Incoming) -> Result<Said<T>, Trouble>,
    ) -> Result<Said<T>, Trouble> {
        let first = match self.attempt(call, under_way, &write, &read).await {
            Err(broken @ Trouble::Broken { .. }) if call.verb.is_question() => broken,
            ended => return ended,
        };
        match self.attempt(call, under_way, &write, &read).await {
            // There was no second attempt: what is known is how the first one ended.
            Err(Trouble::DeadlinePassed | Trouble::NoTurn | Trouble::Resting(_)) => Err(first),
            ended => ended,
        }
    }

    async fn attempt<T>(
        &self,
        call: &Call<'_>,
        under_way: &mut UnderWay<'_>,
        write: &impl Fn() -> Result<Outgoing, Trouble>,
        read: &impl Fn(&Incoming) -> Result<Said<T>, Trouble>,
    ) -> Result<Said<T>, Trouble> {
        let mut entry = Entry::begin(&self.journal, self.host(), &self.adapter, call.verb, call.operation_id);
        let ended = self.exchanged(call, (&mut entry, under_way), write, read).await;
        match &ended {
            Ok(said) => entry.answered(said.kind),
            Err(trouble) => entry.failed(trouble),
        }
        ended
    }

    async fn exchanged<T>(
        &self,
        call: &Call<'_>,
        (entry, under_way): (&mut Entry<'_>, &mut UnderWay<'_>),
        write: &impl Fn() -> Result<Outgoing, Trouble>,
        read: &impl Fn(&Incoming) -> Result<Said<T>, Trouble>,
    ) -> Result<Said<T>, Trouble> {
        // Before the gate as well: nobody stands in line for a payer that is left alone.
        if let Standing::Open { rest } = self.standing() {
            return Err(Trouble::Resting(rest));
        }
        let turn = tokio::time::timeout(self.patience(call.deadline)?, self.gate.enter());
        let _place = turn.await.ok().flatten().ok_or(Trouble::NoTurn)?;
        let outgoing = write()?;
        if outgoing.body.len() > REQUEST_BYTES_MAX {
            return Err(Trouble::NotWritten(too_long()));
        }
        let patience = self.patience(call.deadline).map_err(|_| Trouble::NoTurn)?;
        let admitted = self.breaker.admit(call.verb, self.host.steady()).map_err(Trouble::Resting)?;
        entry.sent(&outgoing.body);
        under_way.sent();
        let answer = self.send(outgoing, entry, patience).await.and_then(|incoming| read(&incoming));
        under_way.came();
        match &answer {
            Err(trouble) if trouble.is_transport() && self.pace.is_fair(call.verb, trouble) => {
                admitted.failed(self.host.steady());
            }
            // Nothing is known of the payer.
            Err(Trouble::Late { .. }) => drop(admitted),
            _ => admitted.answered(),
        }
        answer
    }

    fn patience(&self, deadline: Timestamp) -> Result<Duration, Trouble> {
        patience(self.host(), deadline)
    }

    async fn send(
        &self,
        outgoing: Outgoing,
        entry: &mut Entry<'_>,
        patience: Duration,
    ) -> Result<Incoming, Trouble> {
        let Outgoing { method, url, headers, body } = outgoing;
        let request = self.client.request(method, url).headers(headers).body(body);
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(patience, received(request, &mut answer));
        let ended = beside(ended, || entry.digest_request()).await;
        let head = ended.map_err(|_| Trouble::Late { received: answer.len(), patience })??;
        entry.came(Some(head.status), &answer);
        Ok(Incoming { body: answer, ..head })
    }
}

/// How long an answer is waited for.
pub(crate) fn patience(host: &dyn Host, deadline: Timestamp) -> Result<Duration, Trouble> {
    let left = Duration::try_from(deadline.duration_since(host.now())).unwrap_or_default();
    let left = left.saturating_sub(MARGIN.min(left / 10));
    if left.is_zero() { Err(Trouble::DeadlinePassed) } else { Ok(left) }
}

/// Begins to wait, does some work of ours meanwhile, and goes on waiting.
async fn beside<F: Future>(waiting: F, work: impl FnOnce()) -> F::Output {
    let mut waiting = pin!(waiting);
    let early = tokio::select! {
        biased;
        ended = &mut waiting => Some(ended),
        () = tokio::task::yield_now() => None,
    };
    work();
    match early {
        Some(ended) => ended,
        None => waiting.await,
    }
}

/// The head of the answer; its body goes to `body` as it comes.
async fn received(request: reqwest::RequestBuilder, body: &mut Vec<u8>) -> Result<Incoming, Trouble> {
    let mut response = request.send().await.map_err(|error| broke::trouble_of(&error, 0))?;
    let too_long = Trouble::TooLong { bytes_max: ANSWER_BYTES_MAX };
    if response.content_length().is_some_and(|length| length > ANSWER_BYTES_MAX as u64) {
        return Err(too_long);
    }
    loop {
        let chunk = response.chunk().await.map_err(|error| broke::trouble_of(&error, body.len()))?;
        let Some(chunk) = chunk else { break };
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(too_long);
        }
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(response.headers_mut());
    Ok(Incoming { status: response.status().as_u16(), headers, body: Vec::new() })
}

fn too_long() -> Text {
    Text::new(
        format!("请求超过 {REQUEST_BYTES_MAX} 字节"),
        format!("the request is longer than {REQUEST_BYTES_MAX} bytes"),
    )
}

fn client(target: &Target) -> Result<Client, TargetError> {
    // Nothing is followed, repeated or sent by a detour that we do not know of.
    let mut builder = Client::builder()
        .user_agent(concat!("yizhan/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(Duration::from_millis(CONNECT_MS_MAX))
        .pool_idle_timeout(Duration::from_secs(IDLE_S_MAX))
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(ALIVE_EVERY_S))
        .http2_keep_alive_interval(Duration::from_secs(ALIVE_EVERY_S))
        .http2_keep_alive_timeout(Duration::from_secs(ALIVE_WITHIN_S))
        // Else a payer that went away silently would be waited for again and again on a connection to nobody.
        .http2_keep_alive_while_idle(true);
    // The client library would look for a TLS configuration of the process's own even where none is needed.
    builder = match &target.tls {
        Some(files) => builder.https_only(true).tls_backend_preconfigured(files.client()?),
        None => builder.tls_backend_preconfigured(target::no_client()?),
    };
    builder.build().map_err(|_| TargetError::NoClient)
}

impl Incoming {
    /// In lower case, without its parameters.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next()?.trim().to_ascii_lowercase())
    }

    /// An answer under a status that none of the answers has.
    pub(crate) fn refusal(&self, said: Option<String>) -> Trouble {
        let later = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let later = later.map(|seconds: u64| Duration::from_secs(seconds.min(LATER_S_MAX)));
        match self.status {
            429 => Trouble::Busy { status: 429, later },
            503 if later.is_some() => Trouble::Busy { status: 503, later },
            status => Trouble::Status { status, said },
        }
    }

    /// An answer that says itself that it is not what was expected. Types of odd letters are not repeated.
    pub(crate) fn of_another_type(&self, media_type: &str) -> Trouble {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '-' | '.');
        if media_type == "text/html"
            || media_type.len() > MEDIA_TYPE_CHARS_MAX
            || !media_type.chars().all(is_plain)
        {
            return self.unreadable("JSON", None);
        }
        Trouble::Unreadable(Text::new(
            format!("应答的类型是 {media_type} 而不是 application/json"),
            format!("the answer is of the type {media_type}, not application/json"),
        ))
    }

    /// Why a body is not what was expected, seen from outside.
    pub(crate) fn unreadable(&self, expected: &str, where_: Option<String>) -> Trouble {
        let begins = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
        let media_type = self.media_type();
        let is_page =
            media_type.as_deref() == Some("text/html") || (expected != "XML" && begins == Some(&b'<'));
        Trouble::Unreadable(if self.body.is_empty() {
            Text::new("应答为空", "the answer is empty")
        } else if is_page {
            Text::new(
                format!("应答是网页而不是 {expected}"),
                format!("the answer is a web page, not {expected}"),
            )
        } else {
            let place = where_.map(|place| format!(" ({place})")).unwrap_or_default();
            Text::new(format!("应答不是 {expected}{place}"), format!("the answer is no {expected}{place}"))
        })
    }
}
