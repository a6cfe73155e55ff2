//! Which payers are outside, and what their manifests say.

use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use yizhan_contract::payer::{Ask, Manifest, QuotedAmount};
use yizhan_contract::{Money, PayerCode};

use super::books::Books;
use super::dice::Dice;
use super::payer::Line;
use super::sim::Sim;

/// One adapter, in words: name, payers, and what it promises.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) serves: &'static [&'static str],
    pub(crate) is_firm: bool,
    pub(crate) is_idempotent: bool,
    pub(crate) reverses: bool,
    pub(crate) is_optional: bool,
    /// A payer behind it for which it pays [`ALSO`] with every quote.
    pub(crate) also: Option<&'static str>,
}

/// What is paid for another payer.
pub(crate) const ALSO: &str = "12.34";

const BUREAU: Kind = Kind {
    name: "bureau",
    serves: &["basic"],
    is_firm: false,
    is_idempotent: false,
    reverses: true,
    is_optional: false,
    also: None,
};
const INSURER: Kind = Kind {
    name: "insurer",
    serves: &["supplementary"],
    is_firm: true,
    is_idempotent: true,
    reverses: true,
    is_optional: false,
    also: None,
};
const CHARITY: Kind = Kind {
    name: "charity",
    // Next to each other in the order for accidents, so that no rules payer is computed between optional ones.
    serves: &["provider_waiver", "accident"],
    is_idempotent: false,
    is_optional: true,
    ..INSURER
};
const CRITICAL: Kind = Kind { name: "critical", serves: &["critical_illness"], ..INSURER };

/// One to three outside payers between rules payers, such as a gateway accepts: at most one cannot be reversed,
/// and that one is firm.
pub(crate) const CHAINS: &[&[Kind]] = &[
    &[BUREAU, Kind { is_idempotent: false, ..CRITICAL }, INSURER],
    &[BUREAU, INSURER],
    &[Kind { is_idempotent: true, ..BUREAU }, CRITICAL, Kind { reverses: false, ..INSURER }],
    &[Kind { is_firm: true, ..BUREAU }, Kind { is_firm: false, ..CRITICAL }, INSURER],
    &[
        Kind { serves: &["basic", "critical_illness"], also: Some("medical_assistance"), ..BUREAU },
        Kind { is_optional: true, ..INSURER },
    ],
    &[CRITICAL, Kind { is_idempotent: false, reverses: false, ..INSURER }],
    &[Kind { is_firm: true, ..BUREAU }, Kind { is_idempotent: false, ..INSURER }],
    &[Kind { is_idempotent: false, is_optional: true, ..INSURER }],
    &[BUREAU, CHARITY, Kind { is_optional: true, ..INSURER }],
    &[BUREAU, CHARITY, Kind { is_optional: true, reverses: false, ..INSURER }],
];

/// Those of them whose last payers may be left out and asked later, or have their part advanced.
pub(crate) const OPTIONAL: [usize; 4] = [4, 7, 8, 9];

/// Whether a payer of this name is one of those.
pub(crate) fn is_of_optional(name: &str) -> bool {
    [INSURER, CHARITY].iter().any(|kind| kind.name == name)
}

impl Kind {
    /// With the quote of its first payer.
    pub(crate) fn also(&self, ask: &Ask) -> Vec<QuotedAmount> {
        let is_first = ask.legs.first().is_some_and(|leg| leg.payer.as_str() == self.serves[0]);
        let also = |(payer, amount)| QuotedAmount { payer, amount, steps: Vec::new() };
        self.also_paid().filter(|_| is_first).map(also).into_iter().collect()
    }

    pub(crate) fn also_paid(&self) -> Option<(PayerCode, Money)> {
        self.also.map(|payer| (payer.parse().unwrap(), ALSO.parse().unwrap()))
    }

    pub(crate) fn manifest(&self, not_found_settles_after_s: u64) -> Manifest {
        Manifest {
            quotes_are_firm: self.is_firm,
            commits_are_idempotent: self.is_idempotent,
            reverse_window_s: self.reverses.then_some(86_400),
            not_found_settles_after_s,
            optional: self.is_optional,
            commits_zero: false,
            concurrency_max: 4,
            ..Manifest::cautious("test", "1", self.serves.iter().map(|code| code.parse().unwrap()).collect())
        }
    }
}

pub(crate) fn lines(kinds: &[Kind], dice: &mut Dice, sim: &Arc<Sim>) -> Vec<Line> {
    let line = |kind: &Kind| Line {
        name: kind.name.into(),
        kind: *kind,
        manifest: kind.manifest(dice.between(5, 60)),
        books: Arc::new(Mutex::new(Books { is_idempotent: kind.is_idempotent, ..Books::default() })),
        sim: Arc::clone(sim),
        gateway: 0,
        ahead: SignedDuration::ZERO,
    };
    kinds.iter().map(line).collect()
}
