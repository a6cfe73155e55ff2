//! Stays that a simulated payer was told of, where it must be before it can quote. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{Ask, Memo, Unavailable, VisitEvent, VisitEventKind, Visited};

/// One stay that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visit {
    /// The payer's own number of the stay, which is what it wants kept.
    number: u64,
    admitted: Date,
    is_charged: bool,
    discharged: Option<Date>,
}

/// A stay as it stands from now on; absent: called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    stay: Arc<str>,
    visit: Option<Visit>,
}

#[derive(Debug, Default)]
pub(super) struct Visits {
    standing: HashMap<Arc<str>, Visit>,
    /// Numbers given.
    begun: u64,
}

impl Visit {
    fn memo(&self) -> Memo {
        format!("V{}", self.number).into_bytes().into()
    }
}

impl Visits {
    /// What an event changes, if anything, and what is answered. Heard again, it changes nothing.
    pub(super) fn hear(&self, event: &VisitEvent) -> (Option<Heard>, Visited) {
        let known = self.standing.get(&event.stay);
        let visit = match (event.kind, known) {
            (VisitEventKind::Cancelled, _) => None,
            (VisitEventKind::Admitted, None) => Some(Visit {
                number: self.begun + 1,
                admitted: event.admitted,
                is_charged: false,
                discharged: None,
            }),
            (_, None) => {
                let why = "未收到入院通知 | was not told of the admission".to_owned();
                return (None, Visited::Unavailable(Unavailable { why, retry_after: None }));
            }
            (VisitEventKind::Admitted, Some(known)) => {
                Some(Visit { admitted: event.admitted, ..known.clone() })
            }
            (VisitEventKind::Charged, Some(known)) => Some(Visit { is_charged: true, ..known.clone() }),
            (VisitEventKind::Discharged, Some(known)) => {
                Some(Visit { discharged: event.discharged, ..known.clone() })
            }
        };
        let memo = visit.as_ref().map(Visit::memo).unwrap_or_default();
        let is_new = visit.as_ref() != known;
        let heard = is_new.then(|| Heard { stay: Arc::clone(&event.stay), visit });
        (heard, Visited::Noted { memo })
    }

    /// What has to be told before a quote can be given, in both languages.
    pub(super) fn lacking(&self, ask: &Ask) -> Option<&'static str> {
        let claim = &ask.claim;
        match self.standing.get(&ask.stay) {
            None => Some("入院通知 | to be told of the admission"),
            Some(visit) if visit.admitted != claim.admitted => {
                Some("与出院结算相同的入院日期 | to be told of the admission of this claim")
            }
            Some(visit) if claim.buckets.total.is_positive() && !visit.is_charged => {
                Some("费用通知 | to be told of the charges")
            }
            Some(visit) if visit.discharged != Some(claim.discharged) => {
                Some("出院通知 | to be told of the discharge of this claim")
            }
            Some(visit) if visit.memo() != ask.memo => {
                Some("上次应答的 memo | the memo of its last answer about the stay")
            }
            Some(_) => None,
        }
    }

    pub(super) fn apply(&mut self, heard: &Heard) {
        match &heard.visit {
            Some(visit) => {
                self.begun = self.begun.max(visit.number);
                self.standing.insert(Arc::clone(&heard.stay), visit.clone());
            }
            None => drop(self.standing.remove(&heard.stay)),
        }
    }
}
