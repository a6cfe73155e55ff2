//! The listener over loopback: bytes in, bytes out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, interval, timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use yizhan::intake::mllp::listener::{BoxFuture, converse};
use yizhan::intake::mllp::{Answers, Peer, Release, Settings, room, serve};
use yizhan::tls;

use crate::authority::Authority;

/// How long anything here may take; a machine under load needs some of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers `x` with `ack x`.
fn echo(content: Vec<u8>, _: Peer) -> BoxFuture<Answers> {
    let mut answer = b"ack ".to_vec();
    answer.extend(content);
    Box::pin(async move { Answers { stored: true, messages: vec![answer] } })
}

struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn served(settings: Settings, tls: Option<TlsAcceptor>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(listener, tls, settings, Arc::new(echo), stopped));
    Served { address, stop, task }
}

async fn expect(stream: &mut (impl AsyncReadExt + Unpin), bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(read, bytes);
}

async fn expect_end(stream: &mut (impl AsyncReadExt + Unpin)) {
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn each_message_is_answered_in_order_on_its_connection() {
    let served = served(Settings::default(), None).await;
    let mut one = TcpStream::connect(served.address).await.unwrap();
    let mut two = TcpStream::connect(served.address).await.unwrap();
    one.write_all(b"\x0ba\x1c\r\n\x0bb\x1c\r").await.unwrap();
    two.write_all(b"log\r\n\x0bc\x1c\r").await.unwrap();
    expect(&mut one, b"\x0back a\x1c\r\x0back b\x1c\r").await;
    expect(&mut two, b"\x0back c\x1c\r").await;
}

#[tokio::test]
async fn a_seat_is_given_back_when_a_connection_ends() {
    let served = served(Settings { connections_max: 1, ..Settings::default() }, None).await;
    let mut first = TcpStream::connect(served.address).await.unwrap();
    first.write_all(b"\x0ba\x1c\r").await.unwrap();
    expect(&mut first, b"\x0back a\x1c\r").await;
    let mut refused = TcpStream::connect(served.address).await.unwrap();
    expect_end(&mut refused).await;
    first.shutdown().await.unwrap();
    expect_end(&mut first).await;
    seated(served.address).await;
}

/// A connection that was given a seat; one that has just ended gives its own back a moment later.
async fn seated(address: SocketAddr) -> TcpStream {
    let trying = async {
        loop {
            let mut next = TcpStream::connect(address).await.unwrap();
            let _ = next.write_all(b"\x0bb\x1c\r").await;
            let mut read = [0; 8];
            if next.read_exact(&mut read).await.is_ok() {
                assert_eq!(&read, b"\x0back b\x1c\r");
                return next;
            }
        }
    };
    timeout(PATIENCE, trying).await.expect("no seat is given back")
}

/// Connections that end badly, again and again, take no seat with them.
#[tokio::test]
async fn no_seat_is_lost_to_connections_that_end_badly() {
    const SEATS: usize = 4;
    let settings = Settings { connections_max: SEATS, frame_bytes_max: 4, ..Settings::default() };
    let plain = served(settings, None).await;
    let authority = Authority::new();
    let secure = served(settings, Some(acceptor(&authority, false))).await;
    for bytes in [&b""[..], b"GET / HTTP/1.1\r\n", b"\x0bhal", b"\x0b12345\x1c\r", b"\x16\x03\x01\x02"] {
        for _ in 0..20 {
            for address in [plain.address, secure.address] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let _ = stream.write_all(bytes).await;
            }
        }
    }
    let mut seats = Vec::new();
    for _ in 0..SEATS {
        seats.push(seated(plain.address).await);
    }
    let over_tls =
        async { while heard_over_tls(authority.client(false, &[]), secure.address).await.is_err() {} };
    timeout(PATIENCE, over_tls).await.expect("no seat is given back over TLS");
}

#[tokio::test]
async fn what_was_received_is_answered_before_the_listener_stops() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        move |content: Vec<u8>, peer: Peer| -> BoxFuture<Answers> {
            let (begun, go_on) = (begun.clone(), go_on.clone());
            Box::pin(async move {
                begun.notify_one();
                go_on.notified().await;
                echo(content, peer).await
            })
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(listener, None, Settings::default(), Arc::new(slow), stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"\x0ba\x1c\r\x0bha").await.unwrap();
    begun.notified().await;
    stop.send(true).unwrap();
    go_on.notify_one();
    expect(&mut stream, b"\x0back a\x1c\r").await;
    expect_end(&mut stream).await;
    task.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

fn acceptor(authority: &Authority, asks_clients: bool) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(tls::server_config(&authority.configured(asks_clients), &[]).unwrap()))
}

