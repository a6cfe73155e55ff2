//! Taking what is due: read in bounds, one stay's for each receiver, hidden from other gateways meanwhile. What is due to
//! hospitals without an address is put off.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future;
use jiff::{SignedDuration, Timestamp};
use yizhan_contract::instant::later;

use super::delivery::DELIVERY_TIMEOUT_S;
use crate::intake::profile::ReturnAddress;
use crate::intake::{Profile, Profiles};
use crate::settlement::gateway::Gateway;
use crate::store::{OutboxEntry, StoreError};
use crate::telemetry;

/// Entries read at once.
const HEADS_MAX: u32 = 64;
/// A delivery is nobody else's for this long, reckoned from before it is taken.
const HIDDEN: SignedDuration = SignedDuration::from_secs(DELIVERY_TIMEOUT_S as i64 + 10);
/// It is begun only where as much of that is left: longer than it can take.
const LEFT: SignedDuration = SignedDuration::from_secs(DELIVERY_TIMEOUT_S as i64);

/// Profiles are read when a gateway begins.
const NO_ADDRESS: &str = "该院没有配置，或配置中没有 return_address，请补上后重启网关 | the hospital has no profile, or there is no return_address in it: add it and restart the gateway";

/// An entry, and where it goes.
pub(super) struct Due {
    pub(super) entry: OutboxEntry,
    pub(super) profile: Arc<Profile>,
    pub(super) address: ReturnAddress,
}

/// What was due.
pub(super) struct Taken {
    /// This gateway's to deliver ...
    taken: Vec<Due>,
    /// ... until then.
    until: Timestamp,
    /// One entry of each hospital that has no address.
    pub(super) homeless: Vec<OutboxEntry>,
    /// Whether others may be due behind what was read; or why not all could be read or taken.
    pub(super) is_more: Result<bool, StoreError>,
}

impl Taken {
    /// What can be delivered while it is still nobody else's; the rest comes again when its time is up.
    pub(super) fn in_time(&mut self, now: Timestamp) -> Vec<Due> {
        if later(now, LEFT) <= self.until { std::mem::take(&mut self.taken) } else { Vec::new() }
    }
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
        Err(error) => {
            return Taken { taken: Vec::new(), until: now, homeless: Vec::new(), is_more: Err(error) };
        }
    };
    let were_all_read = read.len() < HEADS_MAX as usize;
    let (mut due, mut addresses) = (Vec::new(), HashSet::new());
    let mut homeless: Vec<OutboxEntry> = Vec::new();
    for entry in read {
        let profile = profiles.of_hospital(&entry.hospital);
        match profile.and_then(|profile| Some((profile, profile.return_address.as_ref()?))) {
            None if homeless.iter().any(|other| other.hospital == entry.hospital) => {}
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
    // Where not all were read, those of receivers that are busy now may have hidden those of others.
    let moves_on = !due.is_empty() || !homeless.is_empty();
    let mut is_more = Ok(moves_on && !were_all_read);
    let mut taken = Vec::new();
    for (mut due, is_taken) in due.into_iter().zip(are_taken) {
        match is_taken {
            Ok(true) => {
                due.entry.attempts = due.entry.attempts.saturating_add(1);
                taken.push(due);
            }
            // Another gateway was faster; what this receiver is to be told behind it was passed over.
            Ok(false) => is_more = is_more.map(|_| true),
            Err(error) => is_more = Err(error),
        }
    }
    Taken { taken, until, homeless, is_more }
}

/// Says why they wait, for who looks.
pub(super) async fn put_off(gateway: &Gateway, homeless: Vec<OutboxEntry>, until: Timestamp) {
    for entry in homeless {
        let hospital = Arc::clone(&entry.hospital);
        telemetry::hospital_has_no_address(&hospital);
        if let Err(error) = gateway.store().outbox_failed(entry, until, NO_ADDRESS.to_owned()).await {
            telemetry::no_address_not_written_down(&hospital, &error);
        }
    }
}
