//! A stay as the messages that tell of it.

use std::fmt::Write as _;

use jiff::civil::Date;

use super::charges::Charge;
use super::{Form, Stay, fen};

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Port {
    Http { media_type: &'static str },
    Mllp,
}

/// What a message brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Saying {
    /// Kept until the discharge.
    Charges,
    /// The bill comes back.
    Discharge,
}

/// One message, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Outgoing {
    pub(in crate::cli) port: Port,
    pub(in crate::cli) saying: Saying,
    pub(in crate::cli) id: String,
    pub(in crate::cli) bytes: Vec<u8>,
}

const SENT_AT: &str = "2020-12-31T10:15:00+08:00";
const SENT_AT_HL7: &str = "20201231101500+0800";

impl Stay<'_> {
    /// In the order in which they are sent.
    pub(in crate::cli) fn messages(&self) -> Vec<Outgoing> {
        let document = |media_type, bytes: String| Outgoing {
            port: Port::Http { media_type },
            saying: Saying::Discharge,
            id: self.visit.clone(),
            bytes: bytes.into_bytes(),
        };
        match self.form {
            Form::Json => vec![document("application/json", self.json())],
            Form::Xml => vec![document("application/xml", self.xml())],
            Form::Hl7 => vec![
                self.hl7(Saying::Charges, "DFT^P03^DFT_P03", format!("{}C", self.visit)),
                self.hl7(Saying::Discharge, "ADT^A03^ADT_A03", format!("{}D", self.visit)),
            ],
        }
    }

    fn mrn(&self) -> String {
        format!("P{}", self.person.number)
    }

    fn json(&self) -> String {
        let lines: Vec<_> = self.charges.iter().map(json_line).collect();
        let person = &self.person;
        let mut stay = serde_json::json!({
            "message_id": self.visit, "sent_at": SENT_AT, "hospital": self.hospital.code,
            "visit": { "number": self.visit, "admitted": self.admitted, "discharged": self.discharged,
                "department": "内科", "ward": "三病区", "bed": "12", "class": "inpatient" },
            "patient": { "mrn": self.mrn(), "name": person.name, "birth": person.birth,
                "sex": if person.is_male { "male" } else { "female" } },
            "diagnoses": [{ "code": "J15.900", "name": "细菌性肺炎", "principal": true }],
            "lines": lines,
            "stated": { "total": self.total() },
            "deposit": fen(self.deposit),
        });
        if let Some(id_number) = &person.id_number {
            stay["patient"]["id_number"] = id_number.as_str().into();
        }
        if let Some(accident) = self.accident {
            stay["cause"] = serde_json::json!({ "kind": "accident", "accident_type": accident });
        }
        stay.to_string()
    }

    fn xml(&self) -> String {
        let person = &self.person;
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<discharge xmlns=\"urn:yizhan:discharge:1\">\n\
             <message_id>{visit}</message_id><sent_at>{SENT_AT}</sent_at><hospital>{hospital}</hospital>\n\
             <visit><number>{visit}</number><admitted>{admitted}</admitted><discharged>{discharged}</discharged>\
             <department>内科</department><class>inpatient</class></visit>\n<patient>",
            visit = self.visit,
            hospital = self.hospital.code,
            admitted = self.admitted,
            discharged = self.discharged,
        );
        let mut element = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = write!(xml, "<{name}>{value}</{name}>");
        };
        if let Some(id_number) = &person.id_number {
            element("id_number", id_number);
        }
        element("mrn", &self.mrn());
        element("name", &person.name);
        element("sex", if person.is_male { "male" } else { "female" });
        element("birth", &person.birth);
        xml.push_str("</patient>\n");
        if let Some(accident) = self.accident {
            let _ = writeln!(
                xml,
                "<cause><kind>accident</kind><accident_type>{accident}</accident_type></cause>"
            );
        }
        xml.push_str("<lines>\n");
        self.charges.iter().for_each(|charge| xml_line(&mut xml, charge));
        let (total, deposit) = (self.total(), fen(self.deposit));
        let _ = writeln!(
            xml,
            "</lines>\n<stated><total>{total}</total></stated><deposit>{deposit}</deposit>\n</discharge>"
        );
        xml
    }

    fn hl7(&self, saying: Saying, kind: &str, id: String) -> Outgoing {
        let charset = if self.hospital.writes_gb18030 { "GB 18030-2000" } else { "UNICODE UTF-8" };
        let mut message = format!(
            "MSH|^~\\&|HIS|{hospital}|YIZHAN|GATEWAY|{SENT_AT_HL7}||{kind}|{id}|P|2.5||||||{charset}\r\
             EVN|{event}|{SENT_AT_HL7}\r",
            hospital = self.hospital.code,
            event = &kind[4..7],
        );
        self.hl7_patient(&mut message);
        match saying {
            Saying::Charges => self.hl7_charges(&mut message),
            Saying::Discharge => self.hl7_findings(&mut message),
        }
        let bytes = match self.hospital.writes_gb18030 {
            true => encoding_rs::GB18030.encode(&message).0.into_owned(),
            false => message.into_bytes(),
        };
        Outgoing { port: Port::Mllp, saying, id, bytes }
    }

    fn hl7_patient(&self, message: &mut String) {
        let person = &self.person;
        let card =
            person.id_number.as_ref().map(|number| format!("{number}^^^GA^NNCHN~")).unwrap_or_default();
        let _ = write!(
            message,
            "PID|1||{card}{mrn}^^^{hospital}^MR||{name}||{birth}|{sex}\r\
             PV1|1|I|N3^^12||||||||||||||||{visit}{until_admitted}{admitted}|{discharged}\r",
            mrn = self.mrn(),
            hospital = self.hospital.code,
            name = person.name,
            birth = person.birth.replace('-', ""),
            sex = if person.is_male { "M" } else { "F" },
            visit = self.visit,
            until_admitted = "|".repeat(25),
            admitted = plain(self.admitted),
            discharged = plain(self.discharged),
        );
    }

    fn hl7_charges(&self, message: &mut String) {
        for charge in &self.charges {
            let kind = if charge.credit_of.is_some() { "CD" } else { "CG" };
            let _ = write!(
                message,
                "FT1|{id}|{id}||{date}||{kind}|{code}^{name}^LOCAL|||{quantity}|{amount}|{price}\r",
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
        message.push_str("DG1|1||J15.900^细菌性肺炎^I10|||F|||||||||1\r");
        if let Some(accident) = self.accident {
            let _ = write!(message, "ACC|{}|{accident}\r", plain(self.admitted));
        }
    }
}

fn json_line(charge: &Charge) -> serde_json::Value {
    let sign = if charge.credit_of.is_some() { "-" } else { "" };
    let mut line = serde_json::json!({
        "id": charge.id.to_string(), "date": charge.date, "code": charge.code, "name": charge.name,
        "quantity": format!("{sign}{}", charge.quantity), "unit_price": fen(charge.unit_price),
        "amount": format!("{sign}{}", fen(charge.amount())),
    });
    if let Some(original) = charge.credit_of {
        line["credit_of"] = original.to_string().into();
    }
    line
}

fn xml_line(xml: &mut String, charge: &Charge) {
    let sign = if charge.credit_of.is_some() { "-" } else { "" };
    let _ = write!(
        xml,
        "<line><id>{id}</id><date>{date}</date><code>{code}</code><name>{name}</name>\
         <quantity>{sign}{quantity}</quantity><unit_price>{price}</unit_price><amount>{sign}{amount}</amount>",
        id = charge.id,
        date = charge.date,
        code = charge.code,
        name = charge.name,
        quantity = charge.quantity,
        price = fen(charge.unit_price),
        amount = fen(charge.amount()),
    );
    if let Some(original) = charge.credit_of {
        let _ = write!(xml, "<credit_of>{original}</credit_of>");
    }
    xml.push_str("</line>\n");
}

/// 20200702
fn plain(day: Date) -> String {
    day.strftime("%Y%m%d").to_string()
}
