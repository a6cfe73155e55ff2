//! Acknowledgements (HL7 v2.5 ch. 2.9): which are due, and how one is written.
//!
//! A message that could not be parsed is answered through [`Header::salvage`]. Where not even a header
//! was found the answer is an AE without MSA-2: the sender waits on its connection for something,
//! and an engineer reading its log learns more from ERR than from a timeout.

use jiff::Timestamp;
use yizhan_contract::Text;

use super::delimiters::Delimiters;
use super::error::ErrCode;
use super::escape::escape;
use super::header::{Header, Version};
use super::place::Place;
use super::time;
use super::write::{Builder, SegmentDraft};

/// MSA-1 (HL7 table 0008).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept, error, reject.
    AA,
    AE,
    AR,
    /// Commit accept, error, reject: enhanced mode only.
    CA,
    CE,
    CR,
}

impl AckCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }
}

/// What became of a message when it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on stable storage.
    Accepted,
    /// Its content is wrong: do not send it again unchanged.
    Error,
    /// Its kind is not taken, or not now: it may be sent again.
    Rejected,
}

impl Outcome {
    pub fn application(self) -> AckCode {
        match self {
            Self::Accepted => AckCode::AA,
            Self::Error => AckCode::AE,
            Self::Rejected => AckCode::AR,
        }
    }

    pub fn commit(self) -> AckCode {
        match self {
            Self::Accepted => AckCode::CA,
            Self::Error => AckCode::CE,
            Self::Rejected => AckCode::CR,
        }
    }
}

/// How a sender is answered, as its profile says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckMode {
    /// As MSH-15 and MSH-16 say: both empty is original mode, else enhanced.
    #[default]
    BySender,
    /// One application answer at once, whatever MSH-15 and MSH-16 say.
    Original,
    /// An accept answer at once by MSH-15 and an application answer later by MSH-16; both `AL` if empty.
    Enhanced,
    /// For senders who fill MSH-15 and understand AA only: the answer MSH-15 asks for, with the codes
    /// of original mode, and none later.
    AaOnly,
}

/// The answers that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Sent at once on the same connection.
    pub at_once: Option<AckCode>,
    /// Whether an application answer follows as a message of its own, by these conditions.
    pub later: Option<Condition>,
}

impl Due {
    const NONE: Self = Self { at_once: None, later: None };

    /// The code of the later answer, once it is known what became of the message.
    pub fn later(self, outcome: Outcome) -> Option<AckCode> {
        self.later.filter(|condition| condition.holds(outcome)).map(|_| outcome.application())
    }
}

/// MSH-15 and MSH-16 (HL7 table 0155).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Always,
    Never,
    OnError,
    OnSuccess,
}

impl Condition {
    /// A value nobody knows is answered: silence would stop the sender's queue.
    fn read(header: &Header, field: u16, if_empty: Self) -> Self {
        let stated = header.field(field).and_then(|field| field.component(1).filled());
        match stated.as_deref() {
            None => if_empty,
            Some("NE") => Self::Never,
            Some("ER") => Self::OnError,
            Some("SU") => Self::OnSuccess,
            Some(_) => Self::Always,
        }
    }

    fn holds(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => outcome != Outcome::Accepted,
            Self::OnSuccess => outcome == Outcome::Accepted,
        }
    }
}

/// Which answers are due to a message, given what became of it on receipt. None to an answer.
pub fn due(header: &Header, mode: AckMode, outcome: Outcome) -> Due {
    if header.is_answer() {
        return Due::NONE;
    }
    let original = Due { at_once: Some(outcome.application()), later: None };
    match mode {
        AckMode::Original => original,
        AckMode::BySender if !is_enhanced(header) => original,
        // HL7 v2.5 ch. 2.9.3.2: in enhanced mode an empty one of the two means `NE`.
        AckMode::BySender => enhanced(header, Condition::Never, outcome),
        AckMode::Enhanced if !is_enhanced(header) => enhanced(header, Condition::Always, outcome),
        AckMode::Enhanced => enhanced(header, Condition::Never, outcome),
        AckMode::AaOnly => {
            let due = Condition::read(header, 15, Condition::Always).holds(outcome);
            Due { at_once: due.then_some(outcome.application()), later: None }
        }
    }
}

fn is_enhanced(header: &Header) -> bool {
    let filled = |field| header.field(field).is_some_and(|field| field.filled().is_some());
    filled(15) || filled(16)
}

