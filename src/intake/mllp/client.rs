//! The sending side: one message out, its acknowledgement back, matched by MSA-2.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::{Event, FRAME_BYTES_MAX, Frames, Release, frame};
use yizhan_contract::Text;

use crate::intake::hl7::{Message, Reading};
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

/// A connection that is kept for several messages; each waits for its answer before the next.
pub struct Sender {
    address: String,
    stream: TcpStream,
    frames: Frames,
}

impl Sender {
    pub async fn connect(address: &str) -> Result<Self, SendError> {
        let connecting = timeout(ANSWER_WAIT, TcpStream::connect(address)).await;
        let stream = connecting
            .map_err(|_| SendError::NoAnswer { address: address.to_owned() })?
            .map_err(|why| SendError::Connection { address: address.to_owned(), why })?;
        let frames = Frames::new(FRAME_BYTES_MAX, Release::One);
        Ok(Self { address: address.to_owned(), stream, frames })
    }

    /// Sends one message and waits for the answer that names `control_id`; answers to others are passed over.
    pub async fn send(&mut self, message: &[u8], control_id: &str) -> Result<Acknowledged, SendError> {
        let address = self.address.clone();
        let answer = timeout(ANSWER_WAIT, self.exchange(message, control_id)).await;
        answer.map_err(|_| SendError::NoAnswer { address })?
    }

    async fn exchange(&mut self, message: &[u8], control_id: &str) -> Result<Acknowledged, SendError> {
        let broken = |why| SendError::Connection { address: self.address.clone(), why };
        self.stream.write_all(&frame(message)).await.map_err(broken)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            while let Some(event) = self.frames.next_event() {
                if let Event::Frame(bytes) = event
                    && let Some(code) = answer_to(&bytes, control_id)
                {
                    return Ok(Acknowledged { code, bytes });
                }
            }
            let read = self.stream.read(&mut buffer).await.map_err(broken)?;
            if read == 0 {
                return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.frames.push(&buffer[..read]);
        }
    }
}

/// MSA-1, where the message answers `control_id`.
fn answer_to(bytes: &[u8], control_id: &str) -> Option<String> {
    let message = Message::parse(bytes, &Reading::default()).ok()?;
    let msa = message.first("MSA")?;
    (msa.field(2).text() == control_id).then(|| msa.field(1).text().into_owned())
}

/// Sends one message on a connection of its own; anything but AA or CA is an error.
pub async fn send(address: &str, message: &[u8], control_id: &str) -> Result<(), SendError> {
    let answer = Sender::connect(address).await?.send(message, control_id).await?;
    match answer.code.as_str() {
        "AA" | "CA" => Ok(()),
        _ => Err(SendError::Refused { address: address.to_owned(), code: answer.code }),
    }
}
