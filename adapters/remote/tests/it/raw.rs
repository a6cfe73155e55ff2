//! A payer driven by hand: HTTP/1.1 over TLS, whose answers drip, break off or never come.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::{Certificates, Shows};

/// What is done about one request. After the last, the first is done again.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// These bytes, and the connection stays.
    Answer(String),
    /// These bytes, then the connection ends.
    Cut(String),
    /// These bytes, then nothing more ever.
    Hold(String),
    /// The head, then a byte every 20 ms.
    Drip,
    /// A head that promises so many bytes, and as many.
    Flood { bytes: usize, has_length: bool },
}

/// An answer of 200 in JSON.
pub(crate) fn json(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

pub(crate) struct Raw {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    listening: JoinHandle<()>,
}

struct Script {
    acts: VecDeque<Act>,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Raw {
    pub(crate) async fn start(certificates: &Certificates, shows: Shows, acts: Vec<Act>) -> Self {
        let acceptor = certificates.server(shows, &[b"http/1.1"], true);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, connections) = (Arc::default(), Arc::default());
        let script = Arc::new(Mutex::new(Script {
            acts: acts.into(),
            requests: Arc::clone(&requests),
            connections: Arc::clone(&connections),
        }));
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served(acceptor.clone(), stream, Arc::clone(&script)));
            }
        });
        Self { port, requests, connections, listening }
    }

    /// The first line of every request.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Connections on which TLS was agreed on.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn served(acceptor: TlsAcceptor, stream: TcpStream, script: Arc<Mutex<Script>>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    *script.lock().unwrap().connections.lock().unwrap() += 1;
    while let Some(line) = request(&mut stream).await {
        let act = {
            let mut script = script.lock().unwrap();
            script.requests.lock().unwrap().push(line);
            let act = script.acts.pop_front().unwrap();
            script.acts.push_back(act.clone());
            act
        };
        if acted(&mut stream, act).await.is_none() {
            return;
        }
    }
}

/// Absent: the connection ends.
async fn acted(stream: &mut TlsStream<TcpStream>, act: Act) -> Option<()> {
    match act {
        Act::Answer(text) => stream.write_all(text.as_bytes()).await.ok(),
        Act::Cut(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            None
        }
        Act::Hold(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            let _ = stream.read(&mut [0; 1]).await;
            None
        }
        Act::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await.ok()?;
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                stream.write_all(b" ").await.ok()?;
                stream.flush().await.ok()?;
            }
        }
        Act::Flood { bytes, has_length } => {
            let length = if has_length {
                format!("content-length: {bytes}\r\n")
            } else {
                "connection: close\r\n".to_owned()
            };
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{length}\r\n").as_bytes()).await.ok()?;
            let chunk = [b' '; 64 * 1024];
            for begun in (0..bytes).step_by(chunk.len()) {
                stream.write_all(&chunk[..chunk.len().min(bytes - begun)]).await.ok()?;
            }
            None
        }
    }
}

/// The first line of the next request, once it has come whole.
async fn request(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    let mut came = Vec::new();
    let end = loop {
        let end = came.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            break end + 4;
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        came.extend_from_slice(&chunk[..read]);
    };
    let head = String::from_utf8_lossy(&came[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut rest = length.unwrap_or(0_usize).saturating_sub(came.len() - end);
    while rest > 0 {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        rest = rest.saturating_sub(read);
    }
    head.lines().next().map(str::to_owned)
}
