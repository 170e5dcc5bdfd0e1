//! Cutting a book into documents that are compared with one another.

use std::ops::Range;

/// Byte ranges of `text` of at most about `max_chars` characters each, alike in size, cut where a
/// paragraph ends, else a line, else a word. Together they are the text.
pub(super) fn ranges(text: &str, max_chars: usize) -> Vec<Range<usize>> {
    // No text has more characters than bytes: most need not be counted.
    if text.len() <= max_chars || text.chars().count() <= max_chars {
        return std::iter::once(0..text.len()).collect();
    }
    let chars = text.chars().count();
    let size = text.len() / chars.div_ceil(max_chars);
    let mut ranges = Vec::new();
    let mut begin = 0;
    while text.len() - begin > size + size / 8 {
        let end = cut(text, begin + size, size / 4);
        ranges.push(begin..end);
        begin = end;
    }
    ranges.push(begin..text.len());
    ranges
}

/// The end of the last paragraph, line or word in the `reach` bytes before `limit`.
fn cut(text: &str, limit: usize, reach: usize) -> usize {
    let floor = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (from, limit) = (floor(limit - reach), floor(limit));
    let window = &text[from..limit];
    ["\n\n", "\n", " "]
        .into_iter()
        .find_map(|end| window.rfind(end).map(|at| from + at + end.len()))
        .unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_join_to_the_text_and_end_with_paragraphs() {
        let text: String =
            (0..40).map(|number| format!("제{number}절 흉부 CT 소견과 pneumonia.\n\n")).collect();
        let found = ranges(&text, 200);
        assert!((6..=8).contains(&found.len()), "{}", found.len());
        let joined: String = found.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(joined, text);
        assert!(found.iter().all(|range| text[range.clone()].ends_with("\n\n")));
        let whole = ranges("폐렴 CT", 6);
        assert_eq!((whole.len(), whole[0].clone()), (1, 0..9));
    }

    #[test]
    fn a_text_without_spaces_is_cut_between_characters() {
        let text = "가".repeat(1000);
        let found = ranges(&text, 300);
        assert!(found.len() > 3 && found.iter().all(|range| range.len() % 3 == 0));
    }
}
