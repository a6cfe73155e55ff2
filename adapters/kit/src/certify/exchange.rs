//! A request and what came back: evidence for people and for the transcript.

use jiff::Timestamp;
use ring::digest;
use serde_json::Value;
use yizhan_contract::Text;

use super::target::Identity;
use crate::given::hex;

pub(super) const JSON: &str = "application/json";
pub(super) const PROBLEM: &str = "application/problem+json";
/// Characters of an answer that are shown.
const SHOWN_CHARS_MAX: usize = 600;

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    With {
        status: u16,
        content_type: String,
        retry_after_s: Option<u64>,
        body: Vec<u8>,
    },
    /// No answer, and why not.
    Not(String),
}

/// By whom a request is sent, and over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// As the target is called, by one of those the kit says it is.
    Usual(Identity),
    /// Plain HTTP, whatever the target speaks.
    PlainText,
}

/// A request as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) over: Over,
    pub(super) method: &'static str,
    /// With its query.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) body: Option<Vec<u8>>,
}

impl Asked {
    pub(super) fn get(identity: Identity, path: &str) -> Self {
        let (over, path) = (Over::Usual(identity), path.to_owned());
        Self { over, method: "GET", path, content_type: JSON, body: None }
    }

    pub(super) fn post(path: &str, body: Vec<u8>) -> Self {
        Self { method: "POST", body: Some(body), ..Self::get(Identity::Own, path) }
    }
}

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) asked: Asked,
    /// When it was sent.
    pub(super) at: Timestamp,
    pub(super) answered: Answered,
    pub(super) micros: u64,
}

impl Exchange {
    pub(super) fn status(&self) -> Option<u16> {
        match &self.answered {
            Answered::With { status, .. } => Some(*status),
            Answered::Not(_) => None,
        }
    }

    /// Whether what came says that it is of this type, whatever else it says of it.
    pub(super) fn is_of_type(&self, kind: &str) -> bool {
        let Answered::With { content_type, .. } = &self.answered else { return false };
        content_type.split(';').next().is_some_and(|said| said.trim().eq_ignore_ascii_case(kind))
    }

    pub(super) fn answer(&self) -> &[u8] {
        match &self.answered {
            Answered::With { body, .. } => body,
            Answered::Not(_) => &[],
        }
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.answer()).ok()
    }

    /// What came, in one line.
    pub(super) fn came(&self) -> Text {
        match &self.answered {
            Answered::Not(why) => Text::new(format!("没有应答：{why}"), format!("no answer: {why}")),
            Answered::With { status, content_type, body, .. } => {
                let mut shown: String = String::from_utf8_lossy(body).chars().take(SHOWN_CHARS_MAX).collect();
                if shown.len() < body.len() {
                    shown.push('…');
                }
                let came = format!("{status} {content_type} {shown}");
                Text::new(came.clone(), came)
            }
        }
    }

    /// Of the transcript: everything of the exchange, by digests.
    pub(super) fn line(&self) -> String {
        let Asked { method, path, body, .. } = &self.asked;
        let status = self.status().map_or_else(|| "-".to_owned(), |status| status.to_string());
        let came = match &self.answered {
            Answered::With { body, .. } => body,
            Answered::Not(why) => why.as_bytes(),
        };
        line(method, path, body.as_deref().unwrap_or_default(), &status, came)
    }
}

/// `METHOD path sha256-of-what-was-sent status sha256-of-what-came`, each line with its end. A query may name a person, so
/// that a digest of it stands there, too.
pub(super) fn line(method: &str, path: &str, sent: &[u8], status: &str, came: &[u8]) -> String {
    let path = match path.split_once('?') {
        None => path.to_owned(),
        Some((path, query)) => format!("{path}?{}", sha256(query.as_bytes())),
    };
    format!("{method} {path} {} {status} {}\n", sha256(sent), sha256(came))
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}
