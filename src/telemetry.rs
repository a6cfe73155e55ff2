//! One function per event: its log line and its counter together, so that they never drift apart.
//!
//! No name, no identity card number, no message body is ever logged; ids, codes, counts and times are.

mod payers;

use std::error::Error;
use std::fmt::{Debug, Display};
use std::net::SocketAddr;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tracing::{debug, error, info, warn};
use tracing_subscriber::EnvFilter;
use yizhan_contract::PayerCode;

use crate::runtime::Shutdown;
pub use payers::*;

/// How often gathered samples are summed up.
const UPKEEP_TICK: Duration = Duration::from_secs(5);

/// Where a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Mllp,
    Http,
    Timer,
    File,
}

impl Channel {
    fn word(self) -> &'static str {
        match self {
            Self::Mllp => "mllp",
            Self::Http => "http",
            Self::Timer => "timer",
            Self::File => "file",
        }
    }
}

/// What the operator says of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: LogFormat,
    /// `info`, or a filter such as `yizhan=debug,actix_web=warn`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".to_owned() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level 无法识别（{0}），请写如 info | log.level is not known: {0}; write such as info")]
    Level(String),
    #[error("日志已经启动（{0}）| logging is set up already: {0}")]
    Twice(String),
}

/// Logs go to standard error, so that standard output stays the answer.
pub fn start_logging(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.level).map_err(|why| TelemetryError::Level(why.to_string()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    started.map_err(|why| TelemetryError::Twice(why.to_string()))
}

/// Counters for `/metrics`, in Prometheus' text form.
pub fn start_metrics() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // A second gateway in one process (tests) counts into the first one's recorder.
    if metrics::set_global_recorder(recorder).is_ok() {
        describe();
    }
    handle
}

/// Takes what histograms gathered into their summaries every few seconds, until the signal to stop. Only `/metrics` does
/// so otherwise, and what is never asked for would grow.
pub async fn keep_up(metrics: PrometheusHandle, mut stopped: Shutdown) {
    let mut tick = tokio::time::interval(UPKEEP_TICK);
    loop {
        tokio::select! {
            () = stopped.requested() => return,
            _ = tick.tick() => metrics.run_upkeep(),
        }
    }
}

/// What each metric counts, for whoever reads `/metrics`.
pub fn describe() {
    describe_counter!("yizhan_messages_total", "Messages answered, by channel and what they ended in");
    describe_counter!("yizhan_refusals_total", "Refused messages and requests, by code");
    describe_counter!("yizhan_warnings_total", "Oddities of messages that were taken, by what was odd");
    describe_counter!(
        "yizhan_stays_taken_up_total",
        "Stays driven on without anybody who waits, by their end"
    );
    describe_counter!("yizhan_mllp_connections_total", "MLLP connections that began, in plain text or TLS");
    describe_counter!(
        "yizhan_refused_not_kept_total",
        "Refused messages that could not be kept with their answers"
    );
    describe_counter!("yizhan_http_requests_total", "HTTP requests answered, by route and status");
    describe_counter!("yizhan_beneficiary_lookups_total", "Look-ups of a beneficiary for admission");
    describe_counter!("yizhan_desk_actions_total", "Commits and reversals, and what they ended in");
    describe_counter!("yizhan_bills_delivered_total", "Bills handed over to hospitals");
    describe_counter!("yizhan_bills_not_delivered_total", "Attempts to hand a bill over that failed");
    describe_counter!("yizhan_steps_failed_total", "Steps that failed in the store");
    describe_counter!("yizhan_stays_left_total", "Stays under way that this gateway let go of, by why");
    describe_counter!("yizhan_payer_events_total", "Quotes and operations of outside payers that went amiss");
    describe_counter!("yizhan_adapter_calls_lost_total", "Calls of adapters that could not be written down");
    describe_counter!(
        "yizhan_adapter_files_total",
        "Files of adapters that were taken, refused or went away"
    );
    describe_counter!("yizhan_mllp_trouble_total", "MLLP connections and frames that went amiss, by what");
    describe_gauge!("yizhan_outbox_oldest_seconds", "Age of the oldest bill that waits to be told");
    describe_histogram!("yizhan_http_request_seconds", "Seconds from an HTTP request's head to its answer");
    describe_histogram!("yizhan_message_seconds", "Seconds from the last byte of a message to its answer");
}

/// A message was answered; `ended` is the bill's state, `noted` or `refused`.
pub fn message_answered(
    channel: Channel,
    trace_id: &str,
    hospital: &str,
    ended: &'static str,
    took: Duration,
) {
    info!(
        trace_id,
        channel = channel.word(),
        hospital,
        ended,
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "message answered: {ended}"
    );
    counter!("yizhan_messages_total", "channel" => channel.word(), "ended" => ended).increment(1);
    histogram!("yizhan_message_seconds", "channel" => channel.word()).record(took);
}

/// A message or request was refused; `code` is the problem's slug, `place` the sender's own term.
pub fn refused(channel: Channel, trace_id: &str, code: &'static str, place: Option<&str>) {
    warn!(trace_id, channel = channel.word(), code, place, "refused: {code}");
    counter!("yizhan_refusals_total", "channel" => channel.word(), "code" => code).increment(1);
}

