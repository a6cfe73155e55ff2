//! What an answer makes of an operation. A payer has three answers; what is not an explicit yes or no stays unknown.

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::payer::{Performed, Status};
use yizhan_contract::{Money, PayerCode};

use super::event::{Expected, Part, Resolution};
use super::{Call, Operation, Sent};

/// Pause before the first question about an unknown outcome; each further one doubles it.
const ASK_PAUSE_FIRST: SignedDuration = SignedDuration::from_millis(500);
const ASK_PAUSE_MAX: SignedDuration = SignedDuration::from_secs(60);
/// A question that is not answered for so long was lost.
const ASK_LOST: SignedDuration = SignedDuration::from_secs(30);
/// Doublings after which the pause stays at its longest.
const DOUBLINGS_MAX: u32 = 7;

const PENDING: &str = "支付方仍在办理 | the payer is still working on it";
const NOT_FOUND: &str = "支付方查无此业务 | the payer does not know it";
const OTHER_PAYERS: &str = "所确认的支付方与所问不符 | it confirms other payers than were asked";
const NEGATIVE: &str = "所确认的金额为负 | it confirms a negative amount";
const NOTHING_BACK: &str = "称没有可退回的款项，而该笔支付已经其确认 | it says there was nothing to take back of what it has confirmed";
const NOT_AS_QUOTED: &str = "所确认的金额与其固定试算不符 | it confirms another amount than its firm quote";

/// What follows for a call whose outcome the payer says it never saw, once that may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Not old enough to be believed, or not missing at all.
    Wait,
    /// It may be believed now.
    Believed,
}

impl Operation {
    fn begin_unknown(&mut self, since: Timestamp, why: String, ask_at: Timestamp) {
        self.state = Sent::Unknown { since, asked: 0, ask_at, why };
    }

    /// Marks that it is asked about now; nobody asks twice at once.
    pub(super) fn is_to_be_asked(&mut self, at: Timestamp) -> bool {
        match &mut self.state {
            Sent::Unknown { ask_at, .. } if *ask_at <= at => {
                *ask_at = later(at, ASK_LOST);
                true
            }
            _ => false,
        }
    }

    /// After our own pause, or when the payer wishes, within the same bounds.
    fn ask_again(&mut self, at: Timestamp, because: &str, wished: Option<SignedDuration>) {
        if let Sent::Unknown { asked, ask_at, why, .. } = &mut self.state {
            let wished = wished.unwrap_or_default().min(ASK_PAUSE_MAX);
            *ask_at = later(at, pause_after(*asked).max(wished));
            *asked = asked.saturating_add(1);
            because.clone_into(why);
        }
    }
}

impl Call {
    /// An answer to a request that was sent.
    pub(super) fn performed(&mut self, part: Part, answer: Performed, at: Timestamp) {
        let broken = match (&answer, part) {
            (Performed::Committed { amounts, .. }, Part::Commit) => self.broken(amounts, true),
            (Performed::Committed { amounts, .. }, Part::Undo) => self.gives_nothing_back(amounts),
            _ => None,
        };
        let unusable = match (&answer, broken) {
            (_, Some(why)) => Some(why),
            (Performed::Unknown { why, .. }, None) => Some(why.as_str()),
            _ => None,
        };
        if let Some(why) = unusable {
            self.note_unusable(why);
        }
        let since = self.in_doubt_since.unwrap_or(at);
        let Some(operation) = self.operation_mut(part) else { return };
        // The call has ended: no request of it leaves any more.
        operation.leaves_before = operation.leaves_before.min(at);
        match (answer, broken) {
            (_, Some(why)) => operation.begin_unknown(since, why.to_owned(), later(at, pause_after(0))),
            (Performed::Committed { amounts, reference }, None) => {
                operation.state = Sent::Done { amounts, reference, at };
            }
            (Performed::Refused { code, message }, None) => operation.state = Sent::Refused { code, message },
            (Performed::Unknown { poll_after, why }, None) => {
                // A payer that wishes to be asked in ten years is asked all the same.
                let pause = poll_after.unwrap_or_else(|| pause_after(0));
                let pause = pause.clamp(SignedDuration::ZERO, ASK_PAUSE_MAX);
                operation.begin_unknown(since, why, later(at, pause));
            }
        }
        self.fence_if_undone();
        self.note_doubt();
    }

    /// Whoever sent it is gone, or was replaced: it is asked about at once.
    pub(super) fn taken_over(&mut self, part: Part, at: Timestamp) -> bool {
        let since = self.in_doubt_since.unwrap_or(at);
        let Some(operation) = self.operation_mut(part) else { return false };
        let is_new = matches!(operation.state, Sent::Intended | Sent::Awaited);
        if is_new {
            operation.begin_unknown(
                since,
                "此前由另一网关办理 | another gateway had it before".to_owned(),
                at,
            );
            self.note_doubt();
        }
        is_new
    }

    /// Doubt begins with the first outcome nobody knows and ends when the payer says what it did. A fence that settles
    /// one commit so that another can be sent does not end it: the payer has not committed yet.
    pub(super) fn note_doubt(&mut self) {
        match (&self.commit.state, self.undo.as_ref().map(|undo| &undo.state)) {
            (_, Some(Sent::Unknown { since, .. })) | (Sent::Unknown { since, .. }, None) => {
                self.in_doubt_since = Some(*since);
            }
            (Sent::Done { .. } | Sent::Refused { .. } | Sent::Dropped, _) => self.in_doubt_since = None,
            _ => {}
        }
    }

