//! What a gateway tells an adapter that sees visits of a stay, before it asks what it pays.

use serde_json::{Value, json};
use yizhan_contract::Quantity;
use yizhan_contract::payer::{KEPT_BYTES_MAX, Memo, Need, VisitEvent, VisitEventKind, Visited};
use yizhan_contract::stay::{CatalogueClass, Line};

use super::bench::{Bench, LINE, revealed};
use super::came::Came;
use super::data::TestPerson;
use super::verdict::{Failure, Stop, not_run};

/// A stay of this run, and what the adapter wants to have back with whatever it is told or asked of it next.
#[derive(Debug, Clone)]
pub(super) struct Stay {
    pub(super) id: String,
    pub(super) memo: Memo,
}

impl Stay {
    /// Nobody was told of it.
    pub(super) fn of(id: String) -> Self {
        Self { id, memo: Memo::default() }
    }

    /// A request that tells of it, without its head.
    pub(super) fn telling(&self, event: &VisitEvent) -> Value {
        let mut body = json!({"event": revealed(event)});
        if !self.memo.is_empty() {
            body["memo"] = revealed(&self.memo);
        }
        body
    }
}

/// What the adapter wants kept of the stay, or the trial has failed.
pub(super) fn noted(came: &Came) -> Result<Memo, Stop> {
    match came.answer()? {
        Visited::Noted { memo } if memo.0.len() <= KEPT_BYTES_MAX => Ok(memo),
        Visited::Noted { .. } => came.is_not("memo 不超过 16 KiB", "a memo of 16 KiB at most"),
        Visited::Unavailable(_) | Visited::NotSent(_) => came.is_not("answer 为 noted", "the answer noted"),
    }
}

impl Bench {
    /// A new stay, which an adapter that sees visits was told of.
    pub(super) async fn stay(&self, person: &TestPerson) -> Result<Stay, Stop> {
        let mut stay = Stay::of(self.id("stay"));
        self.tell_all(person, &mut stay).await?;
        Ok(stay)
    }

    /// One for trials that are about something else: where it is not noted, they show nothing.
    pub(super) async fn stay_to_ask_about(&self, person: &TestPerson) -> Result<Stay, Stop> {
        self.stay(person).await.or_else(|stop| match stop {
            Stop::Failed(Failure { came, .. }) => not_run(
                format!("住院通知未得到 noted（见 L1-11）：{}", came.zh),
                format!("a stay it was told of was not noted, see L1-11: {}", came.en),
            ),
            other => Err(other),
        })
    }

    /// Whatever a gateway tells before it asks, in order.
    pub(super) async fn tell_all(&self, person: &TestPerson, stay: &mut Stay) -> Result<(), Stop> {
        for event in self.events(person, &stay.id) {
            stay.memo = self.tell(&event, stay).await?;
        }
        Ok(())
    }

    pub(super) async fn tell(&self, event: &VisitEvent, stay: &Stay) -> Result<Memo, Stop> {
        noted(&self.caller.post("/v1/visit", &stay.telling(event)).await)
    }

    /// Admission, charges and discharge of a stay that is over; for an adapter that sees no visits, nothing.
    pub(super) fn events(&self, person: &TestPerson, stay: &str) -> Vec<VisitEvent> {
        if !self.manifest().sees_visits {
            return Vec::new();
        }
        let admitted = self.event(person, stay, VisitEventKind::Admitted);
        let needs_lines = self.manifest().needs.contains(&Need::Lines);
        let lines = if needs_lines { vec![self.line()] } else { Vec::new() };
        let charged = VisitEvent { kind: VisitEventKind::Charged, lines, ..admitted.clone() };
        let discharged = Some(self.discharged());
        let discharged = VisitEvent { kind: VisitEventKind::Discharged, discharged, ..charged.clone() };
        vec![admitted, charged, discharged]
    }

    /// An event without charges.
    pub(super) fn event(&self, person: &TestPerson, stay: &str, kind: VisitEventKind) -> VisitEvent {
        VisitEvent {
            kind,
            stay: stay.into(),
            hospital: self.data.hospital.as_str().into(),
            visit_number: self.visit_number(stay),
            person: self.person(person),
            admitted: self.admitted(),
            discharged: None,
            diagnoses: self.diagnoses(),
            lines: Vec::new(),
        }
    }

    fn line(&self) -> Line {
        let (id, code, name) = LINE;
        Line {
            id: id.to_owned(),
            date: self.admitted(),
            code: code.to_owned(),
            name: name.to_owned(),
            quantity: Quantity::default(),
            unit_price: None,
            amount: Some(self.data.total),
            class: Some(CatalogueClass::A),
            category: None,
            upfront_ratio: None,
            ceiling: None,
            credit_of: None,
            credit: false,
        }
    }
}
