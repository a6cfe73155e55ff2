//! L2: whatever is sent, and however often, happens once.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;
use yizhan_contract::Money;
use yizhan_contract::instant::later;
use yizhan_contract::payer::{Performed, Status};
use yizhan_contract::protocol::{DEADLINE_PASSED, OPERATION_CONFLICT};

use super::Trial;
use crate::certify::bench::{Bench, Quoted};
use crate::certify::outcomes::End;
use crate::certify::verdict::{Verdict, not_run};
use crate::given;

/// How often one commit is sent, side by side.
const TIMES: usize = 100;
/// For a request to arrive before its connection is cut.
const ARRIVES_WITHIN: Duration = Duration::from_millis(300);
/// Until the deadline of a commit that may be answered too late.
const SOON: SignedDuration = SignedDuration::from_millis(50);

const WORKING: &[&str] = &["L0", "L1-01", "L1-07"];
const BOOKED: &[&str] = &["L0", "L1-01", "L1-07", "L7-01", "L7-02"];

pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L2-01",
        zh: "同一支付再次发送，得到同样的首次应答",
        en: "the same commit sent again gets its first answer again",
        clause: "exactly-once",
        after: WORKING,
        check: |bench| Box::pin(answers_the_same_again(bench)),
    },
    Trial {
        id: "L2-02",
        zh: "同一支付并发发送 100 次（同时在途的数目见报告），只入账一次，应答相同",
        en: "the same commit sent a hundred times, as many at once as the report says, is booked once, and every answer is the same",
        clause: "exactly-once",
        after: &["L0", "L1-01", "L1-07", "L7-01", "L7-02", "L2-01"],
        check: |bench| Box::pin(books_once_however_often(bench)),
    },
    Trial {
        id: "L2-03",
        zh: "同一业务号、不同内容得到 409，原结果不变",
        en: "the same id with other content gets 409, and the first outcome stands",
        clause: "exactly-once",
        after: WORKING,
        check: |bench| Box::pin(refuses_an_id_for_other_content(bench)),
    },
    Trial {
        id: "L2-04",
        zh: "冲正先于原支付到达：成功且无金额；迟到的原支付以 reversed_before 拒绝",
        en: "a reversal before its commit is done with no amounts, and the late commit is refused: reversed_before",
        clause: "reverse",
        after: WORKING,
        check: |bench| Box::pin(fences_off_what_comes_late(bench)),
    },
    Trial {
        id: "L2-05",
        zh: "同一冲正再次发送，得到同样的首次应答",
        en: "the same reversal sent again gets its first answer again",
        clause: "reverse",
        after: WORKING,
        check: |bench| Box::pin(reverses_the_same_again(bench)),
    },
    Trial {
        id: "L2-06",
        zh: "已冲正的支付以另一业务号再冲正，不再移动金额",
        en: "a second reversal under another id moves nothing",
        clause: "reverse",
        after: BOOKED,
        check: |bench| Box::pin(reverses_once(bench)),
    },
    Trial {
        id: "L2-07",
        zh: "应答丢失后，先问 status、再次发送，给出同一结果，只入账一次",
        en: "after a lost answer, status first and then sending again give one outcome, booked once",
        clause: "exactly-once",
        after: &["L0", "L1-01", "L1-07", "L7-01", "L7-02", "L2-01"],
        check: |bench| Box::pin(survives_a_lost_answer(bench)),
    },
    Trial {
        id: "L2-09",
        zh: "期限将尽的支付：无论当时如何应答，status 与新期限下的再次发送给出同一结果，至多入账一次",
        en: "a commit whose time is almost up: whatever it is answered, status and sending it again under a new deadline give one outcome, booked once at most",
        clause: "exactly-once",
        after: &["L0", "L1-01", "L1-06", "L1-07", "L7-01", "L7-02", "L2-01"],
        check: |bench| Box::pin(survives_a_late_answer(bench)),
    },
    Trial {
        id: "L2-08",
        zh: "被拒绝的支付再次发送，仍得到同样的拒绝",
        en: "a refused commit sent again is refused in the same way",
        clause: "exactly-once",
        after: &["L0", "L1-01", "L1-07", "L1-08"],
        check: |bench| Box::pin(remembers_a_refusal(bench)),
    },
];