    /// An answer to a question about an operation whose outcome is unknown.
    /// `apart`: how much later than it was written down the request may have left.
    pub(super) fn asked(
        &mut self,
        part: Part,
        answer: Status,
        apart: SignedDuration,
        at: Timestamp,
    ) -> Missing {
        let broken = match (&answer, part) {
            (Status::Done { amounts, .. }, Part::Commit) => self.broken(amounts, false),
            (Status::Done { amounts, .. }, Part::Undo) => self.gives_nothing_back(amounts),
            _ => None,
        };
        let unusable = match (&answer, broken) {
            (_, Some(why)) => Some(why),
            (Status::Unavailable(why), None) => Some(why.why.as_str()),
            _ => None,
        };
        if let Some(why) = unusable {
            self.note_unusable(why);
        }
        let settles_after = i64::try_from(self.terms.not_found_settles_after_s).unwrap_or(i64::MAX);
        let Some(operation) = self.operation_mut(part) else { return Missing::Wait };
        match (answer, broken) {
            (_, Some(why)) => operation.ask_again(at, why, None),
            (Status::Done { amounts, reference }, None) => {
                operation.state = Sent::Done { amounts, reference, at };
            }
            (Status::Refused { code }, None) => {
                operation.state = Sent::Refused { message: code.clone(), code };
            }
            (Status::Pending, None) => operation.ask_again(at, PENDING, None),
            (Status::Unavailable(why), None) => operation.ask_again(at, &why.why, why.retry_after),
            (Status::NotFound, None) => {
                let settles_after = SignedDuration::from_secs(settles_after).saturating_add(apart);
                let believed_from = later(operation.leaves_before, settles_after);
                operation.ask_again(at, NOT_FOUND, None);
                if believed_from <= at {
                    return Missing::Believed;
                }
                // Asked again as soon as the answer may be believed, not a whole pause later.
                if let Sent::Unknown { ask_at, .. } = &mut operation.state {
                    *ask_at = (*ask_at).min(believed_from);
                }
            }
        }
        self.fence_if_undone();
        self.note_doubt();
        Missing::Wait
    }

    /// A reversal that reached the payer settles what nobody knew: the commit has no effect, now or later.
    fn fence_if_undone(&mut self) {
        let is_undone = self.undo.as_ref().is_some_and(|undo| matches!(undo.state, Sent::Done { .. }));
        if is_undone && !self.is_committed() {
            self.commit.state = Sent::Fenced;
        }
    }

    /// Why a confirmation cannot be one of this commit. What a firm payer says at once must be what it quoted;
    /// what it says when asked is a fact, whatever we think of it.
    fn broken(&self, amounts: &[(PayerCode, Money)], is_first_answer: bool) -> Option<&'static str> {
        let is_asked = |code: &PayerCode| self.legs.iter().any(|(leg, _)| leg == code);
        let is_complete = amounts.len() == self.legs.len()
            && self.legs.iter().all(|(leg, _)| amounts.iter().filter(|(code, _)| code == leg).count() == 1);
        if !is_complete || !amounts.iter().all(|(code, _)| is_asked(code)) {
            return Some(OTHER_PAYERS);
        }
        if amounts.iter().any(|(_, amount)| amount.is_negative()) {
            return Some(NEGATIVE);
        }
        let is_firm = self.terms.quotes_are_firm && is_first_answer;
        (is_firm && !self.is_as_quoted(amounts)).then_some(NOT_AS_QUOTED)
    }

    /// Nothing can be taken back of a commit that never came; of one that the payer has confirmed it holds money, and
    /// whether it still does is for a person to find out.
    fn gives_nothing_back(&self, amounts: &[(PayerCode, Money)]) -> Option<&'static str> {
        let holds_money =
            self.is_committed() && self.to_take_back().iter().any(|(_, amount)| amount.is_positive());
        (holds_money && amounts.is_empty()).then_some(NOTHING_BACK)
    }

    /// What a person has to say instead, where what they say cannot be true of this operation: they are held to what the
    /// payer's own answer is held to. A reversal takes back what was committed, or what was asked for.
    pub(super) fn unlike(&self, part: Part, as_: &Resolution) -> Option<Expected> {
        let (amounts, is_meant) = match as_ {
            Resolution::Done { amounts, .. } => (amounts, false),
            Resolution::DoneOtherwise { amounts, .. } => (amounts, true),
            Resolution::NotDone => return None,
        };
        let asked = self.to_take_back();
        let (is_believed, is_exact) = match (part, self.is_committed()) {
            (Part::Commit, _) => (self.broken(amounts, !is_meant).is_none(), self.terms.quotes_are_firm),
            (Part::Undo, true) => {
                (amounts.len() == asked.len() && asked.iter().all(|leg| amounts.contains(leg)), true)
            }
            (Part::Undo, false) => (self.broken(amounts, false).is_none(), false),
        };
        (!is_believed).then(|| Expected { amounts: asked.to_vec(), is_exact })
    }

    /// What a reversal gives back: what was committed, where that is known.
    pub fn to_take_back(&self) -> &[(PayerCode, Money)] {
        match &self.commit.state {
            Sent::Done { amounts, .. } => amounts,
            _ => &self.legs,
        }
    }

    /// It committed other amounts than were asked for.
    pub fn has_moved(&self) -> bool {
        matches!(&self.commit.state, Sent::Done { amounts, .. } if !self.is_as_quoted(amounts))
    }

    /// Whether each payer's amount is the quoted one, in whatever order.
    pub(super) fn is_as_quoted(&self, amounts: &[(PayerCode, Money)]) -> bool {
        self.legs.iter().all(|leg| amounts.contains(leg))
    }
}

fn pause_after(asked: u32) -> SignedDuration {
    let doubled = ASK_PAUSE_FIRST.saturating_mul(1 << asked.min(DOUBLINGS_MAX));
    doubled.min(ASK_PAUSE_MAX)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
