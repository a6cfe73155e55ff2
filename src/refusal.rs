//! Why a message or a request was refused: one list, and for each code how every channel says it.
//!
//! A refusal names the place in the sender's own terms (`FT1[3]-11`, an XPath, a JSON path, a CSV line),
//! says what to do next, and says whether money moved.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use yizhan_contract::Text;

/// Whether money moved, on every error a person or a system sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Money {
    NotMoved,
    Moved,
    BeingConfirmed,
}

impl Money {
    pub const ALL: [Self; 3] = [Self::NotMoved, Self::Moved, Self::BeingConfirmed];

    /// As documents have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotMoved => "not_moved",
            Self::Moved => "moved",
            Self::BeingConfirmed => "being_confirmed",
        }
    }

    /// The fact alone; what to do about it is [`Code::next_step`].
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotMoved => ("未发生资金变动", "No money has moved"),
            Self::Moved => ("资金已变动", "Money has moved"),
            Self::BeingConfirmed => ("资金是否变动正在确认", "Whether money moved is being confirmed"),
        }
    }
}

/// A refused message or request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: Code,
    /// Where, in the sender's own terms; absent where the whole message is meant.
    pub place: Option<Cow<'static, str>>,
    /// What exactly is wrong there, with the figures; never a name or a number of a person.
    pub detail: Text,
    pub money: Money,
    /// Of table 0357, where the reader of HL7 knows more closely what is wrong than `code` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<u16>,
}

impl Refusal {
    pub fn new(code: Code, zh: impl Into<String>, en: impl Into<String>) -> Self {
        let detail = Text::new(zh.into(), en.into());
        Self { code, place: None, detail, money: Money::NotMoved, fault: None }
    }

    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(Cow::Owned(place.to_string()));
        self
    }

    #[must_use]
    pub fn of_fault(self, hl7_code: u16) -> Self {
        Self { fault: Some(hl7_code), ..self }
    }

    /// HL7 table 0357.
    pub fn hl7_code(&self) -> u16 {
        self.fault.unwrap_or_else(|| self.code.hl7_code())
    }

    #[must_use]
    pub fn money(mut self, money: Money) -> Self {
        self.money = money;
        self
    }

    pub fn next_step(&self) -> Text {
        self.code.next_step(self.money)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} at {place}: {}", self.code.slug(), self.detail.en),
            None => write!(f, "{}: {}", self.code.slug(), self.detail.en),
        }
    }
}

impl std::error::Error for Refusal {}

/// Codes with: slug, HTTP status, HL7 table 0357 code, title (zh, en), what to do next (zh, en).
macro_rules! codes {
    ($($variant:ident $slug:literal $http:literal $hl7:literal
       $zh:literal $en:literal $next_zh:literal $next_en:literal;)+) => {
        /// Stable: the slug is part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($variant),+ }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// `total_differs`; as problem type `urn:yizhan:problem:total_differs`.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),+ }
            }

            pub fn from_slug(slug: &str) -> Option<Self> {
                match slug { $($slug => Some(Self::$variant),)+ _ => None }
            }

            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http),+ }
            }

            /// HL7 table 0357.
            pub fn hl7_code(self) -> u16 {
                match self { $(Self::$variant => $hl7),+ }
            }

            pub fn title(self) -> Text {
                match self { $(Self::$variant => Text::new($zh, $en)),+ }
            }

            /// Where no money moved.
            fn own_step(self) -> Text {
                match self { $(Self::$variant => Text::new($next_zh, $next_en)),+ }
            }
        }
    };
}

