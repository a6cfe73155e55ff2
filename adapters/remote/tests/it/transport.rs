//! Connections that are refused, break off, drip or never answer; payers that are not who they should be.

use yizhan_contract::payer::{Manifest, Payer, Performed, QuoteAnswer};
use yizhan_contract::protocol::ANSWER_BYTES_MAX;
use yizhan_remote::{Class, Connection, Remote};

use crate::certificates::{Certificates, Shows};
use crate::given::{Given, ask, commit, connection, example, manifest};
use crate::raw::{Act, Raw, json};
use crate::service::{Reply, Service};

/// Seconds a payer has that never answers: enough for the others to begin, on a machine with a lot else to do.
const PATIENCE_S: i64 = 15;

fn patient() -> Manifest {
    Manifest { requests_per_second_max: None, ..manifest() }
}

async fn quote(given: &Given, seconds: i64) -> String {
    match given.remote.quote(&ask(), given.host.within(seconds)).await {
        QuoteAnswer::Unavailable(unavailable) => unavailable.why,
        other => format!("{other:?}"),
    }
}

async fn perform(given: &Given, seconds: i64) -> String {
    let prepared = given.remote.prepare(&commit()).unwrap();
    match given.remote.perform(&prepared, given.host.within(seconds)).await {
        Performed::Unknown { why, .. } => why,
        other => format!("{other:?}"),
    }
}

struct Case {
    act: Act,
    says: &'static str,
    class: Class,
    /// How often a question, and a commit, are sent.
    sent: [usize; 2],
}

