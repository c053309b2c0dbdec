//! A table that drops columns until it fits the terminal. A cell is never broken.

use anstyle::AnsiColor;
use unicode_width::UnicodeWidthStr;

use super::styled;

/// Blanks between two columns.
const GAP: usize = 2;

/// A table.
#[derive(Default)]
pub struct Table(Vec<Column>);

struct Column {
    header: &'static str,
    cells: Vec<Cell>,
    is_right: bool,
}

/// The text of a cell, and its colour.
pub type Cell = (String, Option<AnsiColor>);

impl Table {
    /// Adds a column on the right.
    pub fn add(&mut self, header: &'static str, cells: impl Iterator<Item = Cell>) -> &mut Self {
        self.0.push(Column { header, cells: cells.collect(), is_right: false });
        self
    }

    /// Adds a column of numbers on the right.
    pub fn add_numbers(&mut self, header: &'static str, cells: impl Iterator<Item = Cell>) {
        self.add(header, cells);
        self.0.last_mut().expect("just added").is_right = true;
    }

    /// How wide it is.
    pub fn width(&self) -> usize {
        let columns: usize = self.0.iter().map(|column| column.width() + GAP).sum();
        columns.saturating_sub(GAP)
    }

    /// Drops columns in this order until the table is at most this wide.
    pub fn fit(&mut self, width: Option<usize>, order: &[&str]) {
        for header in order {
            if width.is_none_or(|width| self.width() <= width) {
                break;
            }
            self.0.retain(|column| column.header != *header);
        }
    }

    /// Drops those of these columns that are empty.
    pub fn drop_empty(&mut self, headers: &[&str]) {
        let is_empty = |column: &Column| column.cells.iter().all(|(text, _)| text == "-");
        self.0.retain(|column| !headers.contains(&column.header) || !is_empty(column));
    }

    /// Gives a column a shorter header.
    pub fn rename(&mut self, header: &str, other: &'static str) {
        let columns = self.0.iter_mut().filter(|column| column.header == header);
        columns.for_each(|column| column.header = other);
    }

    /// The header, and a line for each row.
    pub fn lines(self) -> Vec<String> {
        let rows = self.0.iter().map(|column| column.cells.len()).max().unwrap_or(0);
        let widths: Vec<_> = self.0.iter().map(Column::width).collect();
        let line = |cell: &dyn Fn(&Column, usize) -> String| {
            let cells: Vec<_> =
                self.0.iter().zip(&widths).map(|(it, width)| cell(it, *width)).collect();
            cells.join(&" ".repeat(GAP)).trim_end().to_owned()
        };
        let header = line(&|column, width| column.pad(column.header, None, width));
        let row = |row: usize| {
            line(&|column, width| {
                let (text, color) = &column.cells[row];
                column.pad(text, *color, width)
            })
        };
        std::iter::once(header).chain((0..rows).map(row)).collect()
    }
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|(text, _)| text.width());
        cells.max().unwrap_or(0).max(self.header.width())
    }

    /// A text in its colour, with blanks up to this width.
    fn pad(&self, text: &str, color: Option<AnsiColor>, width: usize) -> String {
        let blanks = " ".repeat(width - text.width());
        // Where nobody sees colours they are removed when the table is printed.
        let text = color.map_or(text.into(), |color| styled(text, color.on_default()));
        if self.is_right { blanks + &text } else { text + &blanks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_dropped_in_the_order_given_and_cells_stay_whole() {
        let lines = |width| {
            let mut table = Table::default();
            for (header, text) in [("A", "日本語"), ("B", "10.0.0.1:5432"), ("C", "x")] {
                table.add(header, [text, "2"].map(|text| (text.into(), None)).into_iter());
            }
            table.fit(Some(width), &["C", "A"]);
            table.lines()
        };
        assert_eq!(
            lines(24),
            ["A       B              C", "日本語  10.0.0.1:5432  x", "2       2              2"]
        );
        assert_eq!(lines(23)[0], "A       B");
        assert_eq!(lines(20), ["B", "10.0.0.1:5432", "2"]);
        assert_eq!(lines(3), ["B", "10.0.0.1:5432", "2"]);
    }
}
