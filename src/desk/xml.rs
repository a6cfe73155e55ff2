//! The bill as XML (`schemas/bill.xsd`): the names and the order of its JSON; a list holds its members
//! by their singular; what is null in JSON is left out.

use serde::Serialize;
use yizhan_contract::{Buckets, Finding, Step, Text};

use super::markup::Markup;
use crate::settlement::bill::{Bill, BilledPatient, BilledPayer, CategoryTotal, Coverage, Reversal};
use crate::settlement::outcome::{Beneficiary, Noted};

pub const BILL_NAMESPACE: &str = "urn:yizhan:bill:1";
pub const NOTED_NAMESPACE: &str = "urn:yizhan:noted:1";

pub fn bill_xml(bill: &Bill) -> String {
    Markup::document("bill", BILL_NAMESPACE, |xml| self::bill(xml, bill))
}

/// What was taken in without a bill, as XML: the names and the order of its JSON.
pub fn noted_xml(noted: &Noted) -> String {
    Markup::document("noted", NOTED_NAMESPACE, |xml| {
        xml.leaf("state", noted.state.word());
        xml.leaf("hospital", &noted.hospital);
        xml.leaf("visit_number", &noted.visit_number);
        xml.leaf("lines", noted.lines);
        xml.leaf("total", noted.total);
        xml.element("beneficiary", |xml| beneficiary(xml, &noted.beneficiary));
        xml.element("findings", |xml| {
            for of in &noted.findings {
                xml.element("finding", |xml| finding(xml, of));
            }
        });
    })
}

fn beneficiary(xml: &mut Markup, beneficiary: &Beneficiary) {
    xml.leaf("on_roster", beneficiary.on_roster);
    xml.leaf("on", beneficiary.on);
    xml.element("categories", |xml| {
        beneficiary.categories.iter().for_each(|category| xml.leaf("category", category));
    });
    xml.element("category_names", |xml| {
        beneficiary.category_names.iter().for_each(|name| text(xml, "category_name", name));
    });
    xml.element("covers", |xml| beneficiary.covers.iter().for_each(|cover| xml.leaf("cover", cover)));
    xml.leaf("deposit_waived", beneficiary.deposit_waived);
}

pub(super) fn bill(xml: &mut Markup, bill: &Bill) {
    xml.leaf("settlement_id", bill.settlement_id);
    xml.leaf("version", bill.version);
    xml.leaf("state", bill.state.word());
    xml.leaf("policy", &bill.policy);
    xml.leaf("hospital", &bill.hospital);
    xml.leaf("visit_number", &bill.visit_number);
    xml.element("patient", |xml| patient(xml, &bill.patient));
    xml.leaf("admitted", bill.admitted);
    xml.leaf("discharged", bill.discharged);
    xml.leaf("cause", bill.cause);
    xml.element("amounts", |xml| buckets(xml, &bill.amounts));
    xml.element("payers", |xml| {
        for of in &bill.payers {
            xml.element("payer", |xml| payer(xml, of));
        }
    });
    xml.leaf("paid_by_payers", bill.paid_by_payers);
    xml.leaf("patient_share", bill.patient_share);
    xml.leaf("deposit", bill.deposit);
    xml.leaf("to_collect", bill.to_collect);
    xml.leaf("to_refund", bill.to_refund);
    xml.element("coverage", |xml| coverage(xml, &bill.coverage));
    xml.element("lines_by_category", |xml| {
        for total in &bill.lines_by_category {
            xml.element("category_total", |xml| category_total(xml, total));
        }
    });
    xml.leaf("benefit_year", bill.benefit_year);
    xml.leaf("admission_ordinal", bill.admission_ordinal);
    xml.leaf("issued_at", bill.issued_at);
    xml.optional("replaces", bill.replaces);
    xml.optional("valid_until", bill.valid_until);
    if let Some(of) = &bill.reversal {
        xml.element("reversal", |xml| reversal(xml, of));
    }
    xml.element("findings", |xml| {
        for of in &bill.findings {
            xml.element("finding", |xml| finding(xml, of));
        }
    });
}

fn patient(xml: &mut Markup, patient: &BilledPatient) {
    xml.leaf("name", &patient.name);
    xml.optional("id_number", patient.id_number.as_ref());
    xml.optional("category", patient.category.as_ref());
    if let Some(name) = &patient.category_name {
        text(xml, "category_name", name);
    }
    xml.leaf("category_on", patient.category_on);
}

fn buckets(xml: &mut Markup, amounts: &Buckets) {
    xml.leaf("total", amounts.total);
    xml.leaf("self_funded", amounts.self_funded);
    xml.leaf("over_limit", amounts.over_limit);
    xml.leaf("upfront_copay", amounts.upfront_copay);
    xml.leaf("in_scope", amounts.in_scope);
}

fn payer(xml: &mut Markup, payer: &BilledPayer) {
    xml.leaf("payer", &payer.payer);
    text(xml, "name", &payer.name);
    xml.leaf("state", word(&payer.state));
    xml.leaf("base_kind", payer.base_kind.word());
    xml.leaf("base", payer.base);
    xml.leaf("paid", payer.paid);
    xml.optional("payer_reference", payer.payer_reference.as_ref());
    xml.optional("reason", payer.reason.map(|reason| word(&reason)));
    xml.leaf("computed_by", word(&payer.computed_by));
    xml.element("steps", |xml| {
        for of in &payer.steps {
            xml.element("step", |xml| step(xml, of));
        }
    });
}

fn step(xml: &mut Markup, step: &Step) {
    xml.leaf("what", word(&step.what));
    xml.optional("amount", step.amount);
    xml.optional("already", step.already);
    xml.optional("of", step.of);
    xml.optional("from", step.from);
    xml.optional("to", step.to);
    xml.optional("part", step.part);
    xml.optional("ratio", step.ratio);
    xml.optional("points", step.points);
    if !step.items.is_empty() {
        xml.element("items", |xml| {
            for item in &step.items {
                xml.element("item", |xml| {
                    xml.leaf("category", &item.category);
                    xml.leaf("amount", item.amount);
                    xml.leaf("ratio", item.ratio);
                });
            }
        });
    }
    xml.leaf("after", step.after);
    xml.optional("clause", step.clause.as_ref());
}

fn coverage(xml: &mut Markup, coverage: &Coverage) {
    xml.optional("in_scope", coverage.in_scope.map(|ratio| format!("{ratio:.4}")));
    xml.leaf("total", format!("{:.4}", coverage.total));
}

fn category_total(xml: &mut Markup, total: &CategoryTotal) {
    xml.optional("category", total.category.as_ref());
    xml.leaf("lines", total.lines);
    xml.element("amounts", |xml| buckets(xml, &total.buckets));
}

fn reversal(xml: &mut Markup, reversal: &Reversal) {
    xml.leaf("reason", &reversal.reason);
    xml.leaf("operator", &reversal.operator);
    xml.leaf("at", reversal.at);
}

fn finding(xml: &mut Markup, finding: &Finding) {
    xml.leaf("code", word(&finding.code));
    text(xml, "message", &finding.message);
    xml.optional("clause", finding.clause.as_ref());
}

pub(super) fn text(xml: &mut Markup, name: &str, text: &Text) {
    xml.element(name, |xml| {
        xml.leaf("zh", &text.zh);
        xml.leaf("en", &text.en);
    });
}

/// A code's word as JSON has it, so that both forms cannot drift apart.
fn word(code: &impl Serialize) -> String {
    let written = serde_json::to_value(code).unwrap_or_default();
    written.as_str().unwrap_or_default().to_owned()
}
