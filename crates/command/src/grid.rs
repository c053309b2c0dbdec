//! A table whose columns are lost, one after the other, where it is too wide. What is in a cell is
//! never broken.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table};
use unicode_width::UnicodeWidthStr;

/// What is between two columns.
const GAP: usize = 2;

/// A table.
#[derive(Default)]
pub struct Grid(Vec<Column>);

struct Column {
    header: &'static str,
    cells: Vec<Text>,
    is_right: bool,
}

/// The text of a cell, and its colour.
pub type Text = (String, Option<Color>);

impl Grid {
    /// Adds a column on the right.
    pub fn add(&mut self, header: &'static str, cells: impl Iterator<Item = Text>) -> &mut Self {
        self.0.push(Column { header, cells: cells.collect(), is_right: false });
        self
    }

    /// Adds a column of numbers on the right.
    pub fn add_numbers(&mut self, header: &'static str, cells: impl Iterator<Item = Text>) {
        self.add(header, cells);
        self.0.last_mut().expect("just added").is_right = true;
    }

    /// How wide it is.
    pub fn width(&self) -> usize {
        let columns: usize = self.0.iter().map(|column| column.width() + GAP).sum();
        columns.saturating_sub(GAP)
    }

    /// Loses these columns, the first first, until it is at most this wide.
    pub fn fit(&mut self, width: Option<usize>, lost: &[&str]) {
        for header in lost {
            if width.is_none_or(|width| self.width() <= width) {
                break;
            }
            self.0.retain(|column| column.header != *header);
        }
    }

    /// Loses those of these columns in which there is nothing.
    pub fn lose_empty(&mut self, headers: &[&str]) {
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
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        // Where nobody sees them they are removed when it is printed.
        table.enforce_styling().style_text_only();
        table.set_header(self.0.iter().map(|column| column.header));
        let rights: Vec<_> = self.0.iter().map(|column| column.is_right).collect();
        let mut columns: Vec<_> =
            self.0.into_iter().map(|column| column.cells.into_iter()).collect();
        loop {
            let row: Option<Vec<_>> =
                columns.iter_mut().map(|cells| cells.next().map(cell)).collect();
            let Some(row) = row.filter(|row| !row.is_empty()) else { break };
            table.add_row(row);
        }
        for (column, is_right) in table.column_iter_mut().zip(rights) {
            column.set_padding((0, GAP as u16));
            if is_right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|(text, _)| text.width());
        cells.max().unwrap_or(0).max(self.header.width())
    }
}

fn cell((text, color): Text) -> Cell {
    let cell = Cell::new(text);
    match color {
        Some(color) => cell.fg(color),
        None => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_lost_in_the_order_given_and_cells_stay_whole() {
        let lines = |width| {
            let mut grid = Grid::default();
            for (header, text) in [("A", "日本語"), ("B", "10.0.0.1:5432"), ("C", "x")] {
                grid.add(header, [text, "2"].map(|text| (text.into(), None)).into_iter());
            }
            grid.fit(Some(width), &["C", "A"]);
            grid.lines()
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
