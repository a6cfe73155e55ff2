//! Of which kind an answer is, in the words of the protocol: what records of calls say of it.

use yizhan_contract::payer::{Coverage, Performed, QuoteAnswer, Status, Unavailable, Visited};

pub(crate) trait Kind {
    fn kind(&self) -> &'static str;
}

impl Kind for QuoteAnswer {
    fn kind(&self) -> &'static str {
        match self {
            Self::Quote(_) => "quote",
            Self::NotCovered => "not_covered",
            Self::Refused { .. } => "refused",
            Self::NotReady { .. } => "not_ready",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl Kind for Performed {
    fn kind(&self) -> &'static str {
        match self {
            Self::Committed { .. } => "done",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl Kind for Status {
    fn kind(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Refused { .. } => "refused",
            Self::NotFound => "not_found",
            Self::Pending => "pending",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl Kind for Coverage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Covers { .. } => "covers",
            Self::UnknownPerson => "unknown_person",
            Self::NotSaid => "not_said",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl<L> Kind for Result<Vec<L>, Unavailable> {
    fn kind(&self) -> &'static str {
        match self {
            Ok(_) => "book",
            Err(_) => "unavailable",
        }
    }
}

impl Kind for Visited {
    fn kind(&self) -> &'static str {
        match self {
            Self::Noted { .. } => "noted",
            Self::Unavailable(_) | Self::NotSent(_) => "unavailable",
        }
    }
}
