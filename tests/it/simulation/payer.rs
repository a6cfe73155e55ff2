//! Outside payers that do what the dice or a script say: the port on one side, their books on the other.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp, civil::Date};
use yizhan::runtime::Clock;
use yizhan::settlement::saga::COMMIT_DEADLINE;
use yizhan_contract::opaque::Opaque;
use yizhan_contract::payer::{
    Answer, Ask, Manifest, Operation, OperationKind, Payer, Performed, PrepareError, Prepared, Quote,
    QuoteAnswer, QuotedAmount, StatementLine, Status, Unavailable,
};
use yizhan_contract::{Money, PayerCode};

use super::books::{Amounts, Books, Kept};
use super::chains::Kind;
use super::coverage::Cell;
use super::sim::Sim;
use super::tasks::{Owner, Slot};

/// One gateway's line to a payer. The books are the payer's, and outlive every gateway.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) manifest: Manifest,
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) sim: Arc<Sim>,
    pub(crate) gateway: usize,
    /// How far this gateway's clock is ahead.
    pub(crate) ahead: SignedDuration,
}

/// How long a quote may hold.
const HOLDS_S: [i64; 3] = [15, 120, 1_800];

/// The part of what it may pay that a payer pays.
pub(crate) fn share(payer: &PayerCode) -> i64 {
    match payer.as_str() {
        "basic" => 30,
        "critical_illness" => 20,
        "provider_waiver" => 40,
        // Fills up to the target, so that what others pay less does not fall on the patient.
        _ => 100,
    }
}

impl Line {
    pub(crate) fn kept(&self) -> Kept {
        let (name, serves) = (Arc::clone(&self.name), self.manifest.serves.clone());
        Kept { name, serves, also_paid: self.kind.also_paid(), books: Arc::clone(&self.books) }
    }

    fn gateways_time(&self) -> Timestamp {
        self.sim.now() + self.ahead
    }

    async fn quoted(&self, ask: &Ask, deadline: Timestamp) -> QuoteAnswer {
        let state = self.sim.state_of_stay(&ask.stay);
        let faults = ["refuses", "not_ready", "unavailable", "hangs"];
        let cell = self.sim.choose(&self.name, (state, "quote"), "quotes", &faults);
        self.sim.log(|| format!("gateway {} {} {cell}", self.gateway, self.name));
        self.sim.dies_at(self.gateway, cell, "before").await;
        self.sim.dies_at(self.gateway, cell, "on_the_way").await;
        self.sim.stalls_at(self.gateway, cell);
        self.sim.within(200).await;
        match cell.answer {
            "refuses" => QuoteAnswer::Refused { code: "no".into(), message: "not covered".into() },
            "not_ready" => QuoteAnswer::NotReady { what: "the admission".into() },
            "unavailable" => QuoteAnswer::Unavailable(unavailable()),
            "hangs" => std::future::pending().await,
            _ => {
                let id = format!("{}-{}", self.name, self.sim.dice(super::dice::Dice::throw));
                let holds_s = self.sim.dice(|dice| *dice.one_of(&HOLDS_S));
                let valid_until = deadline + SignedDuration::from_secs(holds_s);
                let mut books = self.books.lock().unwrap();
                books.quotes.insert(id.clone(), Arc::clone(&ask.stay));
                books.hold_until.insert(id.clone(), valid_until);
                drop(books);
                let amount = |leg: &yizhan_contract::payer::AskedLeg| QuotedAmount {
                    payer: leg.payer.clone(),
                    amount: Money::from_fen(leg.pay_at_most.fen() * share(&leg.payer) / 100),
                    steps: Vec::new(),
                };
                let amounts = ask.legs.iter().map(amount).collect();
                QuoteAnswer::Quote(Quote {
                    id,
                    valid_until,
                    amounts,
                    also_paid: self.kind.also(ask),
                    kept: Opaque::default(),
                })
            }
        }
    }

