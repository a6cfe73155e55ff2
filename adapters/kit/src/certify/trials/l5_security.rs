//! L5: who is let in, what is too late, and what must not be repeated.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use yizhan_contract::instant::later;
use yizhan_contract::payer::{Need, Status};
use yizhan_contract::protocol::DEADLINE_PASSED;

use super::Trial;
use crate::certify::bench::Bench;
use crate::certify::exchange::{Asked, Exchange};
use crate::certify::target::Identity;
use crate::certify::verdict::{Verdict, not_applicable, not_run};
use crate::given;

/// For a service that answers whoever asks.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Of deadlines that have passed: long ago, and beyond what clocks may differ by.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(10_000);
const JUST_NOW: SignedDuration = SignedDuration::from_secs(6);
/// Of one that a gateway whose clock is ahead may give.
const FAR_AHEAD: SignedDuration = SignedDuration::from_hours(1);

const SHAPED: &[&str] = &["L0"];

pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L5-01",
        zh: "没有客户端证书的人得不到任何应答",
        en: "whoever shows no certificate gets no answer",
        clause: "certificates",
        after: SHAPED,
        check: |bench| Box::pin(lets_nobody_in(bench, Identity::Nobody)),
    },
    Trial {
        id: "L5-02",
        zh: "证书由陌生 CA 签发的人得不到任何应答",
        en: "whoever shows a certificate of another CA gets no answer",
        clause: "certificates",
        after: &["L0", "L5-01"],
        check: |bench| Box::pin(lets_nobody_in(bench, Identity::Stranger)),
    },
    Trial {
        id: "L5-07",
        zh: "证书已过期的人得不到任何应答",
        en: "whoever shows a certificate that has expired gets no answer",
        clause: "certificates",
        after: &["L0", "L5-01", "L5-02"],
        check: |bench| Box::pin(lets_nobody_in_any_more(bench)),
    },
    Trial {
        id: "L5-08",
        zh: "网关更换证书时不中断：新旧证书均被接受，旧连接不断",
        en: "a gateway changes its certificate without a break: the next one is let in beside the old one, whose connection lives on",
        clause: "certificates",
        after: SHAPED,
        check: |bench| Box::pin(lets_the_next_one_in(bench)),
    },
    Trial {
        id: "L5-03",
        zh: "同一端口不接受明文 HTTP",
        en: "the same port does not speak plain HTTP",
        clause: "certificates",
        after: SHAPED,
        check: |bench| Box::pin(speaks_no_plain_text(bench)),
    },
    Trial {
        id: "L5-04",
        zh: "过期的支付与冲正（刚过 6 秒的亦然）得到 400 deadline_passed，什么都没有开始；尚有一小时的照办",
        en: "a commit or a reversal after its deadline, be it by six seconds, gets 400 deadline_passed and begins nothing; one with an hour left is done",
        clause: "deadlines",
        after: &["L0", "L1-01", "L1-06", "L1-07"],
        check: |bench| Box::pin(begins_nothing_late(bench)),
    },
    Trial {
        id: "L5-05",
        zh: "拒绝与错误中不重复个人数据",
        en: "refusals and problems repeat nothing of a person",
        clause: "personal-data",
        after: SHAPED,
        check: |bench| Box::pin(repeats_nothing_personal(bench)),
    },
];

/// Over TLS there is something to see; else the level is not reached.
fn protected(bench: &Bench) -> Verdict {
    if bench.caller.called.tls.is_some() {
        return Ok(());
    }
    not_run(
        "适配器以明文 http 评测；请以 https 及证书评测",
        "the adapter is called by plain http; certify it by https, with certificates",
    )
}

async fn lets_nobody_in(bench: &Bench, identity: Identity) -> Verdict {
    protected(bench)?;
    let came = match bench.caller.get_as(identity, "/v1/describe", ANSWERS_WITHIN).await {
        Ok(came) => came,
        Err(why) => return not_run(why.to_string(), why.to_string()),
    };
    came.holds(came.status().is_none(), "没有应答（TLS 握手失败）", "no answer: the TLS handshake fails")
}

async fn lets_nobody_in_any_more(bench: &Bench) -> Verdict {
    protected(bench)?;
    if bench.caller.called.tls.as_ref().is_some_and(|files| files.expired.is_none()) {
        return not_applicable(
            "未提供已过期的证书（--expired）",
            "no certificate was given that has expired (--expired)",
        );
    }
    lets_nobody_in(bench, Identity::Expired).await
}

