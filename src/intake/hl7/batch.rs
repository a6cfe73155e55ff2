//! Several messages in one file or frame: `[FHS] {[BHS] {message}* [BTS]}+ [FTS]` (HL7 v2.5 ch. 2.10.3).

use super::error::{Fault, SyntaxError, Warning, WarningKind};
use super::place::{Place, SegmentId};

/// Most messages in one file.
pub const MESSAGES_MAX: usize = 10_000;

/// The messages of a file, in order, each as its own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<'b> {
    pub messages: Vec<&'b [u8]>,
    /// Whether FHS or BHS opened it: then one batch of answers goes back.
    pub enveloped: bool,
    pub warnings: Vec<Warning>,
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
        if reader.enveloped {
            return Err(SyntaxError::new(Place::MESSAGE, Fault::NoHeader));
        }
        return Ok(Batch { messages: vec![bytes], enveloped: false, warnings: Vec::new() });
    }
    if reader.outside > 0 {
        reader.warn(SegmentId::MSH, WarningKind::OutsideMessage { count: reader.outside });
    }
    // One message alone keeps whatever stood around it, the byte order mark included.
    let alone = reader.messages.len() == 1 && !reader.enveloped && reader.outside == 0;
    let messages = if alone { vec![bytes] } else { reader.messages };
    Ok(Batch { messages, enveloped: reader.enveloped, warnings: reader.warnings })
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
    enveloped: bool,
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
            self.enveloped = true;
            if line.starts_with(b"BHS") {
                self.in_batch = 0;
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
            let fault = Fault::TooManySegments { segments_max: MESSAGES_MAX };
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
    fn an_envelope_without_a_header_is_refused() {
        let error = split(b"BHS|^~\\&\rEVN|A04\rBTS|1\r").unwrap_err();
        assert_eq!((error.fault, error.place), (Fault::NoHeader, Place::MESSAGE));
    }
}
