//! Payers that tell the truth, requests that get lost or come late, gateways that die: every settlement comes to
//! the end that its payers' answers make it come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan::settlement::saga::{Call, Course, Event, Ordered, Part, Saga, Wanted, Why};
use yizhan_contract::payer::{Performed, Status};
use yizhan_contract::{Money, PayerCode};

use super::rules::Watched;
use super::{Ids, lowered, saga, seconds, start};
use crate::simulation::dice::Dice;

/// Virtual time after which a settlement must have come to its end, or to a person.
const LIVENESS: SignedDuration = SignedDuration::from_hours(2);

/// What a payer makes of a commit, however often it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Will {
    Commit,
    /// Less than it quoted; only payers without firm quotes may.
    Lower,
    Refuse,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    held: Vec<(PayerCode, Money)>,
    effects: u32,
    is_refused: bool,
    is_reversed: bool,
}

/// One payer's books.
#[derive(Debug, Default)]
struct Books(BTreeMap<Arc<str>, Entry>);

#[derive(Debug)]
enum Coming {
    /// A request reaches its payer.
    Request {
        adapter: Arc<str>,
        id: Arc<str>,
        original: Option<Arc<str>>,
        legs: Vec<(PayerCode, Money)>,
        answers_at: Option<Timestamp>,
    },
    Answer(Event),
    Woken,
    Dies,
}

pub(super) struct Play {
    watched: Watched,
    ids: Ids,
    dice: Dice,
    at: Timestamp,
    wills: BTreeMap<Arc<str>, Will>,
    books: BTreeMap<Arc<str>, Books>,
    coming: Vec<(Timestamp, u64, Coming)>,
    count: u64,
    losses: u64,
    is_finished: bool,
}

impl Play {
    fn new(seed: u64, losses: u64) -> Self {
        let mut dice = Dice::of(seed);
        let mut ids = Ids::default();
        let saga = saga(&mut dice, &mut ids);
        let will = |call: &Call, dice: &mut Dice| match dice.below(6) {
            0 => Will::Refuse,
            1 | 2 if !call.terms.quotes_are_firm => Will::Lower,
            _ => Will::Commit,
        };
        let wills =
            saga.calls.iter().map(|call| (Arc::clone(&call.adapter), will(call, &mut dice))).collect();
        Self {
            books: saga.calls.iter().map(|call| (Arc::clone(&call.adapter), Books::default())).collect(),
            watched: Watched::new(saga),
            ids,
            dice,
            at: start(),
            wills,
            coming: Vec::new(),
            count: 0,
            losses,
            is_finished: false,
        }
    }

    fn schedule(&mut self, at: Timestamp, coming: Coming) {
        self.count += 1;
        self.coming.push((at, self.count, coming));
    }

