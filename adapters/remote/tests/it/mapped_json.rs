//! The example of a JSON insurer (adapters/examples/mapping-json.toml), against one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use yizhan_contract::payer::{
    Ask, Coverage, CoverageQuestion, Need, Operation, Payer, Performed, Quote, QuoteAnswer, Status,
};
use yizhan_contract::{Money, Personal};
use yizhan_remote::Mapped;

use crate::book::{Book, Entry, load, mapped, query};
use crate::certificates::Certificates;
use crate::given::{TestHost, ask, commit_of, example, reversal_of};
use crate::service::{Came, Reply, Service};

const EXAMPLE: &str = include_str!("../../../examples/mapping-json.toml");
const KEY: &str = "an example's key, of no use elsewhere";
/// What an insurer hands out need not be harmless.
const POLICY: &str = "P-1\",\"pay\":1,\"x\":\"\\";
/// A name that would like to be more than a name.
const NAME: &str = "王\"小明\",\"payAtMost\":99999999,\"x\":\"\\";

/// An insurer, and what it answers next instead of what it should.
struct Insurer {
    book: Arc<Book>,
    instead: Arc<Mutex<Option<Reply>>>,
    service: Service,
    mapped: Mapped,
    host: Arc<TestHost>,
}

impl Insurer {
    async fn start() -> Self {
        let certificates = Certificates::new();
        std::fs::write(certificates.folder.path().join("anxin.key"), format!("{KEY}\n")).unwrap();
        let (book, instead) = (Arc::new(Book::default()), Arc::new(Mutex::new(None::<Reply>)));
        let (kept, next, nonces) = (Arc::clone(&book), Arc::clone(&instead), Mutex::new(BTreeSet::new()));
        let service = Service::start(&certificates, move |came| {
            if !is_signed(came) {
                return Reply::text(401, "text/plain", "signature");
            }
            if !nonces.lock().unwrap().insert(came.head.headers["x-nonce"].clone()) {
                return Reply::text(401, "text/plain", "replayed");
            }
            next.lock().unwrap().clone().unwrap_or_else(|| answer(came, &kept))
        })
        .await;
        let here = format!("https://localhost:{}", service.port);
        let (mapped, host) = mapped(EXAMPLE, ("https://claims.anxin.example", &here), &certificates).unwrap();
        Self { book, instead, service, mapped, host }
    }

    async fn quote(&self, ask: &Ask) -> QuoteAnswer {
        self.mapped.quote(ask, self.host.within(20)).await
    }

    async fn quoted(&self) -> Quote {
        match self.quote(&asked()).await {
            QuoteAnswer::Quote(quote) => quote,
            other => panic!("{other:?}"),
        }
    }

    async fn perform(&self, operation: &Operation) -> Performed {
        let prepared = self.mapped.prepare(operation).unwrap();
        self.mapped.perform(&prepared, self.host.within(20)).await
    }

    async fn status(&self, operation: &Operation) -> Status {
        let prepared = self.mapped.prepare(operation).unwrap();
        self.mapped.status(&prepared, self.host.within(20)).await
    }

    fn last(&self) -> Value {
        self.service.requests().last().unwrap().json()
    }
}

