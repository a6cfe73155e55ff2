//! A right adapter whose words are twisted on their way in or out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use yizhan_kit::service::{Asked, Desk, Handler, Problem, ProblemKind, Reply};

use super::faults::Fault;
use super::faulty::{Faulty, Sent};
use super::memory::Memory;

/// Requests in hand from which on every so many are told that it is busy.
const BUSY_FROM: usize = 8;
const BUSY_EACH: usize = 7;
const SOON: SignedDuration = SignedDuration::from_secs(3);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

pub(crate) struct Twisted {
    desk: Arc<Desk<Faulty>>,
    fault: Option<Fault>,
    in_hand: AtomicUsize,
    asked: AtomicUsize,
    memory: Arc<Memory>,
}

impl Twisted {
    pub(crate) fn of(desk: Arc<Desk<Faulty>>, fault: Option<Fault>, memory: Arc<Memory>) -> Self {
        Self { desk, fault, in_hand: AtomicUsize::new(0), asked: AtomicUsize::new(0), memory }
    }

    /// An answer that comes before anybody has read the request.
    fn at_once(&self, asked: &Asked) -> Option<Reply> {
        let contains = |text: &str| String::from_utf8_lossy(&asked.body).contains(text);
        let busy = || Problem { retry_after_s: Some(0), ..Problem::of(ProblemKind::Busy) };
        match self.fault? {
            Fault::ChokesOnNewMembers if contains("of_a_later_version") => {
                Some(Problem::of(ProblemKind::Malformed).reply())
            }
            Fault::BelievesInNoLongDeadlines if left(asked).is_some_and(|left| MINUTE < left) => {
                Some(Problem::of(ProblemKind::Malformed).reply())
            }
            Fault::TakesPersonsByAddress if asked.path == "/v1/coverage" && asked.query.is_some() => {
                Some(json_reply(&json!({"answer": "not_said"})))
            }
            Fault::IsBusyWithinItsPromise
                if BUSY_FROM < self.in_hand.load(Ordering::Relaxed)
                    && self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(BUSY_EACH) =>
            {
                Some(busy().reply())
            }
            _ => None,
        }
    }

    fn misread(&self, mut asked: Asked) -> Asked {
        match self.fault {
            Some(Fault::ReadsAnyType) => asked.content_type = Some("application/json".to_owned()),
            Some(Fault::BeginsWhatIsLate) => {
                if let Ok(mut body) = serde_json::from_slice::<Value>(&asked.body)
                    && body["head"]["deadline"].is_string()
                {
                    body["head"]["deadline"] = json!("2100-01-01T00:00:00Z");
                    asked.body = body.to_string().into();
                }
            }
            Some(Fault::ForgivesAMinute | Fault::BeginsLateReversals) => {
                let is_of_fault = self.fault == Some(Fault::ForgivesAMinute) || asked.path == "/v1/reverse";
                asked = redated(asked, |left| is_of_fault && -MINUTE < left && left < SignedDuration::ZERO);
            }
            Some(Fault::BooksAgainWhatWasLate) if asked.path == "/v1/commit" => {
                let is_hurried = |left| -SOON < left && left < SignedDuration::from_secs(1);
                if left(&asked).is_some_and(is_hurried) {
                    let body: Value = serde_json::from_slice(&asked.body).unwrap();
                    let id = body["operation_id"].as_str().unwrap().to_owned();
                    self.memory.of().hurried.insert(id);
                    asked = redated(asked, is_hurried);
                }
            }
            _ => {}
        }
        asked
    }

