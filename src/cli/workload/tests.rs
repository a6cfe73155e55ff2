use super::*;
use crate::intake::profile::Profile;

#[test]
fn the_same_seed_makes_the_same_messages() {
    let all = |seed| {
        let workload = Workload::sample(seed, 500);
        (0..50).flat_map(|number| workload.stay(number).messages()).collect::<Vec<_>>()
    };
    assert_eq!(all(7), all(7));
    assert!(all(7) != all(8));
}

#[test]
fn a_hospital_writes_as_its_profile_says() {
    let profile = Profile::from_toml(
        "code = \"H1\"\nname = { zh = \"一院\", en = \"First\" }\nlevel = 2\nregion = \"371323\"\nagreements = []\n\
         senders = [\"HIS&2|一院\", \"LIS|一院\"]\ncharset = \"GB18030\"\nsettle_on = \"bar_p06\"\n",
    );
    let hospital = SendingHospital::of_profile(&profile.unwrap(), "token").unwrap();
    let workload = Workload::in_dialects(1, vec![hospital], 10, vec![Dialect::Hl7, Dialect::Hl7Xml]);
    let messages = [0, 1].map(|number| workload.stay(number).messages());
    let [bars, xml] = messages.map(|of_stay| {
        assert_eq!(
            of_stay.iter().map(|message| message.saying).filter(|of| *of == Saying::Discharge).count(),
            1
        );
        of_stay.into_iter().map(|message| message.bytes).collect::<Vec<_>>()
    });
    let closing = encoding_rs::GB18030.decode(bars.last().unwrap()).0.into_owned();
    assert!(closing.starts_with("MSH|^~\\&|HIS\\T\\2|一院|YIZHAN|"), "{closing}");
    assert!(closing.contains("|BAR^P06^BAR_P06|S1-0P|P|2.5||||||\r"), "{closing}");
    let closing = String::from_utf8(xml.last().unwrap().clone()).unwrap();
    assert!(closing.contains("<MSH.18>UNICODE UTF-8</MSH.18>"), "{closing}");
}

#[test]
fn lines_are_those_of_hospitals() {
    let workload = Workload::sample(1, 500);
    let mut lines: Vec<usize> = (0..2_000).map(|number| workload.stay(number).charges.len()).collect();
    lines.sort_unstable();
    assert!((20..=200).contains(&lines[0]) && (150..=203).contains(&lines[1_999]), "{lines:?}");
    assert!((55..=65).contains(&lines[1_000]), "the median is {}", lines[1_000]);
}

#[test]
fn a_few_hospitals_and_people_are_met_again_and_again() {
    let workload = Workload::sample(1, 5_000);
    let mut by_hospital = std::collections::BTreeMap::<String, u32>::new();
    let mut by_person = std::collections::BTreeMap::<u64, u32>::new();
    for number in 0..2_000 {
        let stay = workload.stay(number);
        *by_hospital.entry(stay.hospital.code.clone()).or_default() += 1;
        *by_person.entry(stay.person.number).or_default() += 1;
    }
    let biggest = &workload.hospitals()[0].code;
    assert!(by_hospital[biggest] > 400 && by_hospital.len() > 20, "{by_hospital:?}");
    assert!(by_person.values().filter(|stays| **stays >= 5).count() >= 15);
    assert!(by_person.values().filter(|stays| **stays == 1).count() > 1_000);
}
