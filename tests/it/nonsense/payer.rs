//! An insurer's service by the protocol over plain HTTP on this machine: it keeps its word, but for one answer of each
//! stay that a case writes for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use yizhan::runtime::{Clock as _, SystemClock};
use yizhan_contract::payer::Manifest;

const VERSION: &str = "7";
pub(super) const ADAPTER: &str = "nonsense";
pub(super) const SERVES: &str = "supplementary";

/// Bytes of an answer that is too long, of which the client reads as many as it must to see that.
const FLOOD_BYTES: usize = 10 * 1024 * 1024;
/// Stands in a body for more than anything may hold.
const FILLER: &str = "{filler}";
const FILLER_CHARS: usize = 40_000;
const DRIP_EVERY: Duration = Duration::from_millis(100);

/// What is answered in the place of the right answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// The right answer with JSON put at these pointers; absent value: taken away.
    #[serde(default)]
    pub(super) put: Vec<(String, String)>,
    #[serde(default)]
    pub(super) take: Vec<String>,
    /// Text put in the place of text of the right answer as it is written.
    #[serde(default)]
    pub(super) swap: Option<(String, String)>,
    /// Another body altogether.
    pub(super) body: Option<String>,
    /// Only so many bytes of it, and then the connection ends in good order.
    pub(super) bytes: Option<usize>,
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default = "json_type")]
    pub(super) media_type: String,
    /// Ten megabytes of blanks.
    #[serde(default)]
    pub(super) floods: bool,
    /// A byte now and then, until nobody listens.
    #[serde(default)]
    pub(super) drips: bool,
}

fn ok() -> u16 {
    200
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// One answer that a stay's payer will not give as it should.
#[derive(Debug, Clone)]
pub(super) struct Armed {
    pub(super) verb: String,
    pub(super) answer: Answer,
}

/// What happened, by the number of the person.
#[derive(Debug, Default)]
struct Book {
    armed: BTreeMap<String, Vec<Armed>>,
    person_of: BTreeMap<String, String>,
    /// Of each stay, how many events it was told.
    told: BTreeMap<String, usize>,
    operations: BTreeMap<String, Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    stay: String,
    reverses: bool,
    amounts: Value,
}

pub(super) struct Payer {
    pub(super) address: SocketAddr,
    book: Arc<Mutex<Book>>,
    listening: JoinHandle<()>,
}

impl Payer {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::<Mutex<Book>>::default();
        let kept = Arc::clone(&book);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served(stream, Arc::clone(&kept)));
            }
        });
        Self { address, book, listening }
    }

    pub(super) fn arm(&self, person: &str, armed: Vec<Armed>) {
        self.book.lock().unwrap().armed.insert(person.to_owned(), armed);
    }

    /// Whether every answer that was written for the person has been given.
    pub(super) fn is_spent(&self, person: &str) -> bool {
        self.book.lock().unwrap().armed.get(person).is_none_or(Vec::is_empty)
    }

    /// Ids of the operations of a person's stay: its commits or its reversals.
    pub(super) fn operations(&self, person: &str, reverses: bool) -> Vec<String> {
        let book = self.book.lock().unwrap();
        let is_of = |operation: &Operation| {
            operation.reverses == reverses
                && book.person_of.get(&operation.stay).is_some_and(|of| of == person)
        };
        book.operations.iter().filter(|(_, operation)| is_of(operation)).map(|(id, _)| id.clone()).collect()
    }
}

impl Drop for Payer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Book {
    /// The right answer, and the one that is given instead of it.
    fn answered(&mut self, verb: &str, asked: &Value) -> (Value, Option<Answer>) {
        let right = match verb {
            "describe" => return (description(), None),
            "coverage" => self.coverage(&asked["question"]),
            "visit" => self.visit(&asked["event"]),
            "quote" => self.quote(&asked["ask"]),
            "commit" | "reverse" => self.done(asked, verb == "reverse"),
            "status" => self.known(&text(&asked["operation_id"])),
            other => panic!("{other}"),
        };
        let person = match verb {
            "coverage" => text(&asked["question"]["person"]["id_number"]),
            "visit" => text(&asked["event"]["person"]["id_number"]),
            "quote" => text(&asked["ask"]["person"]["id_number"]),
            _ => {
                let stay = self.operations.get(&text(&asked["operation_id"])).map(|of| &of.stay);
                stay.and_then(|stay| self.person_of.get(stay)).cloned().unwrap_or_default()
            }
        };
        let armed = self.armed.entry(person).or_default();
        let wrong = armed.first().is_some_and(|armed| armed.verb == verb).then(|| armed.remove(0).answer);
        (right, wrong)
    }

    fn coverage(&self, question: &Value) -> Value {
        let payers = question["payers"].as_array().unwrap();
        let covers: Vec<Value> =
            payers.iter().map(|payer| json!({"payer": payer, "in_force": true})).collect();
        json!({"answer": "covers", "covers": covers})
    }

    /// Its memo counts what it was told.
    fn visit(&mut self, event: &Value) -> Value {
        let told = self.told.entry(text(&event["stay"])).or_default();
        *told += 1;
        json!({"answer": "noted", "memo": BASE64_STANDARD.encode(told.to_string())})
    }

