//! Messages of real systems through the whole reception under a profile that answers to every sender, where
//! the corpus lies beside the project. `tests/cases/corpus_reception.csv` says how each is answered. Every
//! message meets an empty store: they come from many hospitals that share their test patients.

use std::sync::Arc;

use yizhan::intake::hl7::{Charset, Message, Reading};
use yizhan::intake::reception::{Arrival, Reception};
use yizhan::intake::{Format, Profile, Profiles, hl7_answer};
use yizhan::runtime::{CountedIds, FixedClock, Runtime};
use yizhan::settlement::gateway::Gateway;
use yizhan::settlement::outcome::Outcome;
use yizhan::store::Store;
use yizhan::store::sqlite::Sqlite;
use yizhan::telemetry::Channel;
use yizhan_rules::PolicyShelf;

use crate::hl7_corpus::{files, messages};
use crate::hl7_syntax::read_answer;
use crate::project;

const TABLE: &str = "tests/cases/corpus_reception.csv";
const PROFILE: &str = "tests/cases/corpus_profile.toml";
const COLUMNS: &str = "file,message,msa,code,place";

fn reception(profiles: &Arc<Profiles>) -> Reception {
    let ids: Arc<CountedIds> = Arc::default();
    let store = Arc::new(Sqlite::in_memory(ids.clone()).unwrap());
    reception_over(store, profiles, ids)
}

/// A gateway over a store alone, in the year 2030.
pub(super) fn reception_over(
    store: Arc<dyn Store>,
    profiles: &Arc<Profiles>,
    ids: Arc<CountedIds>,
) -> Reception {
    let clock = Arc::new(FixedClock::at("2030-01-01T00:00:00Z".parse().unwrap()));
    let known = Arc::clone(profiles);
    let hospitals =
        Arc::new(move |code: &str| known.of_hospital(code).map(|profile| Arc::clone(&profile.hospital)));
    let policies = Arc::new(PolicyShelf::shipped().unwrap());
    let gateway =
        Gateway::new(store, policies, hospitals, Arc::default(), Arc::from("test"), Runtime { clock, ids });
    Reception::new(gateway, Arc::clone(profiles))
}

/// MSA-1 of every answer, and what the first refusal says.
async fn answered(profiles: &Arc<Profiles>, bytes: &[u8]) -> String {
    let format = Format::Hl7;
    let arrival = Arrival { channel: Channel::Mllp, bytes, format, charset: None, mode: None, only: None };
    let received = reception(profiles).receive(arrival).await;
    let mut number = 0;
    let answers = hl7_answer::answers(&received, || {
        number += 1;
        format!("A{number}")
    });
    let msa = |answer: &Vec<u8>| {
        // An answer is written in the sender's character set, stated or not.
        let charset = received.header.as_ref().map_or(Charset::Utf8, |header| header.charset());
        let read = Message::parse(answer, &Reading { charset, ..Reading::default() });
        let message = read.unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(answer)));
        message.first("MSA").unwrap().field(1).text().into_owned()
    };
    let codes: Vec<String> = answers.iter().map(msa).collect();
    let refusal = match &received.outcome {
        Outcome::Refused(refused) => refused.refusals.first(),
        Outcome::Bill(_) | Outcome::Noted(_) => None,
    };
    let said = refusal.map(|refusal| {
        // As the sender reads it, where it is answered at all.
        let told = answers.last().map(|answer| read_answer(answer)[1].split(' ').nth(1).unwrap().to_owned());
        let code = told.unwrap_or_else(|| refusal.hl7_code().to_string());
        format!("{code},{}", refusal.place.as_deref().unwrap_or_default())
    });
    format!("{},{}", codes.join(" "), said.unwrap_or_else(|| ",".to_owned()))
}

#[tokio::test]
async fn real_messages_are_answered_as_the_table_says() {
    let Some(files) = files() else { return };
    let profile = std::fs::read_to_string(project(PROFILE)).unwrap();
    let profiles = Arc::new(Profiles::new(vec![Profile::from_toml(&profile).unwrap()]).unwrap());
    let mut found = vec![COLUMNS.to_owned()];
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for (number, message) in (1..).zip(messages(&std::fs::read(&path).unwrap())) {
            // What never became a frame is the listener's to report.
            let Ok(bytes) = message else { continue };
            found.push(format!("{name},{number},{}", answered(&profiles, &bytes).await));
        }
    }
    let table = std::fs::read_to_string(project(TABLE)).unwrap();
    let expected: Vec<&str> = table.lines().collect();
    let differing: Vec<_> = found.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    assert!(differing.is_empty(), "not in the table:\n{differing:#?}");
    assert_eq!(found.len(), expected.len());
}