/// As the insurer's own paper has it: HMAC over method, path, time, nonce and body.
fn is_signed(came: &Came) -> bool {
    let header = |name: &str| came.head.headers[name].to_str().unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let path = came.head.uri.path_and_query().unwrap().as_str();
    let text = format!("{}\n{path}\n{}\n{}\n", came.head.method, header("x-timestamp"), header("x-nonce"));
    mac.update(text.as_bytes());
    mac.update(&came.body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    header("x-channel") == "YIZHAN" && header("x-signature") == hex
}

fn answer(came: &Came, book: &Book) -> Reply {
    let path = came.path().strip_prefix("/onestop").unwrap();
    let body = if came.body.is_empty() { Value::Null } else { came.json() };
    let done = |entry: Entry, number: &str| {
        let data = json!({"paid": entry.fen, number: format!("N-{}", entry.id)});
        json!({"code": "00", "msg": "成功", "reqNo": entry.id, "data": data})
    };
    let missing = json!({"code": "N3", "msg": "查无此笔"});
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Reply::json(&match (came.head.method.as_str(), path) {
        ("POST", "/policy/query") => match body["certNo"].as_str() {
            Some("371323195304121265") => {
                json!({"code": "00", "data": {"from": "2020-01-01", "to": "2020-12-31"}})
            }
            _ => json!({"code": "N2", "msg": "查无此人"}),
        },
        ("POST", "/claim/calc") => json!({"code": "00", "data": {
            "calcNo": "JS-1", "validUntil": "2020-07-02 10:45:05", "policyNo": POLICY, "pay": body["payAtMost"],
        }}),
        ("POST", "/claim/settle") if body["policyNo"] != POLICY => json!({"code": "E1", "msg": "保单号不符"}),
        ("POST", "/claim/settle") => {
            let entry = Entry { id: text("reqNo"), fen: body["pay"].as_i64().unwrap(), of: None };
            done(book.enter(entry), "settleNo")
        }
        ("POST", "/claim/cancel") => {
            let of = text("settleReqNo");
            let fen = book.find(&of).map(|entry| -entry.fen);
            book.enter(Entry { id: text("reqNo"), fen: fen.unwrap_or_default(), of: Some(of) });
            let done = json!({"code": "00", "reqNo": text("reqNo"), "data": {"cancelNo": "C-1"}});
            if fen.is_none() { json!({"code": "N3", "reqNo": text("reqNo")}) } else { done }
        }
        ("GET", "/claim/book") => {
            let after: usize = query(&came.head.uri)["after"].parse().unwrap_or(0);
            let line = |entry: &Entry| json!({"reqNo": entry.id, "no": "L-1", "amount": entry.fen, "at": "2020-07-02 10:15:04"});
            let entries = book.entries();
            let page: Vec<_> = entries.iter().skip(after).take(1).map(line).collect();
            let next = (after + 1 < entries.len()).then(|| (after + 1).to_string());
            json!({"code": "00", "data": {"lines": page, "next": next}})
        }
        ("GET", path) => {
            let (number, id) = path.strip_prefix("/claim/").unwrap().split_once('/').unwrap();
            let found = book.find(id).filter(|entry| entry.of.is_some() == (number == "cancel"));
            found.map_or(missing, |entry| {
                done(entry, if number == "cancel" { "cancelNo" } else { "settleNo" })
            })
        }
        other => panic!("{other:?} is no call of this insurer"),
    })
}

fn asked() -> Ask {
    let mut ask = ask();
    ask.person.name = Some(Personal::new(NAME.to_owned()));
    ask
}

fn fen(amounts: &[(yizhan_contract::PayerCode, Money)]) -> Vec<i64> {
    amounts.iter().map(|(_, amount)| amount.fen()).collect()
}

#[tokio::test]
async fn a_claim_is_calculated_settled_asked_about_cancelled_and_found_in_the_book() {
    let insurer = Insurer::start().await;
    let quote = insurer.quoted().await;
    assert_eq!((quote.id.as_str(), quote.valid_until.to_string().as_str()), ("JS-1", "2020-07-02T02:45:05Z"));
    assert_eq!(quote.amounts[0].amount.to_string(), "155.07");
    let sent = insurer.last();
    assert_eq!(sent["insured"], json!({"certNo": "371323195304121265", "name": NAME, "sex": "9"}));
    assert_eq!((&sent["payAtMost"], &sent["total"]), (&json!(15507), &json!(1_200_000)));
    assert_eq!(sent["base"].to_string(), "163.23");
    assert_eq!(sent["paidBefore"][3], json!({"kind": "YY01", "amount": 1814}));

    let commit = commit_of("op-1", &quote);
    assert_eq!(insurer.status(&commit).await, Status::NotFound);
    for _ in 0..2 {
        let Performed::Committed { amounts, reference } = insurer.perform(&commit).await else {
            panic!("not committed")
        };
        assert_eq!((fen(&amounts), reference.as_str()), (vec![15507], "N-op-1"));
    }
    assert_eq!(insurer.last()["policyNo"], POLICY);
    let Status::Done { amounts, reference } = insurer.status(&commit).await else { panic!("not done") };
    assert_eq!((fen(&amounts), reference.as_str()), (vec![15507], "N-op-1"));

    let undo = reversal_of("op-2", &commit, &insurer.mapped.prepare(&commit).unwrap());
    assert_eq!(insurer.status(&undo).await, Status::NotFound);
    let Performed::Committed { amounts, reference } = insurer.perform(&undo).await else {
        panic!("not undone")
    };
    assert_eq!((fen(&amounts), reference.as_str()), (vec![15507], "C-1"));
    assert!(matches!(insurer.status(&undo).await, Status::Done { .. }));

    let of_nothing =
        reversal_of("op-4", &commit_of("op-3", &quote), &insurer.mapped.prepare(&commit).unwrap());
    let Performed::Committed { amounts, .. } = insurer.perform(&of_nothing).await else { panic!("refused") };
    assert_eq!(amounts, [], "there was nothing to take back");

    let book =
        insurer.mapped.statement("2020-07-02".parse().unwrap(), insurer.host.within(20)).await.unwrap();
    let lines: Vec<_> = book.iter().map(|line| (line.operation_id.as_str(), line.amount.fen())).collect();
    assert_eq!(lines, [("op-1", 15507), ("op-2", -15507), ("op-4", 0)]);
    assert_eq!(book[0].at.to_string(), "2020-07-02T02:15:04Z");
    assert_eq!(insurer.book.entries().len(), 3);
}

#[tokio::test]
async fn what_it_needs_to_know_is_what_its_templates_say() {
    let insurer = Insurer::start().await;
    let manifest = insurer.mapped.manifest();
    let needs = BTreeSet::from([Need::IdNumber, Need::Name, Need::Sex, Need::Diagnoses]);
    assert_eq!((&manifest.needs, manifest.sees_visits), (&needs, false));

    let mut nameless = asked();
    nameless.person.id_number = None;
    let QuoteAnswer::NotReady { what } = insurer.quote(&nameless).await else { panic!("it was asked") };
    assert_eq!(what, "身份证号 | identity card number");
    assert!(insurer.service.requests().is_empty());
    let quote = insurer.quoted().await;
    let kept: Value = serde_json::from_slice(&quote.kept).unwrap();
    let person = json!({"person": {"id_number": "371323195304121265"}, "quoted": {"policy": POLICY}});
    assert_eq!(kept, person, "no more is kept than the commit speaks of");
}

#[tokio::test]
async fn coverage_is_asked_once_and_unknown_people_are_unknown() {
    let insurer = Insurer::start().await;
    let request = example("/v1/coverage", "request");
    let mut question: CoverageQuestion = serde_json::from_value(request["question"].clone()).unwrap();
    for _ in 0..2 {
        let answer = insurer.mapped.coverage(&question, insurer.host.within(20)).await;
        let Coverage::Covers { covers } = answer else { panic!("{answer:?}") };
        assert!(covers[0].in_force && covers[0].to == Some("2020-12-31".parse().unwrap()));
    }
    assert_eq!(insurer.service.requests().len(), 1);
    question.person.id_number = Some(Personal::new("11010519491231002X".parse().unwrap()));
    let answer = insurer.mapped.coverage(&question, insurer.host.within(20)).await;
    assert_eq!(answer, Coverage::UnknownPerson);
}

/// Whatever is not mapped, missing or written otherwise than agreed: never done.
#[tokio::test]
async fn an_answer_that_is_not_as_agreed_is_no_answer() {
    let insurer = Insurer::start().await;
    let quote = insurer.quoted().await;
    let commit = commit_of("op-1", &quote);
    let body = |text: &str| Reply::text(200, "application/json", text.replace('\'', "\""));
    for (reply, says) in [
        (body("{'code':'77','data':{'paid':15507,'settleNo':'S'}}"), "the status \"77\" is not listed"),
        (body("{'code':'371323195304121265'}"), "the status is not listed"),
        (body("{'code':0,'data':{'paid':15507,'settleNo':'S'}}"), "the status \"0\" is not listed"),
        (body("{'msg':'ok'}"), "commit.answer.status: the answer has no /code"),
        (body("{'code':'00','code':'E1'}"), "more than one code"),
        (
            body("{'code':'00','reqNo':'op-1','data':{'settleNo':'S'}}"),
            "commit.answer.amount: the answer has no /data/paid",
        ),
        (
            body("{'code':'00','reqNo':'op-1','data':{'paid':null,'settleNo':'S'}}"),
            "the answer has no /data/paid",
        ),
        (
            body("{'code':'00','reqNo':'op-1','data':{'paid':'155.07','settleNo':'S'}}"),
            "/data/paid is not written as agreed",
        ),
        (
            body("{'code':'00','reqNo':'op-1','data':{'paid':155.07,'settleNo':'S'}}"),
            "/data/paid is not written as agreed",
        ),
        (
            body("{'code':'00','reqNo':'op-1','data':{'paid':{'x':1},'settleNo':'S'}}"),
            "/data/paid is no single value",
        ),
        (
            body("{'code':'00','reqNo':'op-1','data':{'paid':15508,'settleNo':'S'}}"),
            "155.08 was done for supplementary",
        ),
        (body("{'code':'00','reqNo':'op-1','data':{'paid':-15507,'settleNo':'S'}}"), "negative"),
        (
            body("{'code':'00','reqNo':'op-1','data':{'paid':15507}}"),
            "commit.answer.reference: the answer has no /data/settleNo",
        ),
        (
            body("{'code':'00','reqNo':'op-1','data':{'paid':15507,'settleNo':' '}}"),
            "is not written as agreed",
        ),
        (body("{'code':'P1','msg':'处理中'}"), "处理中"),
        (
            body("{'code':'00','reqNo':'op-0','data':{'paid':15507,'settleNo':'S'}}"),
            "commit.answer.operation_id: the answer names another operation",
        ),
        (body("{'code':'00','reqNo':1,'data':{'paid':15507,'settleNo':'S'}}"), "names another operation"),
        (body("{'code':'E1','reqNo':'op-0'}"), "names another operation"),
        (
            body("{'code':'00','data':{'paid':15507,'settleNo':'S'}}"),
            "commit.answer.operation_id: the answer has no /reqNo",
        ),
        (body("{'code':'00','reqNo':null,'data':{'paid':15507,'settleNo':'S'}}"), "has no /reqNo"),
        (body("[]"), "the answer has no /code"),
        (body("{'code':"), "no JSON (line 1"),
        (Reply::text(200, "text/html", "<html>"), "a web page, not JSON"),
        (Reply::text(200, "application/json", b"\xB1\xA3".to_vec()), "not in UTF-8"),
        (Reply::text(500, "application/json", "{\"code\":\"00\"}"), "HTTP 500"),
        (Reply::text(404, "application/json", "{\"code\":\"00\"}"), "HTTP 404"),
    ] {
        *insurer.instead.lock().unwrap() = Some(reply.clone());
        let Performed::Unknown { why, .. } = insurer.perform(&commit).await else {
            panic!("{reply:?} was taken for an answer")
        };
        assert!(why.contains(says), "{reply:?}: {why}");
        assert!(!why.contains("371323195304121265"), "{why}");
    }
    assert!(insurer.book.entries().is_empty());
    let refused = body("{'code':'E1','msg':'已超过期限','data':{'reason':'TOO_LATE'}}");
    *insurer.instead.lock().unwrap() = Some(refused);
    let answer = insurer.perform(&commit).await;
    let (code, message) = ("TOO_LATE".to_owned(), "已超过期限".to_owned());
    assert_eq!(answer, Performed::Refused { code, message });
}

#[tokio::test]
async fn quotes_are_held_to_what_was_asked() {
    let insurer = Insurer::start().await;
    let data = "\"calcNo\":\"J\",\"policyNo\":\"P\",\"validUntil\":\"2020-07-02 10:45:05\"";
    for (pay, says) in
        [("15508", "155.08 for supplementary is more"), ("-1", "negative"), ("\"x\"", "as agreed")]
    {
        let text = format!("{{\"code\":\"00\",\"data\":{{{data},\"pay\":{pay}}}}}");
        *insurer.instead.lock().unwrap() = Some(Reply::text(200, "application/json", text));
        let QuoteAnswer::Unavailable(told) = insurer.quote(&asked()).await else {
            panic!("{pay} was believed")
        };
        assert!(told.why.contains(says), "{pay}: {}", told.why);
    }
    for (code, expected) in [
        ("N1", QuoteAnswer::NotCovered),
        ("E1", QuoteAnswer::Refused { code: "E1".into(), message: "E1".into() }),
        ("M1", QuoteAnswer::NotReady { what: "M1".into() }),
    ] {
        let text = format!("{{\"code\":\"{code}\"}}");
        *insurer.instead.lock().unwrap() = Some(Reply::text(200, "application/json", text));
        assert_eq!(insurer.quote(&asked()).await, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_before_it_is_tried() {
    let insurer = Insurer::start().await;
    let quote = insurer.quoted().await;
    let without = Quote { kept: Vec::new().into(), ..quote.clone() };
    let foreign = commit_of("op-1", &Quote { kept: b"x".to_vec().into(), ..quote.clone() });
    let prepared = insurer.mapped.prepare(&commit_of("op-1", &quote)).unwrap();
    for (operation, says) in [
        (commit_of("op-1", &without), "quoted.policy is not known (commit.request, line 4)"),
        (foreign.clone(), "not written by this adapter"),
        (reversal_of("op-2", &foreign, &prepared), "not written by this adapter"),
    ] {
        let refused = insurer.mapped.prepare(&operation).unwrap_err();
        assert!(refused.0.contains(says), "{refused}");
    }
}

/// An insurer that takes nothing back: a reversal is not made ready, so nothing is planned on it.
#[tokio::test]
async fn without_a_way_to_cancel_no_reversal_is_made_ready() {
    let certificates = Certificates::new();
    std::fs::write(certificates.folder.path().join("anxin.key"), KEY).unwrap();
    let (before, rest) = EXAMPLE.split_once("[reverse]").unwrap();
    let (_, after) = rest.split_once("[statement]").unwrap();
    let text = format!("{before}[statement]{after}").replace("reverse_window_s = 2592000\n", "");
    let (mapped, _) = load(&text, certificates.folder.path()).unwrap();
    assert_eq!(mapped.manifest().reverse_window_s, None);
    let quoted = Quote {
        id: "JS-1".to_owned(),
        valid_until: jiff::Timestamp::MAX,
        amounts: Vec::new(),
        also_paid: Vec::new(),
        kept: serde_json::to_vec(&json!({
            "person": {"id_number": "371323195304121265"}, "quoted": {"policy": POLICY},
        }))
        .unwrap()
        .into(),
    };
    let commit = commit_of("op-1", &quoted);
    let prepared = mapped.prepare(&commit).unwrap();
    let refused = mapped.prepare(&reversal_of("op-2", &commit, &prepared)).unwrap_err();
    assert!(refused.0.contains("no [reverse]"), "{refused}");
}
