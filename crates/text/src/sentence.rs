//! Sentence bounds of Korean, English and mixed text.
//!
//! A newline ends a sentence; so does closing punctuation before white space, unless it belongs to
//! an abbreviation, an initial or a list marker. Every byte belongs to exactly one sentence:
//! joined, the sentences are the text.

use crate::{LANGUAGES, Script};

/// The byte ranges `(start, end)` of the sentences of `text`, white space after a sentence
/// included. Joined they are `text`; an empty text has none.
pub fn sentences(text: &str) -> Vec<(usize, usize)> {
    let mut bounds = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(end) = next_end(text, start, at) {
        let next = skip_space(text, end);
        // White space alone is no sentence: it opens the one that follows.
        if text[start..end].trim().is_empty() && next < text.len() {
            at = next;
            continue;
        }
        bounds.push((start, next));
        start = next;
        at = next;
    }
    if start < text.len() {
        bounds.push((start, text.len()));
    }
    bounds
}

/// Whether a line end or a stop can begin with the byte: all other text is passed over by its bytes.
const MAY_END: [bool; 256] = {
    let mut may_end = [false; 256];
    let mut place = 0;
    // The last three are the first bytes of `…`, `。` and the full-width forms.
    let bytes = [b'\n', b'.', b'!', b'?', 0xE2, 0xE3, 0xEF];
    while place < bytes.len() {
        may_end[bytes[place] as usize] = true;
        place += 1;
    }
    may_end
};

/// The end of the sentence that began at `start`, looking from `from`, before white space.
fn next_end(text: &str, start: usize, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += text.as_bytes()[at..].iter().position(|byte| MAY_END[usize::from(*byte)])?;
        let mut characters = text[at..].chars();
        let character = characters.next()?;
        if character == '\n' {
            return Some(at + 1);
        }
        if !is_stop(character) {
            at += character.len_utf8();
            continue;
        }
        let rest = characters.as_str().trim_start_matches(is_stop).trim_start_matches(is_closer);
        let end = text.len() - rest.len();
        let stops = &text[at..end];
        let spaced = rest.chars().next().is_none_or(char::is_whitespace);
        let ends = if spaced {
            stops != "." || !is_suppressed(&text[start..at], rest)
        } else {
            is_korean_ending(&text[start..at], rest)
        };
        if ends {
            return Some(end);
        }
        at = end;
    }
}

fn is_stop(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

fn is_closer(character: char) -> bool {
    matches!(character, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」' | '』')
}

fn skip_space(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_start().len()
}

/// Reviews and chats leave out the space: `했다.그러나`.
fn is_korean_ending(before: &str, after: &str) -> bool {
    before.ends_with(['다', '요', '죠', '까'])
        && after.chars().next().is_some_and(|next| Script::of(next) == Script::Hangul)
}

/// Whether a full stop between `before` and `after` ends no sentence.
fn is_suppressed(before: &str, after: &str) -> bool {
    let next = after.trim_start().chars().next();
    if next.is_some_and(|next| next.is_lowercase()) {
        return true;
    }
    let mut tokens = before.rsplit([' ', '\t', '\n', '\u{A0}']);
    let token = tokens.next().unwrap_or_default().trim_start_matches(['(', '[', '"', '\'', '“']);
    let is_first = tokens.all(str::is_empty);
    if is_first && is_list_marker(token) {
        return true;
    }
    let lower = token.to_lowercase();
    if lower == "no" || lower == "nos" {
        return next.is_some_and(|next| next.is_ascii_digit());
    }
    is_initial(before, token, next)
        || LANGUAGES.iter().any(|language| language.abbreviations.contains(&lower.as_str()))
}

/// `1.`, `12.`, `가.`, `A.` at the start of a sentence.
fn is_list_marker(token: &str) -> bool {
    let mut characters = token.chars();
    let single = characters.next().is_some_and(char::is_alphabetic) && characters.next().is_none();
    let number =
        !token.is_empty() && token.len() <= 3 && token.bytes().all(|byte| byte.is_ascii_digit());
    single || number
}

/// `J.` in `J. Kim` and `Robert J. Kim`, not in `vitamin C. The`.
fn is_initial(before: &str, token: &str, next: Option<char>) -> bool {
    let is_letter = token.len() == 1 && token.bytes().all(|byte| byte.is_ascii_uppercase());
    let before_is_name = before[..before.len() - token.len()]
        .split_whitespace()
        .next_back()
        .and_then(|word| word.chars().next())
        .is_none_or(char::is_uppercase);
    is_letter && before_is_name && next.is_some_and(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> =
            sentences(text).iter().map(|(start, end)| text[*start..*end].trim()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn punctuation_and_newlines_end_sentences() {
        check(
            "폐렴이 의심된다. CT를 시행하였다.\n경과 관찰",
            &["폐렴이 의심된다.", "CT를 시행하였다.", "경과 관찰"],
        );
        check(
            "Is it worse? No! \"It is.\" He left.",
            &["Is it worse?", "No!", "\"It is.\"", "He left."],
        );
        check("좋았다.그러나 늦었어요!다시", &["좋았다.", "그러나 늦었어요!", "다시"]);
    }

    #[test]
    fn stops_beyond_ascii_end_sentences() {
        check(
            "괜찮나요？ CT… 정상。 다음！ 끝ㅋ",
            &["괜찮나요？", "CT…", "정상。", "다음！", "끝ㅋ"],
        );
    }

    #[test]
    fn abbreviations_decimals_and_markers_do_not() {
        check("Dr. Kim gave 2.5 mg q.d. 처방함.", &["Dr. Kim gave 2.5 mg q.d. 처방함."]);
        check("e.g. CT vs. MRI, approx. five", &["e.g. CT vs. MRI, approx. five"]);
        check("1. 흉부 CT 시행\n2. 항생제 투여", &["1. 흉부 CT 시행", "2. 항생제 투여"]);
        check(
            "Robert J. Kim came. Vitamin supplies of vitamin C. The end.",
            &["Robert J. Kim came.", "Vitamin supplies of vitamin C.", "The end."],
        );
        check("See No. 5. Then no. Then", &["See No. 5.", "Then no.", "Then"]);
    }

    #[test]
    fn placeholders_are_kept() {
        check("Seen on ___. 재진 ___.\n\n \n끝", &["Seen on ___.", "재진 ___.", "끝"]);
        assert_eq!(sentences(""), []);
        assert_eq!(sentences(" \n "), [(0, 3)]);
    }

    proptest! {
        #[test]
        fn sentences_join_to_the_text(text in "[a-zA-Z가나다요.!?)\"\\n 0-9_\u{A0}]{0,60}") {
            let mut end = 0;
            for (start, stop) in sentences(&text) {
                prop_assert_eq!(start, end);
                prop_assert!(stop > start);
                end = stop;
            }
            prop_assert_eq!(end, text.len());
        }
    }
}
