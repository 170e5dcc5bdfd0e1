//! Tables of text, as Markdown and as HTML.
//!
//! Owns their form and escaping; knows nothing of what the cells mean.

use std::fmt::Write;

use crate::escape::escape;

/// A page shows a table of more rows folded, until the reader opens it.
const OPEN_ROWS: usize = 40;

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// The head of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its title.
    pub name: String,
    /// The side of its cells.
    pub align: Align,
}

impl TableColumn {
    /// A column of words.
    pub fn left(name: &str) -> Self {
        Self { name: name.to_owned(), align: Align::Left }
    }

    /// A column of numbers.
    pub fn right(name: &str) -> Self {
        Self { name: name.to_owned(), align: Align::Right }
    }
}

/// A cell of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it says; not markup.
    pub text: String,
    /// Whether it stands out.
    pub strong: bool,
}

impl Cell {
    /// A cell that does not stand out.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), strong: false }
    }
}

/// A table with a title and a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// What to know to read it; may be empty.
    pub note: String,
    /// The columns.
    pub columns: Vec<TableColumn>,
    /// The rows; a row shorter than `columns` is filled with empty cells.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without those of `names` in which every cell is empty.
    pub(crate) fn without_empty_columns(mut self, names: &[&str]) -> Self {
        let is_empty = |at: usize| {
            self.rows.iter().all(|row| row.get(at).is_none_or(|cell| cell.text.is_empty()))
        };
        let keep: Vec<bool> = (0..self.columns.len())
            .map(|at| !(names.contains(&self.columns[at].name.as_str()) && is_empty(at)))
            .collect();
        let mut kept = keep.iter();
        self.columns.retain(|_| *kept.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut kept = keep.iter();
            row.retain(|_| *kept.next().unwrap_or(&true));
        }
        self
    }

    /// The table in Markdown under a heading of the third level.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("### {}\n\n", inline(&self.title));
        for column in &self.columns {
            let _ = write!(text, "| {} ", inline(&column.name));
        }
        text.push_str("|\n");
        for column in &self.columns {
            text.push_str(if column.align == Align::Left { "|---" } else { "|--:" });
        }
        text.push_str("|\n");
        for row in &self.rows {
            for cell in self.cells(row) {
                let mark = if cell.strong { "**" } else { "" };
                let _ = write!(text, "| {mark}{}{mark} ", inline(&cell.text));
            }
            text.push_str("|\n");
        }
        if !self.note.is_empty() {
            let _ = write!(text, "\n{}\n", inline(&self.note));
        }
        text
    }

    /// The table in HTML under a heading of the second level.
    pub(crate) fn to_html(&self) -> String {
        let title = escape(&self.title);
        let is_long = self.rows.len() > OPEN_ROWS;
        let mut text = if is_long {
            let rows = self.rows.len();
            format!("<details>\n<summary><h2>{title}</h2> {rows} rows</summary>\n")
        } else {
            format!("<section>\n<h2>{title}</h2>\n")
        };
        text.push_str("<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr>");
        for column in &self.columns {
            let class = class(column.align);
            let _ = write!(text, "<th scope=\"col\"{class}>{}</th>", escape(&column.name));
        }
        text.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            text.push_str("<tr>");
            for (cell, column) in self.cells(row).zip(&self.columns) {
                let (open, close) = if cell.strong { ("<b>", "</b>") } else { ("", "") };
                let class = class(column.align);
                let _ = write!(text, "<td{class}>{open}{}{close}</td>", escape(&cell.text));
            }
            text.push_str("</tr>\n");
        }
        text.push_str("</tbody></table></div>\n");
        if !self.note.is_empty() {
            let _ = writeln!(text, "<p class=\"note\">{}</p>", escape(&self.note));
        }
        text.push_str(if is_long { "</details>\n" } else { "</section>\n" });
        text
    }

    fn cells<'t>(&'t self, row: &'t [Cell]) -> impl Iterator<Item = &'t Cell> {
        static EMPTY: Cell = Cell { text: String::new(), strong: false };
        (0..self.columns.len()).map(|at| row.get(at).unwrap_or(&EMPTY))
    }
}

fn class(align: Align) -> &'static str {
    match align {
        Align::Left => "",
        Align::Right => " class=\"number\"",
    }
}

/// `text` on one line of a Markdown table.
fn inline(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '*' | '`' | '<' | '\\' => line.extend(['\\', character]),
            _ if character.is_control() => line.push(' '),
            _ => line.push(character),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            title: "말뭉치 & corpus".to_owned(),
            note: String::new(),
            columns: vec![TableColumn::left("source"), TableColumn::right("words")],
            rows: vec![
                vec![Cell::plain("<script>alert(1)</script>"), Cell::plain("12")],
                vec![Cell { text: "교과서|책".to_owned(), strong: true }],
            ],
        }
    }

    #[test]
    fn cells_are_text_and_never_markup() {
        let html = table().to_html();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "{html}");
        assert!(html.contains("말뭉치 &amp; corpus"), "{html}");
    }

    #[test]
    fn markdown_keeps_its_columns_whatever_a_cell_holds() {
        let markdown = table().to_markdown();
        assert!(markdown.contains("| **교과서\\|책** |  |\n"), "{markdown}");
        assert!(markdown.contains("|---|--:|\n"), "{markdown}");
    }

    #[test]
    fn only_named_columns_are_dropped_when_empty() {
        let mut table = table();
        table.rows.iter_mut().for_each(|row| row.truncate(1));
        assert_eq!(table.clone().without_empty_columns(&[]).columns.len(), 2);
        assert_eq!(table.without_empty_columns(&["words"]).columns.len(), 1);
    }
}
