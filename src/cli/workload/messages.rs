//! A stay as the messages that tell of it.

use std::fmt::Write as _;

use super::charges::Charge;
use super::hl7::Event;
use super::{Dialect, Stay, fen};

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

/// Code and name of what everybody has.
pub(super) const DIAGNOSIS: (&str, &str) = ("J15.900", "细菌性肺炎");
pub(super) const DEPARTMENT: &str = "内科";
pub(super) const SENT_AT: &str = "2020-12-31T10:15:00+08:00";
impl Stay<'_> {
    /// In the order in which they are sent. No two dialects give a message the same id.
    pub(in crate::cli) fn messages(&self) -> Vec<Outgoing> {
        let events: &[Event] = match self.dialect {
            Dialect::Json => return vec![self.document("application/json", self.json().into_bytes())],
            Dialect::Xml => return vec![self.document("application/xml", self.xml("UTF-8").into_bytes())],
            Dialect::XmlGb18030 => {
                let bytes = encoding_rs::GB18030.encode(&self.xml("GB18030")).0.into_owned();
                return vec![self.document("application/xml", bytes)];
            }
            Dialect::XmlOwn => {
                // Hospitals without any were told before that they have none.
                let own = self.hospital.own_xml.as_ref().map(|own| own.document(self));
                let bytes = own.unwrap_or_else(|| self.xml("UTF-8")).into_bytes();
                return vec![self.document("application/xml", bytes)];
            }
            Dialect::Hl7Late => &[Event::Discharge, Event::Charges],
            Dialect::Hl7Bar => &[Event::Admission, Event::Charges, Event::Discharge],
            Dialect::Hl7
            | Dialect::Hl7Gb18030
            | Dialect::Hl7Old
            | Dialect::Hl7Http
            | Dialect::Hl7Xml
            | Dialect::Hl7Mirth => &[Event::Charges, Event::Discharge],
        };
        let is_closed = self.dialect == Dialect::Hl7Bar || self.hospital.closes_accounts;
        let mut events: Vec<_> =
            events.iter().copied().chain(is_closed.then_some(Event::AccountClosed)).collect();
        let last = events.pop();
        let kept = events.into_iter().map(|event| self.hl7(Saying::Charges, event));
        kept.chain(last.map(|event| self.hl7(Saying::Discharge, event))).collect()
    }

    fn document(&self, media_type: &'static str, bytes: Vec<u8>) -> Outgoing {
        let (port, id) = (Port::Http { media_type }, self.message_id());
        Outgoing { port, saying: Saying::Discharge, id, bytes }
    }

    /// Of a document.
    pub(super) fn message_id(&self) -> String {
        format!("{}{}", self.visit, self.dialect.letter())
    }

    pub(super) fn mrn(&self) -> String {
        format!("P{}", self.person.number)
    }

    fn json(&self) -> String {
        let lines: Vec<_> = self.charges.iter().map(|charge| json_line(charge, self.names_credits)).collect();
        let person = &self.person;
        let mut stay = serde_json::json!({
            "message_id": self.message_id(), "sent_at": SENT_AT, "hospital": self.hospital.code,
            "visit": { "number": self.visit, "admitted": self.admitted, "discharged": self.discharged,
                "department": DEPARTMENT, "ward": "三病区", "bed": "12", "class": "inpatient" },
            "patient": { "mrn": self.mrn(), "name": person.name, "birth": person.birth,
                "sex": if person.is_male { "male" } else { "female" } },
            "diagnoses": [{ "code": DIAGNOSIS.0, "name": DIAGNOSIS.1, "principal": true }],
            "lines": lines,
            "stated": { "total": self.total() },
        });
        if self.deposit > 0 {
            stay["deposit"] = fen(self.deposit).to_string().into();
        }
        if let Some(id_number) = &person.id_number {
            stay["patient"]["id_number"] = id_number.as_str().into();
        }
        if let Some(accident) = self.accident {
            stay["cause"] = serde_json::json!({ "kind": "accident", "accident_type": accident });
        }
        stay.to_string()
    }

    fn xml(&self, encoding: &str) -> String {
        let person = &self.person;
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n<discharge xmlns=\"urn:yizhan:discharge:1\">\n\
             <message_id>{id}</message_id><sent_at>{SENT_AT}</sent_at><hospital>{hospital}</hospital>\n\
             <visit><number>{visit}</number><admitted>{admitted}</admitted><discharged>{discharged}</discharged>\
             <department>{DEPARTMENT}</department><class>inpatient</class></visit>\n<patient>",
            id = self.message_id(),
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
        let (code, name) = DIAGNOSIS;
        let _ = writeln!(
            xml,
            "<diagnoses><diagnosis><code>{code}</code><name>{name}</name><principal>true</principal></diagnosis></diagnoses>\n<lines>"
        );
        self.charges.iter().for_each(|charge| xml_line(&mut xml, charge, self.names_credits));
        let total = self.total();
        let deposit = if self.deposit > 0 {
            format!("<deposit>{}</deposit>", fen(self.deposit))
        } else {
            String::new()
        };
        let _ = writeln!(xml, "</lines>\n<stated><total>{total}</total></stated>{deposit}\n</discharge>");
        xml
    }
}

/// Without the line that it takes back a credit is marked, as HL7 does it.
fn json_line(charge: &Charge, names_credits: bool) -> serde_json::Value {
    let sign = sign(charge, names_credits);
    let mut line = serde_json::json!({
        "id": charge.id.to_string(), "date": charge.date, "code": charge.code, "name": charge.name,
        "quantity": format!("{sign}{}", charge.quantity), "unit_price": fen(charge.unit_price),
        "amount": format!("{sign}{}", fen(charge.amount())),
    });
    match charge.credit_of {
        Some(original) if names_credits => line["credit_of"] = original.to_string().into(),
        Some(_) => line["credit"] = true.into(),
        None => {}
    }
    line
}

fn xml_line(xml: &mut String, charge: &Charge, names_credits: bool) {
    let sign = sign(charge, names_credits);
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
    xml.push_str(&match charge.credit_of {
        Some(original) if names_credits => format!("<credit_of>{original}</credit_of>"),
        Some(_) => "<credit>true</credit>".to_owned(),
        None => String::new(),
    });
    xml.push_str("</line>\n");
}

/// A marked credit is written without it.
pub(super) fn sign(charge: &Charge, names_credits: bool) -> &'static str {
    if charge.credit_of.is_some() && names_credits { "-" } else { "" }
}
