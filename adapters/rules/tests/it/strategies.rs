//! Random valid policies, and random stays under them.

use proptest::collection::vec;
use proptest::option::of as maybe;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use yizhan_contract::claim::HospitalLevel;
use yizhan_contract::person::{Entitlement, EntitlementKind, RosterEntry};
use yizhan_contract::stay::{CatalogueClass, Cause, CauseKind, Line, Referral, SettledElsewhere, VisitClass};
use yizhan_contract::{Accumulators, Claim, Money, Used};
use yizhan_rules::{Item, assess};

use crate::second::{Catalogue, Listed, Outside, Said};

const CATEGORIES: [&str; 3] = ["entitled_out_of_poverty", "immediate_assistance", "low_income"];
/// Payers of the page whose default differs, then a city's own.
pub(crate) const PAYERS: [&str; 8] =
    ["disaster", "accident", "provider_waiver", "supplementary", "city_1", "city_2", "city_3", "of_no_order"];
const ITEMS: [&str; 3] = ["registration", "examination", "drug"];
/// Codes of charges; the catalogue may list all but the last.
const CODES: [&str; 4] = ["X", "Y", "Z", "NEW"];

fn yuan(fen: i64) -> String {
    Money::from_fen(fen).to_string()
}

fn fen() -> impl Strategy<Value = i64> {
    prop_oneof![0..=300i64, 0..=1_000_000i64, (0..=40i64).prop_map(|edge| edge * 50_000), 0..=100_000_000i64]
}

fn ratio() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["0", "1", "0.5", "0.65", "0.9", "0.95"]).prop_map(str::to_owned),
        (0..=10_000u32).prop_map(|parts| match parts {
            10_000 => "1".to_owned(),
            parts => format!("0.{parts:04}"),
        }),
    ]
}

/// The lines of a payer or variant that state figures.
fn terms(must_pay: bool) -> impl Strategy<Value = String> {
    let bands = vec((1..=20_000_000i64, ratio()), 0..4);
    let pays = if must_pay { Just(true).boxed() } else { any::<bool>().boxed() };
    let limits = (maybe(fen()), maybe(fen()), maybe(ratio()), maybe(ratio()));
    (maybe(fen()), pays, bands, ratio(), limits).prop_map(|(deductible, pays, bands, last, limits)| {
        let mut text = String::new();
        let mut state = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("{key} = \"{value}\"\n"));
            }
        };
        state("deductible", deductible.map(yuan));
        let (stay_cap, annual_cap, upfront_share, ratio_points) = limits;
        state("stay_cap", stay_cap.map(yuan));
        state("annual_cap", annual_cap.map(yuan));
        state("upfront_share", upfront_share);
        state("ratio_points", ratio_points);
        if pays && bands.is_empty() {
            state("ratio", Some(last));
        } else if pays {
            let mut edge = 0;
            let mut written = Vec::new();
            for (step, ratio) in bands {
                edge += step;
                written.push(format!("{{ to = \"{}\", ratio = \"{ratio}\" }}", yuan(edge)));
            }
            text.push_str(&format!("bands = [{}, {{ ratio = \"{last}\" }}]\n", written.join(", ")));
        }
        text
    })
}

fn quoted<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

fn when() -> impl Strategy<Value = String> {
    let who = maybe(subsequence(vec![CATEGORIES[0], CATEGORIES[1], "resident"], 1..=2));
    let levels = maybe(subsequence(vec![1u8, 2, 3], 1..=2));
    let referral = maybe(subsequence(Referral::WORDS.to_vec(), 1..=2));
    let cause = maybe(select(CauseKind::WORDS.to_vec()));
    (who, levels, maybe(1..4u32), maybe(any::<bool>()), referral, cause).prop_map(
        |(who, levels, from, out_of_area, referral, cause)| {
            let mut parts = Vec::new();
            parts.extend(who.map(|codes| format!("categories = {}", quoted(&codes))));
            parts.extend(levels.map(|levels| format!("levels = {levels:?}")));
            parts.extend(from.map(|from| format!("admission_from = {from}, admission_to = {}", from + 1)));
            parts.extend(out_of_area.map(|out| format!("out_of_area = {out}")));
            parts.extend(referral.map(|words| format!("referral = {}", quoted(&words))));
            parts.extend(cause.map(|word| format!("cause = \"{word}\"")));
            format!("when = {{ {} }}\n", parts.join(", "))
        },
    )
}

