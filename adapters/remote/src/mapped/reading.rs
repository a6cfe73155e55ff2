//! Where a section's answer holds what: kinds of statuses, amounts, the lines of a book.

use std::collections::BTreeMap;

use yizhan_contract::Text;

use super::answer::{Amounts, Book, PayerAt, Reading};
use super::exchange::Sections;
use super::file::{RawAnswer, RawContent, RawEach};
use super::forms::ours;
use super::mistake::Mistakes;
use super::node::Path;
use super::section::{Kind, Section};

fn missing() -> Text {
    Text::new("缺少该项，请补上", "is missing; add it")
}

fn meaningless() -> Text {
    Text::new("在此处没有意义，请删除", "has no meaning here; remove it")
}

impl Sections<'_> {
    pub(super) fn reading(
        &self,
        section: Section,
        raw: &RawAnswer,
        mistakes: &mut Mistakes,
    ) -> Option<Reading> {
        let place = |key: &str| format!("{}.answer.{key}", section.key());
        for key in raw.written() {
            if !section.answer_keys().contains(&key) {
                mistakes.add(place(key), meaningless());
            }
        }
        let kinds = self.kinds(section, raw, mistakes);
        let http = raw.http.clone().unwrap_or_else(|| vec![200]);
        if http.is_empty() || http.iter().any(|status| !(200..=599).contains(status)) {
            mistakes.add(
                place("http"),
                Text::new("须为 200 至 599 的状态码", "must list status codes from 200 to 599"),
            );
        }
        let mut path = |key: &str, written: &Option<String>| {
            written.as_ref().and_then(|text| mistakes.noted(&place(key), self.path(text)))
        };
        let status = path("status", &Some(raw.status.clone()));
        let mut reading = Reading {
            section,
            http,
            status: status?,
            kinds,
            code: path("code", &raw.code),
            message: path("message", &raw.message),
            quote_id: path("quote_id", &raw.quote_id),
            valid_until: path("valid_until", &raw.valid_until),
            valid_for_s: raw.valid_for_s,
            amounts: None,
            book: None,
            total: path("total", &raw.total),
            operation_id: path("operation_id", &raw.operation_id),
            reference: path("reference", &raw.reference),
            from: path("from", &raw.from),
            to: path("to", &raw.to),
            next: path("next", &raw.next),
            keep: BTreeMap::new(),
        };
        for (name, text) in raw.keep.iter().flatten() {
            let read = mistakes.noted(&place(&format!("keep.{name}")), self.path(text));
            reading.keep.extend(read.map(|path| (name.clone(), path)));
        }
        if section == Section::Quote && raw.valid_until.is_some() == raw.valid_for_s.is_some() {
            mistakes.add(
                place("valid_until"),
                Text::new(
                    "valid_until 与 valid_for_s 须给出其一",
                    "either valid_until or valid_for_s is needed",
                ),
            );
        }
        if section.has_amounts() {
            reading.amounts = self.amounts(section, raw, mistakes);
        }
        if section == Section::Statement {
            reading.book = self.book(raw.each.as_ref(), mistakes);
        }
        Some(reading)
    }

    fn path(&self, text: &str) -> Result<Path, Text> {
        match self.content {
            RawContent::Json => Path::json(text),
            RawContent::Xml => Path::xml(text),
        }
    }

    fn kinds(&self, section: Section, raw: &RawAnswer, mistakes: &mut Mistakes) -> BTreeMap<String, Kind> {
        let known = section.kinds();
        let listed = known.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
        let mut kinds = BTreeMap::new();
        for (status, word) in &raw.kinds {
            match known.iter().find(|kind| kind.word() == word) {
                Some(kind) => {
                    kinds.insert(status.clone(), *kind);
                }
                None => mistakes.add(
                    format!("{}.answer.kinds.{status}", section.key()),
                    Text::new(format!("只能是：{listed}"), format!("must be one of: {listed}")),
                ),
            }
        }
        for needed in section.kinds_needed() {
            if !raw.kinds.values().any(|word| word == needed.word()) {
                let word = needed.word();
                mistakes.add(
                    format!("{}.answer.kinds", section.key()),
                    Text::new(format!("没有任何状态对应 {word}"), format!("no status stands for {word}")),
                );
            }
        }
        kinds
    }

    fn amounts(&self, section: Section, raw: &RawAnswer, mistakes: &mut Mistakes) -> Option<Amounts> {
        let place = |key: &str| format!("{}.answer.{key}", section.key());
        match (&raw.amount, raw.as_asked, &raw.each) {
            (Some(text), None, None) if self.serves.len() <= 1 => {
                mistakes.noted(&place("amount"), self.path(text)).map(Amounts::One)
            }
            (Some(_), None, None) => {
                mistakes.add(
                    place("amount"),
                    Text::new(
                        "承办多个支付方时须用 each 逐项取金额",
                        "with several payers, each is needed to tell their amounts apart",
                    ),
                );
                None
            }
            (None, Some(true), None) if section != Section::Quote && self.is_firm => Some(Amounts::AsAsked),
            (None, Some(true), None) if section != Section::Quote => {
                mistakes.add(
                    place("as_asked"),
                    Text::new(
                        "仅在 promises.quotes_are_firm = true 时可用",
                        "needs promises.quotes_are_firm = true",
                    ),
                );
                None
            }
            (None, None, Some(each)) => self.each(section, each, mistakes),
            _ => {
                let (zh, en) = match section {
                    Section::Quote => ("amount 与 each 须给出其一", "either amount or each is needed"),
                    _ => (
                        "amount、each 与 as_asked = true 须给出其一",
                        "one of amount, each and as_asked = true is needed",
                    ),
                };
                mistakes.add(place("amount"), Text::new(zh, en));
                None
            }
        }
    }

    fn each(&self, section: Section, each: &RawEach, mistakes: &mut Mistakes) -> Option<Amounts> {
        let place = |key: &str| format!("{}.answer.each.{key}", section.key());
        for (key, written) in
            [("operation_id", &each.operation_id), ("reference", &each.reference), ("at", &each.at)]
        {
            if written.is_some() {
                mistakes.add(place(key), meaningless());
            }
        }
        let payer = self.payer_at(section, each, mistakes);
        if payer.is_none() && each.payer.is_none() {
            mistakes.add(place("payer"), missing());
        }
        let list = mistakes.noted(&place("list"), self.path(&each.list));
        let amount = mistakes.noted(&place("amount"), self.path(&each.amount));
        Some(Amounts::Each { list: list?, payer: payer?, amount: amount? })
    }

    fn payer_at(&self, section: Section, each: &RawEach, mistakes: &mut Mistakes) -> Option<PayerAt> {
        let place = format!("{}.answer.each.payer_codes", section.key());
        if let Some(table) = &each.payer_codes {
            let known = self.codes.get(table);
            if known.is_none() {
                mistakes.add(
                    place.as_str(),
                    Text::new(format!("没有码表 codes.{table}"), format!("there is no table codes.{table}")),
                );
            }
            for (payer, code) in known.into_iter().flatten() {
                let is_served = self.serves.iter().any(|served| served.as_str() == payer);
                if is_served && ours(self.codes, table, code).is_none() {
                    mistakes.add(
                        format!("codes.{table}.{payer}"),
                        Text::new("同一代码对应多个支付方", "the code stands for more than one payer"),
                    );
                }
            }
        }
        let text = each.payer.as_ref()?;
        let path = mistakes.noted(&format!("{}.answer.each.payer", section.key()), self.path(text))?;
        Some(PayerAt { path, codes: each.payer_codes.clone() })
    }

    fn book(&self, each: Option<&RawEach>, mistakes: &mut Mistakes) -> Option<Book> {
        let Some(each) = each else {
            mistakes.add("statement.answer.each", missing());
            return None;
        };
        let payer = self.payer_at(Section::Statement, each, mistakes);
        if each.payer.is_none() && self.serves.len() > 1 {
            mistakes.add("statement.answer.each.payer", missing());
        }
        let mut path = |key: &str, written: Option<&String>| {
            let read = written.map_or_else(|| Err(missing()), |text| self.path(text));
            mistakes.noted(&format!("statement.answer.each.{key}"), read)
        };
        let list = path("list", Some(&each.list));
        let amount = path("amount", Some(&each.amount));
        let operation_id = path("operation_id", each.operation_id.as_ref());
        let at = path("at", each.at.as_ref());
        let reference = each.reference.as_ref().and_then(|text| path("reference", Some(text)));
        Some(Book { list: list?, payer, amount: amount?, operation_id: operation_id?, reference, at: at? })
    }
}
