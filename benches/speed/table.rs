//! Medians, and tables of them in Markdown.

use crate::support::document::{Part, is_to_be_written};

/// What was measured for one candidate.
pub struct Row {
    /// Its name.
    pub name: String,
    /// The figure that the plot shows.
    pub value: f64,
}

/// One comparison.
pub struct Panel {
    /// What was done.
    pub title: String,
    /// The unit of the values.
    pub unit: &'static str,
    /// One for each candidate.
    pub rows: Vec<Row>,
}

/// The value in the middle.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Prints a table, its columns as wide as they must be, and adds it to what was printed.
pub fn print(printed: &mut String, title: &str, header: &[&str], rows: &[Vec<String>]) {
    let table = table(title, header, rows);
    print!("{table}");
    printed.push_str(&table);
}

fn table(title: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let mut table = format!("\n### {title}\n\n") + &line(&mut header.iter().copied());
    let rules: Vec<_> = widths
        .iter()
        .enumerate()
        .map(|(column, &width)| match column {
            0 => "-".repeat(width),
            _ => "-".repeat(width - 1) + ":",
        })
        .collect();
    table += &line(&mut rules.iter().map(String::as_str));
    for row in rows {
        table += &line(&mut row.iter().map(String::as_str));
    }
    table
}

/// Writes the tables into their part of the document, if they are to be written and were not measured
/// in a hurry. An error if the document has others then, or other rows and columns.
pub fn document(part: &Part, tables: &str, is_quick: bool) -> Result<(), String> {
    if is_to_be_written() && !is_quick {
        part.write(tables);
    }
    // Without the figures and the widths.
    let form = |text: &str| -> String {
        text.chars().filter(|it| it.is_alphabetic() || "|#\n".contains(*it)).collect()
    };
    if form(&part.read()) == form(tables) {
        Ok(())
    } else {
        Err(format!("docs/{}, by {}: other tables, rows or columns", part.document, part.by))
    }
}
