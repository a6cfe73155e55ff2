//! Writing XML: elements in order, text escaped, nothing that XML 1.0 cannot hold.

use std::borrow::Cow;
use std::fmt::Display;

use quick_xml::escape::escape;

/// A document being written. Names are ours; only text comes from outside, and it is escaped.
#[derive(Debug)]
pub struct Markup {
    text: String,
}

impl Markup {
    /// `write` fills the root element, which carries the default namespace.
    pub fn document(root: &str, namespace: &str, write: impl FnOnce(&mut Self)) -> String {
        let mut markup = Self { text: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") };
        markup.element_in(root, namespace, write);
        markup.text.push('\n');
        markup.text
    }

    /// An element that changes the default namespace for what is in it.
    pub fn element_in(&mut self, name: &str, namespace: &str, write: impl FnOnce(&mut Self)) {
        self.text += &format!("<{name} xmlns=\"{}\">", escape(namespace));
        write(self);
        self.text += &format!("</{name}>");
    }

    pub fn element(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.text += &format!("<{name}>");
        write(self);
        self.text += &format!("</{name}>");
    }

    pub fn leaf(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        self.text += &format!("<{name}>{}</{name}>", escape(writable(&value)));
    }

    /// What is null in JSON is an element left out.
    pub fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(name, value);
        }
    }
}

/// Characters outside XML 1.0 §2.2 have no escape; they become U+FFFD.
fn writable(text: &str) -> Cow<'_, str> {
    let is_writable =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..) && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
    if text.chars().all(is_writable) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_writable(c) { c } else { '\u{FFFD}' }).collect())
}