fn enhanced(header: &Header, if_empty: Condition, outcome: Outcome) -> Due {
    let accept = Condition::read(header, 15, if_empty);
    let application = Condition::read(header, 16, if_empty);
    let at_once = accept.holds(outcome).then_some(outcome.commit());
    if outcome == Outcome::Accepted {
        return Due { at_once, later: Some(application).filter(|condition| *condition != Condition::Never) };
    }
    // What was not accepted is not processed. Who asked for application answers only learns it from one.
    let instead = application.holds(outcome).then_some(outcome.application());
    Due { at_once: at_once.or(instead), later: None }
}

/// ERR-4 (HL7 table 0516).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
    Information,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "E",
            Self::Warning => "W",
            Self::Information => "I",
        }
    }
}

/// One thing an answer says: for the sender's software, for its clerk, and for its engineers.
#[derive(Debug, Clone)]
pub struct AckError {
    pub code: ErrCode,
    pub place: Place,
    pub severity: Severity,
    /// Our own stable word, as `stay_already_settled`.
    pub our_code: String,
    /// What the clerk should do next. ERR-8 and MSA-3.
    pub user_message: Text,
    /// For the sender's engineers. ERR-7.
    pub diagnostic: Text,
}

/// Lengths of MSA-3, ERR-7 and ERR-8 as written, escapes included (HL7 v2.5 ch. 2.14.8 and 2.14.5).
const MSA_TEXT_CHARS_MAX: usize = 80;
const DIAGNOSTIC_CHARS_MAX: usize = 2048;
const USER_MESSAGE_CHARS_MAX: usize = 250;
/// Between the two languages of one field, and at the end of what was cut.
const BETWEEN: &str = " / ";
const CUT: &str = "...";
/// System of our own codes in CWE.
const OUR_SYSTEM: &str = "99YIZHAN";
/// Longest value of the sender's header that an answer repeats.
const ECHO_BYTES_MAX: usize = 512;

/// Writes an acknowledgement in the sender's delimiters and character set. `extra` segments, drafted
/// with the delimiters of [`answer_builder`], follow at the end.
///
/// Never fails: what the sender's header holds is copied with every separator and control character
/// escaped, and what is too long to repeat is left out.
pub fn ack(
    header: &Header,
    control_id: &str,
    at: Timestamp,
    code: AckCode,
    errors: &[AckError],
    extra: &[SegmentDraft],
) -> Vec<u8> {
    let mut out = answer_builder(header);
    write_header(&mut out, header, control_id, at);
    let delimiters = out.delimiters();
    out.segment(b"MSA", |msa| {
        msa.text(1, code.as_str());
        echo(msa, 2, header, 10);
        if let Some(first) = errors.first() {
            msa.text(3, &shown(header, &delimiters, &first.user_message, MSA_TEXT_CHARS_MAX));
        }
    });
    if wants_old_errors(header) {
        write_old_errors(&mut out, header, errors);
    } else {
        errors.iter().for_each(|error| write_error(&mut out, header, error));
    }
    for draft in extra {
        out.push(draft);
    }
    out.into_bytes(header.charset())
}

/// A builder that writes as [`ack`] does.
pub fn answer_builder(header: &Header) -> Builder {
    Builder::new(header.delimiters())
}

fn write_header(out: &mut Builder, header: &Header, control_id: &str, at: Timestamp) {
    let event = header.trigger_event();
    out.segment(b"MSH", |msh| {
        echo(msh, 3, header, 5);
        echo(msh, 4, header, 6);
        echo(msh, 5, header, 3);
        echo(msh, 6, header, 4);
        msh.text(7, &time::written(at));
        if event.is_empty() || event.len() > 3 {
            msh.text(9, "ACK");
        } else {
            msh.components(9, &["ACK", &event, "ACK"]);
        }
        msh.text(10, control_id).text(11, "P").text(12, if header.is_known() { "2.4" } else { "2.5.1" });
        echo(msh, 11, header, 11);
        echo(msh, 12, header, 12);
        echo(msh, 18, header, 18);
    });
}

/// Copies a field of the sender's header, if it says anything.
pub(super) fn echo(draft: &mut SegmentDraft, field: u16, header: &Header, from: u16) {
    if let Some(element) = header.field(from)
        && !element.is_blank()
        && element.raw().len() <= ECHO_BYTES_MAX
    {
        draft.copy(field, element);
    }
}

