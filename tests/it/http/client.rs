//! A client that says exactly what it is told to, one request for each connection.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request to be sent.
#[derive(Clone)]
pub(crate) struct Ask {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.line, self.headers)
    }
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path, Vec::new())
    }

    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path, body.into()).with("content-type", "application/json")
    }

    pub(crate) fn new(method: &str, path: &str, body: Vec<u8>) -> Self {
        Self { line: format!("{method} {path}"), headers: Vec::new(), body }
    }

    /// A header; empty: without it.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn accept(self, form: &str) -> Self {
        self.with("accept", form)
    }

    /// The bytes of the request; a length that was given is left as it is.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n", self.line);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding") {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }

    pub(crate) async fn send(&self, address: SocketAddr) -> Reply {
        self.over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Absent where no answer came, or not all of it.
    pub(crate) async fn try_send(&self, address: SocketAddr) -> Option<Reply> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(&self.bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        let reply = Reply::read_whole(&bytes)?;
        let length = reply.header("content-length").parse().unwrap_or(0);
        (length <= reply.body.len()).then_some(reply)
    }

    pub(crate) async fn over(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Reply {
        // A server that answers before it read everything may have closed its side.
        let _ = stream.write_all(&self.bytes()).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        Reply::read(&bytes)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        Self::read_whole(bytes).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)))
    }

    /// Absent where the head is not whole.
    fn read_whole(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some(Self { status, headers, body: bytes[end + 4..].to_vec() })
    }

    /// Empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("{why}: {} {:?}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// A bill or a problem of this status.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// A problem of this status and type that moved no money.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, slug: &str) -> Value {
        self.is_problem_with(status, slug, "not_moved")
    }

    #[track_caller]
    pub(crate) fn is_problem_with(&self, status: u16, slug: &str, money: &str) -> Value {
        let problem = self.is(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["type"], format!("urn:yizhan:problem:{slug}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["money"], money, "{problem}");
        assert_eq!(problem["trace_id"], self.header("x-trace-id"));
        problem
    }
}
