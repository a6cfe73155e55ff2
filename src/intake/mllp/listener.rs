//! A listener: connections in, one message after the other on each, answers out.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::bounds::{FRAME_DEADLINE_S, Patience, Share, UNDER_WAY_BYTES_MAX, room};
use super::frames::{Commit, Event, Frames, Release, commit_block, frame};
use crate::intake::limits::MESSAGE_BYTES_MAX;
use crate::telemetry;

/// Bytes asked of a connection at once.
const READ_BYTES: usize = 16 * 1024;
/// Pauses after a failed accept, growing from the first to the last.
const ACCEPT_PAUSE_FIRST_MS: u64 = 20;
const ACCEPT_PAUSE_LAST_MS: u64 = 1_000;

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub address: SocketAddr,
    /// The client's certificate, where TLS asked for one.
    pub certificate: Option<CertificateDer<'static>>,
}

/// What goes back for one message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// Whether the message is on stable storage: the commit block of release 2 says so.
    pub stored: bool,
    /// Messages to frame and send, in order.
    pub messages: Vec<Vec<u8>>,
}

/// A future on the heap, as handlers of different kinds return it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is done with the content of a frame. Any `Fn(Vec<u8>, Peer) -> BoxFuture<Answers>` is one.
pub trait Handle: Send + Sync + 'static {
    fn handle(&self, content: Vec<u8>, peer: Peer) -> BoxFuture<Answers>;

    /// What is answered to a frame longer than `bytes_max`, of which only the head is there.
    fn too_long(&self, head: Vec<u8>, bytes_max: usize, peer: Peer) -> BoxFuture<Answers> {
        let _ = (head, bytes_max, peer);
        Box::pin(std::future::ready(Answers::default()))
    }
}

impl<F> Handle for F
where
    F: Fn(Vec<u8>, Peer) -> BoxFuture<Answers> + Send + Sync + 'static,
{
    fn handle(&self, content: Vec<u8>, peer: Peer) -> BoxFuture<Answers> {
        self(content, peer)
    }
}

/// Limits of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub frame_bytes_max: usize,
    pub release: Release,
    /// Connections open at once; one more is closed as soon as it is accepted.
    pub connections_max: usize,
    /// A connection on which no frame begins this long is closed, and one whose frame stands still this long.
    pub idle: Duration,
    /// A frame that takes longer from its first byte to its last closes its connection.
    pub frame: Duration,
    /// Bytes of all frames under way at once; a connection that finds no room waits.
    pub under_way_bytes_max: usize,
    /// A TLS handshake, the writing of one answer, or a first frame behind other bytes that takes longer closes the
    /// connection.
    pub patience: Duration,
    /// After the signal to stop, connections have this long to answer what they hold.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            frame_bytes_max: MESSAGE_BYTES_MAX,
            release: Release::One,
            connections_max: 1_000,
            idle: Duration::from_secs(600),
            frame: Duration::from_secs(FRAME_DEADLINE_S),
            under_way_bytes_max: UNDER_WAY_BYTES_MAX,
            patience: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// Accepts connections until `stop` becomes true, then lets each answer the messages it has received
/// whole, and returns. A failed accept (no file descriptors left) is tried again after a pause.
pub async fn serve<H: Handle>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    settings: Settings,
    handle: Arc<H>,
    mut stop: watch::Receiver<bool>,
) {
    let seats = Arc::new(Semaphore::new(settings.connections_max));
    let room = room(settings);
    let mut connections = JoinSet::new();
    let mut pause_ms = ACCEPT_PAUSE_FIRST_MS;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                pause_ms = ACCEPT_PAUSE_FIRST_MS;
                let Ok(seat) = seats.clone().try_acquire_owned() else {
                    telemetry::connection_refused(&address, settings.connections_max);
                    continue;
                };
                let peer = Peer { address, certificate: None };
                let place = Place { seat, room: Arc::clone(&room) };
                let (tls, handle, stop) = (tls.clone(), handle.clone(), stop.clone());
                connections.spawn(connection(stream, peer, tls, settings, handle, stop, place));
            }
            Err(error) => {
                telemetry::accept_failed(&error, pause_ms);
                tokio::select! {
                    () = stopped(&mut stop) => break,
                    () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
                }
                pause_ms = (pause_ms * 2).min(ACCEPT_PAUSE_LAST_MS);
            }
        }
    }
    drop(listener);
    if timeout(settings.drain, async { while connections.join_next().await.is_some() {} }).await.is_err() {
        telemetry::connections_cut(connections.len());
    }
}

/// Resolves once `stop` is true, or its sender is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can say stop any more, which is the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What a connection holds of what all share.
struct Place {
    seat: OwnedSemaphorePermit,
    room: Arc<Semaphore>,
}

