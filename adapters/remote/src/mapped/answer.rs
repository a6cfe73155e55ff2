//! An insurer's answer, read as its section says. What is not mapped, or not there, is no answer.

use std::collections::BTreeMap;

use yizhan_contract::payer::StatementLine;
use yizhan_contract::{Money, PayerCode, Text};

use super::charset::Charset;
use super::file::RawContent;
use super::forms::{Codes, Forms, ours};
use super::node::{Leaf, Node, Path, read_json, read_xml};
use super::section::{Kind, Section};
use crate::answers::another_operations;
use crate::wire::{Incoming, Trouble};

/// Longest status of an insurer that is told: no person's number fits in.
const STATUS_CHARS_MAX: usize = 12;

/// Where an answer holds what.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) section: Section,
    pub(super) http: Vec<u16>,
    pub(super) status: Path,
    pub(super) kinds: BTreeMap<String, Kind>,
    pub(super) code: Option<Path>,
    pub(super) message: Option<Path>,
    pub(super) quote_id: Option<Path>,
    pub(super) valid_until: Option<Path>,
    pub(super) valid_for_s: Option<u32>,
    pub(super) amounts: Option<Amounts>,
    pub(super) book: Option<Book>,
    pub(super) total: Option<Path>,
    /// Whose answer it says it is.
    pub(super) operation_id: Option<Path>,
    pub(super) reference: Option<Path>,
    pub(super) from: Option<Path>,
    pub(super) to: Option<Path>,
    pub(super) next: Option<Path>,
    pub(super) keep: BTreeMap<String, Path>,
}

/// Where amounts stand.
#[derive(Debug)]
pub(super) enum Amounts {
    /// Nowhere: what is done is what was asked for.
    AsAsked,
    One(Path),
    Each {
        list: Path,
        payer: PayerAt,
        amount: Path,
    },
}

/// Where a payer's code stands, and the table it is in.
#[derive(Debug)]
pub(super) struct PayerAt {
    pub(super) path: Path,
    pub(super) codes: Option<String>,
}

/// Where the lines of a day's book stand.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) list: Path,
    /// Absent: the one payer served.
    pub(super) payer: Option<PayerAt>,
    pub(super) amount: Path,
    pub(super) operation_id: Path,
    pub(super) reference: Option<Path>,
    pub(super) at: Path,
}

/// How an insurer writes, for reading.
#[derive(Clone, Copy)]
pub(super) struct Hand<'h> {
    pub(super) content: RawContent,
    pub(super) charset: Charset,
    pub(super) forms: &'h Forms,
    pub(super) codes: &'h Codes,
    pub(super) serves: &'h [PayerCode],
}

/// An answer whose kind is known.
pub(super) struct Said<'r> {
    pub(super) kind: Kind,
    node: Node,
    reading: &'r Reading,
    hand: Hand<'r>,
    status: String,
}

impl Reading {
    /// # Errors
    /// Where it is no answer that is mapped.
    pub(super) fn read<'r>(&'r self, incoming: &Incoming, hand: Hand<'r>) -> Result<Said<'r>, Trouble> {
        if !self.http.contains(&incoming.status) {
            return Err(incoming.refusal(None));
        }
        let node = document(incoming, hand)?;
        let leaf = node.leaf(&self.status).map_err(|why| self.odd("status", why))?;
        let Some(status) = leaf.and_then(Leaf::as_text).map(str::to_owned) else {
            return Err(self.missing("status", &self.status));
        };
        match self.kinds.get(&status) {
            Some(kind) => Ok(Said { kind: *kind, node, reading: self, hand, status }),
            None => Err(self.unmapped(&status)),
        }
    }

    fn unmapped(&self, status: &str) -> Trouble {
        let is_code = status.len() <= STATUS_CHARS_MAX && status.bytes().all(|b| b.is_ascii_alphanumeric());
        let shown = if is_code { format!(" \"{status}\"") } else { String::new() };
        self.odd(
            "kinds",
            Text::new(
                format!("未列出状态{shown}，结果不明"),
                format!("the status{shown} is not listed: nothing is known"),
            ),
        )
    }

    fn odd(&self, key: &str, why: Text) -> Trouble {
        let place = format!("{}.answer.{key}", self.section.key());
        Trouble::Odd(Text::new(format!("{place}：{}", why.zh), format!("{place}: {}", why.en)))
    }

