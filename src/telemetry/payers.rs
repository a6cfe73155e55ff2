//! What is told of payers and of the adapters they are asked through.

use std::error::Error;
use std::fmt::Display;

use metrics::counter;
use tracing::{error, info, warn};
use yizhan_contract::PayerCode;

/// Characters of a payer's code that is logged.
const CODE_CHARS_MAX: usize = 40;
/// More digits than that may be a person's number.
const CODE_DIGITS_MAX: usize = 5;

/// The saga goes on without it: a commit counts as refused, a reversal waits for a person, who is told why. The adapter's
/// words are not logged.
pub fn operation_not_prepared(adapter: &str) {
    error!(
        adapter,
        "an adapter cannot make an operation ready; the stay's bill or `yizhan attention` says why"
    );
    payer_event(adapter, None, "not_prepared");
}

pub fn quote_above_limit(adapter: &str, payer: &PayerCode, amount: &dyn Display, pay_at_most: &dyn Display) {
    warn!(adapter, %payer, %amount, %pay_at_most, "a payer answered what it may not pay; its quote is refused");
    payer_event(adapter, Some(payer), "quote_above_limit");
}

pub fn quote_for_others<'p>(adapter: &str, payer: impl Into<Option<&'p PayerCode>>) {
    warn!(adapter, "a quote answers for other payers than were asked; it is refused");
    payer_event(adapter, payer.into(), "quote_for_others");
}

/// Its id, its steps or what is to be kept with it are longer than the port allows, or its steps come to another amount.
pub fn quote_beyond_limits(adapter: &str, payer: Option<&PayerCode>) {
    warn!(adapter, "a quote is longer than it may be, or not what its steps come to; it is refused");
    payer_event(adapter, payer, "quote_beyond_limits");
}

/// A payer confirmed another amount, and those behind it cannot be asked again: the settlement is taken back. What they
/// said of it is theirs, and stands on the bill.
pub fn not_quoted_again(adapter: &str, payer: &PayerCode) {
    warn!(adapter, %payer, "payers behind a confirmed one cannot be asked again; all is taken back, and the bill says why");
    payer_event(adapter, Some(payer), "not_quoted_again");
}

/// What is no code by its form is the payer's own words, and may name the insured.
pub fn payer_refuses(adapter: &str, payer: Option<&PayerCode>, code: &str) {
    info!(adapter, code = by_its_form(code), "a payer refuses to pay for a stay");
    payer_event(adapter, payer, "refuses");
}

/// It is told again later; no money is concerned. Why a call brought no answer is told with the call.
pub fn visit_not_called_off(adapter: &str) {
    warn!(adapter, "an adapter cannot be told that a visit is over for it; it is told again");
    payer_event(adapter, None, "visit_not_called_off");
}

/// Nothing can be told to an adapter without a file; said again each hour.
pub fn visit_stands_unconfigured(adapter: &str, stay: &dyn Display) {
    warn!(
        adapter,
        %stay,
        "a visit that is over stands with an adapter that is not configured any more; put its file back into the folder of adapters, and it is told within the hour, or tell the payer by other means"
    );
    payer_event(adapter, None, "visit_stands_unconfigured");
}

/// No money is concerned; whoever runs the adapter may have to look.
pub fn shadow_not_called_off(adapter: &str) {
    warn!(
        adapter,
        "an adapter that is only compared was not told that a visit was called off, and is not told any more"
    );
    payer_event(adapter, None, "visit_not_called_off");
}

/// Why stands on the bill: it may be in the payer's own words.
pub fn payer_deferred(adapter: &str, payer: &PayerCode) {
    warn!(adapter, %payer, "an optional payer is deferred; the bill says why");
    payer_event(adapter, Some(payer), "deferred");
}

/// The payer label is the first payer that was asked; empty where all of an adapter's are meant.
fn payer_event(adapter: &str, payer: Option<&PayerCode>, event: &'static str) {
    let payer = payer.map_or("", PayerCode::as_str);
    let (adapter, payer) = (adapter.to_owned(), payer.to_owned());
    counter!("yizhan_payer_events_total", "adapter" => adapter, "payer" => payer, "event" => event)
        .increment(1);
}

/// The folder of adapters cannot be read; those that are known stay.
pub fn adapters_not_read(folder: &dyn Display, error: &dyn Error) {
    warn!(%folder, %error, "the folder of adapters cannot be read; those that are known stay");
    adapter_event("folder_not_read");
}

pub fn adapter_taken(adapter: &str, mode: &'static str, standing: &dyn Display) {
    info!(adapter, mode, %standing, "adapter {adapter}: {mode}");
    adapter_event("taken");
}

/// It goes on as a shadow.
pub fn adapter_unproven(adapter: &str, why: &dyn Display) {
    error!(adapter, %why, "adapter {adapter} may not decide and is only compared");
    payer_event(adapter, None, "unproven");
}

