//! An insurer's answer, JSON or XML, as one small tree.
//!
//! Numbers stay as they were written, so that an amount is exact. What stands twice where one was meant is no answer.

mod json;
mod xml;

use yizhan_contract::Text;

pub(super) use self::json::read as read_json;
pub(super) use self::xml::{is_xml_character, read as read_xml};

/// Deepest nesting of an answer.
const DEPTH_MAX: usize = 32;
/// Most values of an answer.
const NODES_MAX: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaf {
    /// A JSON string.
    Text(String),
    /// A JSON number, as it was written.
    Number(String),
    /// Text of XML, which may be either.
    Written(String),
    Flag(bool),
    Null,
}

impl Leaf {
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Written(text) => Some(text),
            Self::Flag(true) => Some("true"),
            Self::Flag(false) => Some("false"),
            Self::Null => None,
        }
    }
}

/// A JSON value or an XML element; an attribute is a child whose name begins with `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Absent of objects, lists and elements that have children.
    pub(super) leaf: Option<Leaf>,
    /// Items of a list are named `0`, `1` and so on.
    pub(super) children: Vec<(String, Node)>,
    pub(super) is_list: bool,
}

/// Where a value stands: a JSON pointer (RFC 6901), or names of XML elements, the last one perhaps an `@attribute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    steps: Vec<String>,
    written: String,
}

impl Path {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn json(text: &str) -> Result<Self, Text> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(Text::new(
                "须为 JSON 指针（RFC 6901），以 / 开头，如 /data/amount",
                "must be a JSON pointer (RFC 6901), beginning with /, such as /data/amount",
            ));
        };
        let steps = rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        Ok(Self { steps, written: text.to_owned() })
    }

    /// # Errors
    /// What is wrong with it.
    pub(super) fn xml(text: &str) -> Result<Self, Text> {
        let steps: Vec<String> = text.split('/').map(str::to_owned).collect();
        let is_name = |name: &str| !name.is_empty() && !name.contains(['@', ':', '[', '*', ' ', '.']);
        let (last, before) = steps.split_last().ok_or_else(no_xml_path)?;
        if !before.iter().all(|step| is_name(step)) || !is_name(last.strip_prefix('@').unwrap_or(last)) {
            return Err(no_xml_path());
        }
        Ok(Self { steps, written: text.to_owned() })
    }
}

fn no_xml_path() -> Text {
    Text::new(
        "须为从根元素起的元素名，以 / 分隔，如 Response/Head/Code，最后可为 @属性",
        "must be the names of elements from the root on, such as Response/Head/Code, at the end perhaps @attribute",
    )
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

impl Node {
    fn group(children: Vec<(String, Self)>) -> Self {
        Self { leaf: None, children, is_list: false }
    }

    fn of(leaf: Leaf) -> Self {
        Self { leaf: Some(leaf), children: Vec::new(), is_list: false }
    }

    /// # Errors
    /// Where there are several.
    fn one(&self, name: &str, path: &Path) -> Result<Option<&Self>, Text> {
        let mut found = self.children.iter().filter(|(child, _)| child == name).map(|(_, node)| node);
        match (found.next(), found.next()) {
            (node, None) => Ok(node),
            _ => Err(Text::new(
                format!("{path} 处有多个 {name}"),
                format!("there is more than one {name} at {path}"),
            )),
        }
    }

    fn at(&self, steps: &[String], path: &Path) -> Result<Option<&Self>, Text> {
        let mut node = self;
        for step in steps {
            match node.one(step, path)? {
                Some(next) => node = next,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// The value at a path; absent where nothing stands, or `null`.
    ///
    /// # Errors
    /// Where more than one value stands, or none that is a single one.
    pub(super) fn leaf(&self, path: &Path) -> Result<Option<&Leaf>, Text> {
        let Some(node) = self.at(&path.steps, path)? else { return Ok(None) };
        match &node.leaf {
            Some(Leaf::Null) => Ok(None),
            Some(leaf) => Ok(Some(leaf)),
            None => Err(Text::new(format!("{path} 不是单个值"), format!("{path} is no single value"))),
        }
    }

    /// Every item at a path: of a JSON list, or XML elements of one name.
    ///
    /// # Errors
    /// Where no list can stand.
    pub(super) fn each(&self, path: &Path) -> Result<Vec<&Self>, Text> {
        let no_list = || Text::new(format!("{path} 不是列表"), format!("{path} is no list"));
        let (last, before) = path.steps.split_last().ok_or_else(no_list)?;
        let Some(parent) = self.at(before, path)? else { return Err(no_list()) };
        let found: Vec<&Self> =
            parent.children.iter().filter(|(name, _)| name == last).map(|(_, node)| node).collect();
        match found.as_slice() {
            [list] if list.is_list => Ok(list.children.iter().map(|(_, node)| node).collect()),
            [one] if !matches!(one.leaf, Some(Leaf::Written(_)) | None) => Err(no_list()),
            _ => Ok(found),
        }
    }
}
