//! The same bill in every form, and the pages around it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use yizhan::intake::hl7::{Header, Message, Reading};

use super::client::{Ask, Reply};
use super::served::{Setting, YISHUI, sample, served};

fn discharge() -> Ask {
    Ask::post("/v1/discharges", sample("01-worked.json")).token(YISHUI)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xml_is_the_bill_masked() {
    let reply = served().await.ask(discharge().accept("application/xml")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/xml; charset=utf-8"));
    let text = reply.text();
    assert!(text.contains("<patient_share>1632.00</patient_share>") && text.contains("<name>张**</name>"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_sheet_shows_the_full_name() {
    let served = served().await;
    let reply = served.ask(discharge().accept("text/html,*/*;q=0.1")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(reply.text().contains("张桂兰") && reply.text().contains("lang=\"zh-CN\""));
    // Shown in a window of the hospital's system, there is nothing else to fetch.
    let style = reply.text().split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with(&format!("default-src 'none'; style-src 'sha256-{hash}';")), "{policy}");
    assert!(!reply.text().contains("<link") && !reply.text().contains(" src="));
    assert_eq!(reply.header("cache-control"), "private, no-store");
    let address = reply.header("content-location").to_owned();
    let english = Ask::get(&format!("{address}?lang=en")).token(YISHUI).accept("text/html");
    assert!(served.ask(english).await.text().contains("lang=\"en\""));
}

/// Of the header `Link`.
fn link(reply: &Reply) -> String {
    let (address, kind) = reply.header("link").strip_prefix('<').unwrap().split_once('>').unwrap();
    assert_eq!(kind, "; rel=\"alternate\"; type=\"text/html\"");
    address.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_opens_the_sheet_by_the_link_of_its_bill_for_a_while() {
    let served = served().await;
    let page = |address: &str| Ask::get(address).accept("text/html,*/*;q=0.1");
    let bill = served.ask(discharge()).await;
    let address = link(&bill);
    let sheet = served.ask(page(&address)).await;
    assert_eq!(sheet.status, 200);
    assert!(sheet.text().contains("张桂兰"));
    // The other language is reached from the page itself, and no longer pass is had that way.
    served.clock.advance(SignedDuration::from_mins(14));
    let english = format!("{address}&lang=en");
    assert!(sheet.text().contains(&english.replace('&', "&#38;")) || sheet.text().contains(&english));
    let english = served.ask(page(&english)).await;
    assert!(english.text().contains("lang=\"en\""));
    assert_eq!(link(&english), address);
    for (asked, status, slug) in [
        (Ask::get(&address).accept("application/json"), 406, "not_acceptable"),
        (page(&address.replace("?pass=", "?pass=1")), 401, "unauthorized"),
        (page("/v1/settlements/01738c2a-6f00-7000-8000-000000000002?pass=1.x"), 401, "unauthorized"),
        (Ask::post(&address.replace('?', "/reversal?"), r#"{"reason":"x"}"#), 401, "unauthorized"),
    ] {
        let reply = served.ask(asked).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().contains(slug));
    }
    served.clock.advance(SignedDuration::from_mins(1));
    let ended = served.ask(page(&address)).await;
    assert_eq!(ended.status, 401);
    assert!(ended.text().contains("链接无效或已过期") && ended.text().contains("open the bill again"));
}

/// What is asked for as HTML or XML is answered so, whatever it has come to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_in_the_form_that_was_asked_for() {
    let served = served().await;
    let admission = Ask::post("/v1/discharges", sample("08a-late-charges-admit.hl7")).token(YISHUI);
    let admission = admission.with("content-type", "application/hl7-v2");
    let noted = served.ask(admission.accept("text/html")).await;
    assert_eq!((noted.status, noted.header("content-type")), (200, "text/html; charset=utf-8"));
    for part in ["已收到", "ZY20201120005", "等待费用", "先诊疗后付费", "no deposit"] {
        assert!(noted.text().contains(part), "{part}: {}", noted.text());
    }
    let quote =
        served.ask(Ask::post("/v1/discharges?mode=quote", sample("01-worked.json")).token(YISHUI)).await;
    let commit = format!("{}/commit", quote.header("content-location"));
    let commit = Ask::post(&commit, r#"{"expected_patient_share":"1631.99"}"#).token(YISHUI);
    let moved = served.ask(commit.accept("text/html")).await;
    assert_eq!(moved.status, 409);
    for part in ["医疗救助", "1,708.00", "1,632.00", "报价有效至", "2020-12-01 10:30"] {
        assert!(moved.text().contains(part), "{part}: {}", moved.text());
    }
    served.store.hold();
    let impatient = |id: &str| {
        let text = String::from_utf8(sample("01-worked.json")).unwrap().replace("S01-1", id);
        Ask::post("/v1/discharges", text).token(YISHUI).with("prefer", "wait=0")
    };
    let xml = served.ask(impatient("A").accept("application/xml")).await;
    assert_eq!((xml.status, xml.header("content-type")), (202, "application/xml; charset=utf-8"));
    let begin = "<pending xmlns=\"urn:yizhan:pending:1\"><state>settling</state><money>being_confirmed</money><location>";
    assert!(xml.text().contains(begin), "{}", xml.text());
    let page = served.ask(impatient("B").accept("text/html")).await;
    assert_eq!((page.status, page.header("content-type")), (202, "text/html; charset=utf-8"));
    assert!(
        page.text().contains("资金是否变动正在确认")
            && page.text().contains("do not send it under another id")
    );
    let again = page.text().split_once("<a href=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    served.store.release();
    let sheet = served.ask(Ask::get(&again).accept("text/html")).await;
    assert!(sheet.status == 200 && sheet.text().contains("住院费用结算单"), "{}", sheet.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hl7_is_an_adjudication_that_reads() {
    let served = served().await;
    let reply = served.ask(discharge().accept("application/hl7-v2")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/hl7-v2; charset=UTF-8"));
    let message = Message::parse(&reply.body, &Reading::default()).unwrap();
    let header = Header::of(&message);
    assert_eq!((header.message_code(), header.trigger_event()), ("EHC".to_owned(), "E10".to_owned()));
    assert!(header.control_id().len() <= 20);
    let amounts = message.named("IPR").map(|share| share.field(6).subcomponent(1).raw().to_owned());
    let amounts: Vec<_> = amounts.collect();
    assert_eq!(amounts, ["8560.00", "0.00", "1708.00", "100.00", "0.00", "1632.00"]);
    let answered = |body: &[u8]| {
        let message = Message::parse(body, &Reading::default()).unwrap();
        let msa = message.first("MSA").unwrap();
        format!("{} {}", msa.field(1).text(), msa.field(2).text())
    };
    assert_eq!(answered(&reply.body), "AA S01-1");
    let again = Ask::get(reply.header("content-location")).token(YISHUI).accept("application/hl7-v2");
    let again = served.ask(again).await;
    assert_eq!((again.status, answered(&again.body)), (200, "AA S01-1".to_owned()));
    // The same stay under another id, and a message that is refused: each is answered by its own id.
    for (id, changed, status, wanted) in
        [("S|01^9", "", 200, "AA S|01^9"), ("S01-8", "12000.01", 422, "AE S01-8")]
    {
        let mut text = String::from_utf8(sample("01-worked.json")).unwrap().replace("S01-1", id);
        if !changed.is_empty() {
            text = text.replace("\"12000.00\"", &format!("\"{changed}\""));
        }
        let ask = Ask::post("/v1/discharges", text).token(YISHUI).accept("application/hl7-v2");
        let reply = served.ask(ask).await;
        assert_eq!((reply.status, answered(&reply.body)), (status, wanted.to_owned()));
    }
}

/// Message, HTTP status, acknowledgement code and the code in its ERR segment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hl7_message_is_acknowledged_in_hl7() {
    let served = served().await;
    let admission = String::from_utf8(sample("08a-late-charges-admit.hl7")).unwrap();
    for (message, status, code, error) in [
        (admission.clone(), 200, "AA", "0"),
        (admission.replace("|H37132301|YIZHAN", "|NOBODY|YIZHAN"), 422, "AR", "204"),
        (admission.replace("ADT^A01^ADT_A01", "ADT^A60^ADT_A60"), 415, "AR", "201"),
    ] {
        let ask = Ask::post("/v1/discharges", message).token(YISHUI);
        let ask = ask.with("content-type", "application/hl7-v2").accept("application/hl7-v2");
        let reply = served.ask(ask).await;
        assert_eq!(reply.status, status);
        let answer = Message::parse(&reply.body, &Reading::default()).unwrap();
        assert_eq!(answer.first("MSA").unwrap().field(1).text(), code);
        assert_eq!(answer.first("ERR").unwrap().field(3).component(1).text(), error);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_is_said_in_every_form() {
    let served = served().await;
    for (accept, kind, part) in [
        ("application/json", "application/problem+json", "\"money\":\"not_moved\""),
        ("application/xml", "application/problem+xml", "<money>not_moved</money>"),
        ("text/html", "text/html; charset=utf-8", "money-not_moved"),
    ] {
        let reply = served.ask(Ask::get("/nowhere").accept(accept)).await;
        assert_eq!((reply.status, reply.header("content-type")), (404, kind));
        assert!(reply.text().contains(part) && reply.text().contains(reply.header("x-trace-id")), "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_shows_bills_to_whoever_looks() {
    let served = Setting::open().serve().await;
    assert_eq!(served.ask(Ask::get("/")).await.status, 200);
    let id = served.ask(discharge()).await.is(200)["settlement_id"].as_str().unwrap().to_owned();
    let index = served.ask(Ask::get("/?lang=en").accept("text/html")).await;
    assert!(
        index.text().contains(&format!("/v1/settlements/{id}?lang=en")) && !index.text().contains("张桂兰")
    );
    let sheet = served.ask(Ask::get(&format!("/v1/settlements/{id}")).accept("text/html")).await;
    assert_eq!(sheet.status, 200);
    served.ask(Ask::post("/v1/discharges", sample("01-worked.json"))).await.is_problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_tells_how_it_is() {
    let served = served().await;
    assert_eq!(served.ask(Ask::get("/healthz")).await.is(200)["status"], "ok");
    assert_eq!(served.ask(Ask::get("/readyz")).await.is(200)["status"], "ready");
    let metrics = served.ask(Ask::get("/metrics")).await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
}
