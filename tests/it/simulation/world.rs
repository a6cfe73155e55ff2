//! One run: gateways over one store, payers with books of their own, hospitals that send, and faults, all of it
//! repeated by its seed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use yizhan::runtime::{CountedIds, Ids};
use yizhan::settlement::bill::Bill;
use yizhan::store::Store;
use yizhan_contract::Money;

use super::acknowledged::Acked;
use super::books::Kept;
use super::chains::{CHAINS, OPTIONAL, lines};
use super::choosing::{Rates, Scripted};
use super::coverage::{Cell, Coverage};
use super::dice::Dice;
use super::gateways::Running;
use super::look::{Known, Look};
use super::mutant::Mutant;
use super::opening::{Open, Opened};
use super::payer::Line;
use super::promises::Limits;
use super::sim::Sim;
use super::tasks::{Owner, Tasks};
use super::watched;
use super::workload::{HABITS, PEOPLE, Work, Workload, limits};

/// Faults happen for so long; then everything is well again.
const TROUBLED: SignedDuration = SignedDuration::from_secs(180);
/// So long after that, every settlement is over or with a person.
pub(crate) const LIVENESS: SignedDuration = SignedDuration::from_mins(40);
const STEPS_MAX: u64 = 400_000;
/// How far a gateway's clock stands before or behind the true time at most.
const SKEW_MS_MAX: u64 = 5_000;

/// What makes a run: everything else follows.
#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    /// Cells to come through, each at its first chance.
    pub(crate) aims: Vec<Cell>,
    /// Instead of what dice say: these faults and no others.
    pub(crate) script: Vec<Scripted>,
    pub(crate) chain: Option<usize>,
    /// Absent: two where faults are scripted, else as dice say.
    pub(crate) gateways: Option<u64>,
    pub(crate) work: Work,
    pub(crate) mutant: Option<Arc<Mutant>>,
}

impl Schedule {
    pub(crate) fn of(seed: u64) -> Self {
        let (aims, script) = (Vec::new(), Vec::new());
        Self { seed, aims, script, chain: None, gateways: None, work: Work::ANY, mutant: None }
    }

    pub(crate) fn aimed(seed: u64, aims: Vec<Cell>) -> Self {
        let is_at_desk = |aim: &Cell| (aim.state, aim.event) == ("waiting", "desk");
        let work = if aims.iter().any(is_at_desk) { Work::QUOTED_FIRST } else { Work::ANY };
        Self { aims, work, ..Self::of(seed) }
    }

    /// Stays of which a script knows which one its faults will meet.
    pub(crate) fn scripted(seed: u64, chain: usize, script: Vec<Scripted>) -> Self {
        Self { script, chain: Some(chain), work: Work::PLAIN, ..Self::of(seed) }
    }
}

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) broken: Option<String>,
    pub(crate) coverage: Coverage,
    /// State of each stay at the end.
    pub(crate) ends: Vec<String>,
    pub(crate) log: String,
    /// Virtual time from the last fault to the end.
    pub(crate) settled_after: SignedDuration,
}

pub(crate) struct World {
    pub(crate) sim: Arc<Sim>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lines: Vec<Line>,
    pub(crate) payers: Vec<Kept>,
    pub(crate) known: Known,
    pub(crate) acked: Mutex<Vec<Acked>>,
    /// Bills that somebody was handed.
    pub(crate) bills: Mutex<Vec<Bill>>,
    /// Shares that a desk agreed to, by visit.
    pub(crate) agreed: Mutex<BTreeMap<Arc<str>, Vec<Money>>>,
    /// Visits and ids of whole documents: each replaces what was gathered before it.
    pub(crate) documents: Vec<(Arc<str>, String)>,
    pub(crate) began: Timestamp,
    /// How far each gateway's clock is ahead.
    pub(crate) ahead: Vec<SignedDuration>,
    /// A hospital whose receiver is dead as long as the run lasts.
    pub(crate) dead: Option<&'static str>,
    /// Hospitals and desks that have not been answered yet.
    pub(crate) waiting: AtomicUsize,
    /// A person works off what waits for one.
    pub(crate) is_operated: AtomicBool,
    pub(crate) gateways: Mutex<Vec<Option<Running>>>,
    pub(crate) opened: Opened,
    pub(crate) ids: Arc<CountedIds>,
    pub(crate) mutant: Option<Arc<Mutant>>,
    pub(crate) limits: Limits,
    pub(crate) last_look: Mutex<Look>,
    pub(crate) epochs: Mutex<BTreeMap<Uuid, u64>>,
    /// What patients pay by the newest bill of each settlement that stood.
    pub(crate) shares: Mutex<BTreeMap<Uuid, Money>>,
}

fn rates(dice: &mut Dice, is_scripted: bool) -> Rates {
    match dice.below(4) {
        _ if is_scripted => Rates::NONE,
        0 => Rates { answer: 15, death: 1, store_death: 2, store_fault: 0 },
        1 => Rates { answer: 35, death: 6, store_death: 6, store_fault: 10 },
        2 => Rates { answer: 60, death: 2, store_death: 2, store_fault: 4 },
        _ => Rates { answer: 25, death: 15, store_death: 15, store_fault: 2 },
    }
}

