//! What hospitals and their desks do in one run: stays of people close to their caps, at hospitals of different
//! habits, sent more than once and from both sides, quoted and agreed to, taken back, with charges that come late.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use yizhan::intake::inbound::Channel;
use yizhan::intake::{Profiles, door};
use yizhan::settlement::message::{Message, Mode, Trigger};

use super::dice::Dice;
use super::promises::Limits;
use crate::gateway::Sent;

/// Sends whole documents.
pub(crate) const COUNTY: &str = "H37132301";
/// Sends pieces, and settles once charges are quiet; advances what an optional payer has quoted firmly.
pub(crate) const TOWNSHIP: &str = "H37132302";
/// Its desk sees a quote first; it advances too.
pub(crate) const CITY: &str = "H37130001";

/// Receivers, and what each profile says beside the sample's.
pub(crate) const HABITS: [(&str, &str, &str); 3] = [
    (COUNTY, "county", "return_address = \"https://county/bills\""),
    (
        TOWNSHIP,
        "township",
        "return_address = \"https://township/bills\"\ncharges_quiet_s = 20\nhospital_advances = true",
    ),
    (
        CITY,
        "city:2575",
        "return_address = \"city:2575\"\nsettle_on = \"desk\"\ncharges_quiet_s = 15\nhospital_advances = true",
    ),
];
/// Those of them that advance.
const ADVANCING: [&str; 2] = [TOWNSHIP, CITY];

/// One message on its way, and when it is sent first.
#[derive(Clone)]
pub(crate) struct Sending {
    pub(crate) visit: Arc<str>,
    pub(crate) message: Message,
    pub(crate) raw: Vec<u8>,
    pub(crate) at_ms: u64,
    /// As the sender asks; absent: as the profile says.
    pub(crate) mode: Option<Mode>,
}

impl Sending {
    pub(crate) fn of(sent: &Sent, at_ms: u64, profiles: &Profiles, now: Timestamp) -> Self {
        let (raw, format) = sent.bytes();
        let inbound = door::read(&raw, format, Channel::default(), profiles, now).unwrap();
        Self { visit: sent.visit.as_str().into(), message: inbound.message, raw, at_ms, mode: None }
    }
}

pub(crate) enum Act {
    /// One message after the other, each once its time has come and the one before was answered.
    Send(Vec<Sending>),
    /// A clerk asks for a quote, again where it was not given or charges change, and agrees to it. Without a document the
    /// visit is quoted when it is closed.
    Agree { visit: Arc<str>, asks: Vec<Sending>, not_before_ms: u64 },
    /// A desk takes a stay back once it is settled.
    TakeBack { visit: Arc<str>, not_before_ms: u64 },
}

pub(crate) struct Workload {
    pub(crate) acts: Vec<Act>,
    /// Visit numbers, and of which hospital.
    pub(crate) visits: BTreeMap<Arc<str>, &'static str>,
}

/// Which work a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// As dice say, at these hospitals.
    Any { hospitals: &'static [&'static str] },
    /// Three whole documents of one hospital, 20 s apart, each over so many yuan beside its drugs, the second one taken
    /// back later: so that a script knows which stay a fault will meet.
    Plain { hospital: &'static str, amount: u64 },
}

impl Work {
    pub(crate) const ANY: Self = Self::Any { hospitals: &[COUNTY, COUNTY, TOWNSHIP, CITY] };
    /// Clerks ask for quotes and agree to them.
    pub(crate) const QUOTED_FIRST: Self = Self::Any { hospitals: &[CITY] };
    pub(crate) const PLAIN: Self = Self::Plain { hospital: COUNTY, amount: 30_000 };
}

/// Two people of the samples: one whose supplementary insurance is nearly used up, a resident near the cap of the
/// insurance against critical illness.
pub(crate) const PEOPLE: [(&str, &str); 2] = [("li", "371323196111033175"), ("zhou", "371323197405098155")];

pub(crate) fn limits() -> Limits {
    Limits {
        openings: vec![
            ("li", "supplementary", "300000.00", "291000.00"),
            ("zhou", "critical_illness", "700000.00", "388000.00"),
        ],
        caps: vec![("li", "supplementary", "300000.00"), ("zhou", "critical_illness", "400000.00")],
        admissions: [("li", 2), ("zhou", 2)].into(),
        advancing: ADVANCING.to_vec(),
    }
}

/// In the form of an import of openings.
pub(crate) const OPENINGS: &str = "id_number,payer,year,base,paid,admissions,as_of\n\
    371323196111033175,supplementary,2020,300000.00,291000.00,2,2020-06-01\n\
    371323197405098155,critical_illness,2020,700000.00,388000.00,2,2020-06-01\n";

