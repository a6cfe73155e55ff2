//! The MLLP port as a hospital sees it: real connections to a listener on a free port.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use yizhan::intake::mllp::client::Sender;
use yizhan::intake::mllp::{Commit, Event, Frames, Release, Service, Settings, commit_block, frame, serve};
use yizhan::intake::reception::Reception;
use yizhan::runtime::{CountedIds, Shutdown};
use yizhan::store::sqlite::Sqlite;

use super::corpus::reception_over;
use super::{House, profiles};
use crate::http::served::Gate;

const FRAME_BYTES_MAX: usize = 2_000;

struct Port {
    address: String,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Port {
    async fn open(release: Release) -> Self {
        let house = House::new(profiles("", None), false).await;
        Self::of(house.reception.clone(), release).await
    }

    async fn of(reception: Reception, release: Release) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let settings = Settings {
            frame_bytes_max: FRAME_BYTES_MAX,
            release,
            drain: Duration::from_secs(1),
            ..Settings::default()
        };
        let (stop, stopped) = Shutdown::new();
        let service = Arc::new(Service::new(reception));
        let serving = tokio::spawn(serve(listener, None, settings, service, stopped.receiver()));
        Self { address, stop, serving }
    }

    async fn close(self) {
        self.stop.send(true).unwrap();
        self.serving.await.unwrap();
    }
}

/// An admission of `length` bytes.
fn admission(id: &str, length: usize) -> Vec<u8> {
    let mut message = format!(
        "MSH|^~\\&|HIS|H37132301|YIZHAN|GATEWAY|20200702||ADT^A01^ADT_A01|{id}|P|2.5\rEVN|A01|20200702\r\
         PID|1||M1^^^H^MR||甲\rPV1|1|I|||||||||||||||||Z1\rNTE|1||"
    );
    message.push_str(&"x".repeat(length - message.len()));
    message.into_bytes()
}

/// MSA-1 and the whole answer to a message of `length` bytes.
async fn answer_to(length: usize) -> (String, String) {
    let port = Port::open(Release::One).await;
    let mut sender = Sender::connect(&port.address).await.unwrap();
    let answer = sender.send(&admission("LONG1", length), "LONG1").await.unwrap();
    port.close().await;
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

/// The frames an original-mode sender reads, until it has as many.
async fn frames(stream: &mut TcpStream, wanted: usize) -> Vec<String> {
    let mut frames = Frames::new(FRAME_BYTES_MAX, Release::One);
    let mut found = Vec::new();
    while found.len() < wanted {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).await.unwrap();
        assert!(length > 0, "the connection ended after {found:?}");
        frames.push(&bytes[..length]);
        while let Some(event) = frames.next_event() {
            let Event::Frame(answer) = event else { panic!("{event:?}") };
            found.push(String::from_utf8(answer).unwrap());
        }
    }
    found
}

/// What was framed as one is answered as one: a second frame would be taken for the answer to what is sent next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_in_one_frame_is_answered_by_one_batch() {
    let port = Port::open(Release::One).await;
    let mut stream = TcpStream::connect(&port.address).await.unwrap();
    let message = |id: &str| String::from_utf8(admission(id, 250)).unwrap() + "\r";
    let unknown = message("B2").replace("ADT^A01^ADT_A01", "ADT^A60");
    let both = format!("{}{unknown}", message("B1"));
    let told = "批次注明 3，实际 2 / the batch says 3, 2 were found";
    for (sent, begins, segments, ends) in [
        (
            format!("BHS|^~\\&|HIS|H37132301|YIZHAN|GATEWAY|||||B77\r{both}BTS|3\r"),
            "BHS|^~\\&|YIZHAN|GATEWAY|HIS|H37132301|",
            "BHS MSH MSA ERR MSH MSA ERR BTS",
            format!("BTS|2|{told}"),
        ),
        (
            format!("FHS$*~\\&$BANK\rBHS$*~\\&$HIS$H1\r{}BTS$1\rFTS$1\r", message("B3")),
            "BHS$*~\\&$$$HIS$H1$",
            "BHS MSH MSA ERR BTS",
            "BTS$1".to_owned(),
        ),
        (
            both.clone(),
            "BHS|^~\\&|YIZHAN|GATEWAY|HIS|H37132301|",
            "BHS MSH MSA ERR MSH MSA ERR BTS",
            "BTS|2".to_owned(),
        ),
        (message("B4"), "MSH|", "MSH MSA ERR", "ERR||MSH^1|0".to_owned()),
        ("BHS|^~\\&|HIS\rEVN|A01\rBTS|0\r".to_owned(), "MSH|", "MSH MSA ERR", "ERR||MSH^1|100".to_owned()),
    ] {
        stream.write_all(&frame(sent.as_bytes())).await.unwrap();
        let answer = frames(&mut stream, 1).await.remove(0);
        let lines: Vec<&str> = answer.trim_end_matches('\r').split('\r').collect();
        let names: Vec<&str> = lines.iter().map(|line| &line[..3]).collect();
        assert_eq!(names.join(" "), segments, "{answer}");
        // BHS-12 names the batch that is answered.
        assert_eq!(lines[0].ends_with("|B77"), sent.contains("|B77"), "{answer}");
        assert!(answer.starts_with(begins) && lines.last().unwrap().starts_with(&ends), "{answer}");
    }
    // Nothing came that nobody asked for: the next answer is the next message's.
    stream.write_all(&frame(message("B5").as_bytes())).await.unwrap();
    assert!(frames(&mut stream, 1).await[0].contains("MSA|AA|B5"));
    port.close().await;
}

