//! L1: each verb does what it is for.

use serde_json::json;
use yizhan_contract::payer::{QuoteAnswer, Status};
use yizhan_contract::{Money, PayerCode};

use super::l1_refusals::{self, known};
use super::{Trial, l1_coverage, l1_visits};
use crate::certify::asking::is_ahead;
use crate::certify::bench::Bench;
use crate::certify::outcomes::End;
use crate::certify::verdict::{Verdict, not_applicable};

const SHAPED: &[&str] = &["L0"];
const QUOTED: &[&str] = &["L0", "L1-01"];
const COMMITTED: &[&str] = &["L0", "L1-01", "L1-07"];

pub(super) const TRIALS: &[Trial] = &[
    // Before whatever a quote is asked for in.
    Trial {
        id: "L1-11",
        zh: "入院、费用、出院通知均得到 noted，memo 不超过 16 KiB",
        en: "admission, charges and discharge are noted, each with a memo of 16 KiB at most",
        clause: "visit",
        after: &["L0-01"],
        check: |bench| Box::pin(l1_visits::notes_a_stay(bench)),
    },
    Trial {
        id: "L1-01",
        zh: "参保人得到试算：每个支付方一项金额，不为负，有效期在未来",
        en: "a covered person gets a quote: one amount for each payer, none negative, valid for a while",
        clause: "quote",
        after: &["L0", "L1-11"],
        check: |bench| Box::pin(quotes(bench)),
    },
    Trial {
        id: "L1-02",
        zh: "试算不超过 pay_at_most",
        en: "a quote stays within pay_at_most",
        clause: "quote",
        after: QUOTED,
        check: |bench| Box::pin(keeps_to_the_most(bench)),
    },
    Trial {
        id: "L1-03",
        zh: "pay_at_most 为 0.00 时试算为 0.00",
        en: "where 0.00 may be paid at most, the quote is 0.00",
        clause: "quote",
        after: QUOTED,
        check: |bench| Box::pin(quotes_nothing(bench)),
    },
    Trial {
        id: "L1-04",
        zh: "不在保的人得到 not_covered",
        en: "a person who is not covered gets not_covered",
        clause: "quote",
        after: QUOTED,
        check: |bench| Box::pin(says_who_is_not_covered(bench)),
    },
    Trial {
        id: "L1-05",
        zh: "coverage 说明谁在保、谁不在保",
        en: "coverage tells who is covered and who is not",
        clause: "coverage",
        after: SHAPED,
        check: |bench| Box::pin(l1_coverage::knows_its_covers(bench)),
    },
    Trial {
        id: "L1-18",
        zh: "coverage 对查无此人的人答 unknown_person 或 not_said",
        en: "coverage of somebody it does not know is unknown_person, or not_said",
        clause: "coverage",
        after: SHAPED,
        check: |bench| Box::pin(l1_coverage::knows_whom_it_does_not_know(bench)),
    },
    Trial {
        id: "L1-06",
        zh: "status 对从未收到的业务号答 not_found",
        en: "status of an operation nobody sent is not_found",
        clause: "status",
        after: SHAPED,
        check: |bench| Box::pin(knows_nothing_of_the_unknown(bench)),
    },
    Trial {
        id: "L1-07",
        zh: "支付等于试算，status 随后给出同样的结果",
        en: "a commit pays what was quoted, and status says the same afterwards",
        clause: "commit",
        after: QUOTED,
        check: |bench| Box::pin(commits_what_it_quoted(bench)),
    },
    Trial {
        id: "L1-08",
        zh: "没有试算的支付被拒绝",
        en: "a commit of no quote is refused",
        clause: "commit",
        after: COMMITTED,
        check: |bench| Box::pin(l1_refusals::refuses_what_was_not_quoted(bench)),
    },
    Trial {
        id: "L1-14",
        zh: "金额与试算相差一分的支付被拒绝，status 记得",
        en: "a commit of a fen more or less than was quoted is refused, and status remembers",
        clause: "commit",
        after: COMMITTED,
        check: |bench| Box::pin(l1_refusals::refuses_another_sum(bench)),
    },
    Trial {
        id: "L1-15",
        zh: "试算过期后的支付被拒绝，status 记得",
        en: "a commit of a quote that has lapsed is refused, and status remembers",
        clause: "commit",
        after: COMMITTED,
        check: |bench| Box::pin(l1_refusals::refuses_what_has_lapsed(bench)),
    },
    Trial {
        id: "L1-16",
        zh: "承诺办理零支付（commits_zero）的，0.00 的支付成功，并可冲正",
        en: "where the manifest commits_zero, a commit of 0.00 is done and can be taken back",
        clause: "commit",
        after: &["L0", "L1-01", "L1-03", "L1-07"],
        check: |bench| Box::pin(commits_nothing(bench)),
    },
    Trial {
        id: "L1-09",
        zh: "被拒绝的人，拒绝有代码与原因，status 记得",
        en: "a refused person is refused with code and reason, and status remembers",
        clause: "commit",
        after: COMMITTED,
        check: |bench| Box::pin(l1_refusals::refuses_with_a_reason(bench)),
    },
    Trial {
        id: "L1-10",
        zh: "冲正退回支付的全部金额",
        en: "a reversal takes back all that was committed",
        clause: "reverse",
        after: COMMITTED,
        check: |bench| Box::pin(takes_back(bench)),
    },
    Trial {
        id: "L1-17",
        zh: "超过 reverse_window_s 的冲正被拒绝，status 记得，账中没有",
        en: "a reversal after reverse_window_s is refused, status remembers, and the book has nothing of it",
        clause: "reverse",
        after: &["L0", "L1-01", "L1-07", "L1-10"],
        check: |bench| Box::pin(l1_refusals::refuses_to_take_back_too_late(bench)),
    },
    Trial {
        id: "L1-12",
        zh: "重复的通知同样得到 noted，不改变任何结果",
        en: "what it is told again is noted again, and changes nothing",
        clause: "visit",
        after: QUOTED,
        check: |bench| Box::pin(l1_visits::notes_it_again(bench)),
    },
    Trial {
        id: "L1-13",
        zh: "取消入院得到 noted，重复的、从未收到入院的亦然；重新入院后试算照常",
        en: "a cancelled admission is noted, also again and where it never came; admitted anew, the stay is quoted as ever",
        clause: "visit",
        after: QUOTED,
        check: |bench| Box::pin(l1_visits::notes_that_it_is_called_off(bench)),
    },
];

