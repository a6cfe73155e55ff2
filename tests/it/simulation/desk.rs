//! What clerks do: agree to quotes, and take settlements back.

use std::sync::Arc;

use uuid::Uuid;
use yizhan::settlement::bill::Bill;
use yizhan::settlement::outcome::Outcome;
use yizhan_contract::Money;

use super::acknowledged::What;
use super::senders::{TRIES_WHEN_CALM, told};
use super::workload::Sending;
use super::world::World;

/// How often a clerk looks whether the quote has come.
const QUOTE_TRIES: u32 = 12;
/// Where a settlement stands, and can be taken back.
const STANDS: [&str; 4] = ["settled", "delivering", "advanced", "borne"];

impl World {
    /// Waits until the store has a stay at one of these; so many tries, or not for ever once all is well.
    async fn comes_to(&self, visit: &str, states: &[&str], tries_max: Option<u32>) -> bool {
        let mut tries = 0;
        while !states.contains(&self.sim.stored(visit)) {
            tries += u32::from(tries_max.is_some() || self.sim.is_calm());
            if tries > tries_max.unwrap_or(TRIES_WHEN_CALM) {
                return false;
            }
            self.pause_ms(4_000).await;
        }
        true
    }

    fn bill_of(&self, visit: &Arc<str>) -> Option<Bill> {
        let mut look = self.look();
        look.stays.remove(visit)?.record.settlement.map(|settlement| settlement.bill)
    }

    /// Asks for a quote, waits for it, and agrees to it, or to the one that takes its place.
    pub(super) async fn agree(&self, visit: Arc<str>, asks: Vec<Sending>, not_before_ms: u64) {
        self.not_before_ms(not_before_ms).await;
        let (is_asked, rounds) = (!asks.is_empty(), asks.len().max(2));
        let mut asks = asks.into_iter();
        for _ in 0..rounds {
            if let Some(ask) = asks.next() {
                self.send(&ask).await;
            }
            // A quote that is not given does not come later: it is asked for again.
            let is_quoted = self.comes_to(&visit, &["quoted"], is_asked.then_some(QUOTE_TRIES)).await;
            let Some(bill) = self.bill_of(&visit).filter(|_| is_quoted) else { continue };
            self.sim.within(20_000).await;
            // The ward sends other charges while the patient is told the share.
            if self.sim.dice(|dice| dice.percent(30))
                && let Some(ask) = asks.next()
            {
                self.send(&ask).await;
            }
            if self.agree_to(&visit, &bill).await {
                return;
            }
        }
    }

    /// Whether it went through, as far as the desk sees.
    async fn agree_to(&self, visit: &Arc<str>, bill: &Bill) -> bool {
        let (settlement, share) = (bill.settlement_id, bill.patient_share);
        // The clerk has misread it.
        let is_misread = self.sim.dice(|dice| dice.percent(25)) && share.is_positive();
        let agreed = if is_misread { share - Money::from_fen(1) } else { share };
        match self.press(visit, settlement, agreed).await {
            Outcome::Refused(refused) => {
                let Some(quote) = refused.quote else { return false };
                let again = self.commit(visit, quote.settlement_id, quote.patient_share).await;
                !matches!(again, Outcome::Refused(_))
            }
            Outcome::Bill(_) | Outcome::Noted(_) => {
                // Somebody presses the button again.
                if self.sim.dice(|dice| dice.percent(40)) {
                    self.commit(visit, settlement, agreed).await;
                }
                true
            }
        }
    }

    /// Once, or twice where nothing seems to happen.
    async fn press(&self, visit: &Arc<str>, settlement: Uuid, agreed: Money) -> Outcome {
        let first = self.commit(visit, settlement, agreed);
        if !self.sim.dice(|dice| dice.percent(30)) {
            return first.await;
        }
        let again_in = self.sim.dice(|dice| *dice.one_of(&[0, 50, 500]));
        let second = async {
            self.pause_ms(again_in).await;
            self.commit(visit, settlement, agreed).await;
        };
        tokio::join!(first, second).0
    }

    async fn commit(&self, visit: &Arc<str>, settlement: Uuid, expected: Money) -> Outcome {
        self.agreed.lock().unwrap().entry(Arc::clone(visit)).or_default().push(expected);
        let outcome =
            self.ask(true, |gateway| async move { gateway.commit(settlement, expected).await }).await;
        self.handed_out(&outcome);
        self.sim.log(|| format!("agreed to {expected} of {visit}: {}", told(&outcome)));
        outcome
    }

    pub(super) async fn take_back(&self, visit: Arc<str>, not_before_ms: u64) {
        self.not_before_ms(not_before_ms).await;
        // Refused, taken back already, or waiting for a person: the desk goes home.
        if !self.comes_to(&visit, &STANDS, None).await {
            return;
        }
        let Some(bill) = self.bill_of(&visit) else { return };
        let waits = self.sim.dice(|dice| dice.percent(50));
        let outcome = self.reverse(bill.settlement_id, waits).await;
        self.sim.log(|| format!("the reversal of {visit} is answered {}", told(&outcome)));
        // Somebody presses the button again: while it is under way, or when it is done.
        if self.sim.dice(|dice| dice.percent(50)) {
            let again_in = self.sim.dice(|dice| *dice.one_of(&[0, 200, 20_000]));
            self.pause_ms(again_in).await;
            self.reverse(bill.settlement_id, false).await;
        }
        self.acknowledge(&visit, What::Reversal(bill.settlement_id), &outcome);
    }

    async fn reverse(&self, settlement: Uuid, waits: bool) -> Outcome {
        let (reason, operator) = ("费用有误", "desk 7");
        self.ask(waits, |gateway| async move {
            gateway.reverse(settlement, reason.to_owned(), operator.to_owned()).await
        })
        .await
    }
}
