//! Words (eojeol) and the runs of one script inside them.

use crate::Script;

/// A word: a longest stretch without white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// Its first byte in the text.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// The word.
    pub text: &'a str,
}

/// A stretch of a word in one script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptRun {
    /// Its script. A mark that follows a letter belongs to the letter's run.
    pub script: Script,
    /// Its first byte in the given text.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// The words of `text` in order.
pub fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let base = text.as_ptr() as usize;
    text.split_whitespace().map(move |word| {
        let start = word.as_ptr() as usize - base;
        Word { start, end: start + word.len(), text: word }
    })
}

/// The runs of one script in `text`, without white space: `CT상` is `CT`, `상`.
pub fn script_runs(text: &str) -> impl Iterator<Item = ScriptRun> + '_ {
    let mut characters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, script) = loop {
            let (start, character) = characters.next()?;
            let script = Script::of(character);
            if script != Script::Space {
                break (start, script);
            }
        };
        let end = loop {
            match characters.peek() {
                Some((_, next)) if Script::of(*next) == script || is_mark(*next) => {
                    characters.next();
                }
                Some((at, _)) => break *at,
                None => break text.len(),
            }
        };
        Some(ScriptRun { script, start, end })
    })
}

fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36F}' | '\u{FE00}'..='\u{FE0F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let runs: Vec<_> = script_runs(text).map(|run| &text[run.start..run.end]).collect();
        assert_eq!(runs, expected);
    }

    #[test]
    fn scripts_part_a_word() {
        check("CT상", &["CT", "상"]);
        check("3개월", &["3", "개월"]);
        check("(lung에) β차단제", &["(", "lung", "에", ")", "β", "차단제"]);
        check("", &[]);
    }

    #[test]
    fn words_carry_their_ranges() {
        let text = " 폐렴\n CT상  f/u ";
        let found: Vec<_> =
            words(text).map(|word| (word.text, &text[word.start..word.end])).collect();
        assert_eq!(found, [("폐렴", "폐렴"), ("CT상", "CT상"), ("f/u", "f/u")]);
    }
}
