//! `yizhan ledger check`: the whole store held against itself.

use anyhow::Context;
use clap::{Args, Subcommand};
use yizhan_rules::PolicyShelf;

use super::import::{Bar, Target};
use super::{Exit, block_on, policy};
use crate::desk::figures::width;
use crate::runtime::Runtime;
use crate::settlement::audit::{Audit, Difference};
use crate::store::{Account, Store};

/// People read at once, each with all their settlements.
const PAGE_PEOPLE: u32 = 200;
/// Differences printed; the rest is counted.
const SHOWN_MAX: usize = 200;
/// A region and a payer in both languages.
const NAME_COLUMNS: usize = 60;

#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// 逐笔核对结算单、账目与累计数 | Hold bills, ledger and accumulators against each other
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(command: LedgerCommand) -> anyhow::Result<Exit> {
    let LedgerCommand::Check(args) = command;
    let store = args.target.open(&Runtime::system())?;
    let bar = Bar::new();
    let checked = block_on(check(&*store, |settlements| bar.checked(settlements)));
    bar.finish();
    let (audit, found) = checked.context("账目未能读完 | the books could not be read to their end")?;
    print(&audit, &found, &policy::shelf(&[])?);
    Ok(if found.count == 0 { Exit::Ok } else { Exit::NeedsAttention })
}

/// Differences: how many, and the first of them.
#[derive(Default)]
pub(super) struct Found {
    pub(super) count: u64,
    pub(super) shown: Vec<Difference>,
}

impl Found {
    fn add(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            self.count += 1;
            if self.shown.len() < SHOWN_MAX {
                self.shown.push(difference);
            }
        }
    }
}

/// Holds every settlement of a store against its parts, the ledger and the sums.
pub(super) async fn check(store: &dyn Store, progress: impl Fn(u64)) -> anyhow::Result<(Audit, Found)> {
    let names = policy::payer_names(&policy::shelf(&[])?);
    let (mut audit, mut found) = (Audit::knowing(names), Found::default());
    let mut after = None;
    loop {
        let page = store.books(after, PAGE_PEOPLE).await?;
        let Some(last) = page.last else { break };
        after = Some(last);
        for book in &page.books {
            found.add(audit.take(book));
        }
        progress(audit.settlements);
    }
    found.add(audit.end_of_person());
    Ok((audit, found))
}

fn print(audit: &Audit, found: &Found, names: &PolicyShelf) {
    super::say("账目 | accounts");
    for (account, amount) in &audit.accounts {
        let (zh, en, name) = match account {
            Account::Fund { payer, region } => {
                let name = policy::payer_name(names, payer.as_str());
                // Settled before the region was kept.
                let region = if region.is_empty() { "-" } else { region };
                ("应付", "owes", format!("{region} {} {}", name.zh, name.en))
            }
            Account::Patient => ("个人应付", "patients owe", String::new()),
            Account::Hospital(code) => ("医院应收", "hospital is owed", code.to_string()),
        };
        let blank = " ".repeat(NAME_COLUMNS.saturating_sub(width(&name)));
        super::say(&format!("  {name}{blank} {:>20}  {zh} | {en}", amount.abs()));
    }
    super::say(&format!(
        "已核对 {people} 人 {settlements} 次结算，差异 {count} 处 | {settlements} settlements of {people} people, \
         {count} differences",
        people = audit.people,
        settlements = audit.settlements,
        count = found.count,
    ));
    for Difference { settlement_id, what, next_step } in &found.shown {
        super::say(&format!("  {settlement_id}  {}；{}", what.zh, next_step.zh));
        super::say(&format!("  {:36}  {}; {}", "", what.en, next_step.en));
    }
    let hidden = found.count.saturating_sub(SHOWN_MAX as u64);
    if hidden > 0 {
        super::say(&format!("  另有 {hidden} 处未列出 | {hidden} more are not listed"));
    }
}
