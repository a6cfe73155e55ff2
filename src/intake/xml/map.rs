//! Any other XML through the paths of a profile: WS/T 846 and other v3-style messages, SOAP bodies, a
//! vendor's own.

use std::borrow::Cow;

use super::super::limits::LINES_MAX;
use super::super::profile::select::{Predicate, Step, XmlListMap, XmlMap, XmlPath};
use super::super::raw::{Field, Place, RawStay};
use super::tree::{Element, ElementId, Tree};
use crate::settlement::names::{DiagnosisField, Head, LineField, PayerField};

/// Whether a document is of the kind a map is for.
pub fn fits(map: &XmlMap, tree: &Tree) -> bool {
    let root = tree.root();
    let in_namespace =
        map.namespace.as_deref().is_none_or(|wanted| root.namespace.as_deref() == Some(wanted));
    let has = map.has.as_ref().is_none_or(|path| !find_all(tree, &path.steps).is_empty());
    root.name == map.root && in_namespace && has
}

/// The hospital's code in a document, where the map says where it stands.
pub fn hospital<'a>(map: &XmlMap, tree: &'a Tree) -> Option<Field<'a>> {
    map.fields.get(Head::Hospital.word()).map(|path| at_root(tree, path))
}

/// Reads a document into its raw form.
pub fn read<'a>(map: &XmlMap, tree: &'a Tree) -> RawStay<'a> {
    let mut raw = RawStay::default();
    for (word, path) in &map.fields {
        if let Some(name) = Head::from_word(word) {
            raw.head[name.index()] = at_root(tree, path);
        }
    }
    if let Some(list) = &map.lines {
        raw.lines = rows(tree, list, |word| LineField::from_word(word).map(LineField::index));
    }
    let diagnoses =
        |list| rows(tree, list, |word| DiagnosisField::from_word(word).map(DiagnosisField::index));
    raw.diagnoses = map.diagnoses.as_ref().map(diagnoses);
    let payers = |list| rows(tree, list, |word| PayerField::from_word(word).map(PayerField::index));
    raw.settled_elsewhere = map.settled_elsewhere.as_ref().map(payers);
    raw
}

fn rows<'a, const COUNT: usize>(
    tree: &'a Tree,
    list: &XmlListMap,
    index: impl Fn(&str) -> Option<usize>,
) -> Vec<(Place<'a>, [Field<'a>; COUNT])> {
    let items = find_all(tree, &list.each.steps);
    let row = |(position, item): (usize, &ElementId)| {
        let base = format!("{}[{}]", written(&list.each.steps, true), position + 1);
        let mut row: [Field<'a>; COUNT] = std::array::from_fn(|_| Field::default());
        for (word, path) in &list.fields {
            if let Some(at) = index(word) {
                row[at] = field(tree, *item, path, &base);
            }
        }
        (place(base, tree.of(*item)), row)
    };
    // One more than the reader takes: it is the reader that refuses.
    items.iter().enumerate().take(LINES_MAX + 1).map(row).collect()
}

fn at_root<'a>(tree: &'a Tree, path: &XmlPath) -> Field<'a> {
    let Some((root, rest)) = path.steps.split_first() else { return Field::default() };
    if !is_named(tree.root(), root, 1) {
        return Field::default();
    }
    let inner = XmlPath { steps: rest.to_vec(), attribute: path.attribute.clone() };
    field(tree, Tree::ROOT, &inner, &format!("/{}", root.name))
}

/// The text of the element a path leads to, or of its attribute; not there: absent, with the place of
/// what it would have been in.
fn field<'a>(tree: &'a Tree, from: ElementId, path: &XmlPath, base: &str) -> Field<'a> {
    let mut path_to = format!("{base}{}", written(&path.steps, !path.steps.is_empty()));
    if let Some(name) = &path.attribute {
        path_to = format!("{path_to}/@{name}");
    }
    let mut at = from;
    for step in &path.steps {
        match matching(tree, at, step).next() {
            Some(child) => at = child,
            None => {
                return Field { place: place(path_to, tree.of(at)), ..Field::default() };
            }
        }
    }
    let element = tree.of(at);
    let text = match &path.attribute {
        None => element.text.as_str(),
        Some(name) => {
            let value = element.attributes.iter().find(|(attribute, _)| attribute == name);
            value.map_or("", |(_, value)| value.as_str())
        }
    };
    Field::text(text, place(path_to, element))
}

fn place<'a>(path: String, element: &Element) -> Place<'a> {
    Place::Xml { path: Cow::Owned(path), line: element.line, column: element.column }
}

/// Every element an absolute path leads to, in document order; a step without a predicate takes all.
fn find_all(tree: &Tree, steps: &[Step]) -> Vec<ElementId> {
    let Some((root, rest)) = steps.split_first() else { return Vec::new() };
    if !is_named(tree.root(), root, 1) {
        return Vec::new();
    }
    rest.iter().fold(vec![Tree::ROOT], |from, step| {
        from.into_iter().flat_map(|at| matching(tree, at, step)).collect()
    })
}

fn matching<'t>(tree: &'t Tree, from: ElementId, step: &'t Step) -> impl Iterator<Item = ElementId> + 't {
    let mut position = 0;
    tree.children(from).filter_map(move |(id, element)| {
        if element.name == step.name {
            position += 1;
        }
        is_named(element, step, position).then_some(id)
    })
}

/// Whether an element, the `position`-th of its name, is one a step means.
fn is_named(element: &Element, step: &Step, position: u32) -> bool {
    element.name == step.name
        && match &step.predicate {
            Predicate::First => true,
            Predicate::Nth(number) => *number == position,
            Predicate::Attribute { name, value } => {
                element.attributes.iter().any(|(key, text)| key == name && text == value)
            }
        }
}

fn written(steps: &[Step], is_separated: bool) -> String {
    let mut text = String::new();
    for (at, step) in steps.iter().enumerate() {
        if at > 0 || is_separated {
            text.push('/');
        }
        text.push_str(&step.name);
        match &step.predicate {
            Predicate::First => {}
            Predicate::Nth(number) => text.push_str(&format!("[{number}]")),
            Predicate::Attribute { name, value } => text.push_str(&format!("[@{name}='{value}']")),
        }
    }
    text
}