/// Sends `a` over TLS and gives back all that is heard; an error where the connection was refused.
async fn heard_over_tls(connector: TlsConnector, address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, TcpStream::connect(address).await.unwrap()).await?;
    stream.write_all(b"\x0ba\x1c\r").await?;
    stream.shutdown().await?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.map(|_| heard)
}

#[tokio::test]
async fn the_same_is_said_over_tls() {
    let authority = Authority::new();
    let served = served(Settings::default(), Some(acceptor(&authority, false))).await;
    let heard = heard_over_tls(authority.client(false, &[]), served.address).await.unwrap();
    assert_eq!(heard, b"\x0back a\x1c\r");
    let mut unencrypted = TcpStream::connect(served.address).await.unwrap();
    unencrypted.write_all(b"\x0ba\x1c\r").await.unwrap();
    let mut read = Vec::new();
    let _ = unencrypted.read_to_end(&mut read).await;
    assert!(!read.windows(3).any(|bytes| bytes == b"ack"));
    served.stop.send(true).unwrap();
    served.task.await.unwrap();
}

#[tokio::test]
async fn where_a_client_authority_is_named_a_sender_shows_its_certificate() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = {
        let seen = Arc::clone(&seen);
        move |content: Vec<u8>, peer: Peer| -> BoxFuture<Answers> {
            seen.lock().unwrap().push(peer.certificate.is_some());
            echo(content, peer)
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let acceptor = Some(acceptor(&authority, true));
    let task = tokio::spawn(serve(listener, acceptor, Settings::default(), Arc::new(note), stopped));
    assert!(heard_over_tls(authority.client(false, &[]), address).await.is_err());
    assert!(heard_over_tls(authority.client_signed_by(&stranger), address).await.is_err());
    let heard = heard_over_tls(authority.client(true, &[]), address).await.unwrap();
    assert_eq!(heard, b"\x0back a\x1c\r");
    assert_eq!(*seen.lock().unwrap(), [true]);
    stop.send(true).unwrap();
    task.await.unwrap();
}

/// One end of a connection served in memory, where time can be stopped.
fn conversation(settings: Settings) -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
    conversation_in(settings, room(settings))
}

fn conversation_in(
    settings: Settings,
    room: Arc<Semaphore>,
) -> (DuplexStream, JoinHandle<()>, watch::Sender<bool>) {
    let (near, far) = tokio::io::duplex(1024);
    let (stop, stopped) = watch::channel(false);
    let peer = Peer { address: "127.0.0.1:2575".parse().unwrap(), certificate: None };
    let task = tokio::spawn(async move { converse(far, peer, settings, &echo, stopped, room).await });
    (near, task, stop)
}

