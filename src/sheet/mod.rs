//! Sheets that people send: CSV or xlsx, columns in any order, headed in English or Chinese.
//!
//! A sheet is read row by row, whatever its size. What is wrong with it is a list of [`Problem`]s, each
//! naming its line and column as the sender sees them.

mod csv_file;
pub mod periods;
mod problem;
mod rows;
mod xlsx_file;

use std::path::Path;
use std::str::FromStr;

use jiff::civil::Date;
use yizhan_contract::person::IdNumberError;
use yizhan_contract::{IdNumber, Text};

pub use problem::{PROBLEMS_MAX, Problem, Problems};
pub use rows::{FromRow, SheetRows};

/// Characters of one cell.
pub const CELL_CHARS_MAX: usize = 500;

/// A column a sheet may or must have.
#[derive(Debug)]
pub struct Column {
    /// Its name in our own files, and in every problem.
    pub name: &'static str,
    pub also: &'static [&'static str],
    /// A sheet without this column is refused; its cells may still be empty.
    pub is_required: bool,
}

/// One row; cells in the order of the columns asked for, empty where the sheet has none.
#[derive(Default)]
pub struct Row {
    /// Line of a CSV file, row of a worksheet; the first is 1.
    pub line: u64,
    cells: Vec<Cell>,
}

/// Mostly somebody's name or number: it is not printed.
#[derive(Default, Clone)]
struct Cell {
    text: String,
    /// Stored as a number by a spreadsheet, which keeps 15 digits of it.
    is_number: bool,
}

/// What reads one kind of file: fills `cells` with the next row as it stands there.
trait Cells: Send {
    /// The row's line; absent at the end of the sheet.
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> Result<Option<u64>, Problem>;
}

/// A sheet, its header read.
pub struct Sheet {
    columns: &'static [Column],
    /// For each column asked for, where it stands in the sheet.
    places: Vec<Option<usize>>,
    width: usize,
    source: Box<dyn Cells>,
    as_it_stands: Vec<Cell>,
}

impl Sheet {
    /// Opens a file by its ending: `.xlsx`, anything else is CSV in UTF-8 or GB18030.
    pub fn open(path: &Path, columns: &'static [Column]) -> Result<Self, Vec<Problem>> {
        let is_xlsx = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xlsx"));
        let source: Box<dyn Cells> = if is_xlsx {
            xlsx_file::open(path).map_err(|problem| vec![problem])?
        } else {
            Box::new(csv_file::CsvCells::open(path).map_err(|problem| vec![problem])?)
        };
        Self::with_header(source, columns)
    }

    /// A CSV text that is part of the program.
    pub fn shipped(text: &'static str, columns: &'static [Column]) -> Result<Self, Vec<Problem>> {
        Self::with_header(Box::new(csv_file::CsvCells::shipped(text)), columns)
    }

    fn with_header(mut source: Box<dyn Cells>, columns: &'static [Column]) -> Result<Self, Vec<Problem>> {
        let mut header = Vec::new();
        let line = source.next_row(&mut header).map_err(|problem| vec![problem])?;
        let line = line.ok_or_else(|| vec![Problem::file(Text::new("文件为空", "is empty"))])?;
        let places = places(columns, &header, line)?;
        Ok(Self { columns, places, width: header.len(), source, as_it_stands: Vec::new() })
    }

    /// Reads the next row that is not blank into `row`; false at the end.
    pub fn read(&mut self, row: &mut Row) -> Result<bool, Problem> {
        loop {
            let Some(line) = self.source.next_row(&mut self.as_it_stands)? else { return Ok(false) };
            row.line = line;
            if self.as_it_stands.iter().all(|cell| cell.text.is_empty()) {
                continue;
            }
            if self.as_it_stands.iter().skip(self.width).any(|cell| !cell.text.is_empty()) {
                let text = Text::new(
                    "单元格多于表头的列数，请核对分隔符与引号",
                    "has more cells than the header has columns; check separators and quotation marks",
                );
                return Err(Problem::at(line, "", text));
            }
            row.cells.resize_with(self.columns.len(), Cell::default);
            for ((cell, place), column) in row.cells.iter_mut().zip(&self.places).zip(self.columns) {
                match place.and_then(|at| self.as_it_stands.get_mut(at)) {
                    Some(found) => std::mem::swap(cell, found),
                    None => *cell = Cell::default(),
                }
                if let Some(text) = unreadable(&cell.text) {
                    return Err(Problem::at(line, column.name, text));
                }
            }
            return Ok(true);
        }
    }
}

