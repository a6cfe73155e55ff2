//! A request and what came back: evidence for people (a command that repeats it) and for the transcript.

use std::fmt::{self, Write as _};

use ring::digest;
use serde_json::Value;
use yizhan_contract::Text;

use super::target::ClientFiles;
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

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: &'static str,
    /// With its query.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) body: Option<Vec<u8>>,
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
        let asked = sha256(self.body.as_deref().unwrap_or_default());
        let status = self.status().map_or_else(|| "-".to_owned(), |status| status.to_string());
        format!("{} {} {asked} {status} {}\n", self.method, self.path, sha256(self.answer()))
    }

    /// A command that sends the request again, with a deadline that lies ahead when it does.
    pub(super) fn curl(&self, address: &str, tls: Option<&ClientFiles>) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let mut command = "curl -sS -i".to_owned();
        if let Some(files) = tls {
            for (option, file) in
                [("--cacert", &files.ca), ("--cert", &files.certificate), ("--key", &files.key)]
            {
                let _ = write!(command, " {option} {}", quoted(&file.display().to_string()));
            }
        }
        let _ = write!(command, " -X {} {}", self.method, quoted(address));
        if let Some(body) = &self.body {
            let _ = write!(command, " -H 'Content-Type: {}'", self.content_type);
            let text = String::from_utf8_lossy(body);
            let deadline = self.deadline();
            let again = "'\"$(date -u -d '+10 seconds' +%Y-%m-%dT%H:%M:%SZ)\"'";
            let quoted = match deadline {
                Some(deadline) => quoted(&text).replace(&deadline, again),
                None => quoted(&text),
            };
            let _ = write!(command, " --data-binary {quoted}");
        }
        command
    }

    /// The deadline of the request as it is written; absent where it was meant to have passed.
    fn deadline(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(self.body.as_deref()?).ok()?;
        let deadline = body.get("head")?.get("deadline")?.as_str()?;
        let is_past = deadline.starts_with("20") && deadline < "2020-12-31";
        (!is_past).then(|| deadline.to_owned())
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// SHA-256 of what is added to it bit by bit.
pub(super) struct Digest(digest::Context);

impl Digest {
    pub(super) fn begin() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn so_far(&self) -> String {
        hex(self.0.clone().finish().as_ref())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}
