//! The body of a request: its limits, its form, and small JSON documents in it.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage, HttpRequest};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use tokio::time::timeout;

use super::asked::Asked;
use crate::intake::Format;
use crate::intake::shown::ANY;
use crate::refusal::{Code, Refusal};

/// Bytes of a commit, a reversal or a look-up.
pub(super) const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The whole body.
pub(super) async fn read(asked: &Asked, payload: Payload, bytes_max: usize) -> Result<Bytes, Refusal> {
    let header = |name| asked.request.headers().get(name).and_then(|value| value.to_str().ok());
    if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::new(
            Code::UnsupportedMedia,
            "报文须不经压缩发送",
            "the body must be sent without a content encoding",
        ));
    }
    let stated = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if stated.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let within = asked.shared.given.waits.body;
    match timeout(within, payload.to_bytes_limited(bytes_max)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(_))) => Err(Refusal::new(Code::Malformed, "报文没有发完", "the body was cut off")),
        Ok(Err(_)) => Err(too_large(bytes_max)),
        Err(_) => {
            let seconds = within.as_secs().max(1);
            let zh = format!("{seconds} 秒内未收完报文");
            Err(Refusal::new(Code::TooSlow, zh, format!("the body took longer than {seconds} s")))
        }
    }
}

fn too_large(bytes_max: usize) -> Refusal {
    let (zh, en) =
        (format!("报文最大 {bytes_max} 字节"), format!("the body may have {bytes_max} bytes at most"));
    Refusal::new(Code::TooLarge, zh, en)
}

/// What a message says it is written in, with its charset where it names one.
pub(super) fn format(request: &HttpRequest) -> Result<(Format, Option<String>), Refusal> {
    let media_type = request.mime_type().ok().flatten().ok_or_else(unsupported)?;
    let format = match media_type.essence_str() {
        "application/hl7-v2" => Format::Hl7,
        "application/hl7-v2+xml" | "application/xml" | "text/xml" => Format::Xml,
        "application/json" => Format::Json,
        _ => return Err(unsupported()),
    };
    let charset = media_type.get_param("charset").map(|name| name.as_str().to_owned());
    Ok((format, charset))
}

/// A small JSON document; where it does not read, the refusal names the path.
pub(super) async fn json<T: DeserializeOwned>(asked: &Asked, payload: Payload) -> Result<T, Refusal> {
    match format(&asked.request) {
        Ok((Format::Json, _)) => {}
        _ => {
            let (zh, en) = ("请使用 application/json", "use application/json");
            return Err(Refusal::new(Code::UnsupportedMedia, zh, en));
        }
    }
    parsed(&read(asked, payload, REQUEST_BYTES_MAX).await?)
}

/// The error's own words are not repeated: they could quote an identity card number, and so could a key.
fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|why| {
        let place = place_of(&why);
        match why.inner().classify() {
            serde_json::error::Category::Data => Refusal::new(
                Code::BadValue,
                "字段缺失、多余或取值无效",
                "a field is missing, unknown or invalid",
            )
            .at(place),
            _ => not_json(),
        }
    })?;
    reader.end().map_err(|_| not_json())?;
    Ok(read)
}

/// Names are those of our own types, but for one that none of them has.
fn place_of(why: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let is_unknown = why.inner().to_string().starts_with("unknown field ");
    let mut segments = why.path().iter().peekable();
    let mut place = "$".to_owned();
    while let Some(segment) = segments.next() {
        match segment {
            Segment::Map { .. } if is_unknown && segments.peek().is_none() => {
                place.push_str(&format!(".{ANY}"))
            }
            Segment::Map { key } => place.push_str(&format!(".{key}")),
            Segment::Seq { index } => place.push_str(&format!("[{index}]")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    place
}

fn not_json() -> Refusal {
    Refusal::new(Code::Malformed, "不是有效的 JSON", "this is not valid JSON")
}

fn unsupported() -> Refusal {
    Refusal::new(
        Code::UnsupportedMedia,
        "Content-Type 缺失或不受支持",
        "the content type is missing or not supported",
    )
}
