//! From a file as it is written to a [`Mapping`]: every mistake is found, each with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use yizhan_contract::payer::Manifest;
use yizhan_contract::{PayerCode, Text};
use zeroize::Zeroizing;

use super::charset::Charset;
use super::exchange::Sections;
use super::file::{File, RawConnection, RawContent, RawForms, RawSigning};
use super::forms::{Codes, Forms, InstantForm, Pattern};
use super::mapping::Mapping;
use super::mistake::{MappingError, Mistakes};
use super::sign::{KEY_BYTES_MIN, Key, Part, Signing};
use crate::wire::{Target, TlsFiles};

/// What the host says beside the file.
pub(super) struct Around<'a> {
    /// The name the host gives the adapter.
    pub(super) adapter: &'a str,
    /// Where relative paths begin.
    pub(super) folder: &'a FilePath,
}

pub(super) fn check(file: File, around: &Around<'_>) -> Result<Mapping, MappingError> {
    let mut mistakes = Mistakes::default();
    let checked = checked(file, around, &mut mistakes);
    mistakes.into_result(checked)
}

fn checked(file: File, around: &Around<'_>, mistakes: &mut Mistakes) -> Option<Mapping> {
    let serves = serves(&file.serves, mistakes);
    let forms = forms(&file.forms, mistakes);
    check_codes(&file.codes, mistakes);
    let charset = charset(&file.connection, mistakes);
    let headers = headers(&file.connection, mistakes);
    let content_type = content_type(&file.connection, charset, mistakes);
    let target = target(&file.connection, around, mistakes);
    let signing = file.signing.as_ref().map(|signing| signed(signing, around, mistakes));
    check_promises(&file, mistakes);
    let manifest = promised(&file, &serves);
    if let Err((key, text)) = manifest.check() {
        let is_promise = !["adapter", "version", "serves"].contains(&key);
        mistakes.add(if is_promise { format!("promises.{key}") } else { key.to_owned() }, text);
    }
    let sections = Sections {
        content: file.connection.content,
        charset,
        forms: &forms,
        codes: &file.codes,
        serves: &serves,
        is_firm: file.promises.quotes_are_firm,
    };
    let read = sections.read(&file, mistakes);
    Some(Mapping {
        manifest: Manifest { needs: read.needs, ..manifest },
        target: target?,
        content: file.connection.content,
        charset,
        content_type: content_type?,
        headers,
        signing: match signing {
            Some(signing) => Some(signing?),
            None => None,
        },
        codes: file.codes,
        quote: read.quote?,
        commit: read.commit?,
        status: read.status?,
        reverse: read.reverse,
        coverage: read.coverage,
        visit: read.visit,
        statement: read.statement,
        kept: read.kept,
        forms,
    })
}

/// The promises as a manifest; what it needs to know its templates say.
fn promised(file: &File, serves: &[PayerCode]) -> Manifest {
    let promises = &file.promises;
    Manifest {
        adapter: file.adapter.clone(),
        version: file.version.clone(),
        serves: serves.to_vec(),
        quotes_are_firm: promises.quotes_are_firm,
        commits_are_idempotent: promises.commits_are_idempotent,
        reverse_window_s: promises.reverse_window_s,
        not_found_settles_after_s: promises.not_found_settles_after_s,
        optional: promises.optional,
        commits_zero: promises.commits_zero,
        concurrency_max: promises.concurrency_max,
        requests_per_second_max: promises.requests_per_second_max,
        needs: BTreeSet::new(),
        sees_visits: file.visit.is_some(),
        coverage_valid_s: promises.coverage_valid_s,
        quote_p95_ms: promises.quote_p95_ms,
        commit_p95_ms: promises.commit_p95_ms,
    }
}

fn serves(written: &[String], mistakes: &mut Mistakes) -> Vec<PayerCode> {
    let mut serves = Vec::new();
    for (nth, code) in written.iter().enumerate() {
        let read = code.parse::<PayerCode>().map_err(|why| why.text());
        serves.extend(mistakes.noted(&format!("serves[{nth}]"), read));
    }
    serves
}

fn forms(written: &RawForms, mistakes: &mut Mistakes) -> Forms {
    let date = written.date.as_deref().map_or_else(|| Ok(Pattern::iso()), |text| Pattern::read(text, false));
    let instant = InstantForm::read(written.instant.as_deref().unwrap_or("rfc3339"));
    let date = mistakes.noted("forms.date", date);
    let instant = mistakes.noted("forms.instant", instant);
    Forms {
        amount: written.amount,
        // Only so that the rest of the file can be checked too.
        date: date.unwrap_or_else(Pattern::iso),
        instant: instant.unwrap_or(InstantForm::Rfc3339),
    }
}

fn check_codes(codes: &Codes, mistakes: &mut Mistakes) {
    for (table, _) in codes.iter().filter(|(_, entries)| entries.is_empty()) {
        mistakes.add(format!("codes.{table}"), Text::new("码表为空", "the table is empty"));
    }
}

fn charset(connection: &RawConnection, mistakes: &mut Mistakes) -> Charset {
    let written = connection.charset.as_deref().unwrap_or("utf-8");
    Charset::of(written).unwrap_or_else(|| {
        mistakes.add("connection.charset", Text::new("只能是 utf-8 或 gb18030", "must be utf-8 or gb18030"));
        Charset::Utf8
    })
}

