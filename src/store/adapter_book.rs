//! The third port: what gateways write down of adapters. Nothing of it is needed to go on after a crash, and nothing
//! names a person.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::Answer;

/// How one gateway stands with one adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterNote {
    pub adapter: Arc<str>,
    pub gateway: Arc<str>,
    pub noted_at: Timestamp,
    /// How often it was ordered to be asked again.
    pub resets: u32,
    /// The writer's own words, as JSON.
    pub document: String,
}

/// One call of an adapter, after the fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterCall {
    pub at: Timestamp,
    pub gateway: Arc<str>,
    pub adapter: Arc<str>,
    pub verb: Cow<'static, str>,
    pub operation_id: Option<Arc<str>>,
    pub request_digest: Option<[u8; 32]>,
    pub answer_digest: Option<[u8; 32]>,
    pub latency_us: i64,
    pub class: Cow<'static, str>,
    pub answer: Option<Cow<'static, str>>,
    pub http_status: Option<u16>,
}

pub trait AdapterBook: Send + Sync {
    /// By adapter and gateway.
    fn adapter_notes(&self) -> Answer<'_, Vec<AdapterNote>>;

    /// Replaces what the gateway wrote of this adapter; what was ordered stays.
    fn note_adapter(&self, note: AdapterNote) -> Answer<'_, ()>;

    /// Orders that every gateway asks the adapter again; how many stand with it.
    fn reset_adapter(&self, adapter: Arc<str>) -> Answer<'_, u64>;

    /// A gateway has nothing to say of this adapter any more.
    fn forget_adapter(&self, adapter: Arc<str>, gateway: Arc<str>) -> Answer<'_, ()>;

    fn keep_calls(&self, calls: Vec<AdapterCall>) -> Answer<'_, ()>;

    /// Forgets the oldest calls before an instant, at most `limit`; how many it were.
    fn forget_calls(&self, before: Timestamp, limit: u32) -> Answer<'_, u64>;

    /// The newest calls of an adapter, the newest first, at most `last`.
    fn adapter_calls(&self, adapter: Arc<str>, last: u32) -> Answer<'_, Vec<AdapterCall>>;

    /// Calls kept of an adapter.
    fn calls_kept(&self, adapter: Arc<str>) -> Answer<'_, u64>;
}
