//! L0: messages have the shape the protocol says.

use serde_json::{Value, json};
use yizhan_contract::Text;
use yizhan_contract::payer::QuoteAnswer;
use yizhan_contract::protocol::{
    MALFORMED, METHOD_NOT_ALLOWED, REQUEST_BYTES_MAX, TOO_LARGE, UNKNOWN_VERB, UNSUPPORTED_MEDIA_TYPE,
};

use super::Trial;
use crate::certify::bench::Bench;
use crate::certify::came::Came;
use crate::certify::exchange::{Asked, JSON, PROBLEM};
use crate::certify::verdict::{Stop, Verdict};

const DESCRIBED: &[&str] = &["L0-01"];

pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L0-01",
        zh: "describe 给出协议版本 1 与完整的 manifest",
        en: "describe gives version 1 of the protocol and a whole manifest",
        clause: "describe",
        after: &[],
        check: |bench| Box::pin(describes_itself(bench)),
    },
    Trial {
        id: "L0-02",
        zh: "每个应答的 Content-Type 均为 application/json",
        en: "every answer has the content type application/json",
        clause: "messages",
        after: DESCRIBED,
        check: |bench| Box::pin(answers_in_json(bench)),
    },
    Trial {
        id: "L0-03",
        zh: "金额为带两位小数的字符串",
        en: "money is a string with two decimals",
        clause: "messages",
        after: DESCRIBED,
        check: |bench| Box::pin(money_is_a_string(bench)),
    },
    Trial {
        id: "L0-04",
        zh: "时间带时区偏移（RFC 3339）",
        en: "times have an offset (RFC 3339)",
        clause: "messages",
        after: DESCRIBED,
        check: |bench| Box::pin(times_have_an_offset(bench)),
    },
    Trial {
        id: "L0-05",
        zh: "不认识的成员被忽略",
        en: "members it does not know are ignored",
        clause: "messages",
        after: &["L0-01", "L0-03", "L0-04"],
        check: |bench| Box::pin(ignores_unknown_members(bench)),
    },
    Trial {
        id: "L0-06",
        zh: "无法读取的请求得到 400 malformed",
        en: "a request that cannot be read gets 400 malformed",
        clause: "refusals",
        after: DESCRIBED,
        check: |bench| Box::pin(refuses_the_unreadable(bench)),
    },
    Trial {
        id: "L0-07",
        zh: "不存在的接口得到 404，方法不符得到 405",
        en: "an unknown verb gets 404, another method 405",
        clause: "refusals",
        after: DESCRIBED,
        check: |bench| Box::pin(refuses_other_verbs(bench)),
    },
    Trial {
        id: "L0-08",
        zh: "非 JSON 的请求体得到 415",
        en: "a body that is not JSON gets 415",
        clause: "refusals",
        after: DESCRIBED,
        check: |bench| Box::pin(refuses_other_types(bench)),
    },
    Trial {
        id: "L0-09",
        zh: "超过 4 MiB 的请求体得到 413",
        en: "a body longer than 4 MiB gets 413",
        clause: "refusals",
        after: DESCRIBED,
        check: |bench| Box::pin(refuses_the_endless(bench)),
    },
    Trial {
        id: "L0-10",
        zh: "拒绝是完整的问题文档：application/problem+json，含 type、title 与相符的 status",
        en: "a refusal is a whole problem document: application/problem+json with type, title and its own status",
        clause: "refusals",
        after: DESCRIBED,
        check: |bench| Box::pin(refuses_by_whole_documents(bench)),
    },
];

async fn describes_itself(bench: &Bench) -> Verdict {
    let came = bench.caller.get("/v1/describe").await;
    let described: yizhan_contract::protocol::Description = came.answer()?;
    let manifest = described.manifest;
    if let Err((key, Text { zh, en })) = manifest.check() {
        came.holds(false, format!("{key} {zh}"), format!("{key} {en}"))?;
    }
    bench.learn(manifest);
    bench.waits_for_its_system().await;
    Ok(())
}

async fn answers_in_json(bench: &Bench) -> Verdict {
    let asked = question(bench).await?;
    let answers = [
        bench.caller.get("/v1/describe").await,
        bench.status(&bench.id("unknown")).await,
        bench.caller.post("/v1/quote", &asked).await,
    ];
    for came in answers {
        let is_json = came.0.is_of_type(JSON);
        came.holds(is_json, "Content-Type: application/json", "Content-Type: application/json")?;
    }
    Ok(())
}

