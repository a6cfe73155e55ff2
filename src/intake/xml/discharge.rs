//! The XML discharge document, `schemas/discharge.xsd`: the names of the normal form as elements.
//!
//! Lists come as `<lines><line>…</line></lines>`, or as `<lines>…</lines>` once for each line.

use std::borrow::Cow;

use super::super::limits::LINES_MAX;
use super::super::problems::{Oddity, Problems};
use super::super::raw::{Field, Place, RawStay};
use super::super::shown::shown;
use super::tree::{Element, ElementId, Tree};
use crate::refusal::Code;
use crate::settlement::names::{DiagnosisField, Head, LineField, List, PayerField, SECTIONS};

pub const NAMESPACE: &str = "urn:yizhan:discharge:1";
pub const ROOT: &str = "discharge";

/// Whether a document calls itself a discharge of ours.
pub fn is_discharge(tree: &Tree) -> bool {
    let root = tree.root();
    root.name == ROOT && root.namespace.as_deref().is_none_or(|namespace| namespace == NAMESPACE)
}

/// Reads a document into its raw form; what is wrong with it goes to `problems`.
pub fn read<'a>(tree: &'a Tree, problems: &mut Problems) -> RawStay<'a> {
    let mut reader = XmlReader { tree, problems, raw: RawStay::default() };
    let mut positions = Positions::of(tree);
    let root = tree.root();
    if root.namespace.is_none() {
        let place = place("/discharge".to_owned(), root);
        reader.problems.warn(place, Oddity::NamespaceMissing);
    }
    reader.only_children(root, "/discharge");
    for (id, element) in tree.children(Tree::ROOT) {
        let path = format!("/discharge/{}", shown(&element.name));
        if let Some(list) = List::from_word(&element.name) {
            let base = positions.next(list);
            reader.list(list, id, base);
        } else if SECTIONS.contains(&element.name.as_str()) {
            reader.section(id, &path);
        } else {
            let name = Head::from_word(&element.name).filter(|name| !name.word().contains('.'));
            reader.head(name, element, path);
        }
    }
    reader.raw
}

fn place<'a>(path: impl Into<Cow<'a, str>>, element: &Element) -> Place<'a> {
    Place::Xml { path: path.into(), line: element.line, column: element.column }
}

/// How often each list's element occurs, and how many have been read.
struct Positions {
    all: [usize; List::ALL.len()],
    read: [usize; List::ALL.len()],
}

impl Positions {
    fn of(tree: &Tree) -> Self {
        let mut all = [0; List::ALL.len()];
        for (_, element) in tree.children(Tree::ROOT) {
            if let Some(list) = List::from_word(&element.name) {
                all[list as usize] += 1;
            }
        }
        Self { all, read: [0; List::ALL.len()] }
    }

    /// `/discharge/lines`, with a position where the element is repeated.
    fn next(&mut self, list: List) -> String {
        self.read[list as usize] += 1;
        match self.all[list as usize] {
            0 | 1 => format!("/discharge/{}", list.word()),
            _ => format!("/discharge/{}[{}]", list.word(), self.read[list as usize]),
        }
    }
}

struct XmlReader<'a, 'p> {
    tree: &'a Tree,
    problems: &'p mut Problems,
    raw: RawStay<'a>,
}