/// ERR has had its fields since v2.5; an empty MSH-12 is answered as 2.4.
fn wants_old_errors(header: &Header) -> bool {
    let empty = header.field(12).is_some_and(|field| field.filled().is_none());
    empty || header.version().is_some_and(|version| version <= Version::V24)
}

/// ERR-1 of v2.4 and before (ch. 2.16.4), repeating: `segment^sequence^field^code&text&system`, and in the alternate
/// half of that CE our own code and what MSA-3 says of the first error alone.
fn write_old_errors(out: &mut Builder, header: &Header, errors: &[AckError]) {
    // The old form knows no severity: a remark would read as an error. MSA-3 carries it.
    let errors: Vec<&AckError> = errors.iter().filter(|error| error.severity == Severity::Error).collect();
    if errors.is_empty() {
        return;
    }
    let delimiters = out.delimiters();
    let component = delimiters.component.map_or('^', char::from);
    let subcomponent = delimiters.subcomponent.map_or('&', char::from);
    out.segment(b"ERR", |err| {
        for AckError { code, place, our_code, user_message, .. } in errors {
            let number = |number: u16| if number == 0 { String::new() } else { number.to_string() };
            let told = shown(header, &delimiters, user_message, MSA_TEXT_CHARS_MAX);
            let told = escape(&told, &delimiters);
            let code = [&code.number().to_string(), code.text(), "HL70357", our_code, &told, OUR_SYSTEM];
            let code = code.join(&subcomponent.to_string());
            let parts = [place.segment.to_string(), number(place.sequence), number(place.field), code];
            err.repeat_written(1, &parts.join(&component.to_string()));
        }
    });
}

/// ERR of v2.5 and later (ch. 2.14.5), one segment for each error.
fn write_error(out: &mut Builder, header: &Header, error: &AckError) {
    let delimiters = out.delimiters();
    let component = delimiters.component.map_or('^', char::from);
    out.segment(b"ERR", |err| {
        err.set(2, error.place.erl(component));
        err.components(3, &[&error.code.number().to_string(), error.code.text(), "HL70357"]);
        err.text(4, error.severity.as_str());
        err.components(5, &[&error.our_code, "", OUR_SYSTEM]);
        err.text(7, &shown(header, &delimiters, &error.diagnostic, DIAGNOSTIC_CHARS_MAX));
        err.text(8, &shown(header, &delimiters, &error.user_message, USER_MESSAGE_CHARS_MAX));
    });
}

/// Both languages, Chinese first; English alone where the sender's character set does not hold the Chinese. Where
/// both do not fit, each is cut to its half, or to what the other one leaves.
pub(super) fn shown(header: &Header, delimiters: &Delimiters, text: &Text, chars_max: usize) -> String {
    if !header.charset().holds(&text.zh) {
        return shortened(&text.en, chars_max, delimiters);
    }
    let room = chars_max.saturating_sub(written(BETWEEN, delimiters));
    let in_english = written(&text.en, delimiters).min(room / 2);
    let zh = shortened(&text.zh, room - in_english, delimiters);
    let en = shortened(&text.en, room - written(&zh, delimiters), delimiters);
    format!("{zh}{BETWEEN}{en}")
}

/// How many characters a text takes in a message.
fn written(text: &str, delimiters: &Delimiters) -> usize {
    escape(text, delimiters).chars().count()
}

/// Cut between words, so that no amount, place or code loses its end.
fn shortened(text: &str, chars_max: usize, delimiters: &Delimiters) -> String {
    if written(text, delimiters) <= chars_max {
        return text.to_owned();
    }
    let room = chars_max.saturating_sub(written(CUT, delimiters));
    let ends = text.char_indices().map(|(at, _)| at);
    let fitting = ends.take_while(|end| written(&text[..*end], delimiters) <= room).last().unwrap_or(0);
    let is_in_word = |c: char| c.is_ascii_graphic();
    let is_between = |end: &usize| {
        let (before, after) = text.split_at(*end);
        !(before.ends_with(is_in_word) && after.starts_with(is_in_word))
    };
    let at_word = (1..=fitting).rev().filter(|end| text.is_char_boundary(*end)).find(is_between);
    let kept = &text[..at_word.unwrap_or(fitting)];
    let kept = kept.trim_end_matches(|c: char| c.is_whitespace() || "，；：。、（,;:.(".contains(c));
    format!("{kept}{CUT}")
}