    async fn performed(&self, operation: Operation) -> Performed {
        let state = self.sim.state_of(&operation.id);
        let cell = match operation.kind {
            OperationKind::Commit => {
                let mut faults = vec![
                    "refuses",
                    "refuses_unheard",
                    "times_out_before",
                    "times_out_after",
                    "late",
                    "other_amount",
                    "more",
                    "breaks_off",
                ];
                faults.extend(self.manifest.commits_are_idempotent.then_some("twice"));
                // What can be taken back is safe however late a request comes.
                faults.extend(self.manifest.reverse_window_s.map(|_| "very_late"));
                self.sim.choose(&self.name, (state, "commit"), "commits", &faults)
            }
            OperationKind::Reverse { .. } => {
                let faults = [
                    "refuses",
                    "times_out_before",
                    "times_out_after",
                    "late",
                    "twice",
                    "other_amount",
                    "breaks_off",
                ];
                self.sim.choose(&self.name, (state, "reverse"), "takes_back", &faults)
            }
        };
        self.sim.log(|| format!("gateway {} {} {} {cell}", self.gateway, self.name, operation.id));
        self.sim.dies_at(self.gateway, cell, "before").await;
        if !self.sim.is_durable(&operation.id) {
            self.sim.broken(format!("intent first: {} is sent and not in the store", operation.id));
        }
        if self.sim.leaves_before(&operation.id).is_some_and(|last| last < self.gateways_time()) {
            self.sim.broken(format!("in time: {} leaves later than the store says", operation.id));
        }
        if let Err(why) = self.books.lock().unwrap().leaves(&operation, cell.answer == "very_late") {
            self.sim.broken(why);
        }
        let answer = Slot::new();
        self.sim.spawner.spawn(Owner::Outside, self.clone().carry(operation, cell, answer.clone()));
        self.sim.dies_at(self.gateway, cell, "on_the_way").await;
        // Longer than a lease: somebody else goes on meanwhile, and this gateway has not noticed.
        if !self.sim.is_calm() && self.sim.dice(|dice| dice.percent(8)) {
            let still = self.sim.dice(|dice| dice.between(31, 90));
            self.sim.stall(self.gateway, self.sim.now() + SignedDuration::from_secs(still.cast_signed()));
        }
        match cell.answer {
            "breaks_off" => {
                self.sim.within(500).await;
                Performed::Unknown { poll_after: None, why: "the connection broke off".into() }
            }
            "times_out_before" | "times_out_after" | "refuses_unheard" | "late" | "very_late" => {
                std::future::pending().await
            }
            _ => answer.await,
        }
    }

    /// The network, and the payer: nothing here ends with the gateway that sent it.
    async fn carry(self, operation: Operation, cell: Cell, answer: Slot<Performed>) {
        let settles_ms = self.manifest.not_found_settles_after_s * 1_000;
        match cell.answer {
            "times_out_before" => return self.books.lock().unwrap().is_gone(&operation.id),
            "late" | "breaks_off" => self.sim.within(settles_ms - 1).await,
            "very_late" => {
                let past =
                    self.sim.now() + COMMIT_DEADLINE + SignedDuration::from_millis(settles_ms.cast_signed());
                self.sim.clock.sleep_until(past).await;
                self.sim.within(120_000).await;
            }
            _ => self.sim.within(400).await,
        }
        let done = self.arrive(&operation, cell);
        if cell.answer == "twice" {
            self.sim.within(400).await;
            self.arrive(&operation, cell);
        }
        self.books.lock().unwrap().is_gone(&operation.id);
        if cell.crash == "done" {
            self.sim.log(|| format!("gateway {} dies when {} is done", self.gateway, operation.id));
            return self.sim.kill(self.gateway);
        }
        self.sim.within(300).await;
        answer.put(done);
    }

    fn arrive(&self, operation: &Operation, cell: Cell) -> Performed {
        self.sim.moved();
        let mut books = self.books.lock().unwrap();
        let done = match &operation.kind {
            OperationKind::Commit => {
                let amounts = match cell.answer {
                    "refuses" | "refuses_unheard" => None,
                    "other_amount" => Some(other(&operation.amounts, |fen| fen * 9 / 10)),
                    // Which nobody may.
                    "more" => Some(other(&operation.amounts, |fen| fen + 500)),
                    _ => Some(operation.amounts.clone()),
                };
                books.commit(operation, amounts)
            }
            OperationKind::Reverse { .. } if cell.answer == "refuses" => {
                Performed::Refused { code: "no_reversal".into(), message: "not today".into() }
            }
            OperationKind::Reverse { original, .. } => {
                books.reverse(operation, original, cell.answer == "other_amount")
            }
        };
        drop(books);
        self.sim.log(|| format!("{} {} comes to {}", self.name, operation.id, told(&done)));
        done
    }

