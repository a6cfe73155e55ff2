//! The same bill in every form, and the pages around it.

use yizhan::intake::hl7::{Header, Message, Reading};

use super::client::Ask;
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
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(reply.header("cache-control"), "private, no-store");
    let address = reply.header("content-location").to_owned();
    let english = Ask::get(&format!("{address}?lang=en")).token(YISHUI).accept("text/html");
    assert!(served.ask(english).await.text().contains("lang=\"en\""));
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
    let style = sheet.text().split("href=\"").find(|rest| rest.starts_with("/assets/")).unwrap();
    let style = served.ask(Ask::get(style.split('"').next().unwrap())).await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
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
