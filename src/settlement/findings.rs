//! Findings of the settlement side; those of the policy come from the rules.

use yizhan_contract::{Finding, FindingCode, Money, Text, counted};

fn finding(code: FindingCode, zh: String, en: String) -> Finding {
    Finding { code, message: Text::new(zh, en), clause: None }
}

pub fn late_charges(lines: usize, total: Money) -> Finding {
    finding(
        FindingCode::LateCharges,
        format!("结算后又收到 {lines} 行费用，共 {total} 元；原结算单不变，如需计入请先撤销结算"),
        format!(
            "{}, {total}, came after settlement; the bill stands, reverse it to include them",
            counted(lines, "charge line", "charge lines")
        ),
    )
}

pub fn earlier_stay_reversed(count: u32) -> Finding {
    finding(
        FindingCode::EarlierStayReversed,
        format!("本年度较早的 {count} 次结算在此之后被撤销；本结算单金额不变"),
        format!(
            "earlier in the year {} reversed since; the amounts here stand",
            counted(count, "settlement was", "settlements were")
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

pub fn cancelled_charges(lines: usize, total: Money) -> Finding {
    finding(
        FindingCode::CancelledCharges,
        format!(
            "入院已取消，此前收到的 {lines} 行费用（共 {total} 元）及预交款不再计入；再次入院后仍有效的，请以新的消息号重新发送"
        ),
        format!(
            "the admission is cancelled: {}, {total}, and payments before it count no more; \
             send again, under new message ids, what belongs to a new admission",
            counted(lines, "charge line", "charge lines")
        ),
    )
}

pub fn repeated_lines(lines: usize) -> Finding {
    finding(
        FindingCode::RepeatedLines,
        format!("{lines} 行费用重复发送，只计一次"),
        counted(
            lines,
            "charge line was sent again and counts once",
            "charge lines were sent again and count once",
        ),
    )
}
