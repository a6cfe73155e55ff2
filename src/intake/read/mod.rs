//! The one typed reader: from text and places to a [`StayPart`], all problems at once.
//!
//! [`head`] reads what a message says once, [`lines`] and [`lists`] the rest, [`words`] the closed lists of words.

mod head;
mod lines;
mod lists;
pub mod words;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan_contract::FindingCode;
use yizhan_contract::instant::later;
use yizhan_contract::money::NumberError;
use yizhan_contract::stay::Moment;

use super::limits::AHEAD_HOURS_MAX;
use super::problems::{Oddity, Problems};
use super::profile::Profile;
use super::raw::{Field, Place, Raw, RawStay};
use super::when;
use crate::refusal::Code;
use crate::settlement::names::Name;
use crate::settlement::part::{Patch, StayPart};
use crate::settlement::places::{Dialect, Hl7Places, LinePlace, Places, Separator};

/// What every message is called by.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    pub message_id: Option<String>,
    pub sent_at: Option<Timestamp>,
}

/// All that a message says.
pub struct Finished {
    pub part: StayPart,
    pub places: Places,
    pub envelope: Envelope,
    pub problems: Problems,
}

/// The line around the place of its id.
fn line_place(id: &Place<'_>, hl7: &Hl7Places) -> LinePlace {
    match id {
        Place::Hl7(place) => {
            LinePlace::Row(format!("{}[{}]", hl7.lines, place.sequence).into(), Arc::clone(&hl7.line))
        }
        Place::Json { item: Some(item), .. } => {
            LinePlace::Node(format!("$.lines[{item}]").into(), Separator::Dot)
        }
        Place::Xml { path, .. } => {
            LinePlace::Node(path.strip_suffix("/id").unwrap_or(path).into(), Separator::Slash)
        }
        Place::Json { item: None, .. } | Place::Whole => LinePlace::Node("lines".into(), Separator::Dot),
    }
}

/// Reads one message, row by row.
pub struct Reader<'p, 'a> {
    profile: &'p Profile,
    dialect: Dialect,
    /// No date may lie beyond it.
    latest: Moment,
    pub problems: Problems,
    part: StayPart,
    envelope: Envelope,
    discharged_place: Place<'a>,
    /// Lines, payments and what was left out.
    rows: usize,
    /// Of each line of `part`, where its id stands.
    line_places: Vec<Place<'a>>,
    /// The same of each payment.
    payment_places: Vec<Place<'a>>,
}

impl<'p, 'a> Reader<'p, 'a> {
    pub fn new(profile: &'p Profile, dialect: Dialect, now: Timestamp, problems: Problems) -> Self {
        let ahead = SignedDuration::from_hours(AHEAD_HOURS_MAX);
        let latest = later(now, ahead);
        Self {
            profile,
            dialect,
            latest: Moment::at(latest),
            problems,
            part: StayPart::default(),
            envelope: Envelope::default(),
            discharged_place: Place::Whole,
            rows: 0,
            line_places: Vec::new(),
            payment_places: Vec::new(),
        }
    }

    /// Everything a raw message holds.
    pub fn stay(&mut self, raw: &RawStay<'a>) {
        self.head(&raw.head);
        self.line_places.reserve(raw.lines.len());
        for (place, row) in &raw.lines {
            self.line(place, row);
        }
        if let Some(rows) = &raw.diagnoses {
            self.diagnoses(rows);
        }
        if let Some(rows) = &raw.settled_elsewhere {
            self.settled_elsewhere(rows);
        }
    }

    /// Looks at what only the whole message shows, and hands over.
    pub fn finish(mut self) -> Finished {
        self.drop_repeated_lines();
        self.compare_identity();
        self.compare_dates();
        let hl7 = &self.profile.hospital.hl7;
        let line_place = |place: &Place<'_>| line_place(place, hl7);
        let places = Places {
            lines: self.line_places.iter().map(line_place).collect(),
            payments: self.payment_places.iter().map(line_place).collect(),
        };
        Finished { part: self.part, places, envelope: self.envelope, problems: self.problems }
    }

