//! Templates as lines of data: what they make, and what is wrong with them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::forms::{AmountForm, Codes, Forms, InstantForm, Pattern};
use super::super::names::{ASK, LEG_ALONE, Scope};
use super::super::node::{Leaf, Path, read_json, read_xml};
use super::*;

fn forms(amount: AmountForm) -> Forms {
    let pattern = |text| Pattern::read(text, false).unwrap();
    Forms { amount, date: pattern("%Y%m%d"), instant: InstantForm::UnixS }
}

fn codes() -> Codes {
    let sex = [("male", "1"), ("female", "2")].map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()));
    let level = [("2", "B"), ("*", "?")].map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()));
    Codes::from([("sex".to_owned(), sex.into()), ("level".to_owned(), level.into())])
}

fn scope() -> Scope {
    Scope::of(&[ASK, LEG_ALONE]).with_kept("visited", ["caseNo".to_owned()])
}

fn values() -> Value {
    json!({
        "stay": "s-1", "hospital": "H37132301",
        "person": {"name": "王小明", "sex": "male", "birth": "1953-04-12", "id_number": "371323195304121265"},
        "claim": {
            "hospital_level": 2, "admitted": "2020-06-24", "third_party_liable": false,
            "buckets": {"total": "12000.00"}, "cause": {"kind": "illness"},
            "lines": [{"id": "1", "amount": "4000.00"}, {"id": "2", "amount": "-0.05"}],
        },
        "leg": {"payer": "supplementary", "base": "163.23155", "pay_at_most": "155.07"},
        "paid_before": [], "visited": {"caseNo": "C-9"}, "now": "2020-07-02T18:15:05Z",
    })
}

fn read(text: &str, medium: Medium, amount: AmountForm) -> Result<Template, Vec<Wrong>> {
    let (scope, codes, forms) = (scope(), codes(), forms(amount));
    let terms = Terms { scope: &scope, codes: &codes, forms: &forms };
    Template::read("quote.request", text, medium, terms).map(|(template, _)| template)
}

fn filled(text: &str, medium: Medium, amount: AmountForm, root: &Value) -> Result<String, Unwritten> {
    let template = read(text, medium, amount).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
    template.render(Values { root, codes: &codes(), is_sample: false })
}