async fn lets_the_next_one_in(bench: &Bench) -> Verdict {
    protected(bench)?;
    if bench.caller.called.tls.as_ref().is_some_and(|files| files.next.is_none()) {
        return not_applicable(
            "未提供更换后的证书（--next）",
            "no certificate was given that follows the kit's own (--next)",
        );
    }
    let client = |identity| bench.caller.called.client(identity, ANSWERS_WITHIN);
    let clients =
        client(Identity::Own).and_then(|old| Ok((old, client(Identity::Next)?, client(Identity::Own)?)));
    let (old, next, old_anew) = match clients {
        Ok(clients) => clients,
        Err(why) => return not_run(why.to_string(), why.to_string()),
    };
    let asked = [
        (&old, Identity::Own, "旧证书", "the old certificate"),
        (&next, Identity::Next, "新证书", "the next certificate"),
        (&old, Identity::Own, "旧连接", "the old certificate's connection"),
        (&old_anew, Identity::Own, "旧证书的新连接", "a new connection under the old certificate"),
    ];
    for (client, identity, zh, en) in asked {
        let came = bench.caller.get_by(client, identity, "/v1/describe").await;
        came.holds(came.status() == Some(200), format!("{zh}得到应答"), format!("{en} is answered"))?;
    }
    Ok(())
}

async fn speaks_no_plain_text(bench: &Bench) -> Verdict {
    protected(bench)?;
    let (came, said) = bench.caller.get_plainly("/v1/describe", ANSWERS_WITHIN).await;
    // Some say in plain HTTP that TLS is wanted; that is no answer of the protocol.
    let is_answer = said.starts_with(b"HTTP/1.1 200") || said.starts_with(b"HTTP/1.0 200");
    came.holds(!is_answer, "没有应答，或说明须用 TLS", "no answer, or the word that TLS is wanted")
}

async fn begins_nothing_late(bench: &Bench) -> Verdict {
    let quoted = bench.quote_some(&bench.data.people.covered, None).await?;
    let now = given::now();
    for late in [now - LONG_AGO, now - JUST_NOW] {
        let id = bench.id("late");
        bench.commit_until(&id, &quoted, late).await.is_problem(400, DEADLINE_PASSED)?;
        was_never_begun(bench, &id).await?;
    }
    let commit = bench.id("commit");
    let came = bench.commit_until(&commit, &quoted, later(given::now(), FAR_AHEAD)).await;
    let (end, came) = bench.end_of(&commit, came).await?;
    came.holds(end.is_done(), "期限在一小时后的支付成功（done）", "a commit with an hour left is done")?;
    if bench.manifest().reverse_window_s.is_some() {
        let id = bench.id("late");
        let body = bench.reverse_body(&id, &commit, &quoted);
        let body = bench.caller.with_deadline(body, given::now() - JUST_NOW);
        bench.caller.post("/v1/reverse", &body).await.is_problem(400, DEADLINE_PASSED)?;
        was_never_begun(bench, &id).await?;
    }
    bench.give_back(&commit, &quoted).await
}

async fn was_never_begun(bench: &Bench, id: &str) -> Verdict {
    let came = bench.status(id).await;
    let status: Status = came.answer()?;
    came.holds(status == Status::NotFound, "status 为 not_found", "status says not_found")
}

async fn repeats_nothing_personal(bench: &Bench) -> Verdict {
    if !bench.manifest().needs.iter().any(|need| matches!(need, Need::IdNumber | Need::Name | Need::Card)) {
        return not_applicable("manifest 不需要个人数据", "the manifest needs nothing of a person");
    }
    let person = bench.data.people.refused.as_ref().unwrap_or(&bench.data.people.covered);
    let stay = bench.stay_to_ask_about(person).await?;
    let asked = bench.ask(person, &stay, &bench.manifest().serves, None);
    let mut wrong_type = asked.clone();
    wrong_type["ask"]["claim"]["buckets"]["total"] = json!(12000);
    let mut wrong_number = asked.clone();
    wrong_number["ask"]["person"]["id_number"] = json!("999999199001019999");
    let mut cut_off = bench.caller.bytes(&asked);
    cut_off.truncate(cut_off.len() - 5);
    let said = [
        bench.caller.post("/v1/quote", &asked).await,
        bench.caller.post("/v1/quote", &wrong_type).await,
        bench.caller.post("/v1/quote", &wrong_number).await,
        bench.caller.send(Asked::post("/v1/quote", cut_off)).await,
    ];
    let own = [
        Some(person.id_number.reveal().as_str().to_owned()),
        person.name.as_ref().map(|name| name.reveal().clone()),
        person.card.as_ref().map(|card| card.reveal().clone()),
        Some("999999199001019999".to_owned()),
    ];
    for came in said {
        let texts = texts_of(&came.0);
        let repeats = own.iter().flatten().any(|own| texts.iter().any(|text| text.contains(own.as_str())));
        came.holds(!repeats, "不含身份证号、姓名与卡号", "no identity card number, name or card number")?;
    }
    Ok(())
}

/// The answer as it is written, and each text in it as a reader of JSON has it: what is escaped is said all the same.
fn texts_of(exchange: &Exchange) -> Vec<String> {
    let mut texts = vec![String::from_utf8_lossy(exchange.answer()).into_owned()];
    let mut left: Vec<Value> = exchange.json().into_iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(values) => left.extend(values),
            Value::Object(members) => {
                for (name, value) in members {
                    texts.push(name);
                    left.push(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    texts
}