/// A message was taken though something in it was odd; `word` says what.
pub fn accepted_with_warning(channel: Channel, trace_id: &str, word: &'static str, place: &str) {
    info!(trace_id, channel = channel.word(), word, place, "taken with a warning: {word}");
    counter!("yizhan_warnings_total", "channel" => channel.word(), "word" => word).increment(1);
}

pub fn listening(channel: Channel, address: SocketAddr, tls: bool) {
    info!(channel = channel.word(), %address, tls, "listening for {} on {address}", channel.word());
}

/// A port ended though nobody asked the gateway to stop: the gateway stops.
pub fn port_ended(channel: Channel, why: &dyn Display) {
    error!(channel = channel.word(), %why, "the {} port ended by itself; stopping", channel.word());
}

/// Something beside the ports ended though nobody asked the gateway to stop: the gateway stops.
pub fn work_broke_off(what: &str, why: &dyn Display) {
    error!(what, %why, "{what} broke off; stopping");
}

pub fn stopping() {
    info!("asked to stop; finishing what is in hand");
}

/// A refused message could not even be kept; the sender was told, nothing else is lost.
pub fn refused_message_not_kept(trace_id: &str, error: &dyn Error) {
    warn!(trace_id, error = %error, "a refused message could not be kept");
    counter!("yizhan_refused_not_kept_total").increment(1);
}

/// Stays whose charges went quiet could not be looked up; tried again at the next tick.
pub fn stays_not_taken_up(error: &dyn Error) {
    warn!(error = %error, "stays whose charges went quiet could not be closed");
}

/// This gateway's leases run out when it dies; it does not find them again when it is started.
pub fn gateway_without_lasting_name(why: &dyn std::fmt::Display) {
    warn!(%why, "no lasting name: what this gateway leaves behind waits until its leases have run out");
}

/// A stay that nobody waits for, because its message was acknowledged before or there was none, came to this; `ended` is
/// the bill's state.
pub fn stay_ended(stay_id: &dyn Display, hospital: &str, ended: &'static str) {
    info!(%stay_id, hospital, ended, "stay taken up: {ended}");
    counter!("yizhan_stays_taken_up_total", "ended" => ended).increment(1);
}

/// A stay that nobody waits for is refused; the outbox tells its hospital, and it is tried again later.
pub fn stay_refused(stay_id: &dyn Display, code: &'static str, place: Option<&str>) {
    warn!(%stay_id, code, place, "stay taken up and refused: {code}");
    counter!("yizhan_stays_taken_up_total", "ended" => "refused").increment(1);
}

/// The outbox could not be read; tried again at the next tick.
pub fn outbox_not_read(error: &dyn Error) {
    warn!(error = %error, "what hospitals are to be told could not be read");
}

/// Nothing is told to it, and nothing of its is looked at for five minutes.
pub fn hospital_has_no_address(hospital: &str) {
    warn!(hospital, "bills wait for a hospital that has no return_address here");
}

/// Only who looks at the outbox misses it.
pub fn no_address_not_written_down(hospital: &str, error: &dyn Error) {
    warn!(hospital, error = %error, "why a hospital is told nothing could not be written down");
}

/// How long the oldest bill has been waiting to be told; 0: none waits.
#[expect(clippy::disallowed_types, reason = "seconds of a gauge, no money")]
pub fn outbox_waits(oldest_s: i64) {
    gauge!("yizhan_outbox_oldest_seconds").set(u32::try_from(oldest_s).map_or(0.0, f64::from));
}

/// The hospital may be told again, under the same id.
pub fn delivery_not_written_down(settlement_id: &dyn Display, error: &dyn Error) {
    warn!(%settlement_id, error = %error, "a delivery's end could not be written down");
}

pub fn bill_delivered(settlement_id: &dyn Display, address: &str) {
    info!(%settlement_id, address, "bill handed over to the hospital");
    counter!("yizhan_bills_delivered_total").increment(1);
}

/// It stays in the outbox and is sent again.
pub fn bill_not_delivered(settlement_id: &dyn Display, address: &str, error: &dyn Error) {
    warn!(%settlement_id, address, error = %error, "bill could not be handed over to the hospital");
    counter!("yizhan_bills_not_delivered_total").increment(1);
}

/// An HTTP request was answered. `route` is the pattern, never the path: a path may hold anything.
pub fn request_answered(route: &str, status: u16, took: Duration) {
    info!(
        route,
        status,
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "request answered: {status}"
    );
    let (by_route, by_status) = (route.to_owned(), status.to_string());
    counter!("yizhan_http_requests_total", "route" => by_route, "status" => by_status).increment(1);
    histogram!("yizhan_http_request_seconds", "route" => route.to_owned()).record(took);
}

/// Somebody asked what the roster says of a person; by whom and when is kept, about whom is not.
pub fn beneficiary_looked_up(trace_id: &str, hospital: &str, on_roster: bool) {
    info!(trace_id, hospital, on_roster, "beneficiary looked up for admission");
    counter!("yizhan_beneficiary_lookups_total").increment(1);
}

