//! Passes: a browser has no token, so the answer with a bill holds a link that opens its sheet for a short while.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use uuid::Uuid;
use yizhan_contract::instant::later;

use super::answer::address;

/// From the answer to the last opening of its link.
const PASS_LASTS: SignedDuration = SignedDuration::from_mins(15);

/// Makes passes, and knows its own: each for one settlement, until an instant.
#[derive(Clone)]
pub struct Passes(Hmac<Sha256>);

impl Passes {
    /// Gateways with the same key know each other's.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    /// `<seconds since 1970>.<signature>`
    pub(super) fn pass(&self, settlement: Uuid, now: Timestamp) -> String {
        let until = later(now, PASS_LASTS).as_second();
        let signature = self.signed(settlement, until).finalize().into_bytes();
        format!("{until}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    pub(super) fn opens(&self, pass: &str, settlement: Uuid, now: Timestamp) -> bool {
        let read = || {
            let (until, signature) = pass.split_once('.')?;
            Some((until.parse::<i64>().ok()?, BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?))
        };
        read().is_some_and(|(until, signature)| {
            now.as_second() < until && self.signed(settlement, until).verify_slice(&signature).is_ok()
        })
    }

    fn signed(&self, settlement: Uuid, until: i64) -> Hmac<Sha256> {
        self.0.clone().chain_update(settlement.as_bytes()).chain_update(until.to_be_bytes())
    }
}

/// The address of a settlement's sheet under a pass, to which `&lang=` may be added.
pub(super) fn link(settlement: Uuid, pass: &str) -> String {
    format!("{}?pass={pass}", address(settlement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_opens_one_settlement_for_a_while() {
        let (passes, others) = (Passes::new(&[7; 32]), Passes::new(&[8; 32]));
        let id = Uuid::from_u128(1);
        let now: Timestamp = "2020-12-01T02:00:00Z".parse().unwrap();
        let pass = passes.pass(id, now);
        let (until, signature) = pass.split_once('.').unwrap();
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        let longer = format!("{}.{signature}", until.parse::<i64>().unwrap() + 1);
        for (by, pass, settlement, at, opens) in [
            (&passes, pass.as_str(), id, now, true),
            (&passes, &pass, id, at(899), true),
            (&passes, &pass, id, at(900), false),
            (&passes, &longer, id, at(900), false),
            (&passes, &pass, Uuid::from_u128(2), now, false),
            (&others, &pass, id, now, false),
            (&passes, until, id, now, false),
            (&passes, &format!("{until}."), id, now, false),
            (&passes, "", id, now, false),
        ] {
            assert_eq!(by.opens(pass, settlement, at), opens, "{pass} for {settlement} at {at}");
        }
    }
}
