//! Text → the words that WordPiece splits: BERT's normalisation and pre-tokenization.
//!
//! It knows no vocabulary. Stretches that normalisation leaves as they are take a short way.

use crate::characters::{CHINESE, COMPOSES, DROPPED, FOLDS, PUNCTUATION, SPACE, class};
use crate::normalize::{Item, Normalizer, WordBounds, word_class};
use crate::options::TokenizerOptions;

/// The characters of a word: first byte in the word, and where it came from.
pub(crate) type Spans = [(usize, Item)];

/// Splits texts into words; holds what it needs again and again.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    normalizer: Normalizer,
    word: String,
    spans: Vec<(usize, Item)>,
}

/// Calls `part` with each stretch of `text` between `added` tokens, and with each of those. `added`
/// is sorted longest first.
pub(crate) fn split_added(
    text: &str,
    added: &[(String, u32)],
    mut part: impl FnMut(&str, usize, Option<u32>),
) {
    if added.is_empty() {
        part(text, 0, None);
        return;
    }
    let mut heads = [false; 256];
    for byte in added.iter().filter_map(|(token, _)| token.as_bytes().first()) {
        heads[usize::from(*byte)] = true;
    }
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    while let Some(skip) = bytes[at..].iter().position(|&byte| heads[usize::from(byte)]) {
        at += skip;
        let here = &bytes[at..];
        let found = added.iter().find(|(token, _)| here.starts_with(token.as_bytes()));
        let Some((token, id)) = found else {
            at += 1;
            continue;
        };
        if from < at {
            part(&text[from..at], from, None);
        }
        part(token, at, Some(*id));
        at += token.len();
        from = at;
    }
    if from < text.len() {
        part(&text[from..], from, None);
    }
}

impl Splitter {
    /// Calls `sink` with each word of `text`, which begins at byte `offset` of the whole. Without
    /// `SPANS` the spans may be empty.
    pub(crate) fn run<const SPANS: bool>(
        &mut self,
        text: &str,
        offset: usize,
        options: &TokenizerOptions,
        sink: &mut impl FnMut(&str, &Spans),
    ) {
        let bytes = text.as_bytes();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
        let mut at = 0;
        while at < bytes.len() {
            if is_space(&bytes[at]) {
                at += 1;
                continue;
            }
            let len = bytes[at..].iter().position(is_space).unwrap_or(bytes.len() - at);
            self.stretch::<SPANS>(&text[at..at + len], offset + at, options, sink);
            at += len;
        }
    }

    fn stretch<const SPANS: bool>(
        &mut self,
        stretch: &str,
        offset: usize,
        options: &TokenizerOptions,
        sink: &mut impl FnMut(&str, &Spans),
    ) {
        let ascii = stretch.is_ascii();
        let mut hard = DROPPED | SPACE;
        if options.nfc || SPANS {
            hard |= COMPOSES;
        }
        if options.fold {
            hard |= FOLDS;
        }
        let plain = !options.lowercase
            && (!options.strip_accents || ascii)
            && stretch.chars().all(|c| !class(c).is(hard));
        if plain {
            let chinese = if options.tokenize_chinese_chars { CHINESE } else { 0 };
            self.plain::<SPANS>(stretch, offset, PUNCTUATION | chinese, sink);
            return;
        }
        self.normalizer.run(stretch, offset, options);
        self.word.clear();
        self.spans.clear();
        for item in &self.normalizer.items {
            let space = item.c.is_whitespace();
            let alone = item.isolated || class(item.c).is(PUNCTUATION);
            if (space || alone) && !self.word.is_empty() {
                sink(&self.word, &self.spans);
                self.word.clear();
                self.spans.clear();
            }
            if !space {
                self.spans.push((self.word.len(), *item));
                self.word.push(item.c);
            }
            if alone {
                sink(&self.word, &self.spans);
                self.word.clear();
                self.spans.clear();
            }
        }
        if !self.word.is_empty() {
            sink(&self.word, &self.spans);
        }
    }

    /// A stretch that normalisation leaves as it is; `alone` marks words of one character.
    fn plain<const SPANS: bool>(
        &mut self,
        stretch: &str,
        offset: usize,
        alone: u8,
        sink: &mut impl FnMut(&str, &Spans),
    ) {
        let mut bounds = WordBounds::default();
        let mut from = 0;
        self.spans.clear();
        for (at, c) in stretch.char_indices() {
            let own = class(c);
            let alone = own.is(alone);
            let end = at + c.len_utf8();
            if alone {
                if from < at {
                    sink(&stretch[from..at], &self.spans);
                    self.spans.clear();
                }
                from = at;
            }
            if SPANS {
                let item = Item {
                    c,
                    start: offset + at,
                    end: offset + end,
                    weight: 1,
                    starts_word: bounds.starts(word_class(c, own)),
                    isolated: false,
                };
                self.spans.push((at - from, item));
            }
            if alone {
                sink(&stretch[at..end], &self.spans);
                self.spans.clear();
                from = end;
            }
        }
        if from < stretch.len() {
            sink(&stretch[from..], &self.spans);
        }
    }
}

/// The words of `text`: runs of one script between white space, and punctuation characters.
pub(crate) fn count_words(text: &str) -> u64 {
    let mut bounds = WordBounds::default();
    let mut words = 0;
    for c in text.chars() {
        let own = class(c);
        let word = word_class(c, own);
        if word.is(SPACE) {
            bounds.space();
        } else if !own.is(DROPPED) {
            words += u64::from(bounds.starts(word));
        }
    }
    words
}
