//! The MLLP port as a hospital sees it: real connections to a listener on a free port.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use yizhan::intake::mllp::client::Sender;
use yizhan::intake::mllp::{Release, Service, Settings, serve};
use yizhan::runtime::Shutdown;

use super::{House, profiles};

const FRAME_BYTES_MAX: usize = 2_000;

/// Sends one message of `length` bytes and gives back MSA-1 and the whole answer.
async fn answer_to(length: usize) -> (String, String) {
    let house = House::new(profiles("", None), false).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let settings = Settings {
        frame_bytes_max: FRAME_BYTES_MAX,
        release: Release::One,
        drain: Duration::from_secs(1),
        ..Settings::default()
    };
    let (stop, stopped) = Shutdown::new();
    let service = Arc::new(Service::new(house.reception.clone()));
    let serving = tokio::spawn(serve(listener, None, settings, service, stopped.receiver()));
    let head = "MSH|^~\\&|HIS|H37132301|YIZHAN|GATEWAY|20200702||ADT^A01^ADT_A01|LONG1|P|2.5\rEVN|A01|20200702\r\
                PID|1||M1^^^H^MR||甲\rPV1|1|I|||||||||||||||||Z1\rNTE|1||";
    let mut message = head.to_owned();
    message.push_str(&"x".repeat(length - head.len()));
    let answer = Sender::connect(&address).await.unwrap().send(message.as_bytes(), "LONG1").await.unwrap();
    stop.send(true).unwrap();
    serving.await.unwrap();
    (answer.code, String::from_utf8(answer.bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_the_longest_kind_is_taken() {
    assert_eq!(answer_to(FRAME_BYTES_MAX).await.0, "AA");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_frame_is_answered_and_names_the_limit() {
    let (code, answer) = answer_to(FRAME_BYTES_MAX + 1).await;
    assert_eq!(code, "AE", "{answer}");
    assert!(answer.contains("too_large") && answer.contains("2000"), "{answer}");
}