async fn check(certificates: &Certificates, case: Case) {
    let Case { act, says, class, sent } = case;
    let seconds = if class == Class::Late { PATIENCE_S } else { 30 };
    for (verb, sent) in ["quote", "commit"].into_iter().zip(sent) {
        let raw = Raw::start(certificates, Shows::Itself, vec![act.clone()]).await;
        let mut given = Given::new(certificates, raw.port, patient());
        let why = match verb {
            "quote" => quote(&given, seconds).await,
            _ => perform(&given, seconds).await,
        };
        assert!(why.contains(says), "{verb}, {act:?}: {why}");
        let requests = raw.requests();
        assert_eq!(requests.len(), sent, "{verb}, {act:?}: {requests:?}");
        assert!(requests.iter().all(|line| line.contains(verb)), "{requests:?}");
        let classes: Vec<_> = given.recorded().iter().map(|record| record.class).collect();
        assert_eq!(classes, vec![class; sent], "{verb}, {act:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_whole_is_none() {
    let certificates = Certificates::new();
    let whole = json(&example("/v1/quote", "quote").to_string());
    let half = whole[..whole.len() - 20].to_owned();
    let head = whole[..30].to_owned();
    let broken = |act, says| Case { act, says, class: Class::Broken, sent: [2, 1] };
    let late = |act, says| Case { act, says, class: Class::Late, sent: [1, 1] };
    let bytes = ANSWER_BYTES_MAX + 1;
    let flood = |bytes, has_length| Case {
        act: Act::Flood { bytes, has_length },
        says: "longer than 1048576 bytes",
        class: Class::Unreadable,
        sent: [1, 1],
    };
    let cases = [
        broken(Act::Cut(String::new()), "broke before an answer came"),
        broken(Act::Cut(head), "broke before an answer came"),
        broken(Act::Cut(half.clone()), "bytes of the answer"),
        broken(Act::Cut("this is no HTTP\r\n\r\n".to_owned()), "broke before an answer came"),
        late(Act::Hold(String::new()), "no answer within"),
        late(Act::Hold(half), "came too slowly"),
        late(Act::Drip, "came too slowly"),
        // A length that is too long is believed at once.
        Case {
            act: Act::Hold(format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n")),
            says: "longer than 1048576 bytes",
            class: Class::Unreadable,
            sent: [1, 1],
        },
        flood(bytes, true),
        flood(bytes, false),
        flood(10 * 1024 * 1024, false),
    ];
    let certificates = &certificates;
    let mut checks = Vec::new();
    for case in cases {
        checks.push(check(certificates, case));
    }
    futures_util::future::join_all(checks).await;
}

/// A question whose connection broke is asked once more; the answer counts.
#[tokio::test]
async fn a_question_is_asked_again_after_a_connection_broke() {
    let certificates = Certificates::new();
    let answer = Act::Answer(json(&example("/v1/quote", "quote").to_string()));
    let raw = Raw::start(&certificates, Shows::Itself, vec![Act::Cut(String::new()), answer]).await;
    let given = Given::new(&certificates, raw.port, patient());
    let quoted = given.remote.quote(&ask(), given.host.within(30)).await;
    assert!(matches!(quoted, QuoteAnswer::Quote(_)), "{quoted:?}");
    assert_eq!(raw.requests().len(), 2);
}

#[tokio::test]
async fn http_1_1_will_do_and_its_connection_is_used_again() {
    let certificates = Certificates::new();
    let answer = Act::Answer(json(&example("/v1/quote", "quote").to_string()));
    let raw = Raw::start(&certificates, Shows::Itself, vec![answer]).await;
    let given = Given::new(&certificates, raw.port, patient());
    for _ in 0..3 {
        let quoted = given.remote.quote(&ask(), given.host.within(30)).await;
        assert!(matches!(quoted, QuoteAnswer::Quote(_)), "{quoted:?}");
    }
    assert_eq!((raw.requests().len(), raw.connections()), (3, 1));
}

#[tokio::test]
async fn a_payer_that_is_not_who_it_should_be_is_told_nothing() {
    let certificates = Certificates::new();
    for (shows, says) in [
        (Shows::AnotherName, "not valid for name"),
        (Shows::AnotherCa, "UnknownIssuer"),
        (Shows::Expired, "expired"),
    ] {
        let raw = Raw::start(&certificates, shows, vec![Act::Cut(String::new())]).await;
        let mut given = Given::new(&certificates, raw.port, patient());
        for why in [quote(&given, 30).await, perform(&given, 30).await] {
            assert!(why.contains("not sent: the payer's identity is not proven"), "{shows:?}: {why}");
            assert!(why.contains(says), "{shows:?}: {why}");
        }
        assert_eq!((raw.requests().len(), raw.connections()), (0, 0), "{shows:?}");
        assert!(given.recorded().iter().all(|record| record.class == Class::Unreachable));
    }
}

/// Under TLS 1.3 the payer says no after our side of the handshake is over: what was sent by then is not known.
#[tokio::test]
async fn a_payer_that_wants_a_certificate_is_not_spoken_to_without_one() {
    let certificates = Certificates::new();
    let raw = Raw::start(&certificates, Shows::Itself, vec![Act::Cut(String::new())]).await;
    let service = Service::start(&certificates, |_| Reply::text(500, "text/plain", "")).await;
    for port in [raw.port, service.port] {
        let (mut connection, host, _records) = connection(&certificates, port);
        connection.target.tls = Some(certificates.client(false));
        let remote = Remote::new(&connection, patient()).unwrap();
        let answer = remote.quote(&ask(), host.within(30)).await;
        let QuoteAnswer::Unavailable(unavailable) = answer else { panic!("{answer:?}") };
        assert!(
            unavailable.why.contains("refused the TLS connection (CertificateRequired)"),
            "{}",
            unavailable.why
        );
    }
    assert!(raw.requests().is_empty() && service.requests().is_empty());
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_as_that() {
    let certificates = Certificates::new();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let given = Given::new(&certificates, port, patient());
    for why in [quote(&given, 30).await, perform(&given, 30).await] {
        assert!(why.contains("not sent: the payer cannot be reached (connection refused)"), "{why}");
    }
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let certificates = Certificates::new();
    let folder = certificates.folder.path();
    std::fs::write(folder.join("empty.pem"), "").unwrap();
    std::fs::write(folder.join("broken.pem"), "-----BEGIN CERTIFICATE-----\nx").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    for (ca, certificate, key, says) in [
        ("absent.pem", None, None, "cannot read"),
        ("empty.pem", None, None, "cannot read"),
        ("broken.pem", None, None, "cannot read"),
        ("ca.pem", Some("gateway.pem"), None, "certificate and key go together"),
        ("ca.pem", None, Some("gateway-key.pem"), "certificate and key go together"),
        ("ca.pem", Some("gateway.pem"), Some("payer-key.pem"), "do not fit together"),
        ("ca.pem", Some("gateway.pem"), Some("gateway.pem"), "cannot read"),
    ] {
        let (connection, _host, _records) = connection(&certificates, 1);
        let mut files = certificates.client(false);
        files.ca = folder.join(ca);
        files.certificate = certificate.map(|file| folder.join(file));
        files.key = key.map(|file| folder.join(file));
        let target = yizhan_remote::Target { tls: Some(files), ..connection.target.clone() };
        let refused = Remote::new(&Connection { target, ..connection }, manifest()).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains(says), "{ca} {certificate:?} {key:?}: {refused}");
    }
}
