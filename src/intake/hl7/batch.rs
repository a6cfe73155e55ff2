//! Several messages in one file or frame: `[FHS] {[BHS] {message}* [BTS]}+ [FTS]` (HL7 v2.5 ch. 2.10.3).

use jiff::Timestamp;
use yizhan_contract::Text;

use super::ack::{echo, shown};
use super::error::{Fault, SyntaxError, Warning, WarningKind};
use super::header::Header;
use super::place::{Place, SegmentId};
use super::time;
use super::write::Builder;

/// Most messages in one file.
pub const MESSAGES_MAX: usize = 10_000;

/// The messages of a file, in order, each as its own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<'b> {
    pub messages: Vec<&'b [u8]>,
    /// BHS, else FHS, where one of them opened it.
    pub header: Option<Header>,
    pub warnings: Vec<Warning>,
}

impl Batch<'_> {
    /// Whether one batch of answers goes back: a second frame would be taken for the answer to the next message.
    pub fn is_answered_as_one(&self) -> bool {
        self.header.is_some() || self.messages.len() > 1
    }
}

/// Divides a file into messages. Bytes that hold no header at all come back as one message, so that
/// reading it says what is wrong.
///
/// # Errors
/// 198 where there are more than [`MESSAGES_MAX`] messages; 100 for an envelope without any message.
pub fn split(bytes: &[u8]) -> Result<Batch<'_>, SyntaxError> {
    let content = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = Reader::default();
    for (start, line) in lines(content) {
        reader.line(content, start, line)?;
    }
    reader.close(content, content.len())?;
    if reader.messages.is_empty() {
        if reader.header.is_some() {
            return Err(SyntaxError::new(Place::MESSAGE, Fault::NoHeader));
        }
        return Ok(Batch { messages: vec![bytes], header: None, warnings: Vec::new() });
    }
    if reader.outside > 0 {
        reader.warn(SegmentId::MSH, WarningKind::OutsideMessage { count: reader.outside });
    }
    // One message alone keeps whatever stood around it, the byte order mark included.
    let alone = reader.messages.len() == 1 && reader.header.is_none() && reader.outside == 0;
    let messages = if alone { vec![bytes] } else { reader.messages };
    Ok(Batch { messages, header: reader.header, warnings: reader.warnings })
}

/// Lines and where they begin: by CR if there is any, with an LF behind it, else by LF.
fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let end = if memchr::memchr(b'\r', content).is_some() { b'\r' } else { b'\n' };
    let mut start = 0;
    content.split(move |byte| *byte == end).map(move |line| {
        let swallowed = usize::from(end == b'\r' && start > 0 && line.first() == Some(&b'\n'));
        let found = (start + swallowed, &line[swallowed..]);
        start += line.len() + 1;
        found
    })
}

#[derive(Default)]
struct Reader<'b> {
    messages: Vec<&'b [u8]>,
    begun: Option<usize>,
    header: Option<Header>,
    /// Messages since the last BHS, batches since the last FHS.
    in_batch: u32,
    batches: u32,
    outside: u32,
    warnings: Vec<Warning>,
}

impl<'b> Reader<'b> {
    fn line(&mut self, content: &'b [u8], start: usize, line: &'b [u8]) -> Result<(), SyntaxError> {
        let begins = |name: &[u8]| {
            line.starts_with(name) && line.get(3).is_none_or(|byte| !byte.is_ascii_alphanumeric())
        };
        if begins(b"MSH") {
            self.close(content, start)?;
            self.begun = Some(start);
        } else if begins(b"FHS") || begins(b"BHS") {
            self.close(content, start)?;
            let is_batch = line.starts_with(b"BHS");
            if is_batch {
                self.in_batch = 0;
            }
            if self.header.is_none() || (is_batch && self.batches == 0) {
                self.header = Some(Header::of_batch(line));
            }
        } else if begins(b"BTS") {
            self.close(content, start)?;
            let found = std::mem::take(&mut self.in_batch);
            self.batches += 1;
            self.compare(SegmentId::of(b"BTS"), line, found);
        } else if begins(b"FTS") {
            self.close(content, start)?;
            let found = std::mem::take(&mut self.batches);
            self.compare(SegmentId::of(b"FTS"), line, found);
        } else if self.begun.is_none() && !line.trim_ascii().is_empty() {
            self.outside += 1;
        }
        Ok(())
    }

    /// Ends the message that is being read, just before `end`.
    fn close(&mut self, content: &'b [u8], end: usize) -> Result<(), SyntaxError> {
        let Some(start) = self.begun.take() else { return Ok(()) };
        if self.messages.len() >= MESSAGES_MAX {
            let fault = Fault::TooManyMessages { messages_max: MESSAGES_MAX };
            return Err(SyntaxError::new(Place::MESSAGE, fault));
        }
        self.in_batch += 1;
        self.messages.push(&content[start..end]);
        Ok(())
    }

    /// BTS-1 and FTS-1 count messages and batches; many senders leave them empty.
    fn compare(&mut self, id: SegmentId, line: &[u8], found: u32) {
        let separator = line.get(3).copied().unwrap_or(b'|');
        let first = line.get(4..).and_then(|rest| rest.split(|byte| *byte == separator).next());
        let stated = first.and_then(|field| std::str::from_utf8(field).ok()).unwrap_or_default().trim();
        if let Ok(stated) = stated.parse::<u32>()
            && stated != found
        {
            self.warn(id, WarningKind::BatchCount { stated, found });
        }
    }

