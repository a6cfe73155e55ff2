//! What hospitals do in one run: stays of people close to their caps, sent more than once and from both sides,
//! reversals, charges that come late, a second settlement after the first was taken back.

use std::sync::Arc;

use jiff::Timestamp;
use yizhan::intake::inbound::Channel;
use yizhan::intake::{Profiles, door};
use yizhan::settlement::message::Message;

use super::dice::Dice;
use super::promises::Limits;
use crate::gateway::Sent;

/// One message on its way, and when it is sent first.
#[derive(Clone)]
pub(crate) struct Sending {
    pub(crate) visit: Arc<str>,
    pub(crate) message: Message,
    pub(crate) raw: Vec<u8>,
    pub(crate) at_ms: u64,
}

impl Sending {
    pub(crate) fn of(sent: &Sent, at_ms: u64, profiles: &Profiles, now: Timestamp) -> Self {
        let (raw, format) = sent.bytes();
        let inbound = door::read(&raw, format, Channel::default(), profiles, now).unwrap();
        Self { visit: sent.visit.as_str().into(), message: inbound.message, raw, at_ms }
    }
}

pub(crate) struct Workload {
    pub(crate) sendings: Vec<Sending>,
    /// Stays a desk takes back once they are settled, not before this time.
    pub(crate) reversals: Vec<(Arc<str>, u64)>,
    pub(crate) visits: Vec<Arc<str>>,
}

/// Two people of the samples: one whose supplementary insurance is nearly used up, a resident near the cap of the
/// insurance against critical illness.
pub(crate) const PEOPLE: [(&str, &str); 2] = [("li", "371323196111033175"), ("zhou", "371323197405098155")];

pub(crate) fn limits() -> Limits {
    Limits {
        openings: vec![("li", "supplementary", "291000.00"), ("zhou", "critical_illness", "388000.00")],
        caps: vec![("li", "supplementary", "300000.00"), ("zhou", "critical_illness", "400000.00")],
        admissions: [("li", 2), ("zhou", 2)].into(),
    }
}

/// In the form of an import of openings.
pub(crate) const OPENINGS: &str = "id_number,payer,year,base,paid,admissions,as_of\n\
    371323196111033175,supplementary,2020,300000.00,291000.00,2,2020-06-01\n\
    371323197405098155,critical_illness,2020,700000.00,388000.00,2,2020-06-01\n";

pub(crate) fn discharge(who: &str, visit: &str, id: String, amount: u64) -> Sent {
    Sent {
        kind: "json".to_owned(),
        id,
        who: Some(who.to_owned()),
        visit: visit.to_owned(),
        admitted: Some("2020-06-01".to_owned()),
        discharged: Some("2020-06-11".to_owned()),
        lines: vec![format!("1 CG SUR09 {amount}.00"), format!("2 CG DRU05 {}.00", amount / 7 + 1)],
        ..Sent::default()
    }
}

/// A charge that was written down after the patient had gone.
pub(crate) fn late(who: &str, visit: &str, id: String) -> Sent {
    Sent {
        kind: "DFT^P03".to_owned(),
        id,
        who: Some(who.to_owned()),
        visit: visit.to_owned(),
        admitted: Some("2020-06-01".to_owned()),
        lines: vec!["9 CG LAB01 88.00".to_owned()],
        ..Sent::default()
    }
}

impl Workload {
    pub(crate) fn of(seed: u64, profiles: &Profiles, now: Timestamp) -> Self {
        let mut dice = Dice::of(seed ^ 0x05ca_1ab1_e0dd_ba11);
        let mut work = Self { sendings: Vec::new(), reversals: Vec::new(), visits: Vec::new() };
        let stays = dice.between(3, 4);
        for nth in 0..stays {
            // The first two are of one person.
            let (who, _) = if nth < 2 { PEOPLE[0] } else { *dice.one_of(&PEOPLE) };
            let visit = format!("{who}{nth}");
            let amount = dice.between(9_000, 60_000);
            let at_ms = dice.below(20_000);
            let mut send = |sent: Sent, at_ms: u64| work.send(&sent, at_ms, profiles, now);
            send(discharge(who, &visit, format!("m{nth}"), amount), at_ms);
            if dice.percent(50) {
                send(discharge(who, &visit, format!("m{nth}"), amount), at_ms + dice.below(4_000));
            }
            if dice.percent(40) {
                send(discharge(who, &visit, format!("again{nth}"), amount), at_ms + dice.below(40_000));
            }
            if dice.percent(40) {
                send(late(who, &visit, format!("late{nth}")), at_ms + dice.below(60_000));
            }
            let is_reversed = nth == 0 || dice.percent(30);
            if is_reversed && dice.percent(40) {
                send(discharge(who, &visit, format!("anew{nth}"), amount), 100_000 + dice.below(60_000));
            }
            let visit: Arc<str> = visit.into();
            work.visits.push(Arc::clone(&visit));
            if is_reversed {
                work.reversals.push((visit, dice.between(5_000, 90_000)));
            }
        }
        work
    }

    fn send(&mut self, sent: &Sent, at_ms: u64, profiles: &Profiles, now: Timestamp) {
        self.sendings.push(Sending::of(sent, at_ms, profiles, now));
    }
}
