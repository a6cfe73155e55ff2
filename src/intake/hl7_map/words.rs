//! What the syntax finds wrong or odd, in the words of the desk.

use super::super::hl7::{Fault, SyntaxError, Warning as SyntaxWarning, WarningKind};
use super::super::problems::{Oddity, Warning};
use crate::refusal::{Code, Refusal};

/// A syntax error as a refusal; its sentence quotes header values only.
pub fn refusal(error: &SyntaxError) -> Refusal {
    let code = match &error.fault {
        Fault::UnknownCharset { .. } | Fault::UnframableCharset { .. } | Fault::NotInCharset { .. } => {
            Code::WrongCharset
        }
        Fault::MessageTooLong { .. }
        | Fault::TooManyMessages { .. }
        | Fault::TooManySegments { .. }
        | Fault::TooManyFields { .. } => Code::TooLarge,
        Fault::FieldMissing | Fault::SegmentMissing => Code::MissingField,
        Fault::ValueTooLong { .. } => Code::BadValue,
        Fault::UnsupportedType { .. } => Code::UnsupportedType,
        Fault::UnsupportedEvent { .. } => Code::UnsupportedEvent,
        Fault::UnsupportedProcessingId { .. } => Code::UnsupportedProcessing,
        Fault::UnsupportedVersion { .. } => Code::UnsupportedVersion,
        _ => Code::Malformed,
    };
    Refusal::new(code, in_chinese(&error.fault), error.fault.to_string())
        .at(error.place)
        .of_fault(error.code.number())
}

fn in_chinese(fault: &Fault) -> String {
    match fault {
        Fault::NoHeader => "报文不是以 MSH 开头".to_owned(),
        Fault::SecondHeader => "一条报文内出现第二个 MSH".to_owned(),
        Fault::MessageTooLong { bytes, bytes_max } => format!("报文 {bytes} 字节，上限 {bytes_max} 字节"),
        Fault::TooManyMessages { messages_max } => format!("报文数超过 {messages_max}"),
        Fault::TooManySegments { segments_max } => format!("段数超过 {segments_max}"),
        Fault::TooManyFields { fields_max } => format!("一个段内字段数超过 {fields_max}"),
        Fault::FieldSeparator { character } => format!("{character:?} 不能作字段分隔符"),
        Fault::EncodingCharacters { characters } => format!("{characters} 不能作编码字符"),
        Fault::EncodingCharactersMissing => "缺少编码字符（MSH-2）".to_owned(),
        Fault::UnknownCharset { name } => format!("不认识字符集 {name}"),
        Fault::UnframableCharset { name } => format!("字符集 {name} 不能用单字节帧传送"),
        Fault::NotInCharset { charset, offset } => format!("第 {offset} 字节不符合 {charset}"),
        Fault::FieldMissing => "必填字段为空".to_owned(),
        Fault::SegmentMissing => "缺少必需的段".to_owned(),
        Fault::UnsupportedType { name } => format!("不支持消息类型 {name}"),
        Fault::UnsupportedEvent { name } => format!("不支持触发事件 {name}"),
        Fault::UnsupportedProcessingId { name, taken } => format!("不接受处理标识 {name}，可用 {taken}"),
        Fault::UnsupportedVersion { name } => format!("版本 {name} 不在 2.1 至 2.8.2 之内"),
        Fault::ValueTooLong { chars, chars_max } => format!("取值 {chars} 个字符，上限 {chars_max} 个"),
    }
}

/// What is odd in an envelope around messages.
pub fn warnings(warnings: &[SyntaxWarning]) -> Vec<Warning> {
    warnings.iter().map(|odd| warning(odd.kind).at(odd.place.to_string())).collect()
}

/// What is odd in the writing of a message that is taken all the same.
pub(super) fn warning(kind: WarningKind) -> Oddity {
    let (word, zh) = match kind {
        WarningKind::ByteOrderMark => ("byte_order_mark", "报文前有字节顺序标记（BOM）".to_owned()),
        WarningKind::LfSeparator => ("lf_separator", "段以 LF 结尾，应为 CR".to_owned()),
        WarningKind::CrLfSeparator => ("cr_lf_separator", "段以 CR LF 结尾，应为 CR".to_owned()),
        WarningKind::MixedSeparators => {
            ("mixed_separators", "段结尾 CR 与 LF 混用，均按段结尾处理".to_owned())
        }
        WarningKind::BlankLines { count } => ("blank_lines", format!("跳过空行 {count} 行")),
        WarningKind::ContinuedLine => ("continued_line", "不是段的一行，按本段的续行处理".to_owned()),
        WarningKind::DoubledEscape => ("doubled_escape", "转义字符重复，按一个处理".to_owned()),
        WarningKind::NoEscaping => ("no_escaping", "没有可用的转义字符，转义序列未解析".to_owned()),
        WarningKind::CharsetInCountry => ("charset_in_country", "字符集写在 MSH-17，应在 MSH-18".to_owned()),
        WarningKind::UnknownCharset => {
            ("unknown_charset", "不认识该字符集，内容均为 ASCII，按 ASCII 处理".to_owned())
        }
        WarningKind::Defaulted => ("defaulted", "该字段为空，按常用值处理".to_owned()),
        WarningKind::SegmentMissing => ("segment_missing", "缺少该段".to_owned()),
        WarningKind::BatchCount { stated, found } => {
            ("batch_count", format!("批次注明 {stated}，实际 {found}"))
        }
        WarningKind::OutsideMessage { count } => ("outside_message", format!("报文之外的 {count} 行已跳过")),
    };
    Oddity::Syntax { word, zh, en: kind.to_string() }
}
