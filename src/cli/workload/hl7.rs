//! A stay as messages of HL7 v2, with bars; [`hl7_xml`] writes the same in XML.

use std::fmt::Write as _;

use jiff::civil::Date;

use super::messages::{DIAGNOSIS, Outgoing, Port, Saying};
use super::{Dialect, Stay, fen, hl7_xml};
use crate::intake::hl7::Delimiters;
use crate::intake::hl7::escape::escape;

const SENT_AT_HL7: &str = "20201231101500+0800";

/// One HL7 message of a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Admission,
    Charges,
    Discharge,
    AccountClosed,
}

impl Event {
    fn kind(self) -> &'static str {
        match self {
            Self::Admission => "ADT^A01^ADT_A01",
            Self::Charges => "DFT^P03^DFT_P03",
            Self::Discharge => "ADT^A03^ADT_A03",
            Self::AccountClosed => "BAR^P06^BAR_P06",
        }
    }

    fn structure(self) -> &'static str {
        self.kind().rsplit('^').next().unwrap_or_default()
    }

    fn letter(self) -> char {
        match self {
            Self::Admission => 'A',
            Self::Charges => 'C',
            Self::Discharge => 'D',
            Self::AccountClosed => 'P',
        }
    }
}

impl Stay<'_> {
    pub(super) fn hl7(&self, saying: Saying, event: Event) -> Outgoing {
        let id = format!("{}{}{}", self.visit, self.dialect.letter(), event.letter());
        let mut message = self.hl7_header(event, &id);
        self.hl7_patient(&mut message);
        self.hl7_visit(event, &mut message);
        match event {
            Event::Charges => self.hl7_charges(&mut message),
            Event::Discharge => self.hl7_findings(&mut message),
            Event::Admission | Event::AccountClosed => {}
        }
        if let Some(own) = &self.hospital.own_places {
            message = own.fill(self, event, &message);
        }
        let in_xml = Port::Http { media_type: "application/hl7-v2+xml" };
        let (port, bytes) = match self.dialect {
            Dialect::Hl7Xml => (in_xml, hl7_xml::by_the_standard(&message, event.structure()).into_bytes()),
            Dialect::Hl7Mirth => (in_xml, hl7_xml::as_mirth(&message).into_bytes()),
            Dialect::Hl7Http => (Port::Http { media_type: "application/hl7-v2" }, self.encoded(&message)),
            Dialect::Hl7Old => (Port::Mllp, self.encoded(&message.replace('\r', "\n"))),
            _ => (Port::Mllp, self.encoded(&message)),
        };
        Outgoing { port, saying, id, bytes }
    }

    fn encoded(&self, message: &str) -> Vec<u8> {
        let encoding = match self.dialect {
            Dialect::Hl7Gb18030 => encoding_rs::GB18030,
            _ => self.hospital.unnamed_charset.unwrap_or(encoding_rs::UTF_8),
        };
        encoding.encode(message).0.into_owned()
    }

    fn hl7_header(&self, event: Event, id: &str) -> String {
        // The third component of MSH-9 came with 2.3.1, offsets from UTC are not what old systems write.
        let (kind, sent_at, version) = match self.dialect {
            Dialect::Hl7Old => (&event.kind()[..7], &SENT_AT_HL7[..14], "2.3"),
            _ => (event.kind(), SENT_AT_HL7, "2.5"),
        };
        let charset = match self.dialect {
            Dialect::Hl7Gb18030 => "GB 18030-2000",
            Dialect::Hl7Xml | Dialect::Hl7Mirth => "UNICODE UTF-8",
            _ if self.hospital.unnamed_charset.is_some() => "",
            _ => "UNICODE UTF-8",
        };
        let [application, facility] = [&self.hospital.application, &self.hospital.facility]
            .map(|name| escape(name, &Delimiters::STANDARD));
        format!(
            "MSH|^~\\&|{application}|{facility}|YIZHAN|GATEWAY|{sent_at}||{kind}|{id}|P|{version}||||||{charset}\r\
             EVN|{event}|{sent_at}\r",
            event = &kind[4..7],
        )
    }

    /// Before they had types, numbers stood in places of their own: the visit's in PID-18, the citizen's in PID-19.
    fn hl7_patient(&self, message: &mut String) {
        let (person, mrn, hospital) = (&self.person, self.mrn(), &self.hospital.code);
        let number = person.id_number.as_deref().unwrap_or_default();
        let (numbers, name, old_numbers) = if self.dialect == Dialect::Hl7Old {
            let given = person.name.char_indices().nth(1).map_or(person.name.len(), |(at, _)| at);
            let (family, given) = person.name.split_at(given);
            let old_numbers = format!("{}{}|{number}", "|".repeat(10), self.visit);
            (format!("{mrn}^^^{hospital}"), format!("{family}^{given}"), old_numbers)
        } else {
            let card = if number.is_empty() { String::new() } else { format!("{number}^^^GA^NNCHN~") };
            (format!("{card}{mrn}^^^{hospital}^MR"), person.name.clone(), String::new())
        };
        let (birth, sex) = (person.birth.replace('-', ""), if person.is_male { "M" } else { "F" });
        let _ = write!(message, "PID|1||{numbers}||{name}||{birth}|{sex}{old_numbers}\r");
    }

    /// An admission knows of no end and no sum.
    fn hl7_visit(&self, event: Event, message: &mut String) {
        let until_discharged = match event {
            Event::Admission => String::new(),
            _ => format!("|{}||{}", plain(self.discharged), self.total()),
        };
        let _ = write!(
            message,
            "PV1|1|I|N3^^12||||||||||||||||{visit}{until_admitted}{admitted}{until_discharged}\r",
            visit = if self.dialect == Dialect::Hl7Old { "" } else { &self.visit },
            until_admitted = "|".repeat(25),
            admitted = plain(self.admitted),
        );
    }

    fn hl7_charges(&self, message: &mut String) {
        let money = if self.dialect == Dialect::Hl7Old { "&CNY^TP" } else { "" };
        for charge in &self.charges {
            let kind = if charge.credit_of.is_some() { "CD" } else { "CG" };
            let _ = write!(
                message,
                "FT1|{id}|{id}||{date}||{kind}|{code}^{name}^LOCAL|||{quantity}|{amount}{money}|{price}{money}\r",
                id = charge.id,
                date = plain(charge.date),
                code = charge.code,
                name = charge.name,
                quantity = charge.quantity,
                amount = fen(charge.amount()),
                price = fen(charge.unit_price),
            );
        }
        if self.deposit > 0 {
            let (id, day, deposit) = (self.charges.len() + 1, plain(self.admitted), fen(self.deposit));
            let _ = write!(message, "FT1|{id}|{id}||{day}||PY|PAY^预交金^LOCAL|||1|{deposit}|{deposit}\r");
        }
    }

    fn hl7_findings(&self, message: &mut String) {
        let (code, name) = DIAGNOSIS;
        let _ = write!(message, "DG1|1||{code}^{name}^I10|||F|||||||||1\r");
        if let Some(accident) = self.accident {
            let _ = write!(message, "ACC|{}|{accident}\r", plain(self.admitted));
        }
    }
}

/// 20200702
fn plain(day: Date) -> String {
    day.strftime("%Y%m%d").to_string()
}
