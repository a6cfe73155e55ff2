//! One stay, however often and however it comes: one settlement.

use tokio::task::JoinSet;

use super::client::Ask;
use super::served::{LINYI, YISHUI, sample, served, worked};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discharge_is_answered_with_its_bill() {
    let served = served().await;
    let reply = served.post("/v1/discharges", sample("01-worked.json")).await;
    let bill = reply.is(200);
    assert_eq!((&bill["state"], &bill["patient_share"]), (&"settled".into(), &"1632.00".into()));
    assert_eq!(bill["patient"]["name"], "张**");
    assert_eq!(reply.header("content-type"), "application/json");
    let id = bill["settlement_id"].as_str().unwrap();
    assert_eq!(reply.header("content-location"), format!("/v1/settlements/{id}"));
    assert_eq!(served.get(&format!("/v1/settlements/{id}")).await.is(200), bill);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_again_it_is_the_same_bill_and_other_content_is_refused() {
    let served = served().await;
    let bill = served.post("/v1/discharges", sample("01-worked.json")).await.is(200);
    assert_eq!(served.post("/v1/discharges", sample("01-worked.json")).await.is(200), bill);
    let other_id = worked("S01-1", "S01-2");
    assert_eq!(served.post("/v1/discharges", other_id).await.is(200), bill);
    let same_id = worked("\"deposit\": \"2000.00\"", "\"deposit\": \"2500.00\"");
    let reply = served.post("/v1/discharges", same_id).await;
    reply.is_problem_with(409, "same_message_other_content", "moved");
    let other_charges = String::from_utf8(worked("\"S01-1\"", "\"S01-3\"")).unwrap();
    let other_charges = other_charges.replace("\"4240.00\"", "\"4200.00\"").replace("\"106\"", "\"105\"");
    let other_charges = other_charges.replace("\"12000.00\"", "\"11960.00\"");
    let reply = served.post("/v1/discharges", other_charges).await;
    assert_eq!(reply.is(409)["type"], "urn:yizhan:problem:stay_already_settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_are_one_settlement() {
    let served = served().await;
    let mut asked = JoinSet::new();
    for n in 0..50 {
        // Half of them under a message id of their own.
        let body = if n % 2 == 0 { sample("01-worked.json") } else { worked("S01-1", &format!("S01-{n}")) };
        let (ask, address) = (Ask::post("/v1/discharges", body).token(YISHUI), served.address);
        asked.spawn(async move { ask.send(address).await });
    }
    let bills: Vec<_> = asked.join_all().await.iter().map(|reply| reply.is(200)).collect();
    assert!(bills.iter().all(|bill| *bill == bills[0]), "{bills:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_is_read() {
    let served = served().await;
    for (file, token, kinds) in [
        ("02-yishui-2017.xml", "token-of-H37132302", &["application/xml; charset=utf-8", "text/xml"][..]),
        ("03a-critical-illness-charges.hl7", LINYI, &["application/hl7-v2"]),
        ("03b-critical-illness-discharge.hl7", LINYI, &["application/hl7-v2; charset=utf-8"]),
        ("04-drowning.json", YISHUI, &["application/json"]),
    ] {
        for kind in kinds {
            let ask = Ask::post("/v1/discharges", sample(file)).with("content-type", kind).token(token);
            let reply = served.ask(ask).await;
            assert_eq!(reply.status, 200, "{file} as {kind}: {}", reply.text());
        }
    }
    let v2_xml = std::fs::read_to_string(crate::project("tests/messages/intake/stay_v2.xml")).unwrap();
    let v2_xml = v2_xml.replace("SAMPLEHOSP", "H37132301");
    let ask = Ask::post("/v1/discharges", v2_xml).with("content-type", "application/hl7-v2+xml");
    assert_eq!(served.ask(ask.token(YISHUI)).await.is(200)["hospital"], "H37132301");
}

/// The charset that the content type states is the message's, where the message itself names none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charset_of_the_content_type_is_honoured() {
    let served = served().await;
    let text = String::from_utf8(sample("08a-late-charges-admit.hl7")).unwrap().replace("UNICODE UTF-8", "");
    let (bytes, ..) = encoding_rs::GB18030.encode(&text);
    let ask = Ask::post("/v1/discharges", bytes.into_owned()).token(YISHUI);
    let reply = served.ask(ask.clone().with("content-type", "application/hl7-v2; charset=gb18030")).await;
    assert_eq!(reply.is(200)["state"], "awaiting_charges");
    let reply = served.ask(ask.with("content-type", "application/hl7-v2; charset=utf-8")).await;
    reply.is_problem(400, "wrong_charset");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admission_is_noted() {
    let served = served().await;
    let admission = sample("08a-late-charges-admit.hl7");
    let ask = Ask::post("/v1/discharges", admission).with("content-type", "application/hl7-v2").token(YISHUI);
    let noted = served.ask(ask.clone()).await.is(200);
    assert_eq!(noted["beneficiary"]["deposit_waived"], true);
    let xml = served.ask(ask.accept("application/xml")).await;
    assert!(xml.text().contains("<noted xmlns=\"urn:yizhan:noted:1\"><state>awaiting_charges</state>"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_speaks_for_its_own_hospital_only() {
    let served = served().await;
    let ask = Ask::post("/v1/discharges", sample("01-worked.json")).token(LINYI);
    served.ask(ask).await.is_problem(403, "forbidden");
    let unreadable = String::from_utf8(sample("01-worked.json")).unwrap().replace("2020-06-24", "2020-06-31");
    let ask = Ask::post("/v1/discharges", unreadable).token(LINYI);
    served.ask(ask).await.is_problem(403, "forbidden");
    let looked_up = r#"{"id_number":"371323195304121265","on":"2020-06-24"}"#;
    let found = served.ask(Ask::post("/v1/beneficiaries/lookup", looked_up).token(LINYI)).await.is(200);
    assert_eq!(found["categories"][0], "entitled_out_of_poverty");
    assert!(found["says"]["zh"].as_str().unwrap().contains("（脱贫享受政策人口）：先诊疗后付费"));
    assert_eq!(
        found["says"]["en"],
        "beneficiary (Entitled, out of poverty): treat first, pay later; no deposit"
    );
}
