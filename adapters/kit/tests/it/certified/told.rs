//! What the kit says of an adapter: on a terminal, as a page, to machines, and under a signature.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use jiff::SignedDuration;
use ring::digest;
use serde_json::Value;
use yizhan_kit::certify::attestation::{AttestationError, make_key, sign, verify};
use yizhan_kit::certify::{Certify, Level, People, Report, Standing, Terminal, TestData, certify};

use super::faults::Fault;
use super::house::House;

/// L0 and L1 of an adapter with at most one fault, and what the terminal showed.
async fn tried(fault: Option<Fault>) -> (std::sync::Arc<House>, Report, String) {
    let house = House::of(fault).await;
    let asked = Certify {
        target: house.target(),
        data: TestData::default(),
        levels: vec![Level::L1],
        restart: None,
        load: Duration::ZERO,
        patience: Duration::from_secs(5),
    };
    let terminal = Terminal::of(Vec::new());
    let report = certify(asked, &terminal).await.unwrap();
    (house, report, String::from_utf8(terminal.into_inner()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_says_what_was_expected_what_came_and_how_to_see_it_again() {
    let (_house, report, shown) = tried(Some(Fault::CoversEverybody)).await;
    assert_eq!((report.reached(), report.is_good()), (Some(Level::L0), false));
    let standing = |level: usize| report.levels[level].standing;
    assert_eq!([0, 1, 2].map(standing), [Standing::Passed, Standing::Failed, Standing::NotAsked]);
    let trial = report.trials.iter().find(|trial| trial.id == "L1-04").unwrap();
    let replay = trial.replay.as_deref().unwrap();
    let clause = "adapters/README.md#quote";
    let page = report.html();
    let words =
        ["L1-04", "不在保的人得到 not_covered", "a person who is not covered gets not_covered", clause];
    for said in words.into_iter().chain(["the answer not_covered", "answer 为 not_covered"]) {
        assert!(shown.contains(said), "terminal: {said}\n{shown}");
        assert!(page.contains(said), "page: {said}\n{page}");
    }
    assert!(shown.contains(replay) && shown.ends_with("达到等级 level reached: L0\n"), "{shown}");
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="), "{page}");

    let json: Value = serde_json::from_str(&report.json()).unwrap();
    let of_json = json["trials"].as_array().unwrap().iter().find(|trial| trial["id"] == "L1-04").unwrap();
    assert_eq!((&of_json["outcome"], &of_json["replay"]), (&"failed".into(), &replay.into()));
    let junit = report.junit();
    let failing = junit.lines().filter(|line| line.contains("<failure")).count();
    assert_eq!((failing, junit.matches("<testcase").count()), (1, report.trials.len()), "{junit}");
    assert!(junit.contains(r#"tests="18" failures="1" skipped="6" timestamp="#), "{junit}");
    let xml = well_formed(&junit);
    assert!(xml.is_ok(), "{xml:?}\n{junit}");
}

/// Every element is closed by its own end; attributes hold no bare mark.
fn well_formed(text: &str) -> Result<(), String> {
    let mut open = Vec::new();
    for tag in text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match tag {
            tag if tag.starts_with('?') || tag.ends_with('/') => {}
            tag if tag.starts_with('/') => {
                if open.pop() != Some(name) {
                    return Err(format!("</{name}> closes another element"));
                }
            }
            _ => open.push(name),
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} are not closed")) }
}

/// What the attestation holds a digest of is kept, and names nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transcript_is_what_the_attested_digest_is_of() {
    let report = super::certified(None, Duration::from_millis(100)).await;
    let folder = tempfile::tempdir().unwrap();
    report.save(folder.path()).unwrap();
    let transcript = std::fs::read(folder.path().join("transcript.txt")).unwrap();
    let digest: String = digest::digest(&digest::SHA256, &transcript)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let key = folder.path().join("certify.key");
    make_key(&key).unwrap();
    let attested = verify(&sign(&report, &key, SignedDuration::from_hours(1)).unwrap()).unwrap().attestation;
    assert_eq!(attested.transcript_sha256, digest);
    let transcript = String::from_utf8(transcript).unwrap();
    let is_line = |line: &str| {
        let parts: Vec<_> = line.split(' ').collect();
        let is_digest = |part: &str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        matches!(parts.as_slice(), [_, path, sent, _, came]
            if path.starts_with('/') && is_digest(sent) && is_digest(came))
    };
    let odd: Vec<_> = transcript.lines().filter(|line| !is_line(line)).collect();
    assert!(odd.is_empty(), "{odd:?}");
    let person = TestData::default().people.covered;
    assert!(!transcript.contains(person.id_number.reveal().as_str()), "{transcript}");
    // Sixteen that are slow, and one for each of three restarts to be seen by.
    let held = 16 + 3;
    for (what, times) in [("GET /v1/coverage?", 1), ("LEFT", 1), ("PART", 1), ("HELD", held), ("SAID", 3)] {
        let said = transcript.lines().filter(|line| line.starts_with(what)).count();
        assert_eq!(said, times, "{what}: {transcript}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reached_is_signed_and_nothing_of_it_can_be_changed() {
    let (_house, report, _) = tried(None).await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("certify.key");
    let public = make_key(&key).unwrap();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(make_key(&key), Err(AttestationError::Exists(_))));
    let text = sign(&report, &key, SignedDuration::from_hours(24)).unwrap();
    let now = report.began + SignedDuration::from_mins(5);

    let verified = verify(&text).unwrap();
    assert_eq!(verified.by, public);
    let attestation = verified.attestation;
    assert!(attestation.holds_at(now).is_ok());
    assert_eq!(attestation.reached, Some(Level::L1));
    assert_eq!(attestation.passed, [Level::L0, Level::L1]);
    assert_eq!(attestation.not_applicable, super::OF_OTHERS);
    assert_eq!(attestation.transcript_sha256, report.transcript_sha256);

    let forged = text.replace(r#""reached": "L1""#, r#""reached": "L7""#);
    assert_ne!(forged, text);
    let own = public.to_string();
    let other = make_key(&folder.path().join("other.key")).unwrap().to_string();
    for wrong in [forged, text.replace(&own, &other), text.replace(&own, "…")] {
        let why = verify(&wrong).unwrap_err();
        assert!(matches!(why, AttestationError::WrongSignature), "{why}");
    }
    let later = now + SignedDuration::from_hours(24);
    assert!(matches!(attestation.holds_at(later), Err(AttestationError::Lapsed(_))));
    let before = now - SignedDuration::from_hours(24);
    assert!(matches!(attestation.holds_at(before), Err(AttestationError::NotYet(_))));
    assert!(matches!(verify("{}"), Err(AttestationError::NoAttestation(_))));
    std::fs::write(&key, "no key").unwrap();
    assert!(matches!(sign(&report, &key, SignedDuration::ZERO), Err(AttestationError::NoKey(_))));
}

#[test]
fn test_data_are_read_with_the_place_of_every_mistake() {
    let example = include_str!("../../../../../schemas/certify.example.toml");
    let data = TestData::read(example).unwrap();
    assert_eq!(format!("{:?}", data.people), format!("{:?}", with_the_defaults_names(&data)));
    for (from, to, place) in [
        ("no_annual_cap", "no_anual_cap", "no_anual_cap"),
        (r#"left = "1000.00""#, "left = 1000", "people.capped.left"),
        ("99990019560101001X", "999900195601010011", "people.covered.id_number"),
        ("[people.covered]", "[people.covered", "certify.example.toml"),
    ] {
        let why = TestData::read(&example.replace(from, to)).unwrap_err().to_string();
        assert!(why.contains(place), "{why}");
    }
}

/// Trials of people whom the payer knows nobody of do not apply: the simulated payer's stand in for no one.
#[test]
fn who_is_not_named_among_the_people_is_not_there() {
    let data = TestData::read("[people.covered]\nid_number = \"99990019560101001X\"").unwrap();
    let People { not_covered, refused, unknown, capped, .. } = data.people;
    assert!([not_covered, refused, unknown, capped].iter().all(Option::is_none));
    let data = TestData::read("no_annual_cap = true").unwrap();
    assert_eq!(format!("{:?}", data.people), format!("{:?}", People::default()));
}

/// What stands in the example is what is taken where nothing is given, but for names nobody is asked.
fn with_the_defaults_names(read: &TestData) -> People {
    let mut people = People::default();
    let read = &read.people;
    let pairs = [
        (people.not_covered.as_mut(), read.not_covered.as_ref()),
        (people.refused.as_mut(), read.refused.as_ref()),
        (people.unknown.as_mut(), read.unknown.as_ref()),
        (people.capped.as_mut(), read.capped.as_ref()),
    ];
    for (person, read) in pairs {
        let (Some(person), Some(read)) = (person, read) else { continue };
        (person.name, person.card, person.payer) = (read.name.clone(), read.card.clone(), read.payer.clone());
    }
    people
}
