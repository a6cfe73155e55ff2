//! The listener: limits of connections and time, TLS, and an end that finishes what is in hand.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;

use super::caller::Limiter;
use super::pass::Passes;
use super::recent::Recent;
use super::work::{Limits, Work};
use super::{asked, routes};
use crate::intake::reception::Reception;
use crate::runtime::Shutdown;
use crate::telemetry;

/// Connections open at once, for each worker.
const CONNECTIONS_MAX: usize = 1_000;
/// A connection without a request is closed after this time; longer than most load balancers wait.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const TLS_HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// How long a client has to take its last bytes and go.
const DISCONNECT_WAIT: Duration = Duration::from_secs(2);

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Settlements are read with a token of their hospital.
    Token,
    /// The demonstration: anybody on this machine reads, in a browser; refused beyond loopback.
    Open,
}

/// How long a client may take to say what it wants; then its connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    pub head: Duration,
    /// However slowly it still comes.
    pub body: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { head: Duration::from_secs(5), body: Duration::from_secs(30) }
    }
}

/// What the interface stands on.
#[derive(Clone)]
pub struct State {
    pub reception: Reception,
    pub reading: Reading,
    pub metrics: PrometheusHandle,
    pub message_bytes_max: usize,
    pub waits: Waits,
    /// Of links to sheets.
    pub passes: Passes,
    /// For each hospital.
    pub requests_per_second_max: u32,
    /// Filled by every channel of the demonstration, shown by its first page.
    pub recent: Arc<Recent>,
}

/// The same for all workers: what they were given, and what is in hand.
pub(super) struct Shared {
    pub given: State,
    pub limiter: Limiter,
    pub work: Work,
    pub is_tls: bool,
}

/// Serves until `shutdown`, then answers what it has received and finishes what was begun, for at most
/// `drain` each.
///
/// # Errors
/// Where the listener cannot be used, or everybody could read beyond this machine.
pub async fn serve(
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    state: State,
    workers: u16,
    mut shutdown: Shutdown,
    drain: Duration,
) -> io::Result<()> {
    if state.reading == Reading::Open && !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "reading without a token is for this machine only; listen on a loopback address",
        ));
    }
    let shared = Arc::new(Shared {
        limiter: Limiter::new(state.requests_per_second_max),
        given: state,
        // Not on a worker: what was begun outlives the worker that took it in.
        work: Work::new(Handle::current(), Limits::default()),
        is_tls: tls.is_some(),
    });
    let server = start(listener, tls, Arc::clone(&shared), workers, drain)?;
    until_stopped(server, &mut shutdown).await?;
    if let Err(in_hand) = shared.work.finish(drain).await {
        telemetry::drain_cut_off(in_hand);
    }
    Ok(())
}

fn start(
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    shared: Arc<Shared>,
    workers: u16,
    drain: Duration,
) -> io::Result<Server> {
    let head_wait = shared.given.waits.head;
    let app = move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&shared)))
            .configure(|config| routes::configure(config, shared.given.reading))
            .default_service(web::to(asked::nothing_here))
            .wrap(routes::headers(shared.is_tls))
            .wrap(actix_web::middleware::from_fn(asked::traced))
    };
    let server = HttpServer::new(app)
        .workers(usize::from(workers))
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(head_wait)
        .client_disconnect_timeout(DISCONNECT_WAIT)
        .tls_handshake_timeout(TLS_HANDSHAKE_WAIT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(drain.as_secs().max(1))
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

fn until_stopped(server: Server, shutdown: &mut Shutdown) -> impl Future<Output = io::Result<()>> {
    let handle = server.handle();
    async move {
        let mut server = std::pin::pin!(server);
        tokio::select! {
            ended = &mut server => return ended,
            () = shutdown.requested() => {}
        }
        let ((), ended) = tokio::join!(handle.stop(true), server);
        ended
    }
}
