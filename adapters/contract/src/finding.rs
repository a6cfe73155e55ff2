//! What a person should look at: a code, a sentence in both languages, the clause behind it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The same words in both languages of the desk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Text {
    pub zh: Arc<str>,
    pub en: Arc<str>,
}

impl Text {
    pub fn new(zh: impl Into<Arc<str>>, en: impl Into<Arc<str>>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

/// `1 charge line`, `2 charge lines`.
pub fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {}", if count == 1 { one } else { many })
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: FindingCode,
    pub message: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    ZeroPatientShare,
    OverTarget,
    BelowTarget,
    OutOfCatalogueShare,
    UnknownItem,
    NotOnRoster,
    CategoryChangedDuringStay,
    CapReached,
    CapPassedElsewhere,
    ThirdPartyLiable,
    DeferredPayer,
    /// A payer whose adapter is not asked for the time being: what stands in its place.
    PayerNotAsked,
    /// A payer's answer that could not be used, or none in time: what was wrong with it.
    PayerAnswerUnusable,
    StatedTotalDiffers,
    LateCharges,
    EarlierStayReversed,
    ReservedByOtherStay,
    SamplePolicy,
    /// A payer settled elsewhere whose conditions, as we see them, do not hold.
    SettledElsewhereDiffers,
    /// A co-payment transaction (FT1-6 `CO`) was left out of the charges.
    CopaymentIgnored,
    /// A charge line was sent again with equal content and counted once.
    RepeatedLines,
    /// A cancellation (ADT^A11, A13) of a stay nobody has heard of.
    NothingToCancel,
    /// An admission was cancelled (ADT^A11) that had charges or payments: they went with it.
    CancelledCharges,
    /// Birth date or sex of the message differ from the identity card number.
    IdentityDiffers,
    /// A settlement that was given up because a payer refused; what was committed is taken back.
    GivenUp,
    /// A stay whose charges are quiet cannot be priced: what is in the way, one for each.
    NotPriced,
    /// A kind of accident that no policy in force lists: mistyped, or not one of the specified accidents.
    UnknownAccidentType,
    /// A charge line dated before or after the stay.
    LineOutsideStay,
}
