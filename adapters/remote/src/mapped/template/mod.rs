//! Requests as templates: `{{ path | filter }}` and `{% for line in claim.lines %}…{% endfor %}`, nothing else.
//!
//! A value is written as the place it stands in demands, which is known when the template is read: inside a JSON string
//! or outside, in XML text or in an attribute, in an address. So a value can never end what it stands in. In JSON the
//! repetitions of a `for` are parted by commas.

mod render;
mod slot;
mod syntax;
#[cfg(test)]
mod tests;

use yizhan_contract::Text;

use self::slot::Slot;
use self::syntax::Syntax;
use super::forms::{Codes, Forms};
use super::names::{Found, Kind, Name, Scope};

pub(super) use self::render::{Unwritten, Values};

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    Json,
    Xml,
    /// Path and query of an address.
    Address,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// The key it stands under.
    place: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    Value(Slot),
    Each { list: Vec<String>, pieces: Vec<Piece>, comma: &'static str },
}

/// What a template is read with.
#[derive(Clone, Copy)]
pub(super) struct Terms<'t> {
    pub(super) scope: &'t Scope,
    pub(super) codes: &'t Codes,
    pub(super) forms: &'t Forms,
}

/// A line of the template, counted from 1, and what is wrong there.
pub(super) type Wrong = (usize, Text);

/// A use of a name: its path, with `*` for the items of a list.
pub(super) type Use = (Vec<String>, Found);

