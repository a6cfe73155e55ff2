//! What can be wrong with a message, where, and which answer code that has.

use std::fmt;

use super::place::Place;

/// HL7 table 0357, the code of ERR-3 (v2.5 ch. 2.15.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum ErrCode {
    /// With severity W or I: something to read about a message that was taken.
    Accepted = 0,
    SegmentSequence = 100,
    RequiredFieldMissing = 101,
    DataType = 102,
    TableValueNotFound = 103,
    ValueTooLong = 104,
    Cardinality = 198,
    OtherError = 199,
    UnsupportedMessageType = 200,
    UnsupportedEvent = 201,
    UnsupportedProcessingId = 202,
    UnsupportedVersion = 203,
    UnknownKey = 204,
    DuplicateKey = 205,
    RecordLocked = 206,
    ApplicationError = 207,
}

impl ErrCode {
    const ALL: [Self; 16] = [
        Self::Accepted,
        Self::SegmentSequence,
        Self::RequiredFieldMissing,
        Self::DataType,
        Self::TableValueNotFound,
        Self::ValueTooLong,
        Self::Cardinality,
        Self::OtherError,
        Self::UnsupportedMessageType,
        Self::UnsupportedEvent,
        Self::UnsupportedProcessingId,
        Self::UnsupportedVersion,
        Self::UnknownKey,
        Self::DuplicateKey,
        Self::RecordLocked,
        Self::ApplicationError,
    ];

    pub fn number(self) -> u16 {
        self as u16
    }

    /// The code of a number of the table; what the table does not hold is another error.
    pub fn of(number: u16) -> Self {
        Self::ALL.into_iter().find(|code| code.number() == number).unwrap_or(Self::OtherError)
    }

    /// The words of table 0357.
    pub fn text(self) -> &'static str {
        match self {
            Self::Accepted => "Message accepted",
            Self::SegmentSequence => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::ValueTooLong => "Value too long",
            Self::Cardinality => "Non-conformant cardinality",
            Self::OtherError => "Other HL7 error",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEvent => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersion => "Unsupported version id",
            Self::UnknownKey => "Unknown key identifier",
            Self::DuplicateKey => "Duplicate key identifier",
            Self::RecordLocked => "Application record locked",
            Self::ApplicationError => "Application error",
        }
    }
}

/// Why a message is refused before anybody looks at what it means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct SyntaxError {
    /// Always `fault.code()`; kept here because every answer asks for it.
    pub code: ErrCode,
    pub place: Place,
    pub fault: Fault,
}

impl SyntaxError {
    pub fn new(place: Place, fault: Fault) -> Self {
        Self { code: fault.code(), place, fault }
    }
}

/// The kinds of [`SyntaxError`]. Texts name header values only, never what a patient's fields hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the message does not begin with a header segment MSH")]
    NoHeader,
    #[error("a second MSH inside one message")]
    SecondHeader,
    #[error("the message has {bytes} bytes; {bytes_max} are accepted")]
    MessageTooLong { bytes: usize, bytes_max: usize },
    #[error("more than {messages_max} messages in one batch")]
    TooManyMessages { messages_max: usize },
    #[error("more than {segments_max} segments")]
    TooManySegments { segments_max: usize },
    #[error("more than {fields_max} fields in one segment")]
    TooManyFields { fields_max: usize },
    #[error("{character:?} cannot separate fields")]
    FieldSeparator { character: char },
    #[error("{characters} cannot be encoding characters: one to five different ones, no letters, no digits")]
    EncodingCharacters { characters: Quoted },
    #[error("the encoding characters are missing")]
    EncodingCharactersMissing,
    #[error("the character set {name} is not known here")]
    UnknownCharset { name: Quoted },
    #[error("the character set {name} cannot be framed with single bytes")]
    UnframableCharset { name: Quoted },
    #[error("byte {offset} of the message is no {charset}")]
    NotInCharset { charset: &'static str, offset: usize },
    #[error("the field is required and empty")]
    FieldMissing,
    #[error("the segment is required and missing")]
    SegmentMissing,
    #[error("the message type {name} is not supported")]
    UnsupportedType { name: Quoted },
    #[error("the event {name} is not supported")]
    UnsupportedEvent { name: Quoted },
    #[error("the processing id {name} is not taken here; taken: {taken}")]
    UnsupportedProcessingId { name: Quoted, taken: String },
    #[error("the version {name} is none of 2.1 to 2.8.2")]
    UnsupportedVersion { name: Quoted },
    #[error("the value has {chars} characters; {chars_max} are accepted")]
    ValueTooLong { chars: usize, chars_max: usize },
}

impl Fault {
    pub fn code(&self) -> ErrCode {
        match self {
            Self::NoHeader | Self::SecondHeader => ErrCode::SegmentSequence,
            Self::EncodingCharactersMissing | Self::FieldMissing | Self::SegmentMissing => {
                ErrCode::RequiredFieldMissing
            }
            Self::FieldSeparator { .. } | Self::EncodingCharacters { .. } | Self::NotInCharset { .. } => {
                ErrCode::DataType
            }
            Self::UnframableCharset { .. } => ErrCode::DataType,
            Self::UnknownCharset { .. } => ErrCode::TableValueNotFound,
            Self::MessageTooLong { .. } | Self::ValueTooLong { .. } => ErrCode::ValueTooLong,
            Self::TooManyMessages { .. } | Self::TooManySegments { .. } => ErrCode::Cardinality,
            Self::TooManyFields { .. } => ErrCode::Cardinality,
            Self::UnsupportedType { .. } => ErrCode::UnsupportedMessageType,
            Self::UnsupportedEvent { .. } => ErrCode::UnsupportedEvent,
            Self::UnsupportedProcessingId { .. } => ErrCode::UnsupportedProcessingId,
            Self::UnsupportedVersion { .. } => ErrCode::UnsupportedVersion,
        }
    }
}

/// Longest part of a sender's value that an error repeats.
const QUOTED_CHARS_MAX: usize = 40;

/// A sender's value, shortened and without control characters, so that it may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    pub fn new(text: &str) -> Self {
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Self(text.chars().take(QUOTED_CHARS_MAX).map(printable).collect())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Something a sender should mend, that we could read nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    pub place: Place,
    pub kind: WarningKind,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

/// The kinds of [`Warning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WarningKind {
    #[error("a byte order mark stands before the message")]
    ByteOrderMark,
    #[error("segments end with LF instead of CR")]
    LfSeparator,
    #[error("segments end with CR LF instead of CR")]
    CrLfSeparator,
    #[error("some segments end with LF, others with CR; both were read as ends")]
    MixedSeparators,
    #[error("blank lines were skipped: {count}")]
    BlankLines { count: u32 },
    #[error("a line that is no segment was read as part of this one")]
    ContinuedLine,
    #[error("the escape character is doubled; it was read as one")]
    DoubledEscape,
    #[error("no escape character can be used; escapes were not read")]
    NoEscaping,
    #[error("the character set stands in MSH-17 instead of MSH-18")]
    CharsetInCountry,
    #[error("the character set is not known; all bytes are ASCII")]
    UnknownCharset,
    #[error("the field is empty and was read as its usual value")]
    Defaulted,
    #[error("the segment is missing")]
    SegmentMissing,
    #[error("the batch says {stated}, {found} were found")]
    BatchCount { stated: u32, found: u32 },
    #[error("lines outside of any message were skipped: {count}")]
    OutsideMessage { count: u32 },
}