codes! {
    Malformed "malformed" 400 100 "报文无法解析" "The message cannot be read"
        "请修正报文格式后重新发送。" "Correct the form of the message and send it again.";
    TooLarge "too_large" 413 104 "报文超过大小限制" "The message is too large"
        "请拆分或精简报文后重新发送。" "Split or shorten the message and send it again.";
    WrongCharset "wrong_charset" 400 102 "字符集与内容不符" "The bytes do not fit the declared character set"
        "请按声明的字符集编码（JSON 为 UTF-8），或更正 MSH-18 / XML 声明。" "Encode as declared (JSON: in UTF-8), or correct MSH-18 or the XML declaration.";
    MissingField "missing_field" 422 101 "缺少必填项" "A required field is missing"
        "请补全该项后重新发送。" "Fill in the field and send the message again.";
    BadValue "bad_value" 422 102 "字段值无效" "A field holds an invalid value"
        "请更正该项后重新发送。" "Correct the field and send the message again.";
    UnknownField "unknown_field" 422 102 "存在未知字段" "A field is not known"
        "请删除或更正该字段名。" "Remove the field or correct its name.";
    UnknownWord "unknown_word" 422 103 "取值不在代码表内" "A value is not in its table"
        "请改用代码表内的取值，或在医院配置中增加对照。" "Use a value of the table, or map it in the hospital profile.";
    UnsupportedType "unsupported_type" 415 200 "不支持的消息类型" "This message type is not supported"
        "本网关只接收入院、出院、费用、账户类消息。" "The gateway takes admission, discharge, charge and account messages only.";
    UnsupportedEvent "unsupported_event" 415 201 "不支持的触发事件" "This trigger event is not supported"
        "请核对 MSH-9.2。" "Check MSH-9.2.";
    UnsupportedProcessing "unsupported_processing" 422 202 "不支持的处理标识" "This processing id is not supported"
        "请在 MSH-11 改用所列取值。" "Write one of those values in MSH-11.";
    UnsupportedVersion "unsupported_version" 422 203 "不支持的版本" "This version is not supported"
        "MSH-12 请使用 2.1 至 2.8。" "Use 2.1 to 2.8 in MSH-12.";
    UnknownHospital "unknown_hospital" 422 204 "未知的医疗机构" "The hospital is not known"
        "请核对机构编码，或由管理员登记该医院。" "Check the hospital code, or have the operator register the hospital.";
    AgreementNotInForce "agreement_not_in_force" 422 207 "医保协议不在有效期" "The hospital's agreement is not in force on the discharge date"
        "请联系医保经办机构确认定点协议。" "Ask the insurance bureau about the hospital's agreement.";
    NoPolicy "no_policy" 422 207 "没有适用的结算政策" "No policy is in force for this region and date"
        "请联系管理员发布该地区、该日期的政策文件。" "Ask the operator to publish a policy for this region and date.";
    ClassNotCovered "class_not_covered" 422 207 "就诊类别不在结算范围" "The policy does not settle visits of this class"
        "住院请按住院类别发送；门诊、急诊请按其他途径结算。" "Send a hospital stay as inpatient; settle other visits by other means.";
    TotalDiffers "total_differs" 422 102 "总费用与明细不符" "The stated total differs from the sum of the lines"
        "请核对明细与总额后重新发送。" "Check the lines against the total and send the message again.";
    ShareDiffers "share_differs" 422 102 "个人自付与计算不符" "The stated patient share differs from ours"
        "请核对各方支付与个人自付。" "Check what each payer pays and the patient's share.";
    BadCharges "bad_charges" 422 102 "费用明细有误" "The charges cannot be settled"
        "请更正费用明细后重新发送。" "Correct the charge lines and send the message again.";
    BadSettledElsewhere "bad_settled_elsewhere" 422 102 "外部已结算金额有误" "What was settled elsewhere does not fit"
        "请核对已在其他系统结算的金额、凭证号与支付方。" "Check amount, reference and payer of what was settled elsewhere.";
    BadDates "bad_dates" 422 102 "日期不合理" "The dates do not fit together"
        "请核对入院、出院与费用日期。" "Check the dates of admission, discharge and charges.";
    TwoPatients "two_patients" 422 100 "一条报文中有两名患者" "One message speaks of two patients"
        "请每名患者单独发送。" "Send each patient in a message of their own.";
    TwoVisits "two_visits" 422 100 "一条报文中有两次住院" "One message speaks of two visits"
        "请每次住院单独发送。" "Send each visit in a message of its own.";
    SeveralMessages "several_messages" 422 198 "一次请求含多条报文" "The request holds several messages"
        "请每次请求只发送一条报文；需整批发送时请改用 MLLP 端口。"
        "Send one message per request; to send a batch as it is, use the MLLP port.";
    AnotherPerson "another_person" 409 205 "该次住院属于另一名患者" "This stay belongs to another person"
        "请核对住院号与身份信息；结算前可用 A08/A40 更正。" "Check visit number and identity; before settlement A08 or A40 corrects them.";
    SameMessageOtherContent "same_message_other_content" 409 205 "消息号重复但内容不同" "This message id was used for other content"
        "请使用新的消息控制号重新发送。" "Send it again under a new message control id.";
    RepeatedLineDiffers "repeated_line_differs" 409 205 "重复的费用行内容不同" "A charge line was sent again with other content"
        "如需更正，请先冲减原费用行，或使用新的行号。" "To correct it, credit the first line, or use a new line id.";
    StayAlreadySettled "stay_already_settled" 409 205 "该次住院已结算" "This stay is already settled"
        "如需更改，请先撤销原结算。" "To change it, reverse the settlement first.";
    NoSuchStay "no_such_stay" 404 204 "找不到该次住院" "There is no such stay"
        "请核对住院号；先发送入院或费用消息。" "Check the visit number; send the admission or its charges first.";
    NoSuchSettlement "no_such_settlement" 404 204 "找不到该结算" "There is no such settlement"
        "请核对结算号。" "Check the settlement id.";
    NotOpen "not_open" 409 207 "当前状态不允许该操作" "The stay is not in a state that allows this"
        "请查看该次住院的当前状态。" "Look up the state of the stay.";
    QuoteMoved "quote_moved" 409 207 "报价已变化" "The quote has moved"
        "请核对新的报价后重新确认。" "Look at the new quote and confirm again.";
    Unauthorized "unauthorized" 401 207 "未授权" "Not authorised"
        "请使用该医院的访问令牌。" "Use the hospital's bearer token.";
    Forbidden "forbidden" 403 207 "无权访问" "Not allowed"
        "该令牌只能用于其所属医院。" "The token is good for its own hospital only.";
    TooManyRequests "too_many_requests" 429 207 "请求过于频繁" "Too many requests"
        "请稍后重试。" "Wait a moment and try again.";
    NotFound "not_found" 404 200 "地址不存在" "There is nothing at this address"
        "请查看 /openapi.json。" "See /openapi.json.";
    MethodNotAllowed "method_not_allowed" 405 200 "该地址不支持此方法" "This address does not take this method"
        "请查看 /openapi.json。" "See /openapi.json.";
    NotAcceptable "not_acceptable" 406 200 "无法按要求的格式答复" "None of the accepted forms can be answered with"
        "Accept 请使用 application/json、application/xml、text/html 或 application/hl7-v2。"
        "Accept application/json, application/xml, text/html or application/hl7-v2.";
    TooSlow "too_slow" 408 207 "报文未在限时内发完" "The body did not arrive in time"
        "请检查网络后用同一消息重试。" "Check the network and send the same message again.";
    UnsupportedMedia "unsupported_media" 415 200 "不支持的内容类型" "This content type is not supported"
        "请使用 application/hl7-v2、application/hl7-v2+xml、application/xml 或 application/json。"
        "Use application/hl7-v2, application/hl7-v2+xml, application/xml or application/json.";
    BeingSettled "being_settled" 409 207 "正在结算或撤销，等待支付方确认" "A payer's answer is being confirmed"
        "请勿重复发送，稍后查询该结算单。" "Do not send it again; look at the bill in a moment.";
    PayerUnavailable "payer_unavailable" 503 207 "支付方暂时无法应答" "A payer cannot be asked right now"
        "未发生资金变动；网关会自动重试，也可稍后重新试算。" "No money moved; the gateway tries again, or quote again later.";
    PayerNotReady "payer_not_ready" 409 207 "支付方尚缺资料" "A payer lacks something it must have first"
        "请补齐该项后重新发送。" "Provide it and send the message again.";
    PayerRefused "payer_refused" 409 207 "支付方拒绝，整笔结算未成立" "A payer refused; nothing was settled"
        "已确认的款项均已退回；请与该支付方核实后重新结算。" "What others had committed was taken back; ask that payer, then settle again.";
    NotReversible "not_reversible" 409 207 "该结算不能撤销" "This settlement cannot be reversed"
        "请与该支付方联系办理退款。" "Arrange a refund with the payer.";
    StoreUnavailable "store_unavailable" 503 207 "存储暂不可用" "The store is not available"
        "未发生资金变动，请稍后用同一消息重试。" "No money moved; send the same message again later.";
    Internal "internal" 500 207 "网关内部错误" "An error inside the gateway"
        "请把跟踪号告知管理员；可用同一消息重试。" "Give the trace id to the operator; the same message may be sent again.";
}

