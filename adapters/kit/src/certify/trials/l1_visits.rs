//! L1, where the manifest sees visits: what is told of a stay is noted, however often.

use yizhan_contract::payer::VisitEventKind;

use crate::certify::bench::Bench;
use crate::certify::verdict::{Verdict, not_applicable};
use crate::certify::visits::Stay;

fn sees_visits(bench: &Bench) -> Verdict {
    if bench.manifest().sees_visits {
        return Ok(());
    }
    not_applicable("manifest 未要求住院通知（sees_visits）", "the manifest does not see visits")
}

pub(super) async fn notes_a_stay(bench: &Bench) -> Verdict {
    sees_visits(bench)?;
    bench.stay(&bench.data.people.covered).await.map(|_| ())
}

pub(super) async fn notes_it_again(bench: &Bench) -> Verdict {
    sees_visits(bench)?;
    let person = &bench.data.people.covered;
    let mut stay = Stay::of(bench.id("stay"));
    for event in bench.events(person, &stay.id) {
        // As if the first answer had been lost on its way.
        let _ = bench.tell(&event, &stay).await?;
        stay.memo = bench.tell(&event, &stay).await?;
    }
    // And by a gateway that does not know that it is known.
    bench.tell_all(person, &mut stay).await?;
    is_quoted_as_ever(bench, &stay).await
}

pub(super) async fn notes_that_it_is_called_off(bench: &Bench) -> Verdict {
    sees_visits(bench)?;
    let person = &bench.data.people.covered;
    let mut stay = bench.stay(person).await?;
    let called_off = bench.event(person, &stay.id, VisitEventKind::Cancelled);
    for _ in 0..2 {
        stay.memo = bench.tell(&called_off, &stay).await?;
    }
    bench.tell_all(person, &mut stay).await?;
    is_quoted_as_ever(bench, &stay).await?;
    // A gateway that heard no answer to an admission calls it off all the same.
    let unheard = Stay::of(bench.id("stay"));
    let called_off = bench.event(person, &unheard.id, VisitEventKind::Cancelled);
    bench.tell(&called_off, &unheard).await.map(|_| ())
}

/// What is quoted for a stay that was told of once and not called off.
async fn is_quoted_as_ever(bench: &Bench, stay: &Stay) -> Verdict {
    let person = &bench.data.people.covered;
    let expected = bench.quote_some(person, None).await?.by_payer();
    let quoted = bench.quote_for(person, stay, &bench.manifest().serves, None).await?;
    quoted.came.holds(
        quoted.by_payer() == expected,
        "与只告知一次的住院相同的试算",
        "the quote of a stay that was told of once",
    )
}