fn content_type(
    connection: &RawConnection,
    charset: Charset,
    mistakes: &mut Mistakes,
) -> Option<HeaderValue> {
    let media_type = match connection.content {
        RawContent::Json => "application/json",
        RawContent::Xml => "application/xml",
    };
    let usual = format!("{media_type}; charset={}", charset.label());
    let written = connection.content_type.as_ref().unwrap_or(&usual);
    let read = HeaderValue::from_str(written).map_err(|_| no_header_value());
    mistakes.noted("connection.content_type", read)
}

fn no_header_value() -> Text {
    Text::new("不能作为请求头的值", "cannot be the value of a header")
}

fn header_name(name: &str) -> Result<HeaderName, Text> {
    name.parse().map_err(|_| Text::new("不是请求头的名称", "is no header's name"))
}

fn headers(connection: &RawConnection, mistakes: &mut Mistakes) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &connection.headers {
        let place = format!("connection.headers.{name}");
        let read_name = mistakes.noted(&place, header_name(name));
        let read_value = mistakes.noted(&place, HeaderValue::from_str(value).map_err(|_| no_header_value()));
        let (Some(name), Some(value)) = (read_name, read_value) else { continue };
        if name == CONTENT_TYPE {
            mistakes.add(
                place,
                Text::new("请写在 connection.content_type", "belongs into connection.content_type"),
            );
            continue;
        }
        headers.insert(name, value);
    }
    headers
}

fn target(connection: &RawConnection, around: &Around<'_>, mistakes: &mut Mistakes) -> Option<Target> {
    let files = connection.ca.as_ref().map(|ca| TlsFiles {
        ca: ca.clone(),
        certificate: connection.certificate.clone(),
        key: connection.key.clone(),
    });
    if files.is_none() && (connection.certificate.is_some() || connection.key.is_some()) {
        mistakes.add(
            "connection.ca",
            Text::new("给出证书时须同时给出 ca", "is needed where a certificate is given"),
        );
        return None;
    }
    let target = Target {
        adapter: around.adapter.into(),
        base_url: connection.base_url.clone(),
        tls: files.map(|files| files.relative_to(around.folder)),
    };
    let checked = target.check().map_err(|why| why.text());
    mistakes.noted("connection", checked).map(|()| target)
}

fn check_promises(file: &File, mistakes: &mut Mistakes) {
    let pairs = [
        (
            "promises.reverse_window_s",
            file.promises.reverse_window_s.is_some(),
            "reverse",
            file.reverse.is_some(),
        ),
        ("reverse", file.reverse.is_some(), "reverse_status", file.reverse_status.is_some()),
        (
            "promises.coverage_valid_s",
            file.promises.coverage_valid_s.is_some(),
            "coverage",
            file.coverage.is_some(),
        ),
    ];
    for (one, has_one, other, has_other) in pairs {
        let (there, missing) = match (has_one, has_other) {
            (true, false) => (one, other),
            (false, true) => (other, one),
            _ => continue,
        };
        mistakes.add(
            missing,
            Text::new(format!("有 {there} 时须同时给出"), format!("is needed where there is {there}")),
        );
    }
}

fn signed(written: &RawSigning, around: &Around<'_>, mistakes: &mut Mistakes) -> Option<Signing> {
    let key = mistakes.noted("signing.secret_file", secret(&around.folder.join(&written.secret_file)));
    let header = mistakes.noted("signing.header", header_name(&written.header));
    let mut named = |place: &str, name: &Option<String>| {
        name.as_ref().and_then(|name| mistakes.noted(place, header_name(name)))
    };
    let timestamp = named("signing.timestamp_header", &written.timestamp_header);
    let nonce = named("signing.nonce_header", &written.nonce_header);
    let form = InstantForm::read(written.timestamp.as_deref().unwrap_or("unix_s"));
    let timestamp_form = mistakes.noted("signing.timestamp", form);
    // What the insurer is not told it cannot check.
    for (part, header, place) in [
        (Part::Timestamp, &written.timestamp_header, "signing.timestamp_header"),
        (Part::Nonce, &written.nonce_header, "signing.nonce_header"),
    ] {
        if header.is_none() && written.over.contains(&part) {
            mistakes.add(place, Text::new("已列入 over，须给出", "is needed, because over lists it"));
        }
    }
    if !written.over.iter().any(|part| matches!(part, Part::Body | Part::BodySha256)) {
        mistakes.add(
            "signing.over",
            Text::new(
                "须含 body 或 body_sha256，否则正文可被改动",
                "needs body or body_sha256, else the body can be changed",
            ),
        );
    }
    Some(Signing {
        key: key?,
        over: written.over.clone(),
        join: written.join.clone(),
        header: header?,
        prefix: written.prefix.clone(),
        encoding: written.encoding,
        timestamp,
        timestamp_form: timestamp_form?,
        nonce,
    })
}

/// The key is the file's text, without the line end behind it.
fn secret(path: &FilePath) -> Result<Key, Text> {
    let read = std::fs::read(path).map(Zeroizing::new);
    let bytes = read.map_err(|why| {
        Text::new(
            format!("无法读取 {}（{}）", path.display(), why.kind()),
            format!("cannot read {}: {}", path.display(), why.kind()),
        )
    })?;
    let key = Zeroizing::new(bytes.trim_ascii_end().to_vec());
    if key.len() < KEY_BYTES_MIN {
        return Err(Text::new(
            format!("密钥须至少 {KEY_BYTES_MIN} 字节"),
            format!("the key must have at least {KEY_BYTES_MIN} bytes"),
        ));
    }
    Ok(Key(key))
}

/// Names an answer's values are kept under.
pub(super) fn kept_names(keep: Option<&BTreeMap<String, String>>) -> Vec<String> {
    keep.into_iter().flat_map(BTreeMap::keys).cloned().collect()
}