enum Token<'t> {
    Literal(&'t str),
    Value(&'t str),
    Tag(&'t str),
}

struct Reader<'t> {
    terms: Terms<'t>,
    syntax: Syntax,
    medium: Medium,
    wrong: Vec<Wrong>,
    uses: Vec<Use>,
}

/// A `for` that has not ended yet.
struct Open {
    item: String,
    list: Vec<String>,
    names: &'static [Name],
    found: Found,
    pieces: Vec<Piece>,
    begun: Syntax,
    line: usize,
}

impl Template {
    /// The template, and every name it uses.
    ///
    /// # Errors
    /// Everything that is wrong, line by line.
    pub(super) fn read(
        place: &str,
        text: &str,
        medium: Medium,
        terms: Terms<'_>,
    ) -> Result<(Self, Vec<Use>), Vec<Wrong>> {
        let syntax = Syntax::at_start(medium);
        let mut reader = Reader { terms, syntax, medium, wrong: Vec::new(), uses: Vec::new() };
        let pieces = reader.pieces(text);
        if !reader.wrong.is_empty() {
            return Err(reader.wrong);
        }
        Ok((Self { pieces, place: place.to_owned() }, reader.uses))
    }
}

impl<'t> Reader<'t> {
    fn pieces(&mut self, text: &str) -> Vec<Piece> {
        let (mut whole, mut open) = (Vec::new(), None::<Open>);
        let (mut rest, mut line) = (text, 1);
        while !rest.is_empty() {
            let (token, after) = match next_token(rest) {
                Ok(found) => found,
                Err(why) => {
                    self.wrong.push((line, why));
                    return whole;
                }
            };
            let pieces = match &mut open {
                Some(open) => &mut open.pieces,
                None => &mut whole,
            };
            match token {
                Token::Literal(literal) => {
                    self.syntax.pass(literal);
                    pieces.push(Piece::Literal(literal.to_owned()));
                }
                Token::Value(inner) => {
                    let slot = self.slot(inner, open.as_ref(), line);
                    let pieces = open.as_mut().map_or(&mut whole, |open| &mut open.pieces);
                    pieces.extend(slot.map(Piece::Value));
                }
                Token::Tag(inner) => {
                    match (inner.split_whitespace().collect::<Vec<_>>().as_slice(), open.take()) {
                        (["for", item, "in", list], None) => open = self.begin(item, list, line),
                        (["endfor"], Some(ended)) => whole.push(self.end(ended, line)),
                        (_, still_open) => {
                            open = still_open;
                            self.wrong.push((line, no_such_tag()));
                        }
                    }
                }
            }
            line += rest[..rest.len() - after.len()].matches('\n').count();
            rest = after;
        }
        if let Some(open) = open {
            self.wrong.push((open.line, Text::new("for 没有 endfor", "the for has no endfor")));
        }
        whole
    }

    fn begin(&mut self, item: &str, list: &str, line: usize) -> Option<Open> {
        let path: Vec<String> = list.split('.').map(str::to_owned).collect();
        let found = self.terms.scope.find(&path);
        let Some(found @ Found { kind: Kind::List(names), .. }) = found else {
            let known = self.terms.scope.known();
            self.wrong.push((
                line,
                Text::new(
                    format!("{list} 不是此处可用的列表；可用：{known}"),
                    format!("{list} is no list that is known here; known: {known}"),
                ),
            ));
            // Read on as if it had been one, so that what follows is not blamed.
            return Some(Open {
                item: item.to_owned(),
                list: path,
                names: &[],
                found: Found { kind: Kind::List(&[]), is_personal: false, need: None },
                pieces: Vec::new(),
                begun: self.syntax,
                line,
            });
        };
        if !self.syntax.may_repeat() {
            self.wrong.push((
                line,
                Text::new("for 不能写在文本或标签之内", "a for cannot stand inside a string or a tag"),
            ));
        }
        let begun = self.syntax;
        Some(Open { item: item.to_owned(), list: path, names, found, pieces: Vec::new(), begun, line })
    }

    fn end(&mut self, open: Open, line: usize) -> Piece {
        if self.syntax != open.begun {
            self.wrong.push((
                line,
                Text::new(
                    "endfor 与 for 不在同一层：其间有未结束的文本或标签",
                    "the endfor does not stand where its for does: a string or a tag between them is not ended",
                ),
            ));
        }
        // How many items there are is told even where nothing is said of them.
        let path = open.list.iter().cloned().chain(["*".to_owned()]).collect();
        self.uses.push((path, open.found));
        let comma = if self.medium == Medium::Json { "," } else { "" };
        Piece::Each { list: open.list, pieces: open.pieces, comma }
    }

    fn slot(&mut self, inner: &str, open: Option<&Open>, line: usize) -> Option<Slot> {
        let place = self.syntax.place();
        let item = open.map(|open| (open.item.as_str(), open.list.as_slice(), open.names, open.found));
        let read = place.and_then(|place| slot::read(inner, place, self.terms, item, line));
        match read {
            Ok((slot, used)) => {
                self.uses.push(used);
                Some(slot)
            }
            Err(why) => {
                if !open.is_some_and(|open| open.names.is_empty()) {
                    self.wrong.push((line, why));
                }
                None
            }
        }
    }
}

fn no_such_tag() -> Text {
    Text::new(
        "只认识 {% for 名称 in 列表 %} 与 {% endfor %}，且不可嵌套",
        "known are {% for name in list %} and {% endfor %} alone, one at a time",
    )
}

fn next_token(text: &str) -> Result<(Token<'_>, &str), Text> {
    let opens = |opening: &str| text.find(opening).unwrap_or(text.len());
    let begin = opens("{{").min(opens("{%"));
    if begin > 0 {
        return Ok((Token::Literal(&text[..begin]), &text[begin..]));
    }
    let (closing, is_value) = if text.starts_with("{{") { ("}}", true) } else { ("%}", false) };
    let inner = &text[2..];
    let Some(end) = end_outside_quotes(inner, closing) else {
        let (zh, en) = (format!("缺少 {closing}"), format!("{closing} is missing"));
        return Err(Text::new(zh, en));
    };
    let (inner, after) = (&inner[..end], &inner[end + 2..]);
    Ok((if is_value { Token::Value(inner) } else { Token::Tag(inner) }, after))
}

fn end_outside_quotes(text: &str, closing: &str) -> Option<usize> {
    let mut is_quoted = false;
    text.char_indices()
        .find(|(at, c)| {
            is_quoted ^= *c == '"';
            !is_quoted && text[*at..].starts_with(closing)
        })
        .map(|(at, _)| at)
}
