//! `yizhan attention`: what waits for a person, and what a person orders.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;
use yizhan_contract::stay::CIVIL_OFFSET;
use yizhan_contract::{Money, PayerCode};

use super::{Exit, block_on, house, opened, serve};
use crate::config::Config;
use crate::runtime::Runtime;
use crate::settlement::gateway::{Gateway, Order, OrderError, Waiting};
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
    /// 立即再次查询付款方，并重发被拒的撤销 | Ask the payer again now, and send a refused reversal again
    Retry(RetryArgs),
    /// 登记从付款方核实到的结果 | Record what the payer says became of an operation
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
    /// 操作员 | Who orders it
    #[arg(long)]
    operator: String,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    one: OneArgs,
    /// 业务号，见 show | The operation's id, as `show` prints it
    #[arg(long)]
    operation: String,
    /// 付款方确认未办理 | The payer says it was not done
    #[arg(long, conflicts_with = "done")]
    not_done: bool,
    /// 付款方确认已办理：付款方=金额，可多项 | The payer says it was done: payer=amount, each payer
    #[arg(long, value_name = "PAYER=AMOUNT", required_unless_present = "not_done")]
    done: Vec<String>,
    /// 付款方凭证号 | The payer's reference
    #[arg(long, requires = "done", default_value = "-")]
    reference: String,
    /// 依据 | How it is known
    #[arg(long)]
    reason: String,
    /// 操作员 | Who vouches for it
    #[arg(long)]
    operator: String,
}

pub(super) fn run(command: AttentionCommand) -> anyhow::Result<Exit> {
    match command {
        AttentionCommand::List(config) => list(&gateway(&config)?),
        AttentionCommand::Show(one) => show(&gateway(&one.config)?, one.id),
        AttentionCommand::Retry(RetryArgs { one, operator }) => {
            order(&gateway(&one.config)?, one.id, Order::Retry, operator)
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
    let waiting = block_on(gateway.attention(SHOWN_MAX))?;
    for one in &waiting {
        let id = one.settlement_id.unwrap_or(one.stay_id);
        super::say(&format!("{id}  {}  {}  自 since {}", one.hospital, one.visit_number, shown(one.since)));
        super::say(&format!("  {}\n  {}", one.what.zh, one.what.en));
    }
    if waiting.is_empty() {
        super::say("没有等待人工处理的结算 | nothing waits for a person");
        return Ok(Exit::Ok);
    }
    Ok(Exit::NeedsAttention)
}

fn show(gateway: &Gateway, id: Uuid) -> anyhow::Result<Exit> {
    let Some(one) = block_on(gateway.waiting(id))? else {
        super::say("此编号没有等待人工处理的事项 | nothing waits for a person under this id");
        return Ok(Exit::Ok);
    };
    let Waiting { owner, what, next_step, operation, log, refusals, .. } = &one;
    super::say(&format!("医院 hospital     {}  {}", one.hospital, one.visit_number));
    super::say(&format!("自   since        {}", shown(one.since)));
    super::say(&format!("由   owner        {} | {}", owner.zh, owner.en));
    super::say(&format!("业务号 operation  {}", operation.as_deref().unwrap_or("-")));
    super::say(&format!("事由 what\n  {}\n  {}", what.zh, what.en));
    super::say(&format!("下一步 next\n  {}\n  {}", next_step.zh, next_step.en));
    super::say("经过 evidence");
    for entry in log {
        super::say(&format!(
            "  {}  {:<38}{}",
            shown(entry.at),
            entry.operation.as_deref().unwrap_or("-"),
            entry.what
        ));
    }
    for refusal in refusals {
        let (what, next) = (unpriced::said(refusal), refusal.code.next_step());
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
                OrderError::NothingWaits | OrderError::NoSuchOperation(_) | OrderError::Busy => Exit::Refused,
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
                bail!("--done {text}：请写成 付款方=金额 | write payer=amount, such as supplementary=155.07");
            };
            let payer = payer.parse().with_context(|| format!("--done {text}"))?;
            let amount = amount.parse().with_context(|| format!("--done {text}"))?;
            Ok((payer, amount))
        };
        let amounts = self.done.iter().map(amount).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Resolution::Done { amounts, reference: self.reference.clone() })
    }
}

fn shown(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::fixed(CIVIL_OFFSET)).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
