//! Every way to be refused, as a line each.

use yizhan::refusal::Money;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::StayRef;

use super::client::Ask;
use super::served::{Setting, YISHUI, sample, served};

const COMMIT: &str = "/v1/settlements/01738c2a-6f00-7000-8000-000000000002/commit";
const REVERSAL: &str = "/v1/settlements/01738c2a-6f00-7000-8000-000000000002/reversal";
const LOOKUP: &str = "/v1/beneficiaries/lookup";
const GOOD_COMMIT: &str = r#"{"expected_patient_share":"1.00"}"#;

fn discharge() -> Ask {
    Ask::post("/v1/discharges", sample("01-worked.json")).token(YISHUI)
}

fn post(path: &str, body: &str) -> Ask {
    Ask::post(path, body).token(YISHUI)
}

fn hl7(text: &str) -> Ask {
    post("/v1/discharges", text).with("content-type", "application/hl7-v2")
}

fn admission(id: &str) -> String {
    let text = String::from_utf8(sample("08a-late-charges-admit.hl7")).unwrap();
    text.replace("|S08-1|", &format!("|{id}|")).replace('\n', "\r")
}

/// The admission under each of these message ids, as one batch.
fn batch(ids: &[&str]) -> Ask {
    let messages: String = ids.iter().map(|id| admission(id)).collect();
    hl7(&format!("FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r{messages}BTS|{}\rFTS|1\r", ids.len()))
}

