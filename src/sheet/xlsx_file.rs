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

type Rows = Receiver<Result<(u64, Vec<Cell>), Problem>>;

struct XlsxCells(Rows);

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
    Ok(Box::new(XlsxCells(ahead)))
}

impl Cells for XlsxCells {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> Result<Option<u64>, Problem> {
        let Ok(row) = self.0.recv() else { return Ok(None) };
        let (line, row) = row?;
        *cells = row;
        Ok(Some(line))
    }
}

fn read_rows(
    mut workbook: Xlsx<BufReader<File>>,
    name: &str,
    rows: &SyncSender<Result<(u64, Vec<Cell>), Problem>>,
) {
    let mut line = 0;
    let mut row = Vec::new();
    let outcome = (|| {
        let mut reader = workbook.worksheet_cells_reader(name)?;
        while let Some(cell) = reader.next_cell()? {
            let (at_row, at_column) = cell.get_position();
            let at_line = u64::from(at_row) + 1;
            if at_line != line && !row.is_empty() && rows.send(Ok((line, std::mem::take(&mut row)))).is_err()
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
        Ok(()) if row.is_empty() => Ok(()),
        Ok(()) => rows.send(Ok((line, row))),
        Err(why) => rows.send(Err(Problem::at(line, "", unreadable(&why)))),
    };
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
