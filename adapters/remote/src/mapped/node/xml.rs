//! XML, without DOCTYPE and so without any entity beyond the five.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{DEPTH_MAX, Leaf, NODES_MAX, Node};

/// Attributes of one element.
const ATTRIBUTES_MAX: usize = 64;

/// An element that has not ended yet.
struct Open {
    name: String,
    children: Vec<(String, Node)>,
    text: String,
}

/// # Errors
/// The line, counted from 1, up to which it is XML.
pub(in crate::mapped) fn read(text: &str) -> Result<Node, usize> {
    let mut reader = Reader::from_str(text);
    let mut tree = Building { open: Vec::new(), root: None, count: 0 };
    loop {
        let event = reader.read_event().ok();
        let went_on = match event {
            Some(Event::Eof) => break,
            Some(event) => tree.add(event),
            None => None,
        };
        if went_on.is_none() {
            let upto = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX).min(text.len());
            return Err(1 + text.as_bytes()[..upto].iter().filter(|byte| **byte == b'\n').count());
        }
    }
    match tree {
        Building { root: Some((name, root)), open, .. } if open.is_empty() => {
            Ok(Node::group(vec![(name, root)]))
        }
        _ => Err(1 + text.matches('\n').count()),
    }
}

struct Building {
    open: Vec<Open>,
    root: Option<(String, Node)>,
    count: usize,
}

impl Building {
    /// Absent: no well-formed document goes on like this, or none that we read.
    fn add(&mut self, event: Event<'_>) -> Option<()> {
        match event {
            Event::Start(tag) => {
                let open = self.start(&tag)?;
                self.open.push(open);
                (self.open.len() <= DEPTH_MAX).then_some(())
            }
            Event::Empty(tag) => {
                let open = self.start(&tag)?;
                self.end(open)
            }
            Event::End(_) => {
                let open = self.open.pop()?;
                self.end(open)
            }
            Event::Text(text) => self.append(&text.xml10_content()),
            Event::CData(text) => self.append(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = character(&reference)?;
                self.append(character.encode_utf8(&mut [0; 4]))
            }
            Event::DocType(_) => None,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => Some(()),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Option<Open> {
        self.count += 1;
        if self.count > NODES_MAX || (self.open.is_empty() && self.root.is_some()) {
            return None;
        }
        let mut children = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.ok()?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?;
            let name = format!("@{}", attribute.key.local_name().as_ref());
            children.push((name, Node::of(Leaf::Written(value.trim().to_owned()))));
        }
        let name = tag.local_name().as_ref().to_owned();
        (children.len() <= ATTRIBUTES_MAX).then_some(Open { name, children, text: String::new() })
    }

    fn end(&mut self, open: Open) -> Option<()> {
        let Open { name, children, text } = open;
        let has_elements = children.iter().any(|(name, _)| !name.starts_with('@'));
        // Text between elements belongs to nobody.
        let leaf = (!has_elements).then(|| Leaf::Written(text.trim().to_owned()));
        let node = Node { leaf, ..Node::group(children) };
        match self.open.last_mut() {
            Some(parent) => parent.children.push((name, node)),
            None => self.root = Some((name, node)),
        }
        Some(())
    }

    fn append(&mut self, text: &str) -> Option<()> {
        match self.open.last_mut() {
            Some(open) => open.text.push_str(text),
            None if text.trim_start_matches('\u{feff}').trim().is_empty() => {}
            None => return None,
        }
        Some(())
    }
}

fn character(reference: &BytesRef<'_>) -> Option<char> {
    match reference.as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ if reference.is_char_ref() => {
            reference.resolve_char_ref().ok().flatten().filter(|c| is_xml_character(*c))
        }
        _ => None,
    }
}

/// XML 1.0 §2.2, `Char`.
pub(in crate::mapped) fn is_xml_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::super::Path;
    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0" encoding="GB18030"?>
<s:Response xmlns:s="urn:x" xmlns="urn:y"><!-- 应答 -->
  <Head code=" 00 "><Message>成功 &lt;ok&gt; &#x4E00;</Message></Head>
  <Body><Item><Kind>SUP</Kind><Amt>155.07</Amt></Item><Item><Kind>ACC</Kind><Amt/></Item>
    <Note><![CDATA[<b>x</b>]]></Note></Body>
</s:Response>"#;

    #[test]
    fn elements_and_attributes_are_found_by_their_local_names() {
        let answer = read(ANSWER).unwrap();
        for (path, expected) in [
            ("Response/Head/@code", Some("00")),
            ("Response/Head/Message", Some("成功 <ok> 一")),
            ("Response/Body/Note", Some("<b>x</b>")),
            ("Response/Body/Sum", None),
            ("Answer/Body", None),
        ] {
            let found = answer.leaf(&Path::xml(path).unwrap()).unwrap();
            assert_eq!(found.and_then(Leaf::as_text), expected, "{path}");
        }
        for (path, wrong) in
            [("Response/Body/Item/Amt", "more than one Item"), ("Response/Body", "no single value")]
        {
            let error = answer.leaf(&Path::xml(path).unwrap()).unwrap_err();
            assert!(error.en.contains(wrong), "{path}: {}", error.en);
        }
        let items = answer.each(&Path::xml("Response/Body/Item").unwrap()).unwrap();
        let amount = |item: &Node| item.leaf(&Path::xml("Amt").unwrap()).unwrap().cloned();
        let amounts: Vec<_> = items.into_iter().filter_map(amount).collect();
        assert_eq!(amounts, [Leaf::Written("155.07".into()), Leaf::Written(String::new())]);
        assert!(answer.each(&Path::xml("Response/Body/None").unwrap()).unwrap().is_empty());
        for path in ["", "/Response", "Response//Code", "a/@b/c", "a/b[1]", "s:Response", "@"] {
            assert!(Path::xml(path).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_not_well_formed_or_could_hurt_is_refused_at_its_line() {
        let deep = "<a>".repeat(DEPTH_MAX + 1) + &"</a>".repeat(DEPTH_MAX + 1);
        for (text, line) in [
            ("", 1),
            ("<a>", 1),
            ("<a>\n<b></a>", 2),
            ("<a/>\n<b/>", 2),
            ("x<a/>", 1),
            ("<a>&nbsp;</a>", 1),
            ("<a>&#0;</a>", 1),
            ("<!DOCTYPE a [<!ENTITY e 'x'>]>\n<a>&e;</a>", 1),
            ("<a b='1' b='2'/>", 1),
            ("{\"a\":1}", 1),
            (deep.as_str(), 1),
        ] {
            assert_eq!(read(text), Err(line), "{text:.60}");
        }
    }
}
