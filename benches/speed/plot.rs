//! The comparisons as bars, in SVG.

use std::fmt::Write;

use crate::table::Panel;

const WIDTH: f64 = 760.0;
const NAMES: f64 = 300.0;
const VALUES: f64 = 80.0;
const LINE: f64 = 24.0;

/// One bar for each candidate, one group of bars for each comparison.
pub fn svg(panels: &[Panel]) -> String {
    let lines: usize = panels.iter().map(|panel| panel.rows.len() + 2).sum();
    let height = LINE * lines as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = 0.0;
    let text = |svg: &mut String, x: f64, y: f64, style: &str, text: &str| {
        let y = y + LINE * 0.7;
        writeln!(svg, "<text x=\"{x:.0}\" y=\"{y:.0}\"{style}>{text}</text>")
            .expect("a string takes everything");
    };
    for panel in panels {
        let longest = panel.rows.iter().map(|row| row.value).fold(f64::MIN_POSITIVE, f64::max);
        let title = format!("{}, {}", panel.title, panel.unit);
        text(&mut svg, 8.0, y, " font-weight=\"bold\"", &title);
        y += LINE;
        for row in &panel.rows {
            let length = row.value.max(0.0) / longest * (WIDTH - NAMES - VALUES);
            let colour = if row.name == "libkeepalive" { "#1b7f4b" } else { "#9aa5b1" };
            text(&mut svg, NAMES - 8.0, y, " text-anchor=\"end\"", &row.name);
            writeln!(
                svg,
                "<rect x=\"{NAMES}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"{:.0}\" \
                 fill=\"{colour}\"/>",
                y + LINE * 0.15,
                LINE * 0.7
            )
            .expect("a string takes everything");
            let digits = if row.value < 1000.0 { 1 } else { 0 };
            text(&mut svg, NAMES + length + 6.0, y, "", &format!("{:.digits$}", row.value));
            y += LINE;
        }
        y += LINE;
    }
    svg + "</svg>\n"
}
