//! `tests/cases/*.toml`: one stay, one policy, and what the bill must say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::payer::AskedLeg;
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::stay::{CatalogueClass, Cause, CauseKind, Referral, SettledElsewhere, VisitClass};
use yizhan_contract::{Accumulators, Buckets, Claim, ClaimLine, FindingCode, Money, PayerCode, Used};
use yizhan_rules::{Adjudication, Answered, Policy, PolicyShelf, SHIPPED, adjudicate};

use crate::{asked, recompute, said};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    name: String,
    /// A shipped policy, or a file of `tests/policies`.
    #[serde(default = "plain")]
    policy: String,
    /// What a policy extending `policy` states; settings and payers only.
    over: Option<String>,
    #[serde(default)]
    in_scope: Money,
    #[serde(default)]
    self_funded: Money,
    #[serde(default)]
    over_limit: Money,
    #[serde(default)]
    upfront_copay: Money,
    #[serde(default = "two")]
    level: u8,
    #[serde(default = "admitted")]
    admitted: String,
    #[serde(default = "discharged")]
    discharged: String,
    /// `code`, or `code from` or `code from to`; absent: not on the roster.
    categories: Option<Vec<String>>,
    #[serde(default)]
    covers: Vec<String>,
    #[serde(default = "illness")]
    cause: CauseKind,
    accident_type: Option<String>,
    #[serde(default)]
    third_party_liable: bool,
    #[serde(default = "home")]
    insured_region: String,
    #[serde(default = "home")]
    hospital_region: String,
    referral: Option<Referral>,
    #[serde(default)]
    admissions: u32,
    /// Payer to `base paid`.
    #[serde(default)]
    used: BTreeMap<String, String>,
    /// `payer amount reference`.
    #[serde(default)]
    elsewhere: Vec<String>,
    /// Payers that are asked, to what they answer: an amount, `most`, `refused` or `deferred`.
    #[serde(default)]
    outside: BTreeMap<String, String>,
    stated_share: Option<Money>,
    /// `category amount`, for bases made of items.
    #[serde(default)]
    items: Vec<String>,
    expect: Expect,
}

/// Whatever a case leaves out is not looked at.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// `payer paid`, at 0.00 the reason, and the state where the payer was not computed.
    paid: Option<Vec<String>>,
    share: Option<String>,
    findings: Option<Vec<String>>,
    #[serde(default)]
    says: Vec<String>,
    /// Payer to its steps, `what figure=… after`.
    #[serde(default)]
    steps: BTreeMap<String, Vec<String>>,
    /// Payer to the clauses of its steps, `-` where a step has none.
    #[serde(default)]
    clauses: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    base: BTreeMap<String, String>,
    /// Payer to what it is asked with: base, in-scope and out-of-scope remainder, the most it may pay.
    asked: Option<BTreeMap<String, String>>,
    /// `payer base paid`.
    moves: Option<Vec<String>>,
    coverage: Option<String>,
    category: Option<String>,
    category_on: Option<String>,
    admission_ordinal: Option<u32>,
    benefit_year: Option<i16>,
    refused: Option<String>,
}

fn plain() -> String {
    "plain".to_owned()
}
fn two() -> u8 {
    2
}
fn admitted() -> String {
    "2020-06-24".to_owned()
}
fn discharged() -> String {
    "2020-07-02".to_owned()
}
fn illness() -> CauseKind {
    CauseKind::Illness
}
fn home() -> String {
    "990101".to_owned()
}

/// A shipped policy, or one of `tests/policies`, by its name.
pub(crate) fn policy_text(name: &str) -> String {
    let file = format!("{name}.toml");
    let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == file).map(|(_, text)| (*text).to_owned());
    shipped.unwrap_or_else(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(&file);
        fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    })
}