    fn missing(&self, key: &str, path: &Path) -> Trouble {
        self.odd(key, Text::new(format!("应答中没有 {path}"), format!("the answer has no {path}")))
    }

    fn misfit(&self, key: &str, path: &Path) -> Trouble {
        self.odd(key, Text::new(format!("{path} 不是约定的写法"), format!("{path} is not written as agreed")))
    }
}

fn document(incoming: &Incoming, hand: Hand<'_>) -> Result<Node, Trouble> {
    let label = hand.charset.label();
    let Some(text) = hand.charset.decode(&incoming.body) else {
        return Err(Trouble::Unreadable(Text::new(
            format!("应答不是 {label} 编码"),
            format!("the answer is not in {label}"),
        )));
    };
    match hand.content {
        RawContent::Json => read_json(&text).map_err(|why| {
            incoming.unreadable("JSON", Some(format!("line {}, column {}", why.line(), why.column())))
        }),
        RawContent::Xml => {
            read_xml(&text).map_err(|line| incoming.unreadable("XML", Some(format!("line {line}"))))
        }
    }
}

impl Said<'_> {
    fn value(&self, node: &Node, key: &str, path: &Path) -> Result<Option<Leaf>, Trouble> {
        node.leaf(path).map(Option::<&Leaf>::cloned).map_err(|why| self.reading.odd(key, why))
    }

    /// What a path leads to, in the agreed form; it must be there.
    fn must<T>(
        &self,
        node: &Node,
        key: &str,
        path: &Path,
        read: impl Fn(&Leaf) -> Option<T>,
    ) -> Result<T, Trouble> {
        let leaf = self.value(node, key, path)?.ok_or_else(|| self.reading.missing(key, path))?;
        read(&leaf).ok_or_else(|| self.reading.misfit(key, path))
    }

    fn must_text(&self, node: &Node, key: &str, path: &Path) -> Result<String, Trouble> {
        let text = |leaf: &Leaf| leaf.as_text().filter(|text| !text.trim().is_empty()).map(str::to_owned);
        self.must(node, key, path, text)
    }

    fn words(&self, path: Option<&Path>) -> Option<String> {
        let leaf = self.node.leaf(path?).ok()??;
        leaf.as_text().filter(|text| !text.trim().is_empty()).map(str::to_owned)
    }

    /// What the insurer calls a refusal; its status where it says no more.
    pub(super) fn code(&self) -> String {
        self.words(self.reading.code.as_ref()).unwrap_or_else(|| self.status.clone())
    }

    pub(super) fn message(&self) -> String {
        self.words(self.reading.message.as_ref()).unwrap_or_else(|| self.code())
    }

    /// What names another operation is that one's answer; and where answers name theirs, nothing is done by one that does not.
    pub(super) fn is_of(&self, operation_id: &str) -> Result<(), Trouble> {
        let Some(path) = &self.reading.operation_id else { return Ok(()) };
        match self.value(&self.node, "operation_id", path)? {
            None | Some(Leaf::Null) if matches!(self.kind, Kind::Done | Kind::NothingToReverse) => {
                Err(self.reading.missing("operation_id", path))
            }
            None | Some(Leaf::Null) => Ok(()),
            Some(leaf) if leaf.as_text() == Some(operation_id) => Ok(()),
            Some(_) => Err(self.reading.odd("operation_id", another_operations())),
        }
    }

    pub(super) fn quote_id(&self) -> Result<Option<String>, Trouble> {
        let path = self.reading.quote_id.as_ref();
        path.map(|path| self.must_text(&self.node, "quote_id", path)).transpose()
    }

    pub(super) fn reference(&self) -> Result<Option<String>, Trouble> {
        let path = self.reading.reference.as_ref();
        path.map(|path| self.must_text(&self.node, "reference", path)).transpose()
    }

    /// Absent: the section says for how long instead.
    pub(super) fn valid_until(&self) -> Result<Option<jiff::Timestamp>, Trouble> {
        let read = |leaf: &Leaf| self.hand.forms.read_instant(leaf);
        let path = self.reading.valid_until.as_ref();
        path.map(|path| self.must(&self.node, "valid_until", path, read)).transpose()
    }

    pub(super) fn period(&self) -> Result<[Option<jiff::civil::Date>; 2], Trouble> {
        let day = |key: &str, path: &Option<Path>| {
            let Some(path) = path else { return Ok(None) };
            let Some(leaf) = self.value(&self.node, key, path)? else { return Ok(None) };
            if leaf.as_text().is_some_and(str::is_empty) {
                return Ok(None);
            }
            let day = self.hand.forms.read_day(&leaf);
            day.map(Some).ok_or_else(|| self.reading.misfit(key, path))
        };
        Ok([day("from", &self.reading.from)?, day("to", &self.reading.to)?])
    }

    pub(super) fn next(&self) -> Option<String> {
        self.words(self.reading.next.as_ref())
    }

    pub(super) fn kept(&self) -> Result<BTreeMap<String, String>, Trouble> {
        let one = |(name, path): (&String, &Path)| {
            Ok((name.clone(), self.must_text(&self.node, &format!("keep.{name}"), path)?))
        };
        self.reading.keep.iter().map(one).collect()
    }

    /// The amounts of the payers asked about; their sum, where the insurer states one, must be right.
    pub(super) fn amounts(&self, asked: &[(PayerCode, Money)]) -> Result<Vec<(PayerCode, Money)>, Trouble> {
        let read = |leaf: &Leaf| self.hand.forms.read_amount(leaf);
        let amounts = match &self.reading.amounts {
            Some(Amounts::AsAsked) => asked.to_vec(),
            Some(Amounts::One(path)) => {
                let amount = self.must(&self.node, "amount", path, read)?;
                asked.iter().map(|(payer, _)| (payer.clone(), amount)).collect()
            }
            Some(Amounts::Each { list, payer, amount }) => {
                let items = self.node.each(list).map_err(|why| self.reading.odd("each.list", why))?;
                let one = |item: &Node| {
                    Ok((self.payer(item, payer)?, self.must(item, "each.amount", amount, read)?))
                };
                items.into_iter().map(one).collect::<Result<_, Trouble>>()?
            }
            None => Vec::new(),
        };
        if let Some(path) = &self.reading.total {
            let stated = self.must(&self.node, "total", path, read)?;
            let sum: Money = amounts.iter().map(|(_, amount)| *amount).sum();
            if sum != stated {
                return Err(self.reading.odd(
                    "total",
                    Text::new(
                        format!("各项合计 {sum}，所述合计 {stated}"),
                        format!("the amounts add up to {sum}, not to the {stated} that is stated"),
                    ),
                ));
            }
        }
        Ok(amounts)
    }

    fn payer(&self, item: &Node, at: &PayerAt) -> Result<PayerCode, Trouble> {
        let theirs = self.must_text(item, "each.payer", &at.path)?;
        let ours = match &at.codes {
            Some(table) => ours(self.hand.codes, table, &theirs).map(str::to_owned),
            None => Some(theirs),
        };
        let code = ours.and_then(|code| code.parse().ok());
        code.ok_or_else(|| self.reading.misfit("each.payer", &at.path))
    }

    pub(super) fn lines(&self) -> Result<Vec<StatementLine>, Trouble> {
        let Some(book) = &self.reading.book else { return Ok(Vec::new()) };
        let items = self.node.each(&book.list).map_err(|why| self.reading.odd("each.list", why))?;
        items.into_iter().map(|item| self.line(item, book)).collect()
    }

    fn line(&self, item: &Node, book: &Book) -> Result<StatementLine, Trouble> {
        let payer = match (&book.payer, self.hand.serves.first()) {
            (Some(at), _) => self.payer(item, at)?,
            (None, Some(only)) => only.clone(),
            (None, None) => return Err(self.reading.missing("each.payer", &book.list)),
        };
        let operation_id = self.must_text(item, "each.operation_id", &book.operation_id)?;
        let reference = book.reference.as_ref().map(|path| self.must_text(item, "each.reference", path));
        Ok(StatementLine {
            reference: reference.transpose()?.unwrap_or_else(|| operation_id.clone()),
            operation_id,
            payer,
            amount: self.must(item, "each.amount", &book.amount, |leaf| self.hand.forms.read_amount(leaf))?,
            at: self.must(item, "each.at", &book.at, |leaf| self.hand.forms.read_instant(leaf))?,
        })
    }
}