pub fn adapter_proven(adapter: &str, by: &dyn Display) {
    info!(adapter, %by, "adapter {adapter} decides again");
    payer_event(adapter, None, "proven");
}

/// Its service says another thing of itself than when it was asked last.
pub fn adapter_changed(adapter: &str, version: &str) {
    warn!(adapter, version, "an adapter's service is another one now");
    adapter_event("changed");
}

/// What it said before stays; it is asked again each minute.
pub fn adapter_describes_nonsense(adapter: &str, why: &dyn Display) {
    error!(adapter, %why, "what an adapter's service says of itself cannot be used; what it said before stays");
    adapter_event("describes_nonsense");
}

pub fn adapter_describes_itself(adapter: &str) {
    info!(adapter, "an adapter's service says again what it is");
    adapter_event("describes_itself");
}

/// What is shown of adapters is as it was; who is asked where does not depend on it.
pub fn adapter_notes_not_kept(error: &dyn Error) {
    warn!(error = %error, "what is known of adapters could not be written down");
    adapter_event("notes_not_kept");
}

/// A call of an adapter brought no answer that can be used; nothing is taken from what came.
pub fn call_unusable(
    adapter: &str,
    verb: &'static str,
    operation_id: Option<&str>,
    class: &'static str,
    http_status: Option<u16>,
    why: &str,
) {
    warn!(
        adapter,
        verb, operation_id, class, http_status, why, "no answer that can be used: {adapter} {verb}"
    );
    payer_event(adapter, None, "unusable_answer");
}

/// Calls that found no place because they came faster than they could be written down.
pub fn calls_not_kept(calls: u64) {
    if calls > 0 {
        warn!(calls, "calls of adapters were not written down: too many at once");
        counter!("yizhan_adapter_calls_lost_total").increment(calls);
    }
}

pub fn calls_not_written(calls: u64, error: &dyn Error) {
    warn!(calls, error = %error, "calls of adapters could not be written down");
    counter!("yizhan_adapter_calls_lost_total").increment(calls);
}

/// The store had not taken what was before them when the gateway ended.
pub fn calls_left(calls: usize) {
    if calls > 0 {
        warn!(calls, "calls of adapters were not written down before the gateway ended");
        counter!("yizhan_adapter_calls_lost_total").increment(calls as u64);
    }
}

/// What was good before stays.
pub fn adapter_not_taken(file: &dyn Display, why: &dyn Display) {
    error!(%file, %why, "an adapter's file cannot be used; what was good before stays");
    adapter_event("not_taken");
}

pub fn adapter_gone(file: &dyn Display) {
    warn!(%file, "an adapter's file is gone: nobody is asked for its payers, and stays in flight wait for it");
    adapter_event("gone");
}

/// It has used its budget up: what stands in its place decides for new stays, until it is taken back by order.
pub fn adapter_fell(adapter: &str, why: &dyn Display) {
    error!(adapter, %why, "adapter {adapter} is not asked any more; `yizhan adapter reset {adapter}` takes it back");
    payer_event(adapter, None, "fell");
}

pub fn adapter_reset(adapter: &str) {
    info!(adapter, "adapter {adapter} is asked again");
    payer_event(adapter, None, "reset");
}

pub fn shadow_differs(
    adapter: &str,
    stay_id: &dyn Display,
    payer: &PayerCode,
    by_rules: &dyn Display,
    quoted: Option<&dyn Display>,
) {
    let quoted = quoted.map(ToString::to_string);
    info!(adapter, %stay_id, %payer, %by_rules, quoted, "a shadow's quote differs from the rules");
}

pub fn shadow_compared(adapter: &str, agrees: bool) {
    payer_event(adapter, None, if agrees { "shadow_agrees" } else { "shadow_differs" });
}

/// Adapters may have been told of visits that were not called off.
pub fn comparisons_cut_off(comparisons: usize) {
    warn!(comparisons, "comparisons with shadows did not end in time when the gateway stopped");
    adapter_event("comparisons_cut_off");
}

pub fn shadow_unanswered(adapter: &str) {
    payer_event(adapter, None, "shadow_unanswered");
}

/// A code that is logged; absent where it may be something else.
fn by_its_form(code: &str) -> Option<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let digits = code.chars().filter(char::is_ascii_digit).count();
    let is_code =
        (1..=CODE_CHARS_MAX).contains(&code.len()) && digits <= CODE_DIGITS_MAX && code.chars().all(is_word);
    is_code.then_some(code)
}

fn adapter_event(event: &'static str) {
    counter!("yizhan_adapter_files_total", "event" => event).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_persons_is_no_code() {
        for code in ["no", "not_enrolled", "E7", "E-1203", "policy.lapsed", "12345"] {
            assert_eq!(by_its_form(code), Some(code));
        }
        let long = "a".repeat(CODE_CHARS_MAX + 1);
        for words in ["", "371323195304121265", "13800138000", "not enrolled", "张桂兰", "a\nb", &long] {
            assert_eq!(by_its_form(words), None);
        }
    }
}