#[derive(Debug, Clone)]
struct PayerText {
    is_scope: bool,
    head: String,
    terms: String,
    target: String,
    variants: Vec<String>,
}

fn payer() -> impl Strategy<Value = PayerText> {
    let base = select(vec!["scope", "scope", "out_of_scope", "patient", "items"]);
    let flags = (any::<bool>(), any::<bool>(), maybe(any::<bool>()), prop::bool::weighted(0.2));
    let who = (prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    let items = vec(ratio(), ITEMS.len() - 1);
    let variants = vec((when(), terms(false)), 0..3);
    (base, flags, who, items, ratio(), terms(true), variants).prop_map(
        |(base, (cumulative, discretionary, third_party, specified), who, items, target, terms, variants)| {
            let is_scope = base == "scope";
            let mut head = format!("zh = \"支付方\"\nen = \"Payer\"\nclause = \"test\"\nbase = \"{base}\"\n");
            let mut flag = |on: bool, line: &str| {
                if on {
                    head.push_str(line);
                }
            };
            flag(cumulative && is_scope, "cumulative = true\n");
            flag(discretionary, "standing = \"discretionary\"\n");
            flag(third_party == Some(true), "pays_with_liable_third_party = true\n");
            flag(third_party == Some(false), "pays_with_liable_third_party = false\n");
            flag(specified, "specified_accidents_only = true\n");
            flag(who.0, "categories = [\"entitled_out_of_poverty\", \"low_income\"]\n");
            flag(who.1, "cover = \"supplementary\"\n");
            if base == "items" {
                let pairs: Vec<String> =
                    ITEMS.iter().zip(&items).map(|(item, ratio)| format!("{item} = \"{ratio}\"")).collect();
                head.push_str(&format!("items = {{ {} }}\n", pairs.join(", ")));
            }
            let variants = variants.into_iter().map(|(when, terms)| when + &terms).collect();
            PayerText { is_scope, head, terms, target: format!("target = \"{target}\"\n"), variants }
        },
    )
}

pub(crate) fn policy() -> impl Strategy<Value = String> {
    let least = prop_oneof![1..=500i64, 1..=2_000_000i64];
    let settings = (any::<bool>(), any::<bool>(), least, (maybe(ratio()), maybe(ratio())));
    (vec(payer(), 1..PAYERS.len()), settings, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(payers, (by_admission, covers_residents, least, limits), target_of, has_target)| {
            let target_of = target_of.index(payers.len());
            let codes = &PAYERS[..payers.len()];
            let reversed: Vec<&str> = codes.iter().rev().copied().collect();
            let identity_on = if by_admission { "admission" } else { "discharge" };
            let mut text = format!(
                "name = \"random\"\ntitle = {{ zh = \"随机\", en = \"random\" }}\nregion = \"99\"\n\
                 from = \"2000-01-01\"\n\
                 categories = [{{ code = \"entitled_out_of_poverty\", zh = \"甲\", en = \"a\" }}, \
                 {{ code = \"immediate_assistance\", zh = \"乙\", en = \"b\" }}, \
                 {{ code = \"low_income\", zh = \"丙\", en = \"c\" }}, \
                 {{ code = \"resident\", zh = \"丁\", en = \"d\" }}]\n\
                 [settings]\nidentity_on = \"{identity_on}\"\ncovers_residents = {covers_residents}\n\
                 min_patient_share = \"{}\"\n\
                 specified_accidents = [{{ code = \"fire\", zh = \"火灾\", en = \"fire\" }}]\n\
                 [orders]\nillness = {}\naccident = {}\n",
                yuan(least),
                quoted(codes),
                quoted(&reversed),
            );
            let (tolerance, catalogue) = limits;
            let stated = |key: &str, ratio: Option<String>| {
                ratio.map(|ratio| format!("{key} = \"{ratio}\"\n")).unwrap_or_default()
            };
            let settings =
                stated("target_tolerance", tolerance) + &stated("out_of_catalogue_limit", catalogue);
            text = text.replace("[settings]\n", &format!("[settings]\n{settings}"));
            for (index, (code, payer)) in codes.iter().zip(payers).enumerate() {
                let target = if has_target && index == target_of && payer.is_scope {
                    payer.target
                } else {
                    String::new()
                };
                text.push_str(&format!("[payers.{code}]\n{}{}{target}", payer.head, payer.terms));
                for variant in payer.variants {
                    text.push_str(&format!("[[payers.{code}.variants]]\n{variant}"));
                }
            }
            text
        },
    )
}

fn class() -> impl Strategy<Value = CatalogueClass> {
    select(vec![CatalogueClass::A, CatalogueClass::B, CatalogueClass::C])
}

/// `units` of 1/`scale`, with as many digits behind the point.
fn written(units: u64, scale: u64, digits: usize) -> String {
    format!("{}.{:0digits$}", units / scale, units % scale)
}

fn ceiling() -> impl Strategy<Value = String> {
    (0..=3_000_000u64).prop_map(|thousandths| written(thousandths, 1_000, 3))
}

/// What a line states beside a unit price, in fen: quantity (1/10000) × price (1/1000), and off by so many hundredths of
/// what is tolerated.
fn near(quantity: u32, price: u64, off: i64) -> i64 {
    let product = i64::from(quantity) * i64::try_from(price).unwrap();
    (product + 50_000) / 100_000 + off * i64::from(quantity.max(10_000)) / 1_000_000
}

fn charge() -> impl Strategy<Value = Line> {
    let quantity = prop_oneof![40 => 1..=200_000u32, 1 => Just(0)];
    let off = prop_oneof![10 => -95..=95i64, 1 => select(vec![-101, -100, 100, 101])];
    let pricing = (quantity, maybe(1..=5_000_000u64), any::<bool>(), fen(), off);
    let terms = (maybe(class()), maybe(ratio()), maybe(ceiling()), maybe(select(ITEMS.to_vec())));
    (select(CODES.to_vec()), pricing, terms).prop_map(
        |(code, (quantity, price, states, fen, off), (class, upfront, ceiling, category))| {
            let fen = price.map_or(fen, |price| near(quantity, price, off));
            Line {
                id: String::new(),
                date: "2020-07-01".parse().unwrap(),
                code: code.to_owned(),
                name: String::new(),
                quantity: written(u64::from(quantity), 10_000, 4).parse().unwrap(),
                unit_price: price.map(|price| written(price, 1_000, 3).parse().unwrap()),
                amount: (states || price.is_none()).then(|| Money::from_fen(fen)),
                class,
                category: category.map(str::to_owned),
                upfront_ratio: upfront.map(|ratio| ratio.parse().unwrap()),
                ceiling: ceiling.map(|ceiling| ceiling.parse().unwrap()),
                credit_of: None,
                credit: false,
            }
        },
    )
}

pub(crate) fn catalogue() -> impl Strategy<Value = Catalogue> {
    let listed = (class(), maybe(select(ITEMS.to_vec())), maybe(ratio()), maybe(ceiling()));
    let listed = listed.prop_map(|(class, category, upfront, ceiling)| Listed {
        class,
        category: category.map(str::to_owned),
        upfront_ratio: upfront.map(|ratio| ratio.parse().unwrap()),
        ceiling: ceiling.map(|ceiling| ceiling.parse().unwrap()),
    });
    vec(maybe(listed), CODES.len() - 1).prop_map(|listed| {
        let named = CODES.iter().zip(listed).filter_map(|(code, listed)| Some(((*code).to_owned(), listed?)));
        named.collect()
    })
}

/// The catalogue as the crate asks for it.
pub(crate) fn items(catalogue: &Catalogue) -> impl Fn(&str) -> Option<Item> {
    |code| {
        let Listed { class, category, upfront_ratio, ceiling } = catalogue.get(code)?.clone();
        let category = category.map(Into::into);
        Some(Item { name: code.into(), class, category, upfront_ratio, ceiling })
    }
}

/// Charges, and credits that take some of them back.
pub(crate) fn lines() -> impl Strategy<Value = Vec<Line>> {
    (vec(charge(), 1..12), vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 0..5)).prop_map(
        |(mut lines, credits)| {
            let charges = lines.len();
            for (of, is_marked, cites) in credits {
                let of = of.index(charges);
                let mut credit = lines[of].clone();
                credit.credit = is_marked;
                credit.credit_of = cites.then(|| of.to_string());
                if !is_marked {
                    credit.quantity = credit.quantity.negated();
                    credit.amount = credit.amount.map(std::ops::Neg::neg);
                }
                // A credit of 0.00 that only its sign would mark is a charge, and may cite nothing.
                if credit.amount.is_some_and(Money::is_zero) {
                    credit.credit = true;
                }
                if credit.amount.is_none() && !credit.credit {
                    credit.credit_of = None;
                }
                lines.push(credit);
            }
            for (at, line) in lines.iter_mut().enumerate() {
                line.id = at.to_string();
            }
            lines
        },
    )
}