impl World {
    pub(crate) fn run(schedule: &Schedule, open: Open) -> Ran {
        let mut dice = Dice::of(schedule.seed ^ 0xdead_10cc);
        let is_scripted = !schedule.script.is_empty();
        let rates = rates(&mut dice, is_scripted);
        let sim = Sim::new(schedule.seed, rates, schedule.aims.clone(), schedule.script.clone());
        let ids: Arc<CountedIds> = Arc::default();
        let opened = sim.at_once(open.filled(Arc::clone(&ids) as Arc<dyn Ids>));
        let is_of_optional = |aim: &Cell| matches!(aim.state, "delivering" | "advanced" | "borne");
        let is_optional = schedule.aims.iter().any(is_of_optional);
        let any = dice.index(CHAINS.len());
        let any = if is_optional { *dice.one_of(&OPTIONAL) } else { any };
        let lines = lines(CHAINS[schedule.chain.unwrap_or(any)], &mut dice, &sim);
        if let Some(mutant) = &schedule.mutant {
            mutant.at_payers(&lines);
        }
        let work = Workload::of(schedule.work, schedule.seed, &opened.profiles, sim.now());
        let gateways = match schedule.gateways {
            Some(gateways) => gateways,
            None if is_scripted => 2,
            None => dice.between(1, 3),
        };
        let is_skewed = !is_scripted && dice.percent(50);
        let skew_ms = if is_skewed { SKEW_MS_MAX } else { 0 };
        let mut ahead = || dice.between(0, 2 * skew_ms).cast_signed() - skew_ms.cast_signed();
        let ahead = (0..gateways).map(|_| SignedDuration::from_millis(ahead())).collect();
        let is_one_dead = !is_scripted && dice.percent(30);
        let world = Arc::new(Self {
            store: Arc::clone(&opened.store),
            payers: lines.iter().map(Line::kept).collect(),
            lines,
            known: Known { visits: work.visits.clone(), people: PEOPLE.to_vec() },
            acked: Mutex::default(),
            bills: Mutex::default(),
            agreed: Mutex::default(),
            documents: work.documents(),
            began: sim.now(),
            ahead,
            dead: is_one_dead.then(|| dice.one_of(&HABITS).0),
            waiting: AtomicUsize::new(0),
            is_operated: AtomicBool::new(false),
            gateways: Mutex::new((0..gateways).map(|_| None).collect()),
            opened,
            ids,
            mutant: schedule.mutant.clone(),
            limits: limits(),
            last_look: Mutex::default(),
            epochs: Mutex::default(),
            shares: Mutex::default(),
            sim,
        });
        watched::by(&world.sim, world.mutant.clone());
        let gateways = world.gateways.lock().unwrap().len();
        (0..gateways).for_each(|gateway| world.start(gateway));
        world.begin(work);
        world.sim.spawner.spawn(Owner::Outside, Arc::clone(&world).weather(is_scripted));
        world.go(dice)
    }

    /// Until everything is over, a promise is broken, or time is up.
    fn go(self: Arc<Self>, mut dice: Dice) -> Ran {
        let sim = Arc::clone(&self.sim);
        let mut tasks = Tasks::new(sim.spawner.clone());
        let began = sim.now();
        let mut calm_since = None;
        for _ in 0..STEPS_MAX {
            for gateway in sim.take_dying() {
                tasks.kill(Owner::Gateway(gateway));
                self.bury(gateway);
            }
            if let Some(moved) = sim.take_moved() {
                self.check(&moved);
            }
            if sim.what_is_broken().is_some() {
                break;
            }
            if tasks.run_one(&mut dice, |owner| sim.is_stalled(owner)) {
                continue;
            }
            if calm_since.is_some() && self.is_over() {
                return self.ended(calm_since);
            }
            let Some(now) = sim.clock.jump() else {
                sim.broken("liveness: nothing is left to happen".to_owned());
                break;
            };
            match calm_since {
                None if began + TROUBLED < now => {
                    sim.calm_down();
                    calm_since = Some(now);
                    sim.log(|| "all is well again".to_owned());
                }
                Some(since) if since + LIVENESS < now => {
                    sim.broken(format!(
                        "liveness: not over {LIVENESS:?} after the last fault: {}",
                        self.open()
                    ));
                    break;
                }
                _ => {}
            }
        }
        if sim.what_is_broken().is_none() {
            sim.broken(format!("liveness: {STEPS_MAX} steps without an end: {}", self.open()));
        }
        self.ended(calm_since)
    }

    fn ended(&self, calm_since: Option<Timestamp>) -> Ran {
        if self.sim.what_is_broken().is_none() {
            self.check_end();
        }
        let now = self.sim.now();
        let look = self.look();
        Ran {
            broken: self.sim.what_is_broken(),
            coverage: self.sim.coverage(),
            ends: look.stays.values().map(|stay| super::noted::word(&stay.record).to_owned()).collect(),
            log: self.sim.told(usize::MAX),
            settled_after: now.duration_since(calm_since.unwrap_or(now)),
        }
    }

    pub(crate) fn look(&self) -> Look {
        self.sim.at_once(Look::at(&*self.store, &self.known))
    }
}
