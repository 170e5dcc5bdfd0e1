//! Lines, tables and numbers as the plan shows them.

use unicode_width::UnicodeWidthStr as _;

use super::super::figure::{Figure, scaled};
use crate::output::{bytes, table};

/// Columns of a terminal that are filled.
const WIDTH: usize = 100;
/// `1 arm`, `2 arms`.
pub(super) fn counted(count: usize, name: &str) -> String {
    let ending = if name.ends_with("ch") { "es" } else { "s" };
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}{ending}") }
}

/// A line of at most [`WIDTH`] columns, what is beyond it in further lines after `indent` spaces.
pub(super) fn wrapped(line: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut at = 0;
    for word in line.split_inclusive(' ') {
        if at > indent && at + word.trim_end().width() > WIDTH {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text += &" ".repeat(indent);
            at = indent;
        }
        text += word;
        at += word.width();
    }
    text + "\n"
}

/// In the unit that suits it: KiB, MiB, GiB.
pub(super) fn in_bytes(figure: Figure) -> String {
    figure.shown(|value| bytes(value as u64))
}

/// A number of hours, for a column.
pub(super) fn in_hours(figure: Figure) -> String {
    match figure.value {
        0.0 => figure.count(),
        hours if hours < 0.005 => "<0.01".to_owned(),
        hours if hours < 1.0 => figure.decimal(2),
        hours if hours < 10.0 => figure.decimal(1),
        _ => figure.count(),
    }
}

/// In the unit that suits it.
pub(super) fn in_time(figure: Figure) -> String {
    if figure.value == 0.0 {
        return "nothing left".to_owned();
    }
    let (unit, name) = match figure.value {
        hours if hours < 1.0 / 60.0 => (3600.0, "s"),
        hours if hours < 1.0 => (60.0, "min"),
        hours if hours < 72.0 => (1.0, "h"),
        _ => (1.0 / 24.0, "days"),
    };
    let figure = figure.map(|hours| hours * unit);
    let number = if figure.value < 10.0 { figure.decimal(1) } else { figure.decimal(0) };
    format!("{number} {name}")
}

/// With the prefix of its thousands: `~121 M`.
pub(super) fn in_millions(figure: Figure) -> String {
    figure.shown(|value| scaled(value, "").trim_end().to_owned())
}

/// A table whose columns from `first` on stand to the right.
pub(super) fn right_aligned(mut rows: Vec<Vec<String>>, first: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    for column in first..columns {
        let cells = || rows.iter().filter_map(|row| row.get(column));
        let width = cells().map(|cell| cell.width()).max().unwrap_or(0);
        for row in &mut rows {
            if let Some(cell) = row.get_mut(column) {
                *cell = " ".repeat(width - cell.width()) + cell;
            }
        }
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_wrapped_between_words_by_what_is_seen() {
        let line = format!("from: {}", "출판사 ".repeat(20));
        let text = wrapped(line.trim_end(), 6);
        let widths: Vec<usize> = text.lines().map(|line| line.width()).collect();
        assert_eq!(widths, [96, 54]);
        assert!(text.lines().nth(1).unwrap().starts_with("      출판사"), "{text}");
        assert_eq!(wrapped("short", 2), "short\n");
    }

    #[test]
    fn time_is_shown_in_the_unit_that_suits_it() {
        let shown = [0.0, 0.001, 0.5, 30.0, 319.4].map(|hours| in_time(Figure::estimate(hours)));
        assert_eq!(shown, ["nothing left", "~3.6 s", "~30 min", "~30 h", "~13 days"]);
        let hours = [0.0, 0.001, 0.5, 4.62, 319.4].map(|hours| in_hours(Figure::estimate(hours)));
        assert_eq!(hours, ["~0", "<0.01", "~0.50", "~4.6", "~319"]);
    }

    #[test]
    fn numbers_with_marks_stand_to_the_right() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["교과서", "words"]), row(["a", "~7"]), row(["b", "≥~1,200"])];
        insta::assert_snapshot!(right_aligned(rows, 1), @r"
        교과서    words
        ------  -------
        a            ~7
        b       ≥~1,200
        ");
    }
}
