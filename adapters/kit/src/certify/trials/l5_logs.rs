//! L5: nothing of a person in what an adapter writes, nor in addresses, which stand in everybody's logs.

use std::io;

use tokio::task::spawn_blocking;
use yizhan_contract::Text;

use super::Trial;
use crate::certify::bench::Bench;
use crate::certify::named::{Named, named_in};
use crate::certify::restart::Said;
use crate::certify::verdict::{Stop, Verdict, failed, not_applicable, not_run};

/// Made after every trial that tells of somebody, so that there is something to find; and addresses only then: they name a
/// person there because of the kit, which no gateway does, and may stand in a log.
pub(super) const TRIALS: &[Trial] = &[
    Trial {
        id: "L5-09",
        zh: "写到 stdout 与 stderr 的日志中没有身份证号、姓名与卡号",
        en: "no log that goes to stdout or stderr has an identity card number, a name or a card number",
        clause: "personal-data",
        after: &["L0"],
        check: |bench| Box::pin(writes_of_nobody(bench)),
    },
    Trial {
        id: "L5-06",
        zh: "不接受网址中的个人数据",
        en: "personal data in an address is not taken",
        clause: "personal-data",
        after: &["L0"],
        check: |bench| Box::pin(takes_nothing_by_address(bench)),
    },
];

async fn writes_of_nobody(bench: &Bench) -> Verdict {
    let people = Named::of(bench.people().map(|person| bench.person(person)));
    if people.is_empty() {
        return not_applicable("manifest 不需要个人数据", "the manifest needs nothing of a person");
    }
    let Some(said) = said(bench)? else {
        return not_applicable(
            "评测工具看不到适配器的 stdout 与 stderr（须以 --start 启动）",
            "the kit does not see what the adapter writes to stdout and stderr (it does with --start)",
        );
    };
    let found = match spawn_blocking(move || named_in(said, &people)).await {
        Ok(Ok(found)) => found,
        Ok(Err(why)) => return unreadable(&why),
        Err(why) => return unreadable(&io::Error::other(why)),
    };
    if found.lines == 0 {
        return not_applicable(
            "适配器没有向 stdout 与 stderr 写过任何内容：其日志写在别处，或没有日志",
            "the adapter wrote nothing to stdout and stderr: its log is elsewhere, or there is none",
        );
    }
    let Some(came) = found.told() else { return Ok(()) };
    let expected = Text::new("没有身份证号、姓名与卡号", "no identity card number, name or card number");
    failed(expected, came, None)
}

fn said(bench: &Bench) -> Result<Option<Said>, Stop> {
    let Some(restart) = &bench.restart else { return Ok(None) };
    restart.said().or_else(|why| unreadable(&why))
}

fn unreadable<T>(why: &io::Error) -> Result<T, Stop> {
    not_run(
        format!("无法读取适配器写到 stdout 与 stderr 的内容：{why}"),
        format!("what the adapter wrote to stdout and stderr cannot be read: {why}"),
    )
}

async fn takes_nothing_by_address(bench: &Bench) -> Verdict {
    let number = bench.data.people.covered.id_number.reveal().as_str();
    let path = format!("/v1/coverage?id_number={number}");
    let came = bench.caller.get(&path).await;
    came.holds(came.status() != Some(200), "404 或 405", "404 or 405")
}
