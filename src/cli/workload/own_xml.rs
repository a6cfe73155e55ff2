//! A stay in a hospital's own XML, written where the paths of its profile look for it.

use super::{Stay, said};
use crate::intake::profile::select::{Predicate, Step, XmlListMap, XmlMap, XmlPath};
use crate::intake::profile::{Profile, ValueMaps};
use crate::settlement::names::{DiagnosisField, Head, LineField};

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
            let said = Head::from_word(word).and_then(|name| said::head(stay, name, &self.values));
            if let Some(text) = said {
                root.below(behind_root(&path.steps)).put(path, text);
            }
        }
        if let Some(list) = &self.map.lines {
            let is_marked = list.fields.contains_key(LineField::Credit.word());
            for charge in &stay.charges {
                root.add(list, |word| {
                    said::line(charge, LineField::from_word(word)?, is_marked, &self.values)
                });
            }
        }
        if let Some(list) = &self.map.diagnoses {
            root.add(list, |word| Some(said::diagnosis(DiagnosisField::from_word(word)?, &self.values)));
        }
        let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        root.write(&mut xml);
        xml
    }
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
