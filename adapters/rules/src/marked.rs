//! A value of a policy file as it is written: plainly, or as a table that also says where it comes from.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BoolDeserializer, MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::{Deserialize, Deserializer, de};

/// `"300.00"`, or `{ value = "300.00", mark = "SOURCE A10", clause = "…" }`.
#[derive(Debug, Clone)]
pub(crate) struct Marked<T> {
    pub(crate) value: T,
    pub(crate) mark: Option<String>,
    pub(crate) clause: Option<String>,
}

/// A number is text: a TOML float is no amount.
pub(crate) type RawFigure = Marked<String>;

impl<T> Marked<T> {
    pub(crate) fn plain(value: T) -> Self {
        Self { value, mark: None, clause: None }
    }
}

/// What may stand in a [`Marked`], and how it is asked for where something else stands there.
pub(crate) trait Written: for<'de> Deserialize<'de> {
    const EXPECTED: &'static str;
}

impl Written for String {
    const EXPECTED: &'static str = "须为带引号的文本（如 \"300.00\"），或 { value = \"300.00\", mark, clause } | \
        must be a text such as \"300.00\", or { value = \"300.00\", mark, clause }";
}

impl Written for bool {
    const EXPECTED: &'static str = "须为 true 或 false，或 { value = true, mark, clause } | \
        must be true or false, or { value = true, mark, clause }";
}

impl Written for Vec<String> {
    const EXPECTED: &'static str = "须为文本列表，或 { value = […], mark, clause } | \
        must be a list of texts, or { value = […], mark, clause }";
}

impl<'de, T: Written> Deserialize<'de> for Marked<T> {
    /// An untagged enum would answer "did not match any variant"; this names what is expected.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table<T> {
    value: T,
    mark: Option<String>,
    clause: Option<String>,
}

struct Visitor<T>(PhantomData<T>);

impl<T: Written> Visitor<T> {
    fn plain<E: de::Error>(value: Result<T, E>) -> Result<Marked<T>, E> {
        value.map(Marked::plain).map_err(|_| E::custom(T::EXPECTED))
    }
}

impl<'de, T: Written> de::Visitor<'de> for Visitor<T> {
    type Value = Marked<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Marked<T>, E> {
        Self::plain(T::deserialize(StrDeserializer::new(text)))
    }

    fn visit_bool<E: de::Error>(self, is: bool) -> Result<Marked<T>, E> {
        Self::plain(T::deserialize(BoolDeserializer::new(is)))
    }

    fn visit_seq<S: de::SeqAccess<'de>>(self, list: S) -> Result<Marked<T>, S::Error> {
        Self::plain(T::deserialize(SeqAccessDeserializer::new(list)))
    }

    fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Marked<T>, M::Error> {
        let Table { value, mark, clause } = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Marked { value, mark, clause })
    }
}
