//! Hospitals that send, and ask whichever gateway is there until one answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use yizhan::refusal::{Code, Money};
use yizhan::runtime::Clock;
use yizhan::settlement::gateway::{Gateway, Handled};
use yizhan::settlement::outcome::Outcome;

use super::acknowledged::What;
use super::tasks::{Owner, Slot};
use super::workload::{Act, Sending, Workload};
use super::world::World;

/// How long a sender waits for its answer before it sends again.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// How often something that cannot be done now is tried once all is well, before its desk goes home.
pub(super) const TRIES_WHEN_CALM: u32 = 60;

impl World {
    pub(crate) fn begin(self: &Arc<Self>, work: Workload) {
        self.waiting.store(work.acts.len(), Ordering::Relaxed);
        for act in work.acts {
            let world = Arc::clone(self);
            self.sim.spawner.spawn(Owner::Outside, async move {
                match act {
                    Act::Send(sendings) => world.send_all(sendings).await,
                    Act::Agree { visit, asks, not_before_ms } => {
                        world.agree(visit, asks, not_before_ms).await;
                    }
                    Act::TakeBack { visit, not_before_ms } => world.take_back(visit, not_before_ms).await,
                }
                world.waiting.fetch_sub(1, Ordering::Relaxed);
            });
        }
        let is_operated = self.sim.dice(|dice| dice.percent(70));
        self.is_operated.store(is_operated, Ordering::Relaxed);
        if is_operated {
            self.sim.spawner.spawn(Owner::Outside, Arc::clone(self).operate());
        }
    }

    pub(super) async fn pause_ms(&self, pause: u64) {
        self.sim.clock.sleep_until(self.sim.now() + SignedDuration::from_millis(pause.cast_signed())).await;
    }

    pub(super) async fn not_before_ms(&self, ms: u64) {
        self.sim.clock.sleep_until(self.began + SignedDuration::from_millis(ms.cast_signed())).await;
    }

    /// Asks whichever gateway is there until one answers. Who waits is answered when payers are through with it.
    pub(super) async fn ask<F>(&self, waits: bool, ask: impl Fn(Gateway) -> F) -> Outcome
    where
        F: Future<Output = Handled> + Send + 'static,
    {
        loop {
            if let Some((nth, gateway)) = self.gateway() {
                let answer = Slot::new();
                let (asked, slot) = (ask(gateway.clone()), answer.clone());
                self.sim.spawner.spawn(Owner::Gateway(nth), async move {
                    let handled = asked.await;
                    if waits {
                        return slot.put(gateway.see_through(handled).await);
                    }
                    let Handled { outcome, pursuit, .. } = handled;
                    slot.put(outcome);
                    if let Some(pursuit) = pursuit {
                        gateway.pursue(pursuit).await;
                    }
                });
                tokio::select! {
                    biased;
                    outcome = answer => if !is_to_be_sent_again(&outcome) {
                        return outcome;
                    },
                    () = self.sim.clock.sleep_until(self.sim.now() + PATIENCE) => {}
                }
            }
            self.sim.within(3_000).await;
        }
    }

    async fn send_all(&self, sendings: Vec<Sending>) {
        for sending in sendings {
            self.not_before_ms(sending.at_ms).await;
            let mut tries_when_calm = 0;
            // A discharge is not taken back while it is being settled: the ward tries again.
            while is_being_settled(&self.send(&sending).await) && tries_when_calm < TRIES_WHEN_CALM {
                tries_when_calm += u32::from(self.sim.is_calm());
                self.pause_ms(4_000).await;
            }
        }
    }

    pub(super) async fn send(&self, sending: &Sending) -> Outcome {
        let outcome = self
            .ask(false, |gateway| {
                let Sending { message, raw, mode, .. } = sending.clone();
                async move { gateway.handle(message, raw, mode).await }
            })
            .await;
        let (visit, id) = (&sending.visit, &sending.message.message_id);
        self.sim.log(|| format!("{visit} {id} is answered {}", told(&outcome)));
        self.acknowledge(visit, What::Message(Box::new(sending.clone())), &outcome);
        outcome
    }
}

fn is_refused_as(outcome: &Outcome, is_so: impl Fn(&yizhan::refusal::Refusal) -> bool) -> bool {
    let Outcome::Refused(refused) = outcome else { return false };
    refused.refusals.iter().any(is_so)
}

/// Nothing was done, or nobody knows whether it was.
fn is_to_be_sent_again(outcome: &Outcome) -> bool {
    is_refused_as(outcome, |refusal| match refusal.code {
        Code::StoreUnavailable => true,
        Code::Internal => refusal.money == Money::BeingConfirmed,
        _ => false,
    })
}

fn is_being_settled(outcome: &Outcome) -> bool {
    is_refused_as(outcome, |refusal| refusal.code == Code::BeingSettled)
}

pub(super) fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Bill(bill) => format!("{} {}", bill.state.word(), bill.patient_share),
        Outcome::Noted(noted) => format!("noted {}", noted.state.word()),
        Outcome::Refused(refused) => {
            refused.refusals.iter().map(|refusal| refusal.code.slug()).collect::<Vec<_>>().join(" ")
        }
    }
}
