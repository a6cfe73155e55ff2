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
use crate::store::{OutboxEntry, StoreError};

/// Entries read at once.
const HEADS_MAX: u32 = 64;
/// A delivery that was begun is nobody else's for this long: longer than any delivery takes.
const HIDDEN_S: i64 = DELIVERY_TIMEOUT_S as i64 + 10;

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
    let store = gateway.store();
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
    let until = later(now, SignedDuration::from_secs(HIDDEN_S));
    let taking = due.iter().map(|due| store.outbox_take(due.entry.clone(), until));
    let putting_off = homeless.into_iter().map(|entry| {
        let why = "该院配置中没有 return_address | the hospital's profile has no return_address";
        store.outbox_failed(entry, backoff(u32::MAX, now), why.to_owned())
    });
    let (are_taken, put_off) = future::join(future::join_all(taking), future::join_all(putting_off)).await;
    let were_put_off = !put_off.is_empty();
    let mut is_more = put_off.into_iter().collect::<Result<Vec<()>, _>>().map(|_| false);
    let mut taken = Vec::new();
    for (due, is_taken) in due.into_iter().zip(are_taken) {
        match is_taken {
            Ok(true) => taken.push(due),
            // Another gateway was faster.
            Ok(false) => {}
            Err(error) => is_more = Err(error),
        }
    }
    // Else those of receivers that are busy now may have hidden those of others.
    let is_more = is_more.map(|_| !were_all_read && (were_put_off || !taken.is_empty()));
    Taken { taken, is_more }
}
