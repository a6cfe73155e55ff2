//! A payer's service over HTTP/2 and TLS whose answers a test writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use h2::server::SendResponse;
use http::request::Parts;
use http::{Request, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::certificates::{Certificates, Shows};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) head: Parts,
    pub(crate) body: Vec<u8>,
}

impl Came {
    pub(crate) fn path(&self) -> &str {
        self.head.uri.path()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An answer; a body is JSON unless something else is said.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Self {
        Self::text(200, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", media_type.to_owned())], body: body.into() }
    }
}

type Answers = dyn Fn(&Came) -> Reply + Send + Sync;

/// Listens on this machine until it is dropped.
pub(crate) struct Service {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<Came>>>,
    connections: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Service {
    /// One that wants to see the gateway's certificate.
    pub(crate) async fn start(
        certificates: &Certificates,
        answers: impl Fn(&Came) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = certificates.server(Shows::Itself, &[b"h2"], true);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (kept, count): (Arc<Mutex<Vec<Came>>>, _) = (Arc::clone(&requests), Arc::clone(&connections));
        let answers: Arc<Answers> = Arc::new(answers);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept, count) = (acceptor.clone(), Arc::clone(&kept), Arc::clone(&count));
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answered(request, respond, Arc::clone(&kept), Arc::clone(&answers)));
                    }
                });
            }
        });
        Self { port, requests, connections, listening }
    }

    pub(crate) fn requests(&self) -> Vec<Came> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn answered(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<bytes::Bytes>,
    kept: Arc<Mutex<Vec<Came>>>,
    answers: Arc<Answers>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(chunk)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(chunk.len());
        body.extend_from_slice(&chunk);
    }
    let came = Came { head, body };
    let reply = answers(&came);
    kept.lock().unwrap().push(came);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let Ok(mut sending) = respond.send_response(response.body(()).unwrap(), false) else { return };
    let _ = sending.send_data(reply.body.into(), true);
}
