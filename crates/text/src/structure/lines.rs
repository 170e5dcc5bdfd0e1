//! Lines broken at the edge of the page, joined again.
//!
//! A line that reaches the edge without ending a sentence goes on in the next. Whether a hyphen or
//! the middle of a Korean word stood at the edge is asked of the book: the joined form must occur
//! in it elsewhere.

use std::collections::HashMap;

use super::StructureCounts;

/// A line reaches the edge from this share of the usual width on.
const FULL_SHARE: f64 = 0.85;
/// Narrower lines say nothing about the width of the page.
const MIN_WIDTH: usize = 20;
/// With a smaller share of full lines the text is not broken at an edge.
const MIN_FULL_SHARE: f64 = 0.4;
/// Fewer full lines are a coincidence.
const MIN_FULL_LINES: usize = 4;

/// The text of `pages` with broken lines joined; a paragraph may go on over a page.
pub(super) fn join(pages: &[Vec<&str>], counts: &mut StructureCounts) -> String {
    let lines: Vec<&str> = pages.iter().flat_map(|page| page_lines(page)).collect();
    let Some(edge) = edge(&lines) else { return lines.join("\n") };
    let book = Book::of(&lines);
    let mut out = String::new();
    let mut before: Option<&str> = None;
    for line in lines {
        let joint = match before {
            Some(before) if goes_on(before, line, edge) => book.joint(before, line.trim_start()),
            _ => Joint::Break,
        };
        match joint {
            Joint::Break if before.is_none() => {}
            Joint::Break => out.push('\n'),
            Joint::Space => {
                counts.joined_with_space += 1;
                out.push(' ');
            }
            Joint::InWord => counts.joined_in_eojeol += 1,
            Joint::KeepHyphen => counts.joined_with_space += 1,
            Joint::DropHyphen => {
                counts.hyphens += 1;
                out.pop();
            }
        }
        out.push_str(if joint == Joint::Break { line } else { line.trim_start() });
        before = Some(line);
    }
    out
}

/// Without the blank lines at the page's ends, which are no end of a paragraph.
fn page_lines<'a>(page: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let is_full = |line: &&str| !line.trim().is_empty();
    let first = page.iter().position(is_full).unwrap_or(page.len());
    let last = page.iter().rposition(is_full).map_or(first, |at| at + 1);
    page[first..last].iter().copied()
}

/// The columns of a line, Hangul and ideographs counting twice.
fn width(line: &str) -> usize {
    line.trim().chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum()
}

/// The usual width of a full line; nothing where lines are not broken at one.
fn edge(lines: &[&str]) -> Option<usize> {
    const STEP: usize = 4;
    let mut widths: Vec<usize> = lines.iter().map(|line| width(line)).collect();
    widths.retain(|width| *width >= MIN_WIDTH);
    let mut histogram: HashMap<usize, usize> = HashMap::new();
    widths.iter().for_each(|width| *histogram.entry(width / STEP).or_default() += 1);
    let mode = histogram.into_iter().max_by_key(|(step, count)| (*count, *step))?.0;
    let edge = mode * STEP;
    let least = (FULL_SHARE * edge as f64) as usize;
    let most = edge + edge / 6 + STEP;
    let full = widths.iter().filter(|width| (least..=most).contains(width)).count();
    (full >= MIN_FULL_LINES && full as f64 >= MIN_FULL_SHARE * widths.len() as f64).then_some(edge)
}

/// Whether the sentence of `line` goes on in `next`.
fn goes_on(line: &str, next: &str, edge: usize) -> bool {
    let (end, next) = (line.trim_end(), next.trim_start());
    let last =
        end.trim_end_matches(['"', '\'', ')', ']', '”', '’', '」', '』']).chars().next_back();
    let is_ended = last.is_none_or(|last| matches!(last, '.' | '!' | '?' | '。' | ':' | ';' | '>'));
    let is_row = |line: &str| line.contains(" | ") || line.contains('\t');
    width(line) as f64 >= FULL_SHARE * edge as f64
        && !is_ended
        && !next.is_empty()
        && !is_row(end)
        && !is_row(next)
        && !begins_item(next)
}

/// `- `, `• `, `1. `, `1) `, `가. `, `① `.
fn begins_item(line: &str) -> bool {
    let Some((marker, _)) = line.split_once(' ') else { return false };
    let is_bullet =
        matches!(marker, "-" | "*" | "•" | "·" | "▪" | "■" | "□" | "○" | "●" | "–" | "※" | "#");
    let is_circled = marker.chars().all(|c| ('①'..='⑳').contains(&c));
    let core = marker.trim_start_matches('(').trim_end_matches(['.', ')']);
    let is_number = core.len() <= 3 && core.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = core.chars().count() == 1;
    is_bullet || is_circled || (core.len() < marker.len() && (is_number || is_letter))
}

/// How two lines meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    Break,
    Space,
    InWord,
    KeepHyphen,
    DropHyphen,
}

/// How often each word stands inside a line.
struct Book<'a>(HashMap<&'a str, u32>);

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

impl<'a> Book<'a> {
    fn of(lines: &[&'a str]) -> Self {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            // The last and the first word may be halves.
            let inner = words.len().saturating_sub(1).max(1)..;
            for word in words.get(1..inner.start).into_iter().flatten() {
                *counts.entry(bare(word)).or_default() += 1;
            }
        }
        Self(counts)
    }

    fn count(&self, word: &str) -> u32 {
        self.0.get(bare(word)).copied().unwrap_or(0)
    }

    fn joint(&self, line: &str, next: &str) -> Joint {
        let last = line.split_whitespace().next_back().unwrap_or_default();
        let first = next.split_whitespace().next().unwrap_or_default();
        let is_lower = first.starts_with(|c: char| c.is_ascii_lowercase());
        if let Some(stem) = last.strip_suffix('-').filter(|stem| !stem.is_empty() && is_lower) {
            let is_word = self.count(&format!("{stem}{first}")) > 0;
            let ends_in_letter = stem.ends_with(|c: char| c.is_ascii_alphabetic());
            return if is_word && ends_in_letter { Joint::DropHyphen } else { Joint::KeepHyphen };
        }
        let is_hangul = |c: char| ('가'..='힣').contains(&c);
        let is_korean = last.ends_with(is_hangul) && first.starts_with(is_hangul);
        if is_korean
            && self.count(&format!("{last}{first}")) > self.count(last).min(self.count(first))
        {
            Joint::InWord
        } else {
            Joint::Space
        }
    }
}
