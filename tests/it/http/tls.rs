//! The interface over TLS, as the configuration's files make it.

use std::path::PathBuf;

use h2::client::SendRequest;
use rcgen::KeyPair;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use yizhan::config::Tls;
use yizhan::tls;

use super::client::Ask;
use super::served::{Setting, YISHUI, sample};
use crate::authority::Authority;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_the_same_is_said_and_nothing_in_clear() {
    let authority = Authority::new();
    let config = tls::server_config(&authority.configured(false), tls::HTTP_PROTOCOLS).unwrap();
    assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let served = Setting { tls: Some(config), ..Setting::default() }.serve().await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = authority.client(false, &[]).connect(name, stream).await.unwrap();
    let reply = Ask::get("/healthz").over(stream).await;
    assert_eq!((reply.status, reply.header("strict-transport-security")), (200, "max-age=31536000"));

    let mut plain = TcpStream::connect(served.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, &Ask::get("/healthz").bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.windows(4).any(|bytes| bytes == b"HTTP"), "{answer:?}");
}

/// One request on a connection that carries many; its status and body.
async fn on_stream(
    client: &SendRequest<actix_web::web::Bytes>,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> (u16, Vec<u8>) {
    let mut client = client.clone().ready().await.unwrap();
    let request = ::http::Request::builder().method(method).uri(format!("https://localhost{path}"));
    let request = request.header("authorization", format!("Bearer {YISHUI}"));
    let request = request.header("content-type", "application/json").body(()).unwrap();
    let (answer, mut sending) = client.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        sending.send_data(body.into(), true).unwrap();
    }
    let answer = answer.await.unwrap();
    let (status, mut receiving) = (answer.status().as_u16(), answer.into_body());
    let mut bytes = Vec::new();
    while let Some(chunk) = receiving.data().await {
        let chunk = chunk.unwrap();
        receiving.flow_control().release_capacity(chunk.len()).unwrap();
        bytes.extend_from_slice(&chunk);
    }
    (status, bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_spoken_with_a_client_that_offers_it() {
    let authority = Authority::new();
    let config = tls::server_config(&authority.configured(false), tls::HTTP_PROTOCOLS).unwrap();
    let served = Setting { tls: Some(config), ..Setting::default() }.serve().await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = authority.client(false, &[b"h2", b"http/1.1"]).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let (bill, health, head, refused) = tokio::join!(
        on_stream(&client, "POST", "/v1/discharges", sample("01-worked.json")),
        on_stream(&client, "GET", "/healthz", Vec::new()),
        on_stream(&client, "HEAD", "/healthz", Vec::new()),
        on_stream(&client, "POST", "/v1/discharges", b"{".to_vec()),
    );
    let settled: serde_json::Value = serde_json::from_slice(&bill.1).unwrap();
    assert_eq!((bill.0, &settled["patient_share"]), (200, &"1632.00".into()));
    assert_eq!(health, (200, br#"{"status":"ok"}"#.to_vec()));
    assert_eq!(head, (200, Vec::new()));
    let problem: serde_json::Value = serde_json::from_slice(&refused.1).unwrap();
    assert_eq!((refused.0, &problem["type"]), (400, &"urn:yizhan:problem:malformed".into()));
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_client_authority_is_named_a_client_shows_its_certificate() {
    let authority = Authority::new();
    let config = tls::server_config(&authority.configured(true), tls::HTTP_PROTOCOLS).unwrap();
    let served = Setting { tls: Some(config), ..Setting::default() }.serve().await;
    let connected = async |shows_certificate| {
        let stream = TcpStream::connect(served.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = authority.client(shows_certificate, &[]).connect(name, stream).await?;
        // TLS 1.3 tells a client that it was refused after its side of the handshake.
        tokio::io::AsyncWriteExt::write_all(&mut stream, &Ask::get("/healthz").bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map(|_| answer)
    };
    assert!(connected(true).await.unwrap().starts_with(b"HTTP/1.1 200"));
    assert!(connected(false).await.is_err());
}

#[test]
fn what_cannot_be_used_is_said_with_its_file() {
    let authority = Authority::new();
    let good = authority.configured(true);
    let said = |tls: &Tls| tls::server_config(tls, &[]).unwrap_err().to_string();
    assert!(tls::server_config(&good, &[]).unwrap().alpn_protocols.is_empty());
    let missing = Tls { certificate: PathBuf::from("nowhere.pem"), ..good.clone() };
    assert!(said(&missing).contains("nowhere.pem"));
    let empty = Tls { certificate: authority.written("empty.pem", ""), ..good.clone() };
    assert!(said(&empty).contains("empty.pem holds no certificate"));
    let other = KeyPair::generate().unwrap().serialize_pem();
    let misfit = Tls { key: authority.written("other.key", &other), ..good };
    assert!(said(&misfit).contains("do not fit together"));
}
