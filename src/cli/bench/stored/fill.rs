//! Filling a store in the product's own way: whole discharges through the reception, many at a time, without
//! the two ports in between.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::block_on;
use crate::cli::workload::{Outgoing, Saying, Workload};
use crate::intake::Format;
use crate::intake::reception::{Arrival, Reception};
use crate::refusal::Code;
use crate::settlement::bill::BillState;
use crate::settlement::outcome::Outcome;
use crate::telemetry::Channel;

/// As many as share a commit, and no more than a store's connections have waiting.
const LANES: usize = 64;
const NOTED_EVERY: Duration = Duration::from_millis(500);
/// A store that is busy is tried again as often, and that long after.
const TRIES_MAX: usize = 100;
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Settles the stays with these numbers. `note` is told, now and then and at the end, below which number all
/// are in the store; sent again from there, what is there already is answered with its bill.
pub(super) fn fill(
    reception: Reception,
    workload: &Arc<Workload>,
    numbers: Range<u64>,
    mut note: impl FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let in_hand = (0..LANES).map(|_| AtomicU64::new(numbers.start)).collect();
    let workload = Arc::clone(workload);
    let filling =
        Arc::new(Filling { workload, next: AtomicU64::new(numbers.start), end: numbers.end, in_hand });
    let lanes: Vec<_> =
        (0..LANES).map(|lane| tokio::spawn(Arc::clone(&filling).run(reception.clone(), lane))).collect();
    drop(reception);
    while lanes.iter().any(|lane| !lane.is_finished()) {
        std::thread::sleep(NOTED_EVERY);
        note(filling.all_below())?;
    }
    for lane in lanes {
        block_on(lane).context("填充中断 | filling broke off")??;
    }
    note(filling.all_below())
}

struct Filling {
    workload: Arc<Workload>,
    next: AtomicU64,
    end: u64,
    /// By lane; everything below it that the lane took is in the store.
    in_hand: Vec<AtomicU64>,
}

impl Filling {
    async fn run(self: Arc<Self>, reception: Reception, lane: usize) -> anyhow::Result<()> {
        while let Some(number) = self.take(lane) {
            let settled = self.settle(&reception, number).await;
            if settled.is_err() {
                // The others finish what they have; this stay stays in hand.
                self.next.fetch_max(self.end, Ordering::SeqCst);
                return settled.with_context(|| format!("第 {number} 例 | stay {number}"));
            }
        }
        self.in_hand[lane].store(self.end, Ordering::SeqCst);
        Ok(())
    }

    fn take(&self, lane: usize) -> Option<u64> {
        // In hand before it is taken: nobody may count it among those that are done.
        self.in_hand[lane].store(self.next.load(Ordering::SeqCst), Ordering::SeqCst);
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        (number < self.end).then(|| {
            self.in_hand[lane].store(number, Ordering::SeqCst);
            number
        })
    }

    fn all_below(&self) -> u64 {
        let in_hand = self.in_hand.iter().map(|number| number.load(Ordering::SeqCst));
        in_hand.min().unwrap_or_default().min(self.end)
    }

    async fn settle(&self, reception: &Reception, number: u64) -> anyhow::Result<()> {
        for message in self.workload.stay(number).messages() {
            receive(reception, &message).await?;
        }
        Ok(())
    }
}

async fn receive(reception: &Reception, message: &Outgoing) -> anyhow::Result<()> {
    let format = Format::detect(&message.bytes).unwrap_or(Format::Json);
    let (charset, mode, only) = (None, None, None);
    let arrival = Arrival { channel: Channel::File, bytes: &message.bytes, format, charset, mode, only };
    for _ in 0..TRIES_MAX {
        let refused = match reception.receive(arrival).await.outcome {
            Outcome::Bill(bill) if bill.state == BillState::Settled => return Ok(()),
            Outcome::Bill(bill) => bail!("结算单状态为 {0} | the bill is {0}", bill.state.word()),
            // Charges: the bill comes with the discharge.
            Outcome::Noted(_) if message.saying == Saying::Charges => return Ok(()),
            Outcome::Noted(_) => bail!("没有结算单 | there is no bill"),
            Outcome::Refused(refused) => refused,
        };
        if refused.refusals.iter().any(|refusal| refusal.code != Code::StoreUnavailable) {
            let why: Vec<String> = refused.refusals.iter().map(ToString::to_string).collect();
            bail!("{}", why.join("; "));
        }
        tokio::time::sleep(TRIED_AGAIN_AFTER).await;
    }
    bail!("数据库一直繁忙 | the store stayed busy")
}
