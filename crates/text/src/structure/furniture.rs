//! What belongs to the page: running heads and feet, page numbers, leader dots.

use std::collections::{HashMap, HashSet};

use super::StructureCounts;

/// Lines from the top, and as many from the bottom, in which heads and feet are looked for.
const EDGE_LINES: usize = 3;
/// A line is a running one when it recurs on this share of the pages.
const MIN_SHARE: f64 = 0.3;
/// Fewer recurrences are a coincidence.
const MIN_PAGES: usize = 3;

/// Takes them out of `pages`.
pub(super) fn remove(pages: &mut [Vec<&str>], counts: &mut StructureCounts) {
    let mut recurrences: HashMap<String, usize> = HashMap::new();
    for page in pages.iter() {
        let keys: HashSet<String> = edges(page).into_iter().map(|at| key(page[at])).collect();
        keys.into_iter().for_each(|key| *recurrences.entry(key).or_default() += 1);
    }
    let least = MIN_PAGES.max((MIN_SHARE * pages.len() as f64).ceil() as usize);
    let is_book = pages.len() >= MIN_PAGES;
    for page in pages {
        let mut drop = HashSet::new();
        for at in edges(page) {
            if is_book && is_page_number(page[at]) {
                counts.page_numbers += 1;
                drop.insert(at);
            } else if recurrences.get(&key(page[at])).is_some_and(|count| *count >= least) {
                counts.running_lines += 1;
                drop.insert(at);
            }
        }
        let mut at = 0;
        page.retain(|_| {
            at += 1;
            !drop.contains(&(at - 1))
        });
    }
}

/// The places of the first and last lines that are not blank.
fn edges(page: &[&str]) -> Vec<usize> {
    let full: Vec<usize> = (0..page.len()).filter(|at| !page[*at].trim().is_empty()).collect();
    let bottom = full.len().saturating_sub(EDGE_LINES).max(EDGE_LINES.min(full.len()));
    full.iter().take(EDGE_LINES).chain(&full[bottom..]).copied().collect()
}

/// The line without what changes from page to page.
fn key(line: &str) -> String {
    let mut key = String::with_capacity(line.len());
    for character in line.trim().chars() {
        match character {
            '0'..='9' if key.ends_with('#') => {}
            '0'..='9' => key.push('#'),
            _ => key.extend(character.to_lowercase()),
        }
    }
    key
}

/// `12`, `- 12 -`, `xiv`, `12 / 340`, `p. 12`, `Page 12 of 340`, `12쪽`.
fn is_page_number(line: &str) -> bool {
    let lower = line.trim().to_lowercase();
    let core =
        lower.trim_matches(|c: char| matches!(c, '-' | '–' | '—' | '·' | '|' | '[' | ']' | ' '));
    let core =
        core.trim_start_matches("page").trim_start_matches("p.").trim_end_matches('쪽').trim();
    let is_number = |text: &str| {
        !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_roman =
        !core.is_empty() && core.len() <= 7 && core.bytes().all(|byte| b"ivxlc".contains(&byte));
    let of = core.split_once(" of ").or_else(|| core.split_once('/'));
    is_number(core)
        || is_roman
        || of.is_some_and(|(page, all)| is_number(page.trim()) && is_number(all.trim()))
}

/// A line of a table of contents: leader dots and a page number at its end.
pub(super) fn is_contents(line: &str) -> bool {
    let line = line.trim_end();
    let title = line.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_leader = |c: char| matches!(c, '.' | '·' | '…' | '‥' | '・' | ' ');
    let before = title.trim_end_matches(is_leader);
    let dots: usize = title[before.len()..]
        .chars()
        .map(|c| match c {
            ' ' => 0,
            '…' => 3,
            '‥' => 2,
            _ => 1,
        })
        .sum();
    title.len() < line.len() && dots >= 4 && !before.is_empty()
}