/// Rows of one list, with their places.
type Rows<'a, const COUNT: usize> = Vec<(Place<'a>, [Field<'a>; COUNT])>;

fn add<R>(all: &mut Vec<R>, rows: Vec<R>) {
    let room = (LINES_MAX + 1).saturating_sub(all.len());
    all.extend(rows.into_iter().take(room));
}

impl<'a> XmlReader<'a, '_> {
    fn head(&mut self, name: Option<Head>, element: &'a Element, path: String) {
        let place = place(path, element);
        let Some(name) = name else {
            self.unknown(&place);
            return;
        };
        // An empty element keeps its place, and thereby is seen when it comes twice.
        if self.raw.head[name.index()].place != Place::Whole {
            self.repeated(&place);
            return;
        }
        self.raw.head[name.index()] = self.leaf(element, place);
    }

    fn section(&mut self, id: ElementId, path: &str) {
        let section = self.tree.of(id);
        self.only_children(section, path);
        for (_, element) in self.tree.children(id) {
            let name = Head::from_word(&format!("{}.{}", section.name, element.name));
            self.head(name, element, format!("{path}/{}", shown(&element.name)));
        }
    }

    /// One element of a list's name. Rows beyond the limit are not made: one more is enough to refuse.
    fn list(&mut self, list: List, id: ElementId, base: String) {
        match list {
            List::Lines => {
                let rows = self.rows(list, id, base, LineField::from_word, LineField::index);
                add(&mut self.raw.lines, rows);
            }
            List::Diagnoses => {
                let rows = self.rows(list, id, base, DiagnosisField::from_word, DiagnosisField::index);
                add(self.raw.diagnoses.get_or_insert_default(), rows);
            }
            List::SettledElsewhere => {
                let rows = self.rows(list, id, base, PayerField::from_word, PayerField::index);
                add(self.raw.settled_elsewhere.get_or_insert_default(), rows);
            }
        }
    }

    fn rows<N: Copy, const COUNT: usize>(
        &mut self,
        list: List,
        id: ElementId,
        base: String,
        from_word: fn(&str) -> Option<N>,
        index: fn(N) -> usize,
    ) -> Rows<'a, COUNT> {
        let holder = self.tree.of(id);
        if holder.children.is_empty() {
            self.only_children(holder, &base);
            return Vec::new();
        }
        let holds_items = self.tree.children(id).any(|(_, child)| child.name == list.item());
        if !holds_items {
            return vec![self.row(id, base, from_word, index)];
        }
        self.only_children(holder, &base);
        let mut rows = Vec::new();
        for (position, (item, child)) in self.tree.children(id).enumerate().take(LINES_MAX + 1) {
            if child.name != list.item() {
                self.unknown(&place(format!("{base}/{}", shown(&child.name)), child));
                continue;
            }
            let path = format!("{base}/{}[{}]", list.item(), position + 1);
            rows.push(self.row(item, path, from_word, index));
        }
        rows
    }

    fn row<N: Copy, const COUNT: usize>(
        &mut self,
        id: ElementId,
        path: String,
        from_word: fn(&str) -> Option<N>,
        index: fn(N) -> usize,
    ) -> (Place<'a>, [Field<'a>; COUNT]) {
        let element = self.tree.of(id);
        self.only_children(element, &path);
        let mut row: [Field<'a>; COUNT] = std::array::from_fn(|_| Field::default());
        for (_, leaf) in self.tree.children(id) {
            let place = place(format!("{path}/{}", shown(&leaf.name)), leaf);
            // `kind` is HL7's; a document has charges, and marks its credits.
            match from_word(&leaf.name).filter(|_| leaf.name != "kind") {
                None => self.unknown(&place),
                Some(name) if row[index(name)].place != Place::Whole => self.repeated(&place),
                Some(name) => row[index(name)] = self.leaf(leaf, place),
            }
        }
        (place(path, element), row)
    }

    fn leaf(&mut self, element: &'a Element, place: Place<'a>) -> Field<'a> {
        if !element.children.is_empty() {
            self.problems.refuse(Code::BadValue, &place, "只能包含文本", "must hold text only");
        }
        self.no_attributes(element, &place);
        self.same_namespace(element, &place);
        Field::text(element.text.as_str(), place)
    }

    fn only_children(&mut self, element: &Element, path: &str) {
        let place = place(path, element);
        if !element.text.trim().is_empty() {
            self.problems.refuse(Code::BadValue, &place, "此处不得有文本", "text is not allowed here");
        }
        self.no_attributes(element, &place);
        self.same_namespace(element, &place);
    }

    fn no_attributes(&mut self, element: &Element, place: &Place<'_>) {
        if let Some((name, _)) = element.attributes.first() {
            let place = format!("{place}/@{}", shown(name));
            self.problems.refuse(Code::UnknownField, place, "不接受属性", "attributes are not accepted");
        }
    }

    fn same_namespace(&mut self, element: &Element, place: &Place<'_>) {
        if element.namespace != self.tree.root().namespace {
            let en = "is in another namespace than its root";
            self.problems.refuse(Code::UnknownField, place, "命名空间与根元素不同", en);
        }
    }

    fn unknown(&mut self, place: &Place<'_>) {
        self.problems.refuse(Code::UnknownField, place, "没有该元素", "there is no such element");
    }

    fn repeated(&mut self, place: &Place<'_>) {
        self.problems.refuse(Code::BadValue, place, "同一元素出现两次", "the element is given twice");
    }
}