#[tokio::test(start_paused = true)]
async fn a_frame_without_its_last_cr_is_answered_after_a_moment() {
    let (mut near, _task, _stop) = conversation(Settings::default());
    near.write_all(b"\x0ba\x1c").await.unwrap();
    expect(&mut near, b"\x0back a\x1c\r").await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_and_half_a_message_is_not_processed() {
    for bytes in [&b""[..], b"\x0bhalf a mess"] {
        let begun = tokio::time::Instant::now();
        let (mut near, task, _stop) =
            conversation(Settings { idle: Duration::from_secs(60), ..Settings::default() });
        near.write_all(bytes).await.unwrap();
        expect_end(&mut near).await;
        task.await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_speak_mllp_is_not_waited_for() {
    let begun = tokio::time::Instant::now();
    let (mut near, task, _stop) = conversation(Settings::default());
    near.write_all(b"GET / HTTP/1.1\r\nHost: hospital\r\n\r\n").await.unwrap();
    expect_end(&mut near).await;
    task.await.unwrap();
    assert_eq!(begun.elapsed(), Settings::default().patience);

    // A log line before the first frame, or behind one, is no reason to hang up.
    let (mut near, _task, _stop) = conversation(Settings::default());
    near.write_all(b"starting\r\n").await.unwrap();
    advance(Duration::from_secs(20)).await;
    near.write_all(b"\x0ba\x1c\rdone\r\n").await.unwrap();
    expect(&mut near, b"\x0back a\x1c\r").await;
    advance(Duration::from_secs(300)).await;
    near.write_all(b"\x0bb\x1c\r").await.unwrap();
    expect(&mut near, b"\x0back b\x1c\r").await;
}

/// One byte now and then buys no time: not as noise, not in a frame that never ends, not in frames that break off.
#[tokio::test(start_paused = true)]
async fn a_trickle_does_not_hold_a_seat() {
    let settings = Settings { idle: Duration::from_secs(60), ..Settings::default() };
    for (first, trickle, pause_s, closed_s, told) in [
        (&b"x"[..], &b"x"[..], 29, 30, "no_mllp"),
        (b"\x0ba\x1c\r", b"x", 29, 60, "idle"),
        (b"\x0b", b"x", 50, 120, "idle"),
        (b"\x0ba\x1c\r\x0b", b"x", 50, 120, "idle"),
        (b"\x0b", b"x\x0b", 50, 180, "idle"),
    ] {
        // Each line of the log has its counter.
        let log = PrometheusBuilder::new().build_recorder();
        let _logging = metrics::set_default_local_recorder(&log);
        let begun = Instant::now();
        let (near, task, _stop) = conversation(settings);
        let (mut heard, mut near) = tokio::io::split(near);
        near.write_all(first).await.unwrap();
        let mut drip = interval(Duration::from_secs(pause_s));
        drip.tick().await;
        let dripping = async {
            loop {
                drip.tick().await;
                if near.write_all(trickle).await.is_err() {
                    return;
                }
            }
        };
        let reading = async {
            let mut all = Vec::new();
            heard.read_to_end(&mut all).await.unwrap();
            Instant::now()
        };
        let (closed, ()) = tokio::join!(reading, dripping);
        task.await.unwrap();
        assert_eq!((closed - begun).as_secs(), closed_s, "{first:?} {trickle:?}");
        let counted = log.handle().render();
        assert!(counted.contains(&format!("yizhan_mllp_trouble_total{{what=\"{told}\"}} 1")), "{counted}");
    }
}

/// Frames under way have so much room together; whoever finds none waits, and a usual message never does.
#[tokio::test(start_paused = true)]
async fn frames_under_way_share_one_room() {
    const LONG: usize = 300 * 1024;
    let bytes_max = LONG + 100 * 1024;
    let settings = Settings {
        frame_bytes_max: bytes_max,
        under_way_bytes_max: bytes_max,
        idle: Duration::from_secs(60),
        ..Settings::default()
    };
    let room = room(settings);
    let begun = Instant::now();
    let (mut hoarder, _hoarding, _stop) = conversation_in(settings, Arc::clone(&room));
    hoarder.write_all(b"\x0b").await.unwrap();
    hoarder.write_all(&[b'h'; LONG]).await.unwrap();
    let (near, _waiting, _stop_waiting) = conversation_in(settings, Arc::clone(&room));
    let (mut heard, mut sends) = tokio::io::split(near);
    let sending = tokio::spawn(async move {
        sends.write_all(b"\x0b").await.unwrap();
        sends.write_all(&[b'w'; LONG]).await.unwrap();
        sends.write_all(b"\x1c\r").await.unwrap();
    });
    let (mut small, _served, _stop_small) = conversation_in(settings, Arc::clone(&room));
    small.write_all(b"\x0ba\x1c\r").await.unwrap();
    expect(&mut small, b"\x0back a\x1c\r").await;
    assert_eq!(begun.elapsed().as_secs(), 0);
    // The room is there once the sender that stands still is closed.
    let mut answer = vec![0; 5];
    heard.read_exact(&mut answer).await.unwrap();
    assert_eq!((answer.as_slice(), begun.elapsed().as_secs()), (&b"\x0back "[..], 60));
    let mut rest = vec![0; LONG + 2];
    heard.read_exact(&mut rest).await.unwrap();
    sending.await.unwrap();
    expect_end(&mut hoarder).await;
}

#[tokio::test]
async fn a_frame_too_long_is_skipped_and_the_next_one_is_read() {
    let (mut near, _task, _stop) = conversation(Settings { frame_bytes_max: 4, ..Settings::default() });
    near.write_all(b"\x0b12345\x1c\r\x0b1234\x1c\r").await.unwrap();
    expect(&mut near, b"\x0back 1234\x1c\r").await;
}

#[tokio::test]
async fn release_two_commits_before_it_answers() {
    let (mut near, _task, _stop) = conversation(Settings { release: Release::Two, ..Settings::default() });
    near.write_all(b"\x0ba\x1c\r").await.unwrap();
    expect(&mut near, b"\x0b\x06\x1c\r\x0back a\x1c\r").await;
    near.write_all(b"\x0b\x06\x1c\r\x0bb\x1c\r").await.unwrap();
    expect(&mut near, b"\x0b\x06\x1c\r\x0back b\x1c\r").await;
}
