//! In which of the forms that a gateway reads a hospital tells of a stay.

use clap::ValueEnum;

/// Each tells all of a stay, so that all come to the same bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Dialect {
    /// HTTP：JSON 单据 | One JSON document over HTTP
    Json,
    /// HTTP：XML 单据 | One XML document over HTTP, in its namespace
    Xml,
    /// HTTP：XML 单据，GB18030 | The same in GB18030
    XmlGb18030,
    /// HTTP：医院自己的 XML，按其 --profile 的首个 xml_map 与 values | The hospital's own XML, by the first xml_map and the values of its --profile
    XmlOwn,
    /// MLLP：费用 DFT^P03，随后出院 ADT^A03，UTF-8 | Charges, then the discharge, in UTF-8
    Hl7,
    /// MLLP：同上，GB18030 | The same in GB18030
    Hl7Gb18030,
    /// MLLP：先出院，费用随后才到 | The discharge first, its charges after it
    Hl7Late,
    /// MLLP：入院 A01、费用、出院、结账 BAR^P06；适用于 settle_on = "bar_p06" 的医院 | Admission, charges, discharge, and the account closed; what hospitals with settle_on = "bar_p06" need
    Hl7Bar,
    /// MLLP：老系统的写法：2.3 版、LF 换行、PID-18/19、带币种的金额 | As old systems write: 2.3, LF, PID-18 and 19, currencies
    Hl7Old,
    /// HTTP：HL7 v2 报文 | HL7 v2 over HTTP
    Hl7Http,
    /// HTTP：HL7 v2 XML | HL7 v2 in XML over HTTP
    Hl7Xml,
    /// HTTP：Mirth 引擎的 XML 写法 | The same as the Mirth engine writes it
    Hl7Mirth,
}

impl Dialect {
    /// Those that every hospital can write.
    pub(in crate::cli) const ALL: [Self; 11] = [
        Self::Json,
        Self::Xml,
        Self::XmlGb18030,
        Self::Hl7,
        Self::Hl7Gb18030,
        Self::Hl7Late,
        Self::Hl7Bar,
        Self::Hl7Old,
        Self::Hl7Http,
        Self::Hl7Xml,
        Self::Hl7Mirth,
    ];

    /// In the ids of its messages: no two dialects give one the same id.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Json | Self::Hl7 => "",
            Self::Xml => "X",
            Self::XmlGb18030 => "Y",
            Self::XmlOwn => "W",
            Self::Hl7Gb18030 => "G",
            Self::Hl7Late => "L",
            Self::Hl7Bar => "B",
            Self::Hl7Old => "O",
            Self::Hl7Http => "H",
            Self::Hl7Xml => "V",
            Self::Hl7Mirth => "M",
        }
    }

    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::XmlGb18030 => "xml-gb18030",
            Self::XmlOwn => "xml-own",
            Self::Hl7 => "hl7",
            Self::Hl7Gb18030 => "hl7-gb18030",
            Self::Hl7Late => "hl7-late",
            Self::Hl7Bar => "hl7-bar",
            Self::Hl7Old => "hl7-old",
            Self::Hl7Http => "hl7-http",
            Self::Hl7Xml => "hl7-xml",
            Self::Hl7Mirth => "hl7-mirth",
        }
    }
}
