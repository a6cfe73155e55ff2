//! Reading, committing and taking back.

use jiff::SignedDuration;
use serde_json::Value;

use super::client::Ask;
use super::served::{LINYI, Served, sample, served, worked};

async fn quoted(served: &Served) -> (Value, String) {
    let quote = served.post("/v1/discharges?mode=quote", sample("01-worked.json")).await.is(200);
    let address = format!("/v1/settlements/{}", quote["settlement_id"].as_str().unwrap());
    (quote, address)
}

fn expecting(share: &str) -> String {
    format!(r#"{{"expected_patient_share":"{share}"}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_is_committed_once() {
    let served = served().await;
    let (quote, address) = quoted(&served).await;
    assert_eq!((&quote["state"], &quote["patient_share"]), (&"quoted".into(), &"1632.00".into()));
    let commit = format!("{address}/commit");
    let bill = served.post(&commit, expecting("1632.00")).await.is(200);
    assert_eq!((&bill["state"], &bill["settlement_id"]), (&"settled".into(), &quote["settlement_id"]));
    assert_eq!(served.post(&commit, expecting("1632.00")).await.is(200), bill);
    assert_eq!(served.get(&address).await.is(200), bill);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_is_not_committed_for_another_share() {
    let served = served().await;
    let (_, address) = quoted(&served).await;
    let commit = format!("{address}/commit");
    // More than the quote says was agreed to: the share may come out lower, and the same request is answered alike.
    let bill = served.post(&commit, expecting("1700.00")).await.is(200);
    assert_eq!((&bill["state"], &bill["patient_share"]), (&"settled".into(), &"1632.00".into()));
    for agreed in ["1700.00", "1632.00"] {
        assert_eq!(served.post(&commit, expecting(agreed)).await.is(200), bill);
    }
    for share in ["1631.99", "1632.01", "0.00"] {
        let problem = served.post(&commit, expecting(share)).await;
        let problem = problem.is_problem_with(409, "stay_already_settled", "moved");
        assert_eq!(problem["quote"], bill);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(share) && detail.contains("collect what the bill says"), "{detail}");
        assert!(detail.contains("请以所附结算单为准收费"), "{detail}");
    }
    assert_eq!(served.get(&address).await.is(200), bill, "nothing moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_that_moved_comes_back_new() {
    let served = served().await;
    let (_, address) = quoted(&served).await;
    let commit = format!("{address}/commit");
    let problem = served.post(&commit, expecting("1631.99")).await.is_problem(409, "quote_moved");
    assert_eq!(
        (&problem["quote"]["state"], &problem["quote"]["patient_share"]),
        (&"quoted".into(), &"1632.00".into())
    );
    let xml = Ask::post(&commit, expecting("1631.99")).token(super::served::YISHUI).accept("application/xml");
    let xml = served.ask(xml).await;
    assert!(xml.text().contains("<quote xmlns=\"urn:yizhan:bill:1\"><settlement_id>"), "{}", xml.text());
    let again = format!("/v1/settlements/{}/commit", problem["quote"]["settlement_id"].as_str().unwrap());
    assert_eq!(served.post(&again, expecting("1632.00")).await.is(200)["state"], "settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_expires() {
    let served = served().await;
    let (quote, address) = quoted(&served).await;
    served.clock.advance(SignedDuration::from_mins(31));
    let problem = served.post(&format!("{address}/commit"), expecting("1632.00")).await;
    let problem = problem.is_problem(409, "quote_moved");
    let until = |bill: &Value| bill["valid_until"].as_str().unwrap().to_owned();
    assert!(until(&problem["quote"]) > until(&quote));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_is_taken_back_once() {
    let served = served().await;
    let bill = served.post("/v1/discharges", sample("01-worked.json")).await.is(200);
    let reversal = format!("/v1/settlements/{}/reversal", bill["settlement_id"].as_str().unwrap());
    let reversed = served.post(&reversal, r#"{"reason":"费用录入有误","operator":"W012"}"#).await.is(200);
    assert_eq!((&reversed["state"], &reversed["reversal"]["operator"]), (&"reversed".into(), &"W012".into()));
    let again = served.post(&reversal, r#"{"reason":"再次撤销"}"#).await.is(200);
    assert_eq!(again, reversed);
    let settled_again = served.post("/v1/discharges", worked("S01-1", "S01-9")).await.is(200);
    assert_eq!(
        (&settled_again["state"], &settled_again["replaces"]),
        (&"settled".into(), &bill["settlement_id"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_operator_the_hospital_is_named() {
    let served = served().await;
    let bill = served.post("/v1/discharges", sample("01-worked.json")).await.is(200);
    let reversal = format!("/v1/settlements/{}/reversal", bill["settlement_id"].as_str().unwrap());
    let reversed = served.post(&reversal, r#"{"reason":"费用录入有误"}"#).await.is(200);
    assert_eq!(reversed["reversal"]["operator"], "H37132301");
}

/// Nothing tells another hospital's settlement from one that does not exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_hospitals_settlement_is_not_there() {
    let served = served().await;
    let (quote, address) = quoted(&served).await;
    let nowhere = "/v1/settlements/01738c2a-6f00-7000-8000-000000000002".to_owned();
    let mut told = Vec::new();
    for address in [&address, &nowhere] {
        for ask in [
            Ask::get(address),
            Ask::post(&format!("{address}/commit"), expecting("1632.00")),
            Ask::post(&format!("{address}/reversal"), r#"{"reason":"x"}"#),
        ] {
            let mut problem = served.ask(ask.token(LINYI)).await.is_problem(404, "no_such_settlement");
            problem["trace_id"] = Value::Null;
            told.push(problem);
        }
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "{told:?}");
    assert_eq!(served.get(&address).await.is(200), quote);
}