/// Request, status, type, and the place it names.
fn cases() -> Vec<(Ask, u16, &'static str, &'static str)> {
    let nobody = || discharge().with("authorization", "");
    vec![
        (nobody(), 401, "unauthorized", ""),
        (nobody().token("wrong"), 401, "unauthorized", ""),
        (nobody().with("authorization", "Basic ZGVtbzpkZW1v"), 401, "unauthorized", ""),
        (Ask::get("/v1/settlements/x"), 401, "unauthorized", ""),
        (Ask::post(LOOKUP, "{}"), 401, "unauthorized", ""),
        (Ask::post(COMMIT, GOOD_COMMIT), 401, "unauthorized", ""),
        (Ask::post(REVERSAL, "{}"), 401, "unauthorized", ""),
        (Ask::get("/nowhere"), 404, "not_found", ""),
        (Ask::get("/"), 404, "not_found", ""),
        (Ask::get("/v1/settlements/no-uuid").token(YISHUI), 404, "no_such_settlement", ""),
        (Ask::get("/v1/discharges").token(YISHUI), 405, "method_not_allowed", ""),
        (Ask::new("DELETE", "/healthz", Vec::new()), 405, "method_not_allowed", ""),
        (Ask::new("PUT", COMMIT, Vec::new()), 405, "method_not_allowed", ""),
        (discharge().accept("image/png"), 406, "not_acceptable", ""),
        (post(LOOKUP, "{}").accept("text/html;q=0, text/plain"), 406, "not_acceptable", ""),
        (discharge().with("content-type", ""), 415, "unsupported_media", ""),
        (discharge().with("content-type", "text/plain"), 415, "unsupported_media", ""),
        (discharge().with("content-type", ";;"), 415, "unsupported_media", ""),
        (discharge().with("content-encoding", "gzip"), 415, "unsupported_media", ""),
        (post(LOOKUP, "{}").with("content-type", "application/xml"), 415, "unsupported_media", ""),
        (discharge().with("content-length", "70000"), 413, "too_large", ""),
        (post(LOOKUP, &" ".repeat(20_000)), 413, "too_large", ""),
        (post("/v1/discharges?mod=quote", "{}"), 422, "bad_value", "?mod"),
        (post("/v1/discharges?mode=maybe", "{}"), 422, "bad_value", "?mode"),
        (post("/v1/discharges", "{"), 400, "malformed", "line 1 column 1"),
        (post("/v1/discharges", ""), 400, "malformed", "line 1 column 0"),
        (discharge().with("content-type", "application/hl7-v2"), 400, "malformed", "MSH"),
        (batch(&["a", "b"]), 422, "several_messages", "MSH[2]"),
        (hl7(&[admission("a"), admission("b")].concat()), 422, "several_messages", "MSH[2]"),
        (batch(&[]), 400, "malformed", "MSH"),
        (post(COMMIT, "{"), 400, "malformed", ""),
        (post(COMMIT, &format!("{GOOD_COMMIT}x")), 400, "malformed", ""),
        (post(COMMIT, r#"{"expected_patient_share":1}"#), 422, "bad_value", "$.expected_patient_share"),
        (post(COMMIT, r#"{"expected_patient_share":"1","x":1}"#), 422, "bad_value", "$.*"),
        (post(COMMIT, r#"{"371323195304121265":"1"}"#), 422, "bad_value", "$.*"),
        (post(COMMIT, "{}"), 422, "bad_value", "$"),
        (post(COMMIT, GOOD_COMMIT), 404, "no_such_settlement", ""),
        (post(REVERSAL, r#"{"reason":" "}"#), 422, "missing_field", "$.reason"),
        (post(REVERSAL, &format!(r#"{{"reason":"{}"}}"#, "长".repeat(201))), 422, "bad_value", "$.reason"),
        (post(REVERSAL, r#"{"reason":"x","operator":""}"#), 422, "missing_field", "$.operator"),
        (post(REVERSAL, r#"{"reason":"x"}"#), 404, "no_such_settlement", ""),
        (post(LOOKUP, r#"{"id_number":"371323195304121266"}"#), 422, "bad_value", "$.id_number"),
        (post(LOOKUP, r#"{"id_number":"371323195304121265","on":"2020-02-30"}"#), 422, "bad_value", "$.on"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_a_problem_that_moved_nothing() {
    let served = served().await;
    for (ask, status, slug, place) in cases() {
        let reply = served.ask(ask.clone()).await;
        assert_eq!(reply.status, status, "{ask:?}: {}", String::from_utf8_lossy(&reply.body));
        let accepts_more = ask.clone().accept("");
        let reply = if status == 406 { reply } else { served.ask(accepts_more).await };
        let problem = reply.is_problem(status, slug);
        assert_eq!(problem["place"].as_str().unwrap_or_default(), place, "{ask:?}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("www-authenticate").is_empty(), status != 401, "{ask:?}");
        assert_eq!(reply.header("allow").is_empty(), status != 405, "{ask:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_told_where_to_go_and_none_of_it_is_done() {
    let served = served().await;
    let problem = served.ask(batch(&["a", "b", "c"])).await.is_problem(422, "several_messages");
    assert!(problem["detail"].as_str().unwrap().contains("3 条报文"), "{problem}");
    assert!(problem["next"]["zh"].as_str().unwrap().contains("MLLP"), "{problem}");
    assert!(problem["next"]["en"].as_str().unwrap().contains("one message per request"), "{problem}");
    let discharge = hl7(&admission("d").replace("ADT^A01^ADT_A01", "ADT^A11^ADT_A09"));
    let nothing = served.ask(discharge).await.is(200);
    assert_eq!(nothing["findings"][0]["code"], "nothing_to_cancel");
    // An envelope around one message is no batch.
    assert_eq!(served.ask(batch(&["e"])).await.is(200)["state"], "awaiting_charges");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_by_get_answers_head() {
    let served = served().await;
    for path in ["/healthz", "/readyz", "/openapi.json", "/metrics"] {
        let (head, get) =
            (served.ask(Ask::new("HEAD", path, Vec::new())).await, served.ask(Ask::get(path)).await);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    let refused = served.ask(Ask::new("DELETE", "/healthz", Vec::new())).await;
    assert_eq!(refused.header("allow"), "GET, HEAD");
}

/// A body whose length nobody stated ends at the limit, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_chunks_is_bounded() {
    let served = served().await;
    let chunk = format!("11170\r\n{}\r\n0\r\n\r\n", " ".repeat(0x11170));
    let ask = post("/v1/discharges", &chunk).with("transfer-encoding", "chunked");
    served.ask(ask).await.is_problem(413, "too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let mut setting = Setting::default();
    setting.limits.requests_per_second_max = 1;
    let served = setting.serve().await;
    // However slow the machine: five requests at once do not take four seconds apart.
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let address = served.address;
        asked.spawn(async move { post(COMMIT, GOOD_COMMIT).send(address).await });
    }
    let replies = asked.join_all().await;
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(!refused.is_empty() && refused.len() < replies.len());
    refused[0].is_problem(429, "too_many_requests");
    assert_eq!(refused[0].header("retry-after"), "1");
    assert_eq!(served.ask(Ask::get("/healthz")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_store_the_gateway_says_so() {
    let served = served().await;
    let id = served.ask(discharge()).await.is(200)["settlement_id"].as_str().unwrap().to_owned();
    served.store.break_down();
    // What was not taken in moved nothing; what stands of a settlement, the store alone knows.
    let (nothing, unread) = ("not_moved", "being_confirmed");
    for (ask, money) in [
        (discharge(), nothing),
        (Ask::get(&format!("/v1/settlements/{id}")).token(YISHUI), unread),
        (post(&format!("/v1/settlements/{id}/commit"), GOOD_COMMIT), unread),
        (post(&format!("/v1/settlements/{id}/reversal"), r#"{"reason":"x"}"#), unread),
        (post(LOOKUP, r#"{"id_number":"371323195304121265"}"#), nothing),
        (Ask::get("/readyz"), nothing),
    ] {
        let reply = served.ask(ask).await;
        let problem = reply.is_problem_with(503, "store_unavailable", money);
        assert_eq!(reply.header("retry-after"), "5");
        let next = problem["next"]["en"].as_str().unwrap();
        assert_eq!(next.contains("No money moved"), money == nothing, "{next}");
    }
    // Nor is it of a stay that is waited for.
    let waited_for =
        served.gateway.settle_down(StayRef::Settlement(id.parse().unwrap()), jiff::Timestamp::MAX).await;
    let Outcome::Refused(refused) = waited_for else { panic!("{waited_for:?}") };
    assert_eq!(refused.refusals[0].money, Money::BeingConfirmed);
    assert_eq!(served.ask(Ask::get("/healthz")).await.status, 200);
}
