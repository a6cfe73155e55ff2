//! What is charged: 20 to 200 lines, the median about 60; items of the sample catalogue, some that no
//! catalogue knows, now and then one taken back.

use jiff::civil::Date;

use super::chance::Chance;

/// How many lines a stay has, by tenths of all stays.
const LINES: [u64; 11] = [20, 28, 36, 44, 52, 60, 70, 82, 100, 130, 200];
/// Of stays that take something back.
const CREDITED_PERCENT: u64 = 30;
const CREDITS_MAX: u64 = 3;
const UNKNOWN_ITEM_PERCENT: u64 = 2;
/// Of the stays of people who keep coming back: intensive care, which is what reaches annual caps.
const INTENSIVE_PERCENT: u64 = 25;

/// Code, name, unit price in fen, quantity at most.
type Item = (&'static str, &'static str, u64, u64);

/// What most days are made of.
const DAILY: [Item; 13] = [
    ("BED01", "普通床位费", 4_000, 1),
    ("DIA01", "住院诊察费", 1_200, 1),
    ("NUR01", "二级护理", 3_000, 1),
    ("TRE01", "静脉输液", 1_350, 3),
    ("LAB01", "血常规", 2_350, 1),
    ("LAB07", "生化全套", 18_600, 1),
    ("EXA01", "彩色超声检查", 13_500, 1),
    ("MAT01", "一次性输液器", 585, 4),
    ("MAT09", "进口止血材料", 30_000, 1),
    ("DRU01", "头孢呋辛", 3_875, 4),
    ("DRU05", "低分子肝素", 9_985, 2),
    ("DRU09", "白蛋白（自费适应症）", 38_000, 1),
    ("CHN01", "丹参滴丸", 2_733, 3),
];
/// Once in a stay, if at all.
const ONCE: [Item; 4] = [
    ("SUR01", "阑尾切除术", 260_000, 1),
    ("EXA05", "磁共振平扫", 48_000, 1),
    ("MAT05", "国产冠脉支架", 980_000, 1),
    ("SUR09", "冠状动脉搭桥术", 1_200_000, 1),
];
const INTENSIVE: [Item; 3] = [
    ("BED09", "监护病房床位费", 30_000, 10),
    ("NUR09", "重症监护", 150_000, 90),
    ("TRE09", "呼吸机辅助呼吸", 12_000, 500),
];
const UNKNOWN: Item = ("ZX0071", "院内制剂", 4_610, 2);

/// One charge or credit, amounts in fen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) id: usize,
    pub(super) date: Date,
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) quantity: u64,
    pub(super) unit_price: u64,
    /// The line that is taken back.
    pub(super) credit_of: Option<usize>,
}

impl Charge {
    /// Without its sign.
    pub(super) fn amount(&self) -> u64 {
        self.quantity * self.unit_price
    }
}

/// All lines of a stay of `days` days from `admitted`.
pub(super) fn charges(chance: &mut Chance, admitted: Date, days: u64, keeps_coming: bool) -> Vec<Charge> {
    let wanted = lines(chance) as usize;
    let mut charges = Vec::with_capacity(wanted + 3);
    let day = |chance: &mut Chance| {
        let after = i64::try_from(chance.below(days.max(1))).unwrap_or_default();
        admitted.saturating_add(jiff::Span::new().days(after))
    };
    let add = |charges: &mut Vec<Charge>, chance: &mut Chance, (code, name, unit_price, most): Item| {
        let (date, quantity) = (day(chance), chance.within(1..=most));
        charges.push(Charge {
            id: charges.len() + 1,
            date,
            code,
            name,
            quantity,
            unit_price,
            credit_of: None,
        });
    };
    if chance.is_percent(40) {
        let item = ONCE[chance.weighed(&[10, 20, 5, 2])];
        add(&mut charges, chance, item);
    }
    if keeps_coming && chance.is_percent(INTENSIVE_PERCENT) {
        for item in INTENSIVE {
            add(&mut charges, chance, item);
        }
    }
    while charges.len() < wanted {
        let item = if chance.is_percent(UNKNOWN_ITEM_PERCENT) { UNKNOWN } else { *chance.pick(&DAILY) };
        add(&mut charges, chance, item);
    }
    take_back(chance, &mut charges);
    charges
}

fn lines(chance: &mut Chance) -> u64 {
    let tenth = chance.below(10) as usize;
    chance.within(LINES[tenth]..=LINES[tenth + 1])
}

/// In place of the last lines, so that a stay has as many as it was to have.
fn take_back(chance: &mut Chance, charges: &mut Vec<Charge>) {
    if !chance.is_percent(CREDITED_PERCENT) {
        return;
    }
    let credits = chance.within(1..=CREDITS_MAX) as usize;
    let standing = charges.len() - credits;
    charges.truncate(standing);
    for at in 0..credits {
        // Different lines, so that no more is taken back than was charged.
        let original = charges[standing - 1 - at * 2].clone();
        charges.push(Charge { id: charges.len() + 1, quantity: 1, credit_of: Some(original.id), ..original });
    }
}
