//! An insurer that answers nonsense, seen from outside: `tests/cases/nonsense.toml`, and `nonsense_mapped.toml` where a
//! mapping leads to it, through one door, against a gateway that is a process of its own. Each answer is written down by its class and told in the log and on the bill, nothing is
//! taken from it, and the stay comes to the end it would have come to.

mod payer;
mod site;

use serde::Deserialize;
use serde_json::Value;

use payer::{Answer, Armed};
use site::{Reached, Said, Site};

use crate::project;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    verb: String,
    answer: Answer,
    /// What its call is written down as, in the store and in the log.
    class: String,
    /// What finding and log say of it, in each language.
    says: [String; 2],
}

impl Case {
    /// Nobody asks what became of a commit that was answered: its first answer leaves that open.
    fn armed(&self) -> Vec<Armed> {
        let this = Armed { verb: self.verb.clone(), answer: self.answer.clone() };
        let leaves_open: Answer =
            toml::from_str("body = '{\"answer\":\"unknown\",\"why\":\"等待银行回执 | the bank was asked\"}'")
                .unwrap();
        match self.verb.as_str() {
            "status" => vec![Armed { verb: "commit".to_owned(), answer: leaves_open }, this],
            _ => vec![this],
        }
    }
}

fn findings(document: &Value) -> Vec<[String; 2]> {
    let is_it = |finding: &&Value| finding["code"] == "payer_answer_unusable";
    let both = |finding: &Value| ["zh", "en"].map(|of| finding["message"][of].as_str().unwrap().to_owned());
    document["findings"].as_array().unwrap().iter().filter(is_it).map(both).collect()
}

fn names(case: &Case, document: &Value) {
    let is_named =
        |said: &[String; 2]| said.iter().zip(&case.says).all(|(said, wanted)| said.contains(wanted));
    assert!(findings(document).iter().any(is_named), "{}: {document}", case.name);
}

/// What the payer pays stands on the bill as the rules have it for the same stay.
fn is_settled_as_if_nothing_had_been(case: &Case, bill: &Value, like: &Value) {
    assert_eq!(bill["state"], "settled", "{}: {bill}", case.name);
    for member in ["payers", "patient_share"] {
        let mut same = [bill[member].clone(), like[member].clone()];
        for line in same.iter_mut().filter_map(Value::as_array_mut).flatten() {
            line["payer_reference"] = Value::Null;
        }
        assert_eq!(same[0], same[1], "{}", case.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_payer_answers_and_cannot_be_is_written_down_named_and_never_believed() {
    none_is_believed("nonsense.toml", Reached::ByProtocol).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_is_what_cannot_be_of_a_mapped_interface() {
    none_is_believed("nonsense_mapped.toml", Reached::ByMapping).await;
}

async fn none_is_believed(file: &str, reached: Reached) {
    let text = std::fs::read_to_string(project("tests/cases").join(file)).unwrap();
    let Cases { case: cases } = toml::from_str(&text).unwrap();
    let site = Site::open(cases.len(), reached).await;
    let like = site.settled(site.spare(0)).await;
    assert_eq!(findings(&like), Vec::<[String; 2]>::new());
    for (nth, case) in cases.iter().enumerate() {
        let stay = site.stay(nth);
        site.payer.arm(&stay.person, case.armed());
        let first = site.told(stay).await;
        match case.verb.as_str() {
            // Nothing was settled, and it is waited for.
            "quote" | "visit" => {
                assert_eq!(first["state"], "settling", "{}: {first}", case.name);
                names(case, &first);
            }
            "reverse" => {
                let reversed = site.reversed(&first).await;
                assert_eq!(reversed["state"], "reversed", "{}: {reversed}", case.name);
                names(case, &reversed);
            }
            _ => names(case, &first),
        }
        assert!(site.payer.is_spent(&stay.person), "{}: was not asked", case.name);
        // Other people's stays go on, and the payer is not taken for one that is away.
        is_settled_as_if_nothing_had_been(case, &site.settled(site.spare(nth + 1)).await, &like);
    }
    for (nth, case) in cases.iter().enumerate().filter(|(_, case)| case.verb != "reverse") {
        let bill = site.settled(site.stay(nth)).await;
        is_settled_as_if_nothing_had_been(case, &bill, &like);
        names(case, &bill);
    }
    let said = site.close(&cases).await;
    for (case, Said { class, log }) in cases.iter().zip(&said) {
        assert_eq!(*class, case.class, "{}: as written down", case.name);
        assert_eq!(log["class"], case.class, "{}: {log}", case.name);
        let why = log["why"].as_str().unwrap();
        assert!(case.says.iter().all(|words| why.contains(words)), "{}: {log}", case.name);
    }
}
