//! The parts of a mapping: one exchange with the insurer each.

use crate::wire::Verb;

/// What one exchange is for; its key in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Quote,
    Commit,
    Status,
    Reverse,
    /// What became of a reversal.
    ReverseStatus,
    Coverage,
    Visit,
    Statement,
}

/// What an insurer's status stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Quote,
    NotCovered,
    Refused,
    NotReady,
    Unavailable,
    Done,
    /// The commit never arrived, and never will.
    NothingToReverse,
    Unknown,
    NotFound,
    Pending,
    Covered,
    UnknownPerson,
    Noted,
    Book,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Quote => "quote",
            Self::NotCovered => "not_covered",
            Self::Refused => "refused",
            Self::NotReady => "not_ready",
            Self::Unavailable => "unavailable",
            Self::Done => "done",
            Self::NothingToReverse => "nothing_to_reverse",
            Self::Unknown => "unknown",
            Self::NotFound => "not_found",
            Self::Pending => "pending",
            Self::Covered => "covered",
            Self::UnknownPerson => "unknown_person",
            Self::Noted => "noted",
            Self::Book => "book",
        }
    }
}

impl Section {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Quote => "quote",
            Self::Commit => "commit",
            Self::Status => "status",
            Self::Reverse => "reverse",
            Self::ReverseStatus => "reverse_status",
            Self::Coverage => "coverage",
            Self::Visit => "visit",
            Self::Statement => "statement",
        }
    }

    pub(super) fn verb(self) -> Verb {
        match self {
            Self::Quote => Verb::Quote,
            Self::Commit => Verb::Commit,
            Self::Status | Self::ReverseStatus => Verb::Status,
            Self::Reverse => Verb::Reverse,
            Self::Coverage => Verb::Coverage,
            Self::Visit => Verb::Visit,
            Self::Statement => Verb::Statement,
        }
    }

    /// Kinds a status may stand for.
    pub(super) fn kinds(self) -> &'static [Kind] {
        use Kind::{
            Book, Covered, Done, NotCovered, NotFound, NotReady, Noted, NothingToReverse, Pending, Quote,
            Refused, Unavailable, Unknown, UnknownPerson,
        };
        match self {
            Self::Quote => &[Quote, NotCovered, Refused, NotReady, Unavailable],
            Self::Commit => &[Done, Refused, Unknown],
            Self::Reverse => &[Done, NothingToReverse, Refused, Unknown],
            Self::Status => &[Done, Refused, NotFound, Pending, Unavailable],
            Self::ReverseStatus => &[Done, NothingToReverse, Refused, NotFound, Pending, Unavailable],
            Self::Coverage => &[Covered, NotCovered, UnknownPerson, Unavailable],
            Self::Visit => &[Noted, Unavailable],
            Self::Statement => &[Book, Unavailable],
        }
    }

    /// Without these the section says nothing.
    pub(super) fn kinds_needed(self) -> &'static [Kind] {
        match self {
            Self::Quote => &[Kind::Quote],
            Self::Commit | Self::Reverse => &[Kind::Done],
            // Who never says that it saw nothing leaves what is unknown unknown.
            Self::Status | Self::ReverseStatus => &[Kind::Done, Kind::NotFound],
            Self::Coverage => &[Kind::Covered, Kind::NotCovered],
            Self::Visit => &[Kind::Noted],
            Self::Statement => &[Kind::Book],
        }
    }

    /// Keys that have a meaning under `answer`, beside `http`, `status` and `kinds`.
    pub(super) fn answer_keys(self) -> &'static [&'static str] {
        match self {
            Self::Quote => &[
                "amount",
                "code",
                "each",
                "keep",
                "message",
                "quote_id",
                "total",
                "valid_for_s",
                "valid_until",
            ],
            Self::Commit | Self::Status | Self::Reverse | Self::ReverseStatus => {
                &["amount", "as_asked", "code", "each", "message", "operation_id", "reference", "total"]
            }
            Self::Coverage => &["from", "message", "to"],
            Self::Visit => &["keep", "message"],
            Self::Statement => &["each", "message", "next"],
        }
    }

    /// Its answers speak of money.
    pub(super) fn has_amounts(self) -> bool {
        !matches!(self, Self::Coverage | Self::Visit | Self::Statement)
    }
}