async fn quotes(bench: &Bench) -> Verdict {
    let quoted = bench.quote(&bench.data.people.covered, None).await?;
    let serves = &bench.manifest().serves;
    let holds = |is_so, zh: &str, en: &str| quoted.came.holds(is_so, zh, en);
    let once = |payer: &PayerCode| quoted.amounts.iter().filter(|part| part.payer == *payer).count() == 1;
    holds(
        quoted.amounts.len() == serves.len() && serves.iter().all(once),
        "所问的每个支付方恰有一项金额",
        "one amount for each payer that was asked about",
    )?;
    let none_negative = quoted.amounts.iter().all(|part| !part.amount.is_negative());
    holds(none_negative, "金额不为负", "no amount is negative")?;
    holds(
        quoted.total().is_positive(),
        "测试数据中的参保人金额大于 0",
        "more than 0.00 for the covered person of the test data",
    )?;
    holds(!quoted.id.is_empty(), "quote_id 不为空", "a quote_id")?;
    holds(is_ahead(quoted.valid_until), "valid_until 在未来", "valid_until lies ahead")
}

async fn keeps_to_the_most(bench: &Bench) -> Verdict {
    let full = bench.quote_some(&bench.data.people.covered, None).await?;
    let dearest = full.amounts.iter().map(|part| part.amount).max().unwrap_or_default();
    let most = Money::from_fen((dearest.fen() / 2).max(1));
    let quoted = bench.quote(&bench.data.people.covered, Some(most)).await?;
    quoted.came.holds(
        quoted.amounts.iter().all(|part| part.amount <= most),
        format!("每项金额不超过 {most}"),
        format!("no amount above {most}"),
    )
}

