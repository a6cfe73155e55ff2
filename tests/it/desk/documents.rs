//! The documents for machines are what their schemas say.

use std::collections::BTreeSet;

use serde_json::Value;
use uppsala::XsdValidator;
use yizhan::desk::problem::Problem;
use yizhan::desk::xml::bill_xml;
use yizhan::refusal::{Code, Money, Refusal};
use yizhan::settlement::bill::Bill;

use super::bills;
use super::golden;

const BILL_XSD: &str = include_str!("../../../schemas/bill.xsd");
const BILL_SCHEMA: &str = include_str!("../../../schemas/bill.schema.json");
const PROBLEM_SCHEMA: &str = include_str!("../../../schemas/problem.schema.json");

/// The names of the bill as the settlement rules print them (§9), by their paths.
const NAMES: &[&str] = &[
    "settlement_id version state policy hospital visit_number patient admitted discharged cause amounts payers \
     paid_by_payers patient_share deposit to_collect to_refund coverage lines_by_category benefit_year \
     admission_ordinal issued_at replaces findings",
    "patient/name patient/id_number patient/category patient/category_on",
    "amounts/total amounts/self_funded amounts/over_limit amounts/upfront_copay amounts/in_scope",
    "payers/payer payers/name payers/name/zh payers/name/en payers/state payers/base payers/paid \
     payers/payer_reference payers/reason payers/steps",
    "payers/steps/what payers/steps/after payers/steps/amount payers/steps/clause payers/steps/part \
     payers/steps/ratio",
    "coverage/in_scope coverage/total",
    "findings/code findings/message findings/message/zh findings/message/en findings/clause",
];

/// What the bill says beyond §9.
const FURTHER_NAMES: &[&str] = &[
    "patient/category_name patient/category_name/zh patient/category_name/en",
    "payers/base_kind payers/computed_by payers/steps/of payers/steps/already",
    "lines_by_category/category lines_by_category/lines lines_by_category/amounts \
     lines_by_category/amounts/total lines_by_category/amounts/self_funded lines_by_category/amounts/over_limit \
     lines_by_category/amounts/upfront_copay lines_by_category/amounts/in_scope",
];

fn names_of(value: &Value, path: &str, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                names.insert(path.clone());
                names_of(member, &path, names);
            }
        }
        Value::Array(members) => members.iter().for_each(|member| names_of(member, path, names)),
        _ => {}
    }
}

fn validator(schema: &str) -> jsonschema::Validator {
    jsonschema::draft202012::new(&serde_json::from_str(schema).unwrap()).unwrap()
}

