//! What a message says once.

use yizhan_contract::person::IdNumberError;
use yizhan_contract::{IdNumber, Money, Personal};

use super::super::limits::{CODE_CHARS_MAX, MESSAGE_ID_CHARS_MAX, NAME_CHARS_MAX};
use super::super::problems::Oddity;
use super::super::raw::Field;
use super::super::when;
use super::words::Listed;
use super::{Reader, Wrong, is_beyond, words};
use crate::refusal::Code;
use crate::settlement::names::{Head, Name};
use crate::settlement::part::Patch;
use crate::settlement::places::Dialect;

type Fields<'a> = [Field<'a>; Head::COUNT];

impl<'a> Reader<'_, 'a> {
    pub fn head(&mut self, fields: &Fields<'a>) {
        self.discharged_place = fields[Head::Discharged.index()].place.clone();
        let id = Head::MessageId;
        let id = self.code(Name::Head(id), &fields[id.index()], MESSAGE_ID_CHARS_MAX);
        self.envelope.message_id = id.value().cloned();
        let latest = self.latest;
        let sent_at = self.typed(Name::Head(Head::SentAt), &fields[Head::SentAt.index()], |text| {
            let moment = when::moment(text).map_err(|_| Wrong::date())?;
            let instant = moment.earliest().ok_or_else(Wrong::date)?;
            if is_beyond(moment, latest) { Err(Wrong::ahead()) } else { Ok(instant) }
        });
        self.envelope.sent_at = sent_at.value().copied();
        self.visit(fields);
        self.patient(fields);
        self.circumstances(fields);
        self.stated(fields);
    }

    fn visit(&mut self, fields: &Fields<'_>) {
        self.part.hospital = self.profile.code().to_owned();
        if let Patch::Set(number) = self.head_code(fields, Head::VisitNumber) {
            self.part.visit_number = number;
        }
        self.part.admitted = self.moment(Name::Head(Head::Admitted), &fields[Head::Admitted.index()]);
        self.part.discharged = self.moment(Name::Head(Head::Discharged), &fields[Head::Discharged.index()]);
        self.part.department = self.head_name(fields, Head::Department);
        self.part.ward = self.head_name(fields, Head::Ward);
        self.part.bed = self.head_name(fields, Head::Bed);
        self.part.class = self.head_word(fields, Head::VisitClass, words::visit_class, Listed::VISIT_CLASS);
    }

    fn patient(&mut self, fields: &Fields<'_>) {
        let number = Head::IdNumber;
        self.part.id_number = self.typed(Name::Head(number), &fields[number.index()], |text| {
            text.parse::<IdNumber>().map(Personal::new).map_err(wrong_number)
        });
        self.part.mrn = personal(self.head_code(fields, Head::Mrn));
        self.part.name = personal(self.head_name(fields, Head::PatientName));
        self.part.card = personal(self.head_code(fields, Head::Card));
        self.part.sex = self.head_word(fields, Head::Sex, words::sex, Listed::SEX);
        self.part.birth = match self.moment(Name::Head(Head::Birth), &fields[Head::Birth.index()]) {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(moment) => Patch::Set(Personal::new(moment.date)),
        };
    }

    /// The number that a merge gives up.
    pub fn prior_mrn(&mut self, field: &Field<'_>) -> Option<Personal<String>> {
        let number = self.code(Name::Head(Head::Mrn), field, CODE_CHARS_MAX);
        number.value().cloned().map(Personal::new)
    }

    fn circumstances(&mut self, fields: &Fields<'_>) {
        let region = Head::InsuredRegion;
        self.part.insured_region = self.typed(Name::Head(region), &fields[region.index()], |text| {
            let is_region = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
            is_region.then(|| text.to_owned()).ok_or_else(|| {
                Wrong::new(Code::BadValue, "统筹区编码须为六位数字", "a region has six digits")
            })
        });
        self.part.cause_kind = self.head_word(fields, Head::CauseKind, words::cause, Listed::CAUSE);
        self.part.accident_type = self.head_code(fields, Head::AccidentType);
        let yes_no = Listed::YES_OR_NO;
        self.part.third_party_liable =
            self.head_word(fields, Head::ThirdPartyLiable, words::yes_or_no, yes_no);
        self.part.referral = self.head_word(fields, Head::Referral, words::referral, Listed::REFERRAL);
    }

    /// Documents bind their sender to what they state; HL7 does so only where the profile says it.
    fn stated(&mut self, fields: &Fields<'_>) {
        let binds = |name| self.dialect != Dialect::Hl7 || self.profile.is_binding(name);
        let (total_binds, share_binds) = (binds(Head::StatedTotal), binds(Head::StatedPatientShare));
        let total = &fields[Head::StatedTotal.index()];
        if total_binds {
            self.part.stated_total = self.not_negative(Head::StatedTotal, total);
        } else if let Some(reported) = total.as_text() {
            match reported.parse::<Money>() {
                Ok(reported) => self.part.reported_total = Patch::Set(reported),
                Err(_) => self.problems.warn(&total.place, Oddity::ReportedTotalUnread),
            }
        }
        if share_binds {
            let share = &fields[Head::StatedPatientShare.index()];
            self.part.stated_patient_share = self.not_negative(Head::StatedPatientShare, share);
        }
        self.part.deposit = self.not_negative(Head::Deposit, &fields[Head::Deposit.index()]);
    }

    fn not_negative(&mut self, name: Head, field: &Field<'_>) -> Patch<Money> {
        self.typed(Name::Head(name), field, |text| {
            let amount: Money = text.parse().map_err(Wrong::from)?;
            if amount.is_negative() { Err(Wrong::negative()) } else { Ok(amount) }
        })
    }

    fn head_code(&mut self, fields: &Fields<'_>, name: Head) -> Patch<String> {
        self.code(Name::Head(name), &fields[name.index()], CODE_CHARS_MAX)
    }

    fn head_name(&mut self, fields: &Fields<'_>, name: Head) -> Patch<String> {
        self.text(Name::Head(name), &fields[name.index()], NAME_CHARS_MAX)
    }

    fn head_word<T>(
        &mut self,
        fields: &Fields<'_>,
        name: Head,
        read: fn(&str) -> Option<T>,
        listed: Listed,
    ) -> Patch<T> {
        self.word(Name::Head(name), &fields[name.index()], read, listed)
    }

    /// A word of a closed list.
    pub(super) fn word<T>(
        &mut self,
        name: Name,
        field: &Field<'_>,
        read: fn(&str) -> Option<T>,
        listed: Listed,
    ) -> Patch<T> {
        let dialect = self.dialect;
        self.typed(name, field, |text| {
            read(text).ok_or_else(|| {
                let words = listed.in_dialect(dialect).join(", ");
                Wrong::new(
                    Code::UnknownWord,
                    format!("不在代码表内（{words}）"),
                    format!("is none of {words}"),
                )
            })
        })
    }

    /// What something is called by: at most `chars_max` characters, none of them a control character.
    pub(super) fn code(&mut self, name: Name, field: &Field<'_>, chars_max: usize) -> Patch<String> {
        self.typed(name, field, |text| {
            if text.chars().any(char::is_control) {
                return Err(Wrong::new(Code::BadValue, "含有控制字符", "holds control characters"));
            }
            no_longer_than(chars_max, text).map(str::to_owned)
        })
    }

    /// A name or a text of at most `chars_max` characters, on one line: what senders break it with is a blank.
    pub(super) fn text(&mut self, name: Name, field: &Field<'_>, chars_max: usize) -> Patch<String> {
        let mut is_broken = false;
        let read = self.typed(name, field, |text| {
            is_broken = text.chars().any(char::is_control);
            if !is_broken {
                return no_longer_than(chars_max, text).map(str::to_owned);
            }
            let pieces = text.split(char::is_control).filter(|piece| !piece.is_empty());
            let line = pieces.collect::<Vec<_>>().join(" ");
            no_longer_than(chars_max, line.trim()).map(str::to_owned)
        });
        if is_broken {
            self.problems.warn(&field.place, Oddity::ControlCharacters);
        }
        read
    }
}

fn no_longer_than(chars_max: usize, text: &str) -> Result<&str, Wrong> {
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(Wrong::new(
            Code::BadValue,
            format!("超过 {chars_max} 个字符"),
            format!("is longer than {chars_max} characters"),
        ));
    }
    Ok(text)
}

fn personal(text: Patch<String>) -> Patch<Personal<String>> {
    match text {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(text) => Patch::Set(Personal::new(text)),
    }
}

fn wrong_number(why: IdNumberError) -> Wrong {
    let text = why.text();
    Wrong::new(Code::BadValue, text.zh.to_string(), text.en.to_string())
}