    fn twist(&self, asked: &Asked, reply: Reply) -> Reply {
        let Some(fault) = self.fault else { return reply };
        let is_quote = asked.path == "/v1/quote";
        match (fault, reply.status) {
            (Fault::AnswersInPlainText, 200) => Reply { content_type: "text/plain", ..reply },
            (Fault::MoneyIsANumber, 200) if is_quote => {
                edited(reply, |quote| quote["amounts"][0]["amount"] = json!(1.5))
            }
            (Fault::MoneyHasOneDecimal, 200) if is_quote => edited(reply, |quote| {
                quote["amounts"][0]["amount"] = json!("1.5");
            }),
            (Fault::QuotesWhatHasLapsed, 200) if is_quote => {
                edited(reply, |quote| quote["valid_until"] = json!("2020-07-02T02:45:05Z"))
            }
            // Its quotes hold for longer than it says.
            (Fault::CommitsWhatHasLapsed, 200) if is_quote => {
                edited(reply, |quote| quote["valid_until"] = json!(soon().to_string()))
            }
            (Fault::TimesHaveNoOffset, 200) if is_quote => {
                edited(reply, |quote| quote["valid_until"] = json!("2100-01-01T00:00:00"))
            }
            (Fault::FailsOnTheUnreadable, 400) if asked.path == "/v1/commit" && !is_late(&reply) => {
                Problem::of(ProblemKind::Failed).reply()
            }
            (Fault::RefusesWithoutATitle, 400..) => edited(reply, |problem| {
                problem.as_object_mut().unwrap().remove("title");
            }),
            (Fault::AnswersUnknownVerbs, 404) => json_reply(&json!({})),
            (Fault::RepeatsThePerson, 400) if is_quote => {
                let said = String::from_utf8_lossy(&asked.body).into_owned();
                edited(reply, |problem| problem["detail"] = json!(said))
            }
            (Fault::RepeatsTheNameEscaped, 400) if is_quote => {
                let asked: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
                let name = asked["ask"]["person"]["name"].clone();
                escaped(edited(reply, |problem| problem["detail"] = name))
            }
            (Fault::WritesWhatItIsAsked, 400) if is_quote => {
                self.memory.says(&String::from_utf8_lossy(&asked.body));
                reply
            }
            (Fault::WritesTheNameEscaped, 200) if is_quote => {
                let asked: Value = serde_json::from_slice(&asked.body).unwrap();
                self.memory.says(&ascii(&asked["ask"]["person"]["name"].to_string()));
                reply
            }
            (Fault::ReadsAnyDay, 400) if asked.path == "/v1/statement" => {
                json_reply(&json!({"day": "2020-02-28", "lines": []}))
            }
            _ => reply,
        }
    }
}

/// How long before its deadline a request came.
fn left(asked: &Asked) -> Option<SignedDuration> {
    let body: Value = serde_json::from_slice(&asked.body).ok()?;
    let deadline: Timestamp = body["head"]["deadline"].as_str()?.parse().ok()?;
    Some(deadline.duration_since(asked.at))
}

/// The request as if it had time enough, where so much is left of it.
fn redated(asked: Asked, which: impl Fn(SignedDuration) -> bool) -> Asked {
    if !left(&asked).is_some_and(which) {
        return asked;
    }
    let mut body: Value = serde_json::from_slice(&asked.body).unwrap();
    body["head"]["deadline"] = json!(soon().to_string());
    Asked { body: body.to_string().into(), ..asked }
}

#[expect(clippy::disallowed_methods, reason = "a payer has a clock of its own")]
fn soon() -> Timestamp {
    Timestamp::now() + SOON
}

fn escaped(reply: Reply) -> Reply {
    let body = ascii(&String::from_utf8(reply.body).unwrap());
    Reply { body: body.into_bytes(), ..reply }
}

/// As JSON is written by those who trust no character set.
fn ascii(json: &str) -> String {
    let escaped = |character| match character {
        '\0'..='~' => String::from(character),
        _ => format!("\\u{:04x}", u32::from(character)),
    };
    json.chars().map(escaped).collect()
}

fn is_late(reply: &Reply) -> bool {
    String::from_utf8_lossy(&reply.body).contains("deadline_passed")
}

fn json_reply(body: &Value) -> Reply {
    Reply::of(200, "application/json", body.to_string().into_bytes())
}

fn edited(reply: Reply, edit: impl FnOnce(&mut Value)) -> Reply {
    let mut body: Value = serde_json::from_slice(&reply.body).unwrap();
    if body.get("amounts").is_some() || body.get("type").is_some() {
        edit(&mut body);
    }
    Reply { body: body.to_string().into_bytes(), ..reply }
}

impl Handler for Twisted {
    fn handle(self: Arc<Self>, asked: Asked) -> Sent<Option<Reply>> {
        Box::pin(async move {
            self.in_hand.fetch_add(1, Ordering::Relaxed);
            let at_once = self.at_once(&asked);
            let reply = match at_once {
                Some(reply) => Some(reply),
                None => {
                    let asked = self.misread(asked);
                    let reply = Arc::clone(&self.desk).handle(asked.clone()).await;
                    reply.map(|reply| self.twist(&asked, reply))
                }
            };
            self.in_hand.fetch_sub(1, Ordering::Relaxed);
            reply
        })
    }
}
