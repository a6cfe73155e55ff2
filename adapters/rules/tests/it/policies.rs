//! Policy files: what is refused and how it is said, inheritance, periods, the shipped ones.

use serde::Deserialize;
use yizhan_rules::{Language, PolicyShelf, SHIPPED, explain, problems};

use crate::cases::policy_text;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    policy: String,
    /// First occurrence of the first text is replaced by the second.
    #[serde(default)]
    replace: Vec<[String; 2]>,
    /// Texts the problems hold, in this order, one problem each.
    problems: Vec<String>,
}

#[test]
fn every_wrong_file_says_what_is_wrong_where() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/refused_policies.toml");
    let file: File = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in &file.case {
        let name = &case.name;
        let mut text = policy_text(&case.policy);
        for [from, to] in &case.replace {
            assert!(text.contains(from.as_str()), "{name}: {from:?} is not in {}", case.policy);
            text = text.replacen(from.as_str(), to, 1);
        }
        let found: Vec<String> = problems([("file.toml", &*text)]).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), case.problems.len(), "{name}: {found:#?}");
        for (found, expected) in found.iter().zip(&case.problems) {
            assert!(found.starts_with("file.toml") && found.contains(expected.as_str()), "{name}: {found}");
        }
    }
}

#[test]
fn the_policy_of_a_discharge_is_the_nearest_one_in_force() {
    let shelf = PolicyShelf::shipped().unwrap();
    for (region, day, expected) in [
        ("371323", "2020-07-02", Some("shandong-2020")),
        ("371323", "2020-01-01", Some("shandong-2020")),
        ("371323", "2019-12-31", Some("shandong-2019")),
        ("371323", "2017-12-31", Some("yishui-2017")),
        ("371324", "2017-07-02", None),
        ("370102", "2014-07-02", Some("shandong-2014")),
        ("370102", "2021-01-01", None),
        ("110101", "2020-07-02", None),
    ] {
        let found = shelf.find(region, day.parse().unwrap()).map(|policy| policy.name());
        assert_eq!(found, expected, "{region} {day}");
    }
}

const CITY: &str = r#"
name = "linyi-2020"
title = { zh = "临沂市2020年", en = "Linyi 2020" }
region = "3713"
from = "2020-01-01"
to = "2020-12-31"
extends = "shandong-2020"
attested_by = "临沂市医疗保障局"
[payers.medical_assistance]
annual_cap = { value = "30000.00", mark = "ASSUMED", clause = "市级限额" }
"#;

#[test]
fn a_city_states_only_what_differs() {
    let both = [SHIPPED, &[("linyi.toml", CITY)]].concat();
    let shelf = PolicyShelf::read(both).unwrap();
    let day = "2020-07-02".parse().unwrap();
    let (city, province) = (shelf.find("371323", day).unwrap(), shelf.find("370102", day).unwrap());
    assert_eq!((city.name(), province.name()), ("linyi-2020", "shandong-2020"));
    let assistance = |policy: &yizhan_rules::Policy| {
        policy.payer(&"medical_assistance".parse().unwrap()).map(|rule| rule.terms.clone()).unwrap()
    };
    assert_eq!(assistance(city).bands, assistance(province).bands);
    assert_eq!(assistance(city).annual_cap.unwrap().value.to_string(), "30000.00");
    assert!(assistance(province).annual_cap.is_none());
    assert_eq!(city.attested_by(), "临沂市医疗保障局");
    assert_eq!(city.payers().count(), province.payers().count());
}

