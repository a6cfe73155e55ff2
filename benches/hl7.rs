//! How fast a 60-line DFT^P03 is read: divided, and all FT1 fields and components looked at.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use yizhan::intake::hl7::{Charset, Limits, Message, Reading, structure};
use yizhan::intake::mllp::{Frames, Release, frame};
use yizhan::intake::xml::hl7::message;
use yizhan::intake::xml::tree::{Tree, decode};

const LINES: usize = 60;

fn charges(charset_name: &str) -> String {
    let mut text = format!(
        "MSH|^~\\&|HIS|H37132301|YIZHAN|SETTLE|20200702101500+0800||DFT^P03^DFT_P03|DFT0001|P|2.5.1|||AL|NE|CHN|{charset_name}\r\
         EVN|P03|20200702101500+0800\r\
         PID|1||MRN0001^^^H37132301^MR~371323196001010012^^^PSN^NNCHN||王明德^^^^^^L||19600101|M\r\
         PV1|1|I|内科一病区^12^3||||||||||||||||ZY20200702001^^^H37132301^VN|||||||||||||||||||||||||20200624093000+0800|20200702100000+0800\r"
    );
    for line in 1..=LINES {
        text.push_str(&format!(
            "FT1|{line}|L{line:04}||20200625093000+0800|20200625120000+0800|CG|XJ01CAA040A{line:03}^阿莫西林胶囊0.25g*24粒^L|||2|36.80&CNY^TP|18.40&CNY^UP|内科^消化内科||||西药费|I10.x05^高血压病^I10|D0012^李文^医师|D0012^李文^医师|||XJ01CAA040A{line:03}\r"
        ));
    }
    text
}

/// Every field of every charge.
fn touch_fields(bytes: &[u8]) -> usize {
    let Ok(message) = Message::parse(bytes, &Reading::default()) else { return 0 };
    let fields = message.named("FT1").flat_map(|segment| segment.fields());
    fields.map(|field| field.raw().len() + usize::from(field.place().field)).sum()
}

/// More than mapping will do: every component of every field of every charge, numbers seen as text.
fn touch(bytes: &[u8]) -> usize {
    let Ok(message) = Message::parse(bytes, &Reading::default()) else { return 0 };
    let fields = message.named("FT1").flat_map(|segment| segment.fields());
    fields
        .flat_map(|field| field.components())
        .map(|part| part.raw().len() + usize::from(part.place().field))
        .sum()
}

/// The fields the normal form takes, escapes resolved.
fn map(bytes: &[u8]) -> usize {
    let Ok(message) = Message::parse(bytes, &Reading::default()) else { return 0 };
    let Ok(checked) = structure::check(&message, &["P", "T", "D"]) else { return 0 };
    let mut length = checked.warnings.len();
    for line in message.named("FT1") {
        for field in [2, 4, 6, 10, 18] {
            length += line.field(field).component(1).text().len();
        }
        for part in [line.field(7).component(1), line.field(7).component(2)] {
            length += part.text().len();
        }
        for amount in [line.field(11), line.field(12)] {
            length += amount.subcomponent(1).text().len() + amount.component(1).subcomponent(2).text().len();
        }
    }
    length
}

fn as_xml() -> String {
    let line = "<DFT_P03.FINANCIAL><FT1><FT1.1>1</FT1.1><FT1.4><DR.1>20200625</DR.1></FT1.4><FT1.6>CG</FT1.6>\
                <FT1.7><CWE.1>XJ01CAA040A001</CWE.1><CWE.2>阿莫西林胶囊</CWE.2></FT1.7><FT1.10>2</FT1.10>\
                <FT1.11><CP.1><MO.1>36.80</MO.1><MO.2>CNY</MO.2></CP.1></FT1.11></FT1></DFT_P03.FINANCIAL>\n";
    format!(
        "<?xml version=\"1.0\"?><DFT_P03 xmlns=\"urn:hl7-org:v2xml\"><MSH><MSH.9><MSG.1>DFT</MSG.1></MSH.9></MSH>{}</DFT_P03>",
        line.repeat(LINES)
    )
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hl7");
    let samples = [
        ("utf-8", charges("UNICODE UTF-8").into_bytes()),
        ("gb18030", Charset::GB18030.encode(&charges("GB 18030-2000"))),
    ];
    for (name, bytes) in &samples {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("touch every field/{name}"), |b| {
            b.iter(|| touch_fields(black_box(bytes)));
        });
        group.bench_function(format!("touch every component/{name}"), |b| b.iter(|| touch(black_box(bytes))));
        group.bench_function(format!("read mapped fields/{name}"), |b| b.iter(|| map(black_box(bytes))));
    }
    let document = as_xml();
    group.throughput(Throughput::Bytes(document.len() as u64));
    group.bench_function("xml", |b| {
        b.iter(|| {
            let decoded = decode(black_box(document.as_bytes()), None);
            decoded
                .and_then(|(text, charset)| message(&Tree::parse(&text)?, charset, &Limits::default()))
                .is_ok()
        })
    });
    let framed = frame(&samples[0].1);
    group.throughput(Throughput::Bytes(framed.len() as u64));
    group.bench_function("mllp", |b| {
        b.iter(|| {
            let mut frames = Frames::new(1 << 22, Release::One);
            framed.chunks(1460).for_each(|packet| frames.push(packet));
            frames.next_event()
        });
    });
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