async fn quotes_nothing(bench: &Bench) -> Verdict {
    let quoted = bench.quote(&bench.data.people.covered, Some(Money::ZERO)).await?;
    quoted.came.holds(quoted.total().is_zero(), "每项金额为 0.00", "every amount is 0.00")
}

async fn says_who_is_not_covered(bench: &Bench) -> Verdict {
    let person = known(&bench.data.people.not_covered, "not_covered")?;
    let stay = bench.stay(person).await?;
    let asked = bench.ask(person, &stay, &bench.manifest().serves, None);
    let came = bench.caller.post("/v1/quote", &asked).await;
    let answer: QuoteAnswer = came.answer()?;
    came.holds(matches!(answer, QuoteAnswer::NotCovered), "answer 为 not_covered", "the answer not_covered")
}

async fn knows_nothing_of_the_unknown(bench: &Bench) -> Verdict {
    let came = bench.status(&bench.id("never")).await;
    let status: Status = came.answer()?;
    came.holds(status == Status::NotFound, "answer 为 not_found", "the answer not_found")
}

async fn commits_what_it_quoted(bench: &Bench) -> Verdict {
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let id = bench.id("commit");
    let (end, came) = bench.commit(&id, &quoted).await?;
    let End::Done { mut amounts, reference } = end else {
        return came.is_not("支付成功（done）", "the commit is done");
    };
    came.holds(
        bench.fits(&quoted, &amounts),
        "金额与试算一致（试算不确定的：支付方相同，金额在可付之内）",
        "the amounts of the quote; where quotes are not firm, of the same payers and no more than may be paid",
    )?;
    amounts.sort();
    came.holds(!reference.is_empty(), "reference 不为空", "a reference")?;
    let said = bench.status(&id).await;
    let same = match said.answer()? {
        Status::Done { amounts: mut by_status, reference: by_reference } => {
            by_status.sort();
            by_status == amounts && by_reference == reference
        }
        _ => false,
    };
    said.holds(same, "status 与支付应答相同", "what the commit was answered")?;
    bench.give_back(&id, &quoted).await
}

async fn commits_nothing(bench: &Bench) -> Verdict {
    if !bench.manifest().commits_zero {
        return not_applicable(
            "manifest 未承诺办理零支付（commits_zero）",
            "the manifest does not commit_zero",
        );
    }
    let quoted = bench.quote(&bench.data.people.covered, Some(Money::ZERO)).await?;
    let id = bench.id("commit");
    let (end, came) = bench.commit(&id, &quoted).await?;
    let is_nothing = end.is_done() && end.total().is_zero();
    came.holds(is_nothing, "支付成功（done），金额 0.00", "the commit is done, and of 0.00")?;
    bench.give_back(&id, &quoted).await
}

async fn takes_back(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let (commit, quoted, committed) = bench.committed().await?;
    let reversal = bench.id("reverse");
    let (end, came) = bench.reverse(&reversal, &commit, &quoted).await?;
    let amounts = |end: &End| match end {
        End::Done { amounts, .. } => {
            let mut amounts = amounts.clone();
            amounts.sort();
            Some(amounts)
        }
        End::Refused { .. } => None,
    };
    came.holds(
        amounts(&end).is_some() && amounts(&end) == amounts(&committed),
        "冲正成功，金额与支付相同（正数）",
        "the reversal is done with the amounts of the commit, not negative",
    )?;
    let (by_status, said) = bench.settled(&reversal).await?;
    said.holds(by_status == end, "status 与冲正应答相同", "what the reversal was answered")?;
    let unknown = bench.caller.post("/v1/status", &json!({"operation_id": commit})).await;
    let status: Status = unknown.answer()?;
    unknown.holds(
        matches!(status, Status::Done { .. }),
        "原支付的 status 仍为 done（首次结果不变）",
        "the commit's own status is still done: a first outcome never changes",
    )
}
