//! One run: gateways over one store, payers with books of their own, hospitals that send, and faults, all of it
//! repeated by its seed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use yizhan::runtime::{Clock, CountedIds, Ids, Runtime};
use yizhan::settlement::gateway::Pursuit;
use yizhan::settlement::gateway::{Gateway, Hospitals};
use yizhan::settlement::payers::Payers;
use yizhan::settlement::saga::Stepping;
use yizhan::store::Store;
use yizhan_contract::payer::Payer;
use yizhan_rules::PolicyShelf;

use super::books::Kept;
use super::chains::{CHAINS, OPTIONAL, lines};
use super::coverage::{Cell, Coverage};
use super::dice::Dice;
use super::faults::Faulty;
use super::look::{Known, Look, Moved};
use super::mutant::Mutant;
use super::opening::{Open, Opened};
use super::payer::Line;
use super::promises::{Limits, Promises};
use super::sim::{Rates, Scripted, Sim};
use super::tasks::{Owner, Tasks};
use super::watched;
use super::workload::{PEOPLE, Workload, limits};

/// Faults happen for so long; then everything is well again.
const TROUBLED: SignedDuration = SignedDuration::from_secs(180);
/// So long after that, every settlement is over or with a person.
pub(crate) const LIVENESS: SignedDuration = SignedDuration::from_mins(40);
/// How often a gateway looks for what is due.
const DUE: SignedDuration = SignedDuration::from_secs(7);
const STEPS_MAX: u64 = 400_000;

/// What makes a run: everything else follows.
#[derive(Clone)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    /// A cell to come through, first chance.
    pub(crate) aim: Option<Cell>,
    /// Instead of what dice say: these faults and no others.
    pub(crate) script: Vec<Scripted>,
    pub(crate) chain: Option<usize>,
    /// Absent: two where faults are scripted, else as dice say.
    pub(crate) gateways: Option<u64>,
    pub(crate) mutant: Option<Arc<Mutant>>,
}

impl Schedule {
    pub(crate) fn of(seed: u64) -> Self {
        Self { seed, aim: None, script: Vec::new(), chain: None, gateways: None, mutant: None }
    }

    pub(crate) fn aimed(seed: u64, aim: Cell) -> Self {
        Self { aim: Some(aim), ..Self::of(seed) }
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
    pub(crate) acked: Mutex<Vec<super::senders::Acked>>,
    /// Hospitals and desks that have not been answered yet.
    pub(crate) waiting: AtomicUsize,
    /// A person works off what waits for one.
    pub(crate) is_operated: AtomicBool,
    gateways: Mutex<Vec<Option<Gateway>>>,
    opened: Opened,
    ids: Arc<CountedIds>,
    mutant: Option<Arc<Mutant>>,
    limits: Limits,
    last_look: Mutex<Look>,
    epochs: Mutex<std::collections::BTreeMap<uuid::Uuid, u64>>,
}

impl World {
    pub(crate) fn run(schedule: &Schedule, open: Open) -> Ran {
        let mut dice = Dice::of(schedule.seed ^ 0xdead_10cc);
        let is_scripted = !schedule.script.is_empty();
        let rates = match dice.below(4) {
            _ if is_scripted => Rates { answer: 0, ..Rates::NONE },
            0 => Rates { answer: 15, death: 1, store_death: 2, store_down: 0 },
            1 => Rates { answer: 35, death: 6, store_death: 6, store_down: 5 },
            2 => Rates { answer: 60, death: 2, store_death: 2, store_down: 2 },
            _ => Rates { answer: 25, death: 15, store_death: 15, store_down: 0 },
        };
        let sim = Sim::new(schedule.seed, rates, schedule.aim, schedule.script.clone());
        let ids: Arc<CountedIds> = Arc::default();
        let opened = sim.at_once(open(Arc::clone(&ids) as Arc<dyn Ids>));
        let any = dice.index(CHAINS.len());
        let is_delivered = schedule.aim.is_some_and(|aim| aim.state == "delivering");
        let any = if is_delivered { *dice.one_of(&OPTIONAL) } else { any };
        let chain = schedule.chain.unwrap_or(any);
        let lines = lines(CHAINS[chain], &mut dice, &sim);
        if let Some(mutant) = &schedule.mutant {
            mutant.at_payers(&lines);
        }
        let work = Workload::of(schedule.seed, &opened.profiles, sim.now());
        let gateways = match schedule.gateways {
            Some(gateways) => gateways,
            None if is_scripted => 2,
            None => dice.between(1, 3),
        };
        let world = Arc::new(Self {
            store: Arc::clone(&opened.store),
            payers: lines.iter().map(Line::kept).collect(),
            lines,
            known: Known { visits: work.visits.clone(), people: PEOPLE.to_vec() },
            acked: Mutex::default(),
            waiting: AtomicUsize::new(0),
            is_operated: AtomicBool::new(false),
            gateways: Mutex::new((0..gateways).map(|_| None).collect()),
            opened,
            ids,
            mutant: schedule.mutant.clone(),
            limits: limits(),
            last_look: Mutex::default(),
            epochs: Mutex::default(),
            sim,
        });
        watched::by(&world.sim, world.mutant.clone());
        let gateways = world.gateways.lock().unwrap().len();
        (0..gateways).for_each(|gateway| world.start(gateway));
        world.send_all(work);
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
            ends: look.stays.values().map(|stay| super::faults::word(&stay.record).to_owned()).collect(),
            log: self.sim.told(usize::MAX),
            settled_after: now.duration_since(calm_since.unwrap_or(now)),
        }
    }

