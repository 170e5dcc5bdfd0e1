//! Text → the words that WordPiece splits: BERT's normalisation and pre-tokenization.
//!
//! It knows no vocabulary. A stretch between white space is looked at once, character by character
//! in a table; where normalisation leaves it as it is, its words are parts of the text itself.

use crate::characters::{
    CASED, CHINESE, COMPOSES, Class, DROPPED, FOLDS, MARK, PUNCTUATION, SPACE, class, class_of,
    classes,
};
use crate::normalize::{Item, Normalizer, WordBounds, word_class};
use crate::options::TokenizerOptions;
use crate::script::Script;

/// The characters of a word: first byte in the word, and where it came from.
pub(crate) type Spans = [(usize, Item)];

/// Where the characters of a word came from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// From the bytes of the text that begin at `start`, one for one. Words of the text begin at the
    /// bytes `starts` of the stretch that the word begins at byte `at` of; ascending.
    Text { start: usize, at: usize, starts: &'a [usize] },
    /// Each from its own.
    Items(&'a Spans),
}

/// Splits texts into words; holds what it needs again and again.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    normalizer: Normalizer,
    word: String,
    spans: Vec<(usize, Item)>,
    /// The words of a stretch, as bytes of it.
    words: Vec<(usize, usize)>,
    /// Where words of the text begin in a stretch.
    starts: Vec<usize>,
    lowered: String,
}

/// What a stretch of text without white space is.
enum Stretch {
    /// Normalisation leaves it as it is.
    Plain,
    /// It has capitals of ASCII that become small.
    Lowered,
    /// It has characters that change, or that go.
    Hard,
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

/// The flags of characters that keep a stretch from the short way.
#[inline]
fn hard_flags<const SPANS: bool>(options: &TokenizerOptions) -> u8 {
    let mut hard = DROPPED | SPACE;
    if options.nfc || SPANS {
        hard |= COMPOSES;
    }
    if options.fold || SPANS {
        hard |= FOLDS;
    }
    if options.lowercase {
        hard |= CASED;
    }
    hard
}

impl Splitter {
    /// Calls `sink` with each word of `text`, which begins at byte `offset` of the whole. Without
    /// `SPANS` the origin may be empty.
    pub(crate) fn run<const SPANS: bool>(
        &mut self,
        text: &str,
        offset: usize,
        options: &TokenizerOptions,
        sink: &mut impl FnMut(&str, Origin<'_>),
    ) {
        let chinese = if options.tokenize_chinese_chars { CHINESE } else { 0 };
        let (hard, alone) = (hard_flags::<SPANS>(options), PUNCTUATION | chinese);
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if is_ascii_space(bytes[at]) {
                at += 1;
                continue;
            }
            let from = at;
            let kind = self.read::<SPANS>(text, &mut at, hard, alone, options.strip_accents);
            let stretch = &text[from..at];
            match kind {
                Stretch::Plain => self.emit(stretch, offset + from, sink),
                Stretch::Lowered => {
                    let mut lowered = std::mem::take(&mut self.lowered);
                    lowered.clear();
                    lowered.push_str(stretch);
                    lowered.make_ascii_lowercase();
                    self.emit(&lowered, offset + from, sink);
                    self.lowered = lowered;
                }
                Stretch::Hard => self.normalized(stretch, offset + from, options, sink),
            }
        }
    }

    /// Moves `at` behind the stretch that begins there, and notes its words.
    #[inline]
    fn read<const SPANS: bool>(
        &mut self,
        text: &str,
        at: &mut usize,
        hard: u8,
        alone: u8,
        only_ascii: bool,
    ) -> Stretch {
        let (bytes, classes) = (text.as_bytes(), classes());
        let from = *at;
        let (mut word, mut seen, mut capitals) = (0, 0, false);
        let mut previous: Option<Script> = None;
        self.words.clear();
        self.starts.clear();
        while let Some(&byte) = bytes.get(*at) {
            let (class, len) = if byte < 0x80 {
                if is_ascii_space(byte) {
                    break;
                }
                capitals |= byte.is_ascii_uppercase();
                let class = classes[usize::from(byte)];
                (Class { flags: class.flags & !CASED, ..class }, 1)
            } else {
                let (code, len) = decode(bytes, *at);
                let class = classes.get(code).copied().unwrap_or_else(|| class_of(code));
                if only_ascii {
                    seen |= hard;
                }
                (class, len)
            };
            seen |= class.flags;
            let here = *at - from;
            *at += len;
            if class.is(alone) {
                if word < here {
                    self.words.push((word, here));
                }
                word = here + len;
                self.words.push((here, word));
            }
            if SPANS {
                if class.is(PUNCTUATION) {
                    self.starts.push(here);
                    previous = None;
                } else if !(class.is(MARK) && previous.is_some()) {
                    if previous != Some(class.script) {
                        self.starts.push(here);
                    }
                    previous = Some(class.script);
                }
            }
        }
        if word < *at - from {
            self.words.push((word, *at - from));
        }
        match (seen & hard != 0, capitals && hard & CASED != 0) {
            (true, _) => Stretch::Hard,
            (false, true) => Stretch::Lowered,
            (false, false) => Stretch::Plain,
        }
    }

    /// The words that were noted, out of `stretch`.
    #[inline]
    fn emit(&self, stretch: &str, offset: usize, sink: &mut impl FnMut(&str, Origin<'_>)) {
        let mut next = 0;
        for &(from, to) in &self.words {
            let first = next;
            next += self.starts[first..].iter().take_while(|&&start| start < to).count();
            let starts = &self.starts[first..next];
            sink(&stretch[from..to], Origin::Text { start: offset + from, at: from, starts });
        }
    }

    /// The words of a stretch that normalisation changes.
    fn normalized(
        &mut self,
        stretch: &str,
        offset: usize,
        options: &TokenizerOptions,
        sink: &mut impl FnMut(&str, Origin<'_>),
    ) {
        self.normalizer.run(stretch, offset, options);
        self.word.clear();
        self.spans.clear();
        for item in &self.normalizer.items {
            let space = item.c.is_whitespace();
            let alone = item.isolated || class(item.c).is(PUNCTUATION);
            if (space || alone) && !self.word.is_empty() {
                sink(&self.word, Origin::Items(&self.spans));
                self.word.clear();
                self.spans.clear();
            }
            if !space {
                self.spans.push((self.word.len(), *item));
                self.word.push(item.c);
            }
            if alone {
                sink(&self.word, Origin::Items(&self.spans));
                self.word.clear();
                self.spans.clear();
            }
        }
        if !self.word.is_empty() {
            sink(&self.word, Origin::Items(&self.spans));
        }
    }
}

#[inline]
fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// The code point at byte `at`, where one of two bytes or more begins, and its length.
#[inline]
fn decode(bytes: &[u8], at: usize) -> (usize, usize) {
    let low = |index: usize| usize::from(bytes.get(at + index).copied().unwrap_or(0) & 0x3F);
    let lead = usize::from(bytes[at]);
    match lead {
        0xE0..=0xEF => ((lead & 0xF) << 12 | low(1) << 6 | low(2), 3),
        0xC0..=0xDF => ((lead & 0x1F) << 6 | low(1), 2),
        _ => ((lead & 0x7) << 18 | low(1) << 12 | low(2) << 6 | low(3), 4),
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