/// The quote of a covered person as it was written, before anybody reads it into types.
async fn quote_as_written(bench: &Bench) -> Result<(Came, Value), Stop> {
    let came = bench.caller.post("/v1/quote", &question(bench).await?).await;
    let written = came.0.json().unwrap_or_default();
    Ok((came, written))
}

/// Asks what a covered person is paid.
async fn question(bench: &Bench) -> Result<Value, Stop> {
    let person = &bench.data.people.covered;
    let stay = bench.stay_to_ask_about(person).await?;
    Ok(bench.ask(person, &stay, &bench.manifest().serves, None))
}

async fn money_is_a_string(bench: &Bench) -> Verdict {
    let (came, written) = quote_as_written(bench).await?;
    let is_money = |part: &Value| {
        let amount = part["amount"].as_str().and_then(|amount| amount.split_once('.'));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        amount.is_some_and(|(yuan, fen)| digits(yuan) && fen.len() == 2 && digits(fen))
    };
    let amounts = written["amounts"].as_array();
    came.holds(
        amounts.is_some_and(|amounts| !amounts.is_empty() && amounts.iter().all(is_money)),
        r#"试算金额形如 "155.07""#,
        r#"a quote with amounts like "155.07""#,
    )
}

async fn times_have_an_offset(bench: &Bench) -> Verdict {
    let (came, written) = quote_as_written(bench).await?;
    let valid_until = written["valid_until"].as_str();
    came.holds(
        valid_until.is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()),
        "valid_until 形如 2020-07-02T02:45:05Z 或 …+08:00",
        "a quote with valid_until like 2020-07-02T02:45:05Z or …+08:00",
    )
}

async fn ignores_unknown_members(bench: &Bench) -> Verdict {
    let mut asked = question(bench).await?;
    asked["head"] = bench.caller.head();
    asked["head"]["of_a_later_version"] = json!(true);
    asked["of_a_later_version"] = json!({"nested": [1, "二"]});
    asked["ask"]["of_a_later_version"] = json!("…");
    let came = bench.caller.post("/v1/quote", &asked).await;
    let answer: QuoteAnswer = came.answer()?;
    came.holds(
        matches!(answer, QuoteAnswer::Quote(_)),
        "与没有这些成员时相同的试算",
        "the quote it gives without these members",
    )
}

async fn refuses_the_unreadable(bench: &Bench) -> Verdict {
    let bodies: [Vec<u8>; 5] = [
        b"{".to_vec(),
        b"[]".to_vec(),
        bench.caller.bytes(&json!({})),
        bench.caller.bytes(&json!({
            "operation_id": bench.id("shape"), "stay": bench.id("stay"), "quote_id": "none",
            "amounts": [{"payer": "supplementary", "amount": 1.5}],
        })),
        // 王 in GB18030, which is no UTF-8.
        b"{\"operation_id\": \"\xCD\xF5\"}".to_vec(),
    ];
    for body in bodies {
        bench.caller.send(Asked::post("/v1/commit", body)).await.is_problem(400, MALFORMED)?;
    }
    Ok(())
}

async fn refuses_other_verbs(bench: &Bench) -> Verdict {
    let asked = json!({"operation_id": bench.id("unknown")});
    bench.caller.post("/v1/pay_everything", &asked).await.is_problem(404, UNKNOWN_VERB)?;
    bench.caller.get("/v1/commit").await.is_problem(405, METHOD_NOT_ALLOWED)
}

async fn refuses_other_types(bench: &Bench) -> Verdict {
    let body = bench.caller.bytes(&json!({"operation_id": bench.id("unknown")}));
    let asked = Asked { content_type: "application/xml", ..Asked::post("/v1/status", body) };
    let came = bench.caller.send(asked).await;
    came.is_problem(415, UNSUPPORTED_MEDIA_TYPE)
}

async fn refuses_the_endless(bench: &Bench) -> Verdict {
    let body = vec![b' '; REQUEST_BYTES_MAX + 1];
    bench.caller.send(Asked::post("/v1/status", body)).await.is_problem(413, TOO_LARGE)
}

async fn refuses_by_whole_documents(bench: &Bench) -> Verdict {
    let came = bench.caller.send(Asked::post("/v1/status", b"{".to_vec())).await;
    let problem = came.0.json().unwrap_or_default();
    let is_told = |member: &str| problem[member].as_str().is_some_and(|told| !told.is_empty());
    let is_whole =
        is_told("type") && is_told("title") && problem["status"].as_u64() == came.status().map(u64::from);
    came.holds(
        is_whole && came.0.is_of_type(PROBLEM),
        "application/problem+json，type 与 title 不为空，status 与 HTTP 状态相同",
        "application/problem+json with a type, a title, and the status of HTTP",
    )
}
