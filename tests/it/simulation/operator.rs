//! Whoever runs the gateway: works off what waits for a person, with what the payer says.

use std::sync::Arc;

use uuid::Uuid;
use yizhan::settlement::gateway::{Order, Waiting};
use yizhan::settlement::saga::attention::Cause;
use yizhan::settlement::saga::event::Resolution;

use super::world::World;

impl World {
    /// Once all is well.
    pub(super) async fn operate(self: Arc<Self>) {
        loop {
            self.pause_ms(60_000).await;
            let Some((_, gateway)) = self.gateway().filter(|_| self.sim.is_calm()) else { continue };
            let waiting = gateway.attention(100).await.unwrap_or_default();
            for waits in waiting {
                let Some((order, stay)) = self.order(&waits) else { continue };
                let ordered = gateway.order(stay, order.clone(), "operator".to_owned()).await;
                self.sim.log(|| format!("a person orders {order:?}: {ordered:?}"));
            }
        }
    }

    fn order(&self, waits: &Waiting) -> Option<(Order, Uuid)> {
        let look = self.look();
        let stay = look.stays.values().find(|stay| stay.record.stay_id == waits.stay_id)?;
        let id = waits.stay_id;
        // Nothing was sent: to be tried again is all there is to order.
        let Some(attention) = stay.record.saga.as_ref().and_then(|saga| saga.attention.as_ref()) else {
            return Some((Order::Retry { reason: "telephone".to_owned() }, id));
        };
        let reason = "telephone".to_owned();
        let operation = Arc::clone(&attention.operation);
        let line = self.lines.iter().find(|line| line.name == attention.adapter)?;
        let mut books = line.books.lock().unwrap();
        let entry = books.entries.get(&operation).cloned().unwrap_or_default();
        let as_ = match attention.cause {
            Cause::UndoRefused { .. } if self.sim.dice(|dice| dice.percent(50)) => {
                return Some((Order::Retry { reason: "telephone".to_owned() }, id));
            }
            // The payer agrees to pay back by other means.
            Cause::Irreversible => {
                books.entries.get_mut(&operation)?.is_reversed = true;
                Resolution::NotDone
            }
            Cause::UndoRefused { .. } => Resolution::NotDone,
            _ if entry.effects > 0 => {
                Resolution::DoneOtherwise { amounts: entry.amounts, reference: format!("R-{operation}") }
            }
            _ => Resolution::NotDone,
        };
        Some((Order::Resolve { operation, as_, reason }, id))
    }
}
