//! Times: TS to v2.5.1, DTM from v2.6 (HL7 v2.5 ch. 2A.77): `YYYY[MM[DD[HH[MM[SS[.S+]]]]]][+/-ZZZZ]`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use yizhan_contract::stay::{CIVIL_OFFSET, Moment};

/// How much of a time was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// A time as it was written. Parts that were not given are those of the earliest time it can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dtm {
    pub precision: Precision,
    civil: DateTime,
    offset: Option<Offset>,
}

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("is no time of the form YYYYMMDDHHMMSS")]
    Shape,
    #[error("is a time that does not exist")]
    Calendar,
}

impl Dtm {
    /// Reads the first component of a TS, or a DTM, escapes resolved.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        let (local, offset) = match text.find(['+', '-']) {
            Some(at) => (&text[..at], Some(offset_of(&text[at..])?)),
            None => (text, None),
        };
        let (digits, fraction) = match local.split_once('.') {
            Some((digits, fraction)) if digits.len() == 14 => (digits, Some(fraction)),
            Some(_) => return Err(TimeError::Shape),
            None => (local, None),
        };
        let precision = match digits.len() {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            10 => Precision::Hour,
            12 => Precision::Minute,
            14 => Precision::Second,
            _ => return Err(TimeError::Shape),
        };
        let nanosecond = fraction.map_or(Ok(0), nanoseconds_of)?;
        Ok(Self { precision, civil: civil_of(digits, nanosecond)?, offset })
    }

    /// The stay's own kind of time, on the wall clock in Shanghai. `None` where no day was given.
    pub fn moment(self) -> Option<Moment> {
        match self.precision {
            Precision::Year | Precision::Month => None,
            Precision::Day => Some(Moment::on(self.civil.date())),
            _ => match self.offset {
                Some(_) => self.instant().map(Moment::at),
                None => Some(Moment { date: self.civil.date(), time: Some(self.civil.time()) }),
            },
        }
    }

    /// The earliest instant it can mean; without an offset it was written in Shanghai.
    pub fn instant(self) -> Option<Timestamp> {
        self.offset.unwrap_or(CIVIL_OFFSET).to_timestamp(self.civil).ok()
    }
}

fn number(digits: &str) -> Result<i16, TimeError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TimeError::Shape);
    }
    digits.parse().map_err(|_| TimeError::Shape)
}

/// 4, 6, 8, 10, 12 or 14 digits.
fn civil_of(digits: &str, nanosecond: i32) -> Result<DateTime, TimeError> {
    if !digits.is_ascii() {
        return Err(TimeError::Shape);
    }
    let pair = |at: usize, unless: i8| match digits.get(at..at + 2) {
        Some(pair) => number(pair).map(|pair| pair as i8),
        None => Ok(unless),
    };
    let year = number(&digits[..4])?;
    let date = Date::new(year, pair(4, 1)?, pair(6, 1)?).map_err(|_| TimeError::Calendar)?;
    let time = Time::new(pair(8, 0)?, pair(10, 0)?, pair(12, 0)?, nanosecond);
    Ok(DateTime::from_parts(date, time.map_err(|_| TimeError::Calendar)?))
}

fn nanoseconds_of(fraction: &str) -> Result<i32, TimeError> {
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TimeError::Shape);
    }
    format!("{fraction:0<9}").parse().map_err(|_| TimeError::Shape)
}

/// `+0800`.
fn offset_of(text: &str) -> Result<Offset, TimeError> {
    let (sign, digits) = text.split_at(1);
    if digits.len() != 4 || !digits.is_ascii() {
        return Err(TimeError::Shape);
    }
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    if minutes > 59 || hours > 15 {
        return Err(TimeError::Calendar);
    }
    let seconds = (i64::from(hours) * 60 + i64::from(minutes)) * 60;
    let seconds = if sign == "-" { -seconds } else { seconds };
    Offset::UTC.checked_add(SignedDuration::from_secs(seconds)).map_err(|_| TimeError::Calendar)
}

/// An instant as we write it: the wall clock in Shanghai, to the second, with its offset.
pub fn written(at: Timestamp) -> String {
    let civil = at.to_zoned_datetime(TimeZone::fixed(CIVIL_OFFSET)).datetime();
    let (date, time) = (civil.date(), civil.time());
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}+0800",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Result<Option<String>, TimeError> {
        Dtm::parse(text).map(|read| read.moment().map(|moment| moment.to_string()))
    }

    #[test]
    fn times_are_read_to_the_precision_given() {
        for (text, expected) in [
            ("2026", None),
            ("202608", None),
            ("20260814", Some("2026-08-14")),
            ("20260814+0000", Some("2026-08-14")),
            ("2026081409", Some("2026-08-14T09:00:00")),
            ("202608140930", Some("2026-08-14T09:30:00")),
            ("20260814093021", Some("2026-08-14T09:30:21")),
            ("20260814093021.1234", Some("2026-08-14T09:30:21.1234")),
            ("20260814203021+0000", Some("2026-08-15T04:30:21")),
            ("20260814093021+0800", Some("2026-08-14T09:30:21")),
            ("20260814093021.5-0500", Some("2026-08-14T22:30:21.5")),
        ] {
            assert_eq!(moment(text).unwrap().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, error) in [
            ("", TimeError::Shape),
            ("196203520", TimeError::Shape),
            ("Aug 15, 1942", TimeError::Shape),
            ("1977-01-01", TimeError::Shape),
            ("20260814.5", TimeError::Shape),
            ("20260814093021.", TimeError::Shape),
            ("２０２６", TimeError::Shape),
            ("20260814+08", TimeError::Shape),
            ("20260230", TimeError::Calendar),
            ("00000000", TimeError::Calendar),
            ("2026081424", TimeError::Calendar),
            ("20260814093060", TimeError::Calendar),
        ] {
            assert_eq!(moment(text), Err(error), "{text}");
        }
    }

    #[test]
    fn our_own_times_carry_the_offset() {
        assert_eq!(written("2026-08-14T01:30:21Z".parse().unwrap()), "20260814093021+0800");
    }
}
