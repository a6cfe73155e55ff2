//! The groups of a bill, one for each payer and one for the patient.

use yizhan_contract::Money;

use super::super::delimiters::Delimiters;
use super::super::time;
use super::super::write::{Builder, SegmentDraft};
use super::{Adjudicated, BilledLine, Organisation, Section, Share};

const CURRENCY: &str = "CNY";
/// Lengths of v2.6: PSL-9, and PSS-5, PSG-6 and ADJ-8.
const NAME_CHARS_MAX: usize = 80;
const TEXT_CHARS_MAX: usize = 250;
/// The line of the bill that carries the adjustment, by its number (PSL-2).
const FIRST_LINE: &str = "1";

/// One INVOICE_PROCESSING_RESULTS_INFO.
pub(super) struct Group<'b> {
    pub(super) bill: &'b Adjudicated,
    pub(super) share: &'b Share,
    pub(super) ordinal: usize,
    pub(super) checksum: &'b str,
}

impl Group<'_> {
    pub(super) fn write(&self, out: &mut Builder, lines: &Lines) {
        self.write_head(out);
        out.append(&lines.until_first);
        self.write_adjustment(out);
        out.append(&lines.rest);
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

    /// Payers pay for a stay, not for its lines: each group is adjudicated as a whole, and the first line of the bill
    /// carries the amount.
    fn write_adjustment(&self, out: &mut Builder) {
        let Self { share, bill, .. } = self;
        out.segment(b"ADJ", |adj| {
            adj.text(1, FIRST_LINE).text(2, FIRST_LINE).text(3, "1").text(4, "EA");
            amount(adj, 5, share.paid);
            adj.components(7, &[&share.reason.code, &share.reason.name, "L"]);
            adj.text(14, &time::written(bill.settled_at));
            organisation(adj, 15, &share.payer);
        });
    }
}

/// The sections with their lines, which are the same in all groups with the same PSL-6: most of a bill, written once.
pub(super) struct Lines {
    /// To the line that the adjustment follows.
    until_first: Builder,
    rest: Builder,
}

impl Lines {
    pub(super) fn written(bill: &Adjudicated, line_status: &str, delimiters: Delimiters) -> Self {
        let (mut until_first, mut rest) = (Builder::new(delimiters), Builder::new(delimiters));
        let mut numbers = 1..;
        for (section_number, section) in (1..).zip(&bill.sections) {
            let out = if section_number == 1 { &mut until_first } else { &mut rest };
            write_section(out, section_number, section);
            for ((sequence, line), number) in (1..).zip(&section.lines).zip(&mut numbers) {
                let out = if number == 1 { &mut until_first } else { &mut rest };
                write_line(out, sequence, number, line_status, line);
            }
        }
        Self { until_first, rest }
    }
}

fn write_section(out: &mut Builder, number: u32, section: &Section) {
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

fn write_line(out: &mut Builder, sequence: u32, number: u32, line_status: &str, line: &BilledLine) {
    out.segment(b"PSL", |psl| {
        psl.text(1, &line.id).text(2, &number.to_string()).text(3, &sequence.to_string());
        psl.text(6, line_status).components(7, &[&line.code, &line.name, &line.system]);
        psl.text(9, &shortened(&line.name, NAME_CHARS_MAX)).text(21, "N");
        amount(psl, 15, line.billed);
        amount(psl, 16, line.billed);
    });
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
