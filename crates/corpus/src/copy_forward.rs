//! What a note repeats from earlier notes of its patient.
//!
//! A run of sentences is a copy where each follows the one before it in an earlier note too. It is
//! cut out when it has [`MIN_CHARS`] characters or [`MIN_LINES`] lines. Vital signs and headings
//! that recur one by one stay.

use std::collections::HashSet;
use std::ops::Range;

use bimed_artifact::Context;

use crate::units::{Catalog, Keys, Mark, Section, Segment};
use crate::{CopyForwardSummary, Result};

/// Characters of a run that is cut out.
const MIN_CHARS: u32 = 200;
/// Lines of a run that is cut out.
const MIN_LINES: u32 = 3;

/// The sentences to cut out of a document, and what it then has.
pub(crate) struct Cut {
    pub number: usize,
    /// Sentences, by their place in the document.
    pub runs: Vec<Range<u32>>,
    /// What the runs hold.
    pub chars: u32,
    pub words: u32,
}

/// The cuts of the documents that `is_asked` asks about, by their number.
///
/// # Errors
/// When a unit cannot be read, or the step is cancelled.
pub(crate) fn cuts(
    catalog: &Catalog,
    is_asked: impl Fn(usize) -> bool,
    context: &Context<'_>,
) -> Result<(Vec<Cut>, CopyForwardSummary)> {
    let mut notes: Vec<(u64, u64, usize)> = Vec::new();
    let mut summary = CopyForwardSummary::default();
    catalog.scan(Section::Keys, |number, row| {
        if is_asked(number) {
            let keys = Keys::read(row);
            summary.documents += 1;
            summary.chars += u64::from(keys.chars);
            summary.without_time += u64::from(keys.time == 0 || keys.has(Mark::TimeUnknown));
            notes.push((keys.group, keys.time, number));
        }
    })?;
    notes.sort_unstable();
    let mut cuts = Vec::new();
    for patient in notes.chunk_by(|a, b| a.0 == b.0).filter(|patient| patient.len() > 1) {
        context.cancel.check()?;
        let mut seen = Seen::default();
        for (_, _, number) in patient {
            let keys = catalog.keys(&[*number])?[0];
            let segments = catalog.segments(*number, &keys)?;
            let runs = seen.copies(&segments);
            seen.add(&segments);
            let cut =
                || runs.iter().flat_map(|run| &segments[run.start as usize..run.end as usize]);
            let chars = cut().map(|segment| segment.chars).sum();
            let words = cut().map(|segment| u32::from(segment.words)).sum();
            if chars > 0 {
                cuts.push(Cut { number: *number, runs, chars, words });
            }
        }
    }
    cuts.sort_unstable_by_key(|cut| cut.number);
    summary.changed = cuts.len() as u64;
    summary.cut_chars = cuts.iter().map(|cut| u64::from(cut.chars)).sum();
    Ok((cuts, summary))
}

/// The sentences of a patient's earlier notes, and which followed which.
#[derive(Default)]
struct Seen {
    sentences: HashSet<u64>,
    neighbours: HashSet<(u64, u64)>,
}

impl Seen {
    fn add(&mut self, segments: &[Segment]) {
        self.sentences.extend(segments.iter().map(|segment| segment.hash));
        self.neighbours.extend(segments.windows(2).map(|pair| (pair[0].hash, pair[1].hash)));
    }

    fn copies(&self, segments: &[Segment]) -> Vec<Range<u32>> {
        let mut runs = Vec::new();
        let mut begin = 0;
        while begin < segments.len() {
            let mut end = begin;
            while end < segments.len()
                && self.sentences.contains(&segments[end].hash)
                && (end == begin
                    || self.neighbours.contains(&(segments[end - 1].hash, segments[end].hash)))
            {
                end += 1;
            }
            let run = &segments[begin..end];
            let chars: u32 = run.iter().map(|segment| segment.chars).sum();
            let lines: u32 = run.iter().map(|segment| u32::from(segment.lines.min(1))).sum();
            if chars >= MIN_CHARS || lines >= MIN_LINES {
                runs.push(begin as u32..end as u32);
            }
            begin = end.max(begin + 1);
        }
        runs
    }
}

/// The text of a document without the sentences of `runs`.
pub(crate) fn without(text: &str, sentences: &[(usize, usize)], runs: &[Range<u32>]) -> String {
    let is_kept = |place: &usize| !runs.iter().any(|run| run.contains(&(*place as u32)));
    let kept = sentences.iter().enumerate().filter(|(place, _)| is_kept(place));
    let kept: String = kept.map(|(_, (start, end))| &text[*start..*end]).collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn segments(text: &str) -> Vec<Segment> {
        let of = |(start, end): (usize, usize)| Segment {
            hash: xxh3_64(text[start..end].trim().as_bytes()),
            chars: text[start..end].chars().count() as u32,
            words: 1,
            lines: text[start..end].matches('\n').count() as u16,
        };
        bimed_text::sentences(text).into_iter().map(of).collect()
    }

    fn check(first: &str, second: &str, expected: &str) {
        let mut seen = Seen::default();
        seen.add(&segments(first));
        let runs = seen.copies(&segments(second));
        assert_eq!(without(second, &bimed_text::sentences(second), &runs), expected);
    }

    #[test]
    fn three_lines_in_a_row_are_a_copy_and_single_ones_are_not() {
        let first = "고혈압 있음\nDM on metformin\n알레르기 없음\nCT상 결절";
        check(first, "고혈압 있음\nDM on metformin\n알레르기 없음\n발열 호전", "발열 호전");
        // The same lines, but never more than two in a row.
        let mixed = "고혈압 있음\nDM on metformin\n새로운 기침\nCT상 결절";
        check(first, mixed, mixed);
    }

    #[test]
    fn a_long_run_within_a_line_is_a_copy() {
        let long = "환자는 내원 3일 전부터 발열과 기침이 있어 응급실로 왔다. ".repeat(4);
        let more = format!("{long}Chest CT showed consolidation in both lower lobes. ").repeat(2);
        check(
            &more,
            &format!("오늘은 열이 없다. {more}내일 퇴원 예정이다."),
            "오늘은 열이 없다. 내일 퇴원 예정이다.",
        );
    }
}
