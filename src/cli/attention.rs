//! `yizhan attention`: what waits for a person, and what a person orders.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use uuid::Uuid;
use yizhan_contract::{Money, PayerCode};

use super::{Exit, block_on, house, opened, serve};
use crate::config::Config;
use crate::desk::figures::shanghai_to_the_second;
use crate::runtime::Runtime;
use crate::settlement::gateway::{Gateway, Order, OrderError, Waiting};
use crate::settlement::saga::Entry;
use crate::settlement::saga::event::Resolution;
use crate::settlement::unpriced;

/// Settlements listed.
const SHOWN_MAX: u32 = 200;

#[derive(Debug, Subcommand)]
pub(super) enum AttentionCommand {
    /// 列出等待人工处理的结算 | What waits for a person
    List(ConfigArgs),
    /// 查看一笔：原因、证据、下一步 | One of them: why, the evidence, what to do next
    Show(OneArgs),
    /// 立即再次查询支付方，并重发被拒的撤销 | Ask the payer again now, and send a refused reversal again
    Retry(RetryArgs),
    /// 登记从支付方核实到的结果 | Record what the payer says became of an operation
    Resolve(ResolveArgs),
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// 网关的配置文件 | The gateway's configuration
    #[arg(long, default_value = "yizhan.toml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// 结算号或住院记录号 | The settlement's id, or the stay's
    id: Uuid,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    one: OneArgs,
    /// 事由 | Why it is to be tried again
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// 操作员 | Who orders it
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    operator: String,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    one: OneArgs,
    /// 业务号，见 show | The operation's id, as `show` prints it
    #[arg(long)]
    operation: String,
    /// 支付方确认未办理 | The payer says it was not done
    #[arg(long, conflicts_with = "done")]
    not_done: bool,
    /// 支付方确认已办理：支付方=金额，可多项 | The payer says it was done: payer=amount, each payer
    #[arg(long, value_name = "PAYER=AMOUNT", required_unless_present = "not_done", requires = "reference")]
    done: Vec<String>,
    /// 支付方确实按与固定试算不同的金额支付：该笔结算随后全部退回 | It committed another amount than its firm quote: all of the settlement is then taken back
    #[arg(long, requires = "done")]
    differs: bool,
    /// 支付方凭证号 | The payer's reference
    #[arg(long, requires = "done", value_parser = NonEmptyStringValueParser::new())]
    reference: Option<String>,
    /// 依据 | How it is known
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// 操作员 | Who vouches for it
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    operator: String,
}

pub(super) fn run(command: AttentionCommand) -> anyhow::Result<Exit> {
    match command {
        AttentionCommand::List(config) => list(&gateway(&config)?),
        AttentionCommand::Show(one) => show(&gateway(&one.config)?, one.id),
        AttentionCommand::Retry(RetryArgs { one, reason, operator }) => {
            order(&gateway(&one.config)?, one.id, Order::Retry { reason }, operator)
        }
        AttentionCommand::Resolve(args) => {
            let as_ = args.resolution()?;
            let ResolveArgs { one, operation, reason, operator, .. } = args;
            let order_ = Order::Resolve { operation: Arc::from(operation), as_, reason };
            order(&gateway(&one.config)?, one.id, order_, operator)
        }
    }
}

/// The gateway over the store it serves, beside the one that may be serving.
fn gateway(args: &ConfigArgs) -> anyhow::Result<Gateway> {
    let config = Config::load(&args.config, std::env::vars())?;
    let runtime = Runtime::system();
    let store = opened::open_beside(&config.store, &config.key_file, &runtime)?;
    let reception = house::reception(&store, serve::policies(&config)?, serve::profiles(&config)?, runtime);
    Ok(reception.gateway().clone())
}

fn list(gateway: &Gateway) -> anyhow::Result<Exit> {
    let waiting = block_on(gateway.attention(SHOWN_MAX + 1))?;
    lines(&waiting, SHOWN_MAX as usize).iter().for_each(|line| super::say(line));
    Ok(if waiting.is_empty() { Exit::Ok } else { Exit::NeedsAttention })
}

fn lines(waiting: &[Waiting], shown_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for one in waiting.iter().take(shown_max) {
        let id = one.settlement_id.unwrap_or(one.stay_id);
        let since = shanghai_to_the_second(one.since);
        lines.push(format!("{id}  {}  {}  自 since {since}", one.hospital, one.visit_number));
        lines.push(format!("  {}\n  {}", one.what.zh, one.what.en));
    }
    if waiting.is_empty() {
        lines.push("没有等待人工处理的结算 | nothing waits for a person".to_owned());
    }
    if waiting.len() > shown_max {
        lines.push(format!(
            "只列出最早的 {shown_max} 笔，另有更多 | the oldest {shown_max} are listed; there are more"
        ));
    }
    lines
}

