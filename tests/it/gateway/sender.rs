//! A hospital that sends: one stay's facts as HL7, JSON or XML.

use std::collections::BTreeMap;

use serde::Deserialize;
use yizhan::intake::Format;

/// A message in the words of a case; what is absent is not sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sent {
    /// `ADT^A01`, `DFT^P03`, … or `json`, `xml`.
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) hospital: Option<String>,
    /// A name of [`people`], or nobody.
    pub(crate) who: Option<String>,
    /// Instead of the person's own; empty: not sent.
    pub(crate) card: Option<String>,
    pub(crate) mrn: Option<String>,
    pub(crate) prior: Option<String>,
    pub(crate) visit: String,
    pub(crate) admitted: Option<String>,
    pub(crate) discharged: Option<String>,
    /// In the words of HL7 table 0004 or of the normal form; absent: an inpatient.
    pub(crate) class: Option<String>,
    /// The kind of accident.
    pub(crate) accident: Option<String>,
    /// Of every line; absent: the admission's, else 2020-06-24.
    pub(crate) day: Option<String>,
    /// `id kind code amount`, or `id kind code amount quantity price`.
    pub(crate) lines: Vec<String>,
    pub(crate) stated_total: Option<String>,
    pub(crate) stated_share: Option<String>,
    pub(crate) deposit: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) department: Option<String>,
    pub(crate) elsewhere: Vec<String>,
}

pub(crate) struct Patient {
    pub(crate) card: &'static str,
    pub(crate) mrn: &'static str,
    pub(crate) name: &'static str,
}

/// People of `tests/samples/roster.csv`, and two that are on no roster.
pub(crate) fn people() -> BTreeMap<&'static str, Patient> {
    [
        ("zhang", "371323195304121265", "M1", "张桂兰"),
        ("li", "371323196111033175", "M2", "李建国"),
        ("zhou", "371323197405098155", "M3", "周长河"),
        ("wu", "37132319591001913X", "M4", "吴有福"),
        ("chen", "371323195512226336", "M5", "陈守田"),
        ("stranger", "371323195001010015", "M8", "路人"),
        ("unnamed", "", "M9", "无名氏"),
    ]
    .into_iter()
    .map(|(who, card, mrn, name)| (who, Patient { card, mrn, name }))
    .collect()
}

struct Row<'a> {
    id: &'a str,
    kind: &'a str,
    code: &'a str,
    amount: &'a str,
    quantity: &'a str,
    price: &'a str,
}

impl Sent {
    pub(crate) fn hospital(&self) -> &str {
        self.hospital.as_deref().unwrap_or("H37132301")
    }

    fn identity(&self) -> (String, String, String) {
        let people = people();
        let known = people.get(self.who.as_deref().unwrap_or("zhang")).unwrap();
        let or = |own: &Option<String>, else_: &str| own.clone().unwrap_or_else(|| else_.to_owned());
        (or(&self.card, known.card), or(&self.mrn, known.mrn), known.name.to_owned())
    }

