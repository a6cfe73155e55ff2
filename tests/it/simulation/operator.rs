//! Whoever runs the gateway: works off what waits for a person, with what the payer says.

use std::sync::Arc;

use uuid::Uuid;
use yizhan::runtime::Clock;
use yizhan::settlement::gateway::{Gateway, Order, Waiting};
use yizhan::settlement::saga::attention::Cause;
use yizhan::settlement::saga::event::Resolution;

use super::senders::PATIENCE;
use super::tasks::{Owner, Slot};
use super::world::World;

impl World {
    /// Once all is well; what a hospital bears, its own desk looks at before.
    pub(super) async fn operate(self: Arc<Self>) {
        loop {
            let pause_s = if self.sim.is_calm() { 60 } else { self.sim.dice(|dice| dice.between(5, 60)) };
            self.pause_ms(pause_s * 1_000).await;
            let waiting =
                self.at_a_gateway(|gateway| async move { gateway.attention(100).await.unwrap_or_default() });
            for waits in waiting.await.unwrap_or_default() {
                let Some((order, stay)) = self.order(&waits) else { continue };
                let ordered = self.at_a_gateway(|gateway| {
                    let order = order.clone();
                    async move { gateway.order(stay, order, "operator".to_owned()).await }
                });
                let ordered = ordered.await;
                self.sim.log(|| format!("a person orders {order:?}: {ordered:?}"));
            }
        }
    }

    /// A command at a gateway, which may die over it or not come back in time.
    async fn at_a_gateway<T: Send + 'static, F>(&self, command: impl Fn(Gateway) -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (nth, gateway) = self.gateway()?;
        let answer = Slot::new();
        let (commanded, slot) = (command(gateway), answer.clone());
        self.sim.spawner.spawn(Owner::Gateway(nth), async move { slot.put(commanded.await) });
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = self.sim.clock.sleep_until(self.sim.now() + PATIENCE) => None,
        }
    }

    fn order(&self, waits: &Waiting) -> Option<(Order, Uuid)> {
        let look = self.look();
        let stay = look.stays.values().find(|stay| stay.record.stay_id == waits.stay_id)?;
        let (id, reason) = (waits.stay_id, "telephone".to_owned());
        if let Some(borne) = stay.record.borne().filter(|_| !stay.record.is_carried_out()) {
            let operation = Arc::clone(&borne.operation);
            return Some((Order::Resolve { operation, as_: Resolution::NotDone, reason }, id));
        }
        if !self.sim.is_calm() {
            return None;
        }
        // Nothing was sent: to be tried again is all there is to order.
        let Some(attention) = stay.record.saga.as_ref().and_then(|saga| saga.attention.as_ref()) else {
            return Some((Order::Retry { reason }, id));
        };
        let operation = Arc::clone(&attention.operation);
        let line = self.lines.iter().find(|line| line.name == attention.adapter)?;
        let mut books = line.books.lock().unwrap();
        let entry = books.entries.get(&operation).cloned().unwrap_or_default();
        let as_ = match attention.cause {
            Cause::UndoRefused { .. } if self.sim.dice(|dice| dice.percent(50)) => {
                return Some((Order::Retry { reason }, id));
            }
            // The payer agrees to pay back by other means.
            Cause::Irreversible => {
                books.entries.get_mut(&operation)?.is_reversed = true;
                Resolution::NotDone
            }
            Cause::UndoRefused { .. } => Resolution::NotDone,
            _ if entry.effects > 0 => {
                let amounts = books.gives_the_rest(&operation).unwrap_or(entry.amounts);
                Resolution::DoneOtherwise { amounts, reference: format!("R-{operation}") }
            }
            _ => Resolution::NotDone,
        };
        Some((Order::Resolve { operation, as_, reason }, id))
    }
}