fn policy(case: &Case) -> std::sync::Arc<Policy> {
    let base = policy_text(&case.policy);
    let Some(over) = &case.over else {
        return PolicyShelf::read([("policy.toml", &*base)]).unwrap().policies()[0].clone();
    };
    let region = toml::from_str::<toml::Value>(&base).unwrap()["region"].as_str().unwrap().to_owned();
    let from = toml::from_str::<toml::Value>(&base).unwrap()["from"].as_str().unwrap().to_owned();
    let over = format!(
        "name = \"over\"\ntitle = {{ zh = \"上\", en = \"over\" }}\nregion = \"{region}01\"\nfrom = \"{from}\"\n\
         extends = \"{}\"\nattested_by = \"test\"\n{over}",
        case.policy
    );
    let shelf = PolicyShelf::read([("policy.toml", &*base), ("over.toml", &*over)]);
    let shelf = shelf.unwrap_or_else(|why| panic!("{}: {why}", case.name));
    shelf.policies().iter().find(|policy| policy.name() == "over").unwrap().clone()
}

fn entitlement(kind: EntitlementKind, text: &str) -> Entitlement {
    let mut words = text.split(' ');
    Entitlement {
        kind,
        code: words.next().unwrap().to_owned(),
        from: words.next().unwrap_or("2000-01-01").parse().unwrap(),
        to: words.next().map(|day| day.parse().unwrap()),
    }
}

fn claim(stay: &Case) -> Claim {
    let entitlements =
        |codes: &[String], kind| codes.iter().map(|text| entitlement(kind, text)).collect::<Vec<_>>();
    let roster = stay.categories.as_ref().map(|categories| {
        let mut entry = entitlements(categories, EntitlementKind::Category);
        entry.extend(entitlements(&stay.covers, EntitlementKind::Cover));
        RosterEntry { region: None, entitlements: entry }
    });
    let elsewhere = stay.elsewhere.iter().map(|text| {
        let mut words = text.splitn(3, ' ');
        SettledElsewhere {
            payer: words.next().unwrap().parse().unwrap(),
            amount: words.next().unwrap().parse().unwrap(),
            reference: words.next().unwrap_or_default().to_owned(),
        }
    });
    let lines = stay.items.iter().enumerate().map(|(at, text)| {
        let (category, amount) = text.split_once(' ').unwrap();
        let amount = amount.parse().unwrap();
        ClaimLine {
            id: at.to_string().into(),
            code: "X".into(),
            category: Some(category.into()),
            class: CatalogueClass::A,
            amount,
            self_funded: Money::ZERO,
            over_limit: Money::ZERO,
            upfront_copay: Money::ZERO,
            in_scope: amount,
        }
    });
    Claim {
        hospital_level: HospitalLevel::try_from(stay.level).unwrap(),
        hospital_region: stay.hospital_region.clone(),
        insured_region: stay.insured_region.clone(),
        class: VisitClass::Inpatient,
        admitted: stay.admitted.parse().unwrap(),
        discharged: stay.discharged.parse().unwrap(),
        cause: Cause { kind: stay.cause, accident_type: stay.accident_type.clone() },
        third_party_liable: stay.third_party_liable,
        referral: stay.referral.unwrap_or(Referral::None),
        roster,
        buckets: Buckets {
            total: stay.in_scope + stay.self_funded + stay.over_limit + stay.upfront_copay,
            self_funded: stay.self_funded,
            over_limit: stay.over_limit,
            upfront_copay: stay.upfront_copay,
            in_scope: stay.in_scope,
        },
        lines: lines.collect(),
        settled_elsewhere: elsewhere.collect(),
    }
}

fn accumulators(stay: &Case) -> Accumulators {
    let used = stay.used.iter().map(|(payer, text)| {
        let (base, paid) = text.split_once(' ').unwrap();
        (payer.parse().unwrap(), Used { base: base.parse().unwrap(), paid: paid.parse().unwrap() })
    });
    Accumulators { admissions: stay.admissions, payers: used.collect() }
}

