//! EHC^E10, edit and adjudication results (HL7 v2.6 ch. 16.3.8): the consolidated bill as a message.
//!
//! One INVOICE_PROCESSING_RESULTS_INFO group for each payer in order, then one for the patient. The
//! standard knows no E10 after an ADT or DFT: sending it unasked is this gateway's profile.

mod groups;

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use yizhan_contract::Money;

use super::header::Header;
use super::time;
use super::write::Builder;
use groups::{Group, Lines};

/// A name and the code it is known by; XON in segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    pub code: String,
    pub name: String,
}

/// A settlement, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjudicated {
    /// Our number for the settlement, at most 73 characters with `authority`.
    pub settlement_id: String,
    /// The hospital's number for the invoice: the visit number where no invoice was sent.
    pub invoice_id: String,
    /// Who gives our numbers and the hospital's: namespaces of EI.
    pub authority: String,
    pub hospital_authority: String,
    pub hospital: Organisation,
    pub settled_at: Timestamp,
    /// IVC-25, as `INP`.
    pub benefit_group: String,
    pub deposit: Money,
    /// At least one, each with at least one line.
    pub sections: Vec<Section>,
    /// The payers in the order they were asked, then the patient.
    pub shares: Vec<Share>,
}

/// One section of the bill, as a category of charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub lines: Vec<BilledLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledLine {
    pub id: String,
    pub code: String,
    /// Coding system of `code`, as `L`.
    pub system: String,
    pub name: String,
    pub billed: Money,
}

/// What one payer, or the patient, bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub payer: Organisation,
    /// IN1-2, the plan the payer pays under.
    pub plan: String,
    pub status: Status,
    pub paid: Money,
    /// The payer's own number.
    pub reference: Option<String>,
    /// Why it is this amount: a stable code and words.
    pub reason: Organisation,
}

/// IPR-4 (HL7 table 0571).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Rejected,
    Pending,
    Zero,
    Adjusted,
    Paid,
}

impl Status {
    fn code(self) -> &'static str {
        match self {
            Self::Rejected => "REJECT",
            Self::Pending => "PEND",
            Self::Zero => "ADJZER",
            Self::Adjusted => "ADJ",
            Self::Paid => "PAID",
        }
    }

    /// PSL-6 (HL7 table 0559).
    fn of_line(self) -> &'static str {
        if self == Self::Rejected { "D" } else { "P" }
    }
}

/// Why a settlement cannot be written as EHC^E10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum E10Error {
    #[error("a bill without a section, or a section without a line")]
    Empty,
    #[error("what everybody pays is not the total of the bill")]
    Total,
}

/// IPR-8.
const CHECKSUM_CHARS: usize = 10;

/// Writes the result for the sender of `header`, in its delimiters and character set, as v2.6.
///
/// # Errors
/// Where the parts are not equal to the whole: such a bill must not leave the house.
pub fn e10(header: &Header, control_id: &str, bill: &Adjudicated) -> Result<Vec<u8>, E10Error> {
    check(bill)?;
    let mut out = Builder::new(header.delimiters());
    write_header(&mut out, header, control_id, bill.settled_at);
    let mut checksum = String::new();
    let mut lines: BTreeMap<&str, Lines> = BTreeMap::new();
    for (ordinal, share) in (1..).zip(&bill.shares) {
        checksum = checksum_of(bill, ordinal, share, &checksum);
        let status = share.status.of_line();
        let lines = lines.entry(status).or_insert_with(|| Lines::written(bill, status, out.delimiters()));
        Group { bill, share, ordinal, checksum: &checksum }.write(&mut out, lines);
    }
    Ok(out.into_bytes(header.charset()))
}

fn check(bill: &Adjudicated) -> Result<(), E10Error> {
    if bill.sections.is_empty() || bill.sections.iter().any(|section| section.lines.is_empty()) {
        return Err(E10Error::Empty);
    }
    let paid: Money = bill.shares.iter().map(|share| share.paid).sum();
    if paid == bill.total() { Ok(()) } else { Err(E10Error::Total) }
}

impl Adjudicated {
    fn lines(&self) -> impl Iterator<Item = &BilledLine> {
        self.sections.iter().flat_map(|section| &section.lines)
    }

    fn total(&self) -> Money {
        self.lines().map(|line| line.billed).sum()
    }
}

impl Section {
    fn billed(&self) -> Money {
        self.lines.iter().map(|line| line.billed).sum()
    }
}

/// IPR-8: what lets a payer later in the chain see that an earlier result was not altered on the way.
/// Each covers the one before it.
pub fn checksum_of(bill: &Adjudicated, ordinal: usize, share: &Share, before: &str) -> String {
    let Share { payer, paid, .. } = share;
    let covered = format!("{}\n{ordinal}\n{}\n{paid}\n{before}", bill.settlement_id, payer.code);
    let digest = Sha256::digest(covered.as_bytes());
    let mut text: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    text.truncate(CHECKSUM_CHARS);
    text
}

fn write_header(out: &mut Builder, header: &Header, control_id: &str, at: Timestamp) {
    out.segment(b"MSH", |msh| {
        for (field, from) in [(3, 5), (4, 6), (5, 3), (6, 4)] {
            if let Some(element) = header.field(from) {
                msh.copy(field, element);
            }
        }
        msh.text(7, &time::written(at)).components(9, &["EHC", "E10", "EHC_E10"]).text(10, control_id);
        msh.text(11, "P");
        if let Some(processing) = header.field(11).filter(|field| field.filled().is_some()) {
            msh.copy(11, processing);
        }
        msh.text(12, "2.6").text(15, "AL").text(16, "NE").text(17, "CHN");
        msh.text(18, header.charset().table_0211());
    });
    out.segment(b"MSA", |msa| {
        msa.text(1, "AA").text(2, &header.control_id());
    });
}