async fn answers_the_same_again(bench: &Bench) -> Verdict {
    let (id, quoted, first) = bench.committed().await?;
    for _ in 0..3 {
        let (again, came) = bench.commit(&id, &quoted).await?;
        came.holds(
            again == first,
            format!("与首次相同：{first:?}"),
            format!("the first answer again: {first:?}"),
        )?;
    }
    bench.give_back(&id, &quoted).await
}

async fn books_once_however_often(bench: &Bench) -> Verdict {
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let id = bench.id("commit");
    let ends = join_all((0..TIMES).map(|_| bench.commit(&id, &quoted))).await;
    let mut first: Option<End> = None;
    for end in ends {
        let (end, came) = end?;
        let expected = first.get_or_insert_with(|| end.clone());
        let is_same = end.is_done() && end == *expected;
        came.holds(is_same, "每个应答都相同，且为 done", "every answer is the same, and done")?;
    }
    bench.is_booked(&id, first.map_or(Money::ZERO, |first| first.total())).await?;
    bench.give_back(&id, &quoted).await
}

async fn refuses_an_id_for_other_content(bench: &Bench) -> Verdict {
    let (id, quoted, first) = bench.committed().await?;
    let mut other = quoted.clone();
    for part in &mut other.amounts {
        part.amount += Money::FEN;
    }
    let came = bench.caller.post("/v1/commit", &bench.commit_body(&id, &other)).await;
    came.is_problem(409, OPERATION_CONFLICT)?;
    let came = bench.caller.post("/v1/reverse", &bench.reverse_body(&id, &bench.id("never"), &quoted)).await;
    came.is_problem(409, OPERATION_CONFLICT)?;
    let (now, came) = bench.settled(&id).await?;
    came.holds(now == first, "首次结果不变", "the first outcome stands")?;
    bench.give_back(&id, &quoted).await
}

async fn fences_off_what_comes_late(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let late = bench.id("commit");
    let (end, came) = bench.reverse(&bench.id("reverse"), &late, &quoted).await?;
    let is_empty =
        matches!(&end, End::Done { amounts, .. } if amounts.iter().all(|(_, amount)| amount.is_zero()));
    came.holds(is_empty, "done 且无金额", "done, with no amounts")?;
    let (end, came) = bench.commit(&late, &quoted).await?;
    let is_fenced = matches!(&end, End::Refused { code } if code == "reversed_before");
    came.holds(is_fenced, "refused，code 为 reversed_before", "refused with the code reversed_before")?;
    let came = bench.status(&late).await;
    let status: Status = came.answer()?;
    came.holds(matches!(status, Status::Refused { .. }), "status 为 refused", "status says refused")
}

async fn reverses_the_same_again(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let (commit, quoted, _) = bench.committed().await?;
    let id = bench.id("reverse");
    let (first, _) = bench.reverse(&id, &commit, &quoted).await?;
    for _ in 0..2 {
        let (again, came) = bench.reverse(&id, &commit, &quoted).await?;
        came.holds(
            again.is_done() && again == first,
            format!("与首次相同：{first:?}"),
            format!("the first answer again: {first:?}"),
        )?;
    }
    Ok(())
}

async fn reverses_once(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let (commit, quoted, _) = bench.committed().await?;
    let (first, second) = (bench.id("reverse"), bench.id("reverse"));
    let (_, _) = bench.reverse(&first, &commit, &quoted).await?;
    let (end, came) = bench.reverse(&second, &commit, &quoted).await?;
    let moves_nothing = match &end {
        End::Refused { code } => code == "already_reversed",
        End::Done { amounts, .. } => amounts.iter().all(|(_, amount)| amount.is_zero()),
    };
    came.holds(
        moves_nothing,
        "refused already_reversed，或 done 且无金额",
        "refused already_reversed, or done with no amounts",
    )?;
    let (booked, came) = bench.booked(&[&commit, &first, &second]).await?;
    came.holds(
        booked.is_zero(),
        format!("账中合计 0.00，而非 {booked}"),
        format!("0.00 in the book altogether, not {booked}"),
    )
}

