//! A hospital's receiver: over MLLP, or an address that is posted to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use yizhan::intake::hl7::{Message, Reading};
use yizhan::intake::mllp::listener::BoxFuture;
use yizhan::intake::mllp::{Answers, Peer, Settings, serve};
use yizhan::runtime::{Clock as _, SystemClock};

/// How long anything here may take; a machine under load needs some of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a receiver was told, in order, and what it answers.
#[derive(Default)]
pub(crate) struct Told {
    /// Under which id, and what.
    messages: Mutex<Vec<(String, String)>>,
    /// Answered in turn; AA, or 200, once there are none left.
    answers: Mutex<Vec<&'static str>>,
    changed: watch::Sender<()>,
    /// Between having a message and saying so.
    takes_ms: u64,
    /// What one letter of so many is answered, which it does not take.
    declines: Option<(usize, &'static str)>,
    came: AtomicUsize,
}

impl Told {
    pub(crate) fn answering(answers: &[&'static str]) -> Arc<Self> {
        let answers = Mutex::new(answers.iter().rev().copied().collect());
        Arc::new(Self { answers, ..Self::default() })
    }

    /// Takes its time, and does not take every letter.
    pub(crate) fn fickle(takes_ms: u64, declines: (usize, &'static str)) -> Arc<Self> {
        Arc::new(Self { takes_ms, declines: Some(declines), ..Self::default() })
    }

    async fn note(&self, id: String, what: String) -> Option<&'static str> {
        let nth = self.came.fetch_add(1, Ordering::SeqCst) + 1;
        let declined = self.declines.filter(|(every, _)| nth.is_multiple_of(*every));
        if declined.is_none() {
            self.messages.lock().unwrap().push((id, what));
            self.changed.send_replace(());
        }
        let pause = SignedDuration::from_millis(self.takes_ms.cast_signed());
        SystemClock.sleep_until(SystemClock.now() + pause).await;
        declined.map(|(_, answer)| answer).or_else(|| self.answers.lock().unwrap().pop())
    }

    pub(crate) fn messages(&self) -> Vec<(String, String)> {
        self.messages.lock().unwrap().clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.messages.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    /// Waits until this many messages have come.
    pub(crate) async fn reach(&self, count: usize) -> Vec<(String, String)> {
        let mut changed = self.changed.subscribe();
        let reached = async {
            while self.messages.lock().unwrap().len() < count {
                changed.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, reached).await.expect("the receiver was told too little");
        self.messages.lock().unwrap().clone()
    }
}

/// A hospital's listener for EHC^E10.
pub(crate) async fn listen(listener: TcpListener, told: Arc<Told>) -> watch::Sender<bool> {
    listen_under(listener, None, told).await
}

pub(crate) async fn listen_under(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    told: Arc<Told>,
) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    let handle = move |content: Vec<u8>, _: Peer| -> BoxFuture<Answers> {
        let message = Message::parse(&content, &Reading::default()).unwrap();
        let id = message.first("MSH").unwrap().field(10).text().into_owned();
        let told = Arc::clone(&told);
        Box::pin(async move {
            let code = told.note(id.clone(), String::from_utf8(content).unwrap()).await.unwrap_or("AA");
            let answer = format!("MSH|^~\\&|HIS|H|YIZHAN|GATEWAY|||ACK|1|P|2.6\rMSA|{code}|{id}\r");
            Answers { stored: true, messages: vec![answer.into_bytes()] }
        })
    };
    tokio::spawn(serve(listener, tls, Settings::default(), Arc::new(handle), stopped));
    stop
}

/// A hospital's address that is posted to.
pub(crate) async fn take_posts(listener: TcpListener, told: Arc<Told>) {
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_posts(stream, Arc::clone(&told)));
        }
    });
}

async fn answer_posts(mut stream: TcpStream, told: Arc<Told>) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        read.extend_from_slice(&buffer[..count]);
        let Some(head_bytes) = read.windows(4).position(|at| at == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(read[..head_bytes].to_vec()).unwrap();
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value).to_owned()
        };
        let body = &read[head_bytes + 4..];
        if body.len() < header("content-length").parse::<usize>().unwrap_or(0) {
            continue;
        }
        assert_eq!(header("content-type"), "application/json");
        let body = String::from_utf8(body.to_vec()).unwrap();
        let status = told.note(header("idempotency-key"), body).await.unwrap_or("200 OK");
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        // Who posted it may be gone by now.
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        read.clear();
    }
}
