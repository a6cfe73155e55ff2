//! What can be asked of a payer, and what follows for sending it.

use std::fmt;

/// A verb of the protocol, under the name it has in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Describe,
    Coverage,
    Visit,
    Quote,
    Commit,
    Reverse,
    Status,
    Statement,
}

impl Verb {
    pub fn word(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Coverage => "coverage",
            Self::Visit => "visit",
            Self::Quote => "quote",
            Self::Commit => "commit",
            Self::Reverse => "reverse",
            Self::Status => "status",
            Self::Statement => "statement",
        }
    }

    /// Whether asking changes nothing: such a call may be sent again after a connection broke.
    pub fn is_question(self) -> bool {
        self.moves_no_money() && self != Self::Visit
    }

    /// Such a call may find out whether a payer that was left alone answers again. A payer that must see a visit before
    /// it quotes may have nothing else to be asked.
    pub fn moves_no_money(self) -> bool {
        !matches!(self, Self::Commit | Self::Reverse)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
