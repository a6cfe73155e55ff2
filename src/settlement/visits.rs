//! What adapters that see visits were told of a stay, and what they want kept of it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use yizhan_contract::payer::{Memo, VisitEvent, VisitEventKind};
use yizhan_contract::revealing;

/// By adapter.
pub type Visits = BTreeMap<Arc<str>, Visited>;

/// One adapter's view of one visit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Visited {
    /// Of each kind of event, a hash of what was told last.
    told: BTreeMap<VisitEventKind, String>,
    #[serde(default, skip_serializing_if = "Memo::is_empty")]
    memo: Memo,
}

impl Visited {
    /// Its own state of the visit, to be handed back with whatever it is told or asked next.
    pub fn memo(&self) -> Memo {
        self.memo.clone()
    }

    /// Whether it was told this, as it is now.
    pub fn knows(&self, event: &VisitEvent) -> bool {
        hash(event).is_some_and(|hash| self.told.get(&event.kind) == Some(&hash))
    }

    /// It has taken the event in. A visit that is called off is all it knows then; one that goes on is not called off.
    pub fn heard(&mut self, event: &VisitEvent, memo: Memo) {
        let is_called_off = event.kind == VisitEventKind::Cancelled;
        self.told.retain(|kind, _| (*kind == VisitEventKind::Cancelled) == is_called_off);
        self.told.extend(hash(event).map(|hash| (event.kind, hash)));
        self.memo = memo;
    }

    /// It may have taken the event in: to be told again, and called off if the admission is.
    pub fn may_have_heard(&mut self, event: &VisitEvent) {
        if event.kind != VisitEventKind::Cancelled {
            self.told.insert(event.kind, String::new());
        }
    }

    /// It believes, or may believe, that the patient is there.
    pub fn stands(&self) -> bool {
        self.told.keys().any(|kind| *kind != VisitEventKind::Cancelled)
    }
}

/// Absent where the event cannot be written; it is told again then, which changes nothing.
fn hash(event: &VisitEvent) -> Option<String> {
    let written = revealing(|| serde_json::to_vec(event)).ok()?;
    Some(BASE64_STANDARD.encode(Sha256::digest(&written)))
}
