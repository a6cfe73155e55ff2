//! The sending side: one message out, its acknowledgement back, matched by MSA-2.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use yizhan_contract::Text;

use super::frames::{Event, Frames, Release, frame};
use crate::intake::hl7::{Charset, Message};
use crate::intake::limits::MESSAGE_BYTES_MAX;
use crate::system::refused;

/// How long a receiver may take to connect and to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 16 * 1024;

/// Why a message was not acknowledged. It may have arrived all the same: send it again under its own id.
#[derive(Debug, thiserror::Error)]
#[error("{zh} | {en}", zh = self.text().zh, en = self.text().en)]
pub enum SendError {
    Connection { address: String, why: std::io::Error },
    NoAnswer { address: String },
    Handshake { address: String, why: std::io::Error },
    Refused { address: String, code: String },
}

impl SendError {
    /// What is so, each language for itself.
    pub fn text(&self) -> Text {
        match self {
            Self::Connection { address, why } => {
                let Text { zh, en } = refused(why);
                Text::new(format!("{address} {zh}"), format!("{address} {en}"))
            }
            Self::NoAnswer { address } => {
                let wait_s = ANSWER_WAIT.as_secs();
                Text::new(
                    format!("{address} 在 {wait_s} 秒内没有应答"),
                    format!("{address} did not answer within {wait_s} s"),
                )
            }
            Self::Handshake { address, why } => Text::new(
                format!("{address} 的 TLS 连接未能建立（{why}），请核对其证书"),
                format!("{address} could not be spoken to over TLS ({why}); check its certificate"),
            ),
            Self::Refused { address, code } => {
                Text::new(format!("{address} 应答 {code}"), format!("{address} answered {code}"))
            }
        }
    }
}

/// An answer that was understood.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// MSA-1
    pub code: String,
    pub bytes: Vec<u8>,
}

/// Bytes both ways: a TCP connection, TLS over one, or an end of one in memory.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A connection that is kept for several messages; each waits for its answer before the next.
pub struct Sender {
    address: String,
    /// Absent once a message was not answered: an answer that came late would be taken for the next one's.
    stream: Option<Box<dyn Duplex>>,
    frames: Frames,
    charset: Charset,
}

impl Sender {
    pub async fn connect(address: &str) -> Result<Self, SendError> {
        let stream = in_time(address, tcp(address)).await?;
        Ok(Self::over(address, stream))
    }

    /// Over TLS; the receiver shows a certificate of the name or address it is called by.
    pub async fn connect_securely(address: &str, tls: &TlsConnector) -> Result<Self, SendError> {
        let stream = in_time(address, async {
            let failed = |why| SendError::Handshake { address: address.to_owned(), why };
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
            let name = ServerName::try_from(host.to_owned());
            let name = name.map_err(|why| failed(std::io::Error::other(why)))?;
            tls.connect(name, tcp(address).await?).await.map_err(failed)
        });
        Ok(Self::over(address, stream.await?))
    }

    /// Over a connection that is there; `address` is what it is called.
    pub fn over(address: &str, stream: impl Duplex + 'static) -> Self {
        Self {
            address: address.to_owned(),
            stream: Some(Box::new(stream)),
            frames: Frames::new(MESSAGE_BYTES_MAX, Release::One),
            charset: Charset::Utf8,
        }
    }

    /// Reads answers that name no character set in this one.
    #[must_use]
    pub fn answered_in(self, charset: Charset) -> Self {
        Self { charset, ..self }
    }

    /// Sends one message and waits for the answer that names `control_id`; answers to others are passed over.
    pub async fn send(&mut self, message: &[u8], control_id: &str) -> Result<Acknowledged, SendError> {
        let address = self.address.clone();
        let Some(mut stream) = self.stream.take() else {
            return Err(SendError::Connection { address, why: std::io::ErrorKind::NotConnected.into() });
        };
        let exchange = timeout(ANSWER_WAIT, self.exchange(&mut stream, message, control_id));
        let answer = exchange.await.map_err(|_| SendError::NoAnswer { address })??;
        self.stream = Some(stream);
        Ok(answer)
    }

    async fn exchange(
        &mut self,
        stream: &mut impl Duplex,
        message: &[u8],
        control_id: &str,
    ) -> Result<Acknowledged, SendError> {
        let broken = |why| SendError::Connection { address: self.address.clone(), why };
        stream.write_all(&frame(message)).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            while let Some(event) = self.frames.next_event() {
                if let Event::Frame(bytes) = event
                    && let Some(code) = answer_to(&bytes, control_id, self.charset)
                {
                    return Ok(Acknowledged { code, bytes });
                }
            }
            let read = stream.read(&mut buffer).await.map_err(broken)?;
            if read == 0 {
                return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.frames.push(&buffer[..read]);
        }
    }

    /// Sends the one message the connection is for; anything but AA or CA is an error.
    pub async fn hand_over(mut self, message: &[u8], control_id: &str) -> Result<(), SendError> {
        let answer = self.send(message, control_id).await?;
        match answer.code.as_str() {
            "AA" | "CA" => Ok(()),
            _ => Err(SendError::Refused { address: self.address, code: answer.code }),
        }
    }
}

async fn in_time<T>(
    address: &str,
    connecting: impl Future<Output = Result<T, SendError>>,
) -> Result<T, SendError> {
    let connected = timeout(ANSWER_WAIT, connecting).await;
    connected.unwrap_or_else(|_| Err(SendError::NoAnswer { address: address.to_owned() }))
}

async fn tcp(address: &str) -> Result<TcpStream, SendError> {
    let connected = TcpStream::connect(address).await;
    connected.map_err(|why| SendError::Connection { address: address.to_owned(), why })
}

/// MSA-1, where the message answers `control_id`. Nothing else in it is needed, so nothing else may keep it from being
/// read: not its text in Chinese under a character set that it does not name.
fn answer_to(bytes: &[u8], control_id: &str, charset: Charset) -> Option<String> {
    let message = Message::parse_lossily(bytes, charset).ok()?;
    let msa = message.first("MSA")?;
    (msa.field(2).text() == control_id).then(|| msa.field(1).text().into_owned())
}
