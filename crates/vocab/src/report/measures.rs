//! What is measured of a vocabulary on some text.

use serde::{Deserialize, Serialize};

use crate::tokenizer::Encoding;
use crate::words::count_words;

/// A vocabulary on some text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TextMeasures {
    /// Documents.
    pub documents: u64,
    /// Bytes.
    pub bytes: u64,
    /// Eojeol: stretches between white space.
    pub eojeols: u64,
    /// Words: runs of one script in an eojeol, and punctuation characters.
    pub words: u64,
    /// Tokens.
    pub pieces: u64,
    /// Words of more than one token.
    pub continued_words: u64,
    /// Words with an `[UNK]`.
    pub unk_words: u64,
    /// Tokens a word.
    pub fertility: f64,
    /// Tokens an eojeol.
    pub pieces_per_eojeol: f64,
    /// The share of words of more than one token, 0 to 1.
    pub continued_word_rate: f64,
    /// The share of words with an `[UNK]`, 0 to 1.
    pub unk_word_rate: f64,
    /// Bytes a token.
    pub bytes_per_token: f64,
}

impl TextMeasures {
    /// Of one text, without rates.
    pub(super) fn of(text: &str, encoding: &Encoding, unk: u32) -> Self {
        let ids = &encoding.ids;
        let mut starts: Vec<usize> =
            (0..ids.len()).filter(|&at| encoding.word_starts[at]).collect();
        starts.push(ids.len());
        let words = || starts.windows(2).map(|word| &ids[word[0]..word[1]]);
        Self {
            documents: 1,
            bytes: text.len() as u64,
            eojeols: text.split_whitespace().count() as u64,
            words: count_words(text),
            pieces: ids.len() as u64,
            continued_words: words().filter(|ids| ids.len() > 1).count() as u64,
            unk_words: words().filter(|ids| ids.contains(&unk)).count() as u64,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.bytes += other.bytes;
        self.eojeols += other.eojeols;
        self.words += other.words;
        self.pieces += other.pieces;
        self.continued_words += other.continued_words;
        self.unk_words += other.unk_words;
    }

    /// With the rates that its counts give.
    pub(super) fn rated(mut self) -> Self {
        self.fertility = ratio(self.pieces, self.words);
        self.pieces_per_eojeol = ratio(self.pieces, self.eojeols);
        self.continued_word_rate = ratio(self.continued_words, self.words);
        self.unk_word_rate = ratio(self.unk_words, self.words);
        self.bytes_per_token = ratio(self.bytes, self.pieces);
        self
    }
}

/// `a / b`, 0 of nothing.
pub(super) fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}
