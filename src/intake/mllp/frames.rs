//! Frames out of a stream of bytes, however it was cut into packets.

use std::collections::VecDeque;
use std::fmt;

/// Bytes kept of a frame that is too long: its MSH is at the beginning.
const HEAD_BYTES_MAX: usize = 16 * 1024;

pub(in crate::intake) const VT: u8 = 0x0B;
const FS: u8 = 0x1C;
const CR: u8 = b'\r';
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;

/// The version of the protocol a listener speaks; 1 or 2 in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(try_from = "u8")]
pub enum Release {
    #[default]
    One,
    /// Every block is answered by a commit block of its own (ANSI/HL7 V3 TRMLLP R2).
    Two,
}

impl TryFrom<u8> for Release {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            _ => Err("须为 1 或 2 | must be 1 or 2"),
        }
    }
}

/// A commit acknowledgement of release 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    Stored,
    NotStored,
}

/// What was found in the stream.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The content of one whole frame.
    Frame(Vec<u8>),
    /// A commit block; release 2 only.
    Commit(Commit),
    /// Bytes outside of any frame were skipped; the line ends and NULs many senders put there are not counted.
    Noise { bytes: u64 },
    /// A frame was given up: another one began, or something other than CR followed its FS.
    Truncated { content: Vec<u8> },
    /// A frame was longer than accepted; it is skipped to its end. Its head is enough to answer the sender.
    TooLong { bytes_max: usize, head: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    /// FS was read: the content is whole unless something strange follows.
    Ending,
    /// Inside a frame that was too long.
    Skipping,
}

/// Shows how much was found, not what it says: messages hold what patients are called.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(content) => write!(f, "Frame({} bytes)", content.len()),
            Self::Commit(commit) => write!(f, "Commit({commit:?})"),
            Self::Noise { bytes } => write!(f, "Noise({bytes} bytes)"),
            Self::Truncated { content } => write!(f, "Truncated({} bytes)", content.len()),
            Self::TooLong { bytes_max, .. } => write!(f, "TooLong(more than {bytes_max} bytes)"),
        }
    }
}

/// Reads frames. Give it what arrives with [`Frames::push`], take what was found with
/// [`Frames::next_event`] until there is nothing more.
pub struct Frames {
    state: State,
    content: Vec<u8>,
    noise: u64,
    /// Frames that began.
    begun: u64,
    found: VecDeque<Event>,
    release: Release,
    frame_bytes_max: usize,
}

impl Frames {
    pub fn new(frame_bytes_max: usize, release: Release) -> Self {
        Self {
            state: State::Outside,
            content: Vec::new(),
            noise: 0,
            begun: 0,
            found: VecDeque::new(),
            release,
            frame_bytes_max,
        }
    }

    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Outside => self.outside(bytes),
                State::Inside => self.inside(bytes),
                State::Ending => self.ending(bytes),
                State::Skipping => self.skipping(bytes),
            };
        }
    }

    pub fn next_event(&mut self) -> Option<Event> {
        self.found.pop_front()
    }

    /// Whether a frame was begun and is not whole: silence now is a sender in trouble.
    pub fn is_mid_frame(&self) -> bool {
        self.state != State::Outside
    }

    /// Whether only the CR behind FS is missing. Some senders never send it.
    pub fn is_ending(&self) -> bool {
        self.state == State::Ending
    }

    /// Whether all that came so far is no MLLP: a browser, a health check, a peer that expects TLS.
    pub fn is_all_noise(&self) -> bool {
        self.noise > 0 && self.begun == 0
    }

    /// How many frames began so far, whole or not.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Bytes of the frame that is being read.
    pub fn pending_bytes(&self) -> usize {
        self.content.len()
    }

    /// Says that nothing more will come: a frame that lacks only its CR is whole, any other is given up.
    pub fn finish(&mut self) {
        match self.state {
            State::Ending => self.emit(),
            State::Inside => self.give_up(),
            State::Outside | State::Skipping => {}
        }
        self.state = State::Outside;
        self.tell_noise();
    }

    fn outside<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let begin = memchr::memchr(VT, bytes);
        let skipped = &bytes[..begin.unwrap_or(bytes.len())];
        self.noise += skipped.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).count() as u64;
        match begin {
            None => &[],
            Some(at) => {
                self.tell_noise();
                self.begun += 1;
                self.state = State::Inside;
                &bytes[at + 1..]
            }
        }
    }

    fn inside<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mark = memchr::memchr2(VT, FS, bytes);
        let content = &bytes[..mark.unwrap_or(bytes.len())];
        if self.content.len() + content.len() > self.frame_bytes_max {
            let room = self.frame_bytes_max - self.content.len();
            self.content.extend_from_slice(&content[..room]);
            let mut head = std::mem::take(&mut self.content);
            head.truncate(HEAD_BYTES_MAX);
            head.shrink_to_fit();
            self.found.push_back(Event::TooLong { bytes_max: self.frame_bytes_max, head });
            self.state = State::Skipping;
            return &bytes[content.len()..];
        }
        self.content.extend_from_slice(content);
        let Some(at) = mark else { return &[] };
        match bytes[at] {
            FS => self.state = State::Ending,
            // Doubled VT.
            _ if self.content.is_empty() => {}
            _ => {
                self.give_up();
                self.begun += 1;
            }
        }
        &bytes[at + 1..]
    }

    fn ending<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match bytes[0] {
            CR | b'\n' | 0 => {
                self.emit();
                &bytes[1..]
            }
            VT => {
                self.emit();
                bytes
            }
            // An FS inside the content: half a message must not pass for a whole one.
            _ => {
                self.give_up();
                self.state = State::Skipping;
                bytes
            }
        }
    }

    /// To the end of the frame, or to the beginning of the next.
    fn skipping<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some(at) = memchr::memchr2(VT, FS, bytes) else { return &[] };
        self.state = State::Outside;
        if bytes[at] == VT { &bytes[at..] } else { &bytes[at + 1..] }
    }

    fn emit(&mut self) {
        self.state = State::Outside;
        let content = std::mem::take(&mut self.content);
        self.found.push_back(match (self.release, content.as_slice()) {
            (Release::Two, [ACK]) => Event::Commit(Commit::Stored),
            (Release::Two, [NAK]) => Event::Commit(Commit::NotStored),
            _ => Event::Frame(content),
        });
    }

    fn give_up(&mut self) {
        self.found.push_back(Event::Truncated { content: std::mem::take(&mut self.content) });
    }

    fn tell_noise(&mut self) {
        if self.noise > 0 {
            self.found.push_back(Event::Noise { bytes: std::mem::take(&mut self.noise) });
        }
    }
}

