//! The demonstration's messages, in the order in which they are sent.

use yizhan_contract::Text;

use crate::refusal::Code;
use crate::samples::{LINYI, SampleHospital, WANGZHUANG, YISHUI};

/// What the messages of a sample must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// A bill that leaves the patient this much.
    Share(&'static str),
    /// The last message is refused for this.
    Refused(Code),
}

impl Ends {
    pub(super) fn text(self) -> Text {
        match self {
            Self::Share(share) => Text::new(format!("个人支付 {share}"), format!("the patient pays {share}")),
            Self::Refused(code) => {
                Text::new(format!("拒绝（{}）", code.title().zh), format!("refused: {}", code.title().en))
            }
        }
    }
}

/// One case: its title in both languages, who sends it, its messages, and what they must come to.
pub(super) struct Sample {
    pub(super) title: (&'static str, &'static str),
    pub(super) sender: &'static SampleHospital,
    pub(super) files: &'static [(&'static str, &'static [u8])],
    pub(super) ends: Ends,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../tests/samples/", $name)))),+]
    };
}

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        title: ("脱贫享受政策人口的一次住院", "A stay of a person out of poverty, still entitled"),
        sender: &YISHUI,
        files: files!["01-worked.json"],
        ends: Ends::Share("1632.00"),
    },
    Sample {
        title: (
            "沂水 2017 年公布的结算单，两方已另行结算",
            "A settlement published in Yishui in 2017, two payers settled elsewhere",
        ),
        sender: &WANGZHUANG,
        files: files!["02-yishui-2017.xml"],
        ends: Ends::Share("8.16"),
    },
    Sample {
        title: ("大病跨两个分段", "Critical illness across two bands"),
        sender: &LINYI,
        files: files!["03a-critical-illness-charges.hl7", "03b-critical-illness-discharge.hl7"],
        ends: Ends::Share("21339.37"),
    },
    Sample {
        title: ("溺水：灾害民生综合保险优先赔付", "Drowning: disaster insurance pays first"),
        sender: &YISHUI,
        files: files!["04-drowning.json"],
        ends: Ends::Share("0.01"),
    },
    Sample {
        title: ("普通居民（GB18030 编码的 HL7 2.4）", "An ordinary resident (HL7 2.4 in GB18030)"),
        sender: &YISHUI,
        files: files![
            "05a-ordinary-resident-charges.gb18030.hl7",
            "05b-ordinary-resident-discharge.gb18030.hl7"
        ],
        ends: Ends::Share("1918.00"),
    },
    Sample {
        title: ("住院期间纳入即时帮扶", "Taken into immediate assistance during the stay"),
        sender: &YISHUI,
        files: files!["06-joined-mid-year.xml"],
        ends: Ends::Share("4866.00"),
    },
    Sample {
        title: ("跨年住院：按出院日", "A stay over the year's end: the discharge date decides"),
        sender: &YISHUI,
        files: files!["07-over-new-year.xml"],
        ends: Ends::Share("1032.72"),
    },
    Sample {
        title: ("入院、费用、出院，之后又来费用", "Admission, charges, discharge, and charges after it"),
        sender: &YISHUI,
        files: files![
            "08a-late-charges-admit.hl7",
            "08b-late-charges-charges.hl7",
            "08c-late-charges-discharge.hl7",
            "08d-late-charges-late.hl7"
        ],
        ends: Ends::Share("238.80"),
    },
    Sample {
        title: (
            "各方与个人之和不等于总额，必须拒绝",
            "Payers and patient do not make the total: must be refused",
        ),
        sender: &LINYI,
        files: files!["09-does-not-balance.json"],
        ends: Ends::Refused(Code::ShareDiffers),
    },
];
