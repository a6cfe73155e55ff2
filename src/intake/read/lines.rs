//! Charge lines.

use yizhan_contract::stay::{CatalogueClass, Line};
use yizhan_contract::{ChargeError, FindingCode, Money, Quantity};

use super::super::limits::{CODE_CHARS_MAX, LINES_MAX, TEXT_CHARS_MAX};
use super::super::problems::Oddity;
use super::super::profile::{OddCharges, UNCODED};
use super::super::raw::{Field, LineRow, Place};
use super::super::when;
use super::words::{self, LineKind, Listed};
use super::{Reader, Wrong, is_beyond};
use crate::refusal::Code;
use crate::settlement::message::RepeatedLine;
use crate::settlement::names::{LineField, Name};
use crate::settlement::part::{Patch, Payment};
use crate::settlement::places::Dialect;

/// A figure that is there and does not read; refused at its own place already.
struct Unread;

/// Quantity 0 under a ceiling per unit, as far as the line itself says so. What catalogue and cited line add to it, and
/// class C, which no ceiling holds for, are weighed when the charges are assessed.
fn is_none_of_a_limited_item(line: &Line) -> bool {
    let is_limited =
        matches!(line.class, Some(CatalogueClass::A | CatalogueClass::B)) && line.ceiling.is_some();
    is_limited && line.credit_of.is_none() && line.quantity.is_zero()
}

