//! Dates and times as senders write them: ISO 8601, or HL7 `YYYYMMDD[HHMM[SS[.S…]]][±ZZZZ]`.

use yizhan_contract::stay::Moment;

use super::hl7::time::Dtm;

/// The text names no day: it is no date, a day that does not exist, or only a year or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADate;

/// A civil moment in Shanghai; an offset is converted, its absence means Shanghai.
pub fn moment(text: &str) -> Result<Moment, NotADate> {
    if text.as_bytes().get(4) == Some(&b'-') {
        return text.parse().map_err(|_| NotADate);
    }
    Dtm::parse(text).ok().and_then(Dtm::moment).ok_or(NotADate)
}

/// Whether a text is a date that gives no day (`1950`, `195003`), as birth dates often are.
pub fn is_imprecise(text: &str) -> bool {
    Dtm::parse(text).is_ok_and(|time| time.moment().is_none())
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
            ("20200702203000+0000", Some("2020-07-03T04:30:00")),
            ("2020", None),
            ("202007", None),
            ("20200230", None),
            ("2020070210300", None),
            ("2020-7-2", None),
            ("２０２００７０２", None),
            ("", None),
        ] {
            let read = moment(text).ok().map(|moment| moment.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }
}
