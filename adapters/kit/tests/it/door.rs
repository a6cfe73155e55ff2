//! The service over real connections: whom it lets in, and what it says to what it cannot use.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use reqwest::{Client, Identity};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use yizhan_contract::protocol::REQUEST_BYTES_MAX;
use yizhan_kit::service::{Bridge, Desk, listen, open};
use yizhan_kit::{ServeError, Service};

use crate::certificates::certificates;
use crate::insurer::{Core, Insurer};

/// Serves an insurer while `ask` runs; answers what it came to once the service has ended.
async fn served<T, F: Future<Output = T>>(is_tls: bool, ask: impl FnOnce(SocketAddr) -> F) -> T {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let core = Arc::new(Mutex::new(Core::default()));
    let bridge = Bridge::open(Arc::new(Insurer::with(&core, true)), &folder.path().join("book")).unwrap();
    let service = Service {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: is_tls.then(|| certificates().of_service()),
        book: folder.path().join("book"),
    };
    let (listener, tls) = listen(&service).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async move {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(open(listener, tls, Arc::new(Desk::of(bridge)), until));
    let told = ask(address).await;
    drop(stop);
    serving.await.unwrap();
    told
}

fn client(holder: Option<&str>) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |name: String| std::fs::read(certificates().path(&name)).unwrap();
    let ca = reqwest::Certificate::from_pem(&read("ca.pem".to_owned())).unwrap();
    let mut builder = Client::builder().no_proxy().tls_certs_only([ca]);
    if let Some(holder) = holder {
        let pem = [read(format!("{holder}.key")), read(format!("{holder}.pem"))].concat();
        builder = builder.identity(Identity::from_pem(&pem).unwrap());
    }
    builder.build().unwrap()
}

