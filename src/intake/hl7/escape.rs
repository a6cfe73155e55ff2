//! Escape sequences (HL7 v2.5 ch. 2.7), read after a message was divided and written before it is joined.

use std::borrow::Cow;

use super::charset::Charset;
use super::delimiters::Delimiters;

/// How a message is written: what reading a piece of it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    pub delimiters: Delimiters,
    pub charset: Charset,
}

/// Longest sequence between two escape characters; what is longer is data.
const SEQUENCE_BYTES_MAX: usize = 1024;
/// Most lines or columns one `\.sp<n>\` or `\.sk<n>\` may ask for.
const SPACING_MAX: usize = 100;

/// Text with its escape sequences resolved. A sequence nobody knows and a lone escape character stay.
pub fn unescape<'t>(raw: &'t str, syntax: &Syntax) -> Cow<'t, str> {
    let Some(escape) = syntax.delimiters.escape else { return Cow::Borrowed(raw) };
    let Some(first) = memchr::memchr(escape, raw.as_bytes()) else { return Cow::Borrowed(raw) };
    let escape = char::from(escape);
    let mut text = String::with_capacity(raw.len());
    text.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(after) = rest.strip_prefix(escape) {
        let sequence = after.split_once(escape).map(|(sequence, _)| sequence);
        let sequence = sequence.filter(|sequence| sequence.len() <= SEQUENCE_BYTES_MAX);
        let meaning = sequence.and_then(|sequence| meaning(sequence, syntax));
        rest = match (sequence, meaning) {
            (Some(sequence), Some(meaning)) => {
                text.push_str(&meaning);
                &after[sequence.len() + escape.len_utf8()..]
            }
            _ => {
                text.push(escape);
                after
            }
        };
        let next = rest.find(escape).unwrap_or(rest.len());
        text.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    Cow::Owned(text)
}

/// What a sequence stands for; `None` if it is unknown, or local (`Z`), or a charset switch (`C`, `M`).
fn meaning(sequence: &str, syntax: &Syntax) -> Option<Cow<'static, str>> {
    let delimiters = &syntax.delimiters;
    let character = |byte: Option<u8>| byte.map(|byte| Cow::Owned(char::from(byte).to_string()));
    match sequence {
        "F" => character(Some(delimiters.field)),
        "S" => character(delimiters.component),
        "T" => character(delimiters.subcomponent),
        "R" => character(delimiters.repetition),
        "E" => character(delimiters.escape),
        "P" => character(delimiters.truncation),
        // Highlighting has no meaning in plain text.
        "H" | "N" => Some(Cow::Borrowed("")),
        _ => match sequence.split_at_checked(1)? {
            ("X", digits) => bytes_of(digits, syntax.charset),
            (".", command) => formatted(command),
            _ => None,
        },
    }
}

/// `\Xdd..\`: bytes in the character set of the message.
fn bytes_of(digits: &str, charset: Charset) -> Option<Cow<'static, str>> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| match *pair {
            [high, low] => Some((char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?) as u8),
            _ => None,
        })
        .collect();
    let bytes = bytes.filter(|bytes| !bytes.is_empty())?;
    Some(Cow::Owned(charset.decode(&bytes).ok()?.into_owned()))
}

/// The formatting commands of FT data (HL7 v2.5 ch. 2.7.6), as far as plain text can follow them.
fn formatted(command: &str) -> Option<Cow<'static, str>> {
    let digits = command.get(2..)?.trim_start_matches('+');
    let count = if digits.is_empty() { Some(1) } else { digits.parse().ok() };
    let count: usize = count.filter(|count| *count <= SPACING_MAX)?;
    match command.get(..2)? {
        "br" | "ce" => Some(Cow::Borrowed("\n")),
        "sp" => Some(Cow::Owned("\n".repeat(count))),
        "sk" => Some(Cow::Owned(" ".repeat(count))),
        "ti" | "in" | "fi" | "nf" => Some(Cow::Borrowed("")),
        _ => None,
    }
}

/// Text as it may stand in a field. Control characters, CR first of all, become `\Xdd\`: raw they
/// would end the segment or the frame.
pub fn escape<'t>(text: &'t str, delimiters: &Delimiters) -> Cow<'t, str> {
    let special = |c: char| is_control(c) || delimiters.all().any(|byte| char::from(byte) == c);
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match delimiters.escape {
            _ if !special(c) => written.push(c),
            // Nothing can be escaped: losing a separator is better than inventing a field.
            None => written.push(' '),
            Some(escape) => {
                let escape = char::from(escape);
                written.push(escape);
                written.push_str(&sequence_for(c, delimiters));
                written.push(escape);
            }
        }
    }
    Cow::Owned(written)
}

fn is_control(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

fn sequence_for(c: char, delimiters: &Delimiters) -> Cow<'static, str> {
    let is = |byte: Option<u8>| byte.is_some_and(|byte| char::from(byte) == c);
    Cow::Borrowed(match c {
        _ if is(Some(delimiters.field)) => "F",
        _ if is(delimiters.component) => "S",
        _ if is(delimiters.subcomponent) => "T",
        _ if is(delimiters.repetition) => "R",
        _ if is(delimiters.escape) => "E",
        _ if is(delimiters.truncation) => "P",
        _ => return Cow::Owned(format!("X{:02X}", u32::from(c))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Syntax = Syntax { delimiters: Delimiters::STANDARD, charset: Charset::Utf8 };

    #[test]
    fn known_sequences_are_resolved_and_others_stay() {
        for (raw, text) in [
            ("plain", "plain"),
            (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
            (r"\X0D0A\", "\r\n"),
            (r"\XE4B8AD\", "中"),
            (r"\XFF\ \X0\ \XGG\ \X\", r"\XFF\ \X0\ \XGG\ \X\"),
            (r"one\.br\two\.sp2\three\.sk3\four", "one\ntwo\n\nthree   four"),
            (r"\.in+4\\H\loud\N\", "loud"),
            (r"\.sp99999999\", r"\.sp99999999\"),
            (r"\Z01\ \C2842\", r"\Z01\ \C2842\"),
            (r"C:\temp", r"C:\temp"),
            (r"C:\temp\F\x", r"C:\temp|x"),
            (r"end\", r"end\"),
            (r"\\", r"\\"),
            (r"\P\", r"\P\"),
        ] {
            assert_eq!(unescape(raw, &STANDARD), text, "{raw}");
        }
    }

    #[test]
    fn hexadecimal_bytes_are_in_the_charset_of_the_message() {
        let gbk = Syntax { charset: Charset::GBK, ..STANDARD };
        assert_eq!(unescape(r"\XD6D0\", &gbk), "中");
    }

    #[test]
    fn what_is_escaped_reads_back() {
        for text in ["", "a|b^c&d~e\\f", "line\r\nline", "\u{b}\u{1c}", "中文|", "\\X0D\\"] {
            let written = escape(text, &Delimiters::STANDARD);
            assert!(!written.contains(['|', '^', '&', '~', '\r', '\n', '\u{b}', '\u{1c}']), "{written}");
            assert_eq!(unescape(&written, &STANDARD), text);
        }
    }

    #[test]
    fn without_an_escape_character_separators_become_blanks() {
        let none = Delimiters { escape: None, ..Delimiters::STANDARD };
        assert_eq!(escape("a|b\rc", &none), "a b c");
    }
}
