use yizhan::desk::assets::STYLE;
use yizhan::desk::pages::{self, Listed};
use yizhan::desk::sheet::Sheet;
use yizhan::desk::words::{EN, Lang, ZH};
use yizhan::settlement::bill::{Bill, BillState};
use yizhan_contract::person::Personal;

use super::bills::{self, HOSPITAL_NAME, HOSTILE};
use super::golden;

fn sheet(bill: &Bill, lang: Lang) -> String {
    let patient_name = &bills::patient_name();
    let address = "/v1/settlements/x?pass=y";
    Sheet { bill, patient_name, hospital_name: HOSPITAL_NAME, address, lang }.render().unwrap()
}

/// The words of a page without its markup.
fn words_of(page: &str) -> String {
    let mut words = String::new();
    let mut inside = false;
    for character in page.chars() {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => words.push(character),
            _ => {}
        }
    }
    words
}

#[test]
fn sheets_are_as_kept() {
    for (name, bill) in bills::all() {
        for lang in [Lang::Zh, Lang::En] {
            let page = sheet(&bill, lang).replace(STYLE, "");
            golden::check(&format!("sheet/{name}.{}.html", lang.word()), &page);
        }
    }
}

#[test]
fn the_sentence_says_who_pays_what() {
    for (bill, lang, sentence) in [
        (
            bills::worked(),
            Lang::Zh,
            "总费用 12,000.00 元，各方共支付 10,368.00 元，您需支付 1,632.00 元（押金 2,000.00 元，应退 368.00 元）。",
        ),
        (
            bills::worked(),
            Lang::En,
            "Total 12,000.00 yuan; the payers pay 10,368.00 yuan; you pay 1,632.00 yuan (deposit 2,000.00 yuan; refund to you 368.00 yuan).",
        ),
        (
            bills::quoted(),
            Lang::Zh,
            "总费用 12,000.00 元，各方预计共支付 10,368.00 元，您预计需支付 1,632.00 元（押金 0.00 元，应补 1,632.00 元）。",
        ),
        (
            bills::nobody_pays(),
            Lang::Zh,
            "总费用 500.05 元，各方共支付 0.00 元，您需支付 500.05 元（押金 500.05 元，不补不退）。",
        ),
    ] {
        let words = words_of(&sheet(&bill, lang));
        assert!(words.contains(sentence), "{sentence}");
    }
}

/// What is read aloud, and what the banner says of the document, of the money, and of what to do next.
#[test]
fn each_state_says_what_is_so_and_what_to_do() {
    for (state, sentence, banner, next) in [
        (
            BillState::AwaitingCharges,
            "费用尚未收齐：目前总费用 12,000.00 元，各方预计",
            "等待费用，非结算凭证",
            "未发生资金变动。费用收齐后自动结算",
        ),
        (
            BillState::Quoted,
            "各方预计共支付 10,368.00 元，您预计需支付",
            "试算单，非结算凭证",
            "未发生资金变动，确认后才结算",
        ),
        (
            BillState::Settling,
            "正在结算：总费用 12,000.00 元，待各方确认",
            "正在结算，非结算凭证",
            "请勿重复提交，确认之前请勿收款或退款",
        ),
        (
            BillState::Reversing,
            "正在撤回各方的款项：",
            "正在撤销，本单不再有效",
            "款项是否已退回正在确认，系统会自动查询",
        ),
        (BillState::Reversed, "原结算已撤销：", "已撤销，本单作废", "各方款项已退回"),
        (
            BillState::NeedsAttention,
            "尚未确认，正由人工处理：",
            "需人工处理，非结算凭证",
            "资金是否变动尚未确认。请勿重复提交，请联系管理员",
        ),
        (
            BillState::Refused,
            "结算未成立，各方均未支付：",
            "未受理，非结算凭证",
            "已确认的款项均已退回。请与拒绝的支付方核实",
        ),
    ] {
        let page = sheet(&Bill { state, ..bills::worked() }, Lang::Zh);
        assert!(page.contains("class=\"watermark\""), "{state:?}");
        let words = words_of(&page);
        for said in [sentence, banner, next] {
            assert!(words.contains(said), "{state:?}: {said} is missing");
        }
        let speaks_of_deposit = words.contains("元（押金 2,000.00 元，应退 368.00 元）");
        assert_eq!(speaks_of_deposit, state == BillState::Quoted, "{state:?}");
        assert_eq!(words.contains("叁佰陆拾捌元整"), state == BillState::Quoted, "{state:?}");
        assert_eq!(words.contains("原结算已撤销"), state == BillState::Reversed, "{state:?}");
        assert_eq!(
            words.contains("预计"),
            matches!(state, BillState::AwaitingCharges | BillState::Quoted),
            "{state:?}"
        );
    }
    let settled = sheet(&bills::worked(), Lang::Zh);
    assert!(!settled.contains("class=\"banner\"") && !settled.contains("class=\"watermark\""));
}

