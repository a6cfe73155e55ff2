//! A bill or a refusal in a terminal: Chinese and English together, amounts aligned by display width.

use yizhan_contract::counted;

use super::explain;
use super::figures::{coverage, grouped, shanghai, width, wrapped};
use super::problem::Problem;
use super::rows::{PayerRow, payer_rows};
use super::spoken::{balance, open, tick};
use super::values;
use super::words::{EN, Lang, Words, ZH};
use crate::settlement::bill::{Bill, BillState, BilledPayer};
use crate::settlement::outcome::Noted;

/// How to write; the caller knows the terminal and `NO_COLOR`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Each payer's steps with figures and clauses.
    pub explain: bool,
    pub colour: bool,
}

/// One text of the table of words.
type Word = fn(&Words) -> &'static str;

const NUMBER_COLUMNS: usize = 3;
const NAME_COLUMNS: usize = 34;
const STATE_COLUMNS: usize = 20;
/// 9,999,999,999.99 and a blank.
const AMOUNT_COLUMNS: usize = 17;
const TABLE_COLUMNS: usize = NUMBER_COLUMNS + NAME_COLUMNS + STATE_COLUMNS + 3 * AMOUNT_COLUMNS;

/// The whole bill, ending with a line break.
pub fn bill(bill: &Bill, style: Style) -> String {
    let mut text = Text { style, text: String::new() };
    head(bill, &mut text);
    text.line(&"-".repeat(TABLE_COLUMNS));
    titles(&mut text);
    text.line(&"-".repeat(TABLE_COLUMNS));
    let rows = payer_rows(bill, Lang::Zh).into_iter().zip(payer_rows(bill, Lang::En));
    for ((zh, en), of) in rows.zip(&bill.payers) {
        payer(&zh, &en, of, &mut text);
    }
    text.line(&"-".repeat(TABLE_COLUMNS));
    sums(bill, &mut text);
    findings(bill, &mut text);
    text.text
}

/// A refusal: what, where, what to do next, and whether money moved.
pub fn problem(problem: &Problem, style: Style) -> String {
    let mut text = Text { style, text: String::new() };
    let title = format!("{}  {}", problem.title.zh, problem.title.en);
    text.line(&text.paint(&format!("× {title}"), Ink::Warn));
    let money = values::money(problem.money);
    text.line(
        &text.paint(&format!("  {}: {}  {}", both(|w| w.problem_money), money.zh, money.en), Ink::Strong),
    );
    for (index, part) in problem.errors.iter().enumerate() {
        if problem.errors.len() > 1 {
            text.line(&format!("  {}. {}  {}", index + 1, part.title.zh, part.title.en));
        }
        if let Some(place) = &part.place {
            text.line(&format!("  {}: {place}", both(|w| w.problem_where)));
        }
        text.line(&format!("  {}: {}", both(|w| w.problem_detail), part.detail.zh));
        text.line(&format!("    {}", part.detail.en));
        text.line(&format!("  {}: {}", both(|w| w.problem_next), part.next.zh));
        text.line(&format!("    {}", part.next.en));
        text.line(&text.paint(&format!("  {}: {}", both(|w| w.code), part.code.slug()), Ink::Faint));
    }
    if let Some(trace_id) = &problem.trace_id {
        text.line(&text.paint(&format!("  {}: {trace_id}", both(|w| w.trace_id)), Ink::Faint));
    }
    text.text
}

/// What was taken in without a bill.
pub fn noted(noted: &Noted, style: Style) -> String {
    let mut text = Text { style, text: String::new() };
    let (state, who) = (noted.state.text(), noted.beneficiary.sentence());
    let (visit, lines, total) = (&noted.visit_number, noted.lines, noted.total);
    let charges = counted(lines, "charge line", "charge lines");
    text.line(&format!(
        "已收到 {visit}：{}（{lines} 行费用，{total} 元）| received {visit}: {} ({charges}, {total})",
        state.zh,
        state.en.to_lowercase(),
    ));
    text.line(&format!("  {} | {}", who.zh, who.en));
    for finding in &noted.findings {
        text.line(&format!("  ! {} | {}", finding.message.zh, finding.message.en));
    }
    text.text
}

