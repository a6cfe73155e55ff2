//! `yizhan settle FILE…`: messages from files, bills on standard output.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::import::{bring_in_catalogue, bring_in_roster, bring_in_sample_catalogue, bring_in_sample_roster};
use super::opened::{self, Opened, Unprinted};
use super::{Exit, block_on, house, policy};
use crate::catalogue::CatalogueFile;
use crate::desk::problem::Problem;
use crate::desk::table::{self, Style};
use crate::intake::reception::{Arrival, Reception};
use crate::intake::{Format, Split, Warning, split};
use crate::refusal::{Code, Refusal};
use crate::roster::RosterFile;
use crate::runtime::Runtime;
use crate::settlement::bill::BillState;
use crate::settlement::message::Mode;
use crate::settlement::outcome::Outcome;
use crate::store::{Ports, StayRef, postgres};
use crate::telemetry::Channel;

#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    /// 报文文件：HL7 v2、v2.xml、XML 或 JSON，按给出的顺序处理 | Messages: HL7 v2, v2.xml, XML or JSON, in the order given
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// 只试算，不结算 | Quote only
    #[arg(long)]
    quote: bool,
    /// 每行一个 JSON：结算单或问题文档 | One JSON document per line: a bill or a problem
    #[arg(long)]
    json: bool,
    /// 显示每一步计算 | Show every step
    #[arg(long)]
    explain: bool,
    /// 数据库文件或 postgres:// 地址（默认内存）| The store: a file, or a postgres:// address; default: in memory,
    /// shared by all files
    #[arg(long)]
    store: Option<Unprinted>,
    /// 密钥文件 | Key file; default: beside the store
    #[arg(long, requires = "store")]
    key: Option<PathBuf>,
    /// 政策文件（默认随附示例）| Policy files; default: the samples
    #[arg(long)]
    policy: Vec<PathBuf>,
    /// 目录文件（默认随附示例）| Catalogue; default: the sample
    #[arg(long)]
    catalogue: Option<PathBuf>,
    /// 名册文件（默认随附示例）| Roster; default: the sample
    #[arg(long)]
    roster: Option<PathBuf>,
    /// 医院配置（默认随附示例医院）| Hospital profiles; default: the sample hospitals
    #[arg(long)]
    profile: Vec<PathBuf>,
}

pub(super) fn run(args: SettleArgs) -> anyhow::Result<Exit> {
    let runtime = Runtime::system();
    let policies = policy::given(&args.policy)?;
    let profiles =
        if args.profile.is_empty() { house::sample_profiles()? } else { house::profiles(&args.profile)? };
    let store = open(&args, &runtime)?;
    if args.store.is_some() {
        warn_of_samples(&args);
    }
    block_on(async {
        registers(&args, &*store, &runtime).await?;
        let reception = house::reception(&store, policies, profiles, runtime.clone());
        settle(&args, &reception).await
    })
}

/// A store that lasts is somebody's: what is settled in it by the samples is seldom meant.
fn warn_of_samples(args: &SettleArgs) {
    for (option, is_given, zh, en) in [
        ("--policy", !args.policy.is_empty(), "随附的示例政策", "the sample policies"),
        ("--profile", !args.profile.is_empty(), "随附的示例医院", "the sample hospitals"),
    ] {
        if !is_given {
            super::complain(&format!("未给出 {option}，按{zh}处理 | without {option} {en} are used"));
        }
    }
}

fn open(args: &SettleArgs, runtime: &Runtime) -> anyhow::Result<Opened> {
    match &args.store {
        Some(store) => {
            let store = store.address()?;
            let key_file = opened::key_file_of(&store, args.key.as_deref())?;
            opened::open_store(&store, &key_file, postgres::Options::default(), runtime)
        }
        None => Opened::in_memory(runtime),
    }
}

/// Files given are brought in; a store in memory starts with the samples for what is not given.
async fn registers(args: &SettleArgs, store: &dyn Ports, runtime: &Runtime) -> anyhow::Result<()> {
    let in_memory = args.store.is_none();
    match &args.roster {
        Some(file) => bring_in_roster(store, file, RosterFile::open(file), runtime).await?,
        None if in_memory => bring_in_sample_roster(store, runtime).await?,
        None => {}
    }
    match &args.catalogue {
        Some(file) => bring_in_catalogue(store, file, CatalogueFile::open(file), runtime).await?,
        None if in_memory => bring_in_sample_catalogue(store, runtime).await?,
        None => {}
    }
    Ok(())
}

