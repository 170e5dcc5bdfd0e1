//! What is measured of a document's text, to choose by. It judges nothing.
//!
//! One reading of the words and one of the lines; every figure is a function of the text alone.

use bimed_text::ScriptCounts;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Signals of a text's quality, shares from 0 to 1, rounded to four places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Letters of any script among the characters that are no white space.
    pub letter_share: f64,
    /// Digits among them.
    pub digit_share: f64,
    /// Characters of a word (eojeol), on average.
    pub mean_word_chars: f64,
    /// Lines that repeat the most frequent line; 0 where every line is another.
    pub top_line_share: f64,
    /// The share of bytes in lines that stand before in the document.
    pub repeated_line_share: f64,
    /// Lines that end as a sentence does.
    pub ended_line_share: f64,
    /// Words that are the numbers of pages in an index: whole, of at most four digits, or ranges.
    pub page_number_share: f64,
}

/// The words of a text, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WordCounts {
    /// Words (eojeol).
    pub words: u64,
    /// Words with a Hangul syllable, and words with one or with a Latin letter.
    pub hangul: u64,
    pub lettered: u64,
    /// Words that are numbers of pages.
    pub page_numbers: u64,
    /// Changes between Hangul syllables and Latin letters (A to Z), within words and between them.
    pub switches: u64,
}

/// Letters by the first byte of their UTF-8.
const LATIN: u8 = 1;
const HANGUL: u8 = 2;
/// U+A000 to U+AFFF, of which the upper quarter is Hangul.
const EITHER: u8 = 3;

const LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        letters[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LATIN,
            // The first of three bytes of U+B000 to U+D7FF.
            0xEB..=0xED => HANGUL,
            0xEA => EITHER,
            _ => 0,
        };
        byte += 1;
    }
    letters
};

impl WordCounts {
    pub(crate) fn of(text: &str) -> Self {
        let mut counts = Self::default();
        // The letter before.
        let mut before = 0;
        for run in text.split_ascii_whitespace() {
            // White space of other kinds begins with one of these bytes.
            if run.bytes().any(|byte| matches!(byte, 0x0B | 0xC2 | 0xE1..=0xE3)) {
                run.split_whitespace().for_each(|word| counts.add(word, &mut before));
            } else {
                counts.add(run, &mut before);
            }
        }
        counts
    }

    fn add(&mut self, word: &str, before: &mut u8) {
        let bytes = word.as_bytes();
        let mut all = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let letter = match LETTERS[usize::from(*byte)] {
                0 => continue,
                EITHER if bytes.get(at + 1).is_none_or(|next| *next < 0xB0) => continue,
                EITHER => HANGUL,
                letter => letter,
            };
            self.switches += u64::from(*before != letter && *before != 0);
            *before = letter;
            all |= letter;
        }
        self.words += 1;
        self.page_numbers += u64::from(is_page_number(word));
        self.hangul += u64::from(all & HANGUL != 0);
        self.lettered += u64::from(all != 0);
    }

    /// Changes of script in a hundred words.
    pub(crate) fn switch_points(&self) -> f64 {
        (1e4 * ratio(self.switches, self.words)).round() / 1e2
    }

    /// The share of words with Hangul in those with Hangul or Latin letters.
    pub(crate) fn hangul_ratio(&self) -> f64 {
        rounded(ratio(self.hangul, self.lettered))
    }
}

impl Quality {
    /// Of a text with these counts.
    pub(crate) fn of(text: &str, scripts: &ScriptCounts, words: &WordCounts) -> Self {
        let mut lines: Vec<(u64, usize)> = Vec::new();
        let mut ended = 0;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            lines.push((xxh3_64(line.as_bytes()), line.len()));
            ended += u64::from(is_ended(line));
        }
        let count = lines.len() as u64;
        let bytes: usize = lines.iter().map(|line| line.1).sum();
        lines.sort_unstable();
        let (mut top, mut repeated) = (0, 0);
        for same in lines.chunk_by(|a, b| a == b) {
            top = top.max(same.len() as u64 - 1);
            repeated += (same.len() - 1) * same[0].1;
        }
        let share = |part, whole| rounded(ratio(part, whole));
        Self {
            letter_share: share(scripts.letters(), scripts.non_space()),
            digit_share: share(scripts.digit, scripts.non_space()),
            mean_word_chars: share(scripts.non_space(), words.words),
            top_line_share: share(top, count),
            repeated_line_share: share(repeated as u64, bytes as u64),
            ended_line_share: share(ended, count),
            page_number_share: share(words.page_numbers, words.words),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn is_ended(line: &str) -> bool {
    let line = line.trim_end_matches(['"', '\'', ')', ']', '”', '’', '」', '』']);
    line.ends_with(['.', '!', '?', '…', '。', '！', '？'])
}

/// `7`, `34,`, `56-58`; no decimals, no times, no years of a record's number.
fn is_page_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word
            .trim_end_matches(',')
            .split(['-', '–'])
            .all(|run| (1..=4).contains(&run.len()) && run.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(text: &str) -> Quality {
        Quality::of(text, &ScriptCounts::of(text), &WordCounts::of(text))
    }

    #[test]
    fn switches_are_counted_within_and_between_words() {
        // 환자 → CT → 에서 → nodule → 이, then Latin and Hangul on either side of a number.
        let counts = WordCounts::of("환자 CT에서 nodule이\n3 cm 보임");
        let expected =
            WordCounts { words: 6, hangul: 4, lettered: 5, page_numbers: 1, switches: 6 };
        assert_eq!(counts, expected);
        assert_eq!((counts.switch_points(), counts.hangul_ratio()), (100.0, 0.8));
        // White space beyond ASCII parts words, too.
        let spaced = WordCounts::of("CT\u{a0}소견\u{3000}Ⅱ\u{2003}가각 a\u{85}b");
        assert_eq!((spaced.words, spaced.lettered, spaced.switches), (6, 5, 2));
        let letters = WordCounts::of("ꀀ Ⅲ 7 肺");
        assert_eq!((letters.words, letters.lettered, letters.switches), (4, 0, 0));
        assert_eq!(WordCounts::default().switch_points(), 0.0);
    }

    #[test]
    fn repeated_lines_are_shares_of_lines_and_of_bytes() {
        let text = "활력 징후 안정.\nVital signs stable.\n활력 징후 안정.\n\n활력 징후 안정.\n끝";
        let found = quality(text);
        assert_eq!((found.top_line_share, found.ended_line_share), (0.4, 0.8));
        // Twice 21 bytes of 21 * 3 + 19 + 3.
        assert_eq!(found.repeated_line_share, 0.4941);
        assert_eq!(quality("한 줄").top_line_share, 0.0);
    }

    #[test]
    fn letters_digits_and_words_are_measured() {
        let found = quality("Na 138, 혈압 120");
        assert_eq!((found.letter_share, found.digit_share), (0.3636, 0.5455));
        assert_eq!(found.mean_word_chars, 2.75);
        assert_eq!(quality(""), Quality::default());
    }

    #[test]
    fn numbers_of_pages_are_told_from_other_numbers() {
        for (word, expected) in [
            ("7", true),
            ("34,", true),
            ("56-58", true),
            ("103–104,", true),
            ("4.2", false),
            ("120/80", false),
            ("2026년", false),
            ("77123456", false),
            ("5-", false),
            ("CT-3", false),
        ] {
            assert_eq!(is_page_number(word), expected, "{word}");
        }
        assert_eq!(quality("폐렴 12, 34-36 pneumonia 7").page_number_share, 0.6);
    }
}