fn unreadable(text: &str) -> Option<Text> {
    if text.len() > CELL_CHARS_MAX && text.chars().count() > CELL_CHARS_MAX {
        let (zh, en) =
            (format!("超过 {CELL_CHARS_MAX} 个字符"), format!("is longer than {CELL_CHARS_MAX} characters"));
        return Some(Text::new(zh, en));
    }
    let is_control = text.chars().any(char::is_control);
    is_control.then(|| {
        Text::new(
            "含有控制字符或换行，请删除；也请核对引号是否成对",
            "holds a control character or a line break; remove it, and check that quotation marks close",
        )
    })
}

/// Finds each column in the header; unknown columns are left alone, doubled and missing ones refused.
fn places(columns: &[Column], header: &[Cell], line: u64) -> Result<Vec<Option<usize>>, Vec<Problem>> {
    let mut places = Vec::new();
    let mut problems = Vec::new();
    for column in columns {
        let is_named = |cell: &Cell| {
            let name = cell.text.to_lowercase().replace(' ', "_");
            name == column.name || column.also.contains(&name.as_str())
        };
        let mut found = header.iter().enumerate().filter(|(_, cell)| is_named(cell)).map(|(at, _)| at);
        let place = found.next();
        if found.next().is_some() {
            let text = Text::new("表头中出现多次，请只保留一列", "heads more than one column; keep one");
            problems.push(Problem::at(line, column.name, text));
        } else if place.is_none() && column.is_required {
            let also = column.also.join(" / ");
            let text = Text::new(
                format!("表头缺少该列（也可写作 {also}）"),
                format!("is missing from the header (or by another name: {also})"),
            );
            problems.push(Problem::at(line, column.name, text));
        }
        places.push(place);
    }
    if problems.is_empty() { Ok(places) } else { Err(problems) }
}

impl Row {
    pub fn text(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", |cell| cell.text.as_str())
    }

    pub fn optional(&self, column: usize) -> Option<&str> {
        Some(self.text(column)).filter(|text| !text.is_empty())
    }
}

/// Reads the cells of one row by their columns, and keeps what is wrong with them.
pub struct Cellwise<'a> {
    row: &'a Row,
    columns: &'static [Column],
    problems: Vec<Problem>,
}

impl<'a> Cellwise<'a> {
    pub fn new(row: &'a Row, columns: &'static [Column]) -> Self {
        Self { row, columns, problems: Vec::new() }
    }

    pub fn problem(&mut self, column: usize, zh: &str, en: &str) {
        self.said(column, Text::new(zh, en));
    }

    pub fn said(&mut self, column: usize, detail: Text) {
        let name = self.columns.get(column).map_or("", |column| column.name);
        self.problems.push(Problem::at(self.row.line, name, detail));
    }

    pub fn optional(&self, column: usize) -> Option<&'a str> {
        self.row.optional(column)
    }

    pub fn required(&mut self, column: usize) -> Option<&'a str> {
        let text = self.row.optional(column);
        if text.is_none() {
            self.problem(column, "不能为空", "must not be empty");
        }
        text
    }

    /// Absent where the cell is empty, or where it does not read; the latter is kept as a problem.
    pub fn parsed<T: FromStr>(&mut self, column: usize, said: impl Fn(T::Err) -> Text) -> Option<T> {
        self.row.optional(column)?.parse().map_err(|why| self.said(column, said(why))).ok()
    }

    pub fn id_number(&mut self, column: usize) -> Option<IdNumber> {
        self.required(column)?;
        if self.row.cells.get(column).is_some_and(|cell| cell.is_number) {
            self.problem(
                column,
                "单元格按数字保存，会丢失位数；请将该列设为文本后重新填写",
                "is stored as a number, which loses digits: format the column as text and enter it again",
            );
            return None;
        }
        self.parsed(column, IdNumberError::text)
    }

    pub fn day(&mut self, column: usize) -> Option<Date> {
        let text = self.row.optional(column)?;
        let day = read_day(text);
        if day.is_none() {
            self.problem(
                column,
                "不是存在的日期，请写成 2020-06-24 的形式",
                "is no date that exists; write it like 2020-06-24",
            );
        }
        day
    }

    /// The value, if nothing of the row was wrong; otherwise all of it that was.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(self.problems),
        }
    }
}

/// `2020-06-24`, `2020/6/24`, `20200624` or `2020年6月24日`.
fn read_day(text: &str) -> Option<Date> {
    if let Ok(day) = text.parse() {
        return Some(day);
    }
    if text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?).ok();
    }
    let mut parts = text.trim_end_matches('日').split(['-', '/', '.', '年', '月']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}