/// A message as it goes over the wire.
pub fn frame(content: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(content.len() + 3);
    framed.push(VT);
    framed.extend_from_slice(content);
    framed.extend_from_slice(&[FS, CR]);
    framed
}

/// A commit block of release 2.
pub fn commit_block(commit: Commit) -> Vec<u8> {
    frame(&[if commit == Commit::Stored { ACK } else { NAK }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]], release: Release) -> Vec<Event> {
        let mut frames = Frames::new(16, release);
        pieces.iter().for_each(|piece| frames.push(piece));
        frames.finish();
        std::iter::from_fn(|| frames.next_event()).collect()
    }

    fn whole(content: &[u8]) -> Event {
        Event::Frame(content.to_vec())
    }

    fn half(content: &[u8]) -> Event {
        Event::Truncated { content: content.to_vec() }
    }

    /// Streams and what is in them, whatever the packets.
    fn streams() -> Vec<(&'static [u8], Vec<Event>)> {
        vec![
            (b"\x0bone\x1c\r", vec![whole(b"one")]),
            (b"\x0bone\x1c\r\x0btwo\x1c\r", vec![whole(b"one"), whole(b"two")]),
            (b"\x0bone\x1c\r\n\0\0\x0btwo\x1c\n", vec![whole(b"one"), whole(b"two")]),
            (b"\x0bone\x1c\x0btwo\x1c", vec![whole(b"one"), whole(b"two")]),
            (b"\x0b\x0bone\x1c\r", vec![whole(b"one")]),
            (b"GET /\r\n\x0bone\x1c\r", vec![Event::Noise { bytes: 5 }, whole(b"one")]),
            (b"\x0bone\x1c\rlog", vec![whole(b"one"), Event::Noise { bytes: 3 }]),
            (b"\x0bha\x0bone\x1c\r", vec![half(b"ha"), whole(b"one")]),
            (b"\x0bhalf", vec![half(b"half")]),
            (b"\x0ba\x1cb\x1c\r\x0bone\x1c\r", vec![half(b"a"), whole(b"one")]),
            (
                b"\x0b12345678901234567\x1c\r\x0bone\x1c\r",
                vec![Event::TooLong { bytes_max: 16, head: b"1234567890123456".to_vec() }, whole(b"one")],
            ),
            (
                b"\x0b12345678901234567\x0bone\x1c\r",
                vec![Event::TooLong { bytes_max: 16, head: b"1234567890123456".to_vec() }, whole(b"one")],
            ),
            (b"\x0b1234567890123456\x1c\r", vec![whole(b"1234567890123456")]),
            (b"\x0b\x1c\r", vec![whole(b"")]),
            (b"\r\n\0", vec![]),
        ]
    }

    #[test]
    fn frames_do_not_depend_on_packets() {
        for (stream, expected) in streams() {
            for at in 0..=stream.len() {
                let (head, tail) = stream.split_at(at);
                assert_eq!(events(&[head, tail], Release::One), expected, "{stream:?} cut at {at}");
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(events(&bytes, Release::One), expected, "{stream:?} byte by byte");
        }
    }

    #[test]
    fn commit_blocks_are_known_in_release_two_only() {
        let stream = commit_block(Commit::Stored);
        assert_eq!(events(&[&stream], Release::Two), [Event::Commit(Commit::Stored)]);
        assert_eq!(events(&[&stream], Release::One), [whole(b"\x06")]);
        let refused = commit_block(Commit::NotStored);
        assert_eq!(events(&[&refused], Release::Two), [Event::Commit(Commit::NotStored)]);
    }

    #[test]
    fn a_frame_under_way_is_seen() {
        let mut frames = Frames::new(16, Release::One);
        for (bytes, mid, ending, pending, begun) in [
            (&b"x"[..], false, false, 0, 0),
            (b"\x0bab", true, false, 2, 1),
            (b"\x1c", true, true, 2, 1),
            (b"\r", false, false, 0, 1),
            (b"\x0bab\x1c\x0b", true, false, 0, 3),
            (b"ab\x0b", true, false, 0, 4),
        ] {
            frames.push(bytes);
            let found = (frames.is_mid_frame(), frames.is_ending(), frames.pending_bytes(), frames.begun());
            assert_eq!(found, (mid, ending, pending, begun));
        }
    }
}
