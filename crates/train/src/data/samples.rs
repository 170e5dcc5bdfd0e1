//! The samples of a token store: spans of documents that together hold every token once.

use std::ops::Range;

use bimed_vocab::{DocumentEntry, SENTENCE_START, Split, TokenStore, WORD_START};

/// How far back a cut looks for the start of a word, in tokens.
const WORD_SEARCH: u64 = 32;

/// A span of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first token in the store.
    pub start: u64,
    /// Tokens, without specials.
    pub length: u16,
    /// The document's index in the store.
    pub document: u32,
}

impl Span {
    /// The tokens in the store.
    pub fn range(&self) -> Range<u64> {
        self.start..self.start + u64::from(self.length)
    }
}

/// All spans of a split.
#[derive(Debug, Clone, Default)]
pub struct SampleSet {
    /// In the order of the store.
    pub spans: Vec<Span>,
    /// The length of each span.
    pub lengths: Vec<u16>,
    /// Tokens of all spans, without specials.
    pub num_tokens: u64,
    /// NFC characters of all spans.
    pub num_chars: u64,
}

impl SampleSet {
    /// Cuts the documents of `split` into spans of at most `max_tokens`.
    pub fn new(store: &TokenStore, split: Split, max_tokens: usize) -> Self {
        let mut set = Self::default();
        for (index, document) in store.documents().iter().enumerate() {
            if document.split == split {
                set.push_document(store, index, document, max_tokens);
            }
        }
        set
    }

    fn push_document(
        &mut self,
        store: &TokenStore,
        index: usize,
        document: &DocumentEntry,
        max_tokens: usize,
    ) {
        for range in cut_full(store, document.start..document.end, max_tokens as u64) {
            let length = (range.end - range.start) as u16;
            self.num_tokens += u64::from(length);
            self.num_chars += store.chars(range.clone()).iter().map(|&n| u64::from(n)).sum::<u64>();
            self.lengths.push(length);
            self.spans.push(Span { start: range.start, length, document: index as u32 });
        }
    }
}

/// Cuts `range` into pieces of `max` tokens, each cut moved back to the start of a word where one is
/// near, and a rest: whole pieces fill a bin, rests fill what others leave. Pieces of equal length
/// would fit neither, and cost an eighth of every step on long documents.
fn cut_full(store: &TokenStore, range: Range<u64>, max: u64) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    let mut start = range.start;
    while range.end - start > max {
        let end = start + start_before(store, start, max, &[WORD_START]);
        pieces.push(start..end);
        start = end;
    }
    pieces.push(start..range.end);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Cuts `range` into as few pieces of at most `max` as hold it, of nearly equal length, each cut
/// moved back to the start of a sentence where one is near, else of a word.
pub(crate) fn cut(store: &TokenStore, range: Range<u64>, max: u64) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let left = range.end - start;
        let even = left.div_ceil(left.div_ceil(max));
        let length = || start_before(store, start, even, &[SENTENCE_START, WORD_START]);
        let end = if left <= max { range.end } else { start + length() };
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// The longest length of at most `most` at which something with one of `flags` starts, the first flag
/// that is found near; `most` where none is.
fn start_before(store: &TokenStore, start: u64, most: u64, flags: &[u8]) -> u64 {
    let lowest = most.saturating_sub(WORD_SEARCH).max(1);
    let found = store.flags(start..start + most + 1);
    let starts = |flag: &u8| (lowest..=most).rev().find(|&at| found[at as usize] & flag != 0);
    flags.iter().find_map(starts).unwrap_or(most)
}
