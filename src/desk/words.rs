//! Every fixed text of the desk, in both languages, in one table.
//!
//! `{name}` in a text is a figure that [`pieces`] puts there, so that each language keeps its own order.

/// Chinese first: the desk's own language is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    #[default]
    Zh,
    En,
}

impl Lang {
    /// From `?lang=`; anything unknown is Chinese.
    pub fn from_query(word: &str) -> Self {
        if word.eq_ignore_ascii_case("en") { Self::En } else { Self::Zh }
    }

    /// For `?lang=`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// BCP 47, for the `lang` attribute.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Zh => Self::En,
            Self::En => Self::Zh,
        }
    }

    pub fn words(self) -> &'static Words {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }

    /// One of a text's two languages.
    pub fn of(self, text: &yizhan_contract::Text) -> &str {
        match self {
            Self::Zh => &text.zh,
            Self::En => &text.en,
        }
    }
}

macro_rules! words {
    ($($name:ident $zh:literal $en:literal;)+) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub struct Words { $(pub $name: &'static str),+ }

        pub static ZH: Words = Words { $($name: $zh),+ };
        pub static EN: Words = Words { $($name: $en),+ };

        impl Words {
            /// Every text, for checks over the whole table.
            pub fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}

words! {
    language_other "English" "中文";
    sheet_title "住院费用结算单" "Settlement of Hospital Charges";
    number "序" "No.";
    settlement_id "结算号" "Settlement id";
    version "版本" "Version";
    replaces "替代结算" "Replaces";
    issued_at "出具时间" "Issued at";
    shanghai_time "（北京时间）" " (Beijing time)";
    valid_until "报价有效至" "Quote valid until";
    patient "患者" "Patient";
    name "姓名" "Name";
    id_number "证件号码" "ID number";
    person_category "人员类别" "Category";
    category_on "按 {date} 认定" "as of {date}";
    visit_number "住院号" "Visit number";
    hospital "医疗机构" "Hospital";
    hospital_code "机构编码" "Hospital code";
    stay "住院日期" "Stay";
    stay_dates "{admitted} 至 {discharged}，{days}" "{admitted} to {discharged}, {days}";
    cause "就诊原因" "Cause";
    policy "结算政策" "Policy";
    benefit_year "待遇年度" "Benefit year";
    admission_ordinal "{year} 年，第 {ordinal} 次住院" "{year}, admission no. {ordinal}";
    none "—" "—";
    print_hint "打印：Ctrl + P（A4）" "Print: Ctrl + P (A4)";
    currency "单位：人民币元" "Amounts in yuan (CNY)";

    banner_awaiting "等待费用，非结算凭证" "AWAITING CHARGES: not a settlement document";
    banner_awaiting_next "未发生资金变动。费用收齐后自动结算，请稍后再查看。" "No money has moved. It is settled once the charges are complete; look again later.";
    banner_quoted "试算单，非结算凭证" "QUOTE: not a settlement document";
    banner_quoted_next "未发生资金变动，确认后才结算。" "No money has moved; it is settled once it is confirmed.";
    banner_settling "正在结算，非结算凭证" "BEING SETTLED: not a settlement document";
    banner_settling_next "支付方的答复正在确认，系统会自动查询。请勿重复提交，确认之前请勿收款或退款。" "A payer's answer is being confirmed; the system asks by itself. Do not send again, and neither collect nor refund before that.";
    banner_reversing "正在撤销，本单不再有效" "BEING REVERSED: no longer valid";
    banner_reversing_next "款项是否已退回正在确认，系统会自动查询。请勿重复提交，确认之前请勿收款或退款。" "Whether the money was given back is being confirmed; the system asks by itself. Do not send again, and neither collect nor refund before that.";
    banner_reversed "已撤销，本单作废" "REVERSED: this document is void";
    banner_reversed_next "各方款项已退回。" "What the payers paid was given back.";
    banner_attention "需人工处理，非结算凭证" "NEEDS ATTENTION: not a settlement document";
    banner_attention_next "资金是否变动尚未确认。请勿重复提交，请联系管理员处理。" "Whether money moved is not confirmed. Do not send again; call the operator.";
    banner_refused "未受理，非结算凭证" "REFUSED: not a settlement document";
    banner_refused_next "结算未成立，已确认的款项均已退回。请与拒绝的支付方核实后重新结算。" "Nothing was settled, and what had been committed was given back. Ask the payer that refused, then settle again.";
    reversed_by "撤销原因：{reason}。操作员：{operator}。时间：{at}。" "Reason: {reason}. Operator: {operator}. At {at}.";
    sentences_between "" " ";
    watermark_quoted "试算" "QUOTE";
    watermark_reversing "撤销中" "REVERSING";
    watermark_void "已撤销" "VOID";
    watermark_pending "未结算" "NOT SETTLED";

    say_awaiting "费用尚未收齐：目前总费用 {total} 元，各方预计共支付 {paid} 元，您预计需支付 {share} 元" "The charges are not complete: so far total {total} yuan; the payers would pay {paid} yuan; you would pay {share} yuan";
    say_quoted "总费用 {total} 元，各方预计共支付 {paid} 元，您预计需支付 {share} 元" "Total {total} yuan; the payers would pay {paid} yuan; you would pay {share} yuan";
    say_settling "正在结算：总费用 {total} 元，待各方确认共支付 {paid} 元后，您需支付 {share} 元" "Being settled: total {total} yuan; once the payers have confirmed {paid} yuan, you pay {share} yuan";
    say_settled "总费用 {total} 元，各方共支付 {paid} 元，您需支付 {share} 元" "Total {total} yuan; the payers pay {paid} yuan; you pay {share} yuan";
    say_reversing "正在撤回各方的款项：总费用 {total} 元，原定各方共支付 {paid} 元、您支付 {share} 元，均不再有效" "The payers' money is being taken back: total {total} yuan; {paid} yuan were to be the payers' and {share} yuan yours, which no longer holds";
    say_reversed "原结算已撤销：总费用 {total} 元，各方原支付 {paid} 元，您原需支付 {share} 元" "This settlement was reversed: total {total} yuan; the payers had paid {paid} yuan; your share was {share} yuan";
    say_attention "尚未确认，正由人工处理：总费用 {total} 元，原定各方共支付 {paid} 元、您支付 {share} 元" "Not confirmed, and with a person now: total {total} yuan; {paid} yuan were to be the payers' and {share} yuan yours";
    say_refused "结算未成立，各方均未支付：总费用 {total} 元，原定各方共支付 {paid} 元、您支付 {share} 元" "Nothing was settled and no payer pays: total {total} yuan; {paid} yuan were to be the payers' and {share} yuan yours";
    say_end "。" ".";
    say_refund "（押金 {deposit} 元，应退 {open} 元）。" " (deposit {deposit} yuan; refund to you {open} yuan).";
    say_collect "（押金 {deposit} 元，应补 {open} 元）。" " (deposit {deposit} yuan; still to pay {open} yuan).";
    say_even "（押金 {deposit} 元，不补不退）。" " (deposit {deposit} yuan; nothing to pay or refund).";

    costs "费用构成" "What it cost";
    total "总费用" "Total";
    self_funded "全自费" "Self-funded";
    self_funded_note "目录外项目" "not in the catalogue";
    over_limit "超限价自费" "Over price limit";
    over_limit_note "超出最高限价的部分" "above the price ceiling";
    upfront_copay "乙类先行自付" "Upfront co-payment";
    upfront_copay_note "乙类项目先由个人承担" "class B items, own part first";
    in_scope "政策范围内费用" "In scope";
    in_scope_note "可按政策报销的部分" "what the policy covers";

    waterfall "从总费用到个人支付" "From the total to your share";
    waterfall_says "总费用 {total} 元" "The total is {total} yuan";
    waterfall_payer "；{payer}支付 {paid} 元，余 {left} 元" "; {payer} pays {paid} yuan, {left} yuan remain";
    waterfall_share "；您需支付 {share} 元。" "; you pay {share} yuan.";
    share_bar "个人支付" "Your share";

    payers "各方支付（按政策顺序）" "Who pays, in the order of the policy";
    payer "支付方" "Payer";
    state "状态" "State";
    base "计算基数" "Base";
    pays "支付" "Pays";
    left_after "支付后余额" "Left after";
    reference "凭证号 / 说明" "Reference / why";
    reference_short "凭证号" "Ref.";
    sum "合计" "Total";
    paid_by_payers "各方支付合计" "Paid by payers";
    how_computed "计算过程" "How it was computed";
    no_steps "支付方未提供计算过程" "The payer gave no steps";
    balance "总费用 {total} = 各方支付 {paid} + 个人支付 {share}" "Total {total} = payers {paid} + patient {share}";

    step_base "计算基数" "Base";
    step_upfront_share "异地先行自付" "Upfront share, out of area";
    step_deductible "起付线" "Deductible";
    step_band "分段" "Band";
    step_target "保障目标" "Target";
    step_stay_cap "单次封顶线" "Cap per stay";
    step_annual_cap "年度封顶线" "Annual cap";
    step_rounding "四舍五入到分" "Rounded to the fen";
    step_remainder "不超过剩余费用" "No more than what is left";
    step_min_share "个人最低自付" "The patient keeps at least";
    notes "（{notes}）" " ({notes})";
    notes_between "，" ", ";
    counted_this_year "本年已累计 {amount}" "{amount} counted this year";
    paid_this_year "本年已支付 {amount}" "{amount} paid this year";
    paid_before "前面已支付 {amount}" "{amount} paid before";
    still_open "尚可支付 {amount}" "{amount} still open";
    was_left "剩余 {amount}" "of {amount} left";
    points_off "异地降低 {points}" "{points} off, out of area";
    band_between "[{from}–{to}] " "[{from}–{to}] ";
    band_above "[{from} 以上] " "[above {from}] ";

    share_and_deposit "个人支付与押金" "Your share and deposit";
    patient_share "个人支付" "Patient share";
    deposit "已交押金" "Deposit";
    to_collect "应补" "To collect";
    to_refund "应退" "To refund";
    in_capitals "大写" "in capital numerals";
    coverage "保障水平" "Coverage";
    coverage_in_scope "政策范围内" "of in-scope cost";
    coverage_total "总费用" "of total cost";

    by_category "费用分类" "Charges by category";
    category "类别" "Category";
    line_count "笔数" "Lines";
    uncategorised "未分类" "No category";
    findings "提示" "Please note";
    clause "依据" "Clause";

    computed_all_gateway "各方金额均由本结算网关按所列政策计算，不是基金经办机构的计算结果。" "Every payer's amount was computed by this gateway from the policy named above, not by the fund.";
    computed_gateway "由本结算网关按政策计算（不是基金经办机构的计算结果）：{payers}。" "Computed by this gateway from the policy (not by the fund): {payers}.";
    computed_payer "由支付方计算并答复：{payers}。" "Computed and answered by the payer: {payers}.";
    names_between "、" ", ";
    sample "示例参数，非官方标准" "Sample parameters, not an official standard";
    sign_patient "患者（家属）签字" "Patient or family";
    sign_cashier "经办人" "Cashier";
    sign_date "日期" "Date";

    index_title "一站式结算" "One-stop settlement";
    index_recent "最近的结算单" "Recent bills";
    index_empty "还没有结算单。发送一条出院消息后会出现在这里。" "No bills yet. Send a discharge message and it appears here.";
    index_open "查看结算单" "Open the bill";
    index_discharged "出院" "Discharged";

    noted_title "已收到" "Received";
    pending_title "正在处理" "Being worked on";
    look_again "再次查看" "Look again";

    problem_title "未能办理" "Not done";
    problem_where "位置" "Where";
    problem_detail "原因" "What is wrong";
    problem_next "下一步" "What to do next";
    problem_money "资金" "Money";
    problem_several "共 {count} 处问题" "{count} problems";
    trace_id "跟踪号" "Trace id";
    code "代码" "Code";
}

impl Words {
    pub fn several(&self, count: usize) -> String {
        fill(self.problem_several, &[("count", &count.to_string())])
    }
}

/// A stretch of a text: its own words, or a figure put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// Name of the figure.
    pub figure: Option<&'static str>,
}

/// The text with its figures in place; a name without a figure stays visible as written.
pub fn pieces(text: &'static str, figures: &[(&str, &str)]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
    {
        pieces.push(Piece { text: before.to_owned(), figure: None });
        let figure = figures.iter().find(|(known, _)| *known == name);
        let text = figure.map_or_else(|| format!("{{{name}}}"), |(_, figure)| (*figure).to_owned());
        pieces.push(Piece { text, figure: Some(name) });
        rest = after;
    }
    pieces.push(Piece { text: rest.to_owned(), figure: None });
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

/// [`pieces`] as one text.
pub fn fill(text: &'static str, figures: &[(&str, &str)]) -> String {
    pieces(text, figures).into_iter().map(|piece| piece.text).collect()
}
