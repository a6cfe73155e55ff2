//! A gateway with one mistake in it: each is one that somebody could make, at the saga's function, at the store, at a
//! payer or on the way to a hospital.

mod at_advance;
mod at_payers;
mod at_step;
mod at_store;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use uuid::Uuid;
use yizhan::store::AccumulatorMove;

pub(crate) use at_payers::{Adapter, newest_first};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    SkipIntent,
    RetryUnderNewId,
    DropTheFence,
    IgnoreTombstones,
    CompensateUnknown,
    TrustNotFoundEarly,
    DoubleTheAccumulator,
    ReverseTheQuote,
    AcknowledgeBeforeDurable,
    StaleEpochWrites,
    KeepReservationOfRefused,
    IgnoreDrift,
    OneIdForTwoLegs,
    PostAtIntent,
    DeliverTwice,
    // Written by somebody who saw the saga's function and the ports, and none of the promises.
    FinishTooEarly,
    TakeOverAsOwn,
    UnknownIsNo,
    PendingIsNo,
    ForgetToWake,
    ReverseTheFirstOnly,
    SendAgainInTheCall,
    ReserveNothing,
    CountNoBase,
    HandleTwice,
    IntentOfNobody,
    HideAttention,
    AgreeToAnything,
    LoseLateLines,
    ForgetToTell,
    TellUnderNewId,
    TellTheNewestFirst,
    LookPastReservations,
    KeepAnEarlierTime,
    ForgetWhatElseIsPaid,
    TrustLapsedQuotes,
    OverwriteTheBill,
    BelieveAnyReversal,
    // With what a hospital advances.
    RaiseTheShare,
    AdvanceAnywhere,
    TakeAdvanceForPaid,
    CountTheAdvanceTwice,
    BearInSilence,
}

pub(crate) struct Mutant {
    pub(crate) mistake: Mistake,
    /// What each settlement set aside first.
    quoted: Mutex<BTreeMap<Uuid, Vec<AccumulatorMove>>>,
    is_dropped: Mutex<bool>,
}

impl Mutant {
    pub(crate) fn of(mistake: Mistake) -> Arc<Self> {
        Arc::new(Self { mistake, quoted: Mutex::default(), is_dropped: Mutex::default() })
    }
}
