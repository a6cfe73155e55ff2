//! What happened to a saga, kept for whoever has to look: its beginning and what came last, in both languages.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use yizhan_contract::payer::{Performed, Status};
use yizhan_contract::{Money, PayerCode, Text};

use super::event::Resolution;
use crate::settlement::findings::refused;

/// Entries kept of the beginning, and of what came last; what lies between is counted.
pub const FIRST_ENTRIES_MAX: usize = 50;
pub const LAST_ENTRIES_MAX: usize = 50;
/// Of each language of one entry.
pub const ENTRY_CHARS_MAX: usize = 1_000;

/// One line of the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub operation: Option<Arc<str>>,
    /// Both languages in one line; English alone where it was written before that.
    pub what: String,
    /// How often in a row the same was seen of this operation, and when last.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Entry {
    fn new(at: Timestamp, operation: Option<Arc<str>>, what: String) -> Self {
        Self { at, operation, what, times: 1, until: None }
    }

    /// Once more, after the first time.
    fn again(&mut self, times: u32, at: Timestamp) {
        self.times = self.times.saturating_add(times);
        self.until = Some(at);
    }

    pub fn text(&self) -> Text {
        Text::of_line(&self.what)
    }
}

/// Writes down what happened. A payer that is asked again and again and says the same is one entry, and so is a saga
/// that goes from one gateway to the next meanwhile.
pub fn note(log: &mut Vec<Entry>, at: Timestamp, operation: Option<&Arc<str>>, what: &Text) {
    let what = Text::new(short(&what.zh), short(&what.en)).line();
    let latest = log.iter_mut().rev().find(|entry| entry.operation.as_ref() == operation);
    if let Some(same) = latest.filter(|entry| entry.what == what) {
        return same.again(1, at);
    }
    if log.len() >= FIRST_ENTRIES_MAX + LAST_ENTRIES_MAX {
        leave_out(log);
    }
    log.push(Entry::new(at, operation.cloned(), what));
}

/// The oldest entry of the last ones goes into the gap.
fn leave_out(log: &mut Vec<Entry>) {
    let gap = left_out().line();
    if log[FIRST_ENTRIES_MAX].what != gap {
        log[FIRST_ENTRIES_MAX] = Entry::new(log[FIRST_ENTRIES_MAX].at, None, gap);
    }
    let gone = log.remove(FIRST_ENTRIES_MAX + 1);
    log[FIRST_ENTRIES_MAX].again(1, gone.until.unwrap_or(gone.at));
}

fn short(text: &str) -> String {
    text.chars().take(ENTRY_CHARS_MAX).collect()
}

