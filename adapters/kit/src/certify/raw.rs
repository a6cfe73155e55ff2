//! Connections by hand, for what no HTTP client would send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::caller::Caller;
use super::came::Came;
use super::target::{Called, Identity};

/// Bytes both ways, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// For a connection to be taken, and a request to be written to it.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// A connection; dropped, it is gone.
pub(super) type Raw = Pin<Box<dyn Stream>>;

/// Bytes of an answer that are looked at.
const LOOKED_AT_BYTES_MAX: u64 = 64 * 1024;

/// Of a request that is begun, and how long its head says that it is.
const BEGUN: &[u8] = b"{\"head\":";
const BEGUN_STATED_BYTES: usize = 1_000;

impl Called {
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host(), self.port())).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// HTTP/1.1, over TLS where the target has it.
    async fn connect_raw(&self, identity: Identity) -> io::Result<Raw> {
        let stream = self.connect().await?;
        let config = self.tls_config(identity, &[b"http/1.1"]).map_err(io::Error::other)?;
        let Some(config) = config else { return Ok(Box::pin(stream)) };
        let name = ServerName::try_from(self.host().to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(Box::pin(stream))
    }

    /// The head of a request with a body of so many bytes.
    fn head(&self, path: &str, length: usize) -> String {
        let (host, base) = (self.host(), self.url.path().trim_end_matches('/'));
        format!(
            "POST {base}{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    }

    async fn write(&self, path: &str, body: &[u8], stated: usize) -> io::Result<Raw> {
        let writing = async {
            let mut stream = self.connect_raw(Identity::Own).await?;
            stream.write_all(self.head(path, stated).as_bytes()).await?;
            stream.write_all(body).await?;
            stream.flush().await?;
            Ok(stream)
        };
        tokio::time::timeout(TAKEN_WITHIN, writing).await?
    }

    /// What comes back of the bare connection within `wait`, whatever is spoken there.
    async fn say(&self, bytes: &[u8], wait: Duration) -> io::Result<Vec<u8>> {
        let mut stream = self.connect().await?;
        let mut said = Vec::new();
        let asking = async {
            stream.write_all(bytes).await?;
            stream.take(LOOKED_AT_BYTES_MAX).read_to_end(&mut said).await
        };
        // Whoever closes without a goodbye, or not at all, has said what it had to say.
        let _ = tokio::time::timeout(wait, asking).await;
        Ok(said)
    }
}

impl Caller {
    /// Sends a whole request and is gone before its answer is read.
    pub(super) async fn send_and_leave(&self, path: &str, body: &[u8], stays: Duration) -> io::Result<()> {
        self.note("LEFT", path, body, b"");
        let stream = self.called.write(path, body, body.len()).await?;
        tokio::time::sleep(stays).await;
        drop(stream);
        Ok(())
    }

    /// Sends less than the head of the request says, and is gone.
    pub(super) async fn send_part_and_leave(&self, path: &str, body: &[u8], stated: usize) -> io::Result<()> {
        self.note("PART", path, body, b"");
        let mut stream = self.called.write(path, body, stated).await?;
        let _ = stream.shutdown().await;
        Ok(())
    }

    /// Begins a request and says no more.
    pub(super) async fn hold_half_a_request(&self, path: &str) -> io::Result<Raw> {
        self.note("HELD", path, BEGUN, b"");
        self.called.write(path, BEGUN, BEGUN_STATED_BYTES).await
    }

    /// Says nonsense to the bare connection.
    pub(super) async fn say_nonsense(&self, bytes: &[u8], wait: Duration) {
        let said = self.called.say(bytes, wait).await.unwrap_or_default();
        self.note("SAID", "/", bytes, &said);
    }

    /// Asks over plain HTTP, whatever the target speaks; the bytes that came.
    pub(super) async fn get_plainly(&self, path: &str, wait: Duration) -> (Came, Vec<u8>) {
        let (host, base) = (self.called.host(), self.called.url.path().trim_end_matches('/'));
        let asked = format!("GET {base}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let said = self.called.say(asked.as_bytes(), wait).await.unwrap_or_default();
        (self.keep_plain(path, &said), said)
    }
}
