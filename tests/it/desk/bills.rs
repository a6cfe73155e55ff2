//! Bills made by hand: the worked example of the settlement rules, and the corners around it.

use yizhan::settlement::bill::{
    BaseKind, Bill, BillState, BilledPatient, BilledPayer, CategoryTotal, ComputedBy, Coverage, Reversal,
};
use yizhan_contract::person::Personal;
use yizhan_contract::stay::CauseKind;
use yizhan_contract::step::{PayerState, StepItem};
use yizhan_contract::{Buckets, Finding, FindingCode, Money, Reason, Step, StepKind, Text};

pub(super) const HOSPITAL_NAME: &str = "沂水县人民医院";

pub(super) fn patient_name() -> Personal<String> {
    Personal::new("王小明".to_owned())
}

pub(super) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn buckets([total, self_funded, over_limit, upfront_copay, in_scope]: [&str; 5]) -> Buckets {
    Buckets {
        total: money(total),
        self_funded: money(self_funded),
        over_limit: money(over_limit),
        upfront_copay: money(upfront_copay),
        in_scope: money(in_scope),
    }
}

fn category(code: Option<&str>, lines: u32, amounts: [&str; 5]) -> CategoryTotal {
    CategoryTotal { category: code.map(Into::into), lines, buckets: buckets(amounts) }
}

/// Its base is the in-scope remainder unless said otherwise.
fn payer(code: &str, zh: &str, en: &str, base: &str, paid: &str) -> BilledPayer {
    let paid = money(paid);
    BilledPayer {
        payer: code.parse().unwrap(),
        name: Text::new(zh, en),
        state: if paid.is_zero() { PayerState::NotApplicable } else { PayerState::Committed },
        base_kind: BaseKind::Scope,
        base: base.parse().unwrap(),
        paid,
        payer_reference: (!paid.is_zero()).then(|| format!("JS20200702-{code}").into()),
        reason: None,
        computed_by: ComputedBy::Gateway,
        steps: Vec::new(),
    }
}

/// A step by its figures: `("ratio", "0.8")`, `("part", "10700")`, `("clause", "…")`.
fn step(what: StepKind, figures: &[(&str, &str)], after: &str) -> Step {
    let mut step = Step::new(what, after.parse().unwrap());
    for (name, figure) in figures {
        let exact = || Some(figure.parse().unwrap());
        match *name {
            "amount" => step.amount = exact(),
            "already" => step.already = exact(),
            "of" => step.of = exact(),
            "from" => step.from = exact(),
            "to" => step.to = exact(),
            "part" => step.part = exact(),
            "ratio" => step.ratio = Some(figure.parse().unwrap()),
            "points" => step.points = Some(figure.parse().unwrap()),
            "clause" => step.clause = Some((*figure).into()),
            _ => panic!("no figure {name}"),
        }
    }
    step
}

/// The worked example of the settlement rules, §9.
pub(super) fn worked() -> Bill {
    Bill {
        settlement_id: "01930000-0000-7000-8000-000000000001".parse().unwrap(),
        version: 1,
        state: BillState::Settled,
        policy: "shandong-2020@2020-01-01#3fa1c09be2d4".into(),
        hospital: "H37132301".into(),
        visit_number: "ZY20200702001".to_owned(),
        patient: BilledPatient {
            name: "王**".to_owned(),
            id_number: Some("3713**********0012".to_owned()),
            category: Some("entitled_out_of_poverty".into()),
            category_name: Some(Text::new("脱贫享受政策人口", "Out of poverty, still entitled")),
            category_on: "2020-07-02".parse().unwrap(),
        },
        admitted: "2020-06-24".parse().unwrap(),
        discharged: "2020-07-02".parse().unwrap(),
        cause: CauseKind::Illness,
        amounts: buckets(["12000", "600", "0", "400", "11000"]),
        payers: worked_payers(),
        paid_by_payers: money("10368"),
        patient_share: money("1632"),
        deposit: Money::ZERO,
        to_collect: Money::ZERO,
        to_refund: Money::ZERO,
        coverage: Coverage { in_scope: Some("0.9335".parse().unwrap()), total: "0.8640".parse().unwrap() },
        lines_by_category: vec![
            category(Some("bed"), 8, ["640", "0", "0", "0", "640"]),
            category(Some("examination"), 6, ["2160", "0", "0", "160", "2000"]),
            category(Some("western_medicine"), 21, ["5200", "600", "0", "240", "4360"]),
            category(Some("surgery"), 2, ["4000", "0", "0", "0", "4000"]),
        ],
        benefit_year: 2020,
        admission_ordinal: 1,
        issued_at: "2020-07-02T02:30:00Z".parse().unwrap(),
        replaces: None,
        valid_until: None,
        reversal: None,
        findings: vec![
            finding(
                FindingCode::OverTarget,
                "保障水平 93.35%，高于目标 90%。",
                "Coverage is 93.35 %, above the target of 90 %.",
                Some("鲁扶贫 §4.2"),
            ),
            sample_policy(),
        ],
    }
    .with_deposit(money("2000"))
}

