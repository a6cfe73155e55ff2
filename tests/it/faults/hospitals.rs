//! Hospitals that send to gateways which may be gone: again and again under the same id, until somebody answers. What
//! was answered is remembered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;
use yizhan::intake::Profiles;
use yizhan::intake::mllp::client::Sender;
use yizhan::settlement::bill::{Bill, BillState};

use super::process::{Doors, Hurried};
use super::{PATIENCE, pass_ms};
use crate::gateway::{Sent, profiles};
use crate::http::client::{Ask, Reply};
use crate::simulation::dice::Dice;
use crate::simulation::workload::{Sending, discharge, late};

/// Two of them near their caps ([`crate::simulation::workload::limits`]).
pub(crate) const PEOPLE: [(&str, &str); 4] = [
    ("li", "371323196111033175"),
    ("zhou", "371323197405098155"),
    ("zhang", "371323195304121265"),
    ("chen", "371323195512226336"),
];
/// Of the sample profile of H37132301.
pub(crate) const TOKEN: &str = "demo";
/// A gateway that is gone without closing the connection.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// How often a discharge that is still being settled is cancelled before the hospital gives up.
const CANCELS_MAX: u32 = 20;

/// What gateways have answered.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) visits: Vec<Arc<str>>,
    /// Taken in.
    pub(crate) messages: Vec<Sending>,
    /// Visits whose settlement is taken back.
    pub(crate) reversals: Vec<Arc<str>>,
    pub(crate) bills: Vec<Bill>,
    /// Refused: nothing may have come of them.
    pub(crate) refused: u32,
    /// The hospital advances what optional payers have quoted firmly.
    pub(crate) advances: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Settled(Uuid),
    /// What becomes of it is told later.
    TakenIn,
    Refused,
}

pub(crate) struct Hospitals {
    doors: watch::Receiver<Vec<Doors>>,
    profiles: Profiles,
    is_closing: AtomicBool,
    pub(crate) told: Mutex<Told>,
}

impl Hospitals {
    pub(crate) fn new(doors: watch::Receiver<Vec<Doors>>) -> Arc<Self> {
        let (profiles, is_closing) = (profiles("", None), AtomicBool::new(false));
        Arc::new(Self { doors, profiles, is_closing, told: Mutex::default() })
    }

    /// No further stay is begun.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// One desk: stay after stay, by turns over HTTP and MLLP.
    pub(crate) async fn desk(self: Arc<Self>, nth: u64, seed: u64) {
        let mut dice = Dice::of(seed.wrapping_mul(31) ^ nth);
        for count in 0_u32.. {
            if self.is_closing.load(Ordering::Relaxed) {
                return;
            }
            let (who, _) = *dice.one_of(&PEOPLE);
            let visit = format!("{who}{nth}-{count}");
            self.told.lock().unwrap().visits.push(visit.as_str().into());
            if dice.percent(50) {
                self.stay_over_http(who, &visit, &mut dice).await;
            } else {
                self.stay_over_mllp(who, &visit, &mut dice).await;
            }
        }
    }

    async fn stay_over_http(&self, who: &str, visit: &str, dice: &mut Dice) {
        let sent = discharge(who, visit, format!("{visit}-m"), dice.between(3_000, 30_000));
        let answered = self.post("/v1/discharges", &sent.bytes().0, dice).await;
        if answered == Answered::Refused {
            return;
        }
        self.took(&sent);
        if dice.percent(30) {
            // Somebody presses the button again.
            self.post("/v1/discharges", &sent.bytes().0, dice).await;
        }
        if dice.percent(20) {
            let late = late(who, visit, format!("{visit}-late"));
            self.hl7(&late, dice).await;
        }
        let Answered::Settled(settlement) = answered else { return };
        if dice.percent(40) {
            let path = format!("/v1/settlements/{settlement}/reversal");
            let reason = r#"{"reason":"费用有误"}"#;
            if self.post(&path, reason.as_bytes(), dice).await != Answered::Refused {
                self.told.lock().unwrap().reversals.push(visit.into());
            }
        }
    }

