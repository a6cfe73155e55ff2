//! Any payer as a service: HTTP/1.1 and HTTP/2 over TLS with client certificates, the protocol's closed answers, and a
//! book that makes each operation happen once however often it is sent.
//!
//! `door` (connections and their limits) → `desk` (requests into types, answers into JSON) → [`Verbs`] (what a service
//! answers); [`Bridge`] answers for a [`Payer`](yizhan_contract::payer::Payer), the [simulator](crate::simulate)
//! for itself.
//!
//! A service of one's own is a `Payer` and this:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn run(payer: impl yizhan_contract::payer::Payer + 'static) -> Result<(), Box<dyn std::error::Error>> {
//! let listen = "127.0.0.1:9443".parse()?;
//! let service = yizhan_kit::Service { listen, tls: None, book: "payer.book".into() };
//! let told = |at| println!("{at}");
//! yizhan_kit::serve(Arc::new(payer), service, told, yizhan_kit::stop_signal()).await?;
//! # Ok(())
//! # }
//! ```

mod bridge;
mod carrying;
mod desk;
mod door;
mod lanes;
mod problem;
mod tls;
mod verbs;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use yizhan_contract::payer::Payer;

pub use bridge::Bridge;
pub use desk::Desk;
pub use door::{Asked, Handler, Reply, open};
pub use problem::{Problem, ProblemKind};
pub(crate) use tls::certificates;
pub use tls::{TlsError, TlsFiles, server_config};
pub use verbs::{Refusal, Replied, Verbs};

use crate::book::BookError;

/// Where a service listens, who may call it, and where it remembers.
#[derive(Debug, Clone)]
pub struct Service {
    pub listen: SocketAddr,
    /// Without it the service listens on this machine alone.
    pub tls: Option<TlsFiles>,
    /// The file of its operations; made where it does not exist.
    pub book: PathBuf,
}

/// Why a service does not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(
        "{0}：未配置证书，只能监听本机（127.0.0.1 或 ::1）；对外服务须配置 certificate、key 与 client_ca | {0}: without certificates a service listens on this machine alone (127.0.0.1 or ::1); give certificate, key and client_ca"
    )]
    NotProtected(SocketAddr),
    #[error(
        "{at}：无法监听（{why}），请换端口或停止占用它的程序 | {at}: cannot listen: {why}; take another port, or stop who has it"
    )]
    Listen { at: SocketAddr, why: io::Error },
}

/// Serves a payer until `until`; what was begun by then is finished. `ready` hears where it listens once it does.
///
/// # Errors
/// [`ServeError`]: book or certificates that cannot be used, an address that is taken or not protected.
pub async fn serve(
    payer: Arc<dyn Payer>,
    service: Service,
    ready: impl FnOnce(SocketAddr),
    until: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let bridge = Bridge::open(payer, &service.book)?;
    let (listener, tls) = listen(&service).await?;
    ready(listener.local_addr().unwrap_or(service.listen));
    open(listener, tls, Arc::new(Desk::of(bridge)), until).await;
    Ok(())
}

/// The listener of a service and its TLS, both checked.
///
/// # Errors
/// As [`serve`].
pub async fn listen(
    service: &Service,
) -> Result<(TcpListener, Option<Arc<rustls::ServerConfig>>), ServeError> {
    let tls = service.tls.as_ref().map(server_config).transpose()?.map(Arc::new);
    if tls.is_none() && !service.listen.ip().is_loopback() {
        return Err(ServeError::NotProtected(service.listen));
    }
    let listener = TcpListener::bind(service.listen).await;
    let listener = listener.map_err(|why| ServeError::Listen { at: service.listen, why })?;
    Ok((listener, tls))
}