fn worked_payers() -> Vec<BilledPayer> {
    let basic = BilledPayer {
        steps: vec![
            step(StepKind::Base, &[], "11000"),
            step(StepKind::Deductible, &[("amount", "300"), ("clause", "基本医保 §3")], "10700"),
            step(StepKind::Band, &[("part", "10700"), ("ratio", "0.8"), ("clause", "基本医保 §4")], "8560"),
        ],
        ..payer("basic", "居民基本医疗保险", "Resident basic medical insurance", "11000", "8560")
    };
    let critical = BilledPayer {
        reason: Some(Reason::BelowDeductible),
        steps: vec![
            step(StepKind::Base, &[], "2440"),
            step(
                StepKind::Deductible,
                &[("amount", "14000"), ("already", "0"), ("clause", "大病保险 §2")],
                "0",
            ),
        ],
        ..payer("critical_illness", "居民大病保险", "Critical illness insurance", "2440", "0")
    };
    let assistance = BilledPayer {
        steps: vec![
            step(StepKind::Base, &[], "2440"),
            step(StepKind::Band, &[("part", "2440"), ("ratio", "0.7"), ("clause", "医疗救助 §5")], "1708"),
        ],
        ..payer("medical_assistance", "医疗救助", "Medical assistance", "2440", "1708")
    };
    let waiver = BilledPayer {
        base_kind: BaseKind::OutOfScope,
        steps: vec![
            step(StepKind::Base, &[], "1000"),
            step(StepKind::Band, &[("part", "1000"), ("ratio", "0.1"), ("clause", "机构减免 §1")], "100"),
        ],
        ..payer("provider_waiver", "医疗机构减免", "Hospital waiver", "1000", "100")
    };
    let supplementary = BilledPayer {
        reason: Some(Reason::TargetReached),
        steps: vec![
            step(StepKind::Base, &[], "732"),
            step(StepKind::Band, &[("part", "732"), ("ratio", "0.9")], "658.8"),
            step(
                StepKind::Target,
                &[
                    ("ratio", "0.9"),
                    ("of", "11000"),
                    ("already", "10268"),
                    ("amount", "0"),
                    ("clause", "鲁扶贫 §4.2"),
                ],
                "0",
            ),
        ],
        ..payer("supplementary", "医疗商业补充保险", "Supplementary commercial insurance", "732", "0")
    };
    vec![basic, critical, assistance, waiver, supplementary]
}

fn finding(code: FindingCode, zh: &str, en: &str, clause: Option<&str>) -> Finding {
    Finding { code, message: Text::new(zh, en), clause: clause.map(Into::into) }
}

fn sample_policy() -> Finding {
    finding(
        FindingCode::SamplePolicy,
        "示例参数，非官方标准。",
        "Sample parameters, not an official standard.",
        None,
    )
}

