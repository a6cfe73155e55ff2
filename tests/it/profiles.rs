//! Hospital profiles: which mistakes are named, and which profiles do not go together.

use yizhan::intake::profile::{EVERYBODY, Sender};
use yizhan::intake::{Profile, Profiles};
use yizhan::samples;

use crate::{project, says_both};

/// What is replaced in the example, and the place, the Chinese and the English of what is then said.
const PROFILE_MISTAKES: &[(&str, &str, &str, &str, &str)] = &[
    ("level = 2", "level = 4", "level:", "须为 1、2 或 3", "1, 2 or 3"),
    ("level = 2", "level = \"two\"", "level:", "不加引号", "without quotation marks"),
    ("level = 2", "lvel = 2", "lvel:", "没有这个配置项", "is no key"),
    ("level = 2", "", "level:", "缺少该项", "is missing; add it"),
    ("level = 2", "level = ", "", "不是有效的 TOML", "compare schemas/hospital.example.toml"),
    ("name = { zh", "name = { cn", "name.zh:", "缺少该项", "is missing"),
    ("senders = [\"SAMPLEHOSP\", \"HIS|COUNTY\"]", "senders = 7", "senders:", "列表", "a list"),
    ("code = \"H37132301\"", "code = \"H 1\"", "code:", "字母、数字", "letters, digits"),
    ("region = \"371323\"", "region = \"3713\"", "region:", "六位数字", "six digits"),
    ("charset = \"GB18030\"", "charset = \"EBCDIC\"", "charset:", "不认识字符集", "no character set known"),
    ("charset = \"GB18030\"", "charset = \"utf-16\"", "charset:", "与 MLLP 帧冲突", "bytes that frame"),
    ("mode = \"settle\"", "mode = \"sell\"", "mode:", "只能是", "must be one of"),
    ("\"127.0.0.1:6661\"", "\"http://his.example\"", "return_address:", "请改用 https", "use https"),
    ("\"127.0.0.1:6661\"", "\"https://\"", "return_address:", "不是有效的网址", "is no address"),
    ("\"127.0.0.1:6661\"", "\"https://a:b@c.d\"", "return_address:", "请删除", "take it out"),
    ("\"127.0.0.1:6661\"", "\"his\"", "return_address:", "主机:端口", "host:port"),
    ("token_sha256 = \"9f", "token_sha256 = \"9g", "token_sha256:", "64 位十六进制", "64 hexadecimal"),
    ("binding = []", "binding = [\"total\"]", "binding:", "只能是", "must be"),
    ("\"PID-3[SB].1\"", "\"PID-3[SB.1\"", "hl7.\"patient.card\":", "不是路径", "is no path"),
    ("= \"FT1-17\"", "= \"PV1-17\"", "hl7.\"lines.class\":", "取自 FT1", "stand in FT1"),
    ("= \"FT1-17\"", "= [\"FT1-17\", \"FT1-18\"]", "hl7.\"lines.class\":", "只能有一个", "has one path"),
    ("= \"FT1-17\"", "= []", "hl7.lines.class:", "或路径的列表", "or a list of such"),
    ("= \"FT1-17\"", "= [17]", "hl7.lines.class:", "或路径的列表", "or a list of such"),
    ("\"lines.class\" =", "\"diagnoses.code\" =", "diagnoses.code", "不能由 HL7", "cannot be a path"),
    ("\"/Envelope/Body/POOR_IN200902UV/creationTime/@value\"", "\"//x\"", "sent_at", "逐级", "every step"),
    ("id = \"id/@extension\"", "id = \"/id/@extension\"", "lines.id:", "不以 / 开头", "not begin with /"),
    ("has = \"/Envelope", "has = \"Envelope", ".has:", "以 / 和根元素", "begins with /"),
    ("creationTime/@value", "creationTime/@a/b", "sent_at", "不得再有", "nothing may follow"),
    ("creationTime/@value", "creationTime/@*", "sent_at", "不是属性名", "no attribute name"),
    ("id[@root='2.16.156.10011.1.5']", "id[@root]", "hospital", "须为 [序号]", "is neither [n]"),
    ("'2.16.156.10011.1.5']", "'2.16.156.10011.1.5'", "hospital", "缺少 ]", "lacks its ]"),
    ("\"visit.number\" = \"/E", "\"visit.nr\" = \"/E", "visit.nr", "没有这个字段", "is no field"),
    ("[values.\"visit.class\"]", "[values.\"visit.klasse\"]", "visit.klasse", "没有这个字段", "is no field"),
    ("each = ", "every = ", "every", "没有这个字段", "is no field"),
    ("each = ", "# each = ", "lines.each:", "缺少该项", "is missing; add the path"),
    ("to = \"2020-12-31\"", "to = \"2018-12-31\"", "agreements[0].to:", "早于", "lies before"),
    ("to = \"2020-12-31\"", "to = \"soon\"", "agreements[0].to:", "取值无效", "no valid value"),
];