    fn quote(&mut self, ask: &Value) -> Value {
        self.person_of.insert(text(&ask["stay"]), text(&ask["person"]["id_number"]));
        let legs = ask["legs"].as_array().unwrap();
        let amounts: Vec<Value> =
            legs.iter().map(|leg| json!({"payer": leg["payer"], "amount": leg["pay_at_most"]})).collect();
        let valid_until = (SystemClock.now() + SignedDuration::from_mins(30)).to_string();
        json!({"answer": "quote", "quote_id": format!("Q-{}", text(&ask["stay"])), "valid_until": valid_until,
               "amounts": amounts})
    }

    fn done(&mut self, asked: &Value, reverses: bool) -> Value {
        let id = text(&asked["operation_id"]);
        let operation = Operation { stay: text(&asked["stay"]), reverses, amounts: asked["amounts"].clone() };
        self.operations.entry(id.clone()).or_insert(operation);
        self.known(&id)
    }

    fn known(&self, id: &str) -> Value {
        match self.operations.get(id) {
            Some(Operation { amounts, .. }) => {
                json!({"answer": "done", "operation_id": id, "amounts": amounts, "reference": format!("P-{id}")})
            }
            None => json!({"answer": "not_found"}),
        }
    }
}

fn description() -> Value {
    json!({"protocol": "1", "manifest": {
        "adapter": ADAPTER, "version": VERSION, "serves": [SERVES], "quotes_are_firm": true,
        "commits_are_idempotent": true, "reverse_window_s": 2_592_000, "not_found_settles_after_s": 30,
        "optional": false, "commits_zero": false, "concurrency_max": 8, "needs": ["id_number"],
        "sees_visits": true, "coverage_valid_s": 60, "quote_p95_ms": 500, "commit_p95_ms": 1_500,
    }})
}

pub(super) fn manifest() -> Manifest {
    serde_json::from_value(description()["manifest"].clone()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Answer {
    fn written(&self, mut right: Value) -> String {
        for place in &self.take {
            let (parent, last) = place.rsplit_once('/').unwrap();
            right.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(last).unwrap();
        }
        for (place, value) in &self.put {
            let (parent, last) = place.rsplit_once('/').unwrap();
            right.pointer_mut(parent).unwrap()[last] = serde_json::from_str(value).unwrap();
        }
        let mut body = self.body.clone().unwrap_or_else(|| right.to_string());
        body = body.replace(FILLER, &"A".repeat(FILLER_CHARS));
        if let Some((from, to)) = &self.swap {
            assert!(body.contains(from), "{from} stands nowhere in {body}");
            body = body.replacen(from, to, 1);
        }
        body.truncate(self.bytes.unwrap_or(body.len()));
        body
    }
}

/// One connection, request after request.
async fn served(mut stream: TcpStream, book: Arc<Mutex<Book>>) {
    while let Some((verb, asked)) = request(&mut stream).await {
        let (right, wrong) = book.lock().unwrap().answered(&verb, &asked);
        let sent = match wrong {
            None => send(&mut stream, 200, "application/json", right.to_string().as_bytes()).await,
            Some(wrong) if wrong.drips => drip(&mut stream).await,
            Some(wrong) if wrong.floods => {
                send(&mut stream, wrong.status, &wrong.media_type, &vec![b' '; FLOOD_BYTES]).await
            }
            Some(wrong) => {
                send(&mut stream, wrong.status, &wrong.media_type, wrong.written(right).as_bytes()).await
            }
        };
        if sent.is_none() {
            return;
        }
    }
}

/// Without a length, so that an answer that is too long is noticed by its bytes.
async fn send(stream: &mut TcpStream, status: u16, media_type: &str, body: &[u8]) -> Option<()> {
    let length = match body.len() {
        FLOOD_BYTES => "connection: close".to_owned(),
        length => format!("content-length: {length}"),
    };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\n{length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
    (body.len() != FLOOD_BYTES).then_some(())
}

async fn drip(stream: &mut TcpStream) -> Option<()> {
    stream
        .write_all(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n")
        .await
        .ok()?;
    let mut ticks = tokio::time::interval(DRIP_EVERY);
    loop {
        ticks.tick().await;
        stream.write_all(b" ").await.ok()?;
    }
}

/// The verb of the next request and its body, once it has come whole.
async fn request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut came = Vec::new();
    let (verb, length, begins) = loop {
        if let Some(head) = head(&came) {
            break head;
        }
        more(stream, &mut came).await?;
    };
    while came.len() < begins + length {
        more(stream, &mut came).await?;
    }
    Some((verb, serde_json::from_slice(&came[begins..]).unwrap_or_default()))
}

/// Of the first request in these bytes: its verb, the length of its body, and where that begins.
fn head(came: &[u8]) -> Option<(String, usize, usize)> {
    let begins = came.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&came[..begins]).unwrap();
    let verb = head.split(' ').nth(1)?.strip_prefix("/v1/")?.to_owned();
    let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok();
    Some((verb, head.lines().find_map(length).unwrap_or_default(), begins))
}

async fn more(stream: &mut TcpStream, came: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4096];
    let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
    came.extend_from_slice(&chunk[..read]);
    Some(())
}