fn head(bill: &Bill, text: &mut Text) {
    let state = bill.state.text();
    let ink = if bill.state == BillState::Settled { Ink::Good } else { Ink::Warn };
    let state = text.paint(&format!("[{} {}]", state.zh, state.en), ink);
    let title = text.paint(&both(|w| w.sheet_title), Ink::Strong);
    text.line(&format!("{title}  {state}"));
    let id = format!("{}  {} {}", bill.settlement_id, both(|w| w.version), bill.version);
    text.fact(|w| w.settlement_id, &id);
    if let Some(replaces) = bill.replaces {
        text.fact(|w| w.replaces, &replaces.to_string());
    }
    let category = bill.patient.category_named().map(|name| format!("{} {}", name.zh, name.en));
    let patient = [Some(bill.patient.name.clone()), bill.patient.id_number.clone(), category];
    text.fact(|w| w.patient, &patient.into_iter().flatten().collect::<Vec<_>>().join("  "));
    let cause = values::cause(bill.cause);
    let stay = format!(
        "{}  {}  {} – {}  {} {}",
        bill.hospital, bill.visit_number, bill.admitted, bill.discharged, cause.zh, cause.en
    );
    text.fact(|w| w.stay, &stay);
    text.fact(|w| w.policy, &bill.policy);
    text.fact(|w| w.issued_at, &format!("{} +08:00", shanghai(bill.issued_at)));
    if let Some(until) = bill.valid_until {
        text.fact(|w| w.valid_until, &format!("{} +08:00", shanghai(until)));
    }
    if let Some(reversal) = &bill.reversal {
        let (reason, operator) = (&reversal.reason, &reversal.operator);
        text.fact(|w| w.banner_reversed, &format!("{reason} ({operator}, {})", shanghai(reversal.at)));
    }
    costs(bill, text);
}

fn costs(bill: &Bill, text: &mut Text) {
    let amounts = &bill.amounts;
    let parts: [(Word, _); 4] = [
        (|w| w.in_scope, amounts.in_scope),
        (|w| w.upfront_copay, amounts.upfront_copay),
        (|w| w.over_limit, amounts.over_limit),
        (|w| w.self_funded, amounts.self_funded),
    ];
    let parts = parts.map(|(label, amount)| format!("{} {}", both(label), grouped(amount)));
    text.fact(|w| w.total, &grouped(amounts.total));
    for (sign, pair) in ["= ", "+ "].into_iter().zip(parts.chunks(2)) {
        text.line(&format!("  {sign}{}", pair.join(" + ")));
    }
}

fn titles(text: &mut Text) {
    for words in [&ZH, &EN] {
        let amounts = [words.base, words.pays, words.left_after];
        let row = row("#", words.payer, words.state, amounts);
        text.line(&text.paint(&row, Ink::Faint));
    }
}

fn payer(zh: &PayerRow<'_>, en: &PayerRow<'_>, payer: &BilledPayer, text: &mut Text) {
    let mut names = wrapped(zh.name, NAME_COLUMNS - 1);
    names.extend(wrapped(en.name, NAME_COLUMNS - 1));
    let mut names = names.into_iter();
    let first = names.next().unwrap_or_default();
    let state = format!("{} {}", zh.mark, zh.state);
    text.line(&row(&zh.number.to_string(), &first, &state, [&*zh.base, &*zh.paid, &*zh.left]));
    let reference = zh.reference.map(|reference| format!("{} {reference}", both(|w| w.reference_short)));
    let why = zh.why.zip(en.why).map(|(zh, en)| format!("{zh} {en}"));
    let mut beside = vec![en.state.to_owned()];
    beside.extend(reference.into_iter().chain(why));
    let beside = padded(&format!("  {}", beside.remove(0)), STATE_COLUMNS) + &beside.join("  ");
    let second = names.next().unwrap_or_default();
    let number = " ".repeat(NUMBER_COLUMNS);
    let line = format!("{number}{}{beside}", padded(&second, NAME_COLUMNS));
    text.line(&text.paint(line.trim_end(), Ink::Faint));
    for name in names {
        text.line(&text.paint(&format!("{number}{name}"), Ink::Faint));
    }
    if text.style.explain {
        for step in &payer.steps {
            let (zh, en) = (explain::line(step, Lang::Zh), explain::line(step, Lang::En));
            text.step(&zh, &en);
        }
    }
}

