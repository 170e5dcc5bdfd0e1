//! Pages to running text: what belongs to the page goes, what was broken at its edge is joined.
//!
//! Owns running heads and feet, page numbers, lines of a table of contents, and line breaks. It knows
//! nothing of formats: a page is lines of text. Every decision rests on the whole book.
//!
//! Invariant: but for the lines that are taken out and counted, every letter and digit stays, in
//! order.

mod furniture;
mod lines;
mod section;

use serde::{Deserialize, Serialize};

pub use section::{Section, sections};

/// Which parts of pages are taken out or joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StructureOptions {
    /// Take out running heads and feet, and page numbers.
    pub page_furniture: bool,
    /// Take out the lines of tables of contents: text, leader dots, a page number.
    pub contents: bool,
    /// Join lines that were broken at the edge of the page; part of that is the hyphen at it.
    pub line_breaks: bool,
}

/// What was taken out or joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructureCounts {
    /// Pages.
    pub pages: u64,
    /// Lines of running heads and feet.
    pub running_lines: u64,
    /// Lines that are a page number.
    pub page_numbers: u64,
    /// Lines of tables of contents.
    pub contents_lines: u64,
    /// Lines joined to the line before with a space.
    pub joined_with_space: u64,
    /// Lines joined inside a Korean word.
    pub joined_in_eojeol: u64,
    /// Hyphens taken out at the end of a line.
    pub hyphens: u64,
}

impl StructureCounts {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.running_lines += other.running_lines;
        self.page_numbers += other.page_numbers;
        self.contents_lines += other.contents_lines;
        self.joined_with_space += other.joined_with_space;
        self.joined_in_eojeol += other.joined_in_eojeol;
        self.hyphens += other.hyphens;
    }
}

/// The running text of `pages`; without options they are joined by a line break.
pub fn structure(
    pages: &[&str],
    options: &StructureOptions,
    counts: &mut StructureCounts,
) -> String {
    counts.pages += pages.len() as u64;
    let mut lines: Vec<Vec<&str>> =
        pages.iter().map(|page| page.lines().map(str::trim_end).collect()).collect();
    if options.page_furniture {
        furniture::remove(&mut lines, counts);
    }
    if options.contents {
        for page in &mut lines {
            let before = page.len();
            page.retain(|line| !furniture::is_contents(line));
            counts.contents_lines += (before - page.len()) as u64;
        }
    }
    if options.line_breaks {
        return lines::join(&lines, counts);
    }
    let pages: Vec<String> = lines.iter().map(|page| page.join("\n")).collect();
    pages.join("\n")
}

#[cfg(test)]
mod tests;
