//! L4: broken connections, slow ones, nonsense, and kill -9.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use yizhan_contract::Text;
use yizhan_contract::payer::{Performed, Status};

use super::Trial;
use crate::certify::bench::{Bench, Quoted};
use crate::certify::outcomes::End;
use crate::certify::raw::Raw;
use crate::certify::verdict::{Stop, Verdict, failed, not_run};

/// Connections that say half a word and no more.
const SLOW_ONES: usize = 16;
/// Commits in hand when the adapter is killed.
const IN_HAND: usize = 20;
/// For an adapter to notice that a connection is gone.
const NOTICES_WITHIN: Duration = Duration::from_millis(300);

const WORKING: &[&str] = &["L0", "L1-01", "L1-07"];

pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L4-01",
        zh: "连接在请求中途断开：什么都没有开始",
        en: "a connection that breaks off within a request begins nothing",
        clause: "resilience",
        after: &["L0", "L1-01", "L1-06", "L1-07"],
        check: |bench| Box::pin(begins_nothing_by_half(bench)),
    },
    Trial {
        id: "L4-02",
        zh: "缓慢的连接不影响其他请求",
        en: "slow connections hold nobody up",
        clause: "resilience",
        after: WORKING,
        check: |bench| Box::pin(is_not_held_up(bench)),
    },
    Trial {
        id: "L4-03",
        zh: "收到乱码后继续服务",
        en: "after nonsense it serves on",
        clause: "resilience",
        after: WORKING,
        check: |bench| Box::pin(survives_nonsense(bench)),
    },
    Trial {
        id: "L4-04",
        zh: "kill -9 之后：已应答的支付仍在，status、再次发送与当日账均不变",
        en: "after kill -9, what was answered is so: by status, sent again, and in the day's book",
        clause: "killed",
        after: &["L0", "L1-01", "L1-07", "L7-01", "L2-01"],
        check: |bench| Box::pin(remembers_commits(bench)),
    },
    Trial {
        id: "L4-05",
        zh: "kill -9 之后：冲正与空冲正仍被记得",
        en: "after kill -9 it remembers reversals, also those of what never came",
        clause: "killed",
        after: &["L0", "L1-01", "L1-07", "L7-01", "L7-02", "L2-04", "L2-05", "L4-04"],
        check: |bench| Box::pin(remembers_reversals(bench)),
    },
    Trial {
        id: "L4-06",
        zh: "支付途中 kill -9：每笔再次发送后恰好入账一次，已得的应答不变",
        en: "killed amid commits: each is booked once when it is sent again, and no answer changes",
        clause: "killed",
        after: &["L0", "L1-01", "L1-02", "L1-07", "L7-01", "L3-04", "L4-02", "L4-04"],
        check: |bench| Box::pin(is_killed_amid_commits(bench)),
    },
];

async fn begins_nothing_by_half(bench: &Bench) -> Verdict {
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let id = bench.id("half");
    // The document is whole and could be read; the request says that more was to come.
    let body = bench.caller.bytes(&bench.commit_body(&id, &quoted));
    let sent = bench.caller.send_part_and_leave("/v1/commit", &body, body.len() + 10).await;
    if let Err(why) = sent {
        return not_run(format!("无法连接：{why}"), format!("no connection: {why}"));
    }
    tokio::time::sleep(NOTICES_WITHIN).await;
    let came = bench.status(&id).await;
    let status: Status = came.answer()?;
    came.holds(status == Status::NotFound, "status 为 not_found", "status says not_found")?;
    let (end, came) = bench.commit(&id, &quoted).await?;
    came.holds(end.is_done(), "完整发送后支付成功", "sent as a whole, the commit is done")?;
    bench.give_back(&id, &quoted).await
}

async fn is_not_held_up(bench: &Bench) -> Verdict {
    let slow = join_all((0..SLOW_ONES).map(|_| bench.caller.hold_half_a_request("/v1/commit"))).await;
    let held: Vec<Raw> = slow.into_iter().filter_map(Result::ok).collect();
    if held.len() < SLOW_ONES {
        return failed(
            Text::new(
                format!("接受 {SLOW_ONES} 个缓慢的连接"),
                format!("{SLOW_ONES} slow connections are taken"),
            ),
            Text::new(format!("只接受 {} 个", held.len()), format!("{} were", held.len())),
            None,
        );
    }
    // By a connection of its own: one that is open already may be served by somebody else.
    if bench.caller.begin_anew().is_err() {
        return not_run("无法连接", "no connection");
    }
    let came = bench.caller.get("/v1/describe").await;
    drop(held);
    came.holds(came.status() == Some(200), "其他请求照常得到应答", "others are answered as ever")
}

async fn survives_nonsense(bench: &Bench) -> Verdict {
    let nonsense: [&[u8]; 3] = [b"\x00\x01\x02\x03\xff\xfe", b"GET \r\n\r\n\r\n", &[b'A'; 4096]];
    for bytes in nonsense {
        bench.caller.say_nonsense(bytes, NOTICES_WITHIN).await;
    }
    if bench.caller.begin_anew().is_err() {
        return not_run("无法连接", "no connection");
    }
    let came = bench.caller.get("/v1/describe").await;
    came.holds(came.status() == Some(200), "照常应答", "answers as ever")
}

