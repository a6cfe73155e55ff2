//! Hospitals' receivers, and the way to them: what is handed over may not arrive, or arrive and nobody hears of it.

use std::sync::Arc;

use yizhan::outbox::{Carrier, Form, Handing, Letter, NotTaken};
use yizhan_contract::Text;

use super::coverage::{Cell, TELLINGS};
use super::mutant::Mutant;
use super::sim::Sim;
use super::tasks::{Owner, Slot};
use super::workload::HABITS;

/// One gateway's way out.
pub(crate) struct Post {
    pub(crate) sim: Arc<Sim>,
    pub(crate) gateway: usize,
    /// The hospital whose receiver never answers, as long as the run lasts.
    pub(crate) dead: Option<&'static str>,
    pub(crate) mutant: Option<Arc<Mutant>>,
}

fn said(what: &str) -> Text {
    Text::new(what, what)
}

fn address(letter: &Letter) -> String {
    match &letter.form {
        Form::Message { listener, .. } => listener.address.clone(),
        Form::Document { url } => url.host_str().unwrap_or_default().to_owned(),
    }
}

impl Post {
    async fn handed_over(&self, letter: Letter) -> Result<(), NotTaken> {
        let letter = self.mutant.as_ref().map_or(letter.clone(), |mutant| mutant.letter(letter));
        let receiver = address(&letter);
        if HABITS.iter().any(|(hospital, name, _)| *name == receiver && self.dead == Some(hospital)) {
            self.sim.within(100).await;
            return Err(NotTaken::Unreached(said("nobody listens")));
        }
        let cell = self.sim.choose(&receiver, ("any", "tell"), "takes", &TELLINGS[1..]);
        self.sim.log(|| format!("gateway {} tells {receiver} {} {cell}", self.gateway, letter.id));
        self.sim.dies_at(self.gateway, cell, "before").await;
        let answer = Slot::new();
        self.sim
            .spawner
            .spawn(Owner::Outside, carry(Arc::clone(&self.sim), self.gateway, letter, cell, answer.clone()));
        self.sim.dies_at(self.gateway, cell, "on_the_way").await;
        answer.await
    }
}

/// The network, and the receiver: nothing here ends with the gateway that sent it.
async fn carry(
    sim: Arc<Sim>,
    gateway: usize,
    letter: Letter,
    cell: Cell,
    answer: Slot<Result<(), NotTaken>>,
) {
    // Sometimes longer than a gateway waits.
    let most_ms = sim.dice(|dice| *dice.one_of(&[200, 200, 200, 30_000]));
    sim.within(most_ms).await;
    match cell.answer {
        "unreached" => return answer.put(Err(NotTaken::Unreached(said("no route")))),
        "declines" => return answer.put(Err(NotTaken::Declined(said("404")))),
        "hangs" => return,
        _ => {}
    }
    if let Err(why) = sim.telling(|telling| telling.arrives(&letter)) {
        sim.broken(why);
    }
    if cell.crash == "done" {
        sim.log(|| format!("gateway {gateway} dies when {} is told", letter.id));
        return sim.kill(gateway);
    }
    sim.within(100).await;
    if cell.answer == "takes" {
        answer.put(Ok(()));
    }
}

impl Carrier for Post {
    fn hand_over(&self, letter: Letter) -> Handing<'_> {
        Box::pin(self.handed_over(letter))
    }
}
