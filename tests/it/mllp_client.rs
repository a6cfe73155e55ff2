//! The sending side: what it makes of the answers of receivers, good and bad.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use yizhan::intake::hl7::Charset;
use yizhan::intake::mllp::client::{SendError, Sender};
use yizhan::intake::mllp::listener::BoxFuture;
use yizhan::intake::mllp::{Answers, Peer, Settings, frame, serve};
use yizhan::runtime::Shutdown;
use yizhan::tls;

use crate::authority::Authority;
use crate::says_both;

/// An acknowledgement as a receiver writes it, in its own character set.
fn acknowledgement(charset: Charset, stated: &str, code: &str, of: &str, text: &str) -> Vec<u8> {
    let head = format!("MSH|^~\\&|HIS|H|YIZHAN|GATEWAY|||ACK|1|P|2.4||||||{stated}\r");
    frame(&charset.encode(&format!("{head}MSA|{code}|{of}|{text}\r")))
}

/// What comes of a message `ID-2` that is answered with these bytes, by a sender that reads GBK.
async fn sent(answer: &[u8]) -> Result<String, SendError> {
    let (near, mut far) = tokio::io::duplex(4096);
    far.write_all(answer).await.unwrap();
    let mut sender = Sender::over("his", near).answered_in(Charset::GBK);
    sender.send(b"MSH|^~\\&|\r", "ID-2").await.map(|answer| answer.code)
}

#[tokio::test(start_paused = true)]
async fn the_answer_that_names_the_message_counts_however_it_is_written() {
    let late = acknowledgement(Charset::Ascii, "", "AE", "ID-1", "");
    let ours = acknowledgement(Charset::Ascii, "", "AA", "ID-2", "");
    let truncated = acknowledgement(Charset::Latin1, "", "AA", "ID-2", "\u{c4}");
    for (answer, code) in [
        (ours.clone(), "AA"),
        ([late.clone(), ours.clone()].concat(), "AA"),
        ([b"log\r\n".as_slice(), &late, &late, &ours].concat(), "AA"),
        // In Chinese without MSH-18, under a set nobody knows, under the wrong one, and cut in half.
        (acknowledgement(Charset::GBK, "", "AA", "ID-2", "已接收億"), "AA"),
        (acknowledgement(Charset::GBK, "HOUSE", "CA", "ID-2", "已接收億"), "CA"),
        (acknowledgement(Charset::GBK, "UNICODE UTF-8", "AE", "ID-2", "患者不存在"), "AE"),
        (truncated, "AA"),
    ] {
        assert_eq!(sent(&answer).await.unwrap(), code, "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_a_message_was_not_answered_takes_no_other() {
    let (near, mut far) = tokio::io::duplex(4096);
    let mut sender = Sender::over("his", near);
    let begun = tokio::time::Instant::now();
    let why = sender.send(b"MSH|^~\\&|\r", "ID-1").await.unwrap_err();
    assert!(matches!(why, SendError::NoAnswer { .. }) && says_both(&why.to_string()), "{why}");
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    // Its answer comes after all, and nobody hears it: the connection is closed.
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, frame(b"MSH|^~\\&|\r"));
    let why = sender.send(b"MSH|^~\\&|\r", "ID-2").await.unwrap_err();
    assert!(matches!(why, SendError::Connection { .. }), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_accepts_nothing_is_an_error_that_says_so() {
    for (code, told) in [("AA", Ok(())), ("CA", Ok(())), ("AE", Err("AE")), ("CR", Err("CR"))] {
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(&acknowledgement(Charset::Ascii, "", code, "ID-1", "")).await.unwrap();
        let ended = Sender::over("his", near).hand_over(b"MSH|^~\\&|\r", "ID-1").await;
        match (ended, told) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(code)) => assert!(why.to_string().ends_with(&format!("answered {code}")), "{why}"),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn over_tls_the_receiver_shows_who_it_is() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let config = tls::server_config(&authority.configured(false), &[]).unwrap();
    let taken = |_: Vec<u8>, _: Peer| -> BoxFuture<Answers> {
        let answer = "MSH|^~\\&|HIS|H|YIZHAN|GATEWAY|||ACK|1|P|2.4\rMSA|AA|ID-1\r";
        Box::pin(async move { Answers { stored: true, messages: vec![answer.into()] } })
    };
    let (_stop, stopped) = Shutdown::new();
    let acceptor = Some(TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(serve(listener, acceptor, Settings::default(), Arc::new(taken), stopped.receiver()));
    let trusted = Sender::connect_securely(&address, &authority.client(false, &[])).await.unwrap();
    trusted.hand_over(b"MSH|^~\\&|\r", "ID-1").await.unwrap();
    let other_name = address.replace("localhost", "127.0.0.1");
    for (address, connector) in
        [(&address, stranger.client(false, &[])), (&other_name, authority.client(false, &[]))]
    {
        let Err(why) = Sender::connect_securely(address, &connector).await else { panic!("{address}") };
        assert!(matches!(why, SendError::Handshake { .. }), "{why}");
        assert!(says_both(&why.to_string()) && why.to_string().contains("certificate"), "{why}");
    }
}
