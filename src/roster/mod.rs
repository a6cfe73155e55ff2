//! The roster: who belongs to which category, who holds which cover, from when to when.
//!
//! [`RosterFile`] reads what the bureau sends, [`person`] makes one entry of a person's rows, and
//! [`history`] says how an entry and a later file become the next entry. The figures with which a person
//! goes live in mid-year are [`opening`]. Nothing here knows a store.

pub mod history;
pub mod opening;
pub mod person;

use jiff::civil::Date;
use yizhan_contract::person::{Entitlement, EntitlementKind};
use yizhan_contract::{IdNumber, PayerCode, Personal};

use crate::sheet::{Cellwise, Column, FromRow, Problem, Row, SheetRows};

const COLUMNS: &[Column] = &[
    Column {
        name: "id_number",
        also: &["身份证号", "证件号码", "身份证号码", "公民身份号码"],
        is_required: true,
    },
    Column { name: "name", also: &["姓名"], is_required: true },
    Column { name: "region", also: &["统筹区", "参保地", "统筹区编码"], is_required: true },
    Column { name: "kind", also: &["类别", "种类"], is_required: true },
    Column { name: "code", also: &["代码", "编码", "类别代码"], is_required: true },
    Column { name: "from", also: &["起始日期", "开始日期", "生效日期"], is_required: true },
    Column { name: "to", also: &["截止日期", "结束日期", "终止日期"], is_required: false },
];
pub(crate) const NAME: &str = "name";
pub(crate) const REGION: &str = "region";
pub(crate) const FROM: &str = "from";

/// How a roster file relates to what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterMode {
    /// The file is all there is: who, or what, is missing from it ends on this day.
    Snapshot { as_of: Date },
    /// The file changes the people it names and nobody else.
    Delta,
}

impl RosterMode {
    /// The day a snapshot is of.
    pub fn snapshot_of(self) -> Option<Date> {
        match self {
            Self::Snapshot { as_of } => Some(as_of),
            Self::Delta => None,
        }
    }
}

/// One row: one entitlement of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRow {
    pub line: u64,
    pub id_number: Personal<IdNumber>,
    pub name: Personal<String>,
    /// Six digits; absent: not stated.
    pub region: Option<String>,
    pub entitlement: Entitlement,
}

/// A roster file, row by row.
pub type RosterFile = SheetRows<RosterRow>;

impl FromRow for RosterRow {
    const COLUMNS: &'static [Column] = COLUMNS;

    fn from_row(row: &Row) -> Result<Self, Vec<Problem>> {
        read_row(row)
    }
}

fn read_row(row: &Row) -> Result<RosterRow, Vec<Problem>> {
    let mut cells = Cellwise::new(row, COLUMNS);
    let id_number = cells.id_number(0);
    let name = cells.required(1);
    let region = cells.optional(2);
    if region.is_some_and(|region| region.len() != 6 || !region.bytes().all(|digit| digit.is_ascii_digit())) {
        cells.problem(2, "统筹区编码须为 6 位数字", "must be a region of six digits");
    }
    let kind = cells.required(3).and_then(|word| {
        let kind = kind_of(word);
        if kind.is_none() {
            cells.problem(3, "须为 category（人员类别）或 cover（险种）", "must be category or cover");
        }
        kind
    });
    let code = cells.required(4).and_then(|word| {
        // A category's code is written like a payer's.
        let code = code_of(word).parse::<PayerCode>();
        let (zh, en) = (
            "不是代码（1 至 40 个 a-z、0-9 或 _），也不是所知的名称（如 低保）",
            "is no code (1 to 40 of a-z, 0-9 and _) and no name that is known",
        );
        code.map_err(|_| cells.problem(4, zh, en)).ok()
    });
    cells.required(5);
    let (from, to) = (cells.day(5), cells.day(6));
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        cells.problem(6, "早于起始日期", "lies before from");
    }
    let value = (|| {
        let entitlement = Entitlement { kind: kind?, code: code?.as_str().to_owned(), from: from?, to };
        let name = Personal::new(name?.to_owned());
        let id_number = Personal::new(id_number?);
        Some(RosterRow { line: row.line, id_number, name, region: region.map(str::to_owned), entitlement })
    })();
    cells.finish(value)
}

fn kind_of(word: &str) -> Option<EntitlementKind> {
    match word {
        "category" | "人员类别" | "身份" | "类别" => Some(EntitlementKind::Category),
        "cover" | "保障" | "险种" | "参保" => Some(EntitlementKind::Cover),
        _ => None,
    }
}

/// The bureau's words for the codes of the policy files.
pub(crate) fn code_of(word: &str) -> &str {
    match word {
        "脱贫享受政策" => "entitled_out_of_poverty",
        "即时帮扶" => "immediate_assistance",
        "低保" => "low_income",
        "特困" => "extreme_poverty",
        "居民" => "resident",
        "居民基本医保" => "basic",
        "居民大病" | "居民大病保险" => "critical_illness",
        "医疗救助" => "medical_assistance",
        "医疗机构减免" => "provider_waiver",
        "医疗商业补充保险" => "supplementary",
        "灾害民生综合保险" => "disaster",
        "意外伤害医疗" => "accident",
        other => other,
    }
}
