//! Clients that do not wait, hang up, dawdle, or are in hand when the gateway is asked to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use yizhan::http::Waits;

use super::client::Ask;
use super::served::{LINYI, Served, Setting, YISHUI, sample, served};

fn discharge() -> Ask {
    Ask::post("/v1/discharges", sample("01-worked.json")).token(YISHUI)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_wait_finds_the_answer_later() {
    let served = served().await;
    served.store.hold();
    let reply = served.ask(discharge().with("prefer", "wait=0")).await;
    let pending = reply.is(202);
    let address = reply.header("location").to_owned();
    assert_eq!(
        (&pending["money"], &pending["location"]),
        (&"being_confirmed".into(), &address.clone().into())
    );
    let not_yet = served.ask(Ask::get(&address).token(YISHUI).with("prefer", "wait=0")).await;
    assert_eq!((not_yet.status, not_yet.header("location")), (202, &*address));
    served.ask(Ask::get(&address).token(LINYI)).await.is_problem(404, "no_such_settlement");
    served.store.release();
    let bill = served.get(&address).await.is(200);
    assert_eq!(bill["state"], "settled");
    assert_eq!(served.ask(discharge()).await.is(200), bill);
    let own = format!("/v1/settlements/{}", bill["settlement_id"].as_str().unwrap());
    assert_eq!(served.get(&own).await.is(200), bill);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reversal_nobody_waits_for_is_found_at_its_settlement() {
    let served = served().await;
    let id = served.ask(discharge()).await.is(200)["settlement_id"].as_str().unwrap().to_owned();
    let address = format!("/v1/settlements/{id}");
    served.store.hold();
    let reversal = Ask::post(&format!("{address}/reversal"), r#"{"reason":"费用录入有误"}"#);
    let reply = served.ask(reversal.token(YISHUI).with("prefer", "wait=0")).await;
    assert_eq!((reply.status, reply.header("location")), (202, &*address));
    served.store.release();
    served.store.ended(2).await;
    assert_eq!(served.get(&address).await.is(200)["state"], "reversed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_stops_nothing() {
    let served = served().await;
    served.store.hold();
    let kept = served.ask(discharge().with("prefer", "wait=0")).await;
    // A second one, of another stay, which is sent and left at once.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(&Ask::post("/v1/discharges", sample("04-drowning.json")).token(YISHUI).bytes())
        .await
        .unwrap();
    served.store.begun(2).await;
    drop(stream);
    served.store.release();
    served.store.ended(2).await;
    assert_eq!(served.get(kept.header("location")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_hand_is_finished_before_the_end() {
    let served = served().await;
    served.store.hold();
    assert_eq!(served.ask(discharge().with("prefer", "wait=0")).await.status, 202);
    let (address, store, waiting) = (served.address, Arc::clone(&served.store), discharge());
    let waiting = tokio::spawn(async move { waiting.send(address).await });
    store.begun(2).await;
    served.stop();
    store.release();
    served.over().await;
    store.ended(2).await;
    assert_eq!(waiting.await.unwrap().is(200)["state"], "settled");
    assert!(TcpStream::connect(address).await.is_err());
}

/// A gateway that waits a moment only, for what is given.
async fn impatient(head: u64, body: u64) -> Served {
    let waits = Waits { head: Duration::from_millis(head), body: Duration::from_millis(body) };
    Setting { waits, ..Setting::default() }.serve().await
}

/// What a client hears that sends `begun` and then one blank after the other, until its connection is closed.
async fn dawdle(served: &Served, begun: &[u8]) -> String {
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    writing.write_all(begun).await.unwrap();
    let trickling = async {
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let _ = writing.write_all(b" ").await;
        }
    };
    let mut heard = Vec::new();
    let closed = async {
        // A connection that is reset has ended as well.
        let _ = reading.read_to_end(&mut heard).await;
    };
    let closed = async {
        tokio::select! {
            () = closed => {}
            () = trickling => {}
        }
    };
    timeout(Duration::from_secs(20), closed).await.expect("the connection is held");
    String::from_utf8(heard).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let served = impatient(200, 30_000).await;
    let heard = dawdle(&served, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow:").await;
    assert!(heard.starts_with("HTTP/1.1 408"), "{heard}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_end_is_refused_and_its_connection_closed() {
    let served = impatient(30_000, 200).await;
    for ask in [discharge(), Ask::post("/v1/beneficiaries/lookup", "{").token(YISHUI)] {
        let ask = ask.with("content-length", "16000");
        let kept = String::from_utf8(ask.bytes()).unwrap().replace("connection: close\r\n", "");
        let heard = dawdle(&served, kept.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 408"), "{heard}");
        assert!(heard.contains("urn:yizhan:problem:too_slow") && heard.contains("not_moved"), "{heard}");
        assert!(heard.contains("1 秒内未收完报文") && heard.contains("took longer than 1 s"), "{heard}");
    }
    assert_eq!(served.ask(discharge()).await.status, 200);
}
