//! The JSON discharge document, `schemas/discharge.schema.json`.
//!
//! Numbers are read from their text, never through a float; a key that comes twice or is not known is
//! refused by name.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::limits::{JSON_MEMBERS_MAX, LINES_MAX};
use super::problems::Problems;
use super::raw::{Field, Place, RawStay};
use super::shown::ANY;
use crate::refusal::{Code, Refusal};
use crate::settlement::names::{
    DiagnosisField, Head, LineField, List, NUMBERS, PayerField, SECTIONS, YES_OR_NO,
};

/// An object's members in order, duplicates included; one more than [`JSON_MEMBERS_MAX`] where there are
/// too many, so that looking for duplicates stays cheap.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if members.len() <= JSON_MEMBERS_MAX {
                        members.push((key, value));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a document into its raw form. What is wrong with single members goes to `problems`; an error
/// is a text that is no JSON object at all.
pub fn read<'a>(text: &'a str, problems: &mut Problems) -> Result<RawStay<'a>, Refusal> {
    let Members(members) = serde_json::from_str(text).map_err(|why| malformed(&why))?;
    if members.len() > JSON_MEMBERS_MAX {
        return Err(too_many("$"));
    }
    let mut reader = JsonReader { raw: RawStay::default(), problems };
    for (at, (key, value)) in members.iter().enumerate() {
        match Known::of(key) {
            None => reader.unknown("$", at),
            Some(_) if is_repeated(&members, at) => reader.repeated("$", key),
            Some(Known::Section) => reader.section(key, value)?,
            Some(Known::List(list)) => reader.list(list, value)?,
            Some(Known::Head(name)) => reader.head(name, value),
        }
    }
    Ok(reader.raw)
}

/// What a member of the document itself is.
enum Known {
    Section,
    List(List),
    Head(Head),
}

impl Known {
    fn of(key: &str) -> Option<Self> {
        if SECTIONS.contains(&key) {
            return Some(Self::Section);
        }
        let head = || Head::from_word(key).filter(|name| !name.word().contains('.'));
        List::from_word(key).map(Self::List).or_else(|| head().map(Self::Head))
    }
}

