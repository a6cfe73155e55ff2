//! A refusal of the service itself, as a problem document (RFC 9457).

use serde::Serialize;
use yizhan_contract::protocol::{
    BUSY, DEADLINE_PASSED, FAILED, MALFORMED, METHOD_NOT_ALLOWED, OPERATION_CONFLICT, TOO_LARGE,
    UNKNOWN_VERB, UNSUPPORTED_MEDIA_TYPE,
};

use super::door::Reply;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    Malformed,
    DeadlinePassed,
    UnknownVerb,
    MethodNotAllowed,
    OperationConflict,
    TooLarge,
    UnsupportedMediaType,
    Failed,
    Busy,
}

impl ProblemKind {
    /// Type, status and title of the document.
    fn said(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Malformed => (MALFORMED, 400, "请求无法读取 | the request cannot be read"),
            Self::DeadlinePassed => (
                DEADLINE_PASSED,
                400,
                "请求已过期限，未做任何事 | the request came after its deadline; nothing was done",
            ),
            Self::UnknownVerb => (UNKNOWN_VERB, 404, "没有这个接口 | there is no such verb"),
            Self::MethodNotAllowed => (METHOD_NOT_ALLOWED, 405, "请求方法不符 | not the method of this verb"),
            Self::OperationConflict => (
                OPERATION_CONFLICT,
                409,
                "同一业务号已用于其他内容，未做任何事 | the operation id was used for other content; nothing was done",
            ),
            Self::TooLarge => (TOO_LARGE, 413, "请求超过 4 MiB | the request is longer than 4 MiB"),
            Self::UnsupportedMediaType => {
                (UNSUPPORTED_MEDIA_TYPE, 415, "请求体须为 application/json | a body must be application/json")
            }
            Self::Failed => (FAILED, 500, "服务自身出错 | the service itself failed"),
            Self::Busy => (BUSY, 503, "请求过多，请稍后再发 | too many requests; send it again later"),
        }
    }
}

/// A refusal with where and why; never with anything of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    pub detail: Option<String>,
    /// Such as `$.ask.legs[0].payer`.
    pub place: Option<String>,
    pub retry_after_s: Option<u32>,
    /// Of a verb that was asked by another method.
    pub allow: Option<&'static str>,
}

#[derive(Serialize)]
struct Document<'p> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'p str>,
}

impl Problem {
    pub fn of(kind: ProblemKind) -> Self {
        Self { kind, detail: None, place: None, retry_after_s: None, allow: None }
    }

    pub fn at(self, place: impl Into<String>) -> Self {
        Self { place: Some(place.into()), ..self }
    }

    pub fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub fn reply(&self) -> Reply {
        let (kind, status, title) = self.kind.said();
        let (detail, place) = (self.detail.as_deref(), self.place.as_deref());
        let body = serde_json::to_vec(&Document { kind, title, status, detail, place }).unwrap_or_default();
        let reply = Reply::of(status, "application/problem+json", body);
        Reply { retry_after_s: self.retry_after_s, allow: self.allow, ..reply }
    }
}

/// What is wrong with a body, without a word of what stands in it: only what should have.
pub(super) fn malformed(why: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let said = why.inner().to_string();
    // Names of members and kinds are ours; values, which serde names before what it expected, are a person's.
    let detail = match said.split_once("expected ") {
        _ if said.starts_with("missing field `") || said.starts_with("duplicate field `") => {
            said.split(" at line ").next().unwrap_or_default().to_owned()
        }
        Some((_, expected)) => {
            format!("expected {}", expected.split(" at line ").next().unwrap_or_default())
        }
        None => "is not what schemas/adapter.openapi.json says of this place".to_owned(),
    };
    let path = why.path().to_string();
    // Of a text that is no JSON the path ends in what could not be read.
    let place = match path.trim_end_matches('?').trim_end_matches('.') {
        "" => "$".to_owned(),
        path if path.starts_with('[') => format!("${path}"),
        path => format!("$.{path}"),
    };
    Problem::of(ProblemKind::Malformed).because(detail).at(place)
}