pub(crate) fn discharge(who: &str, visit: &str, id: String, amount: u64) -> Sent {
    let lines = vec![format!("1 CG SUR09 {amount}.00"), format!("2 CG DRU05 {}.00", amount / 7 + 1)];
    Sent { discharged: Some("2020-06-11".to_owned()), lines, ..piece("json", who, visit, id) }
}

/// A charge that was written down after the patient had gone.
pub(crate) fn late(who: &str, visit: &str, id: String) -> Sent {
    Sent { lines: vec!["9 CG LAB01 88.00".to_owned()], ..piece("DFT^P03", who, visit, id) }
}

fn piece(kind: &str, who: &str, visit: &str, id: String) -> Sent {
    Sent {
        kind: kind.to_owned(),
        id,
        who: Some(who.to_owned()),
        visit: visit.to_owned(),
        admitted: Some("2020-06-01".to_owned()),
        ..Sent::default()
    }
}

/// One stay while it is being thought out.
struct Stay<'w> {
    work: &'w mut Workload,
    profiles: &'w Profiles,
    now: Timestamp,
    hospital: &'static str,
    who: &'static str,
    visit: String,
    amount: u64,
    /// Of its first message.
    at_ms: u64,
}

impl Workload {
    pub(crate) fn of(work: Work, seed: u64, profiles: &Profiles, now: Timestamp) -> Self {
        let mut dice = Dice::of(seed ^ 0x05ca_1ab1_e0dd_ba11);
        let is_any = matches!(work, Work::Any { .. });
        let mut workload = Self { acts: Vec::new(), visits: BTreeMap::new() };
        let stays = if is_any { dice.between(3, 4) } else { 3 };
        for nth in 0..stays {
            // The first two are of one person.
            let (who, _) = match nth {
                0 | 1 => PEOPLE[0],
                _ if is_any => *dice.one_of(&PEOPLE),
                _ => PEOPLE[1],
            };
            let hospital = match work {
                Work::Plain { hospital, .. } => hospital,
                Work::Any { hospitals } => *dice.one_of(hospitals),
            };
            let visit = format!("{who}{nth}");
            workload.visits.insert(visit.as_str().into(), hospital);
            let (amount, at_ms) = match work {
                Work::Plain { amount, .. } => (amount, nth * 20_000),
                Work::Any { .. } => (dice.between(9_000, 60_000), dice.below(20_000)),
            };
            let stay = Stay { work: &mut workload, profiles, now, hospital, who, visit, amount, at_ms };
            match (work, hospital) {
                (Work::Plain { .. }, _) => stay.plain(nth),
                (_, TOWNSHIP) => stay.in_pieces(nth, &mut dice),
                (_, CITY) => stay.quoted_first(nth, &mut dice),
                _ => stay.whole(nth, &mut dice),
            }
        }
        workload
    }

    /// Visits and ids of whole documents.
    pub(crate) fn documents(&self) -> Vec<(Arc<str>, String)> {
        let sendings = self.acts.iter().flat_map(|act| match act {
            Act::Send(sendings) | Act::Agree { asks: sendings, .. } => sendings.as_slice(),
            Act::TakeBack { .. } => &[],
        });
        sendings
            .filter(|sending| sending.message.trigger == Trigger::Complete)
            .map(|sending| (Arc::clone(&sending.visit), sending.message.message_id.clone()))
            .collect()
    }
}

