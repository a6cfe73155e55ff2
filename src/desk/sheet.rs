//! The printable settlement sheet (住院费用结算单): what the patient takes home and the clerk files.
//!
//! Every figure is the bill's own. The bill is masked; the full name is handed in beside it.

use std::borrow::Cow;

use askama::Template;
use yizhan_contract::person::Personal;
use yizhan_contract::{Buckets, Finding, FindingCode, Money, counted};

use super::assets::STYLE;
use super::figures::{self, days, grouped, shanghai};
use super::rows::{PayerRow, payer_rows};
use super::spoken::{balance, capitals, open, sentence, tick};
use super::values;
use super::waterfall::{self, Waterfall, waterfall};
use super::words::{Lang, Piece, Words, fill};
use crate::settlement::bill::{Bill, BillState, CategoryTotal, ComputedBy};

/// What a sheet is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sheet<'a> {
    pub bill: &'a Bill,
    /// In full: the patient's own paper.
    pub patient_name: &'a Personal<String>,
    pub hospital_name: &'a str,
    /// Where it is read, with a query already: the page may have come as the answer to a message, and the link to the
    /// other language must not lead there.
    pub address: &'a str,
    pub lang: Lang,
}

impl Sheet<'_> {
    /// A whole page; serve it with [`super::assets::page_security_policy`].
    pub fn render(&self) -> Result<String, askama::Error> {
        let (bill, lang) = (self.bill, self.lang);
        let words = lang.words();
        Page {
            lang,
            words,
            style: STYLE,
            bill,
            hospital_name: self.hospital_name,
            address: self.address,
            facts: facts(self),
            banner: banner(bill, lang),
            state: lang.of(&bill.state.text()).to_owned(),
            sentence: sentence(bill, words),
            capitals: capitals(bill, words),
            costs: costs(&bill.amounts, words),
            waterfall: waterfall(bill, lang),
            payers: payer_rows(bill, lang),
            balance: format!("{} {}", balance(bill, words), tick(bill)),
            findings: bill.findings.iter().filter(|f| f.code != FindingCode::SamplePolicy).collect(),
            open: open(bill, words),
            categories: bill.lines_by_category.iter().map(|total| category(total, lang)).collect(),
            computed: computed(bill, lang),
            is_sample: bill.findings.iter().any(|finding| finding.code == FindingCode::SamplePolicy),
        }
        .render()
    }
}

