//! What is wrong in a TOML file that somebody writes by hand: the place, and what to write there.

use toml::de::Error as TomlError;
use yizhan_contract::Text;

/// One thing wrong in one file, which its reader names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {zh} | {en}", zh = text.zh, en = text.en)]
pub struct Mistake {
    /// A key, or a line of a file that is no TOML.
    pub place: String,
    /// What is so, and what it should be.
    pub text: Text,
}

impl Mistake {
    pub fn at(place: impl Into<String>, text: Text) -> Self {
        Self { place: place.into(), text }
    }

    /// A text that is no TOML, by its line; `example` is the file to compare it with.
    pub fn no_toml(text: &str, why: &TomlError, example: &str) -> Self {
        let said = why.message();
        Self::at(
            line_of(text, why).unwrap_or(1).to_string(),
            Text::new(
                format!("该行不是有效的 TOML（{said}），请对照 {example} 更正"),
                format!("the line is no valid TOML ({said}); compare {example}"),
            ),
        )
    }

    /// A key that does not fit, by its path.
    pub fn no_such_value(why: &serde_path_to_error::Error<TomlError>) -> Self {
        let said = why.inner().message();
        // A key that is missing is named by what was said, not by the path, which ends above it.
        let path = why.path().to_string();
        match quoted_after(said, "missing field ") {
            Some(key) if path == "." => Self::at(key, missing()),
            Some(key) => Self::at(format!("{path}.{key}"), missing()),
            None => Self::at(path, in_words(said)),
        }
    }

    /// The same with its line, where the values were read from the text itself.
    #[must_use]
    pub fn in_line_of(self, text: &str, why: &TomlError) -> Self {
        // What is missing from the file as a whole is missing from no line.
        let line = why.span().filter(|span| span.start > 0).and_then(|_| line_of(text, why));
        match line {
            Some(line) => Self { place: format!("{line}: {}", self.place), ..self },
            None => self,
        }
    }
}

/// Counts from 1.
fn line_of(text: &str, why: &TomlError) -> Option<usize> {
    let before = text.get(..why.span()?.start)?;
    Some(before.matches('\n').count() + 1)
}

fn missing() -> Text {
    Text::new("缺少该项，请补上", "is missing; add it")
}

/// Of "missing field `store`", `store`.
fn quoted_after<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

/// The parser's remark about one value as a sentence.
fn in_words(said: &str) -> Text {
    let expected = said.split_once(", expected ").map(|(_, expected)| expected);
    // Types of ours say it in both languages themselves.
    if let Some((zh, en)) = expected.unwrap_or(said).split_once(" | ") {
        return Text::new(zh, en);
    }
    let listed =
        expected.map(|listed| listed.trim_start_matches("one of ").replace('`', "").replace(" or ", ", "));
    let known = listed.unwrap_or_default();
    if said.starts_with("unknown field ") {
        return Text::new(
            format!("没有这个配置项，请更正或删除；此处可用：{known}"),
            format!("is no key; correct or remove it; known here: {known}"),
        );
    }
    if said.starts_with("unknown variant ") {
        return Text::new(format!("只能是：{known}"), format!("must be one of: {known}"));
    }
    match expected {
        Some("u8" | "u16" | "u32" | "u64" | "usize" | "a nonzero u16") => Text::new(
            "须为不小于 0 的整数，不加引号",
            "must be a whole number, 0 or more, without quotation marks",
        ),
        Some("a boolean") => {
            Text::new("须为 true 或 false，不加引号", "must be true or false, without quotation marks")
        }
        Some("a string" | "path string") => {
            Text::new("须为带引号的文本", "must be a text in quotation marks")
        }
        Some("a sequence") => Text::new("须为方括号内的列表", "must be a list in square brackets"),
        Some("a map") => Text::new("须为键值表", "must be a table of keys and values"),
        Some("struct Text") => {
            Text::new("须为 { zh = \"…\", en = \"…\" }", "must be { zh = \"…\", en = \"…\" }")
        }
        _ if said.contains("socket address") => {
            Text::new("须为“地址:端口”，如 127.0.0.1:8080", "must be address:port, such as 127.0.0.1:8080")
        }
        _ => Text::new(
            format!("取值无效（{said}），请更正"),
            format!("holds no valid value ({said}); correct it"),
        ),
    }
}
