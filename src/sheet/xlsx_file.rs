//! The first worksheet of an xlsx file. Its cells are read on a thread of their own, which the reader of
//! the sheet keeps waiting: the library lends a cell only as long as it holds the workbook.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use calamine::{DataRef, Reader as _, Xlsx, XlsxError, open_workbook};
use yizhan_contract::Text;

use super::{Cell, Cells, Problem};
use crate::system;

/// Rows read ahead.
const ROWS_AHEAD_MAX: usize = 256;
/// Columns looked at; a sheet of ours has nine.
const COLUMNS_MAX: usize = 256;

/// A row and its line, or the end of the sheet.
type Read = Result<Option<(u64, Vec<Cell>)>, Problem>;

struct XlsxCells {
    rows: Receiver<Read>,
    /// Of the row read last.
    line: u64,
    is_over: bool,
}

pub(super) fn open(path: &Path) -> Result<Box<dyn Cells>, Problem> {
    let workbook: Xlsx<BufReader<File>> =
        open_workbook(path).map_err(|why| Problem::file(unreadable(&why)))?;
    let name = workbook.sheet_names().first().cloned();
    let name = name.ok_or_else(|| Problem::file(Text::new("没有工作表", "has no worksheet")))?;
    let (rows, ahead) = sync_channel(ROWS_AHEAD_MAX);
    std::thread::Builder::new()
        .name("xlsx".to_owned())
        .spawn(move || read_rows(workbook, &name, &rows))
        .map_err(|why| Problem::file(system::refused(&why)))?;
    Ok(Box::new(XlsxCells { rows: ahead, line: 0, is_over: false }))
}

impl Cells for XlsxCells {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> Result<Option<u64>, Problem> {
        if self.is_over {
            return Ok(None);
        }
        // A sheet that ends early is no shorter sheet: whoever is missing from a snapshot would end.
        let read = self.rows.recv().unwrap_or_else(|_| Err(Problem::at(self.line, "", broken_off())));
        self.is_over = !matches!(read, Ok(Some(_)));
        let Some((line, row)) = read? else { return Ok(None) };
        *cells = row;
        self.line = line;
        Ok(Some(line))
    }
}

fn read_rows(mut workbook: Xlsx<BufReader<File>>, name: &str, rows: &SyncSender<Read>) {
    let mut line = 0;
    let mut row = Vec::new();
    let outcome = (|| {
        let mut reader = workbook.worksheet_cells_reader(name)?;
        while let Some(cell) = reader.next_cell()? {
            let (at_row, at_column) = cell.get_position();
            let at_line = u64::from(at_row) + 1;
            if at_line != line
                && !row.is_empty()
                && rows.send(Ok(Some((line, std::mem::take(&mut row))))).is_err()
            {
                return Ok(());
            }
            line = at_line;
            let column = at_column as usize;
            if column < COLUMNS_MAX {
                row.resize_with(row.len().max(column + 1), Cell::default);
                row[column] = as_text(cell.get_value());
            }
        }
        Ok::<(), XlsxError>(())
    })();
    // Nobody listens any more where sending fails: the import was given up.
    let _ = match outcome {
        Ok(()) if row.is_empty() => rows.send(Ok(None)),
        Ok(()) => rows.send(Ok(Some((line, row)))).and_then(|()| rows.send(Ok(None))),
        Err(why) => rows.send(Err(Problem::at(line, "", unreadable(&why)))),
    };
}

fn broken_off() -> Text {
    Text::new(
        "读到此行之后中断，请用表格软件另存后重试",
        "was the last row that could be read; save the file again with a spreadsheet program",
    )
}

fn unreadable(why: &XlsxError) -> Text {
    match why {
        XlsxError::Io(why) => system::refused(why),
        why => Text::new(
            format!("无法按 xlsx 读取（{why}），请用表格软件另存为 xlsx 或 CSV"),
            format!(
                "cannot be read as xlsx ({why}); save it again as xlsx or CSV with a spreadsheet program"
            ),
        ),
    }
}

fn as_text(value: &DataRef<'_>) -> Cell {
    let text = |text: &str| Cell { text: text.trim().to_owned(), is_number: false };
    let number = |text: String| Cell { text, is_number: true };
    match value {
        DataRef::String(value) => text(value),
        DataRef::SharedString(value) => text(value),
        DataRef::Int(value) => number(value.to_string()),
        // The shortest digits that name the stored number are the ones that were typed, up to 15 of them.
        DataRef::Float(value) => number(value.to_string()),
        DataRef::DateTime(value) => {
            let (year, month, day, ..) = value.to_ymd_hms_milli();
            text(&format!("{year:04}-{month:02}-{day:02}"))
        }
        DataRef::DateTimeIso(value) => text(value.get(..10).unwrap_or(value)),
        DataRef::Bool(value) => text(if *value { "true" } else { "false" }),
        DataRef::DurationIso(value) => text(value),
        DataRef::Error(_) => text("#ERROR"),
        DataRef::Empty => Cell::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sent: Vec<Read>) -> Vec<Result<Option<u64>, Problem>> {
        let (rows, ahead) = sync_channel(ROWS_AHEAD_MAX);
        sent.into_iter().for_each(|row| rows.send(row).unwrap());
        drop(rows);
        let mut cells = XlsxCells { rows: ahead, line: 0, is_over: false };
        (0..3).map(|_| cells.next_row(&mut Vec::new())).collect()
    }

    #[test]
    fn a_sheet_ends_where_it_says_so_and_nowhere_else() {
        let row = || Ok(Some((7, vec![Cell::default()])));
        assert_eq!(read(vec![row(), Ok(None)]), [Ok(Some(7)), Ok(None), Ok(None)]);
        assert_eq!(read(vec![row()]), [Ok(Some(7)), Err(Problem::at(7, "", broken_off())), Ok(None)]);
    }
}