fn sums(bill: &Bill, text: &mut Text) {
    let share = grouped(bill.patient_share);
    let label = format!("{} = Σ {}", both(|w| w.sum), tick(bill));
    let sums = row("", &label, "", ["", &grouped(bill.paid_by_payers), &share]);
    text.line(&text.paint(&sums, Ink::Strong));
    for words in [&ZH, &EN] {
        text.line(&text.paint(&row("", &balance(bill, words), "", [""; 3]), Ink::Faint));
    }
    let (open_label, open_amount) = open(bill, &ZH);
    let (open_english, _) = open(bill, &EN);
    let lines = [
        (both(|w| w.patient_share), share, Ink::Strong),
        (both(|w| w.deposit), grouped(bill.deposit), Ink::Plain),
        (format!("{open_label} {open_english}"), grouped(open_amount), Ink::Strong),
    ];
    for (label, amount, ink) in lines {
        text.line(&text.paint(&row("", &label, "", ["", "", &amount]), ink));
    }
    let shares = [
        (both(|w| w.coverage_in_scope), bill.coverage.in_scope),
        (both(|w| w.coverage_total), Some(bill.coverage.total)),
    ];
    let shares =
        shares.into_iter().filter_map(|(label, share)| Some(format!("{label} {}", coverage(share?))));
    text.fact(|w| w.coverage, &shares.collect::<Vec<_>>().join("  "));
}

fn findings(bill: &Bill, text: &mut Text) {
    for finding in &bill.findings {
        let clause = finding.clause.as_deref().map(|clause| format!("  [{clause}]")).unwrap_or_default();
        text.line(&text.paint(&format!("! {}{clause}", finding.message.zh), Ink::Warn));
        text.line(&text.paint(&format!("  {}", finding.message.en), Ink::Faint));
    }
}

fn both(word: Word) -> String {
    format!("{} {}", word(&ZH), word(&EN))
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// One line of the table: texts to the left, amounts to the right.
fn row(number: &str, name: &str, state: &str, amounts: [&str; 3]) -> String {
    let mut line =
        padded(number, NUMBER_COLUMNS) + &padded(name, NAME_COLUMNS) + &padded(state, STATE_COLUMNS);
    for amount in amounts {
        line += &" ".repeat(AMOUNT_COLUMNS.saturating_sub(width(amount)));
        line += amount;
    }
    line.trim_end().to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Strong,
    Faint,
    Good,
    Warn,
}

struct Text {
    style: Style,
    text: String,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text += line.trim_end();
        self.text.push('\n');
    }

    fn fact(&mut self, label: Word, value: &str) {
        let label = self.paint(&format!("{}:", both(label)), Ink::Faint);
        self.line(&format!("{label} {value}"));
    }

    /// One line where both languages have the same figures, else one for each.
    fn step(&mut self, zh: &explain::Line, en: &explain::Line) {
        let clause = zh.clause.as_deref().map(|clause| format!("  [{clause}]")).unwrap_or_default();
        let clause = self.paint(&clause, Ink::Faint);
        let indent = " ".repeat(NUMBER_COLUMNS + 2);
        if zh.figures == en.figures {
            let figures = [zh.figures.as_str(), zh.sign, &zh.after];
            let figures: Vec<_> = figures.into_iter().filter(|part| !part.is_empty()).collect();
            self.line(&format!("{indent}{} {}: {}{clause}", zh.what, en.what, figures.join(" ")));
        } else {
            self.line(&format!("{indent}{zh}{clause}"));
            self.line(&self.paint(&format!("{indent}{en}"), Ink::Faint));
        }
    }

    fn paint(&self, text: &str, ink: Ink) -> String {
        let code = match ink {
            _ if !self.style.colour || text.is_empty() => return text.to_owned(),
            Ink::Plain => return text.to_owned(),
            Ink::Strong => "1",
            Ink::Faint => "2",
            Ink::Good => "1;32",
            Ink::Warn => "1;33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
