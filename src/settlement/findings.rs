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

pub fn repeated_lines(lines: usize) -> Finding {
    finding(
        FindingCode::RepeatedLines,
        format!("{lines} 行费用重复发送，只计一次"),
        format!("{lines} charge lines were sent again and count once"),
    )
}
