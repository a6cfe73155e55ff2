//! Roster rows and opening figures as they lie in a [`Spill`](super::spill::Spill).

use jiff::civil::Date;
use yizhan_contract::person::{Entitlement, EntitlementKind};
use yizhan_contract::{IdNumber, Money, Personal, Used};

use super::spill::SpilledRow;
use crate::roster::RosterRow;
use crate::roster::opening::OpeningRow;

impl SpilledRow for RosterRow {
    fn id_number(&self) -> &IdNumber {
        self.id_number.reveal()
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn write(&self, to: &mut Vec<u8>) {
        let Entitlement { kind, code, from, to: last } = &self.entitlement;
        put_text(to, self.id_number.reveal().as_str());
        put_text(to, self.name.reveal());
        put_text(to, self.region.as_deref().unwrap_or_default());
        to.push(match kind {
            EntitlementKind::Category => 0,
            EntitlementKind::Cover => 1,
        });
        put_text(to, code);
        put_day(to, *from);
        if let Some(last) = last {
            put_day(to, *last);
        }
    }

    fn read(line: u64, from: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(from);
        let id_number = Personal::new(bytes.text()?.parse().ok()?);
        let name = Personal::new(bytes.text()?.to_owned());
        let region = Some(bytes.text()?).filter(|region| !region.is_empty()).map(str::to_owned);
        let kind = match bytes.take(1)? {
            [0] => EntitlementKind::Category,
            _ => EntitlementKind::Cover,
        };
        let code = bytes.text()?.to_owned();
        let entitlement = Entitlement { kind, code, from: bytes.day()?, to: bytes.day() };
        Some(Self { line, id_number, name, region, entitlement })
    }
}

impl SpilledRow for OpeningRow {
    fn id_number(&self) -> &IdNumber {
        self.id_number.reveal()
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn write(&self, to: &mut Vec<u8>) {
        put_text(to, self.id_number.reveal().as_str());
        put_text(to, self.payer.as_str());
        to.extend_from_slice(&self.year.to_be_bytes());
        put_text(to, &self.used.base.to_string());
        to.extend_from_slice(&self.used.paid.fen().to_be_bytes());
        to.extend_from_slice(&self.admissions.to_be_bytes());
        put_day(to, self.as_of);
    }

    fn read(line: u64, from: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(from);
        let id_number = Personal::new(bytes.text()?.parse().ok()?);
        let payer = bytes.text()?.parse().ok()?;
        let year = i16::from_be_bytes(bytes.take(2)?.try_into().ok()?);
        let base = bytes.text()?.parse().ok()?;
        let paid = Money::from_fen(i64::from_be_bytes(bytes.take(8)?.try_into().ok()?));
        let admissions = u32::from_be_bytes(bytes.take(4)?.try_into().ok()?);
        let used = Used { base, paid };
        Some(Self { line, id_number, payer, year, used, admissions, as_of: bytes.day()? })
    }
}

/// Cells have at most 500 characters, so two bytes hold the length of any.
fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend_from_slice(&(text.len() as u16).to_be_bytes());
    to.extend_from_slice(text.as_bytes());
}

fn put_day(to: &mut Vec<u8>, day: Date) {
    to.extend_from_slice(&day.year().to_be_bytes());
    to.extend_from_slice(&[day.month().unsigned_abs(), day.day().unsigned_abs()]);
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }

    /// Absent at the end of the row.
    fn day(&mut self) -> Option<Date> {
        let year = i16::from_be_bytes(self.take(2)?.try_into().ok()?);
        let [month, day] = self.take(2)? else { return None };
        Date::new(year, month.cast_signed(), day.cast_signed()).ok()
    }
}