    async fn stay_over_mllp(&self, who: &str, visit: &str, dice: &mut Dice) {
        let admitted = Some("2020-06-01".to_owned());
        let of = |kind: &str| Sent {
            kind: kind.to_owned(),
            id: format!("{visit}-{}", &kind[4..]),
            who: Some(who.to_owned()),
            visit: visit.to_owned(),
            admitted: admitted.clone(),
            ..Sent::default()
        };
        let amount = dice.between(3_000, 30_000);
        let lines = vec![format!("1 CG SUR09 {amount}.00"), format!("2 CG DRU05 {}.00", amount / 7 + 1)];
        let discharged = Some("2020-06-11".to_owned());
        let is_taken = self.hl7(&Sent { lines, ..of("DFT^P03") }, dice).await
            && self.hl7(&Sent { discharged, ..of("ADT^A03") }, dice).await;
        if !is_taken {
            self.told.lock().unwrap().refused += 1;
        }
        if !is_taken || !dice.percent(30) {
            return;
        }
        for _ in 0..CANCELS_MAX {
            if self.hl7(&of("ADT^A13"), dice).await {
                return self.told.lock().unwrap().reversals.push(visit.into());
            }
            pass_ms(100).await;
        }
    }

    fn took(&self, sent: &Sent) {
        let sending = Sending::of(sent, 0, &self.profiles, Hurried::today());
        self.told.lock().unwrap().messages.push(sending);
    }

    /// Any gateway that is there now.
    fn door(&self, dice: &mut Dice) -> Option<Doors> {
        let doors = self.doors.borrow();
        (!doors.is_empty()).then(|| *dice.one_of(&doors))
    }

    /// Sends until somebody answers: whether it was taken in.
    async fn hl7(&self, sent: &Sent, dice: &mut Dice) -> bool {
        let (bytes, _) = sent.bytes();
        let asking = async {
            loop {
                if let Some(doors) = self.door(dice)
                    && let Ok(mut sender) = Sender::connect(&doors.mllp.to_string()).await
                    && let Ok(answer) = sender.send(&bytes, &sent.id).await
                {
                    match answer.code.as_str() {
                        "AA" => return true,
                        "AE" if !is_in_doubt(&answer.bytes) => return false,
                        _ => {}
                    }
                }
                pass_ms(50).await;
            }
        };
        let is_taken =
            timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{} is not answered", sent.id));
        if is_taken {
            self.took(sent);
        }
        is_taken
    }

    /// Posts until somebody answers.
    async fn post(&self, path: &str, body: &[u8], dice: &mut Dice) -> Answered {
        let ask = Ask::post(path, body).token(TOKEN);
        let asking = async {
            loop {
                if let Some(doors) = self.door(dice)
                    && let Ok(Some(reply)) = timeout(ANSWER_WAIT, ask.try_send(doors.http)).await
                    && is_final(&reply)
                {
                    return reply;
                }
                pass_ms(50).await;
            }
        };
        let reply = timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} is not answered"));
        let mut told = self.told.lock().unwrap();
        if reply.status != 200 {
            told.refused += 1;
            return Answered::Refused;
        }
        // Without a bill: a payer that is needed cannot be asked now.
        let Ok(bill) = serde_json::from_slice::<Bill>(&reply.body) else { return Answered::TakenIn };
        let (id, state) = (bill.settlement_id, bill.state);
        told.bills.push(bill);
        if state == BillState::Settled { Answered::Settled(id) } else { Answered::TakenIn }
    }
}

/// Nothing to be sent again for: a bill, or a refusal that stays one.
fn is_final(reply: &Reply) -> bool {
    !matches!(reply.status, 202 | 408 | 429 | 500 | 503)
}

/// Nobody knows whether it was taken in; sent again, it is.
fn is_in_doubt(answer: &[u8]) -> bool {
    String::from_utf8_lossy(answer).contains("internal")
}
