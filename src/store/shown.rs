//! What of the port's values a log or a failed assertion may show: ids and figures. Documents tell their length, and
//! numbers that a hospital gave are masked.

use std::fmt::{self, Debug, Formatter};

use super::{BillWrite, Book, Changes, Done, MessageClaim, StayRef, StayWrite, StoredSettlement, StoredStay};

/// A document, or an answer that may quote one.
struct Document<'a>(&'a [u8]);

impl Debug for Document<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A number or a name of somebody's.
struct Masked;

impl Debug for Masked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Debug for StayRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visit { hospital, number: _, admitted } => f
                .debug_struct("Visit")
                .field("hospital", hospital)
                .field("number", &Masked)
                .field("admitted", admitted)
                .finish(),
            Self::Settlement(id) => f.debug_tuple("Settlement").field(id).finish(),
            Self::Stay(id) => f.debug_tuple("Stay").field(id).finish(),
        }
    }
}

impl Debug for MessageClaim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { sender, message_id: _, digest: _, raw } = self;
        f.debug_struct("MessageClaim")
            .field("sender", sender)
            .field("message_id", &Masked)
            .field("raw", &Document(raw))
            .finish_non_exhaustive()
    }
}

impl Debug for StoredStay {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { stay_id, person_id, document, hold, bill } = self;
        f.debug_struct("StoredStay")
            .field("stay_id", stay_id)
            .field("person_id", person_id)
            .field("document", &Document(document))
            .field("hold", hold)
            .field("bill", &bill.as_deref().map(Document))
            .finish()
    }
}

impl Debug for StayWrite {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("StayWrite")
            .field("stay_id", &self.stay_id)
            .field("person_id", &self.person_id)
            .field("hospital", &self.hospital)
            .field("visit_number", &Masked)
            .field("document", &Document(&self.document))
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}

impl Debug for BillWrite {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("BillWrite")
            .field("settlement_id", &self.settlement_id)
            .field("version", &self.version)
            .field("state", &self.state)
            .field("total", &self.total)
            .field("patient_share", &self.patient_share)
            .field("legs", &self.legs)
            .field("document", &Document(&self.document))
            .finish_non_exhaustive()
    }
}

impl Debug for Changes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("stay", &self.stay)
            .field("bill", &self.bill)
            .field("accumulators", &self.accumulators)
            .field("postings", &self.postings)
            .field("outbox", &self.outbox)
            .field("answer", &Document(&self.answer))
            .field("is_refused", &self.is_refused)
            .finish_non_exhaustive()
    }
}

impl Debug for Book {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book")
            .field("person_id", &self.person_id)
            .field("settlement_id", &self.settlement_id)
            .field("state", &self.state)
            .field("total", &self.total)
            .field("patient_share", &self.patient_share)
            .field("legs", &self.legs)
            .field("bills", &self.bills.iter().map(|bill| Document(bill)).collect::<Vec<_>>())
            .field("postings", &self.postings)
            .finish_non_exhaustive()
    }
}

impl Debug for Done {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided(answer) => f.debug_tuple("Decided").field(&Document(answer)).finish(),
            Self::Repeated(answer) => f.debug_tuple("Repeated").field(&Document(answer)).finish(),
            Self::OtherContent => f.write_str("OtherContent"),
            Self::Undecided => f.write_str("Undecided"),
            Self::LeaseLost => f.write_str("LeaseLost"),
        }
    }
}

impl Debug for StoredSettlement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { settlement_id, hospital, bill, stay, earlier_reversed } = self;
        f.debug_struct("StoredSettlement")
            .field("settlement_id", settlement_id)
            .field("hospital", hospital)
            .field("bill", &Document(bill))
            .field("stay", stay)
            .field("earlier_reversed", earlier_reversed)
            .finish()
    }
}
