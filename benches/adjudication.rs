//! One adjudication with its steps: 60 lines, the seven payers of an accident, goal 50 µs; and the
//! assessment of its lines before it. `cargo bench --bench adjudication`.
#![expect(clippy::unwrap_used, reason = "a bench ends at the first surprise")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use yizhan_contract::claim::{Claim, HospitalLevel};
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::stay::{CatalogueClass, Cause, CauseKind, Line, Referral, VisitClass};
use yizhan_contract::{Accumulators, Quantity};
use yizhan_rules::{Item, PolicyShelf, adjudicate, assess};

const LINES: usize = 60;

fn lines() -> Vec<Line> {
    let line = |at: usize| Line {
        id: at.to_string(),
        date: "2020-08-05".parse().unwrap(),
        code: format!("I{}", at % 12),
        name: String::new(),
        quantity: Quantity::ONE,
        unit_price: None,
        amount: Some(format!("{}.37", 400 + at * 61).parse().unwrap()),
        class: None,
        category: None,
        upfront_ratio: None,
        ceiling: None,
        credit_of: None,
        credit: false,
    };
    (0..LINES).map(line).collect()
}

fn item(code: &str) -> Option<Item> {
    let classes = [CatalogueClass::A, CatalogueClass::B, CatalogueClass::C];
    let at: usize = code[1..].parse().unwrap();
    Some(Item {
        name: Arc::from(code),
        class: classes[at % 3],
        category: Some(Arc::from("西药费")),
        upfront_ratio: Some("0.10".parse().unwrap()),
        ceiling: Some("900".parse().unwrap()),
    })
}

fn roster() -> RosterEntry {
    let entitled = |kind, code: &str| Entitlement {
        kind,
        code: code.to_owned(),
        from: "2020-01-01".parse().unwrap(),
        to: None,
    };
    RosterEntry {
        region: None,
        entitlements: vec![
            entitled(EntitlementKind::Category, "entitled_out_of_poverty"),
            entitled(EntitlementKind::Cover, "supplementary"),
            entitled(EntitlementKind::Cover, "accident"),
        ],
    }
}

fn adjudication(criterion: &mut Criterion) {
    let shelf = PolicyShelf::shipped().unwrap();
    let policy = shelf.find("371323", "2020-08-11".parse().unwrap()).unwrap();
    let lines = lines();
    let assessment = assess(&lines, item).unwrap();
    let claim = Claim {
        hospital_level: HospitalLevel::Two,
        hospital_region: "371323".to_owned(),
        insured_region: "371323".to_owned(),
        class: VisitClass::Inpatient,
        admitted: "2020-08-03".parse().unwrap(),
        discharged: "2020-08-11".parse().unwrap(),
        cause: Cause { kind: CauseKind::Accident, accident_type: Some("drowning".to_owned()) },
        third_party_liable: false,
        referral: Referral::None,
        roster: Some(roster()),
        buckets: assessment.buckets,
        lines: assessment.lines,
        settled_elsewhere: Vec::new(),
    };
    let used = Accumulators::default();
    assert_eq!(adjudicate(policy, &claim, &used).unwrap().payers.len(), 7);
    criterion.bench_function("assess 60 lines", |b| b.iter(|| assess(black_box(&lines), item).unwrap()));
    criterion.bench_function("adjudicate 60 lines, 7 payers, with steps", |b| {
        b.iter(|| adjudicate(policy, black_box(&claim), &used).unwrap());
    });
}

criterion_group!(benches, adjudication);
criterion_main!(benches);
