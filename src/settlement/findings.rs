//! Findings of the settlement side; those of the policy come from the rules.

use yizhan_contract::{Finding, FindingCode, Money, Text};

fn finding(code: FindingCode, zh: String, en: String) -> Finding {
    Finding { code, message: Text::new(zh, en), clause: None }
}

pub fn late_charges(lines: usize, total: Money) -> Finding {
    finding(
        FindingCode::LateCharges,
        format!("结算后又收到 {lines} 行费用，共 {total} 元；原结算单不变，如需计入请先撤销结算"),
        format!(
            "{lines} charge lines of {total} came after settlement; the bill stands, reverse it to include them"
        ),
    )
}

pub fn earlier_stay_reversed(count: u32) -> Finding {
    finding(
        FindingCode::EarlierStayReversed,
        format!("本年度较早的 {count} 次结算在此之后被撤销；本结算单金额不变"),
        format!("{count} earlier settlements of the year were reversed since; the amounts here stand"),
    )
}

pub fn reserved_by_other_stay(payer: &Text, less: Money) -> Finding {
    finding(
        FindingCode::ReservedByOtherStay,
        format!(
            "本人另一次住院正在结算，已预占本年度额度：{}因此少付 {less} 元；该次结算未成时请重新试算",
            payer.zh
        ),
        format!(
            "another stay of this person is being settled and has set part of the year aside: {} pays {less} less; \
             if that settlement falls through, price this one again",
            payer.en
        ),
    )
}

pub fn nothing_to_cancel() -> Finding {
    finding(
        FindingCode::NothingToCancel,
        "未收到过该次住院，没有可取消的内容；请核对住院号".to_owned(),
        "nothing is known of this stay, so there was nothing to cancel; check the visit number".to_owned(),
    )
}

pub fn repeated_lines(lines: usize) -> Finding {
    finding(
        FindingCode::RepeatedLines,
        format!("{lines} 行费用重复发送，只计一次"),
        format!("{lines} charge lines were sent again and count once"),
    )
}