    fn warn(&mut self, id: SegmentId, kind: WarningKind) {
        self.warnings.push(Warning { place: Place::segment(id, 1), kind });
    }
}

/// Who is answered by one batch, and under which id.
pub struct Answering<'h> {
    /// Of the batch, else of its first message.
    pub header: &'h Header,
    /// Whether it is of the batch: then field 11 is its id.
    pub is_of_batch: bool,
    pub control_id: &'h str,
    pub at: Timestamp,
    /// What is odd in the envelope, for BTS-2.
    pub remark: Option<&'h Text>,
}

/// Length of BTS-2.
const COMMENT_CHARS_MAX: usize = 80;

/// `BHS {answer}* BTS`, the answers as they are.
pub fn answer(answering: &Answering<'_>, answers: &[Vec<u8>]) -> Vec<u8> {
    let Answering { header, is_of_batch, control_id, at, remark } = *answering;
    let written = |fill: &dyn Fn(&mut Builder)| {
        let mut out = Builder::new(header.delimiters());
        fill(&mut out);
        out.into_bytes(header.charset())
    };
    let begin = written(&|out| {
        out.segment(b"BHS", |bhs| {
            for (field, from) in [(3, 5), (4, 6), (5, 3), (6, 4)] {
                echo(bhs, field, header, from);
            }
            bhs.text(7, &time::written(at)).text(11, control_id);
            if is_of_batch {
                echo(bhs, 12, header, 11);
            }
        });
    });
    let end = written(&|out| {
        let delimiters = out.delimiters();
        out.segment(b"BTS", |bts| {
            bts.text(1, &answers.len().to_string());
            if let Some(remark) = remark {
                bts.text(2, &shown(header, &delimiters, remark, COMMENT_CHARS_MAX));
            }
        });
    });
    [begin, answers.concat(), end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<String> {
        let batch = split(bytes).unwrap();
        batch.messages.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect()
    }

    #[test]
    fn files_are_divided_at_headers() {
        for (file, messages) in [
            ("MSH|a\rPID|1\r", vec!["MSH|a\rPID|1\r"]),
            ("MSH|a\rPID|1\rMSH|b\r", vec!["MSH|a\rPID|1\r", "MSH|b\r"]),
            ("FHS|\rBHS|\rMSH|a\rMSH|b\rBTS|2\rFTS|1\r", vec!["MSH|a\r", "MSH|b\r"]),
            ("BHS|\r\nMSH|a\r\nPID|1\r\nBTS|1", vec!["MSH|a\r\nPID|1\r\n"]),
            ("FHS|\nMSH|a\nPID|1\nFTS|\n", vec!["MSH|a\nPID|1\n"]),
            ("no message", vec!["no message"]),
        ] {
            assert_eq!(texts(file.as_bytes()), messages, "{file:?}");
        }
    }

    #[test]
    fn counts_that_are_wrong_are_warned_of() {
        let warnings = |file: &str| split(file.as_bytes()).unwrap().warnings;
        assert_eq!(warnings("BHS|\rMSH|a\rBTS|1\r"), []);
        assert_eq!(warnings("BHS|\rMSH|a\rBTS|\r"), []);
        assert_eq!(warnings("BHS|\rMSH|a\rBTS|3\r")[0].kind, WarningKind::BatchCount { stated: 3, found: 1 });
        assert_eq!(warnings("junk\rMSH|a\rPID|\rMSH|b\r")[0].kind, WarningKind::OutsideMessage { count: 1 });
    }

    #[test]
    fn more_messages_than_a_batch_may_have_are_refused() {
        assert_eq!(split("MSH|\r".repeat(MESSAGES_MAX).as_bytes()).unwrap().messages.len(), MESSAGES_MAX);
        let error = split("MSH|\r".repeat(MESSAGES_MAX + 1).as_bytes()).unwrap_err();
        assert_eq!(error.fault, Fault::TooManyMessages { messages_max: MESSAGES_MAX });
    }

    #[test]
    fn envelopes_have_delimiters_of_their_own() {
        let file = "FHS#*~\\&#BANK\rBHS$*~\\&$HIS$H1$$$$$$$B7\rMSH|^~\\&|HIS\rBTS$2$\rFTS#1\r";
        let batch = split(file.as_bytes()).unwrap();
        let header = batch.header.as_ref().unwrap();
        assert_eq!((header.sending_application(), header.sending_facility()), ("HIS".into(), "H1".into()));
        assert_eq!(header.field(11).unwrap().text(), "B7");
        assert_eq!(batch.warnings[0].kind, WarningKind::BatchCount { stated: 2, found: 1 });
        assert_eq!((batch.messages.len(), batch.warnings.len()), (1, 1));
    }

    #[test]
    fn an_envelope_without_a_header_is_refused() {
        let error = split(b"BHS|^~\\&\rEVN|A04\rBTS|1\r").unwrap_err();
        assert_eq!((error.fault, error.place), (Fault::NoHeader, Place::MESSAGE));
    }
}