#[tokio::test]
async fn only_callers_of_its_ca_get_a_word_from_it() {
    served(true, |address| async move {
        let url = format!("https://localhost:{}/v1/describe", address.port());
        let answer = client(Some("caller")).get(&url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
        let said: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!((&said["protocol"], &said["manifest"]["adapter"]), (&json!("1"), &json!("insurer")));
        for holder in [None, Some("stranger")] {
            let answer = client(holder).get(&url).send().await;
            assert!(answer.is_err(), "{holder:?} {answer:?}");
        }
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET /v1/describe HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        let _ = plain.read_to_end(&mut said).await;
        assert!(!said.starts_with(b"HTTP"), "{:?}", String::from_utf8_lossy(&said));
    })
    .await;
}

#[tokio::test]
async fn without_certificates_it_is_for_this_machine() {
    let service = Service { listen: "0.0.0.0:0".parse().unwrap(), tls: None, book: "book".into() };
    let why = listen(&service).await.unwrap_err();
    assert!(matches!(why, ServeError::NotProtected(_)), "{why}");
}

struct Refused {
    what: &'static str,
    method: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
    said: (u16, &'static str, Option<&'static str>),
}

fn refusals() -> Vec<Refused> {
    let json = "application/json";
    let head = json!({"protocol": "1", "purpose": "settlement", "deadline": "2100-01-01T00:00:00Z"});
    let body = |value: Value| value.to_string().into_bytes();
    let commit = |amount: Value| {
        let amounts = json!([{"payer": "supplementary", "amount": amount}]);
        body(json!({"head": head, "operation_id": "a", "stay": "王小明", "amounts": amounts}))
    };
    let status = |id: &str| body(json!({"head": head, "operation_id": id}));
    let late = json!({"protocol": "1", "purpose": "settlement", "deadline": "2020-01-01T00:00:00Z"});
    let other = json!({"protocol": "2", "purpose": "settlement", "deadline": "2100-01-01T00:00:00Z"});
    let refused = |what, method, path, content_type, body, said| Refused {
        what,
        method,
        path,
        content_type,
        body,
        said,
    };
    let malformed = |place| (400, "malformed", Some(place));
    vec![
        refused("no verb", "POST", "/v1/pay", json, status("a"), (404, "unknown_verb", None)),
        refused("by GET", "GET", "/v1/commit", json, status("a"), (405, "method_not_allowed", None)),
        refused("by POST", "POST", "/v1/describe", json, status("a"), (405, "method_not_allowed", None)),
        refused("XML", "POST", "/v1/status", "text/xml", status("a"), (415, "unsupported_media_type", None)),
        refused("no JSON", "POST", "/v1/status", json, b"{".to_vec(), malformed("$")),
        refused("a number", "POST", "/v1/commit", json, commit(json!(1.5)), malformed("$.amounts[0].amount")),
        refused(
            "a name",
            "POST",
            "/v1/commit",
            json,
            commit(json!("王小明")),
            malformed("$.amounts[0].amount"),
        ),
        refused("negative", "POST", "/v1/commit", json, commit(json!("-1.00")), malformed("$.amounts")),
        refused("no id", "POST", "/v1/status", json, status(""), malformed("$.operation_id")),
        refused("long id", "POST", "/v1/status", json, status(&"i".repeat(65)), malformed("$.operation_id")),
        refused("no head", "POST", "/v1/status", json, body(json!({"operation_id": "a"})), malformed("$")),
        refused(
            "another version",
            "POST",
            "/v1/status",
            json,
            body(json!({"head": other, "operation_id": "a"})),
            malformed("$.head.protocol"),
        ),
        refused(
            "two documents",
            "POST",
            "/v1/status",
            json,
            [status("a"), status("b")].concat(),
            malformed("$"),
        ),
        refused(
            "deep",
            "POST",
            "/v1/status",
            json,
            ["[".repeat(10_000), "]".repeat(10_000)].concat().into_bytes(),
            malformed("$[0][0]"),
        ),
        refused(
            "late",
            "POST",
            "/v1/status",
            json,
            body(json!({"head": late, "operation_id": "a"})),
            (400, "deadline_passed", Some("$.head.deadline")),
        ),
        refused("no day", "GET", "/v1/statement", json, Vec::new(), malformed("day")),
        refused(
            "too long",
            "POST",
            "/v1/status",
            json,
            vec![b' '; REQUEST_BYTES_MAX + 1],
            (413, "too_large", None),
        ),
    ]
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_its_place_and_without_a_name() {
    served(false, |address| async move {
        let client = client(None);
        for asked in refusals() {
            let method = asked.method.parse().unwrap();
            let request = client.request(method, format!("http://{address}{}", asked.path));
            let answer = request.header("content-type", asked.content_type).body(asked.body).send().await;
            let answer = answer.unwrap_or_else(|why| panic!("{}: {why:?}", asked.what));
            let (status, kind, place) = asked.said;
            assert_eq!(answer.status().as_u16(), status, "{}", asked.what);
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{}", asked.what);
            assert_eq!(answer.headers().contains_key("allow"), status == 405, "{}", asked.what);
            let said = answer.text().await.unwrap();
            assert!(!said.contains("王小明"), "{}: {said}", asked.what);
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!((&said["type"], &said["status"]), (&json!(kind), &json!(status)), "{}", asked.what);
            assert_eq!(said["place"].as_str(), place, "{}: {said}", asked.what);
        }
    })
    .await;
}

#[tokio::test]
async fn half_a_request_begins_nothing_and_stops_nobody() {
    served(false, |address| async move {
        let mut half = TcpStream::connect(address).await.unwrap();
        let head =
            "POST /v1/commit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500";
        half.write_all(format!("{head}\r\n\r\n{{\"head\":").as_bytes()).await.unwrap();
        let answer = client(None).get(format!("http://{address}/v1/describe")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        drop(half);
        let answer = client(None).get(format!("http://{address}/v1/statement?day=2020-07-02")).send().await;
        let said: Value = serde_json::from_slice(&answer.unwrap().bytes().await.unwrap()).unwrap();
        assert_eq!(said, json!({"day": "2020-07-02", "lines": []}));
    })
    .await;
}