/// The worked example as a quote; no deposit was paid.
pub(super) fn quoted() -> Bill {
    let mut bill = Bill {
        state: BillState::Quoted,
        valid_until: Some("2020-07-02T03:00:00Z".parse().unwrap()),
        ..worked().with_deposit(Money::ZERO)
    };
    for payer in bill.payers.iter_mut().filter(|payer| payer.state == PayerState::Committed) {
        payer.state = PayerState::Quoted;
        payer.payer_reference = None;
    }
    bill
}

pub(super) fn reversed() -> Bill {
    worked().reversed(Reversal {
        reason: "费用录入错误".to_owned(),
        operator: "收费处 07".to_owned(),
        at: "2020-07-02T06:05:00Z".parse().unwrap(),
    })
}

/// Nobody pays: not on the roster, in a hospital that charges out-of-catalogue items only.
pub(super) fn nobody_pays() -> Bill {
    let mut bill = worked();
    for payer in &mut bill.payers {
        payer.state = PayerState::NotApplicable;
        payer.paid = Money::ZERO;
        payer.base = "0".parse().unwrap();
        payer.payer_reference = None;
        payer.reason = Some(Reason::NotEntitled);
        payer.steps.clear();
    }
    (bill.patient.category, bill.patient.category_name) = (None, None);
    bill.patient.id_number = None;
    bill.amounts = buckets(["500.05", "500.05", "0", "0", "0"]);
    bill.lines_by_category = vec![category(None, 1, ["500.05", "500.05", "0", "0", "0"])];
    bill.paid_by_payers = Money::ZERO;
    bill.patient_share = money("500.05");
    bill.coverage = Coverage { in_scope: None, total: "0".parse().unwrap() };
    bill.findings.clear();
    bill.with_deposit(money("500.05"))
}

/// An accident out of area with every kind of step, state, finding and a long name; it replaces another.
pub(super) fn everything() -> Bill {
    Bill {
        version: 3,
        settlement_id: "01930000-0000-7000-8000-0000000000ff".parse().unwrap(),
        replaces: Some("01930000-0000-7000-8000-000000000001".parse().unwrap()),
        cause: CauseKind::Accident,
        admission_ordinal: 2,
        admitted: "2019-12-20".parse().unwrap(),
        amounts: buckets(["123456789.12", "1000000.5", "2000.3", "3000.2", "122451788.12"]),
        payers: every_payer(),
        paid_by_payers: money("1090100.51"),
        patient_share: money("122366688.61"),
        coverage: Coverage { in_scope: Some("0.0089".parse().unwrap()), total: "0.0088".parse().unwrap() },
        lines_by_category: vec![
            category(Some("09"), 40, ["123456799.12", "1000010.5", "2000.3", "3000.2", "122451788.12"]),
            category(Some("院内自制制剂"), 1, ["-10", "-10", "0", "0", "0"]),
        ],
        findings: every_finding(),
        ..worked()
    }
    .with_deposit(money("100000000"))
}

fn every_payer() -> Vec<BilledPayer> {
    let disaster = BilledPayer {
        state: PayerState::SettledElsewhere,
        base_kind: BaseKind::Patient,
        computed_by: ComputedBy::Payer,
        ..payer("disaster", "灾害民生综合保险", "Disaster insurance", "123456789.12", "0.51")
    };
    let waiver = BilledPayer {
        steps: vec![
            Step {
                items: vec![
                    StepItem { category: "bed".into(), amount: money("120"), ratio: "0.5".parse().unwrap() },
                    StepItem {
                        category: "院内自制制剂".into(),
                        amount: money("40"),
                        ratio: "1".parse().unwrap(),
                    },
                ],
                ..step(StepKind::Base, &[], "100")
            },
            step(StepKind::Rounding, &[], "100"),
            step(StepKind::MinShare, &[("amount", "0.01"), ("of", "122366788.61")], "100"),
        ],
        state: PayerState::Deferred,
        base_kind: BaseKind::Items,
        ..payer(
            "provider_waiver",
            "医疗机构减免（含扶贫病房床位费与护理费减半、检查费减免一成）",
            "Hospital waiver with half of bed and nursing charges in wards for the poor",
            "100",
            "100",
        )
    };
    let accident = BilledPayer {
        state: PayerState::Refused,
        base_kind: BaseKind::Patient,
        computed_by: ComputedBy::Payer,
        reason: Some(Reason::CoverNotInForce),
        payer_reference: None,
        ..payer("accident", "意外伤害医疗", "Accident cover", "122366688.61", "0")
    };
    vec![disaster, payer_of_every_step(), waiver, accident]
}

