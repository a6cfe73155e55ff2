//! What people had used of a benefit year before the gateway went live.

use std::collections::BTreeMap;

use jiff::civil::Date;
use yizhan_contract::money::BASE_DECIMALS_MAX;
use yizhan_contract::{Exact, IdNumber, Money, NumberError, PayerCode, Personal, Text, Used};

use super::code_of;
use crate::sheet::{Cellwise, Column, FromRow, Problem, Row, SheetRows};

const COLUMNS: &[Column] = &[
    Column {
        name: "id_number",
        also: &["身份证号", "证件号码", "身份证号码", "公民身份号码"],
        is_required: true,
    },
    Column { name: "payer", also: &["支付方", "险种"], is_required: true },
    Column { name: "year", also: &["年度", "结算年度"], is_required: true },
    Column { name: "base", also: &["累计基数", "累计合规费用"], is_required: true },
    Column { name: "paid", also: &["累计支付", "已支付"], is_required: true },
    Column { name: "admissions", also: &["住院次数"], is_required: true },
    Column { name: "as_of", also: &["截至日期", "截止日期"], is_required: true },
];
const PAYER: &str = "payer";
const ADMISSIONS: &str = "admissions";
const AS_OF: &str = "as_of";
/// Admissions of one person in one year.
pub const ADMISSIONS_MAX: u32 = 1000;
/// The largest amount there is, which an accumulated base may not pass either.
const BASE_FEN_MAX: i64 = 999_999_999_999;

/// One row: one payer's figures of one person and year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningRow {
    pub line: u64,
    pub id_number: Personal<IdNumber>,
    pub payer: PayerCode,
    pub year: i16,
    pub used: Used,
    /// Of the person in this year, the same on each of their rows.
    pub admissions: u32,
    /// The day up to which the figures count.
    pub as_of: Date,
}

/// A file of opening figures, row by row.
pub type OpeningFile = SheetRows<OpeningRow>;

impl OpeningRow {
    /// # Errors
    /// A payer that no policy asks: its figures would count for nobody, and the cap they were meant for would start anew.
    pub fn of_known_payer(self, known: &[PayerCode]) -> Result<Self, Vec<Problem>> {
        if known.contains(&self.payer) {
            return Ok(self);
        }
        let codes = known.iter().map(PayerCode::as_str).collect::<Vec<_>>().join(", ");
        let text = Text::new(
            format!("不是任何政策中的支付方；可填 {codes}"),
            format!("is a payer of no policy; known are {codes}"),
        );
        Err(vec![Problem::at(self.line, PAYER, text)])
    }
}

impl FromRow for OpeningRow {
    const COLUMNS: &'static [Column] = COLUMNS;

    fn from_row(row: &Row) -> Result<Self, Vec<Problem>> {
        read_row(row)
    }
}

fn read_row(row: &Row) -> Result<OpeningRow, Vec<Problem>> {
    let mut cells = Cellwise::new(row, COLUMNS);
    let id_number = cells.id_number(0);
    let payer = cells
        .required(1)
        .and_then(|word| code_of(word).parse::<PayerCode>().map_err(|why| cells.said(1, why.text())).ok());
    for column in 2..=6 {
        cells.required(column);
    }
    let no_year = || Text::new("不是年度，请写成 2020 的形式", "is no benefit year; write it like 2020");
    let year = cells.parsed::<i16>(2, |_| no_year());
    if year.is_some_and(|year| !(1990..=2100).contains(&year)) {
        cells.said(2, no_year());
    }
    let base = cells.parsed::<Exact>(3, NumberError::text);
    let paid = cells.parsed::<Money>(4, NumberError::text);
    match base {
        Some(base) if base.is_negative() => cells.said(3, NumberError::Negative.text()),
        Some(base) if base > Money::from_fen(BASE_FEN_MAX).exact() => {
            cells.said(3, NumberError::TooLarge.text())
        }
        // A band's ratio adds decimals of its own: of a longer base no bill could be read back.
        Some(base) if base.decimals() > BASE_DECIMALS_MAX => {
            cells.said(3, NumberError::TooManyDecimals(BASE_DECIMALS_MAX).text())
        }
        _ => {}
    }
    if paid.is_some_and(Money::is_negative) {
        cells.said(4, NumberError::Negative.text());
    }
    let admissions = cells.parsed::<u32>(5, |_| {
        Text::new("须为不小于 0 的整数，如 2", "must be a whole number, 0 or more, such as 2")
    });
    if admissions.is_some_and(|admissions| admissions > ADMISSIONS_MAX) {
        let (zh, en) = (format!("超过 {ADMISSIONS_MAX}"), format!("is larger than {ADMISSIONS_MAX}"));
        cells.said(5, Text::new(zh, en));
    }
    let as_of = cells.day(6);
    if as_of.zip(year).is_some_and(|(as_of, year)| as_of.year() != year) {
        cells.problem(6, "不在该年度内", "lies outside the benefit year");
    }
    let value = (|| {
        let used = Used { base: base?, paid: paid? };
        Some(OpeningRow {
            line: row.line,
            id_number: Personal::new(id_number?),
            payer: payer?,
            year: year?,
            used,
            admissions: admissions?,
            as_of: as_of?,
        })
    })();
    cells.finish(value)
}

/// What is wrong among the rows of one person: a payer twice in a year, admissions that differ, figures of days to come.
/// `settled`: by benefit year, the first day of a settlement at this gateway that stands. Figures of that day or later
/// hold it already, and it would count twice.
pub fn problems_of(rows: &[OpeningRow], today: Date, settled: &BTreeMap<i16, Date>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if row.as_of > today {
            let text = Text::new(
                "晚于今天，请填累计数实际截至的日期",
                "is a day to come; state the day the figures are of",
            );
            problems.push(Problem::at(row.line, AS_OF, text));
        }
        if let Some(first) = settled.get(&row.year).filter(|first| **first <= row.as_of) {
            let text = Text::new(
                format!("此人在本网关已有 {first} 的结算，会重复计入；请填截至该日前一天的累计数与日期"),
                format!(
                    "lies on or after a settlement here of {first}, which would count twice; state the figures and the day as of the day before"
                ),
            );
            problems.push(Problem::at(row.line, AS_OF, text));
        }
        for before in rows[..at].iter().filter(|before| before.year == row.year) {
            if before.payer == row.payer {
                let text = Text::new(
                    format!("与第 {} 行重复：同一人、同一年度、同一支付方只写一行", before.line),
                    format!("is stated on line {} for the same person and year; keep one", before.line),
                );
                problems.push(Problem::at(row.line, PAYER, text));
            }
        }
        let first = rows[..at].iter().find(|before| before.year == row.year);
        if let Some(first) = first.filter(|first| first.admissions != row.admissions) {
            let text = Text::new(
                format!("与第 {} 行不同：同一人、同一年度的住院次数须一致", first.line),
                format!("differs from line {} for the same person and year; make them equal", first.line),
            );
            problems.push(Problem::at(row.line, ADMISSIONS, text));
        }
    }
    problems
}
