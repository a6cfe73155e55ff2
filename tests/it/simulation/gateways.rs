//! The gateways of one run: begun, killed, made to stand still, begun again.

use std::sync::Arc;

use jiff::SignedDuration;
use yizhan::outbox::Outbox;
use yizhan::runtime::{Clock, Ids, Runtime, Shutdown};
use yizhan::settlement::gateway::{Gateway, Hospitals, Pursuit};
use yizhan::settlement::payers::Payers;
use yizhan::settlement::saga::Stepping;
use yizhan_contract::payer::Payer;
use yizhan_rules::PolicyShelf;

use super::clock::Skewed;
use super::faults::Faulty;
use super::mutant::Adapter;
use super::payer::Line;
use super::receivers::Post;
use super::tasks::Owner;
use super::watched;
use super::world::World;

/// How often a gateway looks for what is due.
const DUE: SignedDuration = SignedDuration::from_secs(7);

/// A gateway that lives.
pub(crate) struct Running {
    gateway: Gateway,
    /// Its ports take something in: not before everything it held when it died is in hand again.
    is_open: bool,
}

impl World {
    /// One that answers, unless the one asked for does not.
    pub(crate) fn gateway(&self) -> Option<(usize, Gateway)> {
        let gateways = self.gateways.lock().unwrap();
        let nth = self.sim.dice(|dice| dice.index(gateways.len()));
        gateways[nth].as_ref().filter(|running| running.is_open).map(|running| (nth, running.gateway.clone()))
    }

    fn open_ports(&self, nth: usize) {
        self.gateways.lock().unwrap()[nth].as_mut().unwrap().is_open = true;
        self.sim.log(|| format!("gateway {nth} opens its ports"));
    }

    /// A gateway that has died comes back after a while, under its name.
    pub(super) fn bury(self: &Arc<Self>, gateway: usize) {
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

    pub(super) fn start(self: &Arc<Self>, nth: usize) {
        let (sim, ahead) = (Arc::clone(&self.sim), self.ahead[nth]);
        let inner = Arc::clone(&self.store);
        let faulty = Faulty { inner, sim: Arc::clone(&sim), gateway: nth, mutant: self.mutant.clone() };
        let line = |line: &Line| {
            let line = Line { gateway: nth, ahead, ..line.clone() };
            let name = Arc::clone(&line.name);
            let payer: Arc<dyn Payer> = match self.mutant.clone() {
                Some(mutant) => Arc::new(Adapter { line, mutant }),
                None => Arc::new(line),
            };
            (name, payer)
        };
        let payers = Arc::new(Payers::new(self.lines.iter().map(line).collect()).unwrap());
        let ids = Arc::clone(&self.ids) as Arc<dyn Ids>;
        let runtime = Runtime { clock: Arc::new(Skewed { clock: sim.clock.clone(), ahead }), ids };
        let policies: Arc<PolicyShelf> = Arc::clone(&self.opened.policies);
        payers.check(&policies).unwrap();
        let hospitals: Hospitals = Arc::clone(&self.opened.hospitals);
        let name: Arc<str> = format!("gateway-{nth}").into();
        let gateway = Gateway::new(Arc::new(faulty), policies, hospitals, payers, name, runtime)
            .stepping_by(Stepping(watched::step));
        self.gateways.lock().unwrap()[nth] = Some(Running { gateway: gateway.clone(), is_open: false });
        sim.log(|| format!("gateway {nth} starts"));
        let post = Post { sim: Arc::clone(&sim), gateway: nth, dead: self.dead, mutant: self.mutant.clone() };
        let outbox = Outbox::over(gateway.clone(), Arc::clone(&self.opened.profiles), Arc::new(post));
        sim.spawner.spawn(Owner::Gateway(nth), serve(Arc::clone(self), gateway, outbox, nth));
    }

    /// Gateways die or stand still wherever they are.
    pub(super) async fn weather(self: Arc<Self>, is_scripted: bool) {
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

/// What the product's `serve` does: takes up what it held when it died, then opens its ports, tells the hospitals, and
/// takes up what is due.
async fn serve(world: Arc<World>, gateway: Gateway, outbox: Outbox, nth: usize) {
    let sim = &world.sim;
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
    world.open_ports(nth);
    let (stop, stopped) = Shutdown::new();
    sim.spawner.spawn(Owner::Gateway(nth), async move {
        outbox.serve(stopped).await;
        drop(stop);
    });
    loop {
        take_up(gateway.due(gateway.runtime().now(), 20).await.unwrap_or_default());
        sim.clock.sleep_until(sim.now() + DUE).await;
    }
}
