//! Hangul documents (HWP 5 and HWPX): paragraphs, tables as `a | b | c`, notes.

use unhwp::model::{Block, Document, InlineContent, Paragraph, Table};
use unhwp::{Error, ParseOptions, parse_bytes_with_options};

use super::container::Container;
use crate::Reason;

/// What a document locked for distribution holds in place of its text.
const LOCKED: [&str; 2] = ["상위 버전의 배포용 문서입니다", "배포용 문서입니다"];

/// The text of the document in `bytes`.
pub(super) fn text(bytes: &[u8]) -> Result<String, Reason> {
    if bytes.starts_with(b"PK") {
        let mut container = Container::open(bytes)?;
        container.check()?;
        if container.text("META-INF/manifest.xml")?.contains("encryption-data") {
            return Err(Reason::Encrypted);
        }
    }
    let options = ParseOptions { extract_resources: false, parallel: false, ..ParseOptions::new() };
    let document = parse_bytes_with_options(bytes, &options).map_err(|error| match error {
        Error::Encrypted => Reason::Encrypted,
        Error::DistributionRestricted => Reason::DistributionLocked,
        Error::UnknownFormat | Error::UnsupportedFormat(_) => Reason::UnknownType,
        _ => Reason::BadRecord,
    })?;
    let text = render(&document);
    // The flag is not set in every locked file; the notice is all that such a file says.
    let is_notice = text.chars().count() < 400 && LOCKED.iter().any(|notice| text.contains(notice));
    if document.metadata.is_distribution && text.trim().is_empty() || is_notice {
        return Err(Reason::DistributionLocked);
    }
    Ok(text)
}

fn render(document: &Document) -> String {
    let mut out = String::new();
    for section in &document.sections {
        for block in &section.content {
            match block {
                Block::Paragraph(paragraph) => push_line(&mut out, &line(paragraph)),
                Block::Table(table) => push_table(&mut out, table),
            }
        }
        out.push('\n');
    }
    out
}

fn push_table(out: &mut String, table: &Table) {
    for row in &table.rows {
        let cells: Vec<String> = row
            .cells
            .iter()
            .map(|cell| {
                let text: Vec<String> = cell.content.iter().map(line).collect();
                text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        push_line(out, &cells.join(" | "));
        for nested in row.cells.iter().flat_map(|cell| &cell.nested_tables) {
            push_table(out, nested);
        }
    }
}

/// The text of a paragraph, its notes in brackets.
fn line(paragraph: &Paragraph) -> String {
    let mut out = String::new();
    for part in &paragraph.content {
        match part {
            InlineContent::Text(run) => out.push_str(&run.text),
            InlineContent::LineBreak => out.push('\n'),
            InlineContent::Link { text, .. } => out.push_str(text),
            InlineContent::Footnote(note) if !note.is_empty() => {
                out.push_str(" [");
                out.push_str(note.trim());
                out.push(']');
            }
            // The script of an equation is no text.
            _ => {}
        }
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

#[cfg(test)]
pub(super) mod tests;