#[derive(Template)]
#[template(path = "sheet.html")]
struct Page<'a> {
    lang: Lang,
    words: &'static Words,
    style: &'static str,
    bill: &'a Bill,
    hospital_name: &'a str,
    address: &'a str,
    facts: Vec<Fact>,
    banner: Option<Banner>,
    state: String,
    sentence: Vec<Piece>,
    capitals: Vec<(&'static str, String)>,
    costs: Vec<Cost>,
    waterfall: Waterfall,
    payers: Vec<PayerRow<'a>>,
    balance: String,
    /// Without the sample policy, which the foot names in larger type.
    findings: Vec<&'a Finding>,
    open: (&'static str, Money),
    categories: Vec<CategoryRow>,
    computed: Vec<String>,
    is_sample: bool,
}

struct Fact {
    label: &'static str,
    value: String,
    note: String,
}

/// Why this paper is no proof of settlement, whether money moved, and what to do next.
struct Banner {
    text: &'static str,
    next: String,
    /// Across the page, behind the figures.
    watermark: &'static str,
}

struct Cost {
    label: &'static str,
    note: &'static str,
    amount: String,
    is_total: bool,
}

struct CategoryRow {
    label: String,
    lines: u32,
    amounts: [String; 5],
}

fn facts(sheet: &Sheet<'_>) -> Vec<Fact> {
    let (bill, lang) = (sheet.bill, sheet.lang);
    let words = lang.words();
    let fact = |label, value: String| Fact { label, value, note: String::new() };
    let category = bill.patient.category_named();
    let category = category.as_ref().map_or(words.none, |name| lang.of(name));
    let (admitted, discharged) = (bill.admitted.to_string(), bill.discharged.to_string());
    let length = days(bill.admitted, bill.discharged);
    let length = match lang {
        Lang::Zh => format!("{length} 天"),
        Lang::En => counted(length, "day", "days"),
    };
    let stay = [("admitted", &*admitted), ("discharged", &*discharged), ("days", &*length)];
    let year = bill.benefit_year.to_string();
    let ordinal = bill.admission_ordinal.to_string();
    vec![
        fact(words.name, sheet.patient_name.reveal().clone()),
        fact(words.id_number, bill.patient.id_number.clone().unwrap_or_else(|| words.none.to_owned())),
        Fact {
            label: words.person_category,
            value: category.to_owned(),
            note: fill(words.category_on, &[("date", &bill.patient.category_on.to_string())]),
        },
        fact(words.visit_number, bill.visit_number.clone()),
        fact(words.stay, fill(words.stay_dates, &stay)),
        fact(words.cause, values::cause(bill.cause).of(lang).to_owned()),
        fact(words.hospital_code, bill.hospital.to_string()),
        fact(words.benefit_year, fill(words.admission_ordinal, &[("year", &year), ("ordinal", &ordinal)])),
        fact(words.policy, bill.policy.to_string()),
    ]
}

fn banner(bill: &Bill, lang: Lang) -> Option<Banner> {
    let words = lang.words();
    let (text, next, more, watermark) = match bill.state {
        BillState::Settled => return None,
        BillState::AwaitingCharges => {
            (words.banner_awaiting, words.banner_awaiting_next, None, words.watermark_pending)
        }
        BillState::Quoted => {
            (words.banner_quoted, words.banner_quoted_next, valid_until(bill, words), words.watermark_quoted)
        }
        BillState::Settling => {
            (words.banner_settling, words.banner_settling_next, None, words.watermark_pending)
        }
        BillState::Reversing => {
            (words.banner_reversing, words.banner_reversing_next, None, words.watermark_reversing)
        }
        BillState::Reversed => {
            (words.banner_reversed, words.banner_reversed_next, reversal(bill, words), words.watermark_void)
        }
        BillState::NeedsAttention => {
            (words.banner_attention, words.banner_attention_next, None, words.watermark_pending)
        }
        BillState::Refused => {
            (words.banner_refused, words.banner_refused_next, None, words.watermark_pending)
        }
    };
    let next = [Some(next.to_owned()), more].into_iter().flatten().collect::<Vec<_>>();
    Some(Banner { text, next: next.join(words.sentences_between), watermark })
}

fn valid_until(bill: &Bill, words: &'static Words) -> Option<String> {
    let until = |at| format!("{} {}{}", words.valid_until, shanghai(at), words.shanghai_time);
    bill.valid_until.map(until)
}

fn reversal(bill: &Bill, words: &'static Words) -> Option<String> {
    let reversal = bill.reversal.as_ref()?;
    let at = shanghai(reversal.at);
    let said = [("reason", &*reversal.reason), ("operator", &*reversal.operator), ("at", &*at)];
    Some(fill(words.reversed_by, &said))
}

fn costs(amounts: &Buckets, words: &'static Words) -> Vec<Cost> {
    [
        (words.in_scope, words.in_scope_note, amounts.in_scope),
        (words.upfront_copay, words.upfront_copay_note, amounts.upfront_copay),
        (words.over_limit, words.over_limit_note, amounts.over_limit),
        (words.self_funded, words.self_funded_note, amounts.self_funded),
        (words.total, "", amounts.total),
    ]
    .into_iter()
    .map(|(label, note, amount)| Cost { label, note, amount: grouped(amount), is_total: note.is_empty() })
    .collect()
}

fn category(total: &CategoryTotal, lang: Lang) -> CategoryRow {
    let label = total.category.as_deref().map_or(lang.words().uncategorised, |code| {
        values::or_code(values::charge_category(code), code, lang)
    });
    let amounts = &total.buckets;
    CategoryRow {
        label: label.to_owned(),
        lines: total.lines,
        amounts: [
            amounts.total,
            amounts.in_scope,
            amounts.upfront_copay,
            amounts.over_limit,
            amounts.self_funded,
        ]
        .map(grouped),
    }
}

/// Who answers for the amounts: a payer's own answer weighs more than the gateway's reckoning.
fn computed(bill: &Bill, lang: Lang) -> Vec<String> {
    let words = lang.words();
    let by = |who: ComputedBy| {
        let names: Vec<_> =
            bill.payers.iter().filter(|payer| payer.computed_by == who).map(|p| lang.of(&p.name)).collect();
        names.join(words.names_between)
    };
    let (gateway, payer) = (by(ComputedBy::Gateway), by(ComputedBy::Payer));
    match (gateway.is_empty(), payer.is_empty()) {
        (true, true) => Vec::new(),
        (false, true) => vec![words.computed_all_gateway.to_owned()],
        (true, false) => vec![fill(words.computed_payer, &[("payers", &payer)])],
        (false, false) => vec![
            fill(words.computed_gateway, &[("payers", &gateway)]),
            fill(words.computed_payer, &[("payers", &payer)]),
        ],
    }
}

impl Page<'_> {
    fn issued_at(&self) -> String {
        format!("{}{}", shanghai(self.bill.issued_at), self.words.shanghai_time)
    }

    /// `93.35%`, or a dash where nothing is in scope.
    fn coverage(&self) -> [(&'static str, Cow<'static, str>); 2] {
        let coverage = &self.bill.coverage;
        [(self.words.coverage_in_scope, coverage.in_scope), (self.words.coverage_total, Some(coverage.total))]
            .map(|(label, ratio)| {
                (label, ratio.map_or(self.words.none.into(), |ratio| figures::coverage(ratio).into()))
            })
    }
}
