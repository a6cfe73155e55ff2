//! Taking what is due: read in bounds, one stay's for each receiver, hidden from other gateways meanwhile.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future;
use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;

use super::delivery::DELIVERY_TIMEOUT_S;
use super::pace::backoff;
use crate::intake::profile::ReturnAddress;
use crate::intake::{Profile, Profiles};
use crate::settlement::gateway::Gateway;
use crate::store::{OutboxEntry, Store, StoreError};

/// Entries read at once.
const HEADS_MAX: u32 = 64;
/// A delivery is nobody else's for this long, reckoned from before it is taken.
const HIDDEN: SignedDuration = SignedDuration::from_secs(DELIVERY_TIMEOUT_S as i64 + 10);
/// It is begun only where as much of that is left: longer than it can take.
const LEFT: SignedDuration = SignedDuration::from_secs(DELIVERY_TIMEOUT_S as i64);

/// An entry, and where it goes.
pub(super) struct Due {
    pub(super) entry: OutboxEntry,
    pub(super) profile: Arc<Profile>,
    pub(super) address: ReturnAddress,
}

/// What is this gateway's to deliver now.
pub(super) struct Taken {
    pub(super) taken: Vec<Due>,
    /// Whether others may be due behind what was read; or why not all could be read or taken.
    pub(super) is_more: Result<bool, StoreError>,
}

/// At most `room`, each for another receiver, of hospitals that are not `busy`.
pub(super) async fn take(
    gateway: &Gateway,
    profiles: &Profiles,
    busy: Vec<Arc<str>>,
    room: usize,
    now: Timestamp,
) -> Taken {
    let (store, clock) = (gateway.store(), &gateway.runtime().clock);
    let read = match store.outbox_due(now, busy, HEADS_MAX).await {
        Ok(read) => read,
        Err(error) => return Taken { taken: Vec::new(), is_more: Err(error) },
    };
    let were_all_read = read.len() < HEADS_MAX as usize;
    let (mut due, mut homeless, mut addresses) = (Vec::new(), Vec::new(), HashSet::new());
    for entry in read {
        let profile = profiles.of_hospital(&entry.hospital);
        match profile.and_then(|profile| Some((profile, profile.return_address.as_ref()?))) {
            None => homeless.push(entry),
            Some((profile, address)) if due.len() < room && addresses.insert(address.to_string()) => {
                due.push(Due { entry, profile: Arc::clone(profile), address: address.clone() });
            }
            Some(_) => {}
        }
    }
    // Side by side: what a store writes at one moment costs it little more than one of them.
    let until = later(clock.now(), HIDDEN);
    let taking = due.iter().map(|due| store.outbox_take(due.entry.clone(), until));
    let are_taken = future::join_all(taking).await;
    let is_in_time = later(clock.now(), LEFT) <= until;
    // Where not all were read, those of receivers that are busy now may have hidden those of others.
    let moves_on = !due.is_empty() || !homeless.is_empty();
    let mut is_more = Ok(moves_on && !were_all_read);
    let mut taken = Vec::new();
    for (due, is_taken) in due.into_iter().zip(are_taken) {
        match is_taken {
            Ok(true) if is_in_time => taken.push(due),
            // It comes again when its time is up.
            Ok(true) => {}
            // Another gateway was faster; what this receiver is to be told behind it was passed over.
            Ok(false) => is_more = is_more.map(|_| true),
            Err(error) => is_more = Err(error),
        }
    }
    let put_off = put_off(store, homeless, now).await;
    Taken { taken, is_more: put_off.and(is_more) }
}

/// One after the other: there may be many, and deliveries wait for the same connections.
async fn put_off(
    store: &Arc<dyn Store>,
    homeless: Vec<OutboxEntry>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for entry in homeless {
        let why = "该院配置中没有 return_address | the hospital's profile has no return_address";
        store.outbox_failed(entry, backoff(u32::MAX, now), why.to_owned()).await?;
    }
    Ok(())
}
