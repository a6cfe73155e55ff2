//! A stay in a hospital's own XML, written where the paths of its profile look for it.

use super::charges::Charge;
use super::messages::{DEPARTMENT, DIAGNOSIS, SENT_AT, sign};
use super::{Stay, fen};
use crate::intake::profile::select::{Predicate, Step, XmlListMap, XmlMap, XmlPath};
use crate::intake::profile::{Profile, ValueMaps};
use crate::settlement::names::{DiagnosisField, Head, LineField, Name};

/// What the profile says of it. What it has no path for is not told.
#[derive(Debug, Clone)]
pub(super) struct OwnXml {
    map: XmlMap,
    values: ValueMaps,
}

impl OwnXml {
    /// By the first of a profile's maps.
    pub(super) fn of(profile: &Profile) -> Option<Self> {
        let map = profile.xml_maps.first()?.clone();
        Some(Self { map, values: profile.values.clone() })
    }

    pub(super) fn document(&self, stay: &Stay<'_>) -> String {
        let mut root = Node::named(&self.map.root);
        if let Some(namespace) = &self.map.namespace {
            root.attributes.push(("xmlns".to_owned(), namespace.clone()));
        }
        if let Some(has) = &self.map.has {
            root.below(behind_root(&has.steps));
        }
        for (word, path) in &self.map.fields {
            let said = Head::from_word(word).and_then(|name| Some((name, said(stay, name)?)));
            if let Some((name, text)) = said {
                let node = root.below(behind_root(&path.steps));
                node.put(path, self.in_own_words(Name::Head(name), text));
            }
        }
        if let Some(list) = &self.map.lines {
            for charge in &stay.charges {
                root.add(list, |word| self.said_of(charge, list, word));
            }
        }
        if let Some(list) = &self.map.diagnoses {
            root.add(list, |word| self.diagnosis(word));
        }
        let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        root.write(&mut xml);
        xml
    }

    /// A line that cannot be marked as a credit takes back by its sign.
    fn said_of(&self, charge: &Charge, list: &XmlListMap, word: &str) -> Option<String> {
        let is_marked = list.fields.contains_key(LineField::Credit.word());
        let sign = sign(charge, !is_marked);
        let name = LineField::from_word(word)?;
        let text = match name {
            LineField::Id => charge.id.to_string(),
            LineField::Date => charge.date.to_string(),
            LineField::Code => charge.code.to_owned(),
            LineField::Name => charge.name.to_owned(),
            LineField::Quantity => format!("{sign}{}", charge.quantity),
            LineField::UnitPrice => fen(charge.unit_price).to_string(),
            LineField::Amount => format!("{sign}{}", fen(charge.amount())),
            LineField::Credit => charge.credit_of.map(|_| "true".to_owned())?,
            _ => return None,
        };
        Some(self.in_own_words(Name::Line(name), text))
    }

    fn diagnosis(&self, word: &str) -> Option<String> {
        let name = DiagnosisField::from_word(word)?;
        let text = match name {
            DiagnosisField::Code => DIAGNOSIS.0,
            DiagnosisField::Name => DIAGNOSIS.1,
            DiagnosisField::Principal => "true",
        };
        Some(self.in_own_words(Name::Diagnosis(name), text.to_owned()))
    }

    /// What the profile maps to this word, where it maps something.
    fn in_own_words(&self, name: Name, word: String) -> String {
        let own = self.values.of(name).and_then(|map| map.iter().find(|(_, ours)| **ours == word));
        own.map_or(word, |(own, _)| own.clone())
    }
}

fn said(stay: &Stay<'_>, name: Head) -> Option<String> {
    let person = &stay.person;
    Some(match name {
        Head::MessageId => stay.message_id(),
        Head::SentAt => SENT_AT.to_owned(),
        Head::Hospital => stay.hospital.code.clone(),
        Head::VisitNumber => stay.visit.clone(),
        Head::Admitted => stay.admitted.to_string(),
        Head::Discharged => stay.discharged.to_string(),
        Head::Department => DEPARTMENT.to_owned(),
        Head::VisitClass => "inpatient".to_owned(),
        Head::IdNumber => person.id_number.clone()?,
        Head::Mrn => stay.mrn(),
        Head::PatientName => person.name.clone(),
        Head::Sex => if person.is_male { "male" } else { "female" }.to_owned(),
        Head::Birth => person.birth.clone(),
        Head::CauseKind => stay.accident.map(|_| "accident".to_owned())?,
        Head::AccidentType => stay.accident?.to_owned(),
        Head::StatedTotal => stay.total().to_string(),
        Head::Deposit if stay.deposit > 0 => fen(stay.deposit).to_string(),
        _ => return None,
    })
}

fn behind_root(steps: &[Step]) -> &[Step] {
    steps.get(1..).unwrap_or_default()
}

/// An element that is being put together.
#[derive(Debug)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), text: String::new(), children: Vec::new() }
    }

    /// As a step looks for it.
    fn meant_by(step: &Step) -> Self {
        let mut node = Self::named(&step.name);
        if let Predicate::Attribute { name, value } = &step.predicate {
            node.attributes.push((name.clone(), value.clone()));
        }
        node
    }

    fn is_meant_by(&self, step: &Step) -> bool {
        self.name == step.name
            && match &step.predicate {
                Predicate::Attribute { name, value } => {
                    self.attributes.iter().any(|(key, text)| key == name && text == value)
                }
                Predicate::First | Predicate::Nth(_) => true,
            }
    }

    /// Where the steps lead; what is not there is made.
    fn below(&mut self, steps: &[Step]) -> &mut Self {
        let Some((step, rest)) = steps.split_first() else { return self };
        let before = match step.predicate {
            Predicate::Nth(number) => usize::try_from(number).unwrap_or_default().saturating_sub(1),
            Predicate::First | Predicate::Attribute { .. } => 0,
        };
        let at = loop {
            let mut meant = (0..).zip(&self.children).filter(|(_, child)| child.is_meant_by(step));
            match meant.nth(before) {
                Some((at, _)) => break at,
                None => self.children.push(Self::meant_by(step)),
            }
        };
        let at: usize = at;
        self.children[at].below(rest)
    }

    /// Its own text, or the attribute that the path ends in.
    fn put(&mut self, path: &XmlPath, text: String) {
        match &path.attribute {
            Some(name) => self.attributes.push((name.clone(), text)),
            None => self.text = text,
        }
    }

    /// One more item of a list.
    fn add(&mut self, list: &XmlListMap, said: impl Fn(&str) -> Option<String>) {
        let Some((last, before)) = behind_root(&list.each.steps).split_last() else { return };
        let mut item = Self::meant_by(last);
        for (word, path) in &list.fields {
            if let Some(text) = said(word) {
                item.below(&path.steps).put(path, text);
            }
        }
        self.below(before).children.push(item);
    }

    fn write(&self, xml: &mut String) {
        let Self { name, attributes, text, children } = self;
        xml.push('<');
        xml.push_str(name);
        for (name, value) in attributes {
            xml.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        xml.push('>');
        xml.push_str(&escaped(text));
        children.iter().for_each(|child| child.write(xml));
        xml.push_str(&format!("</{name}>\n"));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
