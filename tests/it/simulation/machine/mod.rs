//! The saga's function alone: no gateway, no store, no payer.
//!
//! [`rules`] is what must hold after every step whatever happens; [`chaos`] lets anything happen, in any order;
//! [`truthful`] plays payers that tell the truth, with gateways dying in between, and compares the ends; [`doubt`] plays
//! one that loses everything, [`advanced`] one whose hospital advances its part; [`given_back`] is what a payer may say of a
//! reversal.

mod advanced;
mod chaos;
mod doubt;
mod given_back;
mod moved;
mod rules;
mod truthful;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use yizhan::settlement::saga::{Call, Operation, Saga, Sent, Terms, plan};
use yizhan_contract::payer::{Manifest, Prepared};
use yizhan_contract::{Money, PayerCode};

use super::dice::Dice;

pub(super) fn start() -> Timestamp {
    "2020-07-02T02:00:00Z".parse().unwrap()
}

pub(super) fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap())
}

/// Ids of operations, in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Ids(u32);

impl Ids {
    pub(super) fn operation(&mut self, at: Timestamp) -> Operation {
        self.0 += 1;
        let id: Arc<str> = format!("op{}", self.0).into();

        Operation::intended(Arc::clone(&id), Prepared::from(id.as_bytes().to_vec()), at)
    }
}

fn manifest(payer: usize, dice: &mut Dice) -> Manifest {
    let quotes_are_firm = dice.percent(60);
    let reverses = !quotes_are_firm || dice.percent(80);
    Manifest {
        quotes_are_firm,
        commits_are_idempotent: dice.percent(50),
        reverse_window_s: reverses.then_some(86_400),
        not_found_settles_after_s: dice.between(0, 60),
        optional: false,
        commits_zero: false,
        concurrency_max: 4,
        ..Manifest::cautious("test", "1", vec![format!("payer_{payer}").parse().unwrap()])
    }
}

fn call(manifest: &Manifest, wave: u8, amount: Money, ids: &mut Ids, at: Timestamp) -> Call {
    Call {
        adapter: manifest.serves[0].as_str().into(),
        terms: Terms::of(manifest),
        wave,
        legs: manifest.serves.iter().map(|payer| (payer.clone(), amount)).collect(),
        quote_id: None,
        kept: yizhan_contract::opaque::Opaque::default(),
        also_paid: Vec::new(),
        commit: ids.operation(at),
        undo: None,
        tombstones: Vec::new(),
        is_advanced: false,
        in_doubt_since: None,
        unusable: Vec::new(),
    }
}

/// A settlement of one to four payers that a gateway would accept: at most one cannot be reversed, and it is firm.
pub(super) fn saga(dice: &mut Dice, ids: &mut Ids) -> Saga {
    let mut is_irreversible_taken = false;
    let manifests: Vec<Manifest> = (0..dice.between(1, 4))
        .map(|payer| {
            let mut manifest = manifest(usize::try_from(payer).unwrap(), dice);
            if manifest.reverse_window_s.is_none() && std::mem::replace(&mut is_irreversible_taken, true) {
                manifest.reverse_window_s = Some(86_400);
            }
            manifest
        })
        .collect();
    let waves = plan::waves(&manifests.iter().collect::<Vec<_>>());
    let calls = manifests.iter().zip(waves).enumerate();
    let calls = calls.map(|(nth, (manifest, wave))| {
        call(manifest, wave, Money::from_fen(1_000 * i64::try_from(nth + 1).unwrap()), ids, start())
    });
    Saga::begun(calls.collect(), "gateway 0".into())
}

/// The same settlement once its payers have committed, all but the last, which was left out and is asked now.
pub(super) fn delivering(saga: Saga) -> Saga {
    let mut saga = saga;
    let Some(left_out) = saga.calls.pop() else { return saga };
    for call in &mut saga.calls {
        let (amounts, reference) = (call.legs.clone(), "R1".to_owned());
        call.commit.state = Sent::Done { amounts, reference, at: start() };
    }
    Saga::delivering(Some(saga), left_out, "gateway 0".into())
}

/// Every leg less by a tenth.
pub(super) fn lowered(legs: &[(PayerCode, Money)]) -> Vec<(PayerCode, Money)> {
    legs.iter().map(|(payer, amount)| (payer.clone(), Money::from_fen(amount.fen() * 9 / 10))).collect()
}
