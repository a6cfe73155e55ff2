//! The highest rate that can be kept up: found by trying, not by extrapolating.

use std::time::Duration;

use serde::Serialize;

use super::load::{Account, Load, Measured, Missed, Pace};

/// At a rate that is kept up, hardly anybody waits longer.
const WAIT_US_MAX: u64 = 100_000;
/// The last answer comes this soon after the last message was due: nothing piled up.
const TAIL_MAX: Duration = Duration::from_millis(500);
const TRIES_MAX: usize = 12;

/// One rate that was tried.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tried {
    pub(super) stays_per_second: u64,
    pub(super) p99_us: u64,
    /// Messages that were told to come again.
    pub(super) put_off: u64,
    pub(super) is_kept_up: bool,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Peak {
    /// Settlements per second; 0 where no rate that was tried could be kept up.
    pub(super) stays_per_second: u64,
    pub(super) tried: Vec<Tried>,
}

/// Climbs from below what many clients come to until a rate is not kept up, then closes in to a twentieth.
pub(super) fn search(
    load: &Load<'_>,
    clients: usize,
    lasting: Duration,
    account: &mut Account,
) -> anyhow::Result<Peak> {
    let mut peak = Peak::default();
    let guess = look(load, Pace::Closed { clients }, lasting, account)?.rate();
    let mut too_much: Option<u64> = None;
    let mut rate = (guess * 7 / 10).max(1);
    while peak.tried.len() < TRIES_MAX {
        let measured = look(load, Pace::Open { stays_per_second: rate }, lasting, account)?;
        let is_kept_up = is_kept_up(&measured, lasting);
        let p99_us = measured.settling.value_at_quantile(0.99);
        let put_off = measured.account.put_off.count;
        peak.tried.push(Tried { stays_per_second: rate, p99_us, put_off, is_kept_up });
        if is_kept_up {
            peak.stays_per_second = rate;
        } else {
            too_much = Some(rate);
        }
        rate = match too_much {
            None => rate * 5 / 4 + 1,
            Some(high) if high - peak.stays_per_second <= (high / 20).max(1) => break,
            Some(high) => (high + peak.stays_per_second) / 2,
        };
    }
    Ok(peak)
}

/// Beyond what can be kept up, being told to come again is the right answer, and no fault of the run.
fn look(load: &Load<'_>, pace: Pace, lasting: Duration, account: &mut Account) -> anyhow::Result<Measured> {
    let measured = load.run(pace, lasting)?;
    account.add(Account { put_off: Missed::default(), ..measured.account.clone() });
    Ok(measured)
}

fn is_kept_up(measured: &Measured, lasting: Duration) -> bool {
    let account = &measured.account;
    [&account.refused, &account.put_off, &account.lost].iter().all(|missed| missed.count == 0)
        && measured.settling.value_at_quantile(0.99) <= WAIT_US_MAX
        && measured.took <= lasting + TAIL_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::load::times;

    #[test]
    fn a_rate_is_kept_up_where_everybody_is_answered_soon() {
        let lasting = Duration::from_secs(1);
        let measured = |took, wait_us| {
            let (mut settling, charging) = (times().unwrap(), times().unwrap());
            settling.record(wait_us).unwrap();
            let told_after = Duration::ZERO;
            Measured { account: Account::default(), took, settling, charging, told_after }
        };
        assert!(is_kept_up(&measured(lasting, WAIT_US_MAX / 2), lasting));
        assert!(!is_kept_up(&measured(lasting, WAIT_US_MAX * 2), lasting));
        assert!(!is_kept_up(&measured(lasting + TAIL_MAX * 2, 1), lasting));
        type Miss = fn(&mut Account) -> &mut Missed;
        for missed in
            [|account| &mut account.refused, |account| &mut account.put_off, |account| &mut account.lost]
                as [Miss; 3]
        {
            let mut one = measured(lasting, 1);
            missed(&mut one.account).count = 1;
            assert!(!is_kept_up(&one, lasting));
        }
    }
}
