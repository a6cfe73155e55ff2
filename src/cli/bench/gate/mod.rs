//! Whether a run counts: figures of a gateway that lost or made up money are none.
//!
//! Every message was acknowledged; every settlement answered is in the store once and no other is; every bill
//! holds exactly the charges that were sent, balances, and leaves the patient the share that was answered; the
//! day's report is the sum of those bills; the ledger and the year's sums agree with them; each hospital was told
//! of each of its settlements under one id, of no other, and nothing waits to be told; nobody's annual cap was passed.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;
use yizhan_contract::{Money, PayerCode, Text};
use yizhan_rules::Policy;

use super::load::{Account, Missed, Settled};
use super::told::Told;
use crate::cli::workload::Workload;
use crate::settlement::bill::{Bill, BillState};
use crate::store::ReportLine;
use crate::store::ledger::PATIENT;

/// Faults that are printed; the count says how many there are.
const FAULTS_SHOWN_MAX: usize = 8;

/// What the gateway says it settled, asked after the load.
pub(super) trait Books {
    /// As stored; absent where there is none.
    fn bill(&mut self, settled: &Settled) -> anyhow::Result<Option<Bill>>;

    /// The days' report; absent where it cannot be asked for.
    fn report(&mut self) -> anyhow::Result<Option<Vec<ReportLine>>>;

    /// The whole store held against itself; absent where it cannot be asked for.
    fn audit(&mut self) -> anyhow::Result<Option<Audited>>;

    /// What hospitals were told of the run; absent where they are told elsewhere.
    fn told(&mut self) -> Option<Told>;
}

/// What holding ledger, bills, sums and outbox against each other came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Audited {
    pub(super) settlements: u64,
    pub(super) differences: Vec<Text>,
    /// Bills not told yet.
    pub(super) untold: usize,
}

/// What the gate found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verdict {
    pub(super) is_valid: bool,
    pub(super) acknowledged: u64,
    pub(super) settled: u64,
    /// Letters to hospitals, each counted once; absent where they go elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<usize>,
    pub(super) total: Money,
    /// People and payers whose cap is used up to the fen.
    pub(super) caps_reached: usize,
    pub(super) faults_seen: u64,
    pub(super) faults: Vec<Text>,
}

/// Annual caps that hold for everybody, of the policy the stays fall under.
pub(super) fn caps(policy: &Policy) -> BTreeMap<PayerCode, Money> {
    let cap_of = |rule: &yizhan_rules::policy::PayerRule| {
        let terms = std::iter::once(&rule.terms).chain(rule.variants.iter().map(|variant| &variant.terms));
        let caps: Option<Vec<Money>> =
            terms.map(|terms| terms.annual_cap.as_ref().map(|cap| cap.value)).collect();
        caps?.into_iter().max()
    };
    policy.payers().filter_map(|rule| Some((rule.code.clone(), cap_of(rule)?))).collect()
}

/// Judges what was answered by what the books say.
pub(super) fn judge(
    account: &Account,
    workload: &Workload,
    caps: &BTreeMap<PayerCode, Money>,
    books: &mut dyn Books,
) -> anyhow::Result<Verdict> {
    let mut judging =
        Judging { caps, verdict: Verdict::default(), sums: Sums::default(), used: HashMap::new() };
    judging.unanswered(account);
    let mut seen = HashSet::with_capacity(account.settled.len());
    for settled in &account.settled {
        if !seen.insert(settled.settlement) {
            judging.fault("同一结算被应答两次", "settled twice over", settled);
        }
        match books.bill(settled)? {
            Some(bill) => judging.bill(settled, &bill, workload),
            None => judging.fault("已应答的结算不在库中", "answered, but not in the store", settled),
        }
    }
    if let Some(lines) = books.report()? {
        judging.report(account, &lines);
    }
    if let Some(audited) = books.audit()? {
        judging.audit(account, audited);
    }
    if let Some(told) = books.told() {
        judging.told(account, &told);
    }
    Ok(judging.end(account))
}

#[derive(Default)]
struct Sums(BTreeMap<(String, String), Money>);

impl Sums {
    fn add(&mut self, hospital: &str, payer: &str, paid: Money) {
        *self.0.entry((hospital.to_owned(), payer.to_owned())).or_default() += paid;
    }
}

struct Judging<'g> {
    caps: &'g BTreeMap<PayerCode, Money>,
    verdict: Verdict,
    sums: Sums,
    /// Paid to one person in the year, of the payers that have a cap.
    used: HashMap<(u64, PayerCode), Money>,
}