/// A bill could not be put into the form that was asked for; the bill itself stands.
pub fn bill_not_rendered(trace_id: &str, form: &'static str, error: &dyn Error) {
    error!(trace_id, form, error = %error, "a bill could not be written as {form}");
}

/// The drain ended before everything in hand did; what was durable stays, the senders send again.
pub fn drain_cut_off(in_hand: usize) {
    warn!(in_hand, "stopped with messages still in hand");
}

/// A person or a system acted on a settlement: `commit` or `reversal`, and the bill's state after it.
pub fn desk_acted(trace_id: &str, hospital: &str, action: &'static str, ended: &'static str) {
    info!(trace_id, hospital, action, ended, "{action}: {ended}");
    counter!("yizhan_desk_actions_total", "action" => action, "ended" => ended).increment(1);
}

/// A step failed in the store; its sender is told whether anything moved.
pub fn step_failed(error: &dyn Error) {
    error!(error = %error, "store step failed");
    counter!("yizhan_steps_failed_total").increment(1);
}

/// Somebody else drives the stay on.
pub fn stay_taken_over(stay_id: &dyn Display) {
    info!(%stay_id, "another gateway acts for the stay");
    counter!("yizhan_stays_left_total", "why" => "taken_over").increment(1);
}

/// Nobody goes on with a stay of a hospital that has no profile here.
pub fn hospital_without_profile(stay_id: &dyn Display, hospital: &str) {
    error!(%stay_id, hospital, "no profile of the hospital: put it back; until then nobody goes on with this stay");
    counter!("yizhan_stays_left_total", "why" => "no_profile").increment(1);
}

/// The store could not be used; what is durable is taken up again.
pub fn stay_left(stay_id: &dyn Display, error: &dyn Error) {
    error!(error = %error, %stay_id, "a stay under way is left to be taken up again");
    counter!("yizhan_stays_left_total", "why" => "store").increment(1);
}

/// A policy that nobody attested prints 示例参数 on every bill.
pub fn policy_is_sample(policy: &dyn Display) {
    warn!(%policy, "policy is a sample: attested_by is empty");
}

pub fn cap_counted_here_only(policy: &dyn Display, payer: &PayerCode) {
    warn!(
        %policy, %payer,
        "annual cap is counted in this SQLite store only; set accumulator = \"payer\" where the payer counts"
    );
}

/// It has a seat and, where it is to be, is under TLS.
pub fn connection_began(address: &SocketAddr, is_tls: bool) {
    debug!(%address, is_tls, "connection");
    let security = if is_tls { "tls" } else { "plain" };
    counter!("yizhan_mllp_connections_total", "security" => security).increment(1);
}

pub fn connection_refused(address: &SocketAddr, connections_max: usize) {
    warn!(%address, connections_max, "connection refused: no seat left");
    mllp_trouble("no_seat");
}

pub fn accept_failed(error: &dyn Error, pause_ms: u64) {
    warn!(%error, pause_ms, "accept failed");
    mllp_trouble("accept_failed");
}

pub fn connections_cut(connections: usize) {
    warn!(connections, "connections cut at the end of the drain");
    mllp_trouble("cut");
}

pub fn handshake_failed(address: &SocketAddr, why: &dyn Display) {
    warn!(%address, %why, "TLS handshake failed");
    mllp_trouble("handshake");
}

pub fn connection_lost(address: &SocketAddr, error: &dyn Error) {
    debug!(%address, %error, "connection lost");
    mllp_trouble("lost");
}

pub fn connection_idle(address: &SocketAddr, mid_frame: bool, bytes: usize) {
    warn!(%address, mid_frame, bytes, "connection closed: idle");
    mllp_trouble("idle");
}

pub fn no_mllp(address: &SocketAddr) {
    warn!(%address, "connection closed: it does not speak MLLP");
    mllp_trouble("no_mllp");
}

pub fn commit_block_came(address: &SocketAddr, commit: &dyn Debug) {
    debug!(%address, ?commit, "commit block");
}

pub fn noise_skipped(address: &SocketAddr, bytes: u64) {
    warn!(%address, bytes, "bytes outside of any MLLP frame were skipped");
    mllp_trouble("noise");
}

pub fn frame_broke_off(address: &SocketAddr, bytes: usize) {
    warn!(%address, bytes, "a frame broke off and was not processed");
    mllp_trouble("broke_off");
}

pub fn frame_too_long(address: &SocketAddr, bytes_max: usize) {
    warn!(%address, bytes_max, "a frame was too long and was not processed");
    mllp_trouble("too_long");
}

/// The connection is closed; the sender sends again.
pub fn answer_not_written(address: &SocketAddr, why: &dyn Display) {
    warn!(%address, %why, "an answer could not be written");
    mllp_trouble("answer_not_written");
}

fn mllp_trouble(what: &'static str) {
    counter!("yizhan_mllp_trouble_total", "what" => what).increment(1);
}
