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
fn what_a_city_inherits_is_printed_under_the_provinces_clause() {
    let city =
        CITY.replace("[payers", "clause = \"市级文件\"\n[settings]\ncovers_residents = false\n[payers");
    let both = [SHIPPED, &[("linyi.toml", &*city)]].concat();
    let shelf = PolicyShelf::read(both).unwrap();
    let page = explain(shelf.find("371323", "2020-07-02".parse().unwrap()).unwrap(), Language::Zh);
    says(
        &page,
        &[
            "名册外按普通居民结算：否  [市级文件]",
            "个人最低自付（元）：0.01  [方案四（一）杜绝零自付（金额未定）；设计假定，无依据]",
            "医疗救助 (medical_assistance)  [国办发〔2015〕30号 重特大疾病医疗救助]",
            "年度封顶（元）：30000.00  [市级限额；设计假定，无依据]",
        ],
    );
}

#[test]
fn a_source_key_means_one_source() {
    for (sources, expected) in [
        ("A3 = \"市级网页\"", Some("sources.A3: 与 shandong-2020 的同名来源不同，请另取一个键")),
        ("B1 = \"市级网页\"", None),
    ] {
        let city = format!("{CITY}[sources]\n{sources}\n");
        let found = problems([SHIPPED, &[("linyi.toml", &*city)]].concat());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), usize::from(expected.is_some()), "{found:#?}");
        assert!(expected.is_none_or(|expected| found[0].contains(expected)), "{found:#?}");
    }
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

/// Nobody may take what a shipped policy states for more than it is.
#[test]
fn everything_a_shipped_policy_states_says_where_it_comes_from() {
    for (file, text) in SHIPPED {
        let policy: toml::Value = toml::from_str(text).unwrap();
        let mut unmarked = Vec::new();
        stated_without_mark("", &policy, &mut unmarked);
        assert!(unmarked.is_empty(), "{file}: {unmarked:?}");
        assert_eq!(policy["attested_by"].as_str(), Some(""), "{file}: sample figures are nobody's");
    }
}

/// What is no figure and settles money all the same.
const WORDS: [&str; 14] = [
    "identity_on",
    "covers_residents",
    "visit_classes",
    "illness",
    "accident",
    "categories",
    "cover",
    "base",
    "standing",
    "accumulator",
    "cumulative",
    "specified_accidents_only",
    "pays_with_liable_third_party",
    "value",
];

fn stated_without_mark(path: &str, value: &toml::Value, unmarked: &mut Vec<String>) {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let named = ["region", "zh", "en", "code", "to", "attested_by"];
    match value {
        toml::Value::Table(table) => {
            let is_marked =
                table.contains_key("mark") && (table.contains_key("clause") || path.ends_with(".when"));
            for (key, value) in table {
                let is_figure = value.as_str().is_some_and(is_number) && !named.contains(&key.as_str());
                let is_list = value.as_array().is_some_and(|list| list.iter().all(toml::Value::is_table));
                let is_word = WORDS.contains(&key.as_str()) && !value.is_table() && !is_list;
                if (is_figure || is_word || path.ends_with(".when")) && !is_marked {
                    unmarked.push(format!("{path}.{key}"));
                }
                stated_without_mark(&format!("{path}.{key}"), value, unmarked);
            }
        }
        toml::Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                stated_without_mark(&format!("{path}[{index}]"), value, unmarked);
            }
        }
        _ => {}
    }
}

/// What nobody has decided is said where the policy is read.
#[test]
fn the_open_questions_stand_in_the_policy_of_2020() {
    let shelf = PolicyShelf::shipped().unwrap();
    let page = explain(shelf.find("371323", "2020-07-02".parse().unwrap()).unwrap(), Language::Zh);
    for question in [
        "济南、青岛、潍坊、菏泽、临沂、德州、聊城 2020 年的待遇表未见公布",
        "救助比例与年度限额由各市定",
        "再救助",
        "方案未定减免的比例、基数与位次",
        "杜绝零自付（金额未定）",
        "90%左右（幅度未定）",
        "赔付是否冲减基本医保的费用基数，方案未定",
        "住院期间身份变化按哪一天认定，未见规定",
        "医疗分项限额未公布",
    ] {
        assert!(page.contains(question), "{question}\n{page}");
    }
}

/// Panics where the page lacks one of the sentences.
fn says(page: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(page.contains(sentence), "{sentence}\n{page}");
    }
}

#[test]
fn a_policy_explains_itself_in_both_languages() {
    let shelf = PolicyShelf::shipped().unwrap();
    let policy = shelf.find("371323", "2020-07-02".parse().unwrap()).unwrap();
    let (zh, en) = (explain(policy, Language::Zh), explain(policy, Language::En));
    says(
        &zh,
        &[
            "示例参数，非官方标准",
            "居民基本医疗保险 → 居民大病保险 → 医疗救助 → 医疗机构减免 → 医疗商业补充保险  [方案二（四）所列各项保障的次序；方案原文]",
            "若 类别 脱贫享受政策人口、即时帮扶人口；医院级别 2  [居民基本医疗保险住院待遇；设计假定，无依据]",
            "起付线（元）：300.00  [健康扶贫患者 二级医院起付线（一县标准，见 A10）；设计假定，无依据]",
            "支付比例：0.00 – 100000.00: 0.65  [贫困人口 5 千至 10 万元段；出处 A3]",
            "年度封顶（元）：无",
            "须持有保障：医疗商业补充保险  [为保障对象统一投保；方案原文]",
            "身份认定日：出院日  [住院期间身份变化按哪一天认定，未见规定；设计假定，无依据]",
            "A10: 健康扶贫政策宣传",
        ],
    );
    says(
        &en,
        &[
            "nobody: sample figures, not official",
            "Target of the in-scope total: 0.9  [方案四（一）政策范围内医疗总费用的 90%左右; the plan itself]",
            "where category Entitled, out of poverty, Immediate assistance; hospital level 2",
            "Needs the cover: Supplementary commercial medical insurance",
            "from memory, unverified",
        ],
    );
    for code in ["SOURCE", "PLAN", "KNOWLEDGE", "ASSUMED", "DERIVED"] {
        assert!(!zh.contains(code) && !en.contains(code), "{code} is a word of the file, not of the page");
    }
}

#[test]
fn the_page_has_words_for_what_a_file_codes() {
    let city = r#"
name = "city"
title = { zh = "市", en = "City" }
region = "9901"
from = "2020-01-01"
extends = "plain"
clause = "市级文件"
[[payers.basic.variants]]
when = { out_of_area = true, referral = ["unreferred", "emergency"], cause = "accident" }
ratio = "0.40"
[payers.accident]
cover = "of_nobody"
accumulator = "payer"
"#;
    let plain = policy_text("plain");
    let shelf = PolicyShelf::read([("city.toml", city), ("plain.toml", &*plain)]).unwrap();
    let policy = shelf.find("990101", "2020-07-02".parse().unwrap()).unwrap();
    says(
        &explain(policy, Language::Zh),
        &[
            "若 异地；转诊 未经转诊、急诊；原因 意外伤害  [市级文件]",
            "须持有保障：of_nobody",
            "年度累计：以支付方为准",
        ],
    );
    says(
        &explain(policy, Language::En),
        &[
            "where out of area; referral unreferred, emergency; cause accident",
            "Yearly sums: kept by the payer",
        ],
    );
}
