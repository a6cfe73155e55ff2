//! L1: who is covered, as far as the adapter says.

use yizhan_contract::PayerCode;
use yizhan_contract::payer::Coverage;

use super::l1_refusals::known;
use crate::certify::bench::Bench;
use crate::certify::verdict::{Verdict, not_applicable};

fn tells_of_coverage(bench: &Bench) -> Verdict {
    match bench.manifest().coverage_valid_s {
        Some(_) => Ok(()),
        None => not_applicable("manifest 未提供 coverage", "the manifest offers no coverage"),
    }
}

pub(super) async fn knows_its_covers(bench: &Bench) -> Verdict {
    tells_of_coverage(bench)?;
    let people = &bench.data.people;
    for (person, is_covered) in [(Some(&people.covered), true), (people.not_covered.as_ref(), false)] {
        let Some(person) = person else { continue };
        let came = bench.caller.post("/v1/coverage", &bench.coverage_question(person)).await;
        let holds = match came.answer()? {
            Coverage::Covers { covers } => {
                let of = |payer: &PayerCode| covers.iter().find(|cover| cover.payer == *payer);
                let mut covers = bench.manifest().serves.iter().map(of);
                covers.all(|cover| cover.is_some_and(|cover| cover.in_force == is_covered))
            }
            Coverage::UnknownPerson => !is_covered,
            Coverage::NotSaid | Coverage::Unavailable(_) => false,
        };
        let (zh, en) = if is_covered { ("在保", "is covered") } else { ("不在保", "is not covered") };
        came.holds(
            holds,
            format!("每个支付方均说明此人{zh}"),
            format!("for each payer, that the person {en}"),
        )?;
    }
    Ok(())
}

pub(super) async fn knows_whom_it_does_not_know(bench: &Bench) -> Verdict {
    tells_of_coverage(bench)?;
    let person = known(&bench.data.people.unknown, "unknown")?;
    let came = bench.caller.post("/v1/coverage", &bench.coverage_question(person)).await;
    let answer: Coverage = came.answer()?;
    came.holds(
        matches!(answer, Coverage::UnknownPerson | Coverage::NotSaid),
        "answer 为 unknown_person 或 not_said",
        "the answer unknown_person or not_said",
    )
}