#[test]
fn the_sheet_shows_the_full_name_and_a_masked_number() {
    let words = words_of(&sheet(&bills::worked(), Lang::Zh));
    assert!(words.contains("王小明") && words.contains("3713**********0012"));
    assert!(words.contains("2020-07-02 10:30（北京时间）"), "issued at, in Shanghai");
    assert!(words.contains("壹仟陆佰叁拾贰元整") && words.contains("叁佰陆拾捌元整"));
    assert!(words.contains("不是基金经办机构的计算结果"));
}

#[test]
fn markup_in_names_stays_text() {
    let bill = bills::hostile();
    let name = Personal::new(HOSTILE.to_owned());
    let page =
        Sheet { bill: &bill, patient_name: &name, hospital_name: HOSTILE, address: HOSTILE, lang: Lang::Zh };
    let listed = [Listed { bill: &bill, hospital_name: HOSTILE, href: "/v1/settlements/x" }];
    for page in [page.render().unwrap(), pages::index(&listed, Lang::Zh).unwrap()] {
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&#60;script&#62;"), "{page}");
    }
}

#[test]
fn pages_hold_nothing_that_their_security_policy_refuses() {
    let mut written: Vec<_> = bills::all().iter().map(|(_, bill)| sheet(bill, Lang::Zh)).collect();
    written.push(pages::index(&[], Lang::En).unwrap());
    for page in written {
        assert_eq!(page.matches("<style>").count(), 1);
        for refused in ["<script", "style=\"", "<link", " src=", "onclick", "http://", "https://"] {
            assert!(!page.contains(refused), "{refused}");
        }
        assert!(page.contains(&format!("<style>{STYLE}</style>")));
    }
    for refused in ["@import", "http", "url(\""] {
        assert!(!STYLE.contains(refused), "{refused}");
    }
}

#[test]
fn the_index_lists_bills_masked() {
    let (bill, other) = (bills::worked(), bills::reversed());
    let listed = [
        Listed { bill: &bill, hospital_name: HOSPITAL_NAME, href: "/v1/settlements/1" },
        Listed { bill: &other, hospital_name: HOSPITAL_NAME, href: "/v1/settlements/2" },
    ];
    for lang in [Lang::Zh, Lang::En] {
        let page = pages::index(&listed, lang).unwrap().replace(STYLE, "");
        golden::check(&format!("index.{}.html", lang.word()), &page);
    }
}

#[test]
fn both_languages_speak_of_the_same_figures() {
    let names = |text: &str| {
        let mut names: Vec<_> =
            text.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    for ((word, zh), (_, en)) in ZH.all().into_iter().zip(EN.all()) {
        assert_eq!(names(zh), names(en), "{word}");
        let may_be_nothing = word == "sentences_between";
        assert!(may_be_nothing || !zh.is_empty() && !en.is_empty(), "{word}");
    }
}
