//! What every part of a file is checked with: values, marks, figures and dates.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;
use yizhan_contract::{Money, NumberError, Ratio, Text};

use crate::file::{PolicyFile, RawNamed};
use crate::marked::{Marked, RawFigure};
use crate::policy::{Figure, Mark, Named};
use crate::problem::Problems;

/// The figure that takes an inherited one away.
pub(crate) const NONE: &str = "none";

/// Where problems go, which sources exist, and the clause of what nobody stated.
pub(crate) struct Checking {
    pub(crate) problems: Problems,
    pub(crate) sources: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) clause: Arc<str>,
}

impl Checking {
    pub(crate) fn of(raw: &PolicyFile, file: &str) -> Self {
        let sources = raw.sources.iter();
        Self {
            problems: Problems::of(file),
            sources: sources.map(|(key, text)| (key.as_str().into(), text.as_str().into())).collect(),
            clause: raw.clause.as_deref().unwrap_or_default().into(),
        }
    }

    pub(crate) fn named(&mut self, key: &str, raw: &[RawNamed]) -> Vec<Named> {
        let mut seen = BTreeSet::new();
        let mut named = Vec::with_capacity(raw.len());
        for (index, entry) in raw.iter().enumerate() {
            let key = format!("{key}[{index}]");
            if !seen.insert(entry.code.as_str()) {
                self.problems.add(
                    &key,
                    format!("{} 重复出现", entry.code),
                    format!("{} stands twice", entry.code),
                );
            }
            named.push(Named {
                code: entry.code.as_str().into(),
                name: text(&entry.zh, &entry.en),
                mark: self.mark(&key, entry.mark.as_deref()),
                clause: entry.clause.as_deref().unwrap_or_default().into(),
            });
        }
        named
    }

    pub(crate) fn date(&mut self, key: &str, raw: Option<&String>) -> Option<Date> {
        let raw = raw?;
        match raw.parse() {
            Ok(date) => Some(date),
            Err(_) => {
                self.problems.add(
                    key,
                    format!("{raw} 不是日期（如 2020-01-01）"),
                    format!("{raw:?} is no date such as 2020-01-01"),
                );
                None
            }
        }
    }

    pub(crate) fn mark(&mut self, key: &str, raw: Option<&str>) -> Option<Mark> {
        let raw = raw?;
        match raw.split_once(' ') {
            Some(("SOURCE", source)) => match self.sources.get_key_value(source) {
                Some((source, _)) => return Some(Mark::Source(source.clone())),
                None => self.problems.add(
                    &format!("{key}.mark"),
                    format!("[sources] 中没有 {source}"),
                    format!("[sources] has no {source}"),
                ),
            },
            None if raw == "PLAN" => return Some(Mark::Plan),
            None if raw == "KNOWLEDGE" => return Some(Mark::Knowledge),
            None if raw == "ASSUMED" => return Some(Mark::Assumed),
            None if raw == "DERIVED" => return Some(Mark::Derived),
            _ => self.unknown_word(
                &format!("{key}.mark"),
                raw,
                &["SOURCE <key>", "PLAN", "KNOWLEDGE", "ASSUMED", "DERIVED"],
            ),
        }
        None
    }

    pub(crate) fn unknown_word(&mut self, key: &str, word: &str, known: &[&str]) {
        let known = known.join(", ");
        self.problems.add(
            key,
            format!("{word} 不可用，只能是：{known}"),
            format!("{word:?} is none of: {known}"),
        );
    }

    /// A stated value made into what it means, with its mark and clause.
    pub(crate) fn marked<T, V>(
        &mut self,
        key: &str,
        raw: &Marked<T>,
        make: impl FnOnce(&T) -> V,
    ) -> Figure<V> {
        Figure {
            value: make(&raw.value),
            mark: self.mark(key, raw.mark.as_deref()),
            clause: raw.clause.as_deref().unwrap_or_default().into(),
        }
    }

    /// What holds where the file says nothing.
    pub(crate) fn assumed<V>(&self, value: V) -> Figure<V> {
        Figure { value, mark: Some(Mark::Assumed), clause: self.clause.clone() }
    }

    pub(crate) fn flag(&mut self, key: &str, raw: Option<&Marked<bool>>, default: bool) -> Figure<bool> {
        match raw {
            Some(raw) => self.marked(key, raw, |is| *is),
            None => self.assumed(default),
        }
    }

    /// One word of a closed list; the first of the list where nothing is stated.
    pub(crate) fn word<V: Copy>(
        &mut self,
        key: &str,
        raw: Option<&RawFigure>,
        (default, known): (V, &[(&str, V)]),
    ) -> Figure<V> {
        let Some(raw) = raw else { return self.assumed(default) };
        let found = known.iter().find(|(word, _)| *word == raw.value);
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            self.unknown_word(key, &raw.value, &words);
        }
        self.marked(key, raw, |_| found.map_or(default, |(_, value)| *value))
    }

    /// A figure as this part of the file states it: absent keeps `inherited`, `"none"` takes it away.
    pub(crate) fn stated<T: PolicyNumber>(
        &mut self,
        key: &str,
        raw: Option<&RawFigure>,
        inherited: Option<&Figure<T>>,
    ) -> Option<Figure<T>> {
        match raw {
            None => inherited.cloned(),
            Some(raw) if raw.value == NONE => None,
            Some(raw) => self.figure(key, raw),
        }
    }

    pub(crate) fn figure<T: PolicyNumber>(&mut self, key: &str, raw: &RawFigure) -> Option<Figure<T>> {
        let read = self.marked(key, raw, |text| T::read(text));
        match read.value {
            Ok(value) => Some(Figure { value, mark: read.mark, clause: read.clause }),
            Err(why) => {
                self.problems.add(
                    key,
                    format!("{} 不是可用的{}", raw.value, T::ZH),
                    format!("{:?} {why}", raw.value),
                );
                None
            }
        }
    }

    /// A figure that is never absent.
    pub(crate) fn required<T: PolicyNumber + Default>(
        &mut self,
        key: &str,
        raw: Option<&RawFigure>,
        default: &str,
    ) -> Figure<T> {
        let stated = match raw {
            Some(raw) => self.figure(key, raw),
            None => T::read(default).ok().map(|value| self.assumed(value)),
        };
        stated.unwrap_or_else(|| self.assumed(T::default()))
    }
}

pub(crate) fn text(zh: &str, en: &str) -> Text {
    Text::new(zh, en)
}

/// A number a policy may state; none of them is negative.
pub(crate) trait PolicyNumber: FromStr<Err = NumberError> + Clone + fmt::Display {
    const ZH: &'static str;

    fn read(text: &str) -> Result<Self, NumberError>;
}

impl PolicyNumber for Money {
    const ZH: &'static str = "金额（两位小数以内，不为负）";

    fn read(text: &str) -> Result<Self, NumberError> {
        let amount: Self = text.parse()?;
        if amount.is_negative() { Err(NumberError::Negative) } else { Ok(amount) }
    }
}

impl PolicyNumber for Ratio {
    const ZH: &'static str = "比例（0 到 1，四位小数以内）";

    fn read(text: &str) -> Result<Self, NumberError> {
        text.parse()
    }
}
