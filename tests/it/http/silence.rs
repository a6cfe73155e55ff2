//! What the log says, and never says.

use std::process::Command;

use super::client::Ask;
use super::served::{YISHUI, sample, served};
use crate::logged::Log;

const CHILD: &str = "YIZHAN_TEST_SILENCE";

/// In a process of its own: threads of the listener log, too, which a subscriber of one thread would not hear, and one
/// of the whole process would hear every other test.
#[test]
fn no_name_no_number_and_no_token_is_logged() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http::silence::child_that_logs_everything", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains(" 1 passed"), "{said}");
}

/// The child. Does nothing of itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_logs_everything() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let log = Log::of_all();
    let served = served().await;
    let discharge = Ask::post("/v1/discharges?lang=en", sample("01-worked.json")).token(YISHUI);
    let mut told = Vec::new();
    for ask in [
        discharge.clone().accept("text/html"),
        discharge.clone().accept("application/hl7-v2"),
        discharge.with("content-type", "application/xml"),
        Ask::post("/v1/beneficiaries/lookup", r#"{"id_number":"371323195304121265"}"#).token(YISHUI),
        Ask::post("/v1/beneficiaries/lookup", r#"{"id_number":371323195304121265}"#).token(YISHUI),
        Ask::post("/v1/beneficiaries/lookup", r#"{"371323195304121265":1}"#).token(YISHUI),
        Ask::get("/371323195304121265"),
        Ask::get("/v1/settlements/01738c2a-6f00-7000-8000-000000000002?pass=1606789800.signed"),
        Ask::get("/v1/settlements/371323195304121265").token("token-of-nobody"),
    ] {
        told.push(served.ask(ask).await.header("x-trace-id").to_owned());
    }
    let log = log.text();
    for trace_id in told {
        assert!(log.contains(&trace_id), "{trace_id} is not in the log");
    }
    for event in
        ["message answered: settled", "beneficiary looked up", "refused: unauthorized", "/v1/discharges"]
    {
        assert!(log.contains(event), "{event:?} is not in the log");
    }
    for secret in ["张桂兰", "371323195304121265", YISHUI, "token-of-nobody", "lang=en", "1606789800"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}