fn errors(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn xsd_errors(xml: &str) -> Vec<String> {
    let schema = uppsala::parse(BILL_XSD).unwrap();
    let document = uppsala::parse(xml).unwrap();
    XsdValidator::from_schema(&schema).unwrap().validate(&document).iter().map(ToString::to_string).collect()
}

fn documents() -> Vec<(&'static str, Bill)> {
    let mut bills = bills::all();
    bills.push(("hostile", bills::hostile()));
    bills
}

#[test]
fn a_bill_has_the_names_of_the_settlement_rules() {
    let mut names = BTreeSet::new();
    names_of(&serde_json::to_value(bills::worked()).unwrap(), "", &mut names);
    let told: BTreeSet<_> = NAMES
        .iter()
        .chain(FURTHER_NAMES)
        .flat_map(|line| line.split_whitespace())
        .map(str::to_owned)
        .collect();
    assert_eq!(names, told);
}

#[test]
fn a_bill_whose_steps_come_to_another_amount_is_none() {
    let mut bill = bills::worked();
    bill.payers[0].steps.pop();
    let why = bill.check().unwrap_err().to_string();
    assert_eq!(why, "bill does not balance: a payer's steps end with another amount");
}

#[test]
fn bills_fit_their_json_schema() {
    let schema = validator(BILL_SCHEMA);
    for (name, bill) in documents() {
        assert_eq!(errors(&schema, &serde_json::to_value(bill).unwrap()), [""; 0], "{name}");
    }
}

#[test]
fn the_json_schema_refuses_what_is_no_bill() {
    let schema = validator(BILL_SCHEMA);
    for (pointer, wrong) in [
        ("/patient_share", Value::from(1632)),
        ("/patient_share", Value::from("1632.0")),
        ("/patient_share", Value::from("-1632.00")),
        ("/payers/0/paid", Value::from("-0.01")),
        ("/paid_by_payers", Value::from("-0.01")),
        ("/deposit", Value::from("-0.01")),
        ("/to_collect", Value::from("-0.01")),
        ("/to_refund", Value::from("-0.01")),
        ("/amounts/in_scope", Value::from("-0.01")),
        ("/state", Value::from("done")),
        ("/payers/0/reason", Value::from("why_not")),
        ("/payers/0/base_kind", Value::from("everything")),
        ("/coverage/in_scope", Value::from("0.93")),
        ("/coverage/total", Value::Null),
        ("/issued_at", Value::from("2020-07-02 10:30")),
    ] {
        let mut bill = serde_json::to_value(bills::worked()).unwrap();
        *bill.pointer_mut(pointer).unwrap() = wrong.clone();
        assert!(!schema.is_valid(&bill), "{pointer} = {wrong}");
    }
}

#[test]
fn bills_fit_their_xml_schema() {
    for (name, bill) in documents() {
        assert_eq!(xsd_errors(&bill_xml(&bill)), [""; 0], "{name}");
    }
    golden::check("bill/everything.xml", &bill_xml(&bills::everything()));
    golden::check("bill/reversed.xml", &bill_xml(&bills::reversed()));
}

#[test]
fn the_xml_schema_refuses_what_is_no_bill() {
    let xml = bill_xml(&bills::worked());
    for (right, wrong) in [
        ("<patient_share>1632.00<", "<patient_share>1632.0<"),
        ("<patient_share>1632.00<", "<patient_share>-1632.00<"),
        ("<paid>8560.00<", "<paid>-8560.00<"),
        ("<to_collect>0.00<", "<to_collect>-0.01<"),
        ("<to_refund>368.00<", "<to_refund>-368.00<"),
        ("<deposit>2000.00<", "<deposit>-2000.00<"),
        ("<in_scope>11000.00<", "<in_scope>-11000.00<"),
        ("<state>settled<", "<state>done<"),
        ("<base_kind>scope<", "<base_kind>everything<"),
        ("<deposit>2000.00</deposit>", ""),
        ("<issued_at>2020-07-02T02:30:00Z<", "<issued_at>2020-07-02<"),
        ("<version>1</version>", "<version>1</version><version>1</version>"),
    ] {
        assert!(xml.contains(right), "{right}");
        assert!(!xsd_errors(&xml.replacen(right, wrong, 1)).is_empty(), "{wrong}");
    }
}

/// A list holds its members by their singular; apart from that the names and texts are those of the JSON.
#[test]
fn xml_and_json_say_the_same() {
    for (name, bill) in bills::all() {
        let json = serde_json::to_value(&bill).unwrap();
        let xml = bill_xml(&bill);
        let mut names = BTreeSet::new();
        without_nulls(&json, &mut names);
        let body = xml.split_once("<bill").unwrap().1;
        let written: BTreeSet<_> = body
            .split("</")
            .skip(1)
            .map(|tail| tail.split('>').next().unwrap().to_owned())
            .filter(|name| !["bill", "category_total", "finding", "step", "item"].contains(&name.as_str()))
            .collect();
        assert_eq!(names, written, "{name}");
    }
}

/// Last parts of all paths; what is null in every place is left out.
fn without_nulls(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(_, member)| !member.is_null()) {
                names.insert(name.clone());
                without_nulls(member, names);
            }
        }
        Value::Array(members) => members.iter().for_each(|member| without_nulls(member, names)),
        _ => {}
    }
}

fn refusals() -> [Refusal; 2] {
    [
        Refusal::new(Code::TotalDiffers, "总额 100.00，明细合计 99.99", "stated 100.00, lines 99.99")
            .at("FT1[3]-11 <&>"),
        Refusal::new(Code::NotOpen, "正在结算", "being settled").money(Money::BeingConfirmed),
    ]
}

#[test]
fn problems_fit_their_schema_and_say_the_worst_of_the_money() {
    let schema = validator(PROBLEM_SCHEMA);
    for (name, refusals, kind, status, money) in [
        ("none", &[][..], "urn:yizhan:problem:internal", 500, "not_moved"),
        ("one", &refusals()[..1], "urn:yizhan:problem:total_differs", 422, "not_moved"),
        ("several", &refusals()[..], "urn:yizhan:problem:total_differs", 422, "being_confirmed"),
    ] {
        let problem = Problem::new(refusals, Some("0af7651916cd43dd"));
        let json: Value = serde_json::from_str(&problem.to_json().unwrap()).unwrap();
        assert_eq!(errors(&schema, &json), [""; 0], "{name}");
        assert_eq!((json["type"].as_str(), json["status"].as_u64()), (Some(kind), Some(status)), "{name}");
        assert_eq!(json["money"], money, "{name}");
        golden::check(&format!("problem/{name}.json"), &serde_json::to_string_pretty(&json).unwrap());
        golden::check(&format!("problem/{name}.xml"), &problem.to_xml());
        let page = yizhan::desk::pages::problem(&problem).unwrap();
        let page = page.replace(yizhan::desk::assets::STYLE, "");
        golden::check(&format!("problem/{name}.html"), &page);
        assert_eq!(serde_json::from_str::<Problem>(&problem.to_json().unwrap()).unwrap(), problem, "{name}");
    }
}

#[test]
fn every_code_makes_a_problem() {
    let schema = validator(PROBLEM_SCHEMA);
    for code in Code::ALL {
        let problem = Problem::new(&[Refusal::new(*code, "原因", "reason")], None);
        assert_eq!(errors(&schema, &serde_json::to_value(&problem).unwrap()), [""; 0], "{code:?}");
        assert!(uppsala::parse(&problem.to_xml()).is_ok(), "{code:?}");
    }
}