fn is_repeated(members: &[(Cow<'_, str>, &RawValue)], at: usize) -> bool {
    members[..at].iter().any(|(key, _)| *key == members[at].0)
}

/// The parser's own sentence may quote the document; line and column do not.
fn malformed(why: &serde_json::Error) -> Refusal {
    let (zh, en) = match why.classify() {
        serde_json::error::Category::Eof => ("JSON 不完整", "the JSON text ends too early"),
        // Well-formed, and something else than an object.
        serde_json::error::Category::Data => {
            return Refusal::new(Code::Malformed, "须为 JSON 对象", "is no JSON object").at("$");
        }
        _ => ("不是有效的 JSON", "is no valid JSON"),
    };
    Refusal::new(Code::Malformed, zh, en).at(format_args!("line {} column {}", why.line(), why.column()))
}

fn too_many(place: impl fmt::Display) -> Refusal {
    let en = format!("the object has more than {JSON_MEMBERS_MAX} members");
    Refusal::new(Code::TooLarge, "字段过多", en).at(place)
}

/// The names of one list's fields.
struct Names<N> {
    from_word: fn(&str) -> Option<N>,
    word: fn(N) -> &'static str,
    index: fn(N) -> usize,
}

macro_rules! names {
    ($list:ident) => {
        Names { from_word: $list::from_word, word: $list::word, index: $list::index }
    };
}

struct JsonReader<'a, 'p> {
    raw: RawStay<'a>,
    problems: &'p mut Problems,
}

impl<'a> JsonReader<'a, '_> {
    fn head(&mut self, name: Head, value: &'a RawValue) {
        let place = Place::Json { section: "", item: None, name: name.word() };
        self.raw.head[name.index()] = self.leaf(value, place);
    }

    fn section(&mut self, section: &str, value: &'a RawValue) -> Result<(), Refusal> {
        if value.get() == "null" {
            return Ok(());
        }
        let Some(Members(members)) = self.object(value, format_args!("$.{section}"))? else { return Ok(()) };
        for (at, (key, value)) in members.iter().enumerate() {
            let Some(name) = Head::from_word(&format!("{section}.{key}")) else {
                self.unknown(&format!("$.{section}"), at);
                continue;
            };
            if is_repeated(&members, at) {
                self.repeated(&format!("$.{section}"), key);
                continue;
            }
            self.head(name, value);
        }
        Ok(())
    }

    fn list(&mut self, list: List, value: &'a RawValue) -> Result<(), Refusal> {
        if value.get() == "null" {
            return Ok(());
        }
        if !value.get().starts_with('[') {
            let place = format_args!("$.{}", list.word());
            self.problems.refuse(Code::BadValue, place, "须为数组", "must be an array");
            return Ok(());
        }
        let items: Vec<&'a RawValue> = serde_json::from_str(value.get()).map_err(|why| malformed(&why))?;
        match list {
            List::Lines => {
                self.raw.lines = self.rows(list, &items, names!(LineField))?;
            }
            List::Diagnoses => {
                let rows = self.rows(list, &items, names!(DiagnosisField))?;
                self.raw.diagnoses = Some(rows);
            }
            List::SettledElsewhere => {
                let rows = self.rows(list, &items, names!(PayerField))?;
                self.raw.settled_elsewhere = Some(rows);
            }
        }
        Ok(())
    }

    fn rows<N: Copy, const COUNT: usize>(
        &mut self,
        list: List,
        items: &[&'a RawValue],
        names: Names<N>,
    ) -> Result<Vec<(Place<'a>, [Field<'a>; COUNT])>, Refusal> {
        let section = list.word();
        let mut rows = Vec::with_capacity(items.len().min(LINES_MAX + 1));
        // One more than the reader takes: it is the reader that refuses.
        for (item, value) in (0_u32..).zip(items).take(LINES_MAX + 1) {
            let path = format!("$.{section}[{item}]");
            let Some(Members(members)) = self.object(value, &path)? else { continue };
            let mut row = std::array::from_fn(|_| Field::default());
            for (at, (key, value)) in members.iter().enumerate() {
                // `kind` is HL7's; a document has charges, and marks its credits.
                let name = (names.from_word)(key).filter(|_| key != "kind");
                match name {
                    None => self.unknown(&path, at),
                    Some(_) if is_repeated(&members, at) => self.repeated(&path, key),
                    Some(name) => {
                        let word = (names.word)(name);
                        let place = Place::Json { section, item: Some(item), name: word };
                        row[(names.index)(name)] = self.leaf(value, place);
                    }
                }
            }
            rows.push((Place::Json { section, item: Some(item), name: "" }, row));
        }
        Ok(rows)
    }

    fn object(
        &mut self,
        value: &'a RawValue,
        place: impl fmt::Display,
    ) -> Result<Option<Members<'a>>, Refusal> {
        if !value.get().starts_with('{') {
            self.problems.refuse(Code::BadValue, &place, "须为对象", "must be an object");
            return Ok(None);
        }
        let members: Members<'a> = serde_json::from_str(value.get()).map_err(|why| malformed(&why))?;
        if members.0.len() > JSON_MEMBERS_MAX {
            self.problems.push(too_many(place));
            return Ok(None);
        }
        Ok(Some(members))
    }

    /// Text, a number as it is written, `true` or `false`; `null` says nothing.
    fn leaf(&mut self, value: &'a RawValue, place: Place<'a>) -> Field<'a> {
        let written = value.get();
        match written.as_bytes().first() {
            Some(b'"') => match serde_json::from_str::<Key<'a>>(written) {
                Ok(Key(text)) => Field::text(text, place),
                Err(_) => {
                    self.problems.refuse(
                        Code::BadValue,
                        &place,
                        "文本含无效转义",
                        "the text holds a broken escape",
                    );
                    Field::default()
                }
            },
            Some(b'{' | b'[') => {
                self.problems.refuse(Code::BadValue, &place, "须为文本", "must be text");
                Field::default()
            }
            Some(b'n') => Field { place, ..Field::default() },
            Some(first) => {
                let fits = if matches!(first, b't' | b'f') { YES_OR_NO } else { NUMBERS };
                if matches!(place, Place::Json { name, .. } if fits.contains(&name)) {
                    return Field::text(written, place);
                }
                self.problems.refuse(Code::BadValue, &place, "须为带引号的文本", "must be text in quotes");
                Field::default()
            }
            None => Field::default(),
        }
    }

    /// The key is the sender's and may be anything: told is which member of the object it is.
    fn unknown(&mut self, object: &str, at: usize) {
        let nth = at + 1;
        let zh = format!("没有该字段（所在对象的第 {nth} 个成员）");
        let en = format!("there is no such field (member {nth} of its object)");
        self.problems.refuse(Code::UnknownField, format_args!("{object}.{ANY}"), &zh, &en);
    }

    /// `key` is a known one.
    fn repeated(&mut self, object: &str, key: &str) {
        let place = format_args!("{object}.{key}");
        self.problems.refuse(Code::BadValue, place, "同一字段出现两次", "the field is given twice");
    }
}
