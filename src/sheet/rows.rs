//! A sheet as the rows it is made of.

use std::marker::PhantomData;
use std::path::Path;

use super::{Column, Problem, Row, Sheet};

/// A kind of row: the columns it needs, and how it is read.
pub trait FromRow: Sized {
    const COLUMNS: &'static [Column];

    fn from_row(row: &Row) -> Result<Self, Vec<Problem>>;
}

/// A file, row by row.
pub struct SheetRows<T> {
    sheet: Sheet,
    row: Row,
    is_over: bool,
    kind: PhantomData<fn() -> T>,
}

impl<T: FromRow> SheetRows<T> {
    pub fn open(path: &Path) -> Result<Self, Vec<Problem>> {
        Sheet::open(path, T::COLUMNS).map(Self::of)
    }

    /// A CSV text that is part of the program.
    pub fn shipped(text: &'static str) -> Result<Self, Vec<Problem>> {
        Sheet::shipped(text, T::COLUMNS).map(Self::of)
    }

    fn of(sheet: Sheet) -> Self {
        Self { sheet, row: Row::default(), is_over: false, kind: PhantomData }
    }
}

impl<T: FromRow> Iterator for SheetRows<T> {
    type Item = Result<T, Vec<Problem>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.sheet.read(&mut self.row) {
            Ok(true) => Some(T::from_row(&self.row)),
            Ok(false) => None,
            // A row that cannot be read at all may hide where the next one begins.
            Err(problem) => {
                self.is_over = problem.column.is_empty();
                Some(Err(vec![problem]))
            }
        }
    }
}
