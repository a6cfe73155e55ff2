//! L1: what must not be paid is refused, and the refusal is remembered.

use std::time::Duration;

use yizhan_contract::Money;
use yizhan_contract::payer::{Performed, QuoteAnswer, Status};

use crate::certify::bench::Bench;
use crate::certify::data::TestPerson;
use crate::certify::outcomes::End;
use crate::certify::verdict::{Stop, Verdict, not_applicable};
use crate::given;

/// Quotes that hold for longer are not waited for, nor the end of reversals that are taken for longer.
const WAITED_MAX: Duration = Duration::from_secs(5);
/// Past the end of either, for an adapter whose clock is behind.
const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(5);

/// A person the test data may leave out.
pub(super) fn known<'d>(person: &'d Option<TestPerson>, which: &str) -> Result<&'d TestPerson, Stop> {
    person.as_ref().map_or_else(
        || {
            not_applicable(
                &format!("测试数据中没有 people.{which}"),
                &format!("the test data have no people.{which}"),
            )
        },
        Ok,
    )
}

pub(super) async fn refuses_what_was_not_quoted(bench: &Bench) -> Verdict {
    let mut quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    quoted.id = bench.id("no-quote");
    let id = bench.id("commit");
    let came = bench.caller.post("/v1/commit", &bench.commit_body(&id, &quoted)).await;
    let answer: Performed = came.answer()?;
    came.holds(matches!(answer, Performed::Refused { .. }), "answer 为 refused", "the answer refused")
}

pub(super) async fn refuses_another_sum(bench: &Bench) -> Verdict {
    for by in [Money::FEN, -Money::FEN] {
        let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
        let id = bench.id("commit");
        let (end, came) = bench.commit(&id, &quoted.off_by(by)).await?;
        let End::Refused { code } = end else {
            return came.is_not(
                format!("拒绝支付：金额与试算相差 {by}"),
                format!("refused: its sum differs from the quote by {by}"),
            );
        };
        remembers(bench, &id, &code).await?;
    }
    Ok(())
}

pub(super) async fn refuses_what_has_lapsed(bench: &Bench) -> Verdict {
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let left = quoted.valid_until.duration_since(given::now());
    let left = Duration::try_from(left).unwrap_or_default();
    if WAITED_MAX < left {
        return not_applicable(
            "试算有效期超过 5 秒，评测不等待其过期",
            "quotes hold for more than 5 s, which is not waited for",
        );
    }
    tokio::time::sleep(left + CLOCK_BEHIND_MAX).await;
    let id = bench.id("commit");
    let (end, came) = bench.commit(&id, &quoted).await?;
    let End::Refused { code } = end else {
        return came.is_not("拒绝支付：试算已过期", "refused: its quote has lapsed");
    };
    remembers(bench, &id, &code).await
}

pub(super) async fn refuses_to_take_back_too_late(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let window = Duration::from_secs(bench.manifest().reverse_window_s.unwrap_or_default());
    if WAITED_MAX < window {
        return not_applicable(
            "冲正期限超过 5 秒，评测不等待其结束",
            "reversals are taken for more than 5 s, which is not waited for",
        );
    }
    let (commit, quoted, _) = bench.committed().await?;
    tokio::time::sleep(window + CLOCK_BEHIND_MAX).await;
    let id = bench.id("reverse");
    let (end, came) = bench.reverse(&id, &commit, &quoted).await?;
    let End::Refused { code } = end else {
        return came.is_not("拒绝冲正：已超过期限", "refused: it can no longer be reversed");
    };
    remembers(bench, &id, &code).await?;
    bench.is_booked(&id, Money::ZERO).await
}

pub(super) async fn refuses_with_a_reason(bench: &Bench) -> Verdict {
    let person = known(&bench.data.people.refused, "refused")?;
    let stay = bench.stay(person).await?;
    let asked = bench.ask(person, &stay, &bench.manifest().serves, None);
    let came = bench.caller.post("/v1/quote", &asked).await;
    if let QuoteAnswer::Refused { code, message } = came.answer()? {
        let told = !code.is_empty() && !message.is_empty();
        return came.holds(told, "code 与 message 不为空", "a code and a message");
    }
    let quoted = bench.quote(person, None).await?;
    let id = bench.id("commit");
    let came = bench.caller.post("/v1/commit", &bench.commit_body(&id, &quoted)).await;
    let Performed::Refused { code, message } = came.answer()? else {
        return came.is_not("answer 为 refused", "the answer refused");
    };
    let told = !code.is_empty() && !message.is_empty();
    came.holds(told, "code 与 message 不为空", "a code and a message")?;
    remembers(bench, &id, &code).await
}

/// Whether status says of a refused operation that it was, and why.
async fn remembers(bench: &Bench, id: &str, code: &str) -> Verdict {
    let said = bench.status(id).await;
    let status: Status = said.answer()?;
    said.holds(
        status == Status::Refused { code: code.to_owned() },
        format!("status 为 refused {code}"),
        format!("status says refused {code}"),
    )
}