    fn rows(&self) -> Vec<Row<'_>> {
        self.lines
            .iter()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                Row {
                    id: words[0],
                    kind: words[1],
                    code: words[2],
                    amount: words[3],
                    quantity: words.get(4).copied().unwrap_or("1"),
                    price: words.get(5).copied().unwrap_or(""),
                }
            })
            .collect()
    }

    fn class(&self) -> &str {
        self.class.as_deref().unwrap_or("inpatient")
    }

    fn day(&self) -> &str {
        self.day.as_deref().or(self.admitted.as_deref()).unwrap_or("2020-06-24")
    }

    pub(crate) fn bytes(&self) -> (Vec<u8>, Format) {
        match self.kind.as_str() {
            "json" => (self.json().into_bytes(), Format::Json),
            "xml" => (self.xml().into_bytes(), Format::Xml),
            _ => (self.hl7().into_bytes(), Format::Hl7),
        }
    }

    fn hl7(&self) -> String {
        let plain = |day: &Option<String>| day.clone().unwrap_or_default().replace('-', "");
        let (card, mrn, name) = self.identity();
        let hospital = self.hospital();
        let typed = [(card, "NNCHN", "GA"), (mrn, "MR", hospital)];
        let numbers: Vec<String> = typed
            .iter()
            .filter(|(number, ..)| !number.is_empty())
            .map(|(number, kind, by)| format!("{number}^^^{by}^{kind}"))
            .collect();
        let kind = &self.kind;
        let mut segments = vec![
            format!(
                "MSH|^~\\&|HIS|{hospital}|YIZHAN|GATEWAY|20200702100000+0800||{kind}|{}|P|2.5||||||UNICODE UTF-8",
                self.id
            ),
            format!("EVN|{}|20200702100000", &kind[4..]),
            format!("PID|1||{}||{name}", numbers.join("~")),
        ];
        if let Some(prior) = &self.prior {
            segments.push(format!("MRG|{prior}^^^{hospital}^MR"));
        }
        if !self.visit.is_empty() {
            let department = self.department.as_deref().unwrap_or("");
            let (admitted, discharged) = (plain(&self.admitted), plain(&self.discharged));
            let mut fields = vec![String::new(); 48];
            fields[0] = "PV1".to_owned();
            fields[1] = "1".to_owned();
            fields[2] = self.class.clone().unwrap_or_else(|| "I".to_owned());
            fields[10] = department.to_owned();
            fields[19].clone_from(&self.visit);
            fields[44] = admitted;
            fields[45] = discharged;
            fields[47] = self.stated_total.clone().unwrap_or_default();
            segments.push(fields.join("|"));
        }
        segments.extend(self.accident.iter().map(|kind| format!("ACC||{kind}")));
        for (at, row) in (1..).zip(self.rows()) {
            let day = self.day().replace('-', "");
            segments.push(format!(
                "FT1|{at}|{}||{day}||{}|{}^^LOCAL|||{}|{}|{}",
                row.id, row.kind, row.code, row.quantity, row.amount, row.price
            ));
        }
        segments.join("\r") + "\r"
    }

    fn json(&self) -> String {
        let (card, mrn, name) = self.identity();
        let lines: Vec<serde_json::Value> = self
            .rows()
            .iter()
            .map(|row| {
                let mut line = serde_json::json!({
                    "id": row.id, "date": self.day(), "code": row.code, "name": "",
                    "quantity": row.quantity, "amount": row.amount,
                });
                if !row.price.is_empty() {
                    line["unit_price"] = row.price.into();
                }
                if row.kind == "CD" {
                    line["credit"] = true.into();
                }
                line
            })
            .collect();
        let mut stay = serde_json::json!({
            "message_id": self.id, "sent_at": "2020-07-02T10:00:00+08:00", "hospital": self.hospital(),
            "visit": { "number": self.visit, "admitted": self.admitted, "discharged": self.discharged,
                "class": self.class() },
            "patient": { "mrn": mrn, "name": name },
            "lines": lines,
        });
        if !card.is_empty() {
            stay["patient"]["id_number"] = card.into();
        }
        let optional = [("total", &self.stated_total), ("patient_share", &self.stated_share)];
        for (name, value) in optional {
            if let Some(value) = value {
                stay["stated"][name] = value.clone().into();
            }
        }
        for (name, value) in [("deposit", &self.deposit), ("insured_region", &self.region)] {
            if let Some(value) = value {
                stay[name] = value.clone().into();
            }
        }
        if let Some(kind) = &self.accident {
            stay["cause"] = serde_json::json!({ "kind": "accident", "accident_type": kind });
        }
        if let Some(department) = &self.department {
            stay["visit"]["department"] = department.clone().into();
        }
        let elsewhere: Vec<_> = self.elsewhere.iter().map(|one| one.split_whitespace().collect()).collect();
        if !elsewhere.is_empty() {
            let one = |words: &Vec<&str>| serde_json::json!({ "payer": words[0], "amount": words[1], "reference": words[2] });
            stay["settled_elsewhere"] = elsewhere.iter().map(one).collect();
        }
        stay.to_string()
    }

    fn xml(&self) -> String {
        let (card, mrn, name) = self.identity();
        let card = if card.is_empty() { card } else { format!("<id_number>{card}</id_number>") };
        let (admitted, discharged) =
            (self.admitted.clone().unwrap_or_default(), self.discharged.clone().unwrap_or_default());
        let cause = self.accident.as_deref().map_or_else(String::new, |kind| {
            format!("<cause><kind>accident</kind><accident_type>{kind}</accident_type></cause>")
        });
        let lines: String = self
            .rows()
            .iter()
            .map(|row| {
                let price = match row.price {
                    "" => String::new(),
                    price => format!("<unit_price>{price}</unit_price>"),
                };
                let credit = if row.kind == "CD" { "<credit>true</credit>" } else { "" };
                format!(
                    "<line><id>{}</id><date>{}</date><code>{}</code><quantity>{}</quantity>{price}<amount>{}</amount>{credit}</line>",
                    row.id, self.day(), row.code, row.quantity, row.amount
                )
            })
            .collect();
        let elsewhere: String = self.elsewhere.iter().map(|one| payer_settlement(one)).collect();
        format!(
            "<discharge xmlns=\"urn:yizhan:discharge:1\"><message_id>{}</message_id>\
             <sent_at>2020-07-02T10:00:00+08:00</sent_at><hospital>{}</hospital>\
             <visit><number>{}</number><admitted>{admitted}</admitted><discharged>{discharged}</discharged>\
             <class>{}</class></visit><patient>{card}<mrn>{mrn}</mrn><name>{name}</name></patient>{cause}\
             <lines>{lines}</lines><settled_elsewhere>{elsewhere}</settled_elsewhere></discharge>",
            self.id,
            self.hospital(),
            self.visit,
            self.class()
        )
    }
}

/// `payer amount reference` as an element.
fn payer_settlement(one: &str) -> String {
    let words: Vec<&str> = one.split_whitespace().collect();
    format!(
        "<payer_settlement><payer>{}</payer><amount>{}</amount><reference>{}</reference></payer_settlement>",
        words[0], words[1], words[2]
    )
}
