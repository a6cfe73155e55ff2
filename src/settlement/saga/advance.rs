//! What a saga wants next, as it stands after an event.

use yizhan_contract::Money;
use yizhan_contract::instant::later;

use super::event::{Part, Wanted};
use super::step::Turn;
use super::{Call, Course, LEASE, Sent, Why, leaves_before};

impl Turn {
    pub(super) fn advance(&mut self) {
        if self.saga.course == Course::Committing
            && let Some(why) = self.failed()
        {
            self.give_up(why);
        }
        match self.saga.course.clone() {
            Course::Committing => self.commit(),
            Course::Delivering => self.deliver(),
            Course::Undoing(why) => self.take_back(Course::Undone(why)),
            Course::Reversing(ordered) => self.take_back(Course::Reversed(ordered)),
            Course::Requoting => {}
            Course::Committed | Course::Undone(_) | Course::Reversed(_) => self.finish(),
        }
    }

    /// Why the settlement cannot come to be.
    fn failed(&self) -> Option<Why> {
        let calls = self.saga.calls.iter().enumerate();
        calls.filter(|(nth, _)| !self.saga.is_hospitals(*nth)).find_map(|(_, call)| failed(call))
    }

    fn commit(&mut self) {
        let moved = self.moved();
        if moved.is_some_and(|wave| self.is_known_beside(wave)) {
            self.saga.course = Course::Requoting;
            self.wanted.push(Wanted::Requote);
            return;
        }
        let calls = || self.saga.calls.iter().enumerate();
        let is_waited_for = |nth: usize, call: &Call| {
            // Whoever is to be quoted away, or around whom is quoted anew, has to be known first.
            let is_excused = self.saga.is_hospitals(nth) && (moved.is_none() || !call.is_under_way());
            !call.is_committed() && !is_excused
        };
        let open = calls().filter(|(nth, call)| is_waited_for(*nth, call));
        let Some(wave) = open.map(|(_, call)| call.wave).min() else {
            let is_all = calls().all(|(nth, _)| !self.saga.is_hospitals(nth));
            self.saga.course = if is_all { Course::Committed } else { Course::Delivering };
            return self.finish();
        };
        let is_its_wave = |call: &Call| call.wave == wave && moved.is_none_or(|moved| wave <= moved);
        for nth in 0..self.saga.calls.len() {
            let call = &mut self.saga.calls[nth];
            match call.commit.state {
                _ if call.undo.as_ref().is_some_and(|fence| fence.state == Sent::Intended) => {
                    self.send(nth, Part::Undo);
                }
                Sent::Intended if is_its_wave(call) => self.send(nth, Part::Commit),
                // It waits, and nobody has to ask what became of it.
                Sent::Intended => call.in_doubt_since = None,
                Sent::Fenced if is_its_wave(call) => {
                    self.wanted.push(Wanted::Prepare { call: nth, part: Part::Commit });
                }
                _ => {}
            }
        }
    }

    /// The first wave of which one confirmed another amount than it quoted: those behind were quoted on the old one.
    fn moved(&self) -> Option<u8> {
        let moved = self.saga.calls.iter().filter(|call| call.has_moved() && !call.is_advanced);
        moved.map(|call| call.wave).min()
    }

    /// Whether all that can be known is, once payers of this wave have moved: who takes over may hear of a later wave
    /// first, and one that may have paid must not be quoted away.
    fn is_known_beside(&self, wave: u8) -> bool {
        let is_settled = |nth: usize, call: &Call| {
            let may_wait = wave < call.wave || self.saga.is_hospitals(nth);
            call.is_committed() || (may_wait && !call.is_under_way())
        };
        self.saga.calls.iter().enumerate().all(|(nth, call)| is_settled(nth, call))
    }

