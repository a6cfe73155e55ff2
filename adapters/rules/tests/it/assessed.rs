//! Charge lines to buckets: SETTLEMENT §2 line by line.

use serde::Deserialize;
use yizhan_contract::Text;
use yizhan_contract::stay::Line;
use yizhan_rules::{Item, assess, total};

use crate::said;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    lines: Vec<toml::Table>,
    stated_total: Option<String>,
    /// total, self_funded, over_limit, upfront_copay, in_scope.
    buckets: Option<[String; 5]>,
    refused: Option<String>,
    says: Option<String>,
    /// Category and total, `-` for none.
    by_category: Option<Vec<String>>,
}

/// What a case leaves out of a line.
fn line(at: usize, stated: &toml::Table) -> Line {
    let mut line = toml::Table::new();
    line.insert("id".to_owned(), at.to_string().into());
    line.insert("date".to_owned(), "2020-07-01".into());
    line.insert("code".to_owned(), "UNKNOWN".into());
    line.extend(stated.clone());
    line.try_into().unwrap()
}

fn catalogue(code: &str) -> Option<Item> {
    let item = |class: &str, upfront: Option<&str>, ceiling: Option<&str>| Item {
        name: code.into(),
        class: yizhan_contract::stay::CatalogueClass::from_word(class).unwrap(),
        category: Some("drug".into()),
        upfront_ratio: upfront.map(|ratio| ratio.parse().unwrap()),
        ceiling: ceiling.map(|price| price.parse().unwrap()),
    };
    match code {
        "A" => Some(item("A", None, None)),
        "A-CEILING" => Some(item("A", Some("0.5"), Some("10.00"))),
        "B" => Some(item("B", Some("0.10"), None)),
        "B-CEILING" => Some(item("B", Some("0.10"), Some("10.00"))),
        "C" => Some(item("C", Some("0.5"), Some("1.00"))),
        _ => None,
    }
}

#[test]
fn every_charge_finds_its_bucket() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charges.toml");
    let file: File = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in &file.case {
        let name = &case.name;
        let lines: Vec<Line> = case.lines.iter().enumerate().map(|(at, stated)| line(at, stated)).collect();
        let stated = case.stated_total.as_ref().map(|total| total.parse().unwrap());
        let outcome = assess(&lines, catalogue).and_then(|ours| total(&lines, stated).map(|_| ours));
        let ours = match (outcome, &case.refused) {
            (Ok(ours), None) => ours,
            (Err(why), Some(refused)) if why.to_string().contains(refused) => {
                said::in_both(name, &why.text());
                continue;
            }
            (outcome, refused) => panic!("{name}: expected {refused:?}, got {outcome:?}"),
        };
        for finding in &ours.findings {
            said::in_both(name, &finding.message);
            assert!(finding.clause.is_some(), "{name}: {finding:?}");
        }
        let buckets = ours.buckets;
        let written =
            [buckets.total, buckets.self_funded, buckets.over_limit, buckets.upfront_copay, buckets.in_scope];
        assert_eq!(Some(written.map(|amount| amount.to_string())), case.buckets, "{name}");
        if let Some(sentence) = &case.says {
            let said = |text: &Text| text.zh.contains(sentence) || text.en.contains(sentence);
            assert!(ours.findings.iter().any(|finding| said(&finding.message)), "{name}: {ours:#?}");
        } else {
            assert!(ours.findings.is_empty(), "{name}: {:#?}", ours.findings);
        }
        if let Some(expected) = &case.by_category {
            let totals = ours.by_category.iter();
            let written = totals
                .map(|total| format!("{} {}", total.category.as_deref().unwrap_or("-"), total.buckets.total));
            assert_eq!(&written.collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