impl Judging<'_> {
    fn say(&mut self, fault: Text) {
        self.verdict.faults_seen += 1;
        if self.verdict.faults.len() < FAULTS_SHOWN_MAX {
            self.verdict.faults.push(fault);
        }
    }

    fn fault(&mut self, zh: &str, en: &str, settled: &Settled) {
        let (stay, id) = (settled.stay, settled.settlement);
        self.say(Text::new(format!("{zh}：第 {stay} 例，{id}"), format!("{en}: stay {stay}, {id}")));
    }

    fn unanswered(&mut self, account: &Account) {
        for (Missed { count, first }, zh, en) in [
            (&account.refused, "条报文未按预期应答", "messages were not answered as they should be"),
            (&account.put_off, "条报文被要求稍后重发", "messages were told to come again"),
            (&account.lost, "条报文没有应答", "messages were not answered at all"),
        ] {
            if let Some(first) = first {
                self.say(Text::new(format!("{count} {zh}：{first}"), format!("{count} {en}: {first}")));
            }
        }
    }

    fn bill(&mut self, settled: &Settled, bill: &Bill, workload: &Workload) {
        let stay = workload.stay(settled.stay);
        if bill.check().is_err() {
            self.fault("结算单不平", "the bill does not balance", settled);
        }
        if bill.settlement_id != settled.settlement || bill.state != BillState::Settled {
            self.fault("库中不是这张已结算的单", "the store holds another bill", settled);
        }
        if bill.patient_share != settled.patient_share {
            self.fault("个人负担与应答不同", "the patient's share is not what was answered", settled);
        }
        if bill.amounts.total != stay.total() || *bill.hospital != *stay.hospital.code {
            self.fault("费用与发送的不同", "the charges are not those that were sent", settled);
        }
        for payer in &bill.payers {
            self.sums.add(&bill.hospital, payer.payer.as_str(), payer.paid);
            if let Some(cap) = self.caps.get(&payer.payer) {
                let used = self.used.entry((stay.person.number, payer.payer.clone())).or_default();
                *used += payer.paid;
                if *used > *cap {
                    self.fault("超过年度限额", "an annual cap was passed", settled);
                }
            }
        }
        self.sums.add(&bill.hospital, PATIENT, bill.patient_share);
        self.verdict.total += bill.amounts.total;
    }

    fn report(&mut self, account: &Account, lines: &[ReportLine]) {
        // What nobody owes is posted nowhere.
        let owing = account.settled.iter().filter(|settled| !settled.patient_share.is_zero()).count();
        let reported: u64 = lines.iter().filter(|line| line.payer == PATIENT).map(|line| line.count).sum();
        if usize::try_from(reported) != Ok(owing) {
            self.say(Text::new(
                format!("{owing} 次结算有个人负担，日报中有 {reported} 次"),
                format!("{owing} settlements leave the patient a share, the report has {reported}"),
            ));
        }
        let mut reported = Sums::default();
        for line in lines {
            if line.state != "settled" && !line.paid.is_zero() {
                let (zh, en) = ("库中有未结算的单", "the store holds bills that are not settled");
                self.say(Text::new(format!("{zh}：{}", line.state), format!("{en}: {}", line.state)));
            }
            reported.add(&line.hospital, &line.payer, line.paid);
        }
        self.sums.0.retain(|_, paid| !paid.is_zero());
        reported.0.retain(|_, paid| !paid.is_zero());
        if self.sums.0 != reported.0 {
            self.say(Text::new("日报与各结算单之和不符", "the day's report is not the sum of the bills"));
        }
    }

    fn audit(&mut self, account: &Account, audited: Audited) {
        let (answered, posted) = (account.settled.len(), audited.settlements);
        if usize::try_from(posted) != Ok(answered) {
            self.say(Text::new(
                format!("应答了 {answered} 次结算，账上有 {posted} 次"),
                format!("{answered} settlements were answered, {posted} are in the books"),
            ));
        }
        if audited.untold > 0 {
            let count = audited.untold;
            self.say(Text::new(format!("{count} 张结算单待回送"), format!("{count} bills wait to be told")));
        }
        audited.differences.into_iter().for_each(|difference| self.say(difference));
    }

    /// One letter for each settlement, however often it came.
    fn told(&mut self, account: &Account, told: &Told) {
        self.verdict.told = Some(told.letters.len());
        let mut letters: HashMap<Uuid, usize> = HashMap::with_capacity(told.letters.len());
        told.letters.values().for_each(|settlement| *letters.entry(*settlement).or_default() += 1);
        for settled in &account.settled {
            match letters.remove(&settled.settlement) {
                Some(1) => {}
                None => self.fault("医院没有收到这次结算", "its hospital was not told", settled),
                Some(_) => self.fault("同一结算以不同编号回送", "told under several ids", settled),
            }
        }
        let strange = letters.len() as u64 + told.astray;
        if strange > 0 {
            self.say(Text::new(
                format!("医院收到 {strange} 封与其结算无关的回送"),
                format!("hospitals were told {strange} times of no settlement of theirs that was answered"),
            ));
        }
    }

    fn end(self, account: &Account) -> Verdict {
        let is_reached = |(of, used): (&(u64, PayerCode), &Money)| self.caps.get(&of.1) == Some(used);
        let caps_reached = self.used.iter().filter(|one| is_reached(*one)).count();
        let settled = u64::try_from(account.settled.len()).unwrap_or(u64::MAX);
        Verdict {
            // A run that settled nothing measured nothing.
            is_valid: self.verdict.faults_seen == 0 && settled > 0,
            acknowledged: account.acknowledged,
            settled,
            caps_reached,
            ..self.verdict
        }
    }
}

#[cfg(test)]
mod tests;
