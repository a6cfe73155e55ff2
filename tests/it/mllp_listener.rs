//! The listener over loopback: bytes in, bytes out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use yizhan::intake::mllp::listener::{BoxFuture, converse};
use yizhan::intake::mllp::{Answers, Peer, Release, Settings, serve};
use yizhan::tls;

use crate::authority::Authority;

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
    loop {
        // The seat is free a moment after the connection ended.
        let mut next = TcpStream::connect(served.address).await.unwrap();
        let _ = next.write_all(b"\x0bb\x1c\r").await;
        let mut read = [0; 8];
        if next.read_exact(&mut read).await.is_ok() {
            assert_eq!(&read, b"\x0back b\x1c\r");
            return;
        }
    }
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
    let (near, far) = tokio::io::duplex(1024);
    let (stop, stopped) = watch::channel(false);
    let peer = Peer { address: "127.0.0.1:2575".parse().unwrap(), certificate: None };
    let task = tokio::spawn(async move { converse(far, peer, settings, &echo, stopped).await });
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
    tokio::time::advance(Duration::from_secs(20)).await;
    near.write_all(b"\x0ba\x1c\rdone\r\n").await.unwrap();
    expect(&mut near, b"\x0back a\x1c\r").await;
    tokio::time::advance(Duration::from_secs(300)).await;
    near.write_all(b"\x0bb\x1c\r").await.unwrap();
    expect(&mut near, b"\x0back b\x1c\r").await;
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