    /// The text after the profile's value map.
    fn mapped<'f>(&'f self, name: Name, field: &'f Field<'_>) -> Option<&'f str>
    where
        'p: 'f,
    {
        let text = field.as_text()?;
        let mapped = self.profile.values.of(name).and_then(|map| map.get(text));
        Some(mapped.map_or(text, String::as_str))
    }

    /// Reads a field with `read`; on its error the field is refused in the words it gives.
    fn typed<T>(
        &mut self,
        name: Name,
        field: &Field<'_>,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Patch<T> {
        let text = match (&field.raw, self.mapped(name, field)) {
            (Raw::Null, _) => return Patch::Clear,
            (_, None) => return Patch::Keep,
            (_, Some(text)) => text,
        };
        match read(text) {
            Ok(value) => Patch::Set(value),
            Err(wrong) => {
                self.problems.refuse(wrong.code, &field.place, &wrong.zh, &wrong.en);
                Patch::Keep
            }
        }
    }

    fn moment(&mut self, name: Name, field: &Field<'_>) -> Patch<Moment> {
        let latest = self.latest;
        self.typed(name, field, |text| {
            let moment = when::moment(text).map_err(|_| Wrong::date())?;
            if is_beyond(moment, latest) { Err(Wrong::ahead()) } else { Ok(moment) }
        })
    }

    fn compare_identity(&mut self) {
        let Some(card) = self.part.id_number.value().map(|card| card.reveal().clone()) else { return };
        let birth = self.part.birth.value().map(|birth| *birth.reveal());
        let sex = self.part.sex.value().copied();
        use yizhan_contract::stay::Sex;
        let other_sex = if card.is_male() { Sex::Female } else { Sex::Male };
        if birth.is_some_and(|birth| card.birth() != Some(birth)) || sex == Some(other_sex) {
            self.problems.find(
                FindingCode::IdentityDiffers,
                "报文中的出生日期或性别与身份证号不一致",
                "birth date or sex differ from the identity card number",
            );
        }
    }

    fn compare_dates(&mut self) {
        if let Some(refusal) = self.part.dates_in_disorder(&self.profile.hospital, self.dialect) {
            let at = &self.discharged_place;
            let refusal = if *at == Place::Whole { refusal } else { refusal.at(at) };
            self.problems.push(refusal);
        }
        let Some(last) = self.part.discharged.value().map(|moment| moment.date) else { return };
        let late = self.part.lines.iter().zip(&self.line_places).find(|(line, _)| line.date > last);
        if let Some((_, place)) = late {
            self.problems.warn(place, Oddity::ChargeAfterDischarge);
        }
    }
}

fn is_beyond(moment: Moment, latest: Moment) -> bool {
    moment.date > latest.date || (moment.date == latest.date && moment.time > latest.time)
}

/// What is wrong with a field's text, in both languages; never the text itself, it may be personal.
#[derive(Debug)]
struct Wrong {
    code: Code,
    zh: Cow<'static, str>,
    en: Cow<'static, str>,
}

impl Wrong {
    fn new(code: Code, zh: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) -> Self {
        Self { code, zh: zh.into(), en: en.into() }
    }

    fn date() -> Self {
        Self::new(Code::BadValue, "不是有效日期", "is no date that exists")
    }

    fn ahead() -> Self {
        Self::new(
            Code::BadDates,
            format!("日期超前于当前时间 {AHEAD_HOURS_MAX} 小时以上"),
            format!("lies more than {AHEAD_HOURS_MAX} hours in the future"),
        )
    }

    fn negative() -> Self {
        Self::new(Code::BadValue, "不得为负数", "must not be negative")
    }
}

impl From<NumberError> for Wrong {
    fn from(why: NumberError) -> Self {
        let text = why.text();
        Self::new(Code::BadValue, text.zh.to_string(), text.en.to_string())
    }
}
