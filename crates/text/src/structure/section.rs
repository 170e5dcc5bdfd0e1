//! Sections of notes and reports by their headings.

/// A heading and what stands under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading, without its mark.
    pub name: String,
    /// The first byte of the heading's line.
    pub start: usize,
    /// One past the last byte of what stands under it.
    pub end: usize,
}

/// Longer lines are no headings.
const MAX_HEADING_CHARS: usize = 42;

/// The sections of `text`, in order; text before the first heading is in none.
///
/// A heading is a line that ends in `:` or begins with a short label before `>` (`C.C>`), or
/// capitals before a colon (`IMPRESSION: …`).
pub fn sections(text: &str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(name) = heading(line) {
            if let Some(last) = found.last_mut() {
                last.end = at;
            }
            found.push(Section { name: name.to_owned(), start: at, end: text.len() });
        }
        at += line.len();
    }
    found
}

fn heading(line: &str) -> Option<&str> {
    let line = line.trim();
    if let Some(name) = line.strip_suffix([':', '：']) {
        return is_label(name).then_some(name);
    }
    // What is behind the longest label is not looked at.
    let head = &line.as_bytes()[..line.len().min(4 * MAX_HEADING_CHARS + 2)];
    if let Some(name) = head.iter().position(|byte| *byte == b'>').map(|at| &line[..at])
        && is_label(name)
        && name.chars().count() <= 20
        && !name.contains(' ')
    {
        return Some(name);
    }
    let name = &line[..head.windows(2).position(|pair| pair == b": ")?];
    let is_capital = name.len() > 3
        && name.bytes().any(|byte| byte.is_ascii_uppercase())
        && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    (is_capital && is_label(name)).then_some(name)
}

fn is_label(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_uppercase() || ('가'..='힣').contains(&c));
    let fits = |c: char| c.is_alphanumeric() || " /&-.()".contains(c);
    let length = name.chars().count();
    starts && (2..=MAX_HEADING_CHARS).contains(&length) && name.chars().all(fits)
}
