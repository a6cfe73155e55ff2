//! What is wrong in a mapping file: all of it at once, each with its place.

use std::fmt;

use yizhan_contract::Text;

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// A key, such as `quote.answer.status`; with `, line 3` a line of the template there; or a line of the file.
    pub place: String,
    /// What is so, and what it should be.
    pub text: Text,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} | {}", self.place, self.text.zh, self.text.en)
    }
}

/// A mapping file that cannot be used; the operator's side, trying again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingError {
    /// Never empty.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, mistake) in self.mistakes.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for MappingError {}

impl From<Mistake> for MappingError {
    fn from(mistake: Mistake) -> Self {
        Self { mistakes: vec![mistake] }
    }
}

/// Collects mistakes while a file is checked, so that its author sees all of them.
#[derive(Default)]
pub(super) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn add(&mut self, place: impl Into<String>, text: Text) {
        self.0.push(Mistake { place: place.into(), text });
    }

    /// What was read, or the mistake why it could not be.
    pub(super) fn noted<T>(&mut self, place: &str, read: Result<T, Text>) -> Option<T> {
        read.map_err(|text| self.add(place, text)).ok()
    }

    pub(super) fn into_result<T>(self, checked: Option<T>) -> Result<T, MappingError> {
        match checked {
            Some(checked) if self.0.is_empty() => Ok(checked),
            _ => Err(MappingError { mistakes: self.0 }),
        }
    }
}

/// A text that is no TOML.
pub(super) fn no_toml(text: &str, why: &toml::de::Error) -> Mistake {
    let before = why.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let said = why.message();
    Mistake {
        place: format!("line {}", before.matches('\n').count() + 1),
        text: Text::new(
            format!("不是有效的 TOML（{said}），请对照 schemas/mapping.example.toml 更正"),
            format!("is no valid TOML ({said}); compare schemas/mapping.example.toml"),
        ),
    }
}

/// A file that is no mapping by its form, as the parser said it.
pub(super) fn malformed(text: &str, why: &serde_path_to_error::Error<toml::de::Error>) -> Mistake {
    let said = why.inner().message();
    let path = why.path().to_string();
    let before = why.inner().span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| before.matches('\n').count() + 1);
    let key = match missing(said) {
        Some(key) if path == "." => key.to_owned(),
        Some(key) => format!("{path}.{key}"),
        None if path == "." => String::new(),
        None => path,
    };
    let place = match (key.is_empty(), line) {
        (true, line) => format!("line {}", line.unwrap_or(1)),
        (false, Some(line)) if missing(said).is_none() => format!("line {line}: {key}"),
        (false, _) => key,
    };
    Mistake { place, text: in_words(said) }
}

/// Of "missing field `store`", `store`.
fn missing(said: &str) -> Option<&str> {
    said.strip_prefix("missing field `")?.split('`').next()
}

fn in_words(said: &str) -> Text {
    if missing(said).is_some() {
        return Text::new("缺少该项，请补上", "is missing; add it");
    }
    let expected = said.split_once(", expected ").map(|(_, expected)| expected.replace('`', ""));
    match expected {
        Some(known) if said.starts_with("unknown field") || said.starts_with("unknown variant") => {
            let known = known.trim_start_matches("one of ");
            Text::new(
                format!("没有这一项，请更正或删除；此处可用：{known}"),
                format!("is not known here; correct or remove it; known: {known}"),
            )
        }
        Some(expected) => Text::new(
            format!("类型不符，应为 {expected}"),
            format!("has the wrong type: expected {expected}"),
        ),
        None => Text::new(
            format!("无法读取（{said}），请对照 schemas/mapping.example.toml 更正"),
            format!("cannot be read ({said}); compare schemas/mapping.example.toml"),
        ),
    }
}