#[test]
fn a_label_names_the_text_and_the_texts_it_rests_on() {
    let label = |city: &str, province: &str| {
        let shelf = PolicyShelf::read([("city.toml", city), ("province.toml", province)]).unwrap();
        shelf.find("371323", "2020-07-02".parse().unwrap()).unwrap().label().to_string()
    };
    let province = policy_text("shandong-2020");
    let (own, changed) = (label(CITY, &province), label(CITY, &format!("{province}\n# changed")));
    assert!(
        own.starts_with("linyi-2020@2020-01-01#") && own.len() == "linyi-2020@2020-01-01#".len() + 12,
        "{own}"
    );
    assert_ne!(own, changed);

    let shelf = PolicyShelf::shipped().unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(province.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = format!("shandong-2020@2020-01-01#{}", &hex[..12]);
    assert!(shelf.policies().iter().any(|policy| **policy.label() == *expected), "{expected}");
}

#[test]
fn two_policies_of_one_day_and_place_are_refused() {
    let other =
        CITY.replace("linyi-2020", "linyi-late").replace("from = \"2020-01-01\"", "from = \"2020-12-31\"");
    let files = [SHIPPED, &[("linyi.toml", CITY), ("late.toml", &*other)]].concat();
    let found: Vec<String> = problems(files).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("late.toml: from") && found[0].contains("linyi-2020@2020-01-01"),
        "{found:#?}"
    );
}

#[test]
fn a_parent_must_exist_and_end_somewhere() {
    for (parent, expected) in
        [("nobody", "there is not exactly one policy nobody"), ("linyi-2020", "or itself")]
    {
        let text = CITY.replace("extends = \"shandong-2020\"", &format!("extends = \"{parent}\""));
        let found: Vec<String> = problems([("city.toml", &*text)]).iter().map(ToString::to_string).collect();
        assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
    }
}

/// Nobody may take a shipped figure for more than it is.
#[test]
fn every_shipped_figure_says_where_it_comes_from() {
    for (file, text) in SHIPPED {
        let policy: toml::Value = toml::from_str(text).unwrap();
        let mut unmarked = Vec::new();
        figures_without_mark("", &policy, &mut unmarked);
        assert!(unmarked.is_empty(), "{file}: {unmarked:?}");
        assert_eq!(policy["attested_by"].as_str(), Some(""), "{file}: sample figures are nobody's");
    }
}

fn figures_without_mark(path: &str, value: &toml::Value, unmarked: &mut Vec<String>) {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let named = ["region", "zh", "en", "code", "to"];
    match value {
        toml::Value::Table(table) => {
            let is_marked = table.contains_key("mark") && table.contains_key("clause");
            for (key, value) in table {
                let is_figure = value.as_str().is_some_and(is_number) && !named.contains(&key.as_str());
                if is_figure && !is_marked && value.as_str() != Some("") {
                    unmarked.push(format!("{path}.{key}"));
                }
                figures_without_mark(&format!("{path}.{key}"), value, unmarked);
            }
        }
        toml::Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                figures_without_mark(&format!("{path}[{index}]"), value, unmarked);
            }
        }
        _ => {}
    }
}

#[test]
fn a_policy_explains_itself_in_both_languages() {
    let shelf = PolicyShelf::shipped().unwrap();
    let policy = shelf.find("371323", "2020-07-02".parse().unwrap()).unwrap();
    let (zh, en) = (explain(policy, Language::Zh), explain(policy, Language::En));
    for expected in [
        "示例参数，非官方标准",
        "居民基本医疗保险 → 居民大病保险 → 医疗救助 → 医疗机构减免 → 医疗商业补充保险",
        "起付线（元）：300.00  [健康扶贫患者 二级医院起付线; SOURCE A10]",
        "支付比例：5000.00",
        "年度封顶（元）：无",
        "A10: 健康扶贫政策宣传",
    ] {
        let expected = expected.replace("支付比例：5000.00", "支付比例：0.00 – 100000.00: 0.65");
        assert!(zh.contains(&expected), "{expected}\n{zh}");
    }
    for expected in [
        "nobody: sample figures, not official",
        "Target of the in-scope total: 0.9  [方案四（一）政策范围内医疗总费用的 90%左右; PLAN]",
        "where category Entitled, out of poverty, Immediate assistance; hospital level 2",
        "KNOWLEDGE, unverified",
    ] {
        assert!(en.contains(expected), "{expected}\n{en}");
    }
}
