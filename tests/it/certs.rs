//! What `yizhan certs` makes, held to by the gateway's ports, by a payer's service and by their clients.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use yizhan::intake::mllp::client::Sender;
use yizhan::runtime::{Clock as _, SystemClock};

use crate::cli::yizhan;
use crate::http::client::Ask;
use crate::project;
use crate::serve::serve;

/// A folder of certificates as the command makes it.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn made(arguments: &[&str]) -> Self {
        let made = Self(TempDir::new().unwrap());
        assert_eq!(made.run(arguments), Some(0));
        made
    }

    fn run(&self, arguments: &[&str]) -> Option<i32> {
        let folder = self.0.path().to_str().unwrap();
        let output = yizhan(&[&["certs", "--folder", folder], arguments].concat());
        output.status.code()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// Every file with its content.
    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.0.path()).unwrap().map(Result::unwrap);
        let named = |entry: std::fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        };
        entries.map(named).collect()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.at("ca.pem")).unwrap()).unwrap();
        Arc::new(roots)
    }

    /// A client that trusts this folder's authority and shows `stem` of another folder, or of this one.
    fn client(&self, shows: Option<(&Self, &str)>) -> TlsConnector {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(self.roots());
        let config = match shows {
            Some((folder, stem)) => {
                let own = CertificateDer::from_pem_file(folder.at(&format!("{stem}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(folder.at(&format!("{stem}-key.pem"))).unwrap();
                builder.with_client_auth_cert(vec![own], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }

    /// Whether a server's certificate is taken under a name, so many days from now.
    fn is_taken(&self, certificate: &str, name: &str, in_days: i64) -> bool {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots(), provider).build().unwrap();
        let certificate = CertificateDer::from_pem_file(self.at(certificate)).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let at = SystemClock.now().as_second() + in_days * 24 * 3600;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at.try_into().unwrap()));
        verifier.verify_server_cert(&certificate, &[], &name, &[], at).is_ok()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_second_run_adds_what_is_missing_and_never_makes_the_authority_anew() {
    let made = Certificates::made(&["--payer", "acme", "--hospital", "H1"]);
    let first = made.contents();
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ca-key.pem",
            "ca.pem",
            "gateway-expired-key.pem",
            "gateway-expired.pem",
            "gateway-key.pem",
            "gateway-next-key.pem",
            "gateway-next.pem",
            "gateway.pem",
            "hospital-H1-key.pem",
            "hospital-H1.pem",
            "payer-acme-key.pem",
            "payer-acme.pem",
            "server-key.pem",
            "server.pem"
        ]
    );
    for name in names {
        assert_eq!(mode(&made.at(name)), if name.contains("-key") { 0o600 } else { 0o644 }, "{name}");
    }

    std::fs::remove_file(made.at("server-key.pem")).unwrap();
    assert_eq!(made.run(&["--payer", "acme", "--payer", "other", "--hospital", "H1"]), Some(0));
    let second = made.contents();
    let changed = |from: &BTreeMap<String, Vec<u8>>, to: &BTreeMap<String, Vec<u8>>| {
        let changed = to.iter().filter(|(name, content)| from.get(*name) != Some(content));
        changed.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let added = ["payer-other-key.pem", "payer-other.pem", "server-key.pem", "server.pem"];
    assert_eq!(changed(&first, &second), added);

    assert_eq!(made.run(&["--force", "--payer", "acme", "--hospital", "H1"]), Some(0));
    let third = made.contents();
    let renewed: Vec<_> = first.keys().filter(|name| !name.starts_with("ca")).cloned().collect();
    assert_eq!(changed(&second, &third), renewed);
    assert!(made.is_taken("payer-other.pem", "localhost", 0), "it is still vouched for");

    std::fs::remove_file(made.at("ca-key.pem")).unwrap();
    assert_eq!(made.run(&[]), Some(2));
    assert!(!made.at("ca-key.pem").exists());
}

#[test]
fn certificates_are_good_for_the_days_and_the_names_that_were_asked_for() {
    let made = Certificates::made(&["--days", "10", "--host", "gateway.example", "--host", "192.0.2.7"]);
    for (certificate, name, in_days, is_taken) in [
        ("server.pem", "localhost", 0, true),
        ("server.pem", "localhost", 10, true),
        ("server.pem", "localhost", 11, false),
        ("server.pem", "localhost", -2, false),
        ("server.pem", "127.0.0.1", 0, true),
        ("server.pem", "::1", 0, true),
        ("server.pem", "gateway.example", 0, true),
        ("server.pem", "192.0.2.7", 0, true),
        ("server.pem", "192.0.2.8", 0, false),
        ("server.pem", "other.example", 0, false),
        ("payer-supplementary.pem", "gateway.example", 0, true),
        // What clients show is no server's.
        ("gateway.pem", "localhost", 0, false),
        ("hospital-H37132301.pem", "localhost", 0, false),
    ] {
        let found = made.is_taken(certificate, name, in_days);
        assert_eq!(found, is_taken, "{certificate} for {name} in {in_days} days");
    }
}

/// What a client gets over HTTP; absent: no answer.
async fn asked(client: &TlsConnector, address: &str) -> Option<u16> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = client.connect(name, stream).await.ok()?;
    stream.write_all(&Ask::get("/healthz").bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).unwrap();
    answer.split(' ').nth(1)?.parse().ok()
}

/// The code of the acknowledgement over MLLP; absent: none.
async fn sent(client: &TlsConnector, address: &str) -> Option<String> {
    let message = std::fs::read(project("tests/samples/08a-late-charges-admit.hl7")).unwrap();
    let id = String::from_utf8(message.clone()).unwrap().split('|').nth(9).unwrap().to_owned();
    let address = address.replace("127.0.0.1", "localhost");
    let mut sender = Sender::connect_securely(&address, client).await.ok()?;
    Some(sender.send(&message, &id).await.ok()?.code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ports_of_a_gateway_know_their_own_clients() {
    let (made, strangers) = (Certificates::made(&[]), Certificates::made(&[]));
    let file = |name: &str| made.text(name);
    let (certificate, key, ca) = (file("server.pem"), file("server-key.pem"), file("ca.pem"));
    let environment = [
        ("YIZHAN_TLS_CERTIFICATE", &*certificate),
        ("YIZHAN_TLS_KEY", &*key),
        ("YIZHAN_TLS_CLIENT_CA", &*ca),
    ];
    let serving = serve(&environment, "");
    for (who, shows, is_known) in [
        ("a hospital", Some((&made, "hospital-H37132301")), true),
        ("the gateway's own client", Some((&made, "gateway")), true),
        ("another authority's hospital", Some((&strangers, "hospital-H37132301")), false),
        ("a server's certificate", Some((&made, "server")), false),
        ("a certificate that has expired", Some((&made, "gateway-expired")), false),
        ("nobody", None, false),
    ] {
        let client = made.client(shows);
        assert_eq!(asked(&client, &serving.http).await, is_known.then_some(200), "{who}");
        assert_eq!(sent(&client, &serving.mllp).await, is_known.then(|| "AA".to_owned()), "{who}");
    }
    // The other way round: who trusts another authority sends nothing here.
    let deceived = strangers.client(Some((&made, "hospital-H37132301")));
    assert_eq!((asked(&deceived, &serving.http).await, sent(&deceived, &serving.mllp).await), (None, None));
}
