//! One `{{ path | filter }}`: what it names, and how it is to be written.

use yizhan_contract::Text;

use super::super::forms::{AmountForm, InstantForm, Pattern};
use super::super::names::{Found, Kind, Name, find};
use super::syntax::Place;
use super::{Terms, Use};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) path: Vec<String>,
    /// The path begins at the item of the `for` around it.
    pub(super) is_of_item: bool,
    pub(super) form: Form,
    pub(super) default: Option<Default>,
    pub(super) place: Place,
    pub(super) line: usize,
}

/// How a value is written, once its kind and its filters are known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    Text,
    /// A decimal number of any length.
    Decimal {
        is_bare: bool,
    },
    Integer,
    Flag,
    Amount(AmountForm),
    Day(Pattern),
    Instant(InstantForm),
    /// By a table of codes.
    Code(String),
}

/// What stands for a value that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Default {
    Text(String),
    Null,
}

/// Name, path, names and kind of a `for` around a slot.
type Item<'i> = (&'i str, &'i [String], &'static [Name], Found);

/// # Errors
/// What is wrong with it.
pub(super) fn read(
    inner: &str,
    place: Place,
    terms: Terms<'_>,
    item: Option<Item<'_>>,
    line: usize,
) -> Result<(Slot, Use), Text> {
    let mut parts = split_outside_quotes(inner, '|').into_iter();
    let written = parts.next().unwrap_or_default();
    let path: Vec<String> = written.split('.').map(str::to_owned).collect();
    let of_item = item.filter(|(name, ..)| path.first().is_some_and(|first| first == name));
    let (found, path, used) = match of_item {
        Some((_, list, names, list_found)) => {
            let below = find(names, &path[1..]);
            let found = below.map(|below| Found {
                is_personal: below.is_personal || list_found.is_personal,
                need: list_found.need.or(below.need),
                ..below
            });
            let used = list.iter().cloned().chain(["*".to_owned()]).chain(path[1..].iter().cloned());
            (found, path[1..].to_vec(), used.collect())
        }
        None => (terms.scope.find(&path), path.clone(), path),
    };
    let found = found.ok_or_else(|| unknown(written, terms))?;
    if place == Place::Address && found.is_personal {
        return Err(Text::new(
            format!("{written} 属个人数据，不得写入网址（网址会留在各处日志中）"),
            format!("{written} is personal and must not stand in an address, which many logs keep"),
        ));
    }
    let (mut form, mut default) = (plain(found.kind, written, terms)?, None);
    for filter in parts {
        let (name, argument) = filter.split_once(':').unwrap_or((filter, ""));
        match name.trim() {
            "default" => default = Some(read_default(argument.trim())?),
            name => form = filtered(name, argument.trim(), found.kind, terms)?,
        }
    }
    let slot = Slot { path, is_of_item: of_item.is_some(), form, default, place, line };
    Ok((slot, (used, found)))
}

fn unknown(written: &str, terms: Terms<'_>) -> Text {
    let known = terms.scope.known();
    Text::new(
        format!("没有名为 {written} 的值；可用：{known}"),
        format!("there is no value {written}; known here: {known}"),
    )
}

/// By the insurer's general forms.
fn plain(kind: Kind, written: &str, terms: Terms<'_>) -> Result<Form, Text> {
    Ok(match kind {
        Kind::Text => Form::Text,
        Kind::Exact => Form::Decimal { is_bare: false },
        Kind::Integer => Form::Integer,
        Kind::Flag => Form::Flag,
        Kind::Money => Form::Amount(terms.forms.amount),
        Kind::Date => Form::Day(terms.forms.date.clone()),
        Kind::Instant => Form::Instant(terms.forms.instant.clone()),
        Kind::Table(_) | Kind::List(_) => {
            return Err(Text::new(format!("{written} 不是单个值"), format!("{written} is no single value")));
        }
    })
}

fn filtered(name: &str, argument: &str, kind: Kind, terms: Terms<'_>) -> Result<Form, Text> {
    let misplaced = || {
        Text::new(format!("过滤器 {name} 不适用于此值"), format!("the filter {name} does not fit this value"))
    };
    match (name, kind) {
        ("yuan", Kind::Money) => Ok(Form::Amount(AmountForm::Yuan)),
        ("fen", Kind::Money) => Ok(Form::Amount(AmountForm::Fen)),
        ("number", Kind::Money) => Ok(Form::Amount(AmountForm::Number)),
        ("number", Kind::Exact) => Ok(Form::Decimal { is_bare: true }),
        ("date", Kind::Date) => Pattern::read(unquoted(argument)?, false).map(Form::Day),
        ("date", Kind::Instant) => {
            Pattern::read(unquoted(argument)?, true).map(|pattern| Form::Instant(InstantForm::Civil(pattern)))
        }
        ("code", Kind::Text | Kind::Integer | Kind::Flag) if terms.codes.contains_key(argument) => {
            Ok(Form::Code(argument.to_owned()))
        }
        ("code", Kind::Text | Kind::Integer | Kind::Flag) => Err(Text::new(
            format!("没有码表 codes.{argument}"),
            format!("there is no table codes.{argument}"),
        )),
        ("yuan" | "fen" | "number" | "date" | "code", _) => Err(misplaced()),
        _ => Err(Text::new(
            format!(
                "没有过滤器 {name}；可用：yuan fen number date:\"…\" code:表名 default:\"…\" default:null"
            ),
            format!(
                "there is no filter {name}; known: yuan, fen, number, date:\"…\", code:table, default:\"…\", default:null"
            ),
        )),
    }
}

fn read_default(argument: &str) -> Result<Default, Text> {
    if argument == "null" {
        return Ok(Default::Null);
    }
    unquoted(argument).map(|text| Default::Text(text.to_owned()))
}

fn unquoted(argument: &str) -> Result<&str, Text> {
    let inner = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner
        .filter(|inner| !inner.contains('"'))
        .ok_or_else(|| Text::new("过滤器的参数须加双引号", "the filter's argument stands in quotation marks"))
}

fn split_outside_quotes(text: &str, at: char) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = text.split(|c: char| {
        is_quoted ^= c == '"';
        !is_quoted && c == at
    });
    parts.map(str::trim).collect()
}