async fn settle(args: &SettleArgs, reception: &Reception) -> anyhow::Result<Exit> {
    let mut exit = Exit::Ok;
    let show = Show { json: args.json, style: style(args.explain) };
    let mode = args.quote.then_some(Mode::Quote);
    let mut open = OpenStays::default();
    for file in &args.files {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            // The files before it are settled, and those behind it are messages of their own.
            Err(why) => {
                super::complain(&house::unusable(file, &why).to_string());
                exit = exit.max(Exit::Usage);
                continue;
            }
        };
        for outcome in outcomes_of(reception, &bytes, mode).await {
            exit = exit.max(Exit::of(&outcome));
            show.outcome(&outcome);
            open.follow(&outcome);
        }
    }
    // No more charges can come from these files: their stays that wait for quiet have it now. Others that the store
    // may hold are their gateway's.
    for stay in open.0 {
        let Some(handled) = reception.gateway().charges_complete(stay, mode).await? else { continue };
        let outcome = reception.gateway().see_through(handled).await;
        exit = exit.max(Exit::of(&outcome));
        if !matches!(outcome, Outcome::Noted(_)) {
            show.outcome(&outcome);
        }
    }
    Ok(exit)
}

/// Stays that these files left without a bill, in the order in which they were first spoken of.
#[derive(Default)]
struct OpenStays(Vec<StayRef>);

impl OpenStays {
    fn follow(&mut self, outcome: &Outcome) {
        let (hospital, visit_number, is_open) = match outcome {
            Outcome::Bill(bill) => (&bill.hospital, &bill.visit_number, false),
            Outcome::Noted(noted) => {
                let waits = matches!(noted.state, BillState::AwaitingCharges | BillState::NeedsAttention);
                (&noted.hospital, &noted.visit_number, waits)
            }
            Outcome::Refused(_) => return,
        };
        let (hospital, number) = (Arc::clone(hospital), Arc::from(visit_number.as_str()));
        let stay = StayRef::Visit { hospital, number, admitted: None };
        if !is_open {
            self.0.retain(|known| *known != stay);
        } else if !self.0.contains(&stay) {
            self.0.push(stay);
        }
    }
}

async fn outcomes_of(reception: &Reception, bytes: &[u8], mode: Option<Mode>) -> Vec<Outcome> {
    let Some(format) = Format::detect(bytes) else {
        return vec![Outcome::from(neither_form())];
    };
    let Split { messages, warnings } = match split(bytes, format) {
        Ok(split) => split,
        Err(refusal) => return vec![Outcome::from(refusal)],
    };
    for Warning { place, message, .. } in warnings {
        super::complain(&format!("{place}：{zh} | {place}: {en}", zh = message.zh, en = message.en));
    }
    let mut outcomes = Vec::new();
    for message in &messages {
        let arrival =
            Arrival { channel: Channel::File, bytes: message, format, charset: None, mode, only: None };
        outcomes.push(reception.receive(arrival).await.outcome);
    }
    outcomes
}

fn neither_form() -> Refusal {
    Refusal::new(
        Code::UnsupportedMedia,
        "文件开头既不是 HL7（MSH）、XML，也不是 JSON",
        "the file begins like neither HL7 (MSH), XML nor JSON",
    )
}

/// Colours only on a terminal, and only where the user has not said no.
pub(super) fn style(explain: bool) -> Style {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Style { explain, colour }
}

/// How outcomes are shown.
pub(super) struct Show {
    pub json: bool,
    pub style: Style,
}

impl Show {
    pub(super) fn outcome(&self, outcome: &Outcome) {
        if self.json {
            super::say(&json(outcome));
        } else {
            super::say(&self.text(outcome));
        }
    }

    fn text(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Bill(bill) => table::bill(bill, self.style),
            Outcome::Noted(noted) => table::noted(noted, self.style),
            Outcome::Refused(refused) => table::problem(&Problem::new(&refused.refusals, None), self.style),
        }
    }
}

fn json(outcome: &Outcome) -> String {
    let written = match outcome {
        Outcome::Bill(bill) => serde_json::to_string(bill),
        Outcome::Noted(noted) => serde_json::to_string(noted),
        Outcome::Refused(refused) => Problem::new(&refused.refusals, None).to_json(),
    };
    written.unwrap_or_default()
}
