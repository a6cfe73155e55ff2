//! Connections: TLS, HTTP/1.1 and HTTP/2, and the limits of size, time and number of whoever calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use yizhan_contract::protocol::REQUEST_BYTES_MAX;

use super::problem::{Problem, ProblemKind};
use crate::given;

/// Connections open at once; whoever comes then waits until one has gone.
const CONNECTIONS_MAX: u32 = 512;
const STREAMS_MAX: u32 = 256;
const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// For the head of a request over HTTP/1.1, and for the next one on the same connection.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// For all of a body, however slowly it still comes.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// HTTP/2: a connection that says nothing is asked whether it lives.
const PING_EACH: Duration = Duration::from_secs(30);
const PING_WAIT: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// Of a body that is too long, before the connection is closed under it.
const DISCARDED_BYTES_MAX: usize = 4 * REQUEST_BYTES_MAX;
/// After the end was asked for: for what is in hand.
const DRAIN_WAIT: Duration = Duration::from_secs(30);
/// After a connection could not be taken, for want of files or memory.
const REST: Duration = Duration::from_millis(100);

/// A request, whole.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub content_type: Option<String>,
    pub body: Bytes,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    pub retry_after_s: Option<u32>,
    /// With 405: the method there is.
    pub allow: Option<&'static str>,
}

impl Reply {
    pub fn of(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, body, retry_after_s: None, allow: None }
    }
}

/// Whoever answers. Absent: the connection ends without an answer.
pub trait Handler: Send + Sync + 'static {
    fn handle(self: Arc<Self>, asked: Asked) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send>>;
}

/// Takes connections until `until`, then finishes what is in hand.
pub async fn open(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    handler: Arc<dyn Handler>,
    until: impl Future<Output = ()> + Send,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    let (close, closing) = watch::channel(());
    let taking = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
                    tokio::spawn(connection(stream, acceptor, handler, closing.clone(), place));
                }
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    };
    tokio::select! {
        () = taking => {}
        () = until => {}
    }
    drop((listener, close));
    // Each connection gives its place back when it is closed.
    let _ = tokio::time::timeout(DRAIN_WAIT, places.acquire_many(CONNECTIONS_MAX)).await;
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    handler: Arc<dyn Handler>,
    closing: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else { return http1(TokioIo::new(stream), handler, closing).await };
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(TokioIo::new(stream), handler, closing).await;
    } else {
        http1(TokioIo::new(stream), handler, closing).await;
    }
}

async fn http1(io: impl Read + Write + Unpin, handler: Arc<dyn Handler>, mut closing: watch::Receiver<()>) {
    let service = service_fn(|request| answered(request, Arc::clone(&handler)));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(4 * HEAD_BYTES_MAX as usize);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn http2(io: impl Read + Write + Unpin, handler: Arc<dyn Handler>, mut closing: watch::Receiver<()>) {
    let service = service_fn(move |request| answered(request, Arc::clone(&handler)));
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EACH)
        .keep_alive_timeout(PING_WAIT)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// The error of a request that gets no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct Silence;

async fn answered(
    request: Request<Incoming>,
    handler: Arc<dyn Handler>,
) -> Result<Response<Full<Bytes>>, Silence> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let body = match whole(body).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => return Ok(response(Problem::of(ProblemKind::TooLarge).reply())),
        Err(Unread::BrokenOff) => return Err(Silence),
    };
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        content_type,
        body,
        at: given::now(),
    };
    // A client that goes away ends its connection, never what was begun for it.
    match tokio::spawn(handler.handle(asked)).await {
        Ok(Some(reply)) => Ok(response(reply)),
        Ok(None) => Err(Silence),
        Err(_panicked) => Ok(response(Problem::of(ProblemKind::Failed).reply())),
    }
}

enum Unread {
    TooLarge,
    BrokenOff,
}

/// All of a body. What is too long is read on and let go of: a client that is still sending would not see its refusal.
async fn whole(mut body: Incoming) -> Result<Bytes, Unread> {
    let reading = async {
        let (mut read, mut length) = (BytesMut::new(), 0);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::BrokenOff)?.into_data() else { continue };
            length += data.len();
            if length <= REQUEST_BYTES_MAX {
                read.extend_from_slice(&data);
            } else if DISCARDED_BYTES_MAX < length {
                break;
            }
        }
        if length <= REQUEST_BYTES_MAX { Ok(read.freeze()) } else { Err(Unread::TooLarge) }
    };
    tokio::time::timeout(BODY_WAIT, reading).await.unwrap_or(Err(Unread::BrokenOff))
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::builder()
        .status(reply.status)
        .header(header::CONTENT_TYPE, reply.content_type)
        .header(header::CACHE_CONTROL, "no-store");
    if let Some(seconds) = reply.retry_after_s {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    if let Some(method) = reply.allow {
        response = response.header(header::ALLOW, method);
    }
    response.body(Full::new(reply.body.into())).unwrap_or_default()
}