    fn feed(&mut self, event: Event) -> Result<(), String> {
        // Every step says anew when it wants to be woken.
        self.coming.retain(|(.., coming)| !matches!(coming, Coming::Woken));
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for want in self.watched.step(event, self.at)? {
                events.extend(self.carry_out(want));
            }
        }
        Ok(())
    }

    /// What comes back at once.
    fn carry_out(&mut self, want: Wanted) -> Option<Event> {
        match want {
            Wanted::Prepare { call, part } => {
                let operation = self.ids.operation(self.at);
                return Some(Event::Prepared { call, part, operation });
            }
            Wanted::Send { call, part } => self.send(call, part),
            Wanted::Ask { call, part } => self.ask(call, part),
            Wanted::Requote => return Some(self.requote()),
            Wanted::Wake { at } => self.schedule(at, Coming::Woken),
            Wanted::Finish => self.is_finished = true,
        }
        None
    }

    fn send(&mut self, nth: usize, part: Part) {
        let call = self.watched.saga.calls[nth].clone();
        let Some(operation) = call.operation(part) else { return };
        let id = Arc::clone(&operation.id);
        let original = (part == Part::Undo).then(|| Arc::clone(&call.commit.id));
        let last = self.at + seconds(call.terms.not_found_settles_after_s);
        let fate = self.dice.below(100);
        let soon = self.at + SignedDuration::from_millis(self.dice.below(2_000).cast_signed());
        let (arrives, answers_at) = match fate {
            _ if self.losses <= fate => (Some(soon), Some(soon + SignedDuration::from_millis(300))),
            _ => match self.dice.below(3) {
                0 => (None, None),
                1 => (Some(soon), None),
                _ => {
                    let late = last.duration_since(self.at).as_millis();
                    let late = self.dice.below(u64::try_from(late).unwrap());
                    (Some(self.at + SignedDuration::from_millis(late.cast_signed())), None)
                }
            },
        };
        if let Some(arrives) = arrives {
            let request = Coming::Request {
                adapter: call.adapter,
                id: Arc::clone(&id),
                original,
                legs: call.legs,
                answers_at,
            };
            self.schedule(arrives, request);
        }
        if answers_at.is_none() {
            let timeout = Performed::Unknown { poll_after: None, why: "no answer".into() };
            self.schedule(
                self.at + seconds(10),
                Coming::Answer(Event::Performed { operation: id, answer: timeout }),
            );
        }
    }

    fn ask(&mut self, nth: usize, part: Part) {
        let call = &self.watched.saga.calls[nth];
        let Some(operation) = call.operation(part) else { return };
        let operation = Arc::clone(&operation.id);
        let answer = match self.books[&call.adapter].0.get(&operation) {
            None => Status::NotFound,
            Some(entry) if entry.is_refused => Status::Refused { code: "no".into() },
            Some(entry) => Status::Done { amounts: entry.held.clone(), reference: "R".into() },
        };
        let answers_at = self.at + SignedDuration::from_millis(self.dice.below(500).cast_signed());
        self.schedule(answers_at, Coming::Answer(Event::Asked { operation, answer }));
    }

    /// The payers behind ask for less; the same calls with new ids.
    fn requote(&mut self) -> Event {
        let open: Vec<Call> =
            self.watched.saga.calls.iter().filter(|call| !call.is_committed()).cloned().collect();
        let calls =
            open.into_iter().map(|call| Call { commit: self.ids.operation(self.at), undo: None, ..call });
        Event::Requoted { calls: calls.collect() }
    }

    /// The payer's own doing. A reversal is remembered against an original that comes after it.
    fn arrive(
        &mut self,
        adapter: &Arc<str>,
        id: &Arc<str>,
        original: Option<&Arc<str>>,
        legs: &[(PayerCode, Money)],
    ) -> Performed {
        let will = self.wills[adapter];
        let books = self.books.get_mut(adapter).unwrap();
        let reference = "R".to_owned();
        if let Some(original) = original {
            let taken = books.0.entry(Arc::clone(original)).or_default();
            taken.is_reversed = true;
            taken.is_refused |= taken.effects == 0;
            let given = if taken.effects == 0 { legs.to_vec() } else { taken.held.clone() };
            books.0.entry(Arc::clone(id)).or_default().held.clone_from(&given);
            return Performed::Committed { amounts: given, reference };
        }
        let entry = books.0.entry(Arc::clone(id)).or_default();
        if entry.is_refused || (will == Will::Refuse && entry.effects == 0) {
            entry.is_refused = true;
            return Performed::Refused { code: "no".into(), message: "no".into() };
        }
        if entry.effects == 0 {
            entry.held = if will == Will::Lower { lowered(legs) } else { legs.to_vec() };
        }
        entry.effects += 1;
        Performed::Committed { amounts: entry.held.clone(), reference }
    }

    fn happen(&mut self, coming: Coming) -> Result<(), String> {
        match coming {
            Coming::Request { adapter, id, original, legs, answers_at } => {
                let answer = self.arrive(&adapter, &id, original.as_ref(), &legs);
                if let Some(at) = answers_at {
                    self.schedule(at, Coming::Answer(Event::Performed { operation: id, answer }));
                }
                Ok(())
            }
            Coming::Answer(event) => self.feed(event),
            Coming::Woken => self.feed(Event::Woken),
            Coming::Dies => {
                // Requests on their way arrive all the same; their answers reach nobody.
                self.coming.retain(|(.., coming)| matches!(coming, Coming::Request { .. } | Coming::Dies));
                for (.., coming) in &mut self.coming {
                    if let Coming::Request { answers_at, .. } = coming {
                        *answers_at = None;
                    }
                }
                self.watched.saga = self.watched.durable.clone();
                self.is_finished = false;
                let by = format!("gateway {}", self.dice.below(2)).into();
                self.feed(Event::TakenOver { by, is_gone: false })
            }
        }
    }

    /// Until the saga is over and said so, or the time is up.
    fn run(&mut self, first: Event) -> Result<(), String> {
        self.is_finished = false;
        let until = self.at + LIVENESS;
        self.feed(first)?;
        while !self.is_finished {
            let next = self.coming.iter().enumerate().min_by_key(|(_, (at, count, _))| (*at, *count));
            let Some(next) = next.map(|(nth, _)| nth) else { break };
            let (at, _, coming) = self.coming.swap_remove(next);
            self.at = self.at.max(at);
            if until < self.at {
                break;
            }
            self.happen(coming)?;
        }
        if self.is_finished || self.watched.saga.attention.is_some() {
            return Ok(());
        }
        Err(format!("neither over nor with a person at {}: {:#?}", self.at, self.watched.saga))
    }

    /// What the payers hold is what the saga says, once everything on its way has arrived.
    fn check_books(&mut self) -> Result<(), String> {
        for (.., coming) in std::mem::take(&mut self.coming) {
            if let Coming::Request { adapter, id, original, legs, .. } = coming {
                self.arrive(&adapter, &id, original.as_ref(), &legs);
            }
        }
        let saga = &self.watched.saga;
        for (adapter, books) in &self.books {
            let standing = books.0.values().filter(|entry| entry.effects > 0 && !entry.is_reversed);
            let held: Money =
                standing.clone().flat_map(|entry| entry.held.iter().map(|(_, amount)| *amount)).sum();
            let settled = saga.calls.iter().filter(|call| call.adapter == *adapter);
            let settled = settled.flat_map(|call| &call.legs).filter_map(|(payer, _)| saga.committed(payer));
            let said: Money = settled.map(|(amount, _)| amount).sum();
            let said = if saga.course == Course::Committed { said } else { Money::ZERO };
            if held != said
                || books.0.values().any(|entry| entry.effects > 1 && !is_idempotent(saga, adapter))
            {
                return Err(format!("{adapter} holds {held}, the saga says {said}: {books:#?} {saga:#?}"));
            }
        }
        Ok(())
    }
}

