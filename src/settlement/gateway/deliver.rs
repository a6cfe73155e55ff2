//! Asking payers that were left out when a stay was settled, and sending what they grant.

use jiff::SignedDuration;
use yizhan_contract::instant::later;
use yizhan_contract::{PayerCode, Text};

use super::pursue::{Drive, Seen, Stop, Went};
use super::quote::Unanswered;
use crate::settlement::carried::Carry;
use crate::settlement::delivery::{self, Next};
use crate::settlement::given::{Answer, Given};
use crate::settlement::payers::Adapter;
use crate::settlement::refusals;
use crate::settlement::saga::Call;
use crate::telemetry;

/// Pause before a payer that is shown to a person is asked again.
const OVERDUE_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Drive<'_> {
    /// The next payer that was left out: asked for its quote, and its part made ready to be sent.
    pub(super) async fn deliver(&mut self, seen: &Seen) -> Result<Went, Stop> {
        let Some(owner) = &seen.facts.person else { return Ok(Went::On) };
        let policies = self.gateway.policies();
        let carry = match delivery::next(&seen.record, owner, policies, &seen.payers) {
            None => return Ok(Went::On),
            Some(Next::Stuck(why)) => self.delivery_postponed(seen, why, true, None),
            Some(Next::Nothing(payer)) => {
                let given = Given::from([(payer, Answer::deferred(None))]);
                self.delivering(given, None).await?
            }
            Some(Next::Ask(adapter, to_ask)) => {
                let cover = self.gateway.cover(&seen.record, &to_ask, adapter);
                match self.put(seen, &to_ask, adapter, cover).await {
                    Ok(given) => self.answered(seen, adapter, given).await?,
                    Err(why) => {
                        let text = unanswered(&to_ask.name, &why);
                        self.delivery_postponed(seen, text, false, why.retry_after())
                    }
                }
            }
        };
        let is_to_be_sent = matches!(carry, Carry::Delivering { call: Some(_), .. });
        Ok(match self.carry(seen, carry).await? {
            None => Went::On,
            Some(_) if is_to_be_sent => {
                self.has_intended = true;
                Went::On
            }
            Some(outcome) => Went::Ended(outcome),
        })
    }

    async fn answered(&mut self, seen: &Seen, adapter: &Adapter, given: Given) -> Result<Carry, Stop> {
        let Some(owner) = &seen.facts.person else { return self.delivering(given, None).await };
        let Some(mut legs) = delivery::amounts(&seen.record, owner, self.gateway.policies(), &given) else {
            telemetry::payer_refuses(&adapter.name, given.keys().next(), "above_limit");
            let refused = |payer: PayerCode| (payer, Answer::refused(None).instead_of(cannot_be()));
            return self.delivering(given.into_keys().map(refused).collect(), None).await;
        };
        let is_quoted = |payer: &PayerCode| given.get(payer).is_some_and(Answer::is_quoted);
        let commits_zero = adapter.manifest().commits_zero;
        legs.retain(|(payer, amount)| is_quoted(payer) && (commits_zero || amount.is_positive()));
        if legs.is_empty() {
            return self.delivering(given, None).await;
        }
        match self.call(adapter, legs, 0, &given) {
            Ok(mut call) => {
                // No bill is made before the payer has committed: what could not be used is told with that.
                let unsaid = given.values().filter_map(|answer| answer.cover_unsaid.as_ref());
                call.unusable.extend(unsaid.map(Text::line));
                self.delivering(given, Some(Box::new(call))).await
            }
            Err((name, why)) => {
                telemetry::operation_not_prepared(&name);
                Ok(self.delivery_postponed(seen, refusals::cannot_prepare(&name, &why), true, None))
            }
        }
    }

    async fn delivering(&mut self, given: Given, call: Option<Box<Call>>) -> Result<Carry, Stop> {
        self.renew().await?;
        Ok(Carry::Delivering { given, call, hold: self.hold_until(self.until, true) })
    }

    fn delivery_postponed(
        &self,
        seen: &Seen,
        waits_for: Text,
        is_for_a_person: bool,
        retry_after: Option<SignedDuration>,
    ) -> Carry {
        let now = self.gateway.runtime().now();
        let again = match seen.record.deferred() {
            Some(deferred) if deferred.is_overdue_at(now) => later(now, OVERDUE_PAUSE),
            deferred => self.pause(deferred.map_or(0, |deferred| deferred.tries), retry_after),
        };
        Carry::DeliveryPostponed { waits_for, is_for_a_person, hold: self.hold_until(again, false) }
    }
}

fn unanswered(payer: &Text, why: &Unanswered) -> Text {
    match why {
        Unanswered::NotReady(what) => refusals::payer_not_ready(payer, what),
        Unanswered::Unavailable(why) => refusals::payer_unavailable(payer, why),
    }
    .detail
}

fn cannot_be() -> Text {
    Text::new(
        "其金额超过上限，或所述后续支付方已付的金额无法成立",
        "its amount is more than it may pay, or what it says that payers behind it have paid cannot be true",
    )
}
