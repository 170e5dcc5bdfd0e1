//! The only place that writes to the terminal: results to standard output, everything else to
//! standard error; tables.

use std::io::Write;

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
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let mut text = String::new();
    let layout: Vec<(usize, bool)> = (0..columns)
        .map(|column| {
            let width = rows.iter().map(|row| cell(row, column).width()).max().unwrap_or(0);
            let numeric = rows.iter().skip(1).all(|row| is_number(&cell(row, column)));
            (width, numeric && rows.len() > 1)
        })
        .collect();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = layout
            .iter()
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
            let rules: Vec<String> = layout.iter().map(|(width, _)| "-".repeat(*width)).collect();
            text += &rules.join("  ");
            text.push('\n');
        }
    }
    text
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
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(
            [grouped(7), grouped(1000), grouped(486_729_187)],
            ["7", "1,000", "486,729,187"]
        );
        assert_eq!([bytes(5), bytes(2048), bytes(3 << 30)], ["5 B", "2.0 KiB", "3.0 GiB"]);
    }
}
