//! Words such as `CT상`: two or more Latin letters with a Hangul ending.

use serde::{Deserialize, Serialize};

use super::measures::ratio;
use crate::tokenizer::Encoding;

/// A vocabulary on code-mixed words, `[A-Za-z]{2,}[가-힣]+`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CodeMix {
    /// Such words.
    pub words: u64,
    /// Their tokens.
    pub pieces: u64,
    /// Words in which a token begins with the first Hangul letter.
    pub aligned_words: u64,
    /// Words with an `[UNK]`.
    pub unk_words: u64,
    /// Tokens a word.
    pub pieces_per_word: f64,
    /// The share of aligned words, 0 to 1.
    pub alignment_rate: f64,
    /// The share of words with an `[UNK]`, 0 to 1.
    pub unk_word_rate: f64,
}

impl CodeMix {
    /// Of one text, without rates.
    pub(super) fn of(text: &str, encoding: &Encoding, unk: u32) -> Self {
        let mut found = Self::default();
        for (start, switch, end) in words(text) {
            let first = encoding.offsets.partition_point(|&(_, token_end)| token_end <= start);
            let last = encoding.offsets.partition_point(|&(token_start, _)| token_start < end);
            let (first, last) = (first.min(last), last);
            found.words += 1;
            found.pieces += (last - first) as u64;
            let offsets = &encoding.offsets[first..last];
            found.aligned_words += u64::from(offsets.iter().any(|&(at, _)| at == switch));
            found.unk_words += u64::from(encoding.ids[first..last].contains(&unk));
        }
        found
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.words += other.words;
        self.pieces += other.pieces;
        self.aligned_words += other.aligned_words;
        self.unk_words += other.unk_words;
    }

    /// With the rates that its counts give.
    pub(super) fn rated(mut self) -> Self {
        self.pieces_per_word = ratio(self.pieces, self.words);
        self.alignment_rate = ratio(self.aligned_words, self.words);
        self.unk_word_rate = ratio(self.unk_words, self.words);
        self
    }
}

/// Of each such word: its first byte, the byte at which Hangul begins, and one past its last.
fn words(text: &str) -> impl Iterator<Item = (usize, usize, usize)> {
    let is_hangul = |c: char| ('가'..='힣').contains(&c);
    let length = |text: &str, is: fn(char) -> bool| text.find(|c| !is(c)).unwrap_or(text.len());
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + text[from..].find(|c: char| c.is_ascii_alphabetic())?;
            let switch = start + length(&text[start..], |c| c.is_ascii_alphabetic());
            from = switch + length(&text[switch..], is_hangul);
            if switch - start > 1 && from > switch {
                return Some((start, switch, from));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_and_a_hangul_ending_make_a_word() {
        let found = |text: &str| -> Vec<String> {
            words(text).map(|(a, b, c)| format!("{}|{}", &text[a..b], &text[b..c])).collect()
        };
        assert_eq!(
            found("CT상 X선 lung에, MRI와CT상(chest)"),
            ["CT|상", "lung|에", "MRI|와", "CT|상"]
        );
        assert_eq!(found("폐CT 3T에 ct 상 T2강조"), [""; 0]);
    }
}
