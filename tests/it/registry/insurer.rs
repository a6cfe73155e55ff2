//! A simulated insurer as a service behind TLS, at an address that stays its own while it comes and goes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use yizhan_kit::Service;
use yizhan_kit::service::TlsFiles;
use yizhan_kit::simulate::{Simulated, simulate};

use crate::authority::Authority;
use crate::away::policies;

/// Its certificates and its book outlive it.
pub(super) struct Insurer {
    pub(super) authority: Authority,
    book: TempDir,
    pub(super) address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Insurer {
    /// It goes by the gateway's own policies.
    pub(super) async fn open() -> Self {
        let (authority, book) = (Authority::new(), TempDir::new().unwrap());
        authority.own_file();
        authority.issued("localhost");
        authority.issued("gateway");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut insurer = Self { authority, book, address, running: None };
        insurer.comes(Duration::ZERO).await;
        insurer
    }

    /// At the address it had before; each answer takes so long at least.
    pub(super) async fn comes(&mut self, takes: Duration) {
        let serves = vec!["supplementary".parse().unwrap()];
        let simulated = Simulated { optional: false, takes, ..Simulated::new(policies(), serves) };
        let (certificate, key) = self.authority.issued("localhost");
        let tls = Some(TlsFiles { certificate, key, client_ca: self.authority.own_file() });
        let service = Service { listen: self.address, tls, book: self.book.path().join("insurer.book") };
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = oneshot::channel();
        let running = tokio::spawn(async move {
            let until = async { drop(stopped.await) };
            simulate(simulated, service, |at| ready.send(at).unwrap(), until).await.unwrap();
        });
        self.address = address.await.unwrap();
        self.running = Some((stop, running));
    }

    pub(super) async fn goes(&mut self) {
        let (stop, running) = self.running.take().unwrap();
        let _ = stop.send(());
        running.await.unwrap();
    }

    /// A file of the folder that leads to it, with further keys.
    pub(super) fn file(&self, keys: &str) -> String {
        let port = self.address.port();
        let at = |name: &str| self.authority.written_at(name).display().to_string();
        let [ca, certificate, key] = ["ca.pem", "gateway.pem", "gateway-key.pem"].map(at);
        format!(
            "name = \"acme\"\nurl = \"https://localhost:{port}\"\nca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{keys}"
        )
    }

    pub(super) fn put(&self, folder: &Path, keys: &str) {
        std::fs::write(folder.join("acme.toml"), self.file(keys)).unwrap();
    }
}