fn payer_of_every_step() -> BilledPayer {
    BilledPayer {
        steps: vec![
            step(StepKind::Base, &[], "122451788.12"),
            step(StepKind::UpfrontShare, &[("ratio", "0.1"), ("clause", "异地就医 §1")], "110206609.308"),
            step(StepKind::Deductible, &[("amount", "1000"), ("already", "4000")], "110205609.308"),
            step(
                StepKind::Band,
                &[("from", "0"), ("to", "50000"), ("part", "49000"), ("ratio", "0.5"), ("points", "0.1")],
                "24500",
            ),
            step(
                StepKind::Band,
                &[("from", "50000"), ("part", "110156609.308"), ("ratio", "0.6")],
                "66118465.5848",
            ),
            step(StepKind::StayCap, &[("amount", "600000")], "600000"),
            step(
                StepKind::AnnualCap,
                &[("amount", "1500000"), ("already", "410000.00"), ("clause", "基本医保 §9")],
                "1090000",
            ),
            step(StepKind::Remainder, &[("amount", "123456788.61")], "1090000"),
        ],
        state: PayerState::Unknown,
        ..payer("basic", "居民基本医疗保险", "Resident basic medical insurance", "110206609.308", "1090000")
    }
}

fn every_finding() -> Vec<Finding> {
    use FindingCode as F;
    [
        F::ZeroPatientShare,
        F::OverTarget,
        F::BelowTarget,
        F::OutOfCatalogueShare,
        F::UnknownItem,
        F::NotOnRoster,
        F::CategoryChangedDuringStay,
        F::CapReached,
        F::CapPassedElsewhere,
        F::ThirdPartyLiable,
        F::DeferredPayer,
        F::PayerNotAsked,
        F::StatedTotalDiffers,
        F::LateCharges,
        F::EarlierStayReversed,
        F::ReservedByOtherStay,
        F::SamplePolicy,
        F::SettledElsewhereDiffers,
        F::CopaymentIgnored,
        F::RepeatedLines,
        F::IdentityDiffers,
    ]
    .into_iter()
    .map(|code| {
        finding(code, &format!("提示：{code:?}"), &format!("Finding {code:?}"), Some("鲁扶贫〔2020〕§1"))
    })
    .collect()
}

/// What a sender might try: markup in every text that comes from outside.
pub(super) const HOSTILE: &str = r#"<script>alert("&'</script>"#;

pub(super) fn hostile() -> Bill {
    let mut bill = reversed();
    bill.patient.name = HOSTILE.to_owned();
    bill.visit_number = HOSTILE.to_owned();
    bill.patient.category = Some(HOSTILE.into());
    bill.patient.category_name = Some(Text::new(HOSTILE, HOSTILE));
    bill.lines_by_category[0].category = Some(HOSTILE.into());
    bill.payers[0].name = Text::new(HOSTILE, HOSTILE);
    bill.payers[0].payer_reference = Some(HOSTILE.into());
    bill.payers[0].steps[1].clause = Some(HOSTILE.into());
    bill.findings[0].message = Text::new(HOSTILE, HOSTILE);
    bill.reversal = bill.reversal.map(|reversal| Reversal { reason: format!("{HOSTILE}\u{1}"), ..reversal });
    bill
}

/// All of them, by name.
pub(super) fn all() -> Vec<(&'static str, Bill)> {
    let bills = vec![
        ("worked", worked()),
        ("quoted", quoted()),
        ("reversed", reversed()),
        ("nobody_pays", nobody_pays()),
        ("everything", everything()),
    ];
    for (name, bill) in &bills {
        assert_eq!(bill.check(), Ok(()), "{name}");
    }
    bills
}
