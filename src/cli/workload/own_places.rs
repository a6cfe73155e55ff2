//! A message of HL7 v2 with what a hospital writes elsewhere than most.

use super::hl7::Event;
use super::{Stay, said};
use crate::intake::hl7::Delimiters;
use crate::intake::hl7::escape::escape;
use crate::intake::profile::select::{Hl7Selector, Repetition};
use crate::intake::profile::{Hl7Paths, Profile, ValueMaps};
use crate::settlement::names::{Head, LineField};

/// The paths of its profile and its words.
#[derive(Debug, Clone)]
pub(super) struct OwnPlaces {
    paths: Hl7Paths,
    values: ValueMaps,
}

impl OwnPlaces {
    pub(super) fn of(profile: &Profile) -> Self {
        Self { paths: profile.hl7.clone(), values: profile.values.clone() }
    }

    /// The message with every field at the first of its paths, beside where most have it.
    pub(super) fn fill(&self, stay: &Stay<'_>, event: Event, message: &str) -> String {
        let mut segments: Vec<String> = message.split_terminator('\r').map(str::to_owned).collect();
        for name in Head::ALL.iter().filter(|name| is_told_by(event, **name)) {
            let path = self.paths.head[name.index()].first();
            if let Some((path, text)) = path.zip(said::head(stay, *name, &self.values)) {
                put(segment_of(&mut segments, path.segment.as_str()), path, &text);
            }
        }
        let transactions = segments.iter_mut().filter(|segment| segment.starts_with("FT1|"));
        for (at, segment) in transactions.enumerate() {
            for name in LineField::ALL {
                let Some(path) = &self.paths.line[name.index()] else { continue };
                let text = match stay.charges.get(at) {
                    Some(charge) => said::line(charge, *name, true, &self.values),
                    None => said::payment(stay, *name, &self.values),
                };
                text.into_iter().for_each(|text| put(segment, path, &text));
            }
        }
        segments.iter().map(|segment| format!("{segment}\r")).collect()
    }
}

/// What stands in MSH is the message's own; the rest is told as soon as it is known.
fn is_told_by(event: Event, name: Head) -> bool {
    match name {
        Head::MessageId | Head::SentAt | Head::Hospital => false,
        Head::CauseKind | Head::AccidentType | Head::Deposit => event == Event::Discharge,
        Head::Discharged | Head::StatedTotal => event != Event::Admission,
        _ => true,
    }
}

/// The first of the name; where there is none, it is the message's last.
fn segment_of<'s>(segments: &'s mut Vec<String>, name: &str) -> &'s mut String {
    let at = segments.iter().position(|segment| segment.starts_with(&format!("{name}|")));
    let at = at.unwrap_or_else(|| {
        segments.push(name.to_owned());
        segments.len() - 1
    });
    &mut segments[at]
}

fn put(segment: &mut String, path: &Hl7Selector, text: &str) {
    let text = escape(text, &Delimiters::STANDARD);
    let [field, component, subcomponent] = [path.field, path.component, path.subcomponent].map(usize::from);
    // MSH-1 is the delimiter itself.
    let field = if segment.starts_with("MSH") { field.saturating_sub(1) } else { field };
    let in_component = |before: &str| match subcomponent {
        0 => text.to_string(),
        number => with_part(before, '&', number - 1, |_| text.to_string()),
    };
    let in_repetition = |before: &str| with_part(before, '^', component.saturating_sub(1), in_component);
    *segment = with_part(segment, '|', field, |before| match &path.repetition {
        Repetition::Number(number) => {
            with_part(before, '~', usize::from(*number).saturating_sub(1), in_repetition)
        }
        Repetition::Typed(kind) => {
            let (before, at) = typed(before, kind);
            with_part(&before, '~', at, in_repetition)
        }
    });
}

/// Which repetition is of a type (CX.5); one that is not there is made.
fn typed(field: &str, kind: &str) -> (String, usize) {
    if let Some(at) = field.split('~').position(|one| one.split('^').nth(4) == Some(kind)) {
        return (field.to_owned(), at);
    }
    match field {
        "" => (format!("^^^^{kind}"), 0),
        field => (format!("{field}~^^^^{kind}"), field.split('~').count()),
    }
}

/// The text with one of its parts, counted from 0, made anew.
fn with_part(text: &str, delimiter: char, at: usize, made: impl FnOnce(&str) -> String) -> String {
    let mut parts: Vec<&str> = text.split(delimiter).collect();
    parts.resize(parts.len().max(at + 1), "");
    let part = made(parts[at]);
    parts[at] = &part;
    parts.join(&delimiter.to_string())
}
