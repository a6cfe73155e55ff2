//! A stay that was to be settled and cannot be priced as it is, found after its message was acknowledged: its charges
//! went quiet, or outside payers had to be asked. Nobody waits for an answer any more, so what stands in its way is
//! kept, told to the hospital and shown to whoever looks for what waits.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yizhan_contract::Text;

use super::decide::{Decided, Decision, Undecided, Verdict};
use super::message::Mode;
use super::outcome::Outcome;
use super::record::{Phase, StayRecord};
use super::refusals::LinePlaces;
use crate::refusal::Refusal;
use crate::store::PersonFacts;

/// A quiet stay that could not be priced is tried again after this long.
const QUIET_RETRY_S: i64 = 3600;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpriced {
    /// When it could not be priced for the first time.
    pub since: Timestamp,
    /// Everything that is wrong, as it was found last.
    pub refusals: Vec<Refusal>,
    /// The outbox entry that tells the hospital of these refusals.
    pub told_by: Uuid,
}

impl Unpriced {
    /// Who has to act.
    pub fn owner(&self) -> Text {
        Text::new("医院收费处", "the hospital's billing desk")
    }

    /// What is the matter: the first refusal, and how many there are.
    pub fn sentence(&self) -> Text {
        let first =
            self.refusals.first().map(said).unwrap_or_else(|| Text::new("未说明原因", "no reason was given"));
        let count = self.refusals.len();
        let (more_zh, more_en) = match count {
            0 | 1 => (String::new(), String::new()),
            _ => (format!("（共 {count} 项）"), format!(" (1 of {count})")),
        };
        Text::new(
            format!("费用已收齐但无法结算{more_zh}：{}", first.zh),
            format!("the charges are in and the stay cannot be settled{more_en}: {}", first.en),
        )
    }

    pub fn next_step(&self) -> Text {
        Text::new(
            "未发生资金变动；请医院发送更正后的消息，收到后立即重新计算；若是政策、名册或目录已更正，执行 yizhan attention retry",
            "no money moved; the hospital sends the corrected message, and the stay is priced again at once; where policy, \
             roster or catalogue were corrected, run yizhan attention retry",
        )
    }
}

impl Decision {
    pub(super) fn charges_quiet(
        &self,
        record: StayRecord,
        mode: Mode,
        now: Timestamp,
        person: &PersonFacts,
    ) -> Decided {
        // A message came between the timer and this step: it decided what is waited for. What could not be priced is
        // taken up when it is to be tried again, by time or by order.
        let is_quiet = record.quiet_until.is_some_and(|until| until <= now) || record.unpriced.is_some();
        if record.phase != Phase::AwaitingCharges || !is_quiet {
            return self.note(record, 0, person);
        }
        Ok(match self.price_quiet(&record, mode, person)? {
            Ok(priced) => priced,
            Err(refusals) => {
                let kept = self.unpriced(record, refusals.clone(), 0, person)?;
                Verdict { outcome: refusals.into(), ..kept }
            }
        })
    }

    /// A message has come that may put it right; it is kept either way.
    pub(super) fn price_again(
        &self,
        record: StayRecord,
        mode: Mode,
        repeated: usize,
        person: &PersonFacts,
    ) -> Decided {
        match self.price_quiet(&record, mode, person)? {
            Ok(priced) => Ok(priced),
            Err(refusals) => self.unpriced(record, refusals, repeated, person),
        }
    }

    /// Prices a stay whose charges are quiet, or says what is in the way; places are those of the stay, for no
    /// message is answered.
    fn price_quiet(
        &self,
        record: &StayRecord,
        mode: Mode,
        person: &PersonFacts,
    ) -> Result<Result<Verdict, Vec<Refusal>>, Undecided> {
        let verdict = self.price(record.clone(), mode, person, &LinePlaces::none())?;
        Ok(match verdict.outcome {
            Outcome::Refused(refused) => Err(refused.refusals),
            _ => Ok(verdict),
        })
    }

    /// Nothing asks for the stay any more: what is in its way is kept for its hospital to act upon, which is told
    /// once of it. What went quiet is tried again by the timer, because a policy or a roster may have come; what a
    /// hospital sent to be settled, and reads now that it was not, is settled when it asks again.
    pub(super) fn unpriced(
        &self,
        mut record: StayRecord,
        refusals: Vec<Refusal>,
        repeated: usize,
        person: &PersonFacts,
    ) -> Decided {
        record.phase = Phase::AwaitingCharges;
        let retry = self.at.checked_add(SignedDuration::from_secs(QUIET_RETRY_S)).ok();
        record.quiet_until = record.quiet_until.and(retry);
        let before = record.unpriced.take();
        let since = before.as_ref().map_or(self.at, |before| before.since);
        let told = before.filter(|before| before.refusals == refusals).map(|before| before.told_by);
        let told_by = told.unwrap_or(self.new_outbox_id);
        let telling = told.is_none().then(|| self.telling_unpriced(&record)).flatten();
        record.unpriced = Some(Unpriced { since, refusals, told_by });
        let mut verdict = self.note(record, repeated, person)?;
        verdict.changes.outbox.extend(telling);
        Ok(verdict)
    }
}

/// One refusal in a sentence: what it is, where, and what exactly.
pub fn said(refusal: &Refusal) -> Text {
    let title = refusal.code.title();
    let (zh, en) = match &refusal.place {
        Some(place) => (format!("（{place}）"), format!(" at {place}")),
        None => (String::new(), String::new()),
    };
    Text::new(
        format!("{}{zh}：{}", title.zh, refusal.detail.zh),
        format!("{}{en}: {}", title.en, refusal.detail.en),
    )
}