fn roster() -> impl Strategy<Value = Option<RosterEntry>> {
    let days = vec!["2020-01-01", "2020-06-24", "2020-06-25", "2020-07-02", "2020-07-03"];
    let entitlement = (any::<bool>(), select(CATEGORIES.to_vec()), select(days.clone()), maybe(select(days)));
    maybe(vec(entitlement, 0..4)).prop_map(|entries| {
        let entitlements = entries?.into_iter().map(|(is_cover, code, from, to)| Entitlement {
            kind: if is_cover { EntitlementKind::Cover } else { EntitlementKind::Category },
            code: if is_cover { "supplementary" } else { code }.to_owned(),
            from: from.parse().unwrap(),
            to: to.map(|day| day.parse().unwrap()),
        });
        Some(RosterEntry { region: None, entitlements: entitlements.collect() })
    })
}

/// A stay whose charges could be assessed, and what the year has used up.
pub(crate) fn stay() -> impl Strategy<Value = (Claim, Accumulators)> {
    let facts =
        (1..=3u8, any::<bool>(), select(vec![Referral::None, Referral::Referred, Referral::Unreferred]));
    let cause = (prop::bool::weighted(0.3), maybe(select(vec!["fire", "fall"])), prop::bool::weighted(0.15));
    let used = (0..4u32, vec((fen(), 0..10_000i64, fen()), 8));
    // Nothing is a settlement as well, and one that is treated apart.
    let elsewhere = maybe((0..8usize, (-2_000..5_000i64).prop_map(|fen| fen.max(0))));
    let charges = (lines(), catalogue());
    (charges, facts, cause, roster(), used, elsewhere).prop_filter_map(
        "refused charges",
        |((lines, catalogue), (level, is_out_of_area, referral), cause, roster, used, elsewhere)| {
            let assessment = assess(&lines, items(&catalogue)).ok()?;
            let (is_accident, accident_type, third_party_liable) = cause;
            let claim = Claim {
                hospital_level: HospitalLevel::try_from(level).unwrap(),
                hospital_region: "990101".to_owned(),
                insured_region: if is_out_of_area { "990202" } else { "990109" }.to_owned(),
                class: VisitClass::Inpatient,
                admitted: "2020-06-24".parse().unwrap(),
                discharged: "2020-07-02".parse().unwrap(),
                cause: Cause {
                    kind: if is_accident { CauseKind::Accident } else { CauseKind::Illness },
                    accident_type: accident_type.filter(|_| is_accident).map(str::to_owned),
                },
                third_party_liable,
                referral,
                roster,
                buckets: assessment.buckets,
                lines: assessment.lines,
                settled_elsewhere: elsewhere
                    .into_iter()
                    .map(|(payer, fen)| SettledElsewhere {
                        payer: PAYERS[payer].parse().unwrap(),
                        amount: Money::from_fen(fen),
                        reference: "R1".to_owned(),
                    })
                    .collect(),
            };
            let mut accumulators = Accumulators { admissions: used.0, ..Default::default() };
            for (code, (base, beyond, paid)) in PAYERS.iter().zip(used.1) {
                let base = format!("{}{beyond:04}", yuan(base)).parse().unwrap();
                let used = Used { base, paid: Money::from_fen(paid) };
                accumulators.payers.insert(code.parse().unwrap(), used);
            }
            Some((claim, accumulators))
        },
    )
}

/// Payers that are asked, and what they say.
pub(crate) fn outside() -> impl Strategy<Value = Outside> {
    let quarters = (0..=4i64).prop_map(Said::Quarters);
    let said = prop_oneof![4 => Just(Said::Quarters(4)), 3 => quarters, 1 => Just(Said::Refuses), 1 => Just(Said::Defers)];
    let asked = vec(maybe(said), PAYERS.len());
    prop_oneof![
        Just(Outside::new()),
        asked.prop_map(|said| {
            let named = PAYERS.iter().zip(said).filter_map(|(code, said)| Some(((*code).to_owned(), said?)));
            named.collect()
        })
    ]
}