impl Stay<'_> {
    fn sending(&self, sent: Sent, at_ms: u64) -> Sending {
        let sent = Sent { hospital: Some(self.hospital.to_owned()), ..sent };
        Sending::of(&sent, at_ms, self.profiles, self.now)
    }

    fn document(&self, id: String, at_ms: u64) -> Sending {
        self.sending(discharge(self.who, &self.visit, id, self.amount), at_ms)
    }

    /// The same stay, with other charges: in time it takes the place of what was sent before, too late it is refused.
    fn corrected(&self, nth: u64, at_ms: u64) -> Sending {
        self.sending(discharge(self.who, &self.visit, format!("corrected{nth}"), self.amount + 77), at_ms)
    }

    fn piece(&self, kind: &str, id: String, lines: &[String], at_ms: u64) -> Sending {
        let discharged = (kind == "ADT^A03").then(|| "2020-06-11".to_owned());
        let lines = lines.to_vec();
        self.sending(Sent { discharged, lines, ..piece(kind, self.who, &self.visit, id) }, at_ms)
    }

    fn late(&self, nth: u64, at_ms: u64) -> Sending {
        self.sending(late(self.who, &self.visit, format!("late{nth}")), at_ms)
    }

    fn send(&mut self, sendings: Vec<Sending>) {
        self.work.acts.push(Act::Send(sendings));
    }

    fn take_back(&mut self, not_before_ms: u64) {
        let visit = self.visit.as_str().into();
        self.work.acts.push(Act::TakeBack { visit, not_before_ms });
    }

    fn plain(mut self, nth: u64) {
        let document = self.document(format!("m{nth}"), self.at_ms);
        self.send(vec![document]);
        if nth == 1 {
            self.take_back(90_000);
        }
    }

    /// One document, and what may come beside it: the same again, under its id or another; a late charge; other
    /// charges; the discharge taken back, at a desk or by the ward, and the same sent anew.
    fn whole(mut self, nth: u64, dice: &mut Dice) {
        let at_ms = self.at_ms;
        let mut beside = vec![self.document(format!("m{nth}"), at_ms)];
        if dice.percent(50) {
            beside.push(self.document(format!("m{nth}"), at_ms + dice.below(4_000)));
        }
        if dice.percent(40) {
            beside.push(self.document(format!("again{nth}"), at_ms + dice.below(40_000)));
        }
        if dice.percent(40) {
            beside.push(self.late(nth, at_ms + dice.below(60_000)));
        }
        if dice.percent(30) {
            beside.push(self.corrected(nth, at_ms + dice.below(20_000)));
        }
        beside.into_iter().for_each(|sending| self.send(vec![sending]));
        let anew_ms = 100_000 + dice.below(60_000);
        let anew = dice.percent(40).then(|| self.document(format!("anew{nth}"), anew_ms));
        match dice.below(10) {
            0 | 1 => {
                let cancelled = self.piece("ADT^A13", format!("a13{nth}"), &[], at_ms + dice.below(60_000));
                self.send([cancelled].into_iter().chain(anew).collect());
            }
            what if what < 5 || nth == 0 => {
                self.take_back(dice.between(5_000, 90_000));
                self.send(anew.into_iter().collect());
            }
            _ => {}
        }
    }

    /// Admission, charges, discharge, one after the other; the discharge may be taken back and come again.
    fn pieces(&self, nth: u64, dice: &mut Dice) -> Vec<Sending> {
        let mut at_ms = self.at_ms;
        let mut next = |dice: &mut Dice| {
            at_ms += dice.below(8_000);
            at_ms
        };
        let [surgery, drugs] =
            [format!("1 CG SUR09 {}.00", self.amount), format!("2 CG DRU05 {}.00", self.amount / 7 + 1)];
        let id = |what: &str| format!("{what}{nth}");
        let mut sent = vec![
            self.piece("ADT^A01", id("a01"), &[], next(dice)),
            self.piece("DFT^P03", id("dft"), &[surgery], next(dice)),
        ];
        let further = self.piece("DFT^P03", id("further"), &[drugs], next(dice));
        let left = self.piece("ADT^A03", id("a03"), &[], next(dice));
        // Charges may be written down after the discharge, while the gateway waits for them to go quiet.
        sent.extend(if dice.percent(50) { [further, left] } else { [left, further] });
        if dice.percent(40) {
            let pause_ms = dice.below(60_000);
            sent.push(self.piece("ADT^A13", id("a13"), &[], next(dice) + pause_ms));
            let more = ["3 CG TRE01 120.00".to_owned()];
            sent.push(self.piece("DFT^P03", id("more"), &more, next(dice) + pause_ms));
            sent.push(self.piece("ADT^A03", id("left"), &[], next(dice) + pause_ms));
        }
        sent
    }

    fn in_pieces(mut self, nth: u64, dice: &mut Dice) {
        let sent = self.pieces(nth, dice);
        self.send(sent);
        if dice.percent(40) {
            let late = self.late(nth, self.at_ms + 20_000 + dice.below(60_000));
            self.send(vec![late]);
        }
        if nth == 0 || dice.percent(30) {
            self.take_back(dice.between(30_000, 100_000));
        }
    }

    /// A clerk sees what the patient will pay before anybody pays.
    fn quoted_first(mut self, nth: u64, dice: &mut Dice) {
        let asks = if dice.percent(50) {
            let sent = self.pieces(nth, dice);
            self.send(sent);
            Vec::new()
        } else {
            let more = *dice.one_of(&[0, 33]);
            let quote = |count: u64| {
                let id = format!("quote{nth}-{count}");
                let sent = discharge(self.who, &self.visit, id, self.amount + more * count);
                Sending { mode: Some(Mode::Quote), ..self.sending(sent, self.at_ms) }
            };
            (0..3).map(quote).collect()
        };
        let visit = self.visit.as_str().into();
        self.work.acts.push(Act::Agree { visit, asks, not_before_ms: self.at_ms });
        if dice.percent(30) {
            let late = self.late(nth, self.at_ms + dice.below(60_000));
            self.send(vec![late]);
        }
        if nth == 0 || dice.percent(30) {
            self.take_back(dice.between(30_000, 100_000));
        }
    }
}