async fn remembers_commits(bench: &Bench) -> Verdict {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(bench.committed().await?);
    }
    bench.restarted().await?;
    for (id, quoted, first) in &made {
        stands(bench, id, quoted, first).await?;
    }
    for (id, quoted, _) in &made {
        bench.give_back(id, quoted).await?;
    }
    Ok(())
}

/// An operation that was answered before is the same by status, when sent again, and in the book.
async fn stands(bench: &Bench, id: &str, quoted: &Quoted, first: &End) -> Verdict {
    let came = bench.status(id).await;
    let now = match came.answer()? {
        Status::Done { amounts, reference } => Some(End::Done { amounts, reference }),
        Status::Refused { code } => Some(End::Refused { code }),
        _ => None,
    };
    let same = now.as_ref() == Some(first);
    came.holds(
        same,
        format!("status 与首次应答相同：{first:?}"),
        format!("what was answered first, by status: {first:?}"),
    )?;
    let (again, came) = bench.commit(id, quoted).await?;
    came.holds(
        again == *first,
        format!("与首次相同：{first:?}"),
        format!("the first answer again: {first:?}"),
    )?;
    bench.is_booked(id, first.total()).await
}

async fn remembers_reversals(bench: &Bench) -> Verdict {
    bench.reversible()?;
    let (commit, quoted, _) = bench.committed().await?;
    let reversal = bench.id("reverse");
    let (first, _) = bench.reverse(&reversal, &commit, &quoted).await?;
    let never = bench.quote_some(&bench.data.people.covered, None).await?;
    let late = bench.id("commit");
    bench.reverse(&bench.id("reverse"), &late, &never).await?;
    bench.restarted().await?;
    let (again, came) = bench.reverse(&reversal, &commit, &quoted).await?;
    came.holds(
        again == first,
        format!("与首次相同：{first:?}"),
        format!("the first answer again: {first:?}"),
    )?;
    let (booked, came) = bench.booked(&[&commit, &reversal]).await?;
    came.holds(booked.is_zero(), "账中合计 0.00", "0.00 in the book altogether")?;
    let (end, came) = bench.commit(&late, &never).await?;
    let is_fenced = matches!(&end, End::Refused { code } if code == "reversed_before");
    came.holds(is_fenced, "refused，code 为 reversed_before", "refused with the code reversed_before")
}

async fn is_killed_amid_commits(bench: &Bench) -> Verdict {
    let person = &bench.data.people.covered;
    let quotes = join_all((0..IN_HAND).map(|number| bench.quote_some(person, Bench::small(number)))).await;
    let quotes = quotes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<_> = quotes.iter().map(|_| bench.id("killed")).collect();
    let (answered, enough) = (AtomicUsize::new(0), Notify::new());
    let sending = join_all(ids.iter().zip(&quotes).map(|(id, quoted)| async {
        let came = bench.caller.post("/v1/commit", &bench.commit_body(id, quoted)).await;
        let first = match came.answer() {
            Ok(Performed::Committed { amounts, reference }) => End::Done { amounts, reference },
            Ok(Performed::Refused { code, .. }) => End::Refused { code },
            Ok(Performed::Unknown { .. }) | Err(_) => return None,
        };
        // Some have their answer, some are in hand, some are still on their way.
        if answered.fetch_add(1, Ordering::Relaxed) + 1 == IN_HAND / 4 {
            enough.notify_one();
        }
        Some(first)
    }));
    let killing = async {
        let enough = tokio::time::timeout(bench.caller.patience, enough.notified());
        // Opened beside them: were it opened after so many answers, all might have theirs by then.
        match tokio::join!(bench.watched(), enough) {
            (watched, Ok(())) => bench.restarted_under(watched?).await,
            (_, Err(_)) => failed(
                Text::new("至少四分之一的支付得到应答", "a quarter of the commits is answered"),
                Text::new("没有应答", "no answer"),
                bench.caller.last_since(0).as_ref(),
            ),
        }
    };
    let (answers, killed) = tokio::join!(sending, killing);
    killed?;
    for ((id, quoted), answered) in ids.iter().zip(&quotes).zip(answers) {
        booked_once(bench, id, quoted, answered).await?;
    }
    Ok(())
}

async fn booked_once(bench: &Bench, id: &str, quoted: &Quoted, answered: Option<End>) -> Result<(), Stop> {
    let first = match answered {
        Some(first) => first,
        // Nobody was told; whatever it came to, sent again it comes to an end.
        None => match bench.commit_again(id, quoted).await? {
            Some((first, _)) => first,
            None => return bench.fenced_off(id, quoted).await,
        },
    };
    stands(bench, id, quoted, &first).await?;
    if first.is_done() { bench.give_back(id, quoted).await } else { Ok(()) }
}
