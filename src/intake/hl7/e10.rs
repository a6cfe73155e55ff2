//! EHC^E10, edit and adjudication results (HL7 v2.6 ch. 16.3.8): the consolidated bill as a message.
//!
//! One INVOICE_PROCESSING_RESULTS_INFO group for each payer in order, then one for the patient. The
//! standard knows no E10 after an ADT or DFT: sending it unasked is this gateway's profile.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use yizhan_contract::Money;

use super::header::Header;
use super::time;
use super::write::{Builder, SegmentDraft};

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

const CURRENCY: &str = "CNY";
/// Lengths of v2.6: PSL-9, and PSS-5, PSG-6 and ADJ-8.
const NAME_CHARS_MAX: usize = 80;
const TEXT_CHARS_MAX: usize = 250;
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
    for (ordinal, share) in (1..).zip(&bill.shares) {
        checksum = checksum_of(bill, ordinal, share, &checksum);
        Group { bill, share, ordinal, checksum: &checksum }.write(&mut out);
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

/// One INVOICE_PROCESSING_RESULTS_INFO.
struct Group<'b> {
    bill: &'b Adjudicated,
    share: &'b Share,
    ordinal: usize,
    checksum: &'b str,
}

impl Group<'_> {
    fn write(&self, out: &mut Builder) {
        self.write_head(out);
        let mut line_number = 0;
        for (section_number, section) in (1..).zip(&self.bill.sections) {
            self.write_section(out, section_number, section);
            for (sequence, line) in (1..).zip(&section.lines) {
                self.write_line(out, sequence, line_number, line);
                line_number += 1;
            }
        }
    }

    fn write_head(&self, out: &mut Builder) {
        let Self { bill, share, ordinal, checksum } = self;
        let Adjudicated { hospital, authority, hospital_authority, .. } = bill;
        let at = time::written(bill.settled_at);
        let ours = format!("{}-{ordinal}", bill.settlement_id);
        out.segment(b"IPR", |ipr| {
            ipr.components(1, &[&ours, authority]).components(2, &["1", hospital_authority]);
            ipr.components(3, &[share.reference.as_deref().unwrap_or(&ours), authority]);
            ipr.text(4, share.status.code()).text(5, &at).text(8, checksum);
            amount(ipr, 6, share.paid);
        });
        out.segment(b"PYE", |pye| {
            pye.text(1, "1").text(2, "ORG");
            organisation(pye, 4, hospital);
        });
        out.segment(b"IN1", |in1| {
            in1.text(1, &ordinal.to_string()).text(2, &share.plan);
            in1.text(3, &share.payer.code).text(4, &share.payer.name);
        });
        let total = bill.total();
        out.segment(b"IVC", |ivc| {
            ivc.components(1, &[&bill.invoice_id, hospital_authority]);
            ivc.components(2, &[&bill.settlement_id, authority]);
            ivc.text(4, "OR").text(5, "NORM").text(6, "FN").text(7, &at);
            amount(ivc, 8, total);
            organisation(ivc, 10, hospital);
            organisation(ivc, 11, &share.payer);
            amount(ivc, 21, bill.deposit);
            amount(ivc, 22, total - bill.deposit);
            ivc.text(25, &bill.benefit_group);
        });
    }

    fn write_section(&self, out: &mut Builder, number: u32, section: &Section) {
        let number = number.to_string();
        let name = shortened(&section.name, TEXT_CHARS_MAX);
        out.segment(b"PSS", |pss| {
            pss.text(1, &number).text(2, &number).text(3, &number).text(5, &name);
            amount(pss, 4, section.billed());
        });
        out.segment(b"PSG", |psg| {
            psg.text(1, &number).text(2, &number).text(3, "1").text(4, "Y").text(6, &name);
            amount(psg, 5, section.billed());
        });
    }

    fn write_line(&self, out: &mut Builder, sequence: u32, line_number: usize, line: &BilledLine) {
        let Self { share, bill, .. } = self;
        let ours = (line_number + 1).to_string();
        out.segment(b"PSL", |psl| {
            psl.text(1, &line.id).text(2, &ours).text(3, &sequence.to_string());
            psl.text(6, share.status.of_line()).components(7, &[&line.code, &line.name, &line.system]);
            psl.text(9, &shortened(&line.name, NAME_CHARS_MAX)).text(21, "N");
            amount(psl, 15, line.billed);
            amount(psl, 16, line.billed);
        });
        // Payers pay for a stay, not for its lines: each group is adjudicated as a whole, and the first line of the bill
        // carries the amount.
        if line_number > 0 {
            return;
        }
        out.segment(b"ADJ", |adj| {
            adj.text(1, &ours).text(2, &ours).text(3, "1").text(4, "EA");
            amount(adj, 5, share.paid);
            adj.components(7, &[&share.reason.code, &share.reason.name, "L"]);
            adj.text(14, &time::written(bill.settled_at));
            organisation(adj, 15, &share.payer);
        });
    }
}

/// CP whose first component is MO: `12000.00&CNY`.
fn amount(draft: &mut SegmentDraft, field: u16, money: Money) {
    draft.tree(field, &[&[&money.to_string(), CURRENCY]]);
}

/// XON: the name, and the code as component 10; component 3 takes numbers only.
fn organisation(draft: &mut SegmentDraft, field: u16, Organisation { code, name }: &Organisation) {
    draft.components(field, &[name, "", "", "", "", "", "", "", "", code]);
}

fn shortened(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
