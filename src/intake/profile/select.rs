//! The paths a profile may name: into an HL7 message (`PID-3[NI].1`) and into any XML document
//! (`/Envelope/Body/notice/id[@root='2.16']/@extension`).

use std::collections::BTreeMap;

use yizhan_contract::Text;

use super::super::hl7::SegmentId;

/// Which repetition of an HL7 field is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// Counts from 1.
    Number(u16),
    /// The first whose CX type (component 5) is this.
    Typed(String),
}

/// `segment-field[repetition].component.subcomponent`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hl7Selector {
    pub segment: SegmentId,
    pub field: u16,
    pub repetition: Repetition,
    /// Counts from 1.
    pub component: u16,
    /// Counts from 1; 0: the component whole, so that a `&` somebody forgot to escape stays in the text.
    pub subcomponent: u16,
}

impl Hl7Selector {
    /// Reads `PV1-19`, `PID-3[2].1`, `PID-3[NI].1`, `FT1-11.1.2`.
    pub fn parse(text: &str) -> Result<Self, Text> {
        let wrong = || {
            Text::new(
                format!("{text:?} 不是路径，请写成 PV1-19、PID-3[NI].1 或 FT1-11.1 的形式"),
                format!("{text:?} is no path; write it like PV1-19, PID-3[NI].1 or FT1-11.1"),
            )
        };
        let (segment, rest) = text.split_once('-').ok_or_else(wrong)?;
        let segment = SegmentId::read(segment.as_bytes()).ok_or_else(wrong)?;
        let number = |part: &str| part.parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(wrong);
        let (field, repetition, rest) = match rest.split_once('[') {
            None => {
                let (field, rest) = rest.split_once('.').unwrap_or((rest, ""));
                (field, Repetition::Number(1), rest)
            }
            Some((field, rest)) => {
                let (which, rest) = rest.split_once(']').ok_or_else(wrong)?;
                let repetition = match which.parse::<u16>() {
                    Ok(0) => return Err(wrong()),
                    Ok(number) => Repetition::Number(number),
                    Err(_) if which.is_empty() => return Err(wrong()),
                    Err(_) => Repetition::Typed(which.to_owned()),
                };
                if !rest.is_empty() && !rest.starts_with('.') {
                    return Err(wrong());
                }
                (field, repetition, rest.strip_prefix('.').unwrap_or(rest))
            }
        };
        let (component, subcomponent) = match rest.split_once('.') {
            _ if rest.is_empty() => (1, 0),
            None => (number(rest)?, 0),
            Some((component, subcomponent)) => (number(component)?, number(subcomponent)?),
        };
        Ok(Self { segment, field: number(field)?, repetition, component, subcomponent })
    }
}

/// Which of the child elements of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    First,
    /// Counts from 1.
    Nth(u32),
    Attribute {
        name: String,
        value: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Local name; prefixes and namespaces are not looked at.
    pub name: String,
    pub predicate: Predicate,
}

/// Child elements, then the element's text or one of its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlPath {
    pub steps: Vec<Step>,
    pub attribute: Option<String>,
}

impl XmlPath {
    /// Reads `/root/a/b[2]/c[@code='X']/@value`; without the leading `/` it starts at a list's item.
    pub fn parse(text: &str, is_absolute: bool) -> Result<Self, Text> {
        let wrong = |zh: &str, en: &str| Text::new(format!("{text:?}：{zh}"), format!("{text:?}: {en}"));
        let body = match text.strip_prefix('/') {
            Some(body) if is_absolute => body,
            None if !is_absolute => text,
            Some(_) => {
                return Err(wrong("列表内的路径不以 / 开头", "a path inside a list does not begin with /"));
            }
            None => {
                return Err(wrong("路径须以 / 和根元素开头", "a path begins with / and the root element"));
            }
        };
        let mut path = Self { steps: Vec::new(), attribute: None };
        for part in split_steps(body) {
            if path.attribute.is_some() {
                return Err(wrong("属性之后不得再有内容", "nothing may follow an attribute"));
            }
            match part.strip_prefix('@') {
                Some(name) if is_name(name) => path.attribute = Some(local(name).to_owned()),
                Some(_) => {
                    let (zh, en) = (format!("{part:?} 不是属性名"), format!("{part:?} is no attribute name"));
                    return Err(wrong(&zh, &en));
                }
                // The item itself.
                None if part == "." => {}
                None => path.steps.push(parse_step(part).map_err(|why| wrong(&why.zh, &why.en))?),
            }
        }
        Ok(path)
    }
}

/// Splits at `/`, but not inside a predicate.
fn split_steps(text: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    text.split(move |c| {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ => {}
        }
        c == '/' && !is_inside
    })
}

fn parse_step(part: &str) -> Result<Step, Text> {
    let (name, predicate) = match part.split_once('[') {
        None => (part, Predicate::First),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(']').ok_or_else(|| {
                Text::new(format!("{part:?} 缺少 ]，请补上"), format!("{part:?} lacks its ]; add it"))
            })?;
            let predicate = parse_predicate(inner).ok_or_else(|| {
                Text::new(
                    format!("[{inner}] 须为 [序号] 或 [@属性='值']"),
                    format!("[{inner}] is neither [n] nor [@name='value']; write one of them"),
                )
            })?;
            (name, predicate)
        }
    };
    if !is_name(name) {
        return Err(Text::new(
            format!("{name:?} 不是元素名（不支持 // 和 *），请逐级写出"),
            format!("{name:?} is no element name; write every step (// and * are not supported)"),
        ));
    }
    Ok(Step { name: local(name).to_owned(), predicate })
}

fn parse_predicate(text: &str) -> Option<Predicate> {
    if let Ok(number) = text.parse::<u32>() {
        return (number > 0).then_some(Predicate::Nth(number));
    }
    let (name, value) = text.strip_prefix('@')?.split_once('=')?;
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('\'').or_else(|| quoted('"'))?;
    is_name(name).then(|| Predicate::Attribute { name: local(name).to_owned(), value: value.to_owned() })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '@', '[', ']', '(', ')', ' ', '.'])
}

/// A name without its prefix.
pub fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Where one list of the normal form stands in a foreign document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlListMap {
    /// Absolute path of the repeated element.
    pub each: XmlPath,
    /// By leaf name (`id`, `amount`), relative to `each`.
    pub fields: BTreeMap<String, XmlPath>,
}

/// How one kind of foreign XML document is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlMap {
    pub name: String,
    /// Local name of the root element.
    pub root: String,
    pub namespace: Option<String>,
    /// A path that must exist, where several kinds of document share a root (SOAP).
    pub has: Option<XmlPath>,
    /// By name of the normal form.
    pub fields: BTreeMap<String, XmlPath>,
    pub lines: Option<XmlListMap>,
    pub diagnoses: Option<XmlListMap>,
    pub settled_elsewhere: Option<XmlListMap>,
}