fn show(gateway: &Gateway, id: Uuid) -> anyhow::Result<Exit> {
    let Some(one) = block_on(gateway.waiting(id))? else {
        super::say("此编号没有等待人工处理的事项 | nothing waits for a person under this id");
        return Ok(Exit::Ok);
    };
    let Waiting { owner, what, next_step, operation, log, former, refusals, .. } = &one;
    super::say(&format!("医院 hospital     {}  {}", one.hospital, one.visit_number));
    super::say(&format!("自   since        {}", shanghai_to_the_second(one.since)));
    super::say(&format!("由   owner        {} | {}", owner.zh, owner.en));
    super::say(&format!("业务号 operation  {}", operation.as_deref().unwrap_or("-")));
    super::say(&format!("事由 what\n  {}\n  {}", what.zh, what.en));
    super::say(&format!("下一步 next\n  {}\n  {}", next_step.zh, next_step.en));
    super::say("经过 evidence");
    evidence(log);
    for (settlement_id, log) in former {
        super::say(&format!("此前的结算 an earlier settlement  {settlement_id}"));
        evidence(log);
    }
    for refusal in refusals {
        let (what, next) = (unpriced::said(refusal), refusal.next_step());
        super::say(&format!(
            "  {}\n    {} {}\n    {}. {}",
            refusal.code.slug(),
            what.zh,
            next.zh,
            what.en,
            next.en
        ));
    }
    Ok(Exit::NeedsAttention)
}

fn evidence(log: &[Entry]) {
    for entry in log {
        let (text, operation) = (entry.text(), entry.operation.as_deref().unwrap_or("-"));
        let last = entry.until.map(shanghai_to_the_second);
        let times = last.map(|last| format!("  ×{}，最近 last {last}", entry.times)).unwrap_or_default();
        let at = shanghai_to_the_second(entry.at);
        super::say(&format!("  {at}  {operation}{times}\n    {}\n    {}", text.zh, text.en));
    }
}

fn order(gateway: &Gateway, id: Uuid, order: Order, operator: String) -> anyhow::Result<Exit> {
    match block_on(gateway.order(id, order, operator)) {
        Ok(()) => {
            super::say("已登记，网关随即继续处理 | recorded; the gateway goes on with it at once");
            Ok(Exit::Ok)
        }
        Err(error) => {
            let text = error.text();
            super::complain(&format!("{} | {}", text.zh, text.en));
            Ok(match error {
                OrderError::Store(error) => house::exit_of_store(&error),
                OrderError::NothingWaits
                | OrderError::NoSuchOperation(_)
                | OrderError::OtherAmounts(_)
                | OrderError::NoProfile { .. }
                | OrderError::Busy => Exit::Refused,
            })
        }
    }
}

impl ResolveArgs {
    fn resolution(&self) -> anyhow::Result<Resolution> {
        if self.not_done {
            return Ok(Resolution::NotDone);
        }
        let amount = |text: &String| -> anyhow::Result<(PayerCode, Money)> {
            let Some((payer, amount)) = text.split_once('=') else {
                bail!("--done {text}：请写成 支付方=金额 | write payer=amount, such as supplementary=155.07");
            };
            let payer = payer.parse().map_err(|_| {
                anyhow!("--done {text}：支付方代码无效，见 show | this is no payer's code; `show` names them")
            })?;
            let amount = amount.parse().map_err(|_| {
                anyhow!(
                    "--done {text}：金额须为至多两位小数的元，如 155.07 | the amount must be yuan with at most two \
                     decimals, such as 155.07"
                )
            })?;
            Ok((payer, amount))
        };
        let amounts = self.done.iter().map(amount).collect::<anyhow::Result<Vec<_>>>()?;
        let reference = self.reference.clone().unwrap_or_default();
        Ok(match self.differs {
            true => Resolution::DoneOtherwise { amounts, reference },
            false => Resolution::Done { amounts, reference },
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use yizhan_contract::Text;

    use super::*;

    #[test]
    fn a_list_that_is_cut_says_so() {
        let text = || Text::new("事由", "what");
        let one = Waiting {
            stay_id: Uuid::from_u128(1),
            settlement_id: None,
            hospital: "H1".to_owned(),
            visit_number: "V1".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            owner: text(),
            what: text(),
            next_step: text(),
            operation: None,
            log: Vec::new(),
            former: Vec::new(),
            refusals: Vec::new(),
        };
        for (waiting, said) in
            [(0, "nothing waits"), (2, "  事由\n  what"), (3, "the oldest 2 are listed; there are more")]
        {
            let lines = lines(&vec![one.clone(); waiting], 2);
            assert_eq!(lines.len(), [1, 2, 4, 5][waiting], "{lines:?}");
            assert!(lines.last().unwrap().contains(said), "{lines:?}");
        }
    }
}