fn left_out() -> Text {
    Text::new("此处略去的条目", "entries left out here")
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference to the field")]
fn is_once(times: &u32) -> bool {
    *times == 1
}

/// What a payer says to a request.
pub(super) fn answered(answer: &Performed) -> Text {
    let said = match answer {
        Performed::Committed { amounts, reference } => done(amounts, reference),
        Performed::Refused { code, message } => refuses(code, message),
        Performed::Unknown { why, .. } => {
            let why = Text::of_line(why);
            Text::new(format!("结果未知（{}）", why.zh), format!("nobody knows ({})", why.en))
        }
    };
    Text::new(format!("答复：{}", said.zh), format!("answered: {}", said.en))
}

/// What it says when it is asked.
pub(super) fn said(answer: &Status) -> Text {
    let said = match answer {
        Status::Done { amounts, reference } => done(amounts, reference),
        Status::Refused { code } => refuses(code, code),
        Status::NotFound => Text::new("查无此业务", "it does not know the operation"),
        Status::Pending => Text::new("仍在办理", "it is still working on it"),
        Status::Unavailable(why) => {
            let why = Text::of_line(&why.why);
            Text::new(format!("暂时无法应答（{}）", why.zh), format!("it cannot be asked ({})", why.en))
        }
    };
    Text::new(format!("查询答复：{}", said.zh), format!("asked about: {}", said.en))
}

/// An answer that changes nothing any more.
pub(super) fn too_late(said: &Text) -> Text {
    Text::new(format!("已不作数，{}", said.zh), format!("too late, {}", said.en))
}

fn done(amounts: &[(PayerCode, Money)], reference: &str) -> Text {
    let amounts: Vec<String> = amounts.iter().map(|(payer, amount)| format!("{payer} {amount}")).collect();
    let amounts = amounts.join(", ");
    Text::new(
        format!("已办理 {amounts}，凭证号 {reference}"),
        format!("done, {amounts}, reference {reference}"),
    )
}

fn refuses(code: &str, message: &str) -> Text {
    let said = refused(code, message);
    Text::new(format!("拒绝（{}）", said.zh), format!("refused ({})", said.en))
}

/// A person wants it to be tried again now.
pub fn retry_ordered(operator: &str, reason: &str) -> Text {
    Text::new(
        format!("{operator} 要求立即重试，事由：{reason}"),
        format!("{operator} orders another try: {reason}"),
    )
}

/// A person knows what became of it.
pub fn resolved(as_: &Resolution, operator: &str, reason: &str) -> Text {
    let said = match as_ {
        Resolution::Done { amounts, reference } | Resolution::DoneOtherwise { amounts, reference } => {
            done(amounts, reference)
        }
        Resolution::NotDone => Text::new("未办理", "not done"),
    };
    Text::new(
        format!("{operator} 登记：{}，依据：{reason}", said.zh),
        format!("{operator} says: {}; how it is known: {reason}", said.en),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(nth: usize) -> Text {
        Text::new(format!("第 {nth} 次"), format!("number {nth}"))
    }

    #[test]
    fn the_beginning_and_the_end_are_kept_and_what_lies_between_is_counted() {
        let (mut log, at) = (Vec::new(), Timestamp::UNIX_EPOCH);
        let kept = FIRST_ENTRIES_MAX + LAST_ENTRIES_MAX;
        for nth in 0..kept * 2 {
            note(&mut log, at, None, &text(nth));
        }
        assert_eq!(log.len(), kept);
        assert_eq!((log[0].text(), log[kept - 1].text()), (text(0), text(kept * 2 - 1)));
        let gap = &log[FIRST_ENTRIES_MAX];
        assert_eq!(gap.text(), left_out());
        assert_eq!(usize::try_from(gap.times).unwrap() + kept - 1, kept * 2, "none is lost uncounted");
    }

    #[test]
    fn what_repeats_is_counted_for_each_operation() {
        let (mut log, at) = (Vec::new(), Timestamp::UNIX_EPOCH);
        let (one, two): (Arc<str>, Arc<str>) = ("1".into(), "2".into());
        for _ in 0..5 {
            note(&mut log, at, Some(&one), &text(1));
            note(&mut log, at, Some(&two), &text(1));
            note(&mut log, at, None, &text(1));
        }
        assert_eq!(log.iter().map(|entry| entry.times).collect::<Vec<_>>(), [5, 5, 5]);
        note(&mut log, at, Some(&one), &text(2));
        note(&mut log, at, Some(&one), &text(1));
        assert_eq!(log.len(), 5, "what is said again after something else is said anew");
    }

    #[test]
    fn no_entry_is_longer_than_it_may_be_and_an_old_one_is_read() {
        let (mut log, long) = (Vec::new(), "长".repeat(ENTRY_CHARS_MAX * 2));
        note(&mut log, Timestamp::UNIX_EPOCH, None, &Text::new(long.clone(), long));
        assert_eq!(log[0].text().zh.chars().count(), ENTRY_CHARS_MAX);
        let old = r#"{"at":"2020-07-02T02:00:00Z","operation":null,"what":"answered: NotFound"}"#;
        let old: Entry = serde_json::from_str(old).unwrap();
        assert_eq!((old.times, &*old.text().en), (1, "“answered: NotFound”"));
    }
}