/// The next two blocks a release 2 sender reads: the commit, then the acknowledgement.
async fn blocks(stream: &mut TcpStream) -> (Event, String) {
    let mut frames = Frames::new(FRAME_BYTES_MAX, Release::Two);
    let mut found = Vec::new();
    while found.len() < 2 {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).await.unwrap();
        assert!(length > 0, "the connection ended after {found:?}");
        frames.push(&bytes[..length]);
        found.extend(std::iter::from_fn(|| frames.next_event()));
    }
    let Some(Event::Frame(answer)) = found.pop() else { panic!("{found:?}") };
    (found.remove(0), String::from_utf8(answer).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn release_two_says_whether_it_is_stored_before_it_answers() {
    let port = Port::open(Release::Two).await;
    let mut stream = TcpStream::connect(&port.address).await.unwrap();
    for (id, length, commit, code) in [
        ("R1", 300, Commit::Stored, "MSA|AA|R1"),
        ("R1", 300, Commit::Stored, "MSA|AA|R1"),
        ("R2", FRAME_BYTES_MAX + 1, Commit::NotStored, "MSA|AE|R2"),
    ] {
        stream.write_all(&frame(&admission(id, length))).await.unwrap();
        let (committed, answer) = blocks(&mut stream).await;
        assert_eq!(committed, Event::Commit(commit), "{answer}");
        assert!(answer.contains(code), "{answer}");
        // The sender commits our answer; nothing comes back for that.
        stream.write_all(&commit_block(Commit::Stored)).await.unwrap();
    }
    drop(stream);
    port.close().await;
}

/// A refusal that could not be kept is not committed: the sender has the message still, and sends it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn release_two_does_not_commit_what_a_broken_store_did_not_keep() {
    let ids: Arc<CountedIds> = Arc::default();
    let gate = Arc::new(Gate::before(Arc::new(Sqlite::in_memory(ids.clone()).unwrap())));
    let reception = reception_over(gate.clone(), &Arc::new(profiles("", None)), ids);
    let port = Port::of(reception, Release::Two).await;
    let mut stream = TcpStream::connect(&port.address).await.unwrap();
    let unreadable = String::from_utf8(admission("R1", 300)).unwrap().replace("|2.5\r", "|9.5\r");
    for (is_broken, bytes, commit, code) in [
        (false, unreadable.clone().into_bytes(), Commit::Stored, "MSA|AR|R1"),
        (true, unreadable.into_bytes(), Commit::NotStored, "MSA|AR|R1"),
        (true, admission("R2", 300), Commit::NotStored, "MSA|AR|R2"),
    ] {
        if is_broken {
            gate.break_down();
        }
        stream.write_all(&frame(&bytes)).await.unwrap();
        let (committed, answer) = blocks(&mut stream).await;
        assert_eq!(committed, Event::Commit(commit), "{answer}");
        assert!(answer.contains(code), "{answer}");
        stream.write_all(&commit_block(Commit::Stored)).await.unwrap();
    }
    drop(stream);
    port.close().await;
}