#[test]
fn values_are_written_as_their_place_and_the_insurers_forms_demand() {
    use AmountForm::{Fen, Number, Yuan};
    use Medium::{Address, Json, Xml};
    for (medium, amount, text, made) in [
        (Json, Yuan, r#"{"n":"{{ person.name }}","m":{{person.name}}}"#, r#"{"n":"王小明","m":"王小明"}"#),
        (Json, Yuan, r#"[{{ leg.pay_at_most }},"{{ leg.pay_at_most }}"]"#, r#"["155.07","155.07"]"#),
        (Json, Fen, r#"[{{ leg.pay_at_most }},"{{ leg.pay_at_most }}"]"#, r#"[15507,"15507"]"#),
        (Json, Number, "[{{ leg.pay_at_most }}]", "[155.07]"),
        (Json, Fen, "[{{ leg.pay_at_most | yuan }},{{ leg.pay_at_most | number }}]", r#"["155.07",155.07]"#),
        (Json, Yuan, "[{{ leg.base }},{{ leg.base | number }}]", r#"["163.23155",163.23155]"#),
        (Json, Yuan, "[{{ claim.hospital_level }},{{ claim.third_party_liable }}]", "[2,false]"),
        (Json, Yuan, "[{{ claim.admitted }},{{ now }}]", r#"["20200624",1593713705]"#),
        (Json, Yuan, r#"[{{ claim.admitted | date:"%d.%m.%Y" }}]"#, r#"["24.06.2020"]"#),
        (Json, Yuan, r#"[{{ now | date:"%Y%m%d%H%M%S" }}]"#, r#"["20200703021505"]"#),
        (Json, Yuan, "[{{ person.sex | code:sex }},{{ claim.hospital_level | code:level }}]", r#"["1","B"]"#),
        (
            Json,
            Yuan,
            r#"[{{ person.card | default:null }},"{{ person.card | default:null }}"]"#,
            r#"[null,""]"#,
        ),
        (Json, Yuan, r#"[{{ person.card | default:"}} none" }}]"#, r#"["}} none"]"#),
        (Json, Yuan, "{{ visited.caseNo }}", r#""C-9""#),
        (
            Json,
            Fen,
            r#"{"l":[{% for line in claim.lines %}{"id":"{{ line.id }}","a":{{ line.amount }}}{% endfor %}]}"#,
            r#"{"l":[{"id":"1","a":400000},{"id":"2","a":-5}]}"#,
        ),
        (Json, Yuan, "[{% for paid in paid_before %}{{ paid.amount }}{% endfor %}]", "[]"),
        (Json, Yuan, r#"{"q":"\"{{ stay }}\\"}"#, r#"{"q":"\"s-1\\"}"#),
        (Xml, Number, "<a b='{{ stay }}'>{{ leg.pay_at_most }}</a>", "<a b='s-1'>155.07</a>"),
        (
            Xml,
            Yuan,
            "<l>{% for line in claim.lines %}<i>{{ line.id }}</i>{% endfor %}</l>",
            "<l><i>1</i><i>2</i></l>",
        ),
        (Xml, Yuan, "<!-- ' --><a><![CDATA[\"]]>{{ stay }}</a>", "<!-- ' --><a><![CDATA[\"]]>s-1</a>"),
        (Address, Yuan, "/claims/{{ stay }}?h={{ hospital }}", "/claims/s-1?h=H37132301"),
    ] {
        assert_eq!(filled(text, medium, amount, &values()).as_deref(), Ok(made), "{text}");
    }
}

#[test]
fn what_is_not_known_is_named_and_nothing_is_made_up() {
    let missing = |name: &str, line| Unwritten::Missing {
        name: name.to_owned(),
        place: format!("quote.request, line {line}"),
    };
    let mut other = values();
    other["person"]["sex"] = "unknown".into();
    other["person"]["name"] = "a\u{1}b".into();
    other["leg"]["pay_at_most"] = "x".into();
    let place = || "quote.request, line 1".to_owned();
    for (medium, text, why) in [
        (Medium::Json, "[\n{{ person.card }}]", missing("person.card", 2)),
        (
            Medium::Json,
            "[{% for l in claim.lines %}\n\n{{ l.category }}{% endfor %}]",
            missing("category", 3),
        ),
        (
            Medium::Json,
            "{{ person.sex | code:sex }}",
            Unwritten::NoCode { table: "sex".into(), place: place() },
        ),
        (Medium::Xml, "<a>{{ person.name }}</a>", Unwritten::NoXml { place: place() }),
        (
            Medium::Json,
            "{{ leg.pay_at_most }}",
            Unwritten::Misfit { name: "leg.pay_at_most".into(), place: place() },
        ),
    ] {
        let refused = filled(text, medium, AmountForm::Yuan, &other).unwrap_err();
        assert_eq!(refused, why, "{text}");
        let told = refused.text();
        assert!(!told.en.contains("a\u{1}b"), "{}", told.en);
    }
}

#[test]
fn what_is_wrong_with_a_template_is_named_at_its_line() {
    use Medium::{Address, Json, Xml};
    for (medium, text, line, says) in [
        (Json, "[\n{{ person.phone }}]", 2, "no value person.phone"),
        (Json, "[{{ person }}]", 1, "no single value"),
        (Json, "[{{ claim.lines }}]", 1, "no single value"),
        (Json, "[{{ }}]", 1, "no value"),
        (Json, "[\n\n{{ stay ]", 3, "}} is missing"),
        (Json, "[{% for l in claim.lines ]", 1, "%} is missing"),
        (Json, "[\n{% for l in claim.lines %}]", 2, "no endfor"),
        (Json, "[{% endfor %}]", 1, "known are"),
        (Json, "[{% if stay %}]", 1, "known are"),
        (Json, "[{% for a in legs %}{% for b in legs %}{% endfor %}]", 1, "known are"),
        (Json, "[{% for l in claim.items %}{{ l.x }}{% endfor %}]", 1, "claim.items is no list"),
        (Json, "[{% for l in stay %}{% endfor %}]", 1, "stay is no list"),
        (Json, "\"{% for l in legs %}{% endfor %}\"", 1, "inside a string"),
        (Json, "[{% for l in legs %}\"{% endfor %}]", 1, "does not stand where"),
        (Json, "[{% for l in legs %}{{ l.name }}{% endfor %}]", 1, "no value l.name"),
        (Json, "[{{ stay | upper }}]", 1, "no filter upper"),
        (Json, "[{{ stay | fen }}]", 1, "fen does not fit"),
        (Json, "[{{ leg.base | fen }}]", 1, "fen does not fit"),
        (Json, "[{{ stay | date:\"%Y%m%d\" }}]", 1, "date does not fit"),
        (Json, "[{{ claim.admitted | date:%Y }}]", 1, "quotation marks"),
        (Json, "[{{ claim.admitted | date:\"%Y\" }}]", 1, "needs %Y %m %d"),
        (Json, "[{{ person.sex | code:colour }}]", 1, "no table codes.colour"),
        (Json, "[{{ stay | default:x }}]", 1, "quotation marks"),
        (Json, "[\"\\{{ stay }}\"]", 1, "follow a backslash"),
        (Xml, "<{{ stay }}/>", 1, "nowhere else"),
        (Xml, "<a b={{ stay }}/>", 1, "nowhere else"),
        (Xml, "<a><!-- {{ stay }} --></a>", 1, "nowhere else"),
        (Xml, "<a><![CDATA[{{ stay }}]]></a>", 1, "nowhere else"),
        (Xml, "<a b='\n{% for l in legs %}{% endfor %}'/>", 2, "inside a string or a tag"),
        (Address, "/p/{{ person.id_number }}", 1, "personal"),
        (Address, "/p/{{ visited.caseNo }}", 1, "personal"),
        (Address, "/p/{{ visit_number }}", 1, "personal"),
        (Address, "/p?{% for l in legs %}{% endfor %}", 1, "inside a string or a tag"),
    ] {
        let wrong = read(text, medium, AmountForm::Yuan).map(|_| ()).unwrap_err();
        let (at, why) = &wrong[0];
        assert_eq!(*at, line, "{text}: {}", why.en);
        assert!(why.en.contains(says), "{text}: {}", why.en);
        assert!(!why.zh.is_ascii(), "{text}: {}", why.zh);
    }
    let both = read("{{ a }}\n{{ b }}", Medium::Json, AmountForm::Yuan).map(|_| ()).unwrap_err();
    assert_eq!(both.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2]);
}

/// What a name may hold when somebody means ill.
const ATTACKS: &[&str] = &[
    "\",\"pay\":\"9999999.00",
    "\\\",\"pay\":9",
    "\\",
    "{{ stay }}{% endfor %}",
    "\u{2028}\u{0}\u{1f}\u{7f}",
    "</name><pay>9</pay><name>",
    "' pay='9",
    "\" pay=\"9",
    "]]><pay/>",
    "&lt;&#60;&pay;",
    "--><!--",
    "?x=1&pay=9#/../..",
];

fn comes_back_from_json(name: &str) {
    let root = json!({"person": {"name": name}});
    let text = r#"{"in":"{{ person.name }}","bare":{{ person.name }},"end":1}"#;
    let made = filled(text, Medium::Json, AmountForm::Yuan, &root).unwrap();
    let read: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(read, json!({"in": name, "bare": name, "end": 1}), "{made}");
    assert!(read_json(&made).is_ok());
}

fn comes_back_from_xml(name: &str) {
    let root = json!({"person": {"name": name}});
    let text = "<a b=\"{{ person.name }}\" c='{{ person.name }}'><d>{{ person.name }}</d><e/></a>";
    let made = match filled(text, Medium::Xml, AmountForm::Yuan, &root) {
        Ok(made) => made,
        Err(why) => {
            let has_none = name.chars().all(super::super::node::is_xml_character);
            assert!(matches!(why, Unwritten::NoXml { .. }) && !has_none, "{name:?}: {why:?}");
            return;
        }
    };
    let read = read_xml(&made).unwrap_or_else(|line| panic!("line {line} of {made}"));
    for path in ["a/@b", "a/@c", "a/d"] {
        let found = read.leaf(&Path::xml(path).unwrap()).unwrap().and_then(Leaf::as_text).unwrap();
        assert_eq!(found, name.trim(), "{path} of {made}");
    }
    assert_eq!(read.children[0].1.children.len(), 4, "{made}");
}

fn comes_back_from_an_address(word: &str) {
    let root = json!({"stay": word});
    let made = filled("/a/{{ stay }}?b={{ stay }}&c=1", Medium::Address, AmountForm::Yuan, &root).unwrap();
    let url: reqwest::Url = format!("https://insurer.example{made}").parse().unwrap();
    let asked: Vec<_> = url.query_pairs().collect();
    assert_eq!(asked[0].1, word, "{made}");
    assert_eq!((asked.len(), url.fragment()), (2, None), "{made}");
}

#[test]
fn no_value_breaks_out_of_its_place() {
    for attack in ATTACKS {
        comes_back_from_json(attack);
        comes_back_from_xml(attack);
        comes_back_from_an_address(attack);
    }
}

proptest! {
    #[test]
    fn whatever_a_name_is_it_comes_back_as_it_was(name in "(\\PC|[\"'<>&\\\\{}%\u{0}-\u{1f}\u{2028}]){0,12}") {
        comes_back_from_json(&name);
        comes_back_from_xml(&name);
        comes_back_from_an_address(&name);
    }

    #[test]
    fn whatever_is_written_as_a_template_is_read_or_refused(text in "([{}%|\"'<>:\\\\]|for|endfor|legs|in|stay| ){0,24}") {
        for medium in [Medium::Json, Medium::Xml, Medium::Address] {
            if let Ok(template) = read(&text, medium, AmountForm::Yuan) {
                let _ = template.render(Values { root: &values(), codes: &codes(), is_sample: true });
            }
        }
    }
}
