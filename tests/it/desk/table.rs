use yizhan::desk::figures::width;
use yizhan::desk::problem::Problem;
use yizhan::desk::table::{self, Style};
use yizhan::refusal::{Code, Money, Refusal};

use super::bills;
use super::golden;

const EXPLAINED: Style = Style { explain: true, colour: false };

#[test]
fn tables_are_as_kept() {
    for (name, bill) in bills::all() {
        golden::check(&format!("table/{name}.txt"), &table::bill(&bill, EXPLAINED));
    }
}

#[test]
fn amounts_end_in_the_same_columns() {
    for (name, bill) in bills::all() {
        let text = table::bill(&bill, Style::default());
        let titles = text.lines().find(|line| line.starts_with('#')).unwrap();
        let end = width(titles);
        let rows: Vec<_> =
            text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
        assert_eq!(rows.len(), bill.payers.len(), "{name}");
        for row in rows {
            assert_eq!(width(row), end, "{name}: {row}");
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    for (name, bill) in bills::all() {
        let coloured = table::bill(&bill, Style { colour: true, ..EXPLAINED });
        let mut plain = String::new();
        for (index, part) in coloured.split('\u{1b}').enumerate() {
            plain += if index == 0 { part } else { part.split_once('m').unwrap().1 };
        }
        assert_ne!(coloured, plain, "{name}");
        assert_eq!(plain, table::bill(&bill, EXPLAINED), "{name}");
    }
}

#[test]
fn a_refusal_says_what_where_what_next_and_whether_money_moved() {
    let refusals = [
        Refusal::new(Code::TotalDiffers, "总额 100.00，明细合计 99.99", "stated 100.00, lines 99.99")
            .at("FT1[3]-11"),
        Refusal::new(Code::MissingField, "缺少出院日期", "no discharge date").money(Money::BeingConfirmed),
    ];
    for (name, refusals) in [("one", &refusals[..1]), ("several", &refusals[..])] {
        let problem = Problem::new(refusals, Some("0af7651916cd43dd"));
        golden::check(&format!("problem/{name}.txt"), &table::problem(&problem, Style::default()));
    }
}