/// The figures of a step as a person would jot them down.
fn jotted(step: &serde_json::Value) -> String {
    let mut words = vec![step["what"].as_str().unwrap().to_owned()];
    for key in ["amount", "already", "of", "from", "to", "part", "ratio", "points"] {
        if let Some(figure) = step.get(key) {
            words.push(format!("{key}={}", figure.as_str().unwrap()));
        }
    }
    for item in step.get("items").and_then(|items| items.as_array()).into_iter().flatten() {
        let text = |key: &str| item[key].as_str().unwrap().to_owned();
        words.push(format!("{}={}×{}", text("category"), text("amount"), text("ratio")));
    }
    words.push(step["after"].as_str().unwrap().to_owned());
    words.join(" ")
}

fn check(case: &Case) {
    let name = &case.name;
    assert!(case.expect != Expect::default(), "{name}: expects nothing");
    let claim = claim(case);
    let policy = policy(case);
    let outside: Vec<PayerCode> = case.outside.keys().map(|code| code.parse().unwrap()).collect();
    let answer = |leg: &AskedLeg| match &*case.outside[leg.payer.as_str()] {
        "refused" => Answered::Refused,
        "deferred" => Answered::Deferred,
        "most" => asked::paid(leg.pay_at_most),
        amount => asked::paid(amount.parse().unwrap()),
    };
    let outcome = asked::walk(&policy, &claim, &accumulators(case), &outside, answer)
        .and_then(|(ours, asked)| ours.agrees_with(case.stated_share).map(|()| (ours, asked)));
    let expect = &case.expect;
    let (ours, asked) = match (outcome, &expect.refused) {
        (Err(why), Some(refused)) => {
            assert!(why.to_string().contains(refused), "{name}: refused with: {why}");
            said::in_both(name, &why.text(&policy));
            return;
        }
        (Err(why), None) => panic!("{name}: refused: {why}"),
        (Ok(_), Some(refused)) => panic!("{name}: should have been refused: {refused}"),
        (Ok(ours), None) => ours,
    };
    let bill = serde_json::to_value(&ours).unwrap();
    recompute::check(&bill);
    for finding in &ours.findings {
        said::in_both(name, &finding.message);
        let is_of_nobody = finding.code == FindingCode::SamplePolicy;
        assert_eq!(finding.clause.is_none(), is_of_nobody, "{name}: {finding:?}");
    }
    compare(name, expect, &ours, &bill);
    if let Some(expected) = &expect.asked {
        let written = |leg: &AskedLeg| {
            format!("{} {} {} {}", leg.base, leg.in_scope_left, leg.out_of_scope_left, leg.pay_at_most)
        };
        let asked: BTreeMap<String, String> =
            asked.iter().map(|(payer, leg)| (payer.to_string(), written(leg))).collect();
        assert_eq!(asked, *expected, "{name}");
    }
}

