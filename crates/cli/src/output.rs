//! The only place that writes to the terminal: results to standard output, everything else to
//! standard error; tables.

use std::io::Write;

use bimed_eval::{Align, Table};
use unicode_width::UnicodeWidthStr;

/// Writes to standard output. A closed pipe (`| head`) is not an error.
pub(crate) fn result(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes to standard error.
pub(crate) fn error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Rows in columns as wide as their widest cell, numbers to the right; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let is_numeric = |column: usize| {
        rows.len() > 1
            && rows.iter().skip(1).all(|row| row.get(column).is_none_or(|cell| is_number(cell)))
    };
    aligned(rows, &(0..columns).map(is_numeric).collect::<Vec<_>>())
}

/// A titled table on a terminal.
pub(crate) fn titled(table: &Table) -> String {
    let heading = table.columns.iter().map(|column| column.name.clone()).collect();
    let cells = table.rows.iter().map(|row| row.iter().map(|cell| cell.text.clone()).collect());
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(cells).collect();
    let right: Vec<bool> =
        table.columns.iter().map(|column| column.align == Align::Right).collect();
    // A table without rows has its note alone.
    let body = if table.rows.is_empty() { String::new() } else { aligned(&rows, &right) };
    let gap = if body.is_empty() || table.note.is_empty() { "" } else { "\n" };
    let note = if table.note.is_empty() { String::new() } else { format!("{}\n", table.note) };
    format!("{}\n\n{body}{gap}{note}\n", printable(&table.title))
}

/// Rows in columns as wide as their widest cell; `right` says which columns stand to the right.
fn aligned(rows: &[Vec<String>], right: &[bool]) -> String {
    let cell =
        |row: &Vec<String>, column: usize| printable(row.get(column).map_or("", String::as_str));
    let widths: Vec<usize> = (0..right.len())
        .map(|column| rows.iter().map(|row| cell(row, column).width()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = widths
            .iter()
            .zip(right)
            .enumerate()
            .map(|(column, (width, right))| {
                let cell = cell(row, column);
                let padding = " ".repeat(width.saturating_sub(cell.width()));
                if *right { padding + &cell } else { cell + &padding }
            })
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
        if number == 0 && rows.len() > 1 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            text += &rules.join("  ");
            text.push('\n');
        }
    }
    text
}

/// `text` without control characters: a name in a foreign file must not move the cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

fn is_number(cell: &str) -> bool {
    cell.is_empty()
        || cell == "–"
        || cell.starts_with(|first: char| first.is_ascii_digit() || "+-−.".contains(first))
            && cell.trim_end_matches(['%']).replace([',', '−', '+', ' '], "").parse::<f64>().is_ok()
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes in the largest unit that leaves at least one.
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_for_hangul_and_latin_alike() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["source", "words", "note"]),
            row(["교과서", "1,200", "ko"]),
            row(["notes", "7", "CT상"]),
        ];
        insta::assert_snapshot!(table(&rows), @r"
    source  words  note
    ------  -----  ----
    교과서  1,200  ko
    notes       7  CT상
    ");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let rows = [vec!["tensor".to_owned()], vec!["bert.\u{1b}[2Jㅁ\r\n".to_owned()]];
        assert!(!table(&rows).contains(['\u{1b}', '\r']), "{:?}", table(&rows));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(
            [grouped(7), grouped(1000), grouped(486_729_187)],
            ["7", "1,000", "486,729,187"]
        );
        assert_eq!([bytes(5), bytes(2048), bytes(3 << 30)], ["5 B", "2.0 KiB", "3.0 GiB"]);
    }
}