    pub(crate) fn look(&self) -> Look {
        self.sim.at_once(Look::at(&*self.store, &self.known))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Promises that hold at any time.
    fn check(&self, moved: &Moved) {
        let mut look = self.last_look.lock().unwrap();
        self.sim.at_once(look.again(&*self.store, &self.known, moved));
        let look = &*look;
        let promises = Promises { look, payers: &self.payers, limits: &self.limits };
        let held = promises.check().and_then(|()| self.fenced(look)).and_then(|()| self.remembered(look));
        if let Err(why) = held {
            self.sim.broken(why);
        }
    }

    /// Nobody writes on the strength of a lease that was taken from it.
    fn fenced(&self, look: &Look) -> Result<(), String> {
        let mut epochs = self.epochs.lock().unwrap();
        for stay in look.stays.values() {
            let newest = epochs.entry(stay.record.stay_id).or_default();
            if stay.hold.epoch < *newest {
                return Err(format!(
                    "fencing: {} went back from epoch {newest} to {}",
                    stay.visit, stay.hold.epoch
                ));
            }
            *newest = stay.hold.epoch;
        }
        Ok(())
    }

    pub(crate) fn gateway(&self) -> Option<(usize, Gateway)> {
        let gateways = self.gateways.lock().unwrap();
        let nth = self.sim.dice(|dice| dice.index(gateways.len()));
        gateways[nth].clone().map(|gateway| (nth, gateway))
    }

    /// A gateway that has died comes back after a while, under its name.
    fn bury(self: &Arc<Self>, gateway: usize) {
        if self.gateways.lock().unwrap()[gateway].take().is_none() {
            return;
        }
        let world = Arc::clone(self);
        self.sim.spawner.spawn(Owner::Outside, async move {
            let most_ms = world.sim.dice(|dice| *dice.one_of(&[500, 5_000, 60_000]));
            world.sim.within(most_ms).await;
            world.start(gateway);
        });
    }

    fn start(self: &Arc<Self>, nth: usize) {
        let sim = Arc::clone(&self.sim);
        let inner = Arc::clone(&self.store);
        let faulty = Faulty { inner, sim: Arc::clone(&sim), gateway: nth, mutant: self.mutant.clone() };
        let line = |line: &Line| {
            let payer = Arc::new(Line { gateway: nth, ..line.clone() }) as Arc<dyn Payer>;
            (Arc::clone(&line.name), payer)
        };
        let payers = Arc::new(Payers::new(self.lines.iter().map(line).collect()).unwrap());
        let ids = Arc::clone(&self.ids) as Arc<dyn Ids>;
        let runtime = Runtime { clock: Arc::new(sim.clock.clone()), ids };
        let policies: Arc<PolicyShelf> = Arc::clone(&self.opened.policies);
        payers.check(&policies).unwrap();
        let hospitals: Hospitals = Arc::clone(&self.opened.hospitals);
        let name: Arc<str> = format!("gateway-{nth}").into();
        let gateway = Gateway::new(Arc::new(faulty), policies, hospitals, payers, name, runtime)
            .stepping_by(Stepping(watched::step));
        self.gateways.lock().unwrap()[nth] = Some(gateway.clone());
        sim.log(|| format!("gateway {nth} starts"));
        sim.spawner.spawn(Owner::Gateway(nth), serve(Arc::clone(&sim), gateway, nth));
    }

    /// Gateways die or stand still wherever they are.
    async fn weather(self: Arc<Self>, is_scripted: bool) {
        while !self.sim.is_calm() && !is_scripted {
            self.sim.within(40_000).await;
            let gateways = self.gateways.lock().unwrap().len();
            let (nth, what) = self.sim.dice(|dice| (dice.index(gateways), dice.below(10)));
            match what {
                _ if self.sim.is_calm() => {}
                0 | 1 => {
                    self.sim.log(|| format!("gateway {nth} is killed"));
                    self.sim.kill(nth);
                }
                2 | 3 => {
                    let still = self.sim.dice(|dice| dice.between(1, 90));
                    self.sim.stall(nth, self.sim.now() + SignedDuration::from_secs(still.cast_signed()));
                }
                _ => {}
            }
        }
    }
}

/// What `serve` does beside its ports: takes up what it held when it died, and what is due.
async fn serve(sim: Arc<Sim>, gateway: Gateway, nth: usize) {
    let take_up = |pursuits: Vec<Pursuit>| {
        for pursuit in pursuits {
            let gateway = gateway.clone();
            sim.spawner.spawn(Owner::Gateway(nth), async move {
                gateway.pursue(pursuit).await;
            });
        }
    };
    loop {
        match gateway.rearm().await {
            Ok(held) => break take_up(held),
            Err(_) => sim.clock.sleep_until(sim.now() + SignedDuration::from_secs(1)).await,
        }
    }
    loop {
        take_up(gateway.due(sim.now(), 20).await.unwrap_or_default());
        sim.clock.sleep_until(sim.now() + DUE).await;
    }
}

impl World {
    fn open(&self) -> String {
        let look = self.look();
        let open = look.stays.values().filter(|stay| stay.record.is_with_payers());
        let calls = |saga: &yizhan::settlement::saga::Saga| {
            let call = |call: &yizhan::settlement::saga::Call| {
                let undo = call.undo.as_ref().map(|undo| &undo.state);
                format!("{} {:?} undo {undo:?}", call.adapter, call.commit.state)
            };
            format!("{:?} {}", saga.course, saga.calls.iter().map(call).collect::<Vec<_>>().join(", "))
        };
        let told = open.map(|stay| {
            let saga = stay.record.saga.as_ref().map(calls);
            format!("{} {:?} {:?} {saga:?}", stay.visit, stay.record.phase, stay.hold)
        });
        let waiting = self.waiting.load(Ordering::Relaxed);
        format!("{waiting} unanswered; {}", told.collect::<Vec<_>>().join("; "))
    }
}
