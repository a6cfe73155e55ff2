//! One hospital's system, waiting for each answer before it sends again: documents over HTTP, HL7 over MLLP,
//! on connections that are kept.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsConnector;
use ureq::tls::TlsConfig;
use uuid::Uuid;
use yizhan_contract::{Money, Text};

use super::{Outgoing, Port, read};
use crate::cli::Exit;
use crate::intake::mllp::client::{Acknowledged, SendError, Sender};
use crate::intake::profile::Listener;
use crate::system;
use crate::tls::{ClientTls, TlsError};

/// An answer that takes longer is none.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// Where a gateway takes messages in.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Doors {
    /// `http://127.0.0.1:8080`
    pub(in crate::cli) http: String,
    pub(in crate::cli) mllp: Listener,
    /// Absent where neither is spoken to over TLS.
    pub(in crate::cli) tls: Option<Arc<ClientTls>>,
}

impl Doors {
    /// In plain text; `mllp` is `host:port`.
    pub(in crate::cli) fn plain(http: String, mllp: String) -> Self {
        Self { http, mllp: Listener { address: mllp, is_secure: false }, tls: None }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Answer {
    Settled {
        settlement: Uuid,
        patient_share: Money,
    },
    /// Kept, without a bill.
    Noted,
    /// Anything but what the message asked for, in the gateway's words, and how a command ends for it.
    Refused {
        why: String,
        exit: Exit,
    },
    /// Nothing of it was kept, because the gateway's store was busy or out of reach: the same message may come again.
    PutOff(String),
    /// No answer; the message may have arrived all the same.
    Lost(String),
}

pub(in crate::cli) struct Client {
    doors: Doors,
    agent: ureq::Agent,
    runtime: tokio::runtime::Runtime,
    tls: Option<TlsConnector>,
    mllp: Option<Sender>,
}

impl Client {
    pub(in crate::cli) fn new(doors: &Doors) -> anyhow::Result<Self> {
        let tls = doors.tls.as_deref();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_WAIT))
            .tls_config(tls.map_or_else(TlsConfig::default, ClientTls::for_ureq));
        let connector = |tls: &ClientTls| Ok::<_, TlsError>(TlsConnector::from(Arc::new(tls.config()?)));
        Ok(Self {
            doors: doors.clone(),
            agent: config.build().into(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            tls: tls.map(connector).transpose()?,
            mllp: None,
        })
    }

    pub(in crate::cli) fn send(&mut self, message: &Outgoing, token: &str) -> Answer {
        match message.port {
            Port::Http { media_type } => self.post(message, media_type, token),
            Port::Mllp => match self.send_hl7(message) {
                Ok(acknowledged) => read::acknowledgement(&acknowledged, message.saying),
                Err(error) => {
                    // What comes next is not to be taken for the answer to this.
                    self.mllp = None;
                    Answer::Lost(error.to_string())
                }
            },
        }
    }

    fn post(&self, message: &Outgoing, media_type: &str, token: &str) -> Answer {
        let request = self
            .agent
            .post(format!("{}/v1/discharges", self.doors.http))
            .header("Content-Type", media_type)
            .header("Accept", "application/json")
            .header("Authorization", format!("Bearer {token}"));
        let answered = request.send(&message.bytes[..]).and_then(|mut answer| {
            let status = answer.status().as_u16();
            Ok((status, answer.body_mut().read_to_vec()?))
        });
        match answered {
            Ok((status, body)) => read::answer(status, &body, message.saying),
            Err(error) => {
                let Text { zh, en } = unanswered(&error);
                Answer::Lost(format!("{http} {zh} | {http} {en}", http = self.doors.http))
            }
        }
    }

    fn send_hl7(&mut self, message: &Outgoing) -> Result<Acknowledged, SendError> {
        self.runtime.block_on(async {
            let sender = match &mut self.mllp {
                Some(sender) => sender,
                unconnected => unconnected.insert(connect(&self.doors.mllp, self.tls.as_ref()).await?),
            };
            sender.send(&message.bytes, &message.id).await
        })
    }

    /// A bill as the gateway shows it to its hospital; absent where it knows none.
    pub(in crate::cli) fn bill(&self, settlement: Uuid, token: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let request = self
            .agent
            .get(format!("{}/v1/settlements/{settlement}", self.doors.http))
            .header("Accept", "application/json")
            .header("Authorization", format!("Bearer {token}"));
        let mut answer = request.call()?;
        let body = answer.body_mut().read_to_vec()?;
        Ok((answer.status().as_u16() == 200).then_some(body))
    }
}

async fn connect(to: &Listener, tls: Option<&TlsConnector>) -> Result<Sender, SendError> {
    match tls.filter(|_| to.is_secure) {
        Some(tls) => Sender::connect_securely(&to.address, tls).await,
        None => Sender::connect(&to.address).await,
    }
}

/// Said of the address.
fn unanswered(error: &ureq::Error) -> Text {
    match error {
        ureq::Error::Io(why) => system::refused(why),
        ureq::Error::Timeout(_) => {
            let wait_s = ANSWER_WAIT.as_secs();
            Text::new(format!("在 {wait_s} 秒内没有应答"), format!("did not answer within {wait_s} s"))
        }
        ureq::Error::HostNotFound => {
            Text::new("找不到该主机，请核对地址", "is no host that is known; check it")
        }
        other => Text::new(format!("无法使用：{other}"), format!("cannot be used: {other}")),
    }
}