#[test]
fn profiles_say_in_both_languages_which_key_is_wrong_and_what_to_write() {
    let text = std::fs::read_to_string(project("schemas/hospital.example.toml")).unwrap();
    let line_of = |of: &str| text[..text.find(of).unwrap()].matches('\n').count() + 1;
    for (from, to, place, zh, en) in PROFILE_MISTAKES {
        assert!(text.contains(from), "{from}");
        let why = Profile::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(says_both(&why), "{why}");
        for part in [place, zh, en] {
            assert!(why.contains(*part), "{part}: {why}");
        }
        // What the file's reader found has its line; what came of looking at the whole has its key alone.
        let line = format!("{}: ", line_of(from));
        assert!(!why.starts_with(|c: char| c.is_ascii_digit()) || why.starts_with(&line), "{line}: {why}");
    }
}

/// Mistakes that only two profiles together can make.
#[test]
fn profiles_that_do_not_go_together_are_refused_in_both_languages() {
    let read: Vec<Profile> =
        samples::HOSPITALS.iter().map(|sample| Profile::from_toml(sample.profile).unwrap()).collect();
    let mut same_sender = read.clone();
    for profile in &mut same_sender[..2] {
        profile.senders = vec![Sender { application: Some("HIS".to_owned()), facility: "COUNTY".to_owned() }];
    }
    let mut greedy = read.clone();
    greedy[1].senders = vec![Sender { application: None, facility: EVERYBODY.to_owned() }];
    assert!(Profiles::new(vec![greedy[1].clone()]).is_ok());
    for (profiles, parts) in [
        (greedy, ["senders: 医院 H37132301", "请改为列出其发送方", "list its senders instead"]),
        (
            vec![read[0].clone(), read[0].clone()],
            ["code: 两份医院配置的编码同为 H37130001", "各用各的", "give each its own"],
        ),
        (same_sender, ["senders: 医院", "HIS|COUNTY，请从其中一份", "take it out of one"]),
    ] {
        let why = Profiles::new(profiles).unwrap_err().to_string();
        assert!(says_both(&why), "{why}");
        for part in parts {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}

#[test]
fn a_token_belongs_to_one_hospital() {
    use sha2::{Digest, Sha256};
    let mut read: Vec<Profile> =
        samples::HOSPITALS.iter().map(|sample| Profile::from_toml(sample.profile).unwrap()).collect();
    for (profile, sample) in read.iter().zip(samples::HOSPITALS) {
        assert_eq!(profile.token_sha256, Some(Sha256::digest(sample.token).into()), "{}", profile.code());
    }
    assert!(Profiles::new(read.clone()).is_ok());
    read[2].token_sha256 = read[0].token_sha256;
    let why = Profiles::new(read.clone()).unwrap_err().to_string();
    assert!(says_both(&why), "{why}");
    for part in ["token_sha256", read[0].code(), read[2].code(), "各生成一个令牌", "a token of its own"]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
    // Hospitals that send by MLLP alone have none.
    read.iter_mut().for_each(|profile| profile.token_sha256 = None);
    assert!(Profiles::new(read).is_ok());
}
