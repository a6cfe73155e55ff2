//! A mapping file as it is written: every key, nothing checked but its shape.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::forms::{AmountForm, Codes};
use super::sign::{Encoding, Part};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) adapter: String,
    pub(super) version: String,
    pub(super) serves: Vec<String>,
    pub(super) promises: RawPromises,
    pub(super) connection: RawConnection,
    pub(super) signing: Option<RawSigning>,
    #[serde(default)]
    pub(super) forms: RawForms,
    #[serde(default)]
    pub(super) codes: Codes,
    pub(super) quote: RawSection,
    pub(super) commit: RawSection,
    pub(super) status: RawSection,
    pub(super) reverse: Option<RawSection>,
    pub(super) reverse_status: Option<RawSection>,
    pub(super) coverage: Option<RawSection>,
    pub(super) visit: Option<RawSection>,
    pub(super) statement: Option<RawSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPromises {
    pub(super) quotes_are_firm: bool,
    pub(super) commits_are_idempotent: bool,
    pub(super) reverse_window_s: Option<u64>,
    pub(super) not_found_settles_after_s: u64,
    #[serde(default)]
    pub(super) optional: bool,
    #[serde(default)]
    pub(super) commits_zero: bool,
    pub(super) concurrency_max: u16,
    pub(super) requests_per_second_max: Option<u16>,
    pub(super) coverage_valid_s: Option<u32>,
    pub(super) quote_p95_ms: u32,
    pub(super) commit_p95_ms: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConnection {
    pub(super) base_url: String,
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) content: RawContent,
    pub(super) charset: Option<String>,
    pub(super) content_type: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawContent {
    Json,
    Xml,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSigning {
    pub(super) secret_file: PathBuf,
    pub(super) over: Vec<Part>,
    #[serde(default)]
    pub(super) join: String,
    pub(super) header: String,
    #[serde(default)]
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) encoding: Encoding,
    pub(super) timestamp_header: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) nonce_header: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForms {
    #[serde(default)]
    pub(super) amount: AmountForm,
    pub(super) date: Option<String>,
    pub(super) instant: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSection {
    pub(super) method: Option<String>,
    pub(super) path: String,
    pub(super) request: Option<String>,
    pub(super) answer: RawAnswer,
}

/// Paths of an answer; which of them have a meaning is the section's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAnswer {
    pub(super) http: Option<Vec<u16>>,
    pub(super) status: String,
    pub(super) kinds: BTreeMap<String, String>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) quote_id: Option<String>,
    pub(super) valid_until: Option<String>,
    pub(super) valid_for_s: Option<u32>,
    pub(super) amount: Option<String>,
    pub(super) as_asked: Option<bool>,
    pub(super) each: Option<RawEach>,
    pub(super) total: Option<String>,
    pub(super) operation_id: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) next: Option<String>,
    pub(super) keep: Option<BTreeMap<String, String>>,
}

/// Paths below each item of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEach {
    pub(super) list: String,
    pub(super) payer: Option<String>,
    /// The table of codes for it.
    pub(super) payer_codes: Option<String>,
    pub(super) amount: String,
    pub(super) operation_id: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) at: Option<String>,
}

impl RawAnswer {
    /// Keys that are written, beside `http`, `status` and `kinds`.
    pub(super) fn written(&self) -> Vec<&'static str> {
        let texts = [
            ("code", &self.code),
            ("message", &self.message),
            ("quote_id", &self.quote_id),
            ("valid_until", &self.valid_until),
            ("amount", &self.amount),
            ("total", &self.total),
            ("operation_id", &self.operation_id),
            ("reference", &self.reference),
            ("from", &self.from),
            ("to", &self.to),
            ("next", &self.next),
        ];
        let others = [
            ("valid_for_s", self.valid_for_s.is_some()),
            ("as_asked", self.as_asked.is_some()),
            ("each", self.each.is_some()),
            ("keep", self.keep.is_some()),
        ];
        let texts = texts.into_iter().map(|(key, value)| (key, value.is_some()));
        texts.chain(others).filter(|(_, is_written)| *is_written).map(|(key, _)| key).collect()
    }
}
