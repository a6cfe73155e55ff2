//! What form of answer a client wants (RFC 9110 §12.5.1), and how long it waits for one (RFC 7240 §4.3).

use std::time::Duration;

/// What an answer is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
    /// The printable sheet, or a page.
    Html,
    Hl7,
}

impl Form {
    pub(super) const ALL: &'static [Self] = &[Self::Json, Self::Xml, Self::Html, Self::Hl7];
    /// A problem has no form in HL7 where there is no message to acknowledge.
    pub(super) const OF_PROBLEMS: &'static [Self] = &[Self::Json, Self::Xml, Self::Html];

    fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json", "application/problem+json"],
            Self::Xml => &["application/xml", "text/xml", "application/problem+xml"],
            Self::Html => &["text/html"],
            Self::Hl7 => &["application/hl7-v2"],
        }
    }

    /// The best of what is offered, in the order of preference of the one who offers; `None` where nothing
    /// fits. Without a wish the first offered.
    pub(super) fn wanted(accept: &str, offered: &[Self]) -> Option<Self> {
        if accept.trim().is_empty() {
            return offered.first().copied();
        }
        let ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::read).collect();
        let mut best: Option<(Self, Weight)> = None;
        for form in offered {
            let weight = Weight::of(*form, &ranges);
            let is_better = best.is_none_or(|(_, known)| weight.is_above(known));
            if weight.thousandths > 0 && is_better {
                best = Some((*form, weight));
            }
        }
        best.map(|(form, _)| form)
    }
}

/// One media range of the header.
struct Range<'a> {
    media_type: &'a str,
    /// `q`, in thousandths.
    thousandths: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|name| !name.is_empty())?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(Self { media_type, thousandths: quality.map_or(1_000, thousandths) })
    }

    /// How exactly the range names a type: 2 by name, 1 by its first half, 0 any; `None` where not at all.
    fn precision(&self, media_type: &str) -> Option<u8> {
        if self.media_type.eq_ignore_ascii_case(media_type) {
            return Some(2);
        }
        match self.media_type.strip_suffix("/*")? {
            "*" => Some(0),
            half => media_type.split_once('/').filter(|(kind, _)| kind.eq_ignore_ascii_case(half)).map(|_| 1),
        }
    }
}

/// `0.85` → 850. At most three digits follow the point; what is no quality counts as 1.
fn thousandths(quality: &str) -> u16 {
    let (whole, part) = quality.split_once('.').unwrap_or((quality, ""));
    let digits: u16 = format!("{part:0<3}").get(..3).and_then(|part| part.parse().ok()).unwrap_or(0);
    match whole {
        "0" => digits,
        _ => 1_000,
    }
}

/// How much a form is wanted: by quality, then by who is named first.
#[derive(Clone, Copy)]
struct Weight {
    thousandths: u16,
    position: usize,
}

impl Weight {
    /// The most precise range that fits decides.
    fn of(form: Form, ranges: &[Range<'_>]) -> Self {
        let fitting = ranges.iter().enumerate().filter_map(|(position, range)| {
            let precision =
                form.media_types().iter().filter_map(|media_type| range.precision(media_type)).max()?;
            Some((precision, Self { thousandths: range.thousandths, position }))
        });
        let none = Self { thousandths: 0, position: usize::MAX };
        let first_of_best = |best: (u8, Self), next: (u8, Self)| if next.0 > best.0 { next } else { best };
        fitting.reduce(first_of_best).map_or(none, |(_, weight)| weight)
    }

    fn is_above(self, other: Self) -> bool {
        (self.thousandths, std::cmp::Reverse(self.position))
            > (other.thousandths, std::cmp::Reverse(other.position))
    }
}

const WAIT_DEFAULT_SECONDS: u64 = 10;
/// Longer than any payer takes; a connection is not held open for ever.
const WAIT_SECONDS_MAX: u64 = 60;

/// `Prefer: wait=N`, in seconds.
pub(super) fn wait(prefer: &str) -> Duration {
    let stated = prefer.split([',', ';']).find_map(|preference| {
        let (name, seconds) = preference.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"').parse::<u64>().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then_some(seconds)
    });
    Duration::from_secs(stated.unwrap_or(WAIT_DEFAULT_SECONDS).min(WAIT_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_offered_form_is_found() {
        for (accept, form) in [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/*", Some(Form::Json)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Form::Html)),
            ("application/xml;q=0.5, application/json;q=0.4", Some(Form::Xml)),
            ("text/xml", Some(Form::Xml)),
            ("Application/HL7-v2", Some(Form::Hl7)),
            ("application/json;q=0, */*", Some(Form::Xml)),
            ("application/hl7-v2, application/json", Some(Form::Hl7)),
            ("text/html;level=1;q=0.2, application/*;q=0.3", Some(Form::Json)),
            ("image/png", None),
            ("application/json;q=0", None),
            (";;,", None),
        ] {
            assert_eq!(Form::wanted(accept, Form::ALL), form, "{accept:?}");
        }
    }

    #[test]
    fn a_wait_is_read_and_bounded() {
        for (prefer, seconds) in [
            ("", 10),
            ("wait=0", 0),
            ("respond-async, wait=3", 3),
            ("WAIT=\"7\"", 7),
            ("wait=x", 10),
            ("wait=999", 60),
        ] {
            assert_eq!(wait(prefer), Duration::from_secs(seconds), "{prefer:?}");
        }
    }
}