    async fn asked(&self, operation: Operation) -> Status {
        let state = self.sim.state_of(&operation.id);
        let truth = self.books.lock().unwrap().status(&operation.id);
        let plain = match &truth {
            Status::Done { .. } => "done",
            Status::Refused { .. } => "refused",
            _ => "not_found",
        };
        let mut faults = vec!["unavailable", "hangs"];
        let is_on_the_way = self.books.lock().unwrap().is_on_the_way(&operation.id);
        faults.extend(is_on_the_way.then_some("pending"));
        let cell = self.sim.choose(&self.name, (state, "status"), plain, &faults);
        self.sim.log(|| format!("gateway {} {} {} {cell}", self.gateway, self.name, operation.id));
        self.sim.dies_at(self.gateway, cell, "before").await;
        self.sim.dies_at(self.gateway, cell, "on_the_way").await;
        self.sim.within(200).await;
        match cell.answer {
            "unavailable" => Status::Unavailable(unavailable()),
            "hangs" => std::future::pending().await,
            "pending" => Status::Pending,
            _ => truth,
        }
    }
}

fn other(quoted: &Amounts, fen: impl Fn(i64) -> i64) -> Amounts {
    quoted.iter().map(|(payer, amount)| (payer.clone(), Money::from_fen(fen(amount.fen())))).collect()
}

fn told(done: &Performed) -> String {
    match done {
        Performed::Committed { amounts, .. } => format!("{amounts:?}"),
        Performed::Refused { code, .. } => code.clone(),
        Performed::Unknown { why, .. } => why.clone(),
    }
}

fn unavailable() -> Unavailable {
    Unavailable { why: "down".into(), retry_after: None }
}

pub(crate) fn read(prepared: &Prepared) -> Operation {
    serde_json::from_slice(&prepared.0).unwrap()
}

impl Payer for Line {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn quote<'a>(&'a self, ask: &'a Ask, deadline: Timestamp) -> Answer<'a, QuoteAnswer> {
        Box::pin(self.quoted(ask, deadline))
    }

    fn prepare(&self, operation: &Operation) -> Result<Prepared, PrepareError> {
        let books = self.books.lock().unwrap();
        let stay = books.stay_of(operation);
        if let (OperationKind::Commit, Some(quote)) = (&operation.kind, &operation.quote_id) {
            self.sim.made_ready(&operation.id, quote, books.hold_until.get(quote).copied());
        }
        drop(books);
        self.sim.belongs(&operation.id, &stay);
        serde_json::to_vec(operation).map(Prepared::from).map_err(|why| PrepareError(why.to_string()))
    }

    fn perform<'a>(&'a self, prepared: &'a Prepared, deadline: Timestamp) -> Answer<'a, Performed> {
        if deadline <= self.gateways_time() {
            self.sim.broken("a request leaves after its deadline".to_owned());
        }
        Box::pin(self.performed(read(prepared)))
    }

    fn status<'a>(&'a self, prepared: &'a Prepared, _deadline: Timestamp) -> Answer<'a, Status> {
        Box::pin(self.asked(read(prepared)))
    }

    fn statement(&self, _day: Date, _: Timestamp) -> Answer<'_, Result<Vec<StatementLine>, Unavailable>> {
        let books = self.books.lock().unwrap();
        let line = |(id, entry): (&Arc<str>, &super::books::Entry)| {
            let sign = |amount: Money| if entry.is_reversal { -amount } else { amount };
            let of = |(payer, amount): &(PayerCode, Money)| StatementLine {
                operation_id: id.to_string(),
                reference: format!("R-{id}"),
                payer: payer.clone(),
                amount: sign(*amount),
                at: self.sim.now(),
            };
            entry.amounts.iter().map(of).collect::<Vec<_>>()
        };
        let lines = books.entries.iter().filter(|(_, entry)| entry.effects > 0).flat_map(line).collect();
        Box::pin(async move { Ok(lines) })
    }
}