async fn connection<H: Handle>(
    stream: TcpStream,
    peer: Peer,
    tls: Option<TlsAcceptor>,
    settings: Settings,
    handle: Arc<H>,
    stop: watch::Receiver<bool>,
    place: Place,
) {
    let Place { seat: _seat, room } = place;
    let address = peer.address;
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        telemetry::connection_began(&address, false);
        return converse(stream, peer, settings, handle.as_ref(), stop, room).await;
    };
    match timeout(settings.patience, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            telemetry::connection_began(&address, true);
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate =
                certificates.and_then(|chain| chain.first()).map(|first| first.clone().into_owned());
            converse(stream, Peer { address, certificate }, settings, handle.as_ref(), stop, room).await;
        }
        Ok(Err(error)) => telemetry::handshake_failed(&address, &error),
        Err(_) => telemetry::handshake_failed(&address, &"it took too long"),
    }
}

/// Serves one connection to its end: messages are handled one at a time, in the order they came. `room` is what all
/// connections share for frames under way, a permit for each KiB.
pub async fn converse<S, H>(
    mut stream: S,
    peer: Peer,
    settings: Settings,
    handle: &H,
    mut stop: watch::Receiver<bool>,
    room: Arc<Semaphore>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Handle,
{
    let mut frames = Frames::new(settings.frame_bytes_max, settings.release);
    let mut buffer = vec![0; READ_BYTES];
    let mut patience = Patience::new(settings, Instant::now());
    let mut share = Share::of(room);
    loop {
        while let Some(event) = frames.next_event() {
            let is_whole = matches!(event, Event::Frame(_) | Event::TooLong { .. });
            if answer(&mut stream, event, &peer, settings, handle).await.is_err() {
                return;
            }
            if is_whole {
                patience.is_quiet_since(Instant::now());
            }
        }
        // What is under way may be all that the others wait for: whoever gets no room in time is closed like a sender
        // that stands still.
        let reading = async {
            share.hold(frames.pending_bytes()).await;
            stream.read(&mut buffer).await
        };
        let read = tokio::select! {
            biased;
            () = stopped(&mut stop), if !frames.is_ending() => break,
            read = timeout_at(patience.ends(&frames), reading) => read,
        };
        match read {
            Ok(Ok(0)) => break,
            Ok(Ok(length)) => {
                frames.push(&buffer[..length]);
                patience.came(&frames, Instant::now());
            }
            Ok(Err(error)) => {
                telemetry::connection_lost(&peer.address, &error);
                break;
            }
            // The CR did not come: what is there is whole.
            Err(_) if frames.is_ending() => frames.finish(),
            Err(_) if frames.is_all_noise() => {
                telemetry::no_mllp(&peer.address);
                break;
            }
            Err(_) => {
                let (mid_frame, bytes) = (frames.is_mid_frame(), frames.pending_bytes());
                telemetry::connection_idle(&peer.address, mid_frame, bytes);
                break;
            }
        }
    }
    frames.finish();
    while let Some(event) = frames.next_event() {
        if answer(&mut stream, event, &peer, settings, handle).await.is_err() {
            return;
        }
    }
    let _ = timeout(settings.patience, stream.shutdown()).await;
}

/// The connection cannot be written to any more; the sender will send again.
struct Gone;

async fn answer<S, H>(
    stream: &mut S,
    event: Event,
    peer: &Peer,
    settings: Settings,
    handle: &H,
) -> Result<(), Gone>
where
    S: AsyncWrite + Unpin,
    H: Handle,
{
    let address = peer.address;
    let answers = match event {
        Event::Frame(content) => handle.handle(content, peer.clone()).await,
        Event::Commit(commit) => {
            telemetry::commit_block_came(&address, &commit);
            return Ok(());
        }
        Event::Noise { bytes } => {
            telemetry::noise_skipped(&address, bytes);
            return Ok(());
        }
        Event::Truncated { content } => {
            telemetry::frame_broke_off(&address, content.len());
            return Ok(());
        }
        Event::TooLong { bytes_max, head } => {
            telemetry::frame_too_long(&address, bytes_max);
            handle.too_long(head, bytes_max, peer.clone()).await
        }
    };
    let mut bytes = Vec::new();
    if settings.release == Release::Two {
        bytes = commit_block(if answers.stored { Commit::Stored } else { Commit::NotStored });
    }
    answers.messages.iter().for_each(|message| bytes.extend(frame(message)));
    let writing = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    match timeout(settings.patience, writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            telemetry::answer_not_written(&address, &error);
            Err(Gone)
        }
        Err(_) => {
            telemetry::answer_not_written(&address, &"it was not taken in time");
            Err(Gone)
        }
    }
}
