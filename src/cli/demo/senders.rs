//! A hospital's side of the demonstration: HL7 over MLLP, documents over HTTP.

use std::net::SocketAddr;

use anyhow::Context;
use uuid::Uuid;

use crate::desk::problem::Problem;
use crate::desk::table::{self, Style};
use crate::intake::hl7::{Header, Message, Reading};
use crate::intake::mllp::client::Sender;
use crate::settlement::bill::Bill;
use crate::settlement::outcome::Noted;

const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(20);

pub(super) struct Senders {
    http: SocketAddr,
    agent: ureq::Agent,
    mllp: Sender,
}

impl Senders {
    pub(super) async fn connect(http: SocketAddr, mllp: SocketAddr) -> anyhow::Result<Self> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_WAIT))
            .build()
            .into();
        Ok(Self { http, agent, mllp: Sender::connect(&mllp.to_string()).await? })
    }

    /// Sends one message through its port, a document under its hospital's token.
    pub(super) async fn send(
        &mut self,
        token: &'static str,
        name: &str,
        bytes: &[u8],
    ) -> anyhow::Result<Reply> {
        if name.ends_with(".hl7") {
            return self.send_hl7(name, bytes).await;
        }
        let kind = if name.ends_with(".json") { "application/json" } else { "application/xml" };
        let (status, body) = self.post(token, kind, bytes.to_vec()).await?;
        let said = format!("POST /v1/discharges ({name}) → {status}");
        Ok(Reply { said, came: Some(Came::read(&body)?) })
    }

    async fn send_hl7(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<Reply> {
        let control_id = Header::salvage(bytes, crate::intake::hl7::Charset::Utf8).control_id();
        let answer = self.mllp.send(bytes, &control_id).await?;
        let message = Message::parse(&answer.bytes, &Reading::default())?;
        let mut said = format!("MLLP ({name}) → {}", answer.code);
        for error in message.named("ERR") {
            said.push_str(&format!("\n  {}", error.field(8).text()));
        }
        // The bill's number comes back in the acknowledgement (ZBL-6); the bill itself is read by HTTP.
        let bill = message.first("ZBL").and_then(|bill| bill.field(6).text().parse::<Uuid>().ok());
        let came = match bill {
            Some(id) => Some(Came::read(&self.get(id).await?)?),
            None if answer.code == "AA" => None,
            None => Some(Came::NotTaken),
        };
        Ok(Reply { said, came })
    }

    async fn post(
        &self,
        token: &'static str,
        kind: &'static str,
        body: Vec<u8>,
    ) -> anyhow::Result<(u16, String)> {
        let (agent, url) = (self.agent.clone(), format!("http://{}/v1/discharges", self.http));
        blocking(move || {
            let request = agent
                .post(&url)
                .header("Content-Type", kind)
                .header("Authorization", format!("Bearer {token}"));
            let mut answer = request.send(&body[..])?;
            Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
        })
        .await
    }

    async fn get(&self, id: Uuid) -> anyhow::Result<String> {
        let (agent, url) = (self.agent.clone(), format!("http://{}/v1/settlements/{id}", self.http));
        blocking(move || Ok(agent.get(&url).call()?.body_mut().read_to_string()?)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("请求中断 | the request broke off")?
}

/// What came back over the port, and what it is about; nothing where a message was acknowledged and that is all.
pub(super) struct Reply {
    pub(super) said: String,
    pub(super) came: Option<Came>,
}

pub(super) enum Came {
    Bill(Box<Bill>),
    Noted(Box<Noted>),
    Problem(Box<Problem>),
    /// An acknowledgement with an error.
    NotTaken,
}

impl Came {
    fn read(body: &str) -> anyhow::Result<Self> {
        if let Ok(bill) = serde_json::from_str(body) {
            return Ok(Self::Bill(bill));
        }
        if let Ok(noted) = serde_json::from_str(body) {
            return Ok(Self::Noted(noted));
        }
        let problem = serde_json::from_str(body)
            .context("答复既不是结算单，也不是问题文档 | an answer that is neither a bill nor a problem")?;
        Ok(Self::Problem(problem))
    }

    /// A bill as a table, a problem as its sentences.
    pub(super) fn shown(&self, style: Style) -> String {
        match self {
            Self::Bill(bill) => table::bill(bill, style),
            Self::Noted(noted) => table::noted(noted, style),
            Self::Problem(problem) => table::problem(problem, style),
            Self::NotTaken => String::new(),
        }
    }
}
