//! One adjudication with its steps: 60 lines, the seven payers of an accident, six of which pay and one of which
//! crosses two bands of the year; goal 50 µs. And the assessment of its lines before it.
//! `cargo bench --bench adjudication`.
#![expect(clippy::unwrap_used, reason = "a bench ends at the first surprise")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use yizhan_contract::claim::{Claim, HospitalLevel};
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::stay::{CatalogueClass, Cause, CauseKind, Line, Referral, VisitClass};
use yizhan_contract::{Accumulators, Quantity, StepKind, Used};
use yizhan_rules::{Adjudication, Item, PayerLine, PolicyShelf, adjudicate, assess};

const LINES: usize = 60;

fn lines() -> Vec<Line> {
    let line = |at: usize| Line {
        id: at.to_string(),
        date: "2020-08-05".parse().unwrap(),
        code: format!("I{}", at % 12),
        name: String::new(),
        quantity: Quantity::ONE,
        unit_price: None,
        amount: Some(format!("{}.37", 4_000 + at * 610).parse().unwrap()),
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
        ceiling: Some("30000".parse().unwrap()),
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

/// A year under way: this stay takes critical illness over an edge of its bands.
fn used() -> Accumulators {
    let critical_illness = Used { base: "80000".parse().unwrap(), paid: "48750.00".parse().unwrap() };
    let payers = [("critical_illness".parse().unwrap(), critical_illness)];
    Accumulators { admissions: 2, payers: payers.into() }
}

/// What is measured is work, not seven ways to find nothing left.
fn prove(ours: &Adjudication) {
    let paying = ours.payers.iter().filter(|line| line.paid.is_positive()).count();
    let bands = |line: &PayerLine| line.steps.iter().filter(|step| step.what == StepKind::Band).count();
    let crossed = ours.payers.iter().any(|line| bands(line) == 2);
    let explained = ours.payers.iter().all(|line| !line.steps.is_empty());
    assert!(ours.payers.len() == 7 && paying == 6 && crossed && explained, "{ours:#?}");
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
    let used = used();
    prove(&adjudicate(policy, &claim, &used).unwrap());
    criterion.bench_function("assess 60 lines", |b| b.iter(|| assess(black_box(&lines), item).unwrap()));
    criterion.bench_function("adjudicate 60 lines, 7 payers, with steps", |b| {
        b.iter(|| adjudicate(policy, black_box(&claim), &used).unwrap());
    });
}

criterion_group!(benches, adjudication);
criterion_main!(benches);
