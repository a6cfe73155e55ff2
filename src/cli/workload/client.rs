//! One hospital's system, waiting for each answer before it sends again: documents over HTTP, HL7 over MLLP,
//! on connections that are kept.

use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;
use yizhan_contract::Money;

use super::{Outgoing, Port, Saying};
use crate::intake::hl7::{Message, Reading};
use crate::intake::mllp::client::{Acknowledged, SendError, Sender};

/// An answer that takes longer is none.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// Where a gateway takes messages in.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Doors {
    /// `http://127.0.0.1:8080`
    pub(in crate::cli) http: String,
    pub(in crate::cli) mllp: String,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Answer {
    Settled {
        settlement: Uuid,
        patient_share: Money,
    },
    /// Kept until the discharge.
    Noted,
    /// Anything but what the message asked for, in the gateway's words.
    Refused(String),
    /// No answer; the message may have arrived all the same.
    Lost(String),
}

pub(in crate::cli) struct Client {
    doors: Doors,
    agent: ureq::Agent,
    runtime: tokio::runtime::Runtime,
    mllp: Option<Sender>,
}

/// As much of a bill as has to be kept to account for it.
#[derive(Deserialize)]
struct BilledShare {
    settlement_id: Uuid,
    state: String,
    patient_share: Money,
}

impl Client {
    pub(in crate::cli) fn new(doors: &Doors) -> std::io::Result<Self> {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Ok(Self {
            doors: doors.clone(),
            agent: config.timeout_global(Some(ANSWER_WAIT)).build().into(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            mllp: None,
        })
    }

    pub(in crate::cli) fn send(&mut self, message: &Outgoing, token: &str) -> Answer {
        match message.port {
            Port::Http { media_type } => self.post(message, media_type, token),
            Port::Mllp => match self.send_hl7(message) {
                Ok(acknowledged) => read_acknowledgement(&acknowledged, message.saying),
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
            Ok((200, body)) => read_bill(&body),
            Ok((status, body)) => Answer::Refused(format!("{status} {}", String::from_utf8_lossy(&body))),
            Err(error) => Answer::Lost(error.to_string()),
        }
    }

    fn send_hl7(&mut self, message: &Outgoing) -> Result<Acknowledged, SendError> {
        self.runtime.block_on(async {
            let sender = match &mut self.mllp {
                Some(sender) => sender,
                unconnected => unconnected.insert(Sender::connect(&self.doors.mllp).await?),
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

fn read_bill(body: &[u8]) -> Answer {
    match serde_json::from_slice::<BilledShare>(body) {
        Ok(bill) if bill.state == "settled" => {
            Answer::Settled { settlement: bill.settlement_id, patient_share: bill.patient_share }
        }
        Ok(bill) => Answer::Refused(format!("the bill is {}", bill.state)),
        Err(why) => Answer::Refused(format!("200 without a bill: {why}")),
    }
}

fn read_acknowledgement(acknowledged: &Acknowledged, saying: Saying) -> Answer {
    let refused = || Answer::Refused(String::from_utf8_lossy(&acknowledged.bytes).replace('\r', " "));
    if acknowledged.code != "AA" {
        return refused();
    }
    match saying {
        Saying::Charges => Answer::Noted,
        Saying::Discharge => share_in_zbl(&acknowledged.bytes).unwrap_or_else(refused),
    }
}

/// The patient's segment of the bill in the acknowledgement: amount, state and the settlement's id.
fn share_in_zbl(bytes: &[u8]) -> Option<Answer> {
    let message = Message::parse(bytes, &Reading::default()).ok()?;
    let patient = message.named("ZBL").find(|segment| segment.field(2).text() == "patient")?;
    if patient.field(5).text() != "settled" {
        return None;
    }
    let settlement = patient.field(6).text().parse().ok()?;
    Some(Answer::Settled { settlement, patient_share: patient.field(4).text().parse().ok()? })
}
