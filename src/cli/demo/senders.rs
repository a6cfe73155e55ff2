//! A hospital's side of the demonstration: HL7 over MLLP, documents over HTTP.

use std::net::SocketAddr;

use anyhow::Context;
use uuid::Uuid;

use crate::desk::table::{self, Style};
use crate::http::Recent;
use crate::intake::hl7::{Header, Message, Reading};
use crate::intake::mllp::client::Sender;
use crate::settlement::bill::Bill;

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

    /// Sends one message through its port, a document under its hospital's token; what a person should see
    /// of the answer.
    pub(super) async fn send(
        &mut self,
        token: &'static str,
        name: &str,
        bytes: &[u8],
        style: Style,
        recent: &Recent,
    ) -> anyhow::Result<String> {
        if name.ends_with(".hl7") {
            self.send_hl7(name, bytes, style, recent).await
        } else {
            let kind = if name.ends_with(".json") { "application/json" } else { "application/xml" };
            let (status, body) = self.post(token, kind, bytes.to_vec()).await?;
            Ok(format!("POST /v1/discharges ({name}) → {status}\n{}", shown_json(&body, style, recent)?))
        }
    }

    async fn send_hl7(
        &mut self,
        name: &str,
        bytes: &[u8],
        style: Style,
        recent: &Recent,
    ) -> anyhow::Result<String> {
        let control_id = Header::salvage(bytes, crate::intake::hl7::Charset::Utf8).control_id();
        let answer = self.mllp.send(bytes, &control_id).await?;
        let message = Message::parse(&answer.bytes, &Reading::default())?;
        let mut text = format!("MLLP ({name}) → {}", answer.code);
        for error in message.named("ERR") {
            text.push_str(&format!("\n  {}", error.field(8).text()));
        }
        // The bill's number comes back in the acknowledgement (ZBL-6); the bill itself is read by HTTP.
        let bill = message.first("ZBL").and_then(|bill| bill.field(6).text().parse::<Uuid>().ok());
        if let Some(id) = bill {
            let body = self.get(id).await?;
            text.push('\n');
            text.push_str(&shown_json(&body, style, recent)?);
        }
        Ok(text)
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

/// A bill as a table, a problem as its sentences.
fn shown_json(body: &str, style: Style, recent: &Recent) -> anyhow::Result<String> {
    if let Ok(bill) = serde_json::from_str::<Bill>(body) {
        recent.add(bill.settlement_id);
        return Ok(table::bill(&bill, style));
    }
    let problem: serde_json::Value =
        serde_json::from_str(body).context("答复不是 JSON | an answer that is no JSON")?;
    let word = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let next = &problem["next"];
    Ok(format!(
        "× {}\n  {}\n  {}\n  money: {}\n  {} | {}",
        word("title"),
        word("place"),
        word("detail"),
        word("money"),
        next["zh"].as_str().unwrap_or_default(),
        next["en"].as_str().unwrap_or_default()
    ))
}