fn is_idempotent(saga: &Saga, adapter: &Arc<str>) -> bool {
    saga.calls.iter().any(|call| call.adapter == *adapter && call.terms.commits_are_idempotent)
}

/// The end without what only time tells.
fn end(saga: &Saga) -> &'static str {
    match &saga.course {
        Course::Committed => "committed",
        Course::Undone(Why::Refused { .. }) => "undone",
        Course::Reversed(_) => "reversed",
        _ => "with a person",
    }
}

fn settle(seed: u64, losses: u64, deaths: u64) -> Result<(&'static str, Play), String> {
    let mut play = Play::new(seed, losses);
    for _ in 0..deaths {
        let dies = play.at + SignedDuration::from_millis(play.dice.below(40_000).cast_signed());
        play.schedule(dies, Coming::Dies);
    }
    play.run(Event::Begun)?;
    if play.is_finished {
        play.check_books()?;
    }
    Ok((end(&play.watched.saga), play))
}

fn check(seed: u64) -> Result<&'static str, String> {
    let (undisturbed, _) = settle(seed, 0, 0)?;
    let deaths = 1 + seed % 3;
    let (end, mut play) = settle(seed, 30, deaths)?;
    // Only what can be neither sent again nor taken back may end with a person.
    let may_wait = play.watched.saga.calls.iter().any(|call| call.terms.reverse_window_s.is_none());
    if end != undisturbed && !(may_wait && end == "with a person") {
        return Err(format!("ends {end}, undisturbed it ends {undisturbed}: {:#?}", play.watched.saga));
    }
    if end == "committed" && seed.is_multiple_of(2) && !may_wait {
        let ordered = Ordered {
            reason: "test".into(),
            operator: "desk".into(),
            at: play.at,
            is_discharge_cancelled: false,
        };
        play.watched.durable = play.watched.saga.clone();
        play.run(Event::ReverseOrdered(ordered))?;
        play.check_books()?;
        return Ok("reversed");
    }
    Ok(end)
}

#[test]
fn whoever_takes_over_comes_to_the_same_end() {
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..2_000 {
        let end = check(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        *ends.entry(end).or_default() += 1;
    }
    assert_eq!(
        ends.keys().copied().collect::<Vec<_>>(),
        ["committed", "reversed", "undone", "with a person"]
    );
}
