//! What goes wrong, and where: by a script, by an aim, or by dice.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use super::chains::is_of_optional;
use super::coverage::{self, Cell, STORE_FAULTS};
use super::dice::Dice;

/// Chances in a hundred, of the store's in a thousand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// A payer or a receiver does not do the plain thing.
    pub(crate) answer: u64,
    /// A gateway dies at a call to one of them.
    pub(crate) death: u64,
    /// A gateway dies at a call to the store.
    pub(crate) store_death: u64,
    /// The store does not do what it is asked, or does not say whether it did.
    pub(crate) store_fault: u64,
}

impl Rates {
    pub(crate) const NONE: Self = Self { answer: 0, death: 0, store_death: 0, store_fault: 0 };
}

/// A fault at a place: the n-th time this event comes to this payer, receiver or store (`*`: any, counted together).
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    pub(crate) adapter: String,
    pub(crate) event: String,
    pub(crate) nth: u32,
    pub(crate) answer: String,
    pub(crate) crash: String,
}

impl Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { adapter, event, nth, answer, crash } = self;
        write!(f, "{adapter} {event} {nth} {answer} {crash}")
    }
}

pub(crate) struct Choosing {
    pub(crate) dice: Dice,
    rates: Rates,
    /// Cells to come through, each at its first chance.
    aims: Vec<Cell>,
    script: Vec<Scripted>,
    counts: BTreeMap<(String, String), u32>,
}

impl Choosing {
    pub(crate) fn new(dice: Dice, rates: Rates, aims: Vec<Cell>, script: Vec<Scripted>) -> Self {
        Self { dice, rates, aims, script, counts: BTreeMap::new() }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm_down(&mut self) {
        self.rates = Rates::NONE;
        self.aims.clear();
        self.script.clear();
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.rates.answer == 0
    }

    pub(crate) fn choose(
        &mut self,
        name: &str,
        (state, event): (&'static str, &'static str),
        plain: &'static str,
        others: &[&'static str],
    ) -> Cell {
        let scripted = self.scripted(name, event);
        let may = |answer: &str| answer == plain || others.contains(&answer);
        if let Some((answer, crash)) = scripted {
            return Cell { state, event, answer, crash };
        }
        if let Some(aim) = self.aimed((state, event), may) {
            return aim;
        }
        if let Some(answer) = self.lead(name, (state, event)).filter(|answer| may(answer)) {
            return Cell { state, event, answer, crash: "-" };
        }
        let is_plain = others.is_empty() || !self.dice.percent(self.rates.answer);
        let answer = if is_plain { plain } else { *self.dice.one_of(others) };
        let dies = self.dice.percent(self.rates.death);
        let crash = if dies { *self.dice.one_of(&["before", "on_the_way", "done"]) } else { "-" };
        Cell { state, event, answer, crash }
    }

    pub(crate) fn choose_at_store(
        &mut self,
        (state, event): (&'static str, &'static str),
        is_read: bool,
    ) -> Cell {
        let scripted = self.scripted("store", event);
        if let Some((answer, crash)) = scripted {
            return Cell { state, event, answer, crash };
        }
        if let Some(aim) = self.aimed((state, event), |_| true) {
            return aim;
        }
        let at_rate = |dice: &mut Dice, rate: u64| dice.below(1_000) < rate;
        let (plain, faults) = if is_read { ("reads", &STORE_FAULTS[..1]) } else { ("writes", STORE_FAULTS) };
        if at_rate(&mut self.dice, self.rates.store_fault) {
            let answer = *self.dice.one_of(faults);
            return Cell { state, event, answer, crash: "-" };
        }
        let dies = at_rate(&mut self.dice, self.rates.store_death);
        let crash = if dies { *self.dice.one_of(&["before", "after"]) } else { "-" };
        Cell { state, event, answer: plain, crash }
    }

    fn aimed(&mut self, (state, event): (&str, &str), may: impl Fn(&str) -> bool) -> Option<Cell> {
        let fits = |aim: &Cell| aim.state == state && aim.event == event && may(aim.answer);
        let at = self.aims.iter().position(fits)?;
        Some(self.aims.remove(at))
    }

    /// What brings a stay to where an aim is: to be quoted again, an amount has to differ; to be taken back, a
    /// payer has to refuse while another is not heard of; to be fenced off, a commit has to get lost; to be asked
    /// later, the last payer has to be away first; for its hospital to advance its part, it must not be heard of, and to
    /// bear it, it has to refuse then.
    fn lead(&mut self, name: &str, (state, event): (&str, &str)) -> Option<&'static str> {
        let leads = |aim: &&Cell| match (event, aim.state) {
            ("quote", "delivering") => state == "waiting" && is_of_optional(name),
            ("commit", "delivering") => state == "delivering",
            ("commit", "advanced" | "borne") => state == "committing" && is_of_optional(name),
            ("commit", _) => !matches!(state, "delivering" | "advanced"),
            _ => false,
        };
        let ways = |aim: &Cell| -> Option<&[&'static str]> {
            Some(match (aim.state, aim.event) {
                ("delivering", _) if event == "quote" => &["unavailable", "hangs"],
                ("delivering", "status") if aim.answer == "refused" => &["refuses_unheard"],
                ("delivering", "status") => &["times_out_before", "times_out_after", "late", "breaks_off"],
                ("delivering", "reverse") => &["times_out_before", "more"],
                ("advanced", "status") if aim.answer == "refused" => &["refuses_unheard"],
                ("advanced", "status") => &["times_out_before", "times_out_after", "late", "breaks_off"],
                ("advanced", "reverse") => &["times_out_before", "other_amount", "more"],
                ("advanced", _) => &["times_out_before"],
                ("borne", _) => &["refuses_unheard"],
                ("requoting", _) => &["other_amount", "commits"],
                ("undoing", "status") if aim.answer == "refused" => &["refuses", "refuses_unheard"],
                ("undoing", "status") => &["refuses", "refuses_unheard", "times_out_after", "commits"],
                ("undoing", _) => &["refuses", "commits"],
                ("committing", "reverse") => &["times_out_before", "commits"],
                _ => return None,
            })
        };
        let ways = self.aims.iter().filter(leads).find_map(ways)?;
        Some(*self.dice.one_of(ways))
    }

    fn scripted(&mut self, adapter: &str, event: &str) -> Option<(&'static str, &'static str)> {
        let mut found = None;
        for of in [adapter, "*"] {
            let count = self.counts.entry((of.to_owned(), event.to_owned())).or_default();
            *count += 1;
            let count = *count;
            let fits = |line: &&Scripted| line.adapter == of && line.event == event && line.nth == count;
            found = found.or_else(|| self.script.iter().find(fits));
        }
        found.map(|line| (word(&line.answer), word(&line.crash)))
    }
}

/// The word as the table has it.
fn word(text: &str) -> &'static str {
    let cells = coverage::reachable();
    let words = cells.iter().flat_map(|cell| [cell.answer, cell.crash]).chain(["stalls"]);
    words.into_iter().find(|word| *word == text).unwrap_or_else(|| panic!("no such word: {text}"))
}
