//! What came back of a request, held to what should have.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yizhan_contract::Text;

use super::exchange::{Answered, Exchange};
use super::verdict::{Stop, Verdict, failed};

/// An exchange that a trial looks at.
#[derive(Debug, Clone)]
pub(super) struct Came(pub(super) Arc<Exchange>);

impl Came {
    pub(super) fn status(&self) -> Option<u16> {
        self.0.status()
    }

    /// How long to wait before it is sent again; absent: it was answered, or not at all.
    pub(super) fn busy_for(&self) -> Option<Duration> {
        match &self.0.answered {
            Answered::With { status: 429 | 503, retry_after_s, .. } => {
                Some(Duration::from_secs(retry_after_s.unwrap_or(1)))
            }
            _ => None,
        }
    }

    /// One of the answers of the verb, or the trial has failed.
    pub(super) fn answer<T: DeserializeOwned>(&self) -> Result<T, Stop> {
        let read = match self.status() {
            Some(200) => serde_json::from_slice(self.0.answer()).map_err(|why| why.to_string()),
            _ => Err(String::new()),
        };
        read.or_else(|why| {
            let expected = Text::new(
                format!("200 及 {} 的应答之一", self.0.asked.path),
                format!("200 and one of the answers of {}", self.0.asked.path),
            );
            let came = self.0.came();
            let came = match why.as_str() {
                "" => came,
                why => Text::new(format!("{}（{why}）", came.zh), format!("{} ({why})", came.en)),
            };
            failed(expected, came, Some(&self.0))
        })
    }

    /// A problem document of this status and type, or the trial has failed.
    pub(super) fn is_problem(&self, status: u16, kind: &str) -> Verdict {
        let is_typed = self.0.json().is_some_and(|problem| problem["type"] == kind);
        self.holds(
            self.status() == Some(status) && is_typed,
            format!("{status}，type 为 {kind} 的问题文档"),
            format!("{status} and a problem document of the type {kind}"),
        )
    }

    /// The trial has failed: this is what should have come.
    pub(super) fn is_not<T>(&self, zh: impl Into<Arc<str>>, en: impl Into<Arc<str>>) -> Result<T, Stop> {
        failed(Text::new(zh, en), self.0.came(), Some(&self.0))
    }

    /// Passes where `is_so`; else this is what came instead.
    pub(super) fn holds(&self, is_so: bool, zh: impl Into<Arc<str>>, en: impl Into<Arc<str>>) -> Verdict {
        if is_so { Ok(()) } else { self.is_not(zh, en) }
    }
}
