//! The run itself: bare commits and loads in turns, so that whatever else the machine does meets all of them.

use std::time::Duration;

use yizhan_contract::Text;

use super::figures::{Row, Turn};
use super::load::{Account, Load, Measured, Pace};
use super::machine::{Limit, Machine};
use super::memory;
use super::own_time::OwnTime;
use super::peak::{self, Peak};
use super::progress::Progress;

/// Clients of the default run, of the warm-up and of the guess where a search for the peak begins.
const FEW: usize = 8;
const MANY: usize = 32;
const MINUTE: Duration = Duration::from_secs(60);

/// What a run is to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Closed loops, and an open one at half of the peak.
    Everything,
    Rate(u64),
    Clients(usize),
    Peak,
}

/// One kind of work that takes its turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Bare(Limit),
    Load(Pace),
}

pub(super) struct Run<'r> {
    pub(super) load: Load<'r>,
    pub(super) machine: Machine,
    pub(super) progress: &'r Progress,
    pub(super) turns: usize,
    pub(super) lasting: Duration,
    pub(super) warm_up: Duration,
    /// The process whose memory is looked at; absent: this one.
    pub(super) process: Option<u32>,
    /// Absent where no outside payer is asked.
    pub(super) own_time: Option<OwnTime<'r>>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) account: Account,
    pub(super) rows: Vec<Row>,
    pub(super) peak: Option<Peak>,
    pub(super) minutes_kib: Vec<u64>,
    /// The longest that hospitals waited for their letters once a turn had had its last answer.
    pub(super) told_after: Duration,
}

impl Run<'_> {
    /// `minutes`: how long to go on at the rate afterwards, looking at memory.
    pub(super) fn run(&mut self, mode: Mode, minutes: u64) -> anyhow::Result<Ran> {
        let mut ran = Ran::default();
        self.progress.say("预热", "warming up");
        self.drive(Pace::Closed { clients: FEW }, self.warm_up, &mut ran.account)?;
        self.machine.prepare()?;
        if matches!(mode, Mode::Everything | Mode::Peak) {
            ran.peak = Some(self.find_peak(&mut ran.account)?);
        }
        let half = ran.peak.as_ref().map_or(0, |peak| peak.stays_per_second / 2).max(1);
        let rate = if let Mode::Rate(rate) = mode { rate } else { half };
        let open = Work::Load(Pace::Open { stays_per_second: rate });
        let closed = |clients| Work::Load(Pace::Closed { clients });
        let bare = |clients| self.machine.limits(clients).into_iter().map(Work::Bare);
        let works: Vec<Work> = match mode {
            Mode::Everything => bare(self.machine.usual_clients())
                .chain([closed(1), closed(FEW), closed(MANY), open])
                .collect(),
            Mode::Rate(_) | Mode::Peak => vec![Work::Bare(Limit::OneByOne), open],
            Mode::Clients(clients) => bare(clients).chain([closed(clients)]).collect(),
        };
        self.take_turns(&works, &mut ran)?;
        for minute in 0..minutes {
            self.progress.say(&format!("长时运行 {minute}/{minutes}"), "long run");
            self.drive(Pace::Open { stays_per_second: rate }, MINUTE, &mut ran.account)?;
            ran.minutes_kib.extend(memory::resident_kib(self.process));
        }
        Ok(ran)
    }

    fn find_peak(&self, account: &mut Account) -> anyhow::Result<Peak> {
        self.progress.say("寻找峰值", "looking for the peak");
        peak::search(&self.load, MANY, self.lasting, account)
    }

    /// A load whose times are nobody's figure.
    fn drive(&self, pace: Pace, lasting: Duration, account: &mut Account) -> anyhow::Result<()> {
        account.add(self.load.run(pace, lasting)?.account);
        Ok(())
    }

    fn take_turns(&mut self, works: &[Work], ran: &mut Ran) -> anyhow::Result<()> {
        let mut rows: Vec<Row> = works.iter().map(|work| work.row()).collect();
        let mut beside = Beside::new();
        for turn in 1..=self.turns {
            self.progress.say(&format!("第 {turn}/{} 轮", self.turns), "turn");
            for (work, row) in works.iter().zip(&mut rows) {
                row.turns.push(self.take_turn(*work, &mut beside, &mut ran.account)?);
            }
        }
        let Beside { charges, own_time, told_after } = beside;
        rows.extend([charges, own_time].into_iter().filter(|row| !row.turns.is_empty()));
        (ran.rows, ran.told_after) = (rows, told_after);
        Ok(())
    }

    fn take_turn(&mut self, work: Work, beside: &mut Beside, account: &mut Account) -> anyhow::Result<Turn> {
        let pace = match work {
            Work::Load(pace) => pace,
            Work::Bare(limit) => {
                let bare = self.machine.measure(limit, self.lasting)?;
                return Ok(Turn::new(bare.rate(), &bare.times));
            }
        };
        let measured = self.load.run(pace, self.lasting)?;
        if matches!(pace, Pace::Open { .. }) {
            beside.add(&measured, self.own_time.as_ref())?;
        }
        let turn = Turn::new(measured.rate(), &measured.settling);
        beside.told_after = beside.told_after.max(measured.told_after);
        account.add(measured.account);
        Ok(turn)
    }
}

/// What else a turn tells; rows are of open loops.
struct Beside {
    charges: Row,
    own_time: Row,
    told_after: Duration,
}

impl Beside {
    fn new() -> Self {
        let row = |name: &str, title| Row { name: name.to_owned(), title, turns: Vec::new() };
        Self {
            charges: row("charges", Text::new("费用报文", "charges alone")),
            own_time: row("own_time", Text::new("扣除外部支付方用时", "less what payers took")),
            told_after: Duration::ZERO,
        }
    }

    fn add(&mut self, measured: &Measured, own_time: Option<&OwnTime<'_>>) -> anyhow::Result<()> {
        if !measured.charging.is_empty() {
            self.charges.turns.push(Turn::new(measured.charging_rate(), &measured.charging));
        }
        if let Some(own_time) = own_time {
            let times = own_time.of(&measured.account)?;
            self.own_time.turns.push(Turn::new(measured.rate(), &times));
        }
        Ok(())
    }
}

impl Work {
    fn row(self) -> Row {
        Row { name: self.name(), title: self.title(), turns: Vec::new() }
    }

    fn name(self) -> String {
        match self {
            Self::Bare(limit) => limit.name(),
            Self::Load(Pace::Closed { clients }) => format!("closed_{clients}"),
            Self::Load(Pace::Open { .. }) => "open".to_owned(),
        }
    }

    fn title(self) -> Text {
        match self {
            Self::Bare(limit) => limit.title(),
            Self::Load(Pace::Closed { clients }) => {
                Text::new(format!("结算，{clients} 客户端"), format!("settlements, {clients} clients"))
            }
            Self::Load(Pace::Open { stays_per_second }) => Text::new(
                format!("结算，恒定 {stays_per_second}/s"),
                format!("settlements at {stays_per_second}/s"),
            ),
        }
    }
}
