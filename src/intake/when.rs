//! Dates and times as senders write them: ISO 8601, or HL7 `YYYYMMDD[HHMM[SS[.S…]]][±ZZZZ]`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use yizhan_contract::stay::{CIVIL_OFFSET, Moment};

/// The text names no day: it is no date, a day that does not exist, or only a year or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADate;

/// A civil moment in Shanghai; an offset is converted, its absence means Shanghai.
pub fn moment(text: &str) -> Result<Moment, NotADate> {
    if text.as_bytes().get(4).is_some_and(u8::is_ascii_digit) {
        return compact(text);
    }
    // `2020-07-02`, the most frequent form, without the general parser.
    if let (10, Some(date)) = (text.len(), dashed(text.as_bytes())) {
        return Ok(Moment::on(date));
    }
    text.parse().map_err(|_| NotADate)
}

/// The day of a moment.
pub fn date(text: &str) -> Result<Date, NotADate> {
    moment(text).map(|moment| moment.date)
}

/// The instant, the first of the day where no time is given.
pub fn instant(text: &str) -> Result<Timestamp, NotADate> {
    moment(text)?.earliest().ok_or(NotADate)
}

fn dashed(text: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    day(&[*y1, *y2, *y3, *y4, *m1, *m2, *d1, *d2])
}

fn day(digits: &[u8]) -> Option<Date> {
    let year = i16::try_from(number(digits.get(..4)?)?).ok()?;
    let month = i8::try_from(number(digits.get(4..6)?)?).ok()?;
    let day = i8::try_from(number(digits.get(6..8)?)?).ok()?;
    Date::new(year, month, day).ok()
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
}

fn compact(text: &str) -> Result<Moment, NotADate> {
    read_compact(text.as_bytes()).ok_or(NotADate)
}

fn read_compact(text: &[u8]) -> Option<Moment> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (civil, rest) = text.split_at(digits);
    let date = day(civil)?;
    let two = |at: usize| i8::try_from(number(civil.get(at..at + 2)?)?).ok();
    let time = match digits {
        8 => None,
        10 => Some(Time::new(two(8)?, 0, 0, 0).ok()?),
        12 => Some(Time::new(two(8)?, two(10)?, 0, 0).ok()?),
        14 => Some(Time::new(two(8)?, two(10)?, two(12)?, 0).ok()?),
        _ => return None,
    };
    let rest = without_fraction(rest)?;
    let Some(time) = time else { return rest.is_empty().then_some(Moment::on(date)) };
    if rest.is_empty() {
        return Some(Moment { date, time: Some(time) });
    }
    let instant = offset(rest)?.to_timestamp(DateTime::from_parts(date, time)).ok()?;
    Some(Moment::at(instant))
}

/// Fractions of a second decide nothing here.
fn without_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else { return Some(rest) };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then(|| &fraction[digits..])
}

/// `+0800`.
fn offset(text: &[u8]) -> Option<Offset> {
    let (sign, digits) = text.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    if minutes >= 60 {
        return None;
    }
    match sign * seconds {
        0 => Some(Offset::UTC),
        seconds if seconds == CIVIL_OFFSET.seconds() => Some(CIVIL_OFFSET),
        seconds => Offset::from_seconds(seconds).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_either_form() {
        for (text, expected) in [
            ("2020-07-02", Some("2020-07-02")),
            ("2020-07-02T10:30:00", Some("2020-07-02T10:30:00")),
            ("2020-07-02T10:30:00+08:00", Some("2020-07-02T10:30:00")),
            ("20200702", Some("2020-07-02")),
            ("202007021030", Some("2020-07-02T10:30:00")),
            ("20200702103000.1234+0800", Some("2020-07-02T10:30:00")),
            ("20200702203000+0000", Some("2020-07-03T04:30:00")),
            ("2020", None),
            ("202007", None),
            ("20200230", None),
            ("2020070210300", None),
            ("20200702103000+08", None),
            ("20200702103000+0860", None),
            ("20200702.5+0800", None),
            ("2020-7-2", None),
            ("２０２００７０２", None),
            ("", None),
        ] {
            let read = moment(text).ok().map(|moment| moment.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }
}