impl<'a> Reader<'_, 'a> {
    /// One charge, credit or payment; what is wrong with it is noted and the line left out.
    pub fn line(&mut self, place: &Place<'a>, row: &LineRow<'a>) {
        self.rows += 1;
        if self.rows > LINES_MAX {
            if self.rows == LINES_MAX + 1 {
                let zh = format!("费用行超过 {LINES_MAX} 条");
                let en = format!("there are more than {LINES_MAX} charge lines");
                self.problems.refuse(Code::TooLarge, place, &zh, &en);
            }
            return;
        }
        match self.line_kind(place, row) {
            Some(LineKind::Copayment) => self.problems.find(
                FindingCode::CopaymentIgnored,
                "FT1-6 为 CO 的共付行未计入费用",
                "co-payment transactions (FT1-6 CO) are not charges and were left out",
            ),
            Some(LineKind::Payment) => self.payment(place, row),
            Some(LineKind::Credit) => self.charge(place, row, true),
            Some(LineKind::Charge | LineKind::Adjustment) => self.charge(place, row, false),
            None => {}
        }
    }

    /// Table 0017 for HL7; documents only know charges, and mark a credit.
    fn line_kind(&mut self, place: &Place<'a>, row: &LineRow<'a>) -> Option<LineKind> {
        let field = &row[LineField::Kind.index()];
        if self.dialect != Dialect::Hl7 && field.is_absent() {
            return Some(LineKind::Charge);
        }
        let word = self.mapped(Name::Line(LineField::Kind), field);
        if let Some(kind) = word.and_then(words::line_kind) {
            return Some(kind);
        }
        let at = if field.is_absent() { place } else { &field.place };
        if self.profile.odd_charges == OddCharges::Accept {
            self.problems.warn(at, Oddity::OddLineKind);
            return Some(LineKind::Charge);
        }
        let words = LineKind::WORDS.join(", ");
        let code = if field.is_absent() { Code::MissingField } else { Code::UnknownWord };
        let (zh, en) = (format!("须为 0017 表的 {words}"), format!("must be {words} of table 0017"));
        self.problems.refuse(code, at, &zh, &en);
        None
    }

    fn payment(&mut self, place: &Place<'a>, row: &LineRow<'a>) {
        let id = self.required_code(place, row, LineField::Id);
        let field = &row[LineField::Amount.index()];
        let amount = self.typed(Name::Line(LineField::Amount), field, |text| Ok(text.parse::<Money>()?));
        match (id, amount) {
            (Some(id), Patch::Set(amount)) => {
                self.part.payments.push(Payment { id, amount });
                self.payment_places.push(row[LineField::Id.index()].place.clone());
            }
            (Some(_), _) if field.is_absent() => {
                self.problems.refuse(
                    Code::MissingField,
                    place,
                    "预交款没有金额",
                    "a payment without an amount",
                );
            }
            _ => {}
        }
    }

    fn charge(&mut self, place: &Place<'a>, row: &LineRow<'a>, is_credit: bool) {
        let id = self.required_code(place, row, LineField::Id);
        let date = self.line_date(place, row);
        let code = self.item_code(place, row);
        let quantity = self.number(row, LineField::Quantity);
        let unit_price = self.number(row, LineField::UnitPrice);
        let amount = self.number(row, LineField::Amount);
        let class = &row[LineField::Class.index()];
        let class =
            self.word(Name::Line(LineField::Class), class, words::catalogue_class, Listed::CATALOGUE_CLASS);
        let credit = &row[LineField::Credit.index()];
        let credit = self.word(Name::Line(LineField::Credit), credit, words::yes_or_no, Listed::YES_OR_NO);
        let name = &row[LineField::Name.index()];
        let name = self.text(Name::Line(LineField::Name), name, TEXT_CHARS_MAX).value().cloned();
        let category = self.line_code(row, LineField::Category);
        let upfront_ratio = self.number(row, LineField::UpfrontRatio);
        let ceiling = self.number(row, LineField::Ceiling);
        let credit_of = self.line_code(row, LineField::CreditOf);
        let (Some(id), Some(date), Some(code)) = (id, date, code) else { return };
        // Without a figure that does not read the line would have another price, and be refused for that as well.
        let (Ok(quantity), Ok(unit_price), Ok(amount)) = (quantity, unit_price, amount) else { return };
        let (Ok(upfront_ratio), Ok(ceiling)) = (upfront_ratio, ceiling) else { return };
        let line = Line {
            id,
            date,
            code,
            name: name.unwrap_or_default(),
            quantity: quantity.unwrap_or(Quantity::ONE),
            unit_price,
            amount,
            class: class.value().copied(),
            category,
            upfront_ratio,
            ceiling,
            credit_of,
            credit: is_credit || credit.value().copied().unwrap_or(false),
        };
        if self.is_priced(place, row, &line) {
            self.part.lines.push(line);
            self.line_places.push(row[LineField::Id.index()].place.clone());
        }
    }

    /// Whether amount, quantity and unit price give one amount, of a quantity that a ceiling can be put on where the message
    /// alone tells that there is one.
    fn is_priced(&mut self, place: &Place<'a>, row: &LineRow<'a>, line: &Line) -> bool {
        let [amount, price, quantity] =
            [LineField::Amount, LineField::UnitPrice, LineField::Quantity].map(|name| &row[name.index()]);
        let why = match line.signed_amount() {
            Ok(_) if is_none_of_a_limited_item(line) => {
                let en = "quantity 0 on a line with a ceiling";
                self.problems.refuse(Code::BadCharges, &quantity.place, "有限价的行数量不得为 0", en);
                return false;
            }
            Ok(_) => return true,
            Err(why) => why,
        };
        let (code, at) = match why {
            ChargeError::NoAmount => (Code::MissingField, place),
            ChargeError::AmountDiffers { .. } => (Code::BadCharges, &amount.place),
            ChargeError::Number(_) => (Code::BadCharges, &price.place),
        };
        let text = why.text();
        self.problems.refuse(code, at, &text.zh, &text.en);
        false
    }

    fn line_date(&mut self, place: &Place<'a>, row: &LineRow<'a>) -> Option<jiff::civil::Date> {
        let field = &row[LineField::Date.index()];
        if field.as_text().is_none() {
            self.missing(place, field, LineField::Date);
            return None;
        }
        let latest = self.latest;
        let date = self.typed(Name::Line(LineField::Date), field, |text| {
            let moment = when::moment(text).map_err(|_| Wrong::date())?;
            if is_beyond(moment, latest) { Err(Wrong::ahead()) } else { Ok(moment.date) }
        });
        date.value().copied()
    }

    fn item_code(&mut self, place: &Place<'a>, row: &LineRow<'a>) -> Option<String> {
        let field = &row[LineField::Code.index()];
        if field.as_text().is_none() && self.profile.odd_charges == OddCharges::Accept {
            self.problems.warn(place, Oddity::LineUncoded);
            return Some(UNCODED.to_owned());
        }
        self.required_code(place, row, LineField::Code)
    }

    fn required_code(&mut self, place: &Place<'a>, row: &LineRow<'a>, name: LineField) -> Option<String> {
        let field = &row[name.index()];
        if field.as_text().is_none() {
            self.missing(place, field, name);
            return None;
        }
        self.line_code(row, name)
    }

    fn missing(&mut self, row: &Place<'a>, field: &Field<'a>, name: LineField) {
        let (zh, en) = name.called();
        let (zh, en) = (format!("费用行缺少{zh}"), format!("the line has no {en}"));
        let at = if field.place == Place::Whole { row } else { &field.place };
        self.problems.refuse(Code::MissingField, at, &zh, &en);
    }

    fn line_code(&mut self, row: &LineRow<'a>, name: LineField) -> Option<String> {
        match self.code(Name::Line(name), &row[name.index()], CODE_CHARS_MAX) {
            Patch::Set(text) => Some(text),
            Patch::Keep | Patch::Clear => None,
        }
    }

    fn number<T>(&mut self, row: &LineRow<'a>, name: LineField) -> Result<Option<T>, Unread>
    where
        T: std::str::FromStr<Err = yizhan_contract::NumberError>,
    {
        let field = &row[name.index()];
        match self.typed(Name::Line(name), field, |text| Ok(text.parse()?)) {
            Patch::Set(value) => Ok(Some(value)),
            Patch::Keep if field.as_text().is_some() => Err(Unread),
            Patch::Keep | Patch::Clear => Ok(None),
        }
    }

    /// The same line twice in one message counts once; with other content the profile decides.
    pub(super) fn drop_repeated_lines(&mut self) {
        let lines = &self.part.lines;
        let mut order: Vec<usize> = (0..lines.len()).collect();
        if order.windows(2).all(|pair| lines[pair[0]].id < lines[pair[1]].id) {
            return;
        }
        order.sort_by(|a, b| lines[*a].id.cmp(&lines[*b].id).then(a.cmp(b)));
        let mut dropped = vec![false; lines.len()];
        for pair in order.windows(2) {
            let (first, second) = (&lines[pair[0]], &lines[pair[1]]);
            if first.id != second.id {
                continue;
            }
            if first == second {
                self.problems.find(
                    FindingCode::RepeatedLines,
                    "同一费用行重复发送，只计一次",
                    "a charge line was sent twice and counted once",
                );
                dropped[pair[0]] = true;
            } else if self.profile.hospital.repeated_line == RepeatedLine::Replace {
                dropped[pair[0]] = true;
            } else {
                let at = &self.line_places[pair[1]];
                let en = "this line id was used before in the message, with other content";
                self.problems.refuse(Code::RepeatedLineDiffers, at, "行号重复且内容不同", en);
            }
        }
        let mut keep = dropped.iter().map(|dropped| !dropped);
        self.part.lines.retain(|_| keep.next().unwrap_or(true));
        let mut keep = dropped.iter().map(|dropped| !dropped);
        self.line_places.retain(|_| keep.next().unwrap_or(true));
    }
}
