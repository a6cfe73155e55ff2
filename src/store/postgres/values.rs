//! Days and instants on the wire: the driver knows no type of ours for them.

use std::error::Error;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

type Failed = Box<dyn Error + Sync + Send>;

/// Where PostgreSQL counts from.
const DAY_ZERO: Date = jiff::civil::date(2000, 1, 1);
const INSTANT_ZERO_US: i64 = 946_684_800_000_000;
/// PostgreSQL's `-infinity`, which sorts before every day.
const BEFORE_ALL: i32 = i32::MIN;

/// A `date`; absent is `-infinity`, so that it can stand in a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day(pub(super) Option<Date>);

impl Day {
    /// `2020-06-24`; anything else is a day not known yet.
    pub(super) fn of_word(word: &str) -> Self {
        Self(word.parse().ok())
    }
}

impl ToSql for Day {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        let days = match self.0 {
            Some(day) => day.since((jiff::Unit::Day, DAY_ZERO))?.get_days(),
            None => BEFORE_ALL,
        };
        out.extend_from_slice(&days.to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(DATE);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Day {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        let days = i32::from_be_bytes(raw.try_into()?);
        if days == BEFORE_ALL {
            return Ok(Self(None));
        }
        Ok(Self(Some(DAY_ZERO.checked_add(jiff::Span::new().try_days(i64::from(days))?)?)))
    }

    accepts!(DATE);
}

/// A `timestamptz`, in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant(pub(super) Timestamp);

impl ToSql for Instant {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        out.extend_from_slice(&(self.0.as_microsecond() - INSTANT_ZERO_US).to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Instant {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        let since = i64::from_be_bytes(raw.try_into()?);
        let microsecond = since.checked_add(INSTANT_ZERO_US).ok_or("an instant beyond all time")?;
        Ok(Self(Timestamp::from_microsecond(microsecond)?))
    }

    accepts!(TIMESTAMPTZ);
}