/// Sends a commit and cuts the connection before the answer can be read.
async fn survives_a_lost_answer(bench: &Bench) -> Verdict {
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let id = bench.id("commit");
    let body = bench.caller.bytes(&bench.commit_body(&id, &quoted));
    if let Err(why) = bench.caller.send_and_leave("/v1/commit", &body, ARRIVES_WITHIN).await {
        return not_run(format!("无法连接：{why}"), format!("no connection: {why}"));
    }
    let (by_status, came) = bench.asked_about(&id).await?;
    came.holds(
        by_status.as_ref().is_none_or(End::is_done),
        "status 为 done，或从未收到",
        "status says done, or that it never came",
    )?;
    comes_to_one_end(bench, &id, &quoted, by_status).await
}

/// A commit whose deadline passes while it is worked on: whatever it is answered is no proof of what became of it.
async fn survives_a_late_answer(bench: &Bench) -> Verdict {
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let id = bench.id("hurried");
    let first = bench.commit_until(&id, &quoted, later(given::now(), SOON)).await;
    let (answered, may_have_begun) = match first.status() {
        Some(400) => {
            first.is_problem(400, DEADLINE_PASSED)?;
            (None, false)
        }
        // Nobody is answered, or it is too busy.
        None | Some(429 | 503) => (None, true),
        _ => match first.answer()? {
            Performed::Committed { amounts, reference } => (Some(End::Done { amounts, reference }), true),
            Performed::Refused { code, .. } => (Some(End::Refused { code }), true),
            Performed::Unknown { .. } => (None, true),
        },
    };
    let (by_status, said) = match may_have_begun {
        true => bench.asked_about(&id).await?,
        false => {
            let said = bench.status(&id).await;
            let status: Status = said.answer()?;
            said.holds(status == Status::NotFound, "status 为 not_found", "status says not_found")?;
            (None, said)
        }
    };
    said.holds(
        answered.is_none() || answered == by_status,
        format!("与应答相同：{answered:?}"),
        format!("what it was answered: {answered:?}"),
    )?;
    comes_to_one_end(bench, &id, &quoted, by_status).await
}

/// An operation whose answer nobody has: sent again it comes to what status said, and is booked once. What nobody has heard of
/// is in no book.
async fn comes_to_one_end(bench: &Bench, id: &str, quoted: &Quoted, by_status: Option<End>) -> Verdict {
    if by_status.is_none() {
        let (booked, came) = bench.booked(&[id]).await?;
        came.holds(
            booked.is_zero(),
            format!("{id} 不在账中（status 为 not_found），而非 {booked}"),
            format!("nothing in the book for {id}, which status does not find, and not {booked}"),
        )?;
    }
    let Some((again, came)) = bench.commit_again(id, quoted).await? else {
        return bench.fenced_off(id, quoted).await;
    };
    came.holds(
        by_status.is_none_or(|first| again == first),
        "再次发送得到 status 所答的结果",
        "sent again, the outcome that status told",
    )?;
    bench.is_booked(id, again.total()).await?;
    if again.is_done() { bench.give_back(id, quoted).await } else { Ok(()) }
}

async fn remembers_a_refusal(bench: &Bench) -> Verdict {
    let mut quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    quoted.id = bench.id("no-quote");
    let id = bench.id("commit");
    let first = bench.caller.post("/v1/commit", &bench.commit_body(&id, &quoted)).await;
    let first: Performed = first.answer()?;
    let came = bench.caller.post("/v1/commit", &bench.commit_body(&id, &quoted)).await;
    let again: Performed = came.answer()?;
    came.holds(again == first, "与首次相同的拒绝", "the first refusal again")?;
    let said = bench.caller.post("/v1/status", &json!({"operation_id": id})).await;
    let status: Status = said.answer()?;
    said.holds(matches!(status, Status::Refused { .. }), "status 为 refused", "status says refused")
}
