//! Parse and map a 60-line DFT^P03: limits, character set, places, checked amounts, digest.
//! Goals on one core: 200 MB/s in UTF-8, 100 MB/s in GB18030.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use yizhan::intake::{Channel, Format, Profile, Profiles, door};

/// The sample's head and last line, the line sixty times over.
fn sixty_lines() -> String {
    let sample = include_str!("../tests/messages/intake/stay_dft.hl7");
    let mut segments: Vec<String> = sample
        .split('\r')
        .filter(|segment| !segment.starts_with("FT1") && !segment.is_empty())
        .map(str::to_owned)
        .collect();
    for line in 1..=60 {
        segments.push(format!(
            "FT1|{line}|20200702{line:04}|B1|20200626|20200626|CG|86901234000011^阿莫西林胶囊^NHSA||\
             |3|37.04&CNY^TP|12.345&CNY^UP|0203^内科||||A|西药费|J15.000^克雷伯杆菌肺炎^I10C|D012^李试验"
        ));
    }
    segments.join("\r")
}

fn bench(c: &mut Criterion) {
    let profile = Profile::from_toml(include_str!("../schemas/hospital.example.toml"));
    let profiles = profile.and_then(|profile| Profiles::new(vec![profile]));
    let profiles = profiles.unwrap_or_default();
    let now: Timestamp = "2020-07-03T10:00:00+08:00".parse().unwrap_or_default();
    let utf8 = sixty_lines();
    let (gb, _, _) = encoding_rs::GB18030.encode(&utf8);

    let header = b"UNICODE UTF-8";
    let at = gb.windows(header.len()).position(|window| window == header).unwrap_or(0);
    let gb = [&gb[..at], b"GB 18030-2000", &gb[at + header.len()..]].concat();

    let mut group = c.benchmark_group("dft_60_lines");
    for (name, bytes) in [("utf8", utf8.as_bytes()), ("gb18030", gb.as_slice())] {
        let read = || door::read(bytes, Format::Hl7, Channel::default(), &profiles, now);
        assert_eq!(read().map(|inbound| inbound.message.part.lines.len()).unwrap_or_default(), 60, "{name}");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |b| b.iter(|| black_box(read())));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