fn compare(name: &str, expect: &Expect, ours: &Adjudication, bill: &serde_json::Value) {
    let word = |value: &serde_json::Value| value.as_str().map(|word| format!(" {word}")).unwrap_or_default();
    if let Some(expected) = &expect.paid {
        let lines = bill["payers"].as_array().unwrap().iter();
        let paid = lines.map(|line| {
            let computed = ["quoted", "not_applicable"].map(serde_json::Value::from);
            let state = if computed.contains(&line["state"]) { String::new() } else { word(&line["state"]) };
            let payer = line["payer"].as_str().unwrap();
            format!("{payer}{}{}{state}", word(&line["paid"]), word(&line["reason"]))
        });
        assert_eq!(&paid.collect::<Vec<_>>(), expected, "{name}");
    }
    for (payer, expected) in &expect.steps {
        let line = bill["payers"].as_array().unwrap().iter().find(|line| line["payer"] == **payer).unwrap();
        let steps: Vec<String> = line["steps"].as_array().unwrap().iter().map(jotted).collect();
        assert_eq!(&steps, expected, "{name}: {payer}");
    }
    for (payer, expected) in &expect.clauses {
        let line = ours.payers.iter().find(|line| line.payer.as_str() == payer).unwrap();
        let clauses = line.steps.iter().map(|step| step.clause.as_deref().unwrap_or("-"));
        assert_eq!(&clauses.collect::<Vec<_>>(), expected, "{name}: {payer}");
    }
    for (payer, expected) in &expect.base {
        let line = ours.payers.iter().find(|line| line.payer.as_str() == payer).unwrap();
        assert_eq!(line.base.to_string(), *expected, "{name}: base of {payer}");
    }
    let same = |what: &str, expected: &Option<String>, ours: String| {
        if let Some(expected) = expected {
            assert_eq!(ours, *expected, "{name}: {what}");
        }
    };
    same("share", &expect.share, ours.patient_share.to_string());
    same("category", &expect.category, ours.category.code.to_string());
    same("category_on", &expect.category_on, ours.category_on.to_string());
    let in_scope = &bill["coverage"]["in_scope"];
    let in_scope = in_scope.as_str().unwrap_or("null");
    same("coverage", &expect.coverage, format!("{in_scope}{}", word(&bill["coverage"]["total"])));
    if let Some(expected) = &expect.findings {
        let findings = bill["findings"].as_array().unwrap().iter();
        let codes: Vec<&str> = findings.map(|finding| finding["code"].as_str().unwrap()).collect();
        assert_eq!(codes, *expected, "{name}");
    }
    for sentence in &expect.says {
        let said = ours
            .findings
            .iter()
            .any(|finding| finding.message.zh.contains(sentence) || finding.message.en.contains(sentence));
        assert!(said, "{name}: nothing says {sentence:?} in {:#?}", ours.findings);
    }
    if let Some(expected) = &expect.moves {
        let moves = ours.moves.iter().map(|(payer, used)| format!("{payer} {} {}", used.base, used.paid));
        assert_eq!(&moves.collect::<Vec<_>>(), expected, "{name}");
    }
    if let Some(ordinal) = expect.admission_ordinal {
        assert_eq!(ours.admission_ordinal, ordinal, "{name}");
    }
    if let Some(year) = expect.benefit_year {
        assert_eq!(ours.benefit_year, year, "{name}");
    }
}

#[test]
fn every_case_gives_its_bill() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        for case in &file.case {
            check(case);
            count += 1;
        }
    }
    assert!(count > 50, "only {count} cases were found");
}

/// SETTLEMENT §9, key by key: what the page writes out must be what is written.
#[test]
fn the_bill_of_the_page_comes_out_as_printed() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/worked.toml")).unwrap();
    let file: File = toml::from_str(&text).unwrap();
    let case = file.case.iter().find(|case| case.name == "the bill of the page").unwrap();
    let ours = adjudicate(&policy(case), &claim(case), &Accumulators::default()).unwrap();
    let basic = serde_json::to_value(&ours).unwrap()["payers"][0].clone();
    let without_clauses = |mut step: serde_json::Value| {
        step.as_object_mut().unwrap().remove("clause");
        step
    };
    let steps: Vec<_> = basic["steps"].as_array().unwrap().iter().cloned().map(without_clauses).collect();
    let printed = r#"[{"what":"base","after":"11000.00"},
        {"what":"deductible","amount":"300.00","after":"10700.00"},
        {"what":"band","part":"10700.00","ratio":"0.8","after":"8560.00"}]"#;
    assert_eq!(serde_json::Value::from(steps), serde_json::from_str::<serde_json::Value>(printed).unwrap());
    assert_eq!((&basic["base"], &basic["paid"]), (&"11000.00".into(), &"8560.00".into()));
    assert!(basic["reason"].is_null() && basic["payer_reference"].is_null());
    assert_eq!(basic["name"]["zh"], "居民基本医疗保险");
}
