//! What an answer makes of an operation. A payer has three answers; what is not an explicit yes or no stays unknown.

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;
use yizhan_contract::payer::{Performed, Status, is_all_given_back};
use yizhan_contract::{Money, PayerCode};

use super::event::{Expected, Held, Part, Resolution};
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
const NOT_ALL_GIVEN_BACK: &str =
    "所退回的金额与应退金额不符 | it gives back other amounts than were to be taken back";
const LEFT_BEHIND: &str = "此前的办理中断，未等到答复 | whoever had it before did not wait for its answer";

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
        let broken = match &answer {
            Performed::Committed { amounts, .. } => self.broken(part, amounts, true),
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

    /// Whoever sent it does not wait for its answer any more: it is asked about at once.
    pub(super) fn taken_over(&mut self, part: Part, at: Timestamp) -> bool {
        let since = self.in_doubt_since.unwrap_or(at);
        let Some(operation) = self.operation_mut(part) else { return false };
        let is_new = matches!(operation.state, Sent::Intended | Sent::Awaited);
        if is_new {
            operation.begin_unknown(since, LEFT_BEHIND.to_owned(), at);
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
        let broken = match &answer {
            Status::Done { amounts, .. } => self.broken(part, amounts, false),
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

    /// Why amounts cannot be those of this operation.
    fn broken(&self, part: Part, amounts: &[(PayerCode, Money)], is_first: bool) -> Option<&'static str> {
        match part {
            Part::Commit => self.broken_commit(amounts, is_first),
            Part::Undo => self.broken_undo(amounts),
        }
    }

    /// Of what the payer has confirmed it holds all of the money until it has given back all of it, and whoever believed
    /// less would call that taken back. Of a commit that may never have come there may be nothing to give.
    fn broken_undo(&self, amounts: &[(PayerCode, Money)]) -> Option<&'static str> {
        let asked = self.to_take_back();
        if self.is_committed() && amounts.is_empty() && asked.iter().any(|(_, amount)| amount.is_positive()) {
            return Some(NOTHING_BACK);
        }
        (!is_all_given_back(amounts, asked)).then_some(NOT_ALL_GIVEN_BACK)
    }

    /// What a firm payer says at once must be what it quoted; what it says when asked is a fact, whatever we think of it.
    fn broken_commit(&self, amounts: &[(PayerCode, Money)], is_first: bool) -> Option<&'static str> {
        let is_asked = |code: &PayerCode| self.legs.iter().any(|(leg, _)| leg == code);
        let is_complete = amounts.len() == self.legs.len()
            && self.legs.iter().all(|(leg, _)| amounts.iter().filter(|(code, _)| code == leg).count() == 1);
        if !is_complete || !amounts.iter().all(|(code, _)| is_asked(code)) {
            return Some(OTHER_PAYERS);
        }
        if amounts.iter().any(|(_, amount)| amount.is_negative()) {
            return Some(NEGATIVE);
        }
        let is_firm = self.terms.quotes_are_firm && is_first;
        (is_firm && !self.is_as_quoted(amounts)).then_some(NOT_AS_QUOTED)
    }

    /// What a person has to say instead, where what they say cannot be true of this operation: they are held to what the
    /// payer's own answer is held to. What differs has to be meant: of a firm quote, and of a reversal that took back a
    /// commit whose amounts nobody here has heard.
    pub(super) fn unlike(&self, part: Part, as_: &Resolution) -> Option<Expected> {
        let (amounts, is_meant) = match as_ {
            Resolution::Done { amounts, .. } => (amounts, false),
            Resolution::DoneOtherwise { amounts, .. } => (amounts, true),
            Resolution::NotDone => return None,
        };
        let (broken, to) = match (part, self.is_committed()) {
            (Part::Commit, _) if self.terms.quotes_are_firm => {
                (self.broken_commit(amounts, !is_meant), Held::Quoted)
            }
            (Part::Commit, _) => (self.broken_commit(amounts, false), Held::Confirmed),
            (Part::Undo, true) => (self.broken(part, amounts, false), Held::Paid),
            (Part::Undo, false) if is_meant => (self.broken_commit(amounts, false), Held::Asked),
            (Part::Undo, false) => (self.broken(part, amounts, false), Held::Asked),
        };
        broken.map(|_| Expected { amounts: self.to_take_back().to_vec(), to })
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
