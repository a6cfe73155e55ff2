//! The catalogue (目录): what an item is, by hospital or region, from when to when.
//!
//! [`CatalogueFile`] reads what the bureau sends, [`overlaps`] refuses two conditions on one day, and
//! [`in_force`] picks the one that holds. Nothing here knows a store.

mod in_force;

use std::collections::BTreeMap;

use jiff::civil::Date;
use yizhan_contract::stay::CatalogueClass;
use yizhan_contract::{NumberError, Ratio, UnitPrice};

pub use in_force::{Candidate, in_force, scopes_of};

use crate::sheet::periods::{self, Period};
use crate::sheet::{Cellwise, Column, FromRow, Problem, Row, SheetRows};

/// Rows of one file; the national lists of drugs, services and supplies hold about 250,000.
pub const CATALOGUE_ROWS_MAX: usize = 500_000;

const COLUMNS: &[Column] = &[
    Column {
        name: "scope",
        also: &["适用范围", "医疗机构编码", "统筹区", "机构或统筹区"],
        is_required: true,
    },
    Column {
        name: "code", also: &["代码", "编码", "项目编码", "医保目录编码"], is_required: true
    },
    Column { name: "name", also: &["名称", "项目名称"], is_required: true },
    Column { name: "class", also: &["等级", "甲乙丙类", "收费项目等级"], is_required: false },
    Column { name: "category", also: &["类别", "费用类别"], is_required: false },
    Column { name: "upfront_ratio", also: &["先行自付比例"], is_required: false },
    Column { name: "ceiling", also: &["限价", "最高限价", "支付上限"], is_required: false },
    Column { name: "from", also: &["起始日期", "开始日期", "生效日期"], is_required: true },
    Column { name: "to", also: &["截止日期", "结束日期", "终止日期"], is_required: false },
];

/// An item's conditions in one scope and period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueRow {
    pub line: u64,
    /// A hospital's code, or the first digits of a region's.
    pub scope: String,
    pub code: String,
    pub name: String,
    pub class: Option<CatalogueClass>,
    pub category: Option<String>,
    pub upfront_ratio: Option<Ratio>,
    pub ceiling: Option<UnitPrice>,
    /// First day.
    pub from: Date,
    /// Last day, itself included; absent: no end.
    pub to: Option<Date>,
}

/// A catalogue file, row by row.
pub type CatalogueFile = SheetRows<CatalogueRow>;

impl FromRow for CatalogueRow {
    const COLUMNS: &'static [Column] = COLUMNS;

    fn from_row(row: &Row) -> Result<Self, Vec<Problem>> {
        read_row(row)
    }
}

fn read_row(row: &Row) -> Result<CatalogueRow, Vec<Problem>> {
    let mut cells = Cellwise::new(row, COLUMNS);
    let scope = cells.required(0).map(str::to_owned);
    let code = cells.required(1).map(str::to_owned);
    let name = cells.optional(2).unwrap_or_default().to_owned();
    let class = cells.optional(3).and_then(|word| {
        let class = class_of(word);
        if class.is_none() {
            cells.problem(3, "须为 A、B、C 或 甲类、乙类、丙类", "must be A, B or C (甲类, 乙类, 丙类)");
        }
        class
    });
    let category = cells.optional(4).map(str::to_owned);
    let upfront_ratio = cells.parsed::<Ratio>(5, NumberError::text);
    let ceiling = cells.parsed::<UnitPrice>(6, NumberError::text);
    cells.required(7);
    let (from, to) = (cells.day(7), cells.day(8));
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        cells.problem(8, "早于起始日期", "lies before from");
    }
    let value = (|| {
        let (line, scope, code, from) = (row.line, scope?, code?, from?);
        Some(CatalogueRow { line, scope, code, name, class, category, upfront_ratio, ceiling, from, to })
    })();
    cells.finish(value)
}

/// 甲/乙/丙 of the catalogue (chrgitm_lv 01/02/03).
fn class_of(word: &str) -> Option<CatalogueClass> {
    match word {
        "A" | "a" | "甲" | "甲类" | "01" => Some(CatalogueClass::A),
        "B" | "b" | "乙" | "乙类" | "02" => Some(CatalogueClass::B),
        "C" | "c" | "丙" | "丙类" | "03" => Some(CatalogueClass::C),
        _ => None,
    }
}

/// The items of a file, each by code and scope with the first day it names for it: from that day on, nothing that earlier
/// files say of the item is looked at any more ([`in_force`]).
pub fn restated(rows: &[CatalogueRow]) -> Vec<(&str, &str, Date)> {
    let mut first: BTreeMap<(&str, &str), Date> = BTreeMap::new();
    for row in rows {
        let day = first.entry((&row.code, &row.scope)).or_insert(row.from);
        *day = row.from.min(*day);
    }
    first.into_iter().map(|((code, scope), day)| (code, scope, day)).collect()
}

/// Lines that give one item two conditions on one day in one scope.
pub fn overlaps(rows: &[CatalogueRow]) -> Vec<Problem> {
    let mut by_item: BTreeMap<(&str, &str), Vec<Period>> = BTreeMap::new();
    for row in rows {
        let period = Period { line: row.line, from: row.from, to: row.to };
        by_item.entry((&row.scope, &row.code)).or_default().push(period);
    }
    by_item.into_values().flat_map(|periods| periods::overlaps(periods, "from")).collect()
}
