//! CSV in UTF-8 (with or without byte order mark) or GB18030, as spreadsheets in China write it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;

use encoding_rs::{Decoder, DecoderResult, GB18030};

use yizhan_contract::Text;

use super::{Cell, Cells, Problem};
use crate::system;

const CHUNK_BYTES: usize = 64 * 1024;
/// One row, with what is read ahead of it. Behind a quotation mark that never closes, all that follows is one row.
const ROW_BYTES_MAX: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(super) struct CsvCells {
    reader: csv::Reader<Bounded>,
    record: csv::StringRecord,
}

impl CsvCells {
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let unreadable = |why: io::Error| Problem::file(system::refused(&why));
        let mut file = File::open(path).map_err(unreadable)?;
        let is_utf8 = is_utf8(&mut file).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let text: Box<dyn Read + Send> = if is_utf8 {
            Box::new(without_byte_order_mark(file).map_err(unreadable)?)
        } else {
            Box::new(Decoded::new(file))
        };
        Ok(Self::read(text))
    }

    /// A sheet that is part of the program.
    pub(super) fn shipped(text: &'static str) -> Self {
        Self::read(Box::new(text.as_bytes()))
    }

    fn read(text: Box<dyn Read + Send>) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(Bounded { text, left: ROW_BYTES_MAX });
        Self { reader, record: csv::StringRecord::new() }
    }
}

impl Cells for CsvCells {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> Result<Option<u64>, Problem> {
        let line = self.reader.position().line();
        self.reader.get_mut().left = ROW_BYTES_MAX;
        let is_row = self.reader.read_record(&mut self.record).map_err(|why| problem(line, &why))?;
        if !is_row {
            return Ok(None);
        }
        cells.resize_with(self.record.len(), Cell::default);
        for (cell, text) in cells.iter_mut().zip(&self.record) {
            cell.text.clear();
            cell.text.push_str(text);
            cell.is_number = false;
        }
        Ok(Some(self.record.position().map_or(line, csv::Position::line)))
    }
}

/// A text of which only so much may be read for one row.
struct Bounded {
    text: Box<dyn Read + Send>,
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, wanted: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let room = wanted.len().min(self.left);
        let read = self.text.read(&mut wanted[..room])?;
        self.left -= read;
        Ok(read)
    }
}

fn problem(line: u64, why: &csv::Error) -> Problem {
    let text = match why.kind() {
        csv::ErrorKind::Io(why) if why.kind() == io::ErrorKind::FileTooLarge => Text::new(
            format!("一行超过 {} KiB，请核对引号是否成对", ROW_BYTES_MAX / 1024),
            format!("is a row of more than {} KiB; check that quotation marks close", ROW_BYTES_MAX / 1024),
        ),
        csv::ErrorKind::Io(why) if why.kind() != io::ErrorKind::InvalidData => system::refused(why),
        csv::ErrorKind::Io(_) | csv::ErrorKind::Utf8 { .. } => Text::new(
            "既不是 UTF-8 也不是 GB18030 编码，请另存为其中一种",
            "is text in neither UTF-8 nor GB18030; save the file as one of them",
        ),
        _ => Text::new(
            "不是一行 CSV，请核对分隔符与引号",
            "is no row of a CSV file; check separators and quotation marks",
        ),
    };
    Problem::at(line, "", text)
}

/// Whether the whole file is UTF-8: its first Chinese character may stand anywhere.
fn is_utf8(file: &mut File) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut kept = 0;
    loop {
        let read = file.read(&mut chunk[kept..])?;
        let filled = kept + read;
        match std::str::from_utf8(&chunk[..filled]) {
            Ok(_) => kept = 0,
            // A character cut by the chunk's end is looked at again with what follows.
            Err(why) if why.error_len().is_none() && read > 0 => {
                let valid = why.valid_up_to();
                chunk.copy_within(valid..filled, 0);
                kept = filled - valid;
            }
            Err(_) => return Ok(false),
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

fn without_byte_order_mark(mut file: File) -> io::Result<BufReader<File>> {
    let mut start = Vec::with_capacity(BYTE_ORDER_MARK.len());
    file.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut start)?;
    if start != BYTE_ORDER_MARK {
        file.rewind()?;
    }
    Ok(BufReader::with_capacity(CHUNK_BYTES, file))
}

/// GB18030 read as UTF-8; bytes that are neither are an error, never a replacement character.
struct Decoded {
    file: File,
    decoder: Decoder,
    coded: Vec<u8>,
    text: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl Decoded {
    fn new(file: File) -> Self {
        let decoder = GB18030.new_decoder_without_bom_handling();
        Self { file, decoder, coded: vec![0; CHUNK_BYTES], text: Vec::new(), given: 0, is_over: false }
    }

    fn decode_next(&mut self) -> io::Result<()> {
        let read = self.file.read(&mut self.coded)?;
        self.is_over = read == 0;
        let room = self.decoder.max_utf8_buffer_length_without_replacement(read).unwrap_or(CHUNK_BYTES * 4);
        self.text.resize(room, 0);
        let (result, _, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.coded[..read],
            &mut self.text,
            self.is_over,
        );
        if let DecoderResult::Malformed(..) = result {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "neither UTF-8 nor GB18030"));
        }
        self.text.truncate(written);
        self.given = 0;
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, wanted: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if self.is_over {
                return Ok(0);
            }
            self.decode_next()?;
        }
        let count = wanted.len().min(self.text.len() - self.given);
        wanted[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