    /// The deferred payer's part alone: committed, or clear, it is over, and nothing else is touched.
    fn deliver(&mut self) {
        for nth in 0..self.saga.calls.len() {
            let is_given_up = self.saga.is_given_up(nth);
            let call = &self.saga.calls[nth];
            let can_undo = call.terms.reverse_window_s.is_some();
            match (&call.commit.state, call.undo.as_ref().map(|undo| &undo.state)) {
                (_, Some(Sent::Intended)) => self.send(nth, Part::Undo),
                (Sent::Intended, None) => self.send(nth, Part::Commit),
                (Sent::Fenced, _) => self.wanted.push(Wanted::Prepare { call: nth, part: Part::Commit }),
                (Sent::Done { .. }, None) if is_given_up && can_undo => {
                    self.wanted.push(Wanted::Prepare { call: nth, part: Part::Undo });
                }
                _ => {}
            }
        }
        let is_over = |(nth, call): (usize, &Call)| match call.commit.state {
            Sent::Done { .. } => call.is_clear() || !self.saga.is_given_up(nth),
            Sent::Fenced => false,
            _ => call.is_clear(),
        };
        if self.saga.calls.iter().enumerate().all(is_over) {
            self.saga.course = Course::Committed;
            self.finish();
        }
    }

    /// Takes back whatever was committed, and settles first what nobody knows.
    fn take_back(&mut self, end: Course) {
        for nth in 0..self.saga.calls.len() {
            let call = &mut self.saga.calls[nth];
            let can_undo = call.terms.reverse_window_s.is_some();
            match (&call.commit.state, call.undo.as_ref().map(|undo| &undo.state)) {
                (Sent::Intended, _) => call.commit.state = Sent::Dropped,
                (_, Some(Sent::Intended)) => self.send(nth, Part::Undo),
                (Sent::Done { .. }, None) if can_undo => {
                    self.wanted.push(Wanted::Prepare { call: nth, part: Part::Undo });
                }
                _ => {}
            }
        }
        if self.saga.calls.iter().all(Call::is_clear) {
            self.saga.course = end;
            self.finish();
        }
    }

    fn send(&mut self, nth: usize, part: Part) {
        let at = self.at;
        if let Some(operation) = self.saga.calls[nth].operation_mut(part) {
            operation.state = Sent::Awaited;
            // Meant to be sent long ago, in a wave that had to wait: whoever takes over must know how late it left.
            if operation.leaves_before < later(at, LEASE) {
                operation.leaves_before = leaves_before(at);
                self.is_to_be_kept = true;
            }
            self.wanted.push(Wanted::Send { call: nth, part });
        }
    }

    fn finish(&mut self) {
        self.wanted.push(Wanted::Finish);
    }

    /// Unknown outcomes whose time has come are asked about. A commit that is being fenced off is not: the
    /// fence decides.
    pub(super) fn ask(&mut self) {
        for nth in 0..self.saga.calls.len() {
            let call = &mut self.saga.calls[nth];
            let part = if call.undo.is_some() { Part::Undo } else { Part::Commit };
            let operation = call.operation_mut(part);
            if operation.is_some_and(|operation| operation.is_to_be_asked(self.at)) {
                self.wanted.push(Wanted::Ask { call: nth, part });
            }
        }
    }

    pub(super) fn wake(&mut self) {
        let ask_at = |call: &Call| {
            let part = if call.undo.is_some() { Part::Undo } else { Part::Commit };
            match call.operation(part)?.state {
                Sent::Unknown { ask_at, .. } => Some(ask_at),
                _ => None,
            }
        };
        let asked = self.saga.calls.iter().filter_map(ask_at).min();
        let wake = [asked, self.saga.attention_due()].into_iter().flatten().min();
        self.wanted.extend(wake.map(|at| Wanted::Wake { at }));
    }
}

impl Call {
    /// Its payer may be at work.
    fn is_under_way(&self) -> bool {
        matches!(self.commit.state, Sent::Awaited | Sent::Unknown { .. })
    }
}

/// Why a call ends the whole settlement.
fn failed(call: &Call) -> Option<Why> {
    let payer = || call.legs.first().map(|(payer, _)| payer.clone());
    match &call.commit.state {
        Sent::Refused { code, message } => {
            Some(Why::Refused { payer: payer()?, code: code.clone(), message: message.clone() })
        }
        Sent::Done { amounts, .. } if call.terms.quotes_are_firm && !call.is_as_quoted(amounts) => {
            let sum = |legs: &[(_, Money)]| legs.iter().map(|(_, amount)| *amount).sum();
            Some(Why::Breach { payer: payer()?, quoted: sum(&call.legs), committed: sum(amounts) })
        }
        _ => None,
    }
}