impl Code {
    /// What to do next, by what is wrong and where the stay's money is: what is right before money moved would be wrong
    /// after it.
    pub fn next_step(self, money: Money) -> Text {
        match money {
            Money::NotMoved => self.own_step(),
            _ if self.is_the_same_wherever_money_is() => self.own_step(),
            Money::BeingConfirmed if self.may_retry() => Text::new(
                "请稍后再试（同一消息或同一结算单），即可得知结果，不会重复结算。",
                "Try it again in a moment, with the same message or for the same settlement: it says what became of it, and \
                 nothing is done twice.",
            ),
            Money::BeingConfirmed => Text::new(
                "该次住院正在结算或撤销，请稍后查询其结算单。",
                "The stay is being settled or reversed; look at its bill in a moment.",
            ),
            Money::Moved if self.may_retry() => Text::new(
                "结算单有效；请改用 JSON 读取，并把跟踪号告知管理员。",
                "The bill stands; read it as JSON, and give the trace id to the operator.",
            ),
            Money::Moved => Text::new(
                "该次住院已结算，以其结算单为准；如需更改，请先撤销结算。",
                "The stay is settled and its bill stands; to change it, reverse the settlement first.",
            ),
        }
    }

    /// What is said of the message's id, of who asks, of the request or of the settlement itself.
    fn is_the_same_wherever_money_is(self) -> bool {
        matches!(
            self,
            Self::SameMessageOtherContent
                | Self::RepeatedLineDiffers
                | Self::StayAlreadySettled
                | Self::BeingSettled
                | Self::NotReversible
                | Self::NotOpen
                | Self::NoSuchSettlement
                | Self::Unauthorized
                | Self::Forbidden
        )
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let slug = String::deserialize(deserializer)?;
        Self::from_slug(&slug)
            .ok_or_else(|| serde::de::Error::custom(format_args!("no refusal code {slug:?}")))
    }
}

impl Code {
    /// AR/CR: refused for reasons of processing; the sender may try again. Otherwise AE/CE.
    pub fn is_reject(self) -> bool {
        match self {
            Self::StoreUnavailable | Self::TooManyRequests | Self::PayerUnavailable => true,
            // A duplicate key (205) is wrong content, and 207 is ours: both are AE.
            _ => matches!(self.hl7_code(), 200..=204),
        }
    }

    /// Whether the same message may succeed later.
    pub fn may_retry(self) -> bool {
        matches!(
            self,
            Self::StoreUnavailable
                | Self::PayerUnavailable
                | Self::TooManyRequests
                | Self::TooSlow
                | Self::Internal
        )
    }
}
