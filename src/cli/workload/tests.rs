use super::*;

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
